-- Tasks that fan out to twenty steps and join them: steps a second beside the floor at the group size that was reached.
-- usage: tasker-lua bench/diamond.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local quick = arg[1] == "--quick"
local tasks, width = quick and 50 or 500, 20

local function run()
  return { charged = 12, x = 1 }
end

local steps, all = { { name = "first", run = run } }, {}
for i = 1, width do
  all[i] = "s" .. i
  steps[#steps + 1] = { name = all[i], depends_on = "first", run = run }
end
steps[#steps + 1] = { name = "last", depends_on = all, run = run }
local handler = tasker.handler { name = "diamond", steps = steps }

local store = support.new_store()
local app = assert(tasker.open(store))
support.submit(app, handler, tasks)
local commits, started = support.commits(store), support.now()
assert(app:work { until_idle = true })
local seconds = support.now() - started
commits = support.commits(store) - commits
app:close()
assert(support.completed(store) == tasks, "not all tasks are complete")

local count = tasks * #steps
local group = count / commits
local floor = support.floor_for(("1,%d,1"):format(width), tasks, group)
support.report {
  name = ("diamond, 1 -> %d -> 1"):format(width), value = count / seconds, unit = "steps/s", floor = floor.steps_per_second,
  ratio = count / seconds / floor.steps_per_second, target = 0.4, better = "more",
  note = ("groups of %.0f, floor's %.0f"):format(group, floor.group),
}
support.clean()
