-- Deliveries of a task's events, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says. Nobody listens at
-- the endpoint: what counts is which deliveries there are.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.handler {
  name = "h", steps = {
    { name = "a", run = function() return 1 end },
  },
}

local app = assert(tasker.open(arg[1]))
local made, err = app:webhook { name = "w", url = "http://127.0.0.1:1/", events = "task.*", allow_private = true,
  retry = { limit = 1 } }
assert(made or err.code == "conflict", tostring(err))
for i = 1, 2 do
  assert(app:submit("h", {}, { identity_key = tostring(i) }))
end
assert(app:work { until_idle = true })
print(app:count { status = "complete" })
app:close()
