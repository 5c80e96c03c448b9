--- Which of the outcomes that a handler's steps can have came in the tasks of an app.
-- @module tasker.testing.coverage

local outcomes = require "tasker.testing.outcomes"

local coverage = {}

local Coverage = { __name = "tasker.testing.coverage" }

function Coverage.__tostring(self)
  local lines = { ("%s: %d of %d outcomes"):format(self.handler, self.covered, self.total) }
  for _, one in ipairs(self.missed) do
    lines[#lines + 1] = "  never: " .. one
  end
  return table.concat(lines, "\n")
end

-- Outcomes to be seen of a step: those of any walk, and its second attempt.
local function wanted_of(step)
  local list = {}
  for _, outcome in ipairs(outcomes.of(step)) do
    if outcome ~= "no signal" and outcome ~= "no decision" then
      list[#list + 1] = outcome
    end
  end
  if step.run and step.retryable and step.retry.limit > 1 then
    list[#list + 1] = "retry"
  end
  return list
end

local function count(counts, handler, record)
  local index = handler.index_of[record.name]
  if not index and handler.machine then
    index = handler.index_of[record.name:match "^(.*)%[%d+%]$"]   -- a later visit of a state
  end
  if not index then
    return
  end
  local step = handler.steps[index]
  local of_step = counts[step.name]
  local outcome = outcomes.seen(step, record)
  if outcome then
    of_step[outcome] = (of_step[outcome] or 0) + 1
  end
  if step.run and record.attempts > 1 then
    of_step.retry = (of_step.retry or 0) + 1
  end
end

--- Looks at all tasks of a handler.
-- @param app
-- @tab handler
-- @treturn table|nil `{handler, covered, total, missed = {"step: outcome", …}, steps = {[name] = {[outcome] = count}}}`
-- @return err
function coverage.of(app, handler)
  local self = setmetatable({ handler = tostring(handler), covered = 0, total = 0, missed = {}, steps = {} }, Coverage)
  for _, step in ipairs(handler.steps) do
    self.steps[step.name] = {}
  end
  local cursor, tasks
  repeat
    tasks, cursor = app:tasks { namespace = handler.namespace, name = handler.name, steps = true, cursor = cursor }
    if not tasks then
      return nil, cursor
    end
    for _, task in ipairs(tasks) do
      for _, record in ipairs(task.version == handler.version and task.steps or {}) do
        count(self.steps, handler, record)
      end
    end
  until not cursor
  for _, step in ipairs(handler.steps) do
    for _, outcome in ipairs(wanted_of(step)) do
      self.total = self.total + 1
      if self.steps[step.name][outcome] then
        self.covered = self.covered + 1
      else
        self.missed[#self.missed + 1] = ("%s: %s"):format(step.name, outcome)
      end
    end
  end
  return self
end

return coverage
