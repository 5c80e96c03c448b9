-- A step that waits for people: two of three must agree, with a form; when nobody decides, the boss is asked too.
local tasker = require "tasker"

tasker.handler {
  namespace = "office", name = "expense",
  steps = {
    { name = "receipt", run = function(task) return { amount = task.context.amount } end },
    { name = "accept", depends_on = "receipt",
      approval = {
        approvers = { "ann", "bob", "eve" }, required = 2, no_self_approval = true,
        form = { type = "object", properties = { limit = { type = "integer", minimum = 1 } } },
        escalate = { { after = 0.1, approvers = { "boss" } } },
      },
      timeout = 86400, on_timeout = "reject", on_reject = "complete" },
    { name = "pay", depends_on = "accept",
      when = function(task) return task.results.accept.decision == "approve" end,
      run = function(task) return ("paid %d"):format(task.results.receipt.amount) end },
  },
}

local app = assert(tasker.open("memory:"))
local function submit(amount)
  local id = assert(app:submit("office/expense", { amount = amount }, { initiator = "eve" }))
  assert(app:work { until_idle = true })
  return id
end
local function finish(id)
  local task = assert(app:work_for(id))
  print(task.results.accept.decision, task.results.pay)
  for _, vote in ipairs(task.results.accept.decisions) do print("", vote.by, vote.decision, vote.comment) end
end

local id = submit(40)
print("asked", table.concat(app:task(id).steps.accept.approval.approvers, " "))
print(app:approve(id, "accept", { by = "eve" }))
print(app:approve(id, "accept", { by = "ann", form = { limit = 0 } }))
assert(app:approve(id, "accept", { by = "ann", form = { limit = 500 }, comment = "fine" }))
print(app:approve(id, "accept", { by = "ann" }))
assert(app:approve(id, "accept", { by = "bob" }))
finish(id)

id = submit(9000)
repeat -- nobody decides: another round
  tasker.sleep(0.01)
  assert(app:work { until_idle = true })
until app:task(id).steps.accept.approval.round == 2
print("asked", table.concat(app:approvals({ by = "boss" })[1].approvers, " "))
assert(app:reject(id, "accept", { by = "boss", comment = "too dear" }))
assert(app:reject(id, "accept", { by = "bob" }))
finish(id)
app:close()
