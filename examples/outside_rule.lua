-- What follows from a failure is decided by a rule outside of the code: a file that is read at each failure, so that people change
-- it while tasks run. (A service would be asked the same way: decide may wait.)
local tasker = require "tasker"

local rules = os.tmpname()
local function write_rules(table)
  local file = assert(io.open(rules, "w"))
  file:write(tasker.json.encode(table))
  file:close()
end

local function decide(failure)
  local file <close> = assert(io.open(rules))
  local rule = tasker.json.decode(file:read("a"))[failure.error.code]
  print(("attempt %d: %s -> %s"):format(failure.attempt, failure.error.code, rule and tasker.json.encode(rule) or "the policy"))
  return rule
end

tasker.handler {
  namespace = "shop", name = "charge",
  steps = {
    { name = "charge", retry = { limit = 5, backoff = "none", decide = decide }, run = function(task, step)
        local code = task.context.answers[step.attempt]
        if code ~= "ok" then
          error({ code = code, message = "the bank says " .. code })
        end
        return { paid = true }
      end },
    { name = "ship", depends_on = "charge", run = function(task) return task.results.charge.paid and "shipped" or "on hold" end },
  },
}

local app = assert(tasker.open("memory:"))
local function show(task)
  print(task.status, task.steps.charge.status, task.results.ship or "")
end

write_rules { busy = { retry_after = 0.01 }, declined = { fail = true }, limit = { results = { paid = false } } }
show(app:run("shop/charge", { answers = { "busy", "ok" } }))
show(app:run("shop/charge", { answers = { "declined" } }))
show(app:run("shop/charge", { answers = { "limit" } }))

write_rules { limit = { park = "ask the customer" } }
local id = assert(app:submit("shop/charge", { answers = { "limit", "strange", "ok" } }))
assert(app:work { until_idle = true })
show(app:task(id))
assert(app:retry(id, { step = "charge" })) -- the customer was asked
assert(app:work { until_idle = true })
show(app:task(id))
app:close()
os.remove(rules)
