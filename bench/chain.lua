-- Tasks of ten steps in a row: steps a second beside the floor at the group size that was reached.
-- usage: tasker-lua bench/chain.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local quick = arg[1] == "--quick"
local tasks, length = quick and 300 or 10000, 10
local shape = ("1,"):rep(length - 1) .. "1"
local handler = support.chain("chain", length)

local function report(name, seconds, commits, target)
  local steps = tasks * length
  local group = steps / commits
  local floor = support.floor_for(shape, quick and 300 or 2000, group)
  local rate = steps / seconds
  support.report {
    name = name, value = rate, unit = "steps/s", floor = floor.steps_per_second, ratio = rate / floor.steps_per_second,
    target = target, better = target and "more", note = ("groups of %.0f, floor's %.0f"):format(group, floor.group),
  }
end

local function one_process(name, concurrency, target)
  local store = support.new_store()
  local app = assert(tasker.open(store))
  support.submit(app, handler, tasks)
  local commits, started = support.commits(store), support.now()
  assert(app:work { until_idle = true, concurrency = concurrency })
  local seconds = support.now() - started
  commits = support.commits(store) - commits
  app:close()
  assert(support.completed(store) == tasks, "not all tasks are complete")
  report(name, seconds, commits, target)
end

-- From the first start to the last completion, as the log tells: how long processes take to load does not count.
local function several_processes(count)
  local store = support.new_store()
  local app = assert(tasker.open(store))
  support.submit(app, handler, tasks)
  app:close()
  local commits, commands = support.commits(store), {}
  for i = 1, count do
    commands[i] = ("%s %s %s &"):format(support.interpreter, arg[0]:gsub("chain", "chain_worker"), support.quote(store))
  end
  support.capture(table.concat(commands, " ") .. " wait")
  commits = support.commits(store) - commits
  assert(support.completed(store) == tasks, "not all tasks are complete")
  app = assert(tasker.open(store))
  local seconds = support.log_seconds(app, store, tasks)
  app:close()
  report(("chain, %d process%s"):format(count, count == 1 and "" or "es"), seconds, commits)
end

one_process("chain, default concurrency", nil, 0.5)
one_process("chain, concurrency 64", 64)
for _, count in ipairs(quick and { 1, 2 } or { 1, 2, 4 }) do
  several_processes(count)
end
support.clean()
