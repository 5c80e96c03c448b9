-- One task of ten steps at a time, from its submission to its end, beside ten bare commits.
-- usage: tasker-lua bench/single.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local count = arg[1] == "--quick" and 20 or 300
local handler = support.chain("chain", 10)
local store = support.new_store()
local app = assert(tasker.open(store))

local function measure()
  local took = {}
  for i = 1, count do
    local started = support.now()
    local task = assert(app:run(handler))
    took[i] = (support.now() - started) * 1000
    assert(task.status == "complete", "a task is not complete")
  end
  return support.percentile(took, 0.5)
end

measure()
local before = support.floor(("--commit %d"):format(count * 10)).ten_commits_p50_ms
local commits = support.commits(store)
local p50 = measure()
commits = (support.commits(store) - commits) / count
local floor = (before + support.floor(("--commit %d"):format(count * 10)).ten_commits_p50_ms) / 2
app:close()
support.report {
  name = "one 10-step task at a time, p50", value = p50, unit = "ms", floor = floor, ratio = p50 / floor, target = 1.5, better = "less",
  note = ("%.1f commits a task, floor: ten bare commits"):format(commits),
}
support.clean()
