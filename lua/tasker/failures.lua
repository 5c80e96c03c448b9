--- What a step's own code has to say of its failures: `retry.decide`, which may decide what follows from one, and the hooks
-- `on_failure on_retry on_exhausted on_recovered`, which are told. Both run inside the attempt and may wait; what they get wrong
-- is logged, and the outcome stands.
-- @module tasker.failures

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local kept_error = require "tasker.kept_error"
local redact = require("tasker.redaction").redact
local step_view = require "tasker.step_view"

local failures = {}

local json = core.json
local clean = kept_error.clean

local LONGEST_TEXT = 1024

--- The hooks, as a step or a handler names them.
failures.HOOKS = { "on_failure", "on_retry", "on_exhausted", "on_recovered" }

local DECISIONS = { retry_after = true, fail = true, skip = true, results = true, park = true }

--- Puts a step's hooks into it, the handler's where it has none of its own; each stands beside `retry` or in it.
-- @tab step gets the hooks
-- @tab given the definition of the step
-- @tab[opt] common the definition of the handler
function failures.read(step, given, common)
  local policy, common_policy = given.retry or {}, common and common.retry or {}
  for _, name in ipairs(failures.HOOKS) do
    step[name] = given[name] or policy[name] or common and common[name] or common_policy[name]
  end
end

--- Writes a warning to the log of the step.
-- @tab run
-- @string message
-- @tab[opt] fields what JSON can hold
function failures.warn(run, message, fields)
  run.engine:log_step(run, redact(json.encode { level = "warn", message = clean(message, LONGEST_TEXT), fields = fields }))
end

-- A raised value as a text, whatever its __tostring does.
local function shown(value)
  local ok, kept = pcall(errors.kept, value)
  return ok and kept.message or "an error that cannot be shown"
end

--- A failure as hooks and decide see it.
-- @tab run
-- @tab definition the step's
-- @int attempt the number of the attempt that failed
-- @string text the kept error's JSON
-- @treturn table `{attempt, error, task, step}`
function failures.new(run, definition, attempt, text)
  local kept = assert(json.decode(text))
  local err = errors.new(kept.code, kept.message, kept.details)
  err.retryable, err.traceback = kept.retryable, kept.traceback
  return { attempt = attempt, error = err, task = step_view.task(run), step = step_view.step(run, definition) }
end

--- Tells a hook, once an attempt.
-- @tab run
-- @tab definition the step's
-- @string name of the hook
-- @tab failure
function failures.tell(run, definition, name, failure)
  local hook = definition[name]
  if not hook or run[name] then
    return
  end
  -- Noted first: a hook that outlasts the attempt's time is not called again when the attempt is ended for it.
  run[name] = true
  local ok, why = pcall(hook, failure)
  if not ok then
    failures.warn(run, ("%s raised: %s"):format(name, shown(why)))
  end
end

-- ---- Decisions ----

local function the_one_key(decision)
  local key = next(decision)
  if key == nil then
    return nil, "an empty table"
  elseif not DECISIONS[key] then
    return nil, "a table with " .. check.show(key)
  elseif next(decision, key) ~= nil then
    return nil, "more than one decision"
  end
  return key
end

-- What a decision holds, as the outcome of the attempt needs it; or nil and what is wrong with it.
local readers = {}

function readers.retry_after(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
    return nil, "a retry_after that is no number of seconds"
  end
  return math.min(seconds, errors.LONGEST_SECONDS)
end

local function flag(name)
  readers[name] = function(value)
    if value ~= true then
      return nil, ("a '%s' that is not true"):format(name)
    end
    return true
  end
end

flag "fail"
flag "skip"

function readers.park(why)
  if type(why) ~= "string" then
    return nil, "a 'park' that is no text"
  end
  return clean(why, LONGEST_TEXT)
end

function readers.results(value, definition)
  local text, err = core.encode(value)
  if text and definition.results_validator and definition.on_invalid ~= "warn" then
    text, err = definition.results_validator:conform(text)
  end
  if not text then
    return nil, "results that cannot be: " .. err.message
  end
  return text
end

local function ask(definition, failure)
  local ok, decision = pcall(definition.decide, failure)
  if not ok then
    return nil, nil, "raised: " .. shown(decision)
  elseif decision == nil then
    return nil
  elseif type(decision) ~= "table" then
    return nil, nil, "returned " .. check.show(decision)
  end
  local key, wrong = the_one_key(decision)
  local value
  if key then
    value, wrong = readers[key](decision[key], definition)
  end
  if value == nil then
    return nil, nil, "returned " .. wrong
  end
  return key, value
end

--- Asks retry.decide, once an attempt.
-- @tab run
-- @tab definition the step's
-- @tab failure
-- @return "retry_after", "fail", "skip", "results" or "park", or nil: the policy decides
-- @return seconds, true, true, the results' JSON or the why
function failures.decide(run, definition, failure)
  if not definition.decide or run.decided then
    return nil
  end
  run.decided = true
  local what, value, wrong = ask(definition, failure)
  if wrong then
    failures.warn(run, ("retry.decide %s; the policy applies"):format(wrong))
  end
  return what, value
end

--- The outcome of an attempt whose failure was decided to be its end.
-- @string what "skip", "results" or "park"
-- @param value as decide returned it
-- @string text the kept error's JSON
-- @return as of step.run
function failures.outcome(what, value, text)
  if what == "results" then
    return "done", value, text, '{"decided":"results"}'
  elseif what == "skip" then
    return "skip", text, '{"decided":"skip"}'
  end
  return "park", text, json.encode { waiting_for = "person", decided = "park", reason = value }
end

return failures
