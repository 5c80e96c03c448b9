-- A map over 100,000 elements beside one over 10,000, and the engine's part of it beside that of a plain step.
-- usage: tasker-lua bench/map.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local many = arg[1] == "--quick" and 10000 or 100000

local function run()
  return { charged = 12, x = 1 }
end

local mapped = tasker.handler { name = "mapped", steps = {
  { name = "each", run = run, map = function(task)
      local list = {}
      for i = 1, task.context.n do
        list[i] = i
      end
      return list
    end },
} }
local steps = {}
for i = 1, 10 do
  steps[i] = { name = "s" .. i, run = run }
end
local plain = tasker.handler { name = "plain", steps = steps }

-- Microseconds a step: the best of three, each in a store of its own.
local function cost(handler, tasks, context, count)
  local best = math.huge
  for _ = 1, 3 do
    local store = support.new_store()
    local app = assert(tasker.open(store))
    for _ = 1, tasks do
      assert(app:submit(handler, context))
    end
    local started = support.now()
    assert(app:work { until_idle = true })
    best = math.min(best, (support.now() - started) * 1e6 / count)
    app:close()
    assert(support.completed(store) == tasks, "not all tasks are complete")
  end
  return best
end

local floor = cost(plain, 100, {}, 1000)
local few = cost(mapped, 1, { n = many // 10 }, many // 10)
local all = cost(mapped, 1, { n = many }, many)
support.report {
  name = ("map over %d elements"):format(many), value = all, unit = "us/element", floor = few, ratio = all / few, target = 1.2,
  better = "less", note = ("floor: over %d elements; a step of ten parallel ones: %.2f us"):format(many // 10, floor),
}
support.clean()
