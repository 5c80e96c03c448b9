-- Three hundred elements, fifty at once, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"
local running, most = 0, 0

tasker.handler {
  name = "prices", retry = { backoff = "none" },
  steps = {
    { name = "ask", max_parallel = 50, max_failures = 0.02, map = function()
        local list = {}
        for i = 1, 300 do
          list[i] = i
        end
        return list
      end, run = function(_, step)
        running = running + 1
        most = math.max(most, running)
        tasker.sleep(0.0005)
        running = running - 1
        return step.index % 100 == 50 and error(tasker.permanent "closed") or step.item
      end },
    { name = "sum", depends_on = "ask", run = function(task)
        local sum = 0
        for _, price in ipairs(task.results.ask) do
          sum = sum + (price or 0)
        end
        return sum
      end },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("prices", {}, { identity_key = "the only one" }))
local task = assert(app:work_for(id))
print(task.status, task.results.sum, task.steps.ask.failed, most <= 50)
app:close()
