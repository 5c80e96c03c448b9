--- Assertions about tasks for busted (luassert).
-- @module tasker.testing.assertions

local core = require "tasker.core"
local check = require "tasker.check"
local suggest = require "tasker.suggest"

local assertions = {}

-- ---- What is shown of a task ----

local function failure_of(record)
  return record.error and (": " .. tostring(record.error.message)) or ""
end

local function show_task(task)
  local lines = { ("task %s of %s/%s@%s is %s"):format(task.task_id, task.namespace, task.name, task.version, task.status) }
  for _, step in ipairs(task.steps) do
    lines[#lines + 1] = ("  %s: %s%s%s"):format(step.name, step.status, step.waiting_for and " for " .. step.waiting_for or "",
      failure_of(step))
  end
  return table.concat(lines, "\n")
end

local function show_value(value)
  local text = core.encode(value)
  return text or check.show(value)
end

-- ---- What they are called with ----

local function task_of(arguments, what)
  local task = arguments[1]
  if type(task) ~= "table" or type(task.steps) ~= "table" then
    error(("assert.%s: the first argument must be a task, as app:task returns it, not %s%s"):format(what, check.show(task),
      task == nil and arguments[2] and ": " .. tostring(arguments[2]) or ""), 4)
  end
  return task
end

local function step_of(task, name, what)
  local step = task.steps[name]
  if not step then
    local names = {}
    for _, one in ipairs(task.steps) do
      names[one.name] = true
    end
    error(("assert.%s: %s/%s has no step %s%s"):format(what, task.namespace, task.name, check.show(name),
      suggest.hint(name, names)), 4)
  end
  return step
end

-- Equal as JSON: null is nil, 1 is 1.0.
local function same(a, b)
  local CANONICAL = { canonical = true }
  local one, other = core.json.encode(a, CANONICAL), core.json.encode(b, CANONICAL)
  return one ~= nil and one == other
end

-- ---- The assertions: each gets the arguments, returns whether it holds, what was expected, and the task ----

local all = {}

function all.task_status(arguments, what)
  local task, status = task_of(arguments, what), arguments[2]
  return task.status == status, ("a task that is %s"):format(tostring(status)), task
end

function all.task_complete(arguments, what)
  local task = task_of(arguments, what)
  return task.status == "complete", "a complete task", task
end

--- In error; `code` is of the step that stopped it.
function all.task_failed(arguments, what)
  local task, code = task_of(arguments, what), arguments[2]
  local found = code == nil
  for _, step in ipairs(task.steps) do
    found = found or (step.status == "error" and step.error ~= nil and step.error.code == code)
  end
  return task.status == "error" and found, ("a task in error%s"):format(code and " with code " .. check.show(code) or ""), task
end

function all.step_status(arguments, what)
  local task, name, status = task_of(arguments, what), arguments[2], arguments[3]
  local step = step_of(task, name, what)
  return step.status == status, ("step '%s' to be %s"):format(name, tostring(status)), task
end

function all.step_waits(arguments, what)
  local task, name, reason = task_of(arguments, what), arguments[2], arguments[3]
  local step = step_of(task, name, what)
  return step.status == "waiting" and (reason == nil or step.waiting_for == reason),
    ("step '%s' to wait%s"):format(name, reason and " for " .. tostring(reason) or ""), task
end

function all.step_results(arguments, what)
  local task, name, value = task_of(arguments, what), arguments[2], arguments[3]
  local step = step_of(task, name, what)
  return same(step.results, value), ("step '%s' to have the results %s, not %s"):format(name, show_value(value),
    show_value(step.results)), task
end

--- `assert.step_called(app, handler, step, times)`.
function all.step_called(arguments)
  local app, handler, name, times = arguments[1], arguments[2], arguments[3], arguments[4]
  local calls = app:calls(handler, name)
  local holds = times and #calls == times or not times and #calls > 0
  return holds, ("step '%s' to be called%s; it was called %d times"):format(name, times and (" %d times"):format(times) or "", #calls)
end

local function message(expected, positive, task)
  return ("Expected %s%s%s"):format(positive and "" or "not ", expected, task and "\n" .. show_task(task) or "")
end

--- Teaches luassert `assert.task_complete(task)` and the others.
-- @tab[opt] luassert what `require "luassert"` returns unless given
function assertions.register(luassert)
  luassert = luassert or require "luassert"
  for name, holds in pairs(all) do
    luassert:register("assertion", name, function(state, arguments)
      local ok, expected, task = holds(arguments, name)
      state.failure_message = message(expected, state.mod, task)
      return ok
    end)
  end
end

return assertions
