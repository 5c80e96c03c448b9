-- Steps that decide and wait: a condition, a switch, a signal with a time limit, and a step that runs whatever happened.
local tasker = require "tasker"

tasker.handler {
  namespace = "shop", name = "checkout",
  steps = {
    { name = "price", run = function(task) return task.context.items * 10 end },
    { name = "discount", depends_on = "price",
      when = function(task) return task.results.price >= 100 end,
      run = function(task) return task.results.price // 10 end },
    { name = "route", depends_on = "price",
      switch = function(task) return task.context.express and "express" or "standard" end,
      cases = { express = { "courier" }, standard = { "parcel" } } },
    { name = "courier", run = function() return "by courier" end },
    { name = "parcel", run = function() return "by parcel" end },
    { name = "paid", depends_on = { "price", "discount" }, signal = "payment", timeout = 0.2, on_timeout = "fail" },
    { name = "ship", depends_on = { "courier", "parcel", "paid" }, run = function(task)
        return ("shipped %s, paid %d"):format(task.results.courier or task.results.parcel, task.results.paid)
      end },
    { name = "note", depends_on = { "paid", "ship" }, join = "any", run = function() return "noted" end },
    { name = "clean", depends_on = "paid", join = "all_done", run = function() return "cleaned" end },
  },
}

local app = assert(tasker.open("memory:"))
local function show(title, task)
  print(title, task.status)
  for _, step in ipairs(task.steps) do print("", step.name, step.status) end
end

local id = assert(app:submit("shop/checkout", { items = 12, express = true }))
assert(app:signal(id, "payment", 108)) -- it may come before the step waits for it
assert(app:work { until_idle = true })
local task = app:task(id)
show("paid", task)
print(task.results.ship)
show("not paid in time", assert(app:run("shop/checkout", { items = 1 })))
app:close()
