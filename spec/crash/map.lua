-- A map from its submission to its end, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.handler {
  name = "gather", retry = { backoff = "none" },
  steps = {
    { name = "list", run = function() return { 1, 2, 3, 4, 5, 6, 7 } end },
    { name = "each", depends_on = "list", map = function(task) return task.results.list end, max_parallel = 2, max_failures = 1,
      retry = { limit = 2 }, run = function(_, step)
        if step.index == 3 then
          error("three")
        end
        return step.item * 10
      end },
    { name = "sum", depends_on = "each", run = function(task)
        local sum = 0
        for _, value in ipairs(task.results.each) do
          sum = sum + (value or 0)
        end
        return sum
      end },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("gather", {}, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
local task = app:task(id)
print(task.status, task.results.sum, task.errors.each[3].message:match "%a+$", task.steps.each.failed)
app:close()
