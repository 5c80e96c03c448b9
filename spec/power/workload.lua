-- What power_spec.lua records: submissions, chains, joins, retries, a cancellation and a compaction, each acknowledged in the recorded
-- log the moment it was visible.
-- usage: tasker-lua spec/power/workload.lua STORE LOG DURABILITY
local core = require "tasker.core"
local states = require "spec.power.states"
local steps = require "spec.power.steps"
local tasker = require "tasker"

local log = assert(io.open(arg[2], "ab"))
log:setvbuf "full"

local function acknowledge(what)
  assert(log:write(states.acknowledgement(tasker.json.encode(what))))
  assert(log:flush())
end

local seen, finished = 0, 0

-- In a step: its start, and what else is visible by now.
steps.define(function(task, step)
  acknowledge { started = { task = task.task_id, step = step.name, attempt = step.attempt } }
  local app = tasker.app()
  local events = assert(app:events { after = seen, limit = 100 })
  if #events > 0 then
    seen = math.max(seen, events[#events].seq)
    acknowledge { seq = seen }
  end
  finished = finished + 1
  if finished % 7 == 0 and finished < 60 then
    acknowledge { task = assert(app:submit("power/chain", { from = task.task_id })) }
  end
  if finished == 20 then
    local id = assert(app:submit("power/join", nil, { queue = "nobody" }))
    assert(app:cancel(id, "not needed"))
    acknowledge { task = id, status = "cancelled" }
  end
end)

local app = assert(tasker.open(arg[1], { durability = arg[3] }))
for i = 1, 8 do
  acknowledge { task = assert(app:submit(i % 2 == 0 and "power/chain" or "power/join", { number = i, text = ("x"):rep(i * 700) })) }
end
local many = {}
for i = 1, 10 do
  many[i] = { "power/flaky", { number = i } }
end
for _, id in ipairs(assert(app:submit_many(many))) do
  acknowledge { task = id }
end
assert(app:work { until_idle = true, concurrency = 6 })
app:close()
assert(core.compact(arg[1]))
app = assert(tasker.open(arg[1], { durability = arg[3] }))
acknowledge { task = assert(app:submit("power/chain", { number = 9 })) }
assert(app:work { until_idle = true, concurrency = 6 })
for _, task in ipairs(assert(app:tasks { limit = 1000 })) do
  acknowledge { task = task.task_id, status = task.status }
end
app:close()
