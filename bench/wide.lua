-- One task of 10,000 parallel steps: does a step of it cost more than a step of a small task.
-- usage: tasker-lua bench/wide.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local steps = arg[1] == "--quick" and 1000 or 10000

local function run()
  return { charged = 12, x = 1 }
end

local function parallel(name, width)
  local list = {}
  for i = 1, width do
    list[i] = { name = "s" .. i, run = run }
  end
  return tasker.handler { name = name, steps = list }
end

-- Microseconds a step: the best of three, each in a store of its own.
local function cost(handler, tasks)
  local best = math.huge
  for _ = 1, 3 do
    local store = support.new_store()
    local app = assert(tasker.open(store))
    support.submit(app, handler, tasks)
    local started = support.now()
    assert(app:work { until_idle = true })
    best = math.min(best, (support.now() - started) * 1e6 / steps)
    app:close()
    assert(support.completed(store) == tasks, "not all tasks are complete")
  end
  return best
end

local small = cost(parallel("small", 10), steps // 10)
local wide = cost(parallel("wide", steps), 1)
support.report {
  name = ("one task of %d parallel steps"):format(steps), value = wide, unit = "us/step", floor = small, ratio = wide / small, target = 1.5,
  better = "less", note = "floor: tasks of ten parallel steps",
}
support.clean()
