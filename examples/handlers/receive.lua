-- Takes one webhook of GitHub, as whatever server there is hands it over: usage `tasker-lua receive.lua STORE < request`, where the
-- request is JSON {headers, body} and the answer is a status on stdout. $GITHUB_SECRET is what both sides know.
local tasker = require "tasker"

local request = assert(tasker.json.decode(io.read "a"))
local payload, err = tasker.webhook.verify(request.headers, request.body, os.getenv "GITHUB_SECRET", { scheme = "github" })
if not payload then
  io.stderr:write(tostring(err), "\n")
  print(401)
  os.exit(true)
end

local app = assert(tasker.open(arg[1]))
-- GitHub sends a delivery again when the answer gets lost: its id makes one task of both.
local _, created = assert(app:submit("ci/deploy", { repository = payload.repository.full_name, commit = payload.after },
  { identity_key = request.headers["x-github-delivery"], source_system = "github", tags = { "push" } }))
print(created and 202 or 200)
app:close()
