--- What stands in for steps in tests, and what is noted of their calls.
-- @module tasker.testing.doubles

local core = require "tasker.core"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local registry = require "tasker.registry"
local suggest = require "tasker.suggest"

local doubles = {}

local decode = core.json.decode

-- Functions of a step that can be doubled, with what its name ends in there.
local PARTS = { run = "", compensate = ":compensate", notify = ":notify" }

-- What to do about steps that have no code of their own.
local INSTEAD = {
  child = "stub the steps of its child",
  signal = "send the signal (app:signal), or let its time pass (app:advance)",
  approval = "decide (app:approve, app:reject), or let its time pass (app:advance)",
  sleep = "it is over at once when the app is drained",
  pass = "nothing runs in it",
}

local Doubles = {}
Doubles.__index = Doubles

--- @treturn table no doubles, no calls
function doubles.new()
  return setmetatable({ stubs = {}, failures = {}, calls = {} }, Doubles)
end

-- ---- Which step ----

-- The step's own name and the part of it that is meant.
local function split(name)
  local own, part = name:match("^(.*):(%l+)$")
  if own and PARTS[part] == ":" .. part then
    return own, part
  end
  return name, "run"
end

-- Where doubles of a step are kept: under its handler, of all versions unless one is named.
local function key_of(reference, name, what, level)
  check.type(reference, "string|table", what .. ": the handler", level + 1)
  check.type(name, "string", what .. ": the step", level + 1)
  local namespace, handler_name, version = definitions.parse(reference)
  if not namespace then
    error(("%s: %s"):format(what, tostring(handler_name)), level + 1)
  end
  local full = namespace .. "/" .. handler_name
  local found = registry.find(namespace, handler_name, version)
  if not found then
    error(("%s: no handler '%s' is defined in this state"):format(what, version and full .. "@" .. version or full), level + 1)
  end
  local own = split(name)
  if not found.index_of[own] then
    error(("%s: %s has no step %s%s"):format(what, tostring(found), check.show(own), suggest.hint(own, found.index_of)), level + 1)
  end
  return ("%s %s"):format(version and full .. "@" .. version or full, name), found.steps[found.index_of[own]]
end

-- As key_of, of a step that can be doubled. `parts`: only parts of it that are not its run.
local function key_to_double(reference, name, parts, what, level)
  local key, step = key_of(reference, name, what, level + 1)
  local instead = not parts and INSTEAD[step.kind]
  if instead and select(2, split(name)) == "run" then
    error(("%s: step '%s' has no code of its own: %s"):format(what, name, instead), level + 1)
  end
  return key
end

-- Of a table of doubles: the one for this version, else the one for all.
local function find(kept, handler, name)
  return kept[("%s %s"):format(tostring(handler), name)]
    or kept[("%s/%s %s"):format(handler.namespace, handler.name, name)]
end

-- ---- Making them ----

local function is_parts(value)
  if type(value) ~= "table" or next(value) == nil then
    return false
  end
  for key in next, value do
    if not PARTS[key] then
      return false
    end
  end
  return true
end

local function as_function(value)
  if type(value) == "function" then
    return value
  end
  return function()
    return value
  end
end

--- Puts something in the place of a step's code.
-- @param reference a handler, or its name
-- @string name the step
-- @param value the results (of a switch: the branch; of a machine's state: the outcome); a function as `run`; or `{run =,
-- compensate =, notify =}` of such
-- @int level as in error, counted from the caller
function Doubles:stub(reference, name, value, level)
  local in_parts = is_parts(value)
  local key = key_to_double(reference, name, in_parts and value.run == nil, "testing.stub", level + 1)
  if not in_parts then
    self.stubs[key] = as_function(value)
    return
  end
  for part, ending in pairs(PARTS) do
    if value[part] ~= nil then
      self.stubs[key .. ending] = as_function(value[part])
    end
  end
end

local FAIL_OPTIONS = {
  times = { "number", check.not_integer(1, math.maxinteger) },
  error = { "string|table" },
}

--- Makes attempts of a step fail, before what stands in for it is asked.
-- @param reference a handler, or its name
-- @string name the step
-- @tab[opt] options `times` (how many attempts; all unless given), `error` (a text or an err)
-- @int level as in error, counted from the caller
-- @return true, or nil
-- @return err `invalid`
function Doubles:fail(reference, name, options, level)
  local key = key_to_double(reference, name, false, "testing.fail", level + 1)
  check.type(options, "table|nil", "testing.fail: options", level + 1)
  options = options or {}
  local ok, err = check.options(options, FAIL_OPTIONS, "testing.fail: option", level + 1)
  if not ok then
    return nil, err
  end
  self.failures[key] = { left = options.times or math.huge, error = options.error or "made to fail by a test" }
  return true
end

--- No double is left; what was noted stays.
function Doubles:clear()
  self.stubs, self.failures = {}, {}
end

-- ---- In the place of code ----

local function note(self, handler, name, view)
  local run = core.run()
  local inputs = run.has_inputs and run.engine:payload(run.task_no, (run.items or run.round) and run.template or run.step, "inputs")
  local call = {
    task_id = run.task_id, attempt = view.attempt, context = decode(run.engine:context(run.task_no)),
    item = view.item, index = view.index,
  }
  if inputs then
    call.inputs = decode(inputs)
  end
  run.call = call
  local key = tostring(handler) .. " " .. name
  local list = self.calls[key]
  if not list then
    list = {}
    self.calls[key] = list
  end
  list[#list + 1] = call
  self.count = (self.count or 0) + 1
  call.order = self.count
end

-- `view`: nil for the function of a switch, which is asked before there is an attempt.
local function double(self, handler, name, original)
  return function(task, view)
    if view then
      note(self, handler, name, view)
    end
    local failure = find(self.failures, handler, name)
    if failure and failure.left > 0 then
      failure.left = failure.left - 1
      error(failure.error, 0)
    end
    return (find(self.stubs, handler, name) or original)(task, view)
  end
end

local function wrap_step(self, handler, step)
  local wrapped = {}
  for part, ending in pairs(PARTS) do
    if step[part] then
      wrapped[part] = double(self, handler, step.name .. ending, step[part])
    end
  end
  if step.visit then   -- a state: what stands in for its code says where it leads, as that does
    wrapped.run = step.visit(double(self, handler, step.name, step.code))
  end
  if step.switch then
    wrapped.switch = double(self, handler, step.name, step.switch)
  end
  return setmetatable(wrapped, { __index = step })
end

--- A plan whose code can be doubled and is noted.
-- @tab plan of step_view
-- @treturn table another
function Doubles:wrap(plan)
  local copy = {}
  for name, value in pairs(plan) do
    copy[name] = value
  end
  copy.steps = {}
  for i, step in ipairs(plan.steps) do
    copy.steps[i] = wrap_step(self, plan.handler, step)
  end
  return copy
end

--- Notes what came of an attempt.
-- @tab run
-- @string word the outcome, as of step.run
-- @param text
function doubles.ended(run, word, text)
  local call = run.call
  if not call then
    return
  elseif word == "done" then
    call.results = decode(text)
  elseif word == "failed" then
    call.error = decode(text)
  end
end

-- ---- What was called ----

local FIELDS = { "task_id", "attempt", "context", "inputs", "item", "index", "results", "error" }

--- Calls of a step's code, oldest first.
-- @param reference a handler, or its name: then of all its versions
-- @string name the step; with `:compensate` its compensation, with `:notify` its notifications
-- @int level as in error, counted from the caller
-- @treturn {table,...} `{task_id, attempt, context, inputs, item, index, results, error}`
function Doubles:list(reference, name, level)
  local wanted = key_of(reference, name, "app:calls", level + 1)
  local found = {}
  for key, list in pairs(self.calls) do
    if key == wanted or (key:gsub("@%S* ", " ")) == wanted then
      table.move(list, 1, #list, #found + 1, found)
    end
  end
  table.sort(found, function(a, b) return a.order < b.order end)
  for i, call in ipairs(found) do
    local copy = {}
    for _, field in ipairs(FIELDS) do
      copy[field] = call[field]
    end
    found[i] = copy
  end
  return found
end

return doubles
