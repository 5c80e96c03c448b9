-- A parent with 100 children, ten at once, that is cancelled half-way: one operation, and nothing below starts after it.
local tasker = require "tasker"

local parent
tasker.handler { namespace = "mail", name = "letter", steps = {
  { name = "write", run = function(task)
      if task.context.number == 50 then
        assert(tasker.app():cancel(parent, { reason = "the address was wrong", by = "ann" }))
      end
      return "letter " .. task.context.number
    end },
  { name = "post", depends_on = "write", run = function() return true end },
} }
tasker.handler { namespace = "mail", name = "campaign", steps = {
  { name = "each", child = "mail/letter", max_parallel = 10,
    map = function(task)
      local list = {}
      for i = 1, task.context.letters do list[i] = i end
      return list
    end,
    context = function(_, step) return { number = step.item } end },
} }

local app = assert(tasker.open("memory:"))
parent = assert(app:submit("mail/campaign", { letters = 100 }))
assert(app:work { until_idle = true })
local tree = app:tree(parent)
print("campaign", tree.status)
local known = { complete = true, cancelled = true }
local settled = true
for _, letter in ipairs(tree.children) do settled = settled and known[letter.status] end
print("every letter complete or cancelled", settled)
print("some were sent, some were not", tree.tasks.complete >= 40 and #tree.children < 70)
local operations, late, cancelled_at = 0, 0, nil
for _, event in ipairs(app:events()) do
  if event.event == "task.cancelled" and not event.data.cascade then
    operations, cancelled_at = operations + 1, event.seq
    print("by " .. event.data.by .. ": " .. event.data.reason)
  elseif event.event == "step.started" and cancelled_at then
    late = late + 1
  end
end
print("operations", operations, "steps started afterwards", late)
app:close()
