-- A batch with poison rows: what can be read is done at once, what cannot is parked for a person, who corrects one row, lets
-- another be tried again when its cause is gone, and gives up a third. The rest of the batch does not wait for them.
local tasker = require "tasker"

local accounts = { ann = true, bob = true }

tasker.handler {
  namespace = "import", name = "payments",
  steps = {
    { name = "row", map = function(task) return task.context.rows end, max_failures = 1,
      retry = { backoff = "none", decide = function(failure)
        if failure.error.code == "poison" then
          return { park = failure.error.message }
        end
      end },
      run = function(_, step)
        local name, amount = step.item:match("^(%a+),(%d+)$")
        if not name then
          error(tasker.permanent(("'%s' is no payment"):format(step.item), { code = "poison" }))
        elseif not accounts[name] then
          error(tasker.permanent(("nobody is called %s"):format(name), { code = "poison" }))
        end
        return math.tointeger(amount)
      end },
    { name = "total", depends_on = "row", run = function(task)
        local total = 0
        for _, amount in ipairs(task.results.row) do
          total = total + (amount or 0)
        end
        return total
      end },
  },
}

local app = assert(tasker.open("memory:"))
local id = assert(app:submit("import/payments", { rows = { "ann,10", "bob;20", "bob,30", "eve,40", "???", "ann,50" } }))

local function show()
  assert(app:work { until_idle = true })
  local task = assert(app:task(id))
  print(task.status)
  for _, step in ipairs(task.steps) do
    if step.waiting_for == "person" then
      print("", step.name, step.error.message)
    end
  end
  return task
end

show()
assert(app:resolve(id, "row[2]", 20, { by = "ann", reason = "a semicolon" }))
accounts.eve = true -- the cause of this one is gone
assert(app:retry(id, { step = "row[4]" }))
show()
assert(app:cancel(id, { by = "ann", reason = "cannot be read" }, { step = "row[5]" }))
print("total", show().results.total)
app:close()
