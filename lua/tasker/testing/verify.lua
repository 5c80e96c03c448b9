--- Walks what may come of a workflow, and reports what can go wrong with it whatever its code does.
-- @module tasker.testing.verify

local check = require "tasker.check"
local combinations = require "tasker.testing.combinations"
local errors = require "tasker.errors"
local graph = require "tasker.graph"
local machine_walks = require "tasker.testing.machine_walks"
local handlers = require "tasker.handler"
local outcomes = require "tasker.testing.outcomes"
local reference = require "tasker.reference"
local registry = require "tasker.registry"
local walker = require "tasker.testing.walker"

local verify = {}

local DEFAULT_LIMIT = 2000
-- Steps walked in all: bounds the time for handlers of many steps.
local MOST_STEPS = 200000

local FINAL = { complete = true, error = true, cancelled = true, resolved_manually = true }
local SUCCEEDED = { complete = true, resolved_manually = true }

-- ---- What one walk shows ----

-- What came otherwise than meant, and the branches taken, in the order of the steps.
local function path_of(handler, combination, last)
  local path = {}
  if combination.path then
    return combination.path
  end
  for _, step in ipairs(handler.steps) do
    local outcome = combination[step.name] or outcomes.of(step)[1]
    if step.name ~= last and (step.switch or (combination[step.name] and outcome ~= outcomes.of(step)[1])) then
      path[#path + 1] = ("%s: %s"):format(step.name, outcome)
    end
  end
  return path
end

local WHY_WAITING = {
  signal = "it waits for a signal that may never come: give it a 'timeout'",
  approval = "it waits for people who may never decide: give it a 'timeout'",
}

local function after(path)
  return #path > 0 and (" (after %s)"):format(table.concat(path, ", ")) or ""
end

local function add(found, kind, step, path, message)
  local key = kind .. " " .. (step or "")
  if found[key] then
    return
  end
  found[key] = true
  found[#found + 1] = { kind = kind, step = step, path = path, message = message .. after(path) }
end

-- Of a later visit the state's.
local function own_name(handler, name)
  return handler.machine and not handler.index_of[name] and name:match "^(.*)%[%d+%]$" or name
end

-- A task that nothing moves any more.
local function note_stranded(found, handler, combination, task)
  for _, record in ipairs(task.steps) do
    if record.status == "waiting" or record.status == "ready" or record.status == "in_progress" then
      local name = own_name(handler, record.name)
      local path = path_of(handler, combination, name)
      add(found, "stranded", name, path, ("step '%s' can strand the task: %s"):format(name,
        WHY_WAITING[record.waiting_for] or ("nothing moves it from %s"):format(record.status)))
    end
  end
end

local function note_statuses(seen, task, handler)
  for _, record in ipairs(task.steps) do
    local name = own_name(handler, record.name)
    local statuses = seen[name] or {}
    seen[name] = statuses
    statuses[record.status] = true
  end
end

-- ---- What all of them show ----

-- A state that is an end in error is reached when it fails.
local function ends_in_error(step)
  return step.state ~= nil and step.state.final == "error"
end

local function succeeded(seen, name)
  for status in pairs(seen[name] or {}) do
    if SUCCEEDED[status] then
      return true
    end
  end
  return false
end

local function list_of(set)
  local list = {}
  for name in pairs(set or {}) do
    list[#list + 1] = name
  end
  table.sort(list)
  return table.concat(list, " or ")
end

-- The first step before that never succeeds either.
local function cause_of(handler, seen, index)
  local first
  for at in pairs(graph.ancestors({ steps = handler.steps, ancestors = {}, kept = 0 }, index)) do
    if not succeeded(seen, handler.steps[at].name) then
      first = math.min(first or at, at)
    end
  end
  return first and handler.steps[first].name
end

local function note_failing(found, handler, seen, count, complete, left_out)
  for index, step in ipairs(handler.steps) do
    local ended = succeeded(seen, step.name) or ends_in_error(step) and (seen[step.name] or {}).error
    if not ended and not left_out[step.name] and seen[step.name] then
      local cause = cause_of(handler, seen, index)
      local why = cause and ("because '%s' does not"):format(cause)
        or ("in each of the %d combinations %s it is %s"):format(count, complete and "that there are" or "walked",
          list_of(seen[step.name]))
      add(found, "never_succeeds", step.name, {}, ("step '%s' never succeeds: %s"):format(step.name, why))
    end
  end
end

-- ---- Tasks that start tasks ----

-- Steps that always start a task of their own: no condition, no branch and no failure leads past them.
local function sure_children(handler)
  local sure, found, chosen = {}, {}, {}
  for _, step in ipairs(handler.steps) do
    for _, case in ipairs(step.cases or {}) do
      for _, index in ipairs(case.indexes) do
        chosen[index] = true
      end
    end
  end
  local function is_sure(index)
    if sure[index] == nil then
      local step = handler.steps[index]
      sure[index] = not step.when and not chosen[index]
      for _, dependency in ipairs(step.deps) do
        sure[index] = is_sure(dependency) and sure[index]
      end
    end
    return sure[index]
  end
  for index, step in ipairs(handler.steps) do
    local namespace, name, version
    if step.child then
      namespace, name, version = reference.parse(step.child)
    end
    local child = namespace and registry.find(namespace, name, version)
    if child and is_sure(index) then
      found[#found + 1] = { step = step.name, handler = child }
    end
  end
  return found
end

-- A chain of children that leads back to where it began.
local function note_descent(found, handler)
  local visited = {}
  local function leads_back(at)
    for _, child in ipairs(sure_children(at)) do
      if child.handler == handler then
        return true
      elseif not visited[child.handler] then
        visited[child.handler] = true
        if leads_back(child.handler) then
          return true
        end
      end
    end
    return false
  end
  for _, child in ipairs(sure_children(handler)) do
    if child.handler == handler or leads_back(child.handler) then
      add(found, "endless", child.step, {}, ("step '%s' starts a task that always leads to another one of %s: there is no end"):format(
        child.step, tostring(handler)))
    end
  end
end

-- ---- The walk ----

-- What is walked: combinations of outcomes, of a machine ways through it. States that never come to an end are noted.
local function walks_of(handler, limit, found)
  if not handler.machine then
    return combinations.of(handler, math.max(1, math.min(limit, MOST_STEPS // #handler.steps)))
  end
  local walks, endless = machine_walks.of(handler)
  for _, step in ipairs(handler.steps) do
    local one = endless[step.name]
    if one and one.first then
      add(found, "endless", step.name, one.path, ("from state '%s' no final state can be reached"):format(step.name))
    end
  end
  local complete = #walks <= limit
  for i = #walks, limit + 1, -1 do
    walks[i] = nil
  end
  return walks, complete, endless
end

local function walk(handler, limit)
  local found, seen = {}, {}
  local list, complete, left_out = walks_of(handler, limit, found)
  local walking = walker.new(handler)
  local ok, why = pcall(function()
    for _, combination in ipairs(list) do
      local task, endless = walking:play(combination)
      note_statuses(seen, task, handler)
      if endless then
        add(found, "endless", nil, path_of(handler, combination), ("the task of %s does not come to an end"):format(tostring(handler)))
      elseif not FINAL[task.status] then
        note_stranded(found, handler, combination, task)
      end
    end
  end)
  walking:close()
  if not ok then
    error(why, 0)
  end
  note_failing(found, handler, seen, #list, complete, left_out or {})
  note_descent(found, handler)
  return found
end

local function handler_of(given)
  if handlers.is_handler(given) then
    return given
  end
  check.type(given, "string", "testing.verify: the handler", 5)
  local namespace, name, version = reference.parse(given)
  local found = namespace and registry.find(namespace, name, version)
  if not found then
    error(("testing.verify: no handler %s is defined in this state"):format(check.show(given)), 5)
  end
  return found
end

local OPTIONS = { limit = { "number", check.not_integer(1, 1000000) } }

--- Walks combinations of what may come of each step (success, failure for good, a condition that is false, each branch, a signal or
-- its timeout, a decision …) on the engine, without calling any of the handler's functions. All of them when there are no
-- more than `limit`, else the likely ones, then others at random.
-- @param handler or its name
-- @tab[opt] options `limit` (2000)
-- @return true, or nil
-- @return err with `problems`: a list of `{kind, step, path, message}`; kinds: "stranded" (the task can stay where it is for ever),
-- "never_succeeds" (the step can never be complete), "endless"; `path`: what came before, as "step: outcome"
function verify.run(handler, options)
  check.type(options, "table|nil", "testing.verify: options", 4)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "testing.verify: option", 4)
  if not ok then
    return nil, err
  end
  handler = handler_of(handler)
  local problems = walk(handler, options.limit or DEFAULT_LIMIT)
  if #problems == 0 then
    return true
  end
  local list, lines = {}, {}
  for i, problem in ipairs(problems) do
    list[i], lines[i] = problem, "  " .. problem.message
  end
  err = errors.new("invalid", ("handler %s can go wrong:\n%s"):format(tostring(handler), table.concat(lines, "\n")))
  err.problems = list
  return nil, err
end

return verify
