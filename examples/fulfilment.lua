-- An order over three REST services. The first one is busy (429) and says when to come again; the second one takes the money,
-- but its answer is lost (502). Each request carries the step's idempotency key, the same at every attempt: nothing is done
-- twice.
local tasker = require "tasker"

local services <close> = require("examples.services.start")()
local client = tasker.rest { base_url = tostring(services) }

-- What a step returns after nil, or raises, is its failure: the err's status and retry_after drive the retry.
local function post(path, body)
  local response, err = client:post(path, { json = body })
  return response and response:json(), err
end

local retry = { limit = 4, backoff = "fixed", base = 0.01 }

tasker.handler {
  namespace = "shop", name = "fulfil", chain = true, retry = retry,
  steps = {
    { name = "reserve", run = function(task) return post("/reservations", { sku = task.context.sku }) end },
    { name = "charge", run = function(task) return post("/payments", { amount = task.context.amount }) end },
    { name = "ship", run = function(task) return post("/shipments", { to = task.context.to }) end },
  },
}

local app = assert(tasker.open("memory:"))
local task = assert(app:run("shop/fulfil", { sku = "lamp", amount = 30, to = "Ann" }))
print("the order is " .. task.status)
for _, step in ipairs(task.steps) do
  print(step.name, step.results.id, step.attempts .. " attempts")
end
for _, event in ipairs(app:events { task_id = task.task_id }) do
  if event.event == "step.failed" then
    print("on the way", event.step, event.data.error.code)
  end
end
local counts = client:get("/counts"):json()
print(("done: %d reservation, %d payment, %d shipment"):format(counts.reservations, counts.payments, counts.shipments))
app:close()
