-- A service that is down is not asked again and again: after three failures in a row its breaker is open, for all processes
-- of the store, and requests are blocked at once. The step behind goes on with a price of its own. When the service works
-- again, one request finds out.
local tasker = require "tasker"

local services <close> = require("examples.services.start")()
local client = tasker.rest { base_url = tostring(services), retry = false, breaker = { name = "quotes", failures = 3, reset = 0.2 } }

tasker.handler {
  namespace = "shop", name = "price", chain = true,
  steps = {
    { name = "quote", on_error = "continue", retry = { limit = 1 }, run = function()
        local response, err = client:get "/quote"
        return response and response:json(), err
      end },
    { name = "price", join = "all_done", run = function(task)
        local err = task.errors.quote
        if err then
          return { price = 40, from = "the list, for the service is " .. (err.code == "blocked" and "taken for broken" or "down") }
        end
        return { price = task.results.quote.price, from = "the service" }
      end },
  },
}

local app = assert(tasker.open("memory:"))
local function price()
  local result = assert(app:run "shop/price").steps.price.results
  print(result.price, result.from)
end

for _ = 1, 5 do
  price()
end
print(("the breaker is %s; the service was asked %d times"):format(app:breakers()[1].state, client:get("/counts",
  { breaker = { name = "other" } }):json().asked))
tasker.http.post(tostring(services) .. "/repair")
tasker.sleep(0.25)
price()
print("the breaker is " .. app:breakers()[1].state)
app:close()
