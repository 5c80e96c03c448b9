-- The handlers of the power test, for the recorded run and for going on after a power cut.
local tasker = require "tasker"

local steps = {}

--- What the log is checked against: dependencies, attempts.
steps.declared = {
  first = {}, second = { depends_on = { "first" } }, third = { depends_on = { "second" } },
  left = {}, right = {}, both = { depends_on = { "left", "right" } },
  shaky = { limit = 3 }, after = { depends_on = { "shaky" } },
}

--- Defines them; `each(task, step)` is called at the start of every step.
function steps.define(each)
  local function run(task, step)
    each(task, step)
    return { step = step.name, text = ("y"):rep(task.context.number or 1) }
  end
  tasker.handler {
    namespace = "power", name = "chain", chain = true,
    steps = { { name = "first", run = run }, { name = "second", run = run }, { name = "third", run = run } },
  }
  tasker.handler {
    namespace = "power", name = "join",
    steps = { { name = "left", run = run }, { name = "right", run = run }, { name = "both", depends_on = { "left", "right" }, run = run } },
  }
  tasker.handler {
    namespace = "power", name = "flaky", retry = { limit = 3, backoff = "fixed", base = 0.01, jitter = "none" },
    steps = {
      { name = "shaky", run = function(task, step)
          each(task, step)
          if step.attempt < 2 then
            error "the first attempt fails"
          end
          return step.attempt
        end },
      { name = "after", depends_on = "shaky", run = run },
    },
  }
end

return steps
