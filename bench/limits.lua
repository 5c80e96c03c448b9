-- What limits cost: tasks of ten steps, each behind a rate that never holds it back, against the same without.
-- usage: tasker-lua bench/limits.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local STEPS = 10
local tasks = arg[1] == "--quick" and 100 or 2000

local function run()
  return { charged = 12, x = 1 }
end

tasker.limit("wide_open", { rate = 1000000000, per = 1, burst = 1000000000 })

local function chain(name, limits)
  local list = {}
  for i = 1, STEPS do
    list[i] = { name = "s" .. i, run = run, limits = limits }
  end
  return tasker.handler { name = name, chain = true, steps = list }
end

-- Steps a second, in a store of its own.
local function rate(handler)
  local store = support.new_store()
  local app = assert(tasker.open(store))
  support.submit(app, handler, tasks)
  local started = support.now()
  assert(app:work { until_idle = true })
  local result = tasks * STEPS / (support.now() - started)
  app:close()
  assert(support.completed(store) == tasks, "not all tasks are complete")
  return result
end

-- By turns, the best of each: what else the machine does meanwhile meets both.
local without, behind = chain "plain", chain("limited", "wide_open")
local plain, limited = 0, 0
for _ = 1, 5 do
  plain, limited = math.max(plain, rate(without)), math.max(limited, rate(behind))
end
support.report {
  name = "steps behind a limit", value = limited, unit = "steps/s", floor = plain, ratio = limited / plain, target = 0.9, better = "more",
  note = "floor: the same steps without one",
}
support.clean()
