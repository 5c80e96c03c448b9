-- From a submission in one process to the start of its first step in another, beside two bare commits.
-- usage: tasker-lua bench/latency.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local count, pause = arg[1] == "--quick" and 30 or 500, 0.003
local store = support.new_store()
local pid = support.start_worker(store, (arg[0]:gsub("latency", "worker_file")))
local app = assert(tasker.open(store))

-- Milliseconds of each; the worker sleeps when a task comes, because it is done with the one before.
local function measure(seconds_between)
  local took = {}
  for i = 1, count do
    local submitted = support.now()
    local id = assert(app:submit "clock")
    local task = assert(app:wait(id, 10))
    took[i] = (task.results.read.at - submitted) * 1000
    if seconds_between > 0 then
      tasker.sleep(seconds_between)
    end
  end
  return took
end

local function commit(options)
  return support.floor(("--commit %d %s"):format(count, options or "")).commit_p50_ms
end

local before = commit()
local took = measure(0)
local awake = (before + commit()) / 2
local p50 = support.percentile(took, 0.5)
support.report {
  name = "submit to start in another process, p50", value = p50, unit = "ms", floor = 2 * awake, over = p50 - 2 * awake, target = 0.6,
  better = "less", note = ("p99 %.2f ms; floor: two bare commits"):format(support.percentile(took, 0.99)),
}
-- A disk that had a rest takes longer for its next commit: the first of the two, here and in the floor.
took = measure(pause)
local rested = commit(("--pause %d"):format(pause * 1000))
p50 = support.percentile(took, 0.5)
support.report {
  name = "  the same after 3 ms of rest", value = p50, unit = "ms", floor = rested + awake, over = p50 - rested - awake,
  note = "floor: a bare commit after as much rest, and one at once",
}
app:close()
support.stop(pid)
support.clean()
