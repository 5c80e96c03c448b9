-- A task that is moved to another version, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

local function order(version, first)
  tasker.handler {
    name = "order", version = version, chain = true, retry = { backoff = "none" },
    steps = {
      { name = first, run = function(task) return task.context.amount end },
      { name = "paid", signal = "paid" },
      { name = "ship", run = function(task) return version .. " " .. task.results[first] end },
    },
  }
end

order("1.0.0", "charge")
order("2.0.0", "pay")

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("order@1.0.0", { amount = 10 }, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
local report = assert(app:migrate { handler = "order", from = "1.0.0", to = "2.0.0", steps = { charge = "pay" },
  context = function(context) return { amount = context.amount, moved = true } end })
assert(report.refused == 0)
-- A second signal is refused, or kept where nobody waits for it any more.
local ok, err = app:signal(id, "paid")
assert(ok or err.code == "refused", tostring(err))
local task = assert(app:work_for(id))
print(task.status, task.version, task.results.ship, task.context.moved)
app:close()
