-- An import over GraphQL: the customers page by page (a Relay connection), then the orders of each, at most two at once. An
-- answer may have errors and part of the data: what is locked is imported without its orders, and said so.
local tasker = require "tasker"

local services <close> = require("examples.services.start")()
local client = tasker.graphql { url = tostring(services) .. "/graphql" }

local CUSTOMERS = "query ($after: String) { customers(first: 3, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }"
local ORDERS = "query ($id: Int!) { customer(id: $id) { name orders } }"

tasker.handler {
  namespace = "crm", name = "import", chain = true,
  steps = {
    { name = "list", run = function()
        local ids = tasker.array {}
        for customer in client:paginate(CUSTOMERS, {}, "customers") do
          ids[#ids + 1] = customer.id
        end
        return ids
      end },
    { name = "orders", map = function(task) return task.results.list end, max_parallel = 2, run = function(_, step)
        local data, err = client:query(ORDERS, { id = step.item })
        if err and err.data and err.errors[1].extensions.code == "LOCKED" then
          step:log("warn", err.message, { customer = step.item })
          return { name = err.data.customer.name, locked = true }
        end
        return data and data.customer, err
      end },
  },
}

local app = assert(tasker.open("memory:"))
local task = assert(app:run("crm/import"))
print("the import is " .. task.status)
for _, customer in ipairs(task.results.orders) do
  print(customer.name, customer.locked and "locked" or customer.orders)
end
for _, event in ipairs(app:events { task_id = task.task_id }) do
  if event.event == "step.logged" then
    print("the log", event.step, event.data.message)
  end
end
app:close()
