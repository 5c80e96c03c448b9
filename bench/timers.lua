-- Pending timers: what one more costs beside very many, how late they fire, and what sleeping tasks cost an idle worker.
-- usage: tasker-lua bench/timers.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local quick = arg[1] == "--quick"
local PENDING, ADDED, FIRED = quick and 20000 or 1000000, quick and 5000 or 20000, quick and 100 or 1000
local SLEEPING = quick and 5000 or 100000
local BATCH = 5000

local sleeper = tasker.handler { name = "sleeper", steps = { { name = "s", sleep = 864000 } } }
local due = tasker.handler { name = "due", steps = { { name = "s", run = function() end } } }

-- Microseconds a task.
local function add(app, count)
  local list = {}
  for i = 1, BATCH do
    list[i] = { sleeper, {} }
  end
  local started = support.now()
  for _ = 1, count // BATCH do
    assert(app:submit_many(list))
  end
  return (support.now() - started) * 1e6 / count
end

local function added_to_nothing()
  local app = assert(tasker.open((support.new_store())))
  local cost = add(app, ADDED)
  app:close()
  return cost
end

-- Milliseconds from when each was due to the turn that took it.
local function lateness(app)
  local ids, late = {}, {}
  for i = 1, FIRED do
    ids[i] = assert(app:submit(due, {}, { delay = 1 + FIRED / 500 + math.random() * 2 }))
  end
  assert(app:work { until_idle = 5 + FIRED / 500 })
  for i, id in ipairs(ids) do
    local task = assert(app:task(id))
    late[i] = (tasker.time.parse(task.steps.s.started_at) - tasker.time.parse(task.run_at)) * 1000
  end
  return late
end

local store = (support.new_store())
local app = assert(tasker.open(store))
local empty = math.min(added_to_nothing(), added_to_nothing(), added_to_nothing())
add(app, PENDING)
local full = math.min(add(app, ADDED), add(app, ADDED), add(app, ADDED))
support.report { name = ("one more timer beside %d"):format(PENDING), value = full, unit = "us", floor = empty, ratio = full / empty,
  target = 1.3, better = "less", note = "floor: in an empty store" }
support.report { name = "timers fire late, p99", value = support.percentile(lateness(app), 0.99), unit = "ms", target = 5, better = "less",
  note = "to the turn that takes it" }
app:close()

local function idle(count)
  local place = (support.new_store())
  local own = assert(tasker.open(place))
  add(own, count)
  own:close()
  local pid = support.start_worker(place, arg[0]:gsub("timers", "worker_file"))
  tasker.sleep(1)
  local before, started = support.wakeups(pid), support.now()
  tasker.sleep(quick and 1 or 3)
  local wakeups = (support.wakeups(pid) - before) / (support.now() - started)
  local anonymous = support.proc_status(pid, "RssAnon") / 1024
  support.stop(pid)
  return anonymous, wakeups
end

local memory_without = idle(0)
local memory, wakeups = idle(SLEEPING)
support.report { name = ("idle worker, %d sleeping tasks"):format(SLEEPING), value = memory, unit = "MiB", floor = memory_without,
  ratio = memory / memory_without, target = 1.1, better = "less", note = "anonymous; floor: with none" }
support.report { name = "the same, wake-ups", value = wakeups, unit = "1/s", target = 1, better = "less" }
support.clean()
