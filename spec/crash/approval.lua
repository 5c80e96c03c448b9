-- An approval from its submission to its end, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.handler {
  name = "expense", retry = { backoff = "none" },
  steps = {
    { name = "receipt", run = function() return { amount = 40 } end },
    { name = "accept", depends_on = "receipt", approval = { approvers = { "ann" }, required = 1, escalate = {
      { after = 0.001, approvers = { "boss" } } } }, notify = function(_, step)
        local file = assert(io.open(arg[1] .. ".told", "a"))
        file:write(("round %d %s\n"):format(step.round, step.idempotency_key:match ":(.*)"))
        file:close()
      end },
    { name = "pay", depends_on = "accept", run = function(task) return task.results.accept.decision end },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("expense", {}, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
while assert(app:task(id)).steps.accept.approval and app:task(id).steps.accept.approval.round == 1 do
  tasker.sleep(0.002)
  assert(app:work { until_idle = true })
end
assert(app:work { until_idle = true })   -- the second round may have begun behind the last one's back
-- Whoever comes second is refused, also when the first was this program before it was killed.
for _, name in ipairs { "boss", "ann" } do
  local ok, err = app:approve(id, "accept", { by = name })
  assert(ok or err.code == "refused", tostring(err))
end
local task = assert(app:work_for(id))
assert(#task.results.accept.decisions == 1)
print(task.status, task.results.pay, task.results.accept.decisions[1].by)
app:close()
