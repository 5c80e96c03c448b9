-- A million tasks of one step, submitted and then worked off by another process: does it stay as fast, how much memory does it
-- take, how large is the store.
-- usage: tasker-lua bench/million.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local count = arg[1] == "--quick" and 20000 or 1000000
local handler = support.chain("single", 1)
local store = support.new_store()
local app = assert(tasker.open(store))
local started = support.now()
support.submit(app, handler, count)
local seconds = support.now() - started
support.report { name = "submit_many", value = count / seconds, unit = "tasks/s" }
local submitted = support.file_size(store)
app:close()

local log = store .. "/worker.log"
local pid = support.spawn(("%s %s %s %d"):format(support.interpreter, arg[0]:gsub("million", "million_worker"), support.quote(store),
  count), log)
local peak_anonymous, peak_resident = 0, 0
support.await("the worker", 1800, function()
  local anonymous = support.proc_status(pid, "RssAnon")
  peak_anonymous = math.max(peak_anonymous, anonymous or 0)
  peak_resident = math.max(peak_resident, support.proc_status(pid, "VmRSS") or 0)
  return not anonymous
end)
local file <close> = assert(io.open(log))
local text = file:read "a"
local times = tasker.json.decode(text)
assert(times, text)
assert(support.completed(store) == count, "not all tasks are complete")

local tenth = count / 10
local first, last = tenth / (times[2] - times[1]), tenth / (times[11] - times[10])
local rate = count / (times[11] - times[1])
support.report { name = "single-step tasks worked off", value = rate, unit = "tasks/s" }
support.report {
  name = "  the last tenth beside the first", value = last, unit = "tasks/s", floor = first, ratio = last / first, target = 0.8,
  better = "more",
}
support.report {
  name = "  worker's anonymous memory, peak", value = peak_anonymous / 1024, unit = "MiB", target = 64, better = "less",
  note = ("%.0f MiB resident with the mapped store"):format(peak_resident / 1024),
}
support.report {
  name = "  store per finished task", value = support.file_size(store) / count, unit = "bytes", target = 700, better = "less",
  note = ("%.0f before it ran"):format(submitted / count),
}
support.clean()
