-- Scatter and gather: a step for each of 1,000 elements, at most 50 of them at once; a few may fail, and the rest is summed up.
local tasker = require "tasker"

local running, most = 0, 0

tasker.handler {
  namespace = "report", name = "prices",
  steps = {
    { name = "shops", run = function(task)
        local list = tasker.array {}
        for i = 1, task.context.shops do list[i] = { shop = i, price = 100 + i % 7 } end
        return list
      end },
    { name = "ask", depends_on = "shops", map = function(task) return task.results.shops end,
      max_parallel = 50, max_failures = 0.02, retry = { limit = 3, backoff = "none" },
      run = function(_, step)
        running = running + 1
        most = math.max(most, running)
        tasker.sleep(0.001) -- here a request would be under way, and the other steps go on
        running = running - 1
        if step.index % 100 == 0 then error(tasker.permanent("shop " .. step.item.shop .. " is closed", { code = "closed" })) end
        if step.index % 10 == 0 and step.attempt == 1 then error("no answer") end -- it is tried again
        return step.item.price
      end },
    { name = "sum", depends_on = "ask", run = function(task)
        local sum, answers = 0, 0
        for _, price in ipairs(task.results.ask) do -- in the order of the list; false where it failed
          if price then sum, answers = sum + price, answers + 1 end
        end
        return { answers = answers, sum = sum, why = task.errors.ask[100].message }
      end },
  },
}

local app = assert(tasker.open("memory:"))
local task = assert(app:run("report/prices", { shops = 1000 }))
print(task.status, tasker.json.encode(task.results.sum))
print(("%d instances, %d failed, at most %d at once"):format(task.steps.ask.instances, task.steps.ask.failed, most))
for _, step in ipairs(assert(app:task(task.task_id, { instances = "failed" })).steps) do
  if step.status == "error" then print(step.name, step.attempts, step.error.message) end
end
app:close()
