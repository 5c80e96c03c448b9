--- Steps that wait for a task of their own: how they are defined, and what their child is made of.
-- @module tasker.children

local core = require "tasker.core"
local check = require "tasker.check"
local reference = require "tasker.reference"
local retry = require "tasker.retry"
local suggest = require "tasker.suggest"

local children = {}

local ON_CHILD_ERROR = { fail = true, ignore = true, retry = true }

-- What the delays between attempts may not be: nobody is there to be asked when a child ends.
local function check_retry(given, fail)
  local policy = given.retry
  if policy == nil then
    return
  elseif given.on_child_error ~= "retry" and policy.limit ~= 1 then   -- one attempt is what there is without it
    fail("retry", "needs on_child_error = \"retry\"")
  end
  for _, name in ipairs(retry.FUNCTIONS) do
    if policy[name] ~= nil then
      fail("retry." .. name, "is not for a step with 'child'")
    end
  end
  if type(policy.backoff) == "function" then
    fail("retry.backoff", "must be a name or a list of seconds for a step with 'child', not a function")
  end
end

--- Checks the fields of a step with `child` and puts what they say into the step.
-- @tab step gets `child context_function context_text on_child_error`
-- @tab given the definition of the step
-- @func fail gets a field, a format and its arguments
function children.read(step, given, fail)
  if type(given.child) == "table" then
    if (getmetatable(given.child) or {}).__name ~= "tasker.handler" then
      fail("child", "must be the name of a handler or what tasker.handler returned, not %s", check.show(given.child))
    end
    step.child = tostring(given.child)
  else
    local namespace, err = reference.parse(given.child)
    if not namespace then
      fail("child", "%s", err.message)
    end
    step.child = given.child
  end
  if given.on_child_error ~= nil and not ON_CHILD_ERROR[given.on_child_error] then
    fail("on_child_error", "must be \"fail\", \"ignore\" or \"retry\", not %s%s", check.show(given.on_child_error),
      suggest.hint(given.on_child_error, ON_CHILD_ERROR))
  end
  check_retry(given, fail)
  step.on_child_error = given.on_child_error
  if type(given.context) == "function" then
    step.context_function = given.context
  elseif given.context ~= nil then
    local text, err = core.encode(given.context)
    if not text then
      fail("context", "cannot be kept as JSON: %s", err.message)
    elseif text:byte(1) ~= 123 then
      fail("context", "must be an object (a table with string keys) or a function")
    end
    step.context_text = text
  end
end

-- engine -> what tasker.submission looks names up with.
local lookups = setmetatable({}, { __mode = "k" })

--- What the child of a step is made of: asked before the step starts.
-- @param engine
-- @tab definition the step's
-- @tab task of the parent
-- @tab view of the step
-- @treturn string the child's context as JSON
-- @treturn int the number of its definition in the store
function children.ask(engine, definition, task, view)
  -- Only a worker needs it; and it needs tasker.handler, which needs this module.
  local submission = require "tasker.submission"
  local context, why
  if definition.context_function then
    context, why = definition.context_function(task, view)
    if context == nil and why ~= nil then
      error(why, 0)
    end
  elseif definition.context_text then
    context = assert(core.json.decode(definition.context_text))
  end
  local lookup = lookups[engine]
  if not lookup then
    lookup = { engine = engine, plans = {}, generation = -1, registry_generation = -1 }
    lookups[engine] = lookup
  end
  local number, text = submission.child(lookup, definition.child, context)
  if not number then
    error(text, 0)
  end
  return text, number
end

return children
