--- Compensation: what undoes a step when its task fails or is cancelled.
-- @module tasker.compensation

local check = require "tasker.check"
local suggest = require "tasker.suggest"

local compensation = {}

--- Types of a step's fields of this module.
compensation.FIELDS = { compensate = "function", compensate_on = "string" }

local WHEN = { complete = true, started = true }

--- Checks the fields of this module and puts what they say into the step.
-- @tab step gets `compensate` and `compensate_started`, unless the handler has turned it off
-- @tab given the definition of the step
-- @tab common the definition of the handler
-- @func fail gets a field, a format and its arguments
function compensation.read(step, given, common, fail)
  if given.compensate_on ~= nil then
    if not WHEN[given.compensate_on] then
      fail("compensate_on", "must be \"complete\" or \"started\", not %s%s", check.show(given.compensate_on),
        suggest.hint(given.compensate_on, WHEN))
    elseif not given.compensate then
      fail("compensate_on", "needs 'compensate'")
    end
  end
  if common.compensate ~= false then
    step.compensate, step.compensate_started = given.compensate, given.compensate_on == "started"
  end
end

local function missing()
  error({ message = "this code of the step has no 'compensate'", retryable = false }, 0)
end

--- The step with what undoes it for its code. Its hooks, schemas and retry.decide are about the step, and not taken over.
-- @tab definition of the step
-- @treturn table
function compensation.of(definition)
  return setmetatable({ run = definition.compensate or missing, is_watched = false, is_guarded = false }, { __index = definition })
end

return compensation
