--- Errors as values: what functions return after nil, and what is kept of a failed attempt.
--
-- An err is a table `{code, message, details}` whose tostring is its message. Codes of the engine: `not_found invalid
-- conflict refused blocked timeout closed full io corrupt unsupported`; a step may use any.
-- @module tasker.errors

local errors = {}

local Err = { __name = "tasker.err" }

function Err.__tostring(err)
  return tostring(err.message)
end

-- Of permanent and retry_after: an err that says how the attempt is to be retried.
local Failure = { __name = "tasker.failure", __tostring = Err.__tostring }

local Snooze = { __name = "tasker.snooze" }

function Snooze.__tostring(snooze)
  return ("snooze for %s s"):format(snooze.seconds)
end

-- A hundred years in seconds: what a delay may be at most, so that times stay in range.
errors.LONGEST_SECONDS = 3155760000

--- Makes an err.
-- @string code
-- @string message
-- @tab[opt] details
-- @return the err
function errors.new(code, message, details)
  return setmetatable({ code = code, message = message, details = details }, Err)
end

--- `nil, err` of code `invalid`.
-- @string format as in string.format
-- @return nil
-- @return the err
function errors.invalid(format, ...)
  return nil, errors.new("invalid", format:format(...))
end

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

local function check_fields(fields, what)
  if fields ~= nil and type(fields) ~= "table" then
    error(("%s: the fields must be a table, not a %s"):format(what, type(fields)), 3)
  end
end

-- `message` is a text or an err whose fields are taken over.
local function new_failure(message, fields)
  local failure = {}
  if type(message) == "table" then
    for key, value in pairs(message) do
      failure[key] = value
    end
    failure.message = message.message or tostring(message)
  else
    failure.message = message == nil and "failed" or tostring(message)
  end
  for key, value in pairs(fields or {}) do
    failure[key] = value
  end
  return setmetatable(failure, Failure)
end

--- An error that is never retried: `error(tasker.permanent("card declined", {code = "declined"}))`.
-- @param message a text, or an err to make permanent
-- @tab[opt] fields `code`, and whatever else is to be kept (as `details`)
-- @return the err, to be raised or returned after nil
function errors.permanent(message, fields)
  check_fields(fields, "tasker.permanent")
  local failure = new_failure(message, fields)
  failure.retryable = false
  return failure
end

--- An error that is retried after that many seconds, whatever the step's backoff says.
-- @number seconds at least 0
-- @param[opt] message a text, or an err
-- @tab[opt] fields as in permanent
-- @return the err, to be raised or returned after nil
function errors.retry_after(seconds, message, fields)
  if not is_seconds(seconds) then
    error(("tasker.retry_after: seconds must be a number of at least 0, not %s"):format(tostring(seconds)), 2)
  end
  check_fields(fields, "tasker.retry_after")
  local failure = new_failure(message or ("to be retried after %s s"):format(seconds), fields)
  failure.retry_after = seconds
  return failure
end

--- What a step returns to be started again later, without a failure: `return tasker.snooze(30)`.
-- @number seconds at least 0
-- @return the value to return
function errors.snooze(seconds)
  if not is_seconds(seconds) then
    error(("tasker.snooze: seconds must be a number of at least 0, not %s"):format(tostring(seconds)), 2)
  end
  return setmetatable({ seconds = math.min(seconds, errors.LONGEST_SECONDS) }, Snooze)
end

--- What a step of ours returns to be started again when the log has grown (core/store/reader.c).
-- @return the value to return
function errors.until_woken()
  return setmetatable({ seconds = math.huge }, Snooze)
end

--- Seconds of a value made by snooze, else nil.
-- @param value
-- @treturn number|nil
function errors.snoozed(value)
  return getmetatable(value) == Snooze and value.seconds or nil
end

--- Is this a value made by permanent or retry_after?
-- @param value
-- @treturn bool
function errors.is_failure(value)
  return getmetatable(value) == Failure
end

--- `nil, err` of an app that was closed; raises when `app` is none, as after app.submit(...) with a dot.
-- @param app what the method was called on
function errors.closed(app)
  if type(app) ~= "table" or (getmetatable(app) or {}).__name ~= "tasker.app" then
    error("this is a method of an app: call it with a colon, as in app:submit(...)", 3)
  end
  return nil, errors.new("closed", "the store is closed: app:close was called")
end

-- Fields of a raised table that are not `details`.
local OWN = { message = true, code = true, retryable = true, traceback = true, details = true }

local function details_of(raised)
  local details = {}
  if type(raised.details) == "table" then
    for key, value in pairs(raised.details) do
      details[key] = value
    end
  elseif raised.details ~= nil then
    details.details = raised.details
  end
  for key, value in pairs(raised) do
    if not OWN[key] then
      details[key] = value
    end
  end
  return next(details) ~= nil and details or nil
end

local function message_of(raised)
  local message = raised.message
  if type(message) == "string" then
    return message
  elseif (getmetatable(raised) or {}).__tostring then
    return tostring(raised)
  elseif message ~= nil then
    return tostring(message)
  elseif type(raised.code) == "string" then
    return raised.code
  end
  return "(the error is a table without a message)"
end

--- What is kept of a failure: `{message, code, retryable, traceback, details}`.
-- @param raised what was raised, or returned after nil
-- @string[opt] traceback
-- @treturn table the record, all its texts as they came
-- @treturn number|nil seconds to wait before the next attempt, where the error says so
function errors.kept(raised, traceback)
  if type(raised) ~= "table" then
    return { message = tostring(raised), code = "error", retryable = true, traceback = traceback }
  end
  local kept = {
    message = message_of(raised),
    code = type(raised.code) == "string" and raised.code ~= "" and raised.code or "error",
    retryable = raised.retryable ~= false,
    traceback = traceback,
    details = details_of(raised),
  }
  local after = raised.retry_after
  return kept, is_seconds(after) and math.min(after, errors.LONGEST_SECONDS) or nil
end

return errors
