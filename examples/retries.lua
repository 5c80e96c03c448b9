-- A step that fails twice, with a backoff of our own; and an identity of our own, so that an invoice is paid once.
local tasker = require "tasker"

tasker.backoff("hundredths", function(attempt, err)
  print(("attempt %d failed: %s"):format(attempt, err.message))
  return attempt / 100 -- seconds
end)

tasker.handler {
  namespace = "billing", name = "pay",
  identity = function(request) return request.context.invoice end,
  steps = {
    { name = "pay", retry = { limit = 4, backoff = "hundredths" }, run = function(task, step)
        if step.attempt < 3 then error(("the bank is busy (%d)"):format(step.attempt), 0) end
        return { paid = task.context.invoice, attempts = step.attempt }
      end },
  },
}

local app = assert(tasker.open("memory:"))
local id, created = assert(app:submit("billing/pay", { invoice = "INV-1" }))
print("created", created)
local again, created_again = assert(app:submit("billing/pay", { invoice = "INV-1", note = "clicked twice" }))
print("the same task", again == id, "created", created_again)
assert(app:work { until_idle = true })
local task = app:task(id)
print(task.status, task.results.pay.paid, task.results.pay.attempts)
app:close()
