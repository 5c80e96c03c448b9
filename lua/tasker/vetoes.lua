--- Rules of this Lua state that may veto what it is about to do: `tasker.before(verb, function(change) return false, "why" end)`.
--
-- Verbs of steps are asked in the worker that runs the step, those of operations in the state that calls them. Timers, cascades
-- and the ends of tasks ask nobody.
-- @module tasker.vetoes

local check = require "tasker.check"
local errors = require "tasker.errors"
local patterns = require "tasker.patterns"

local vetoes = {}

--- What can be vetoed.
vetoes.VERBS = { "step.start", "step.complete", "step.cancel", "step.retry", "step.resolve", "step.approve", "step.reject",
  "task.submit", "task.cancel", "task.pause", "task.resume", "task.retry", "task.resolve", "task.signal", "task.migrate" }

--- Verb -> its rules, in the order they were made; absent when there are none. Read only.
vetoes.rules = {}

local isolated = false

local function without(list, rule)
  local rest = {}
  for _, one in ipairs(list) do
    if one ~= rule then
      rest[#rest + 1] = one
    end
  end
  return #rest > 0 and rest or nil
end

--- Registers a rule. It vetoes by returning false and, if it likes, why; what it raises is a veto too.
-- @tparam string|{string,...} pattern a verb, "step.*", or a list of such
-- @func fn `function(change) … end`; change is `{event, task, step, from, to}`
-- @treturn function takes the rule away
function vetoes.before(pattern, fn)
  local verbs, wrong = patterns.expand(pattern, vetoes.VERBS)
  if not verbs then
    error("tasker.before: the verb " .. wrong, 2)
  end
  check.type(fn, "function", "tasker.before: the function", 2)
  if isolated then
    return function() end
  end
  local rule = { fn = fn }
  for _, verb in ipairs(verbs) do
    local list = vetoes.rules[verb] or {}
    local grown = table.move(list, 1, #list, 1, {})
    grown[#grown + 1] = rule
    vetoes.rules[verb] = grown
  end
  return function()
    for _, verb in ipairs(verbs) do
      vetoes.rules[verb] = vetoes.rules[verb] and without(vetoes.rules[verb], rule)
    end
  end
end

--- Sets registering aside, for code of another time: rules are those of the files that are loaded.
-- @treturn function ends that
function vetoes.isolate()
  local before = isolated
  isolated = true
  return function()
    isolated = before
  end
end

--- The why of the first veto: nil when there is none, else `{message, code = "vetoed", retryable, details}`.
-- @tab change with `event`, the verb
-- @treturn table|nil
function vetoes.ask(change)
  for _, rule in ipairs(vetoes.rules[change.event] or {}) do
    local ok, answer, why = pcall(rule.fn, change)
    if not ok then
      answer, why = false, answer
    end
    if answer == false then
      local kept = errors.kept(why == nil and ("%s was vetoed"):format(change.event) or why)
      return { message = kept.message, code = "vetoed", retryable = kept.retryable, details = kept.details }
    end
  end
  return nil
end

-- What an operation makes of a task or a step, where it is allowed.
local TARGETS = {
  ["task.cancel"] = "cancelled", ["task.pause"] = "paused", ["task.retry"] = "in_progress",
  ["task.resolve"] = "resolved_manually", ["step.cancel"] = "cancelled", ["step.retry"] = "ready",
  ["step.resolve"] = "resolved_manually",
}

local function resumed(task)
  return task.started_at and "in_progress" or "pending"
end

local function refusal(verb, veto, where)
  return errors.new("refused", ("%s%s is refused: %s"):format(verb, where, veto.message),
    { vetoed = veto.message, details = veto.details })
end

--- Asks whether an operation may be performed.
-- @tab app
-- @tab operation `{type, id, step}`, as of engine:event
-- @return nil, or the err `refused`
function vetoes.operation(app, operation)
  local verb = (operation.step and "step." or "task.") .. operation.type
  if not vetoes.rules[verb] then
    return nil
  end
  local task = app:task(operation.id)
  local step = task and operation.step and task.steps[operation.step]
  if not task or (operation.step and not step) then
    return nil
  end
  local to = TARGETS[verb] or (operation.type == "resume" and resumed(task)) or (step or task).status
  local veto = vetoes.ask { event = verb, task = task, step = operation.step, from = (step or task).status, to = to }
  local where = step and (" of step '%s' of task %s"):format(operation.step, task.task_id) or " of task " .. task.task_id
  return veto and refusal(verb, veto, where)
end

--- Asks whether a task may be submitted.
-- @tab request what `change.task` is to be: `{namespace, name, version, context, …}`
-- @return nil, or the err `refused`
function vetoes.submission(request)
  local veto = vetoes.ask { event = "task.submit", task = request, to = "pending" }
  return veto and refusal("task.submit", veto, (" of %s/%s"):format(request.namespace, request.name))
end

return vetoes
