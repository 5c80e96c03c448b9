-- An order: three steps, one after the other. What a step returns is kept; the next one reads it.
--   tasker-lua run examples/order.lua '{"order_id": 7}'
local tasker = require "tasker"

tasker.handler {
  namespace = "shop", name = "order", version = "1.0.0",
  description = "charge and ship an order",
  context_schema = {
    type = "object", required = { "order_id" },
    properties = { order_id = { type = "integer", minimum = 1 } },
  },
  steps = {
    { name = "reserve", run = function(task)
        return { reserved = task.context.order_id }
      end },
    { name = "charge", depends_on = "reserve", retry = { limit = 5, backoff = "exponential" }, timeout = 30,
      run = function(task, step)
        return { charged = task.results.reserve.reserved, key = step.name .. "#" .. step.attempt }
      end },
    { name = "ship", depends_on = "charge", run = function(task)
        return { shipped = task.results.charge.charged }
      end },
  },
}
