-- An API that allows so many calls a second to each customer, and so many to all of them together: the limits stand in front of the
-- steps that call it, and each step knows when its slot comes. Under the clock of a test, so that no second passes.
local tasker = require "tasker"
local testing = require "tasker.testing"

local START = "2026-01-01T09:00:00Z"
local app = assert(testing.open { clock = START })

tasker.limit("api", { rate = 4, per = 1, burst = 2 })
tasker.limit("customer", { rate = 1, per = 1 })

local calls = {}
tasker.handler {
  namespace = "shop", name = "sync",
  steps = {
    { name = "call", limits = { "api", { "customer", key = function(task) return task.context.customer end } },
      run = function(task)
        calls[#calls + 1] = ("%.2f s  %s"):format(tasker.now() - tasker.time.parse(START), task.context.customer)
      end },
  },
}

local last
for _, customer in ipairs { "ann", "ann", "ann", "bob", "bob" } do
  last = assert(app:submit("shop/sync", { customer = customer }))
end

app:advance(0)
local waiting = app:task(last).steps.call
print(waiting.status, waiting.waiting_for, waiting.next_attempt_at)

app:drain()
print(table.concat(calls, "\n"))
app:close()
