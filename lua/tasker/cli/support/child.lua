--- This very program once more, in a process of its own: for what may crash, or blocks while progress is to be drawn.
-- @module tasker.cli.support.child

local progress = require "tasker.cli.support.progress"

local child = {}

local MIB = 1 << 20

--- The option that such a process gets.
child.option = { name = "in-process", help = "do it in this process, without one of its own" }

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- /proc/self would be the shell's.
local function program()
  local file = assert(io.open("/proc/self/stat"))
  local pid = file:read("n")
  file:close()
  return ("/proc/%d/exe"):format(math.tointeger(pid))
end

--- The shell command that runs a command again, with the same store.
-- @tab ctx the command's context
-- @tab opts its options: `json` is handed on
-- @tparam {string,...} arguments
-- @treturn string
function child.command(ctx, opts, arguments)
  local words = { program(), ctx.name, "--in-process", "--store", quoted(ctx.store_url) }
  if opts.json then
    words[#words + 1] = "--json"
  end
  words[#words + 1] = "--"
  for _, argument in ipairs(arguments) do
    words[#words + 1] = quoted(argument)
  end
  return table.concat(words, " ")
end

local function size_of(path)
  local file = io.open(path, "rb")
  local size = file and file:seek "end"
  if file then
    file:close()
  end
  return size
end

--- Runs a command that writes one file, drawing how the file grows.
-- @tab ctx the command's context
-- @string command from `child.command`
-- @string label of the progress line
-- @string path of the file
-- @int total the bytes that it will have, about
-- @treturn int the command's exit code
function child.run_growing(ctx, command, label, path, total)
  local line = progress.new(ctx, label, "MiB")
  -- The command is in the foreground, so that Ctrl-C reaches it; the ticks end with their reader.
  local pipe = assert(io.popen(("while sleep 0.2; do echo tick; done & ticks=$!; %s; code=$?; kill $ticks; exit $code"):format(command)))
  local said = false
  for text in pipe:lines() do
    if text == "tick" and not said then
      line:update((size_of(path) or 0) // MIB, math.max(total // MIB, 1))
    elseif text ~= "tick" then
      said = true
      line:clear()
      ctx.out(text .. "\n")
    end
  end
  line:clear()
  local _, how, number = pipe:close()
  return how == "signal" and 128 + number or number
end

return child
