-- Six calls of two customers under a limit of each and one of all, from wherever an earlier run was killed: usage as
-- spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.limit("api", { rate = 200, per = 1, burst = 2 })
tasker.limit("customer", { rate = 100, per = 1 })

tasker.handler {
  name = "sync", retry = { backoff = "none" },
  steps = { { name = "call", limits = { "api", { "customer", key = function(task) return task.context.customer end } },
    run = function(task) return task.context.customer end } },
}

local app = assert(tasker.open(arg[1]))
local status = {}
for i = 1, 6 do
  local id = assert(app:submit("sync", { customer = i % 3 == 0 and "ann" or "bob" }, { identity_key = "call " .. i }))
  status[i] = id
end
for i, id in ipairs(status) do
  status[i] = assert(app:work_for(id)).status
end
print(table.concat(status, " "))
app:close()
