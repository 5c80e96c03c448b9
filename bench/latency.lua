-- From a submission in one process to the start of its first step in another, beside two bare commits.
-- usage: tasker-lua bench/latency.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local count = arg[1] == "--quick" and 30 or 500
local store = support.new_store()
local pid = support.start_worker(store, arg[0]:gsub("latency", "worker_file"))
local app = assert(tasker.open(store))
local before = support.floor(("--commit %d"):format(count * 2)).commit_p50_ms
local took = {}
for i = 1, count do
  local submitted = support.now()
  local id = assert(app:submit("clock"))
  local task = assert(app:wait(id, 10))
  took[i] = (task.results.read.at - submitted) * 1000
  tasker.sleep(0.003) -- the worker goes to sleep again
end
local commit = (before + support.floor(("--commit %d"):format(count * 2)).commit_p50_ms) / 2
app:close()
support.stop(pid)
local p50 = support.percentile(took, 0.5)
support.report {
  name = "submit to start in another process, p50", value = p50, unit = "ms", floor = 2 * commit, over = p50 - 2 * commit, target = 0.6,
  better = "less", note = ("p99 %.2f ms; floor: two bare commits"):format(support.percentile(took, 0.99)),
}
support.clean()
