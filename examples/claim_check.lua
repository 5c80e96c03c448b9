-- A payload too big for a task (results end at 1 MiB) is kept aside, and the task carries its claim check: where it is, how
-- big, and its hash, so that who takes it out knows that it is what was put in. It is streamed into a file, never held in
-- memory.
local core = require "tasker.core"
local tasker = require "tasker"

local services <close> = require("examples.services.start")()
local address = tostring(services) .. "/blobs/report"

local function report()
  return ("a line of the report\n"):rep(150000)
end

tasker.handler {
  namespace = "reports", name = "monthly", chain = true,
  steps = {
    { name = "whole", on_error = "continue", retry = { limit = 1 }, run = function() return report() end },
    { name = "keep", join = "all_done", run = function()
        local bytes = report()
        local response, err = tasker.http.put(address, { body = bytes })
        return response and { at = address, size = #bytes, sha256 = core.sha256(bytes) }, err
      end },
    { name = "count", run = function(task)
        local claim, path = task.results.keep, os.tmpname()
        local response, err = tasker.http.get(claim.at, { sink = path })
        if not response then
          return nil, err
        end
        local file <close> = assert(io.open(path, "rb"))
        local bytes = file:read "a"
        os.remove(path)
        if core.sha256(bytes) ~= claim.sha256 then
          error(tasker.permanent("the report is not what was kept", { code = "changed" }))
        end
        return { lines = select(2, bytes:gsub("\n", "")) }
      end },
  },
}

local app = assert(tasker.open("memory:"))
local task = assert(app:run("reports/monthly"))
print("in the task", task.steps.whole.status, (task.steps.whole.error.message:gsub("^.-results", "results")))
print("kept aside", task.steps.keep.results.size .. " bytes")
print("taken out", task.steps.count.results.lines .. " lines")
app:close()
