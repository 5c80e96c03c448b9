-- An expense claim as a state machine: it goes round until the receipts are right, waits for a person, who may send it back, and is
-- given up when it has come back too often or when nobody decides for a week. Under the clock of a test, so that no week passes.
local tasker = require "tasker"
local testing = require "tasker.testing"

local function say(text)
  return function(_, change) print("", ("%s -> %s: %s"):format(change.from, change.to, text)) end
end

local function too_often(task) return #(task.context.receipts or {}) < 2 end

tasker.machine {
  namespace = "office", name = "claim", description = "an expense claim, from its draft to its payment",
  initial = "draft",
  context_schema = { type = "object", required = { "amount" } },
  states = {
    draft = {
      run = function(task, step) return "submit", { visit = step.name, receipt = (task.context.receipts or {})[1] or "none" } end,
      on = { submit = "check" },
    },
    check = {
      run = function(task)
        if task.context.amount > 1000 then return "large" end
        return task.results.draft.receipt == "none" and "incomplete" or "ok"
      end,
      on = {
        ok = "review",
        large = "review",
        incomplete = { { target = "given_up", guard = too_often, action = say "no receipt" }, { target = "draft" } },
      },
    },
    review = {
      approval = { approvers = { "ann", "bob" }, required = 2 },
      on = { approve = "pay", reject = { target = "correct", action = say "sent back" } },
      after = { [7 * 86400] = "expired" },
    },
    correct = { signal = "corrected", timeout = 86400, on = { corrected = "draft", timeout = "given_up" } },
    pay = {
      run = function(task) return "done", { paid = task.context.amount } end,
      on = { done = "paid" },
    },
    paid = { final = true },
    given_up = { final = true },
    expired = { final = "error" },
  },
}

local app = assert(testing.open { clock = "2026-01-01T09:00:00Z" })

local function submit(context)
  local id = assert(app:submit("office/claim", context))
  app:advance(0)
  return id
end

-- The states that were visited, in their order: a log that anybody can follow.
local function show(title, id)
  local way = {}
  for _, event in ipairs(app:events { task_id = id }) do
    if event.event == "step.completed" and not event.step:find(".", 1, true) then way[#way + 1] = event.step end
  end
  print(title, app:task(id).status, table.concat(way, " "))
end

local id = submit { amount = 80, receipts = { "taxi.pdf", "hotel.pdf" } }
assert(app:reject(id, "review", { by = "ann", comment = "which taxi?" }))
app:advance(0)
assert(app:signal(id, "corrected"))
app:advance(0)
assert(app:approve(id, "review[2]", { by = "ann" }))
assert(app:approve(id, "review[2]", { by = "bob" }))
app:advance(0)
show("paid", id)
print("", "it cost", app:task(id).results.pay.paid)

show("without receipts", submit { amount = 80 })

id = submit { amount = 5000 }
app:advance(8 * 86400)
show("nobody decided", id)

id = submit { amount = 5000 }
assert(app:reject(id, "review", { by = "bob" }))
app:advance(2 * 86400)
show("never corrected", id)
app:close()
