--- Servers that tests talk to, on loopback and a free port; each says in its first line where it listens.
local harness = require "spec.support.harness"
local tasker = require "tasker"

local peer = {}

--- Whether Node is there to run them.
peer.has_node = harness.process.run({ "sh", "-c", "command -v node" }).status == 0

--- Whether a package that `tools/peers` installs is there.
-- @string name
-- @treturn bool
function peer.has(name)
  local file = peer.has_node and io.open("spec/peers/node_modules/" .. name .. "/package.json")
  if file then
    file:close()
  end
  return file ~= nil and file ~= false
end

--- Starts `spec/peers/NAME.mjs`; `harness.clean` ends it.
-- @string name
-- @param ... its arguments
-- @treturn table what it printed first, decoded
-- @return the child
function peer.start(name, ...)
  local child = harness.start { "node", "spec/peers/" .. name .. ".mjs", ... }
  local line = harness.eventually(function()
    if not child:running() then
      error("the peer " .. name .. " ended: " .. child:stderr(), 0)
    end
    return child:stdout():match("^(.-)\n")
  end, 30)
  return assert(tasker.json.decode(line)), child
end

--- A certificate for localhost with an authority of its own: `ca.pem cert.pem key.pem` in a new directory.
-- @treturn string|nil the directory; nil: there is no openssl
function peer.certificates()
  local dir = harness.temp_dir()
  local made = harness.process.run { "sh", "-c", [[
    set -e
    curve="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl req -x509 $curve -days 2 -keyout ca.key -out ca.pem -subj "/CN=test authority" 2>/dev/null
    openssl req $curve -keyout key.pem -out request.pem -subj /CN=localhost 2>/dev/null
    printf 'subjectAltName=DNS:localhost\n' > names
    openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem 2>/dev/null
  ]], cwd = dir }
  return made.status == 0 and dir or nil
end

return peer
