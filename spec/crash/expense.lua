-- An expense claim that goes round twice, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.machine {
  name = "claim", initial = "draft", retry = { backoff = "none" },
  states = {
    draft = { run = function(_, step) return "submit", step.name end, on = { submit = "check" } },
    check = { run = function(task) return task.results.draft == "draft" and "incomplete" or "ok" end,
      on = { ok = "review", incomplete = { target = "draft", guard = function() return true end } } },
    review = { approval = { approvers = { "ann", "bob" }, required = 2 }, after = { [86400] = "expired" },
      on = { approve = "pay", reject = { target = "correct", action = function() end } } },
    correct = { signal = "corrected", on = { corrected = "draft" } },
    pay = { run = function(task) return "done", { paid = task.context.amount } end, on = { done = "paid" } },
    paid = { final = true }, expired = { final = "error" },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("claim", { amount = 80 }, { identity_key = "the only one" }))

local function go_on(ok, err)
  assert(ok or err.code == "refused", tostring(err))
  assert(app:work { until_idle = true })
end

go_on(true)
go_on(app:reject(id, "review", { by = "ann" }))
go_on(app:signal(id, "corrected"))
for _, name in ipairs { "ann", "bob" } do
  go_on(app:approve(id, "review[2]", { by = name }))
end
local task = assert(app:task(id))
print(task.status, task.results.pay.paid, task.results.draft)
app:close()
