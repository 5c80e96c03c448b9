-- How long processes take from start to end: the bare interpreter, and one that makes a store and completes its first task.
-- usage: tasker-lua bench/startup.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local support = require "support"

local rounds, runs = arg[1] == "--quick" and 2 or 7, arg[1] == "--quick" and 5 or 40

-- Milliseconds a run, the shell's part included; `$i` in the command counts the runs.
local function time(command)
  local started = support.now()
  support.capture(("i=0; while [ $i -lt %d ]; do %s || exit 1; i=$((i+1)); done"):format(runs, command))
  return (support.now() - started) * 1000 / runs
end

-- Rounds take turns, so that what else the machine does falls on both.
local function compare(one, other)
  local ones, others = {}, {}
  for i = 1, rounds do
    ones[i], others[i] = time(one), time(other)
  end
  return support.percentile(ones, 0.5), support.percentile(others, 0.5)
end

local ours, theirs = compare(support.interpreter .. " -e ''", "lua5.4 -e ''")
support.report {
  name = "start-up of tasker-lua -e '' over lua5.4's", value = ours - theirs, unit = "ms", target = 3, better = "less",
  note = ("%.1f and %.1f ms"):format(ours, theirs),
}

local script = support.quote(arg[0]:gsub("startup", "first_task"))
local store = support.new_store()
local took = compare(("%s %s %s/first-$RANDOM$RANDOM-$i"):format(support.interpreter, script, support.quote(store)), "true")
support.report { name = "new store, first task complete, one script", value = took, unit = "ms", target = 25, better = "less" }
support.clean()
