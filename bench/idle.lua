-- What a worker with nothing to do costs.
-- usage: tasker-lua bench/idle.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local seconds = arg[1] == "--quick" and 1 or 5
local store = support.new_store()
local pid = support.start_worker(store, arg[0]:gsub("idle", "worker_file"))
tasker.sleep(1) -- what it does after its first task
local before, started = support.wakeups(pid), support.now()
tasker.sleep(seconds)
local wakeups = (support.wakeups(pid) - before) / (support.now() - started)
local resident, anonymous = support.proc_status(pid, "VmRSS") / 1024, support.proc_status(pid, "RssAnon") / 1024
support.stop(pid)
support.report { name = "idle worker, resident", value = resident, unit = "MiB", target = 10, better = "less",
  note = ("%.1f MiB anonymous"):format(anonymous) }
support.report { name = "idle worker, wake-ups", value = wakeups, unit = "1/s", target = 1, better = "less" }
support.clean()
