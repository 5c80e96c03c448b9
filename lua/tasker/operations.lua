--- What people and programs do to a task that exists: cancel, pause, resume, retry, resolve, annotate.
-- @module tasker.operations

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local vetoes = require "tasker.vetoes"

local operations = {}

local json = core.json

local AUDIT = {
  reason = { "string", check.not_text },
  by = { "string", check.not_text },
}

-- What is kept in the log with an operation: JSON, false when there is nothing, or nil and an err.
local function audit_of(reason, what)
  if reason == nil then
    return false
  end
  check.type(reason, "string|table", what .. ": the reason", 3)
  local given = type(reason) == "string" and { reason = reason } or reason
  local ok, err = check.options(given, AUDIT, what .. ": the reason's field", 3)
  if not ok then
    return nil, err
  elseif next(given) == nil then
    return false
  end
  return json.encode({ reason = given.reason, by = given.by })
end

local function perform(app, event, audit, err)
  if audit == nil then
    return nil, err
  elseif not app.engine then
    return errors.closed(app)
  end
  local refused = vetoes.operation(app, event)
  if refused then
    return nil, refused
  elseif not app.engine then
    return errors.closed(app)
  end
  event.audit = audit or nil
  local ok
  ok, err = app.engine:event(event)
  if not ok then
    return nil, err
  end
  return app:task(event.id)
end

local STEP_OPTION = { step = { "string", check.not_key } }

local RETRY_OPTIONS = {
  step = STEP_OPTION.step,
  reason = { "string|table" },
}

local function check_call(id, options, declared, what)
  check.type(id, "string", what .. ": the id", 3)
  check.type(options, "table|nil", what .. ": options", 3)
  if options == nil then
    return true
  end
  return check.options(options, declared, what .. ": option", 3)
end

--- Cancels a task, or one of its steps.
-- @string id
-- @param[opt] reason a text or `{reason, by}`: kept in the log
-- @tab[opt] options `step`
-- @treturn table|nil the task
-- @return err
local function cancel(self, id, reason, options)
  local ok, err = check_call(id, options, STEP_OPTION, "app:cancel")
  if not ok then
    return nil, err
  end
  return perform(self, { type = "cancel", id = id, step = options and options.step }, audit_of(reason, "app:cancel"))
end

--- Pauses a task: what runs finishes, nothing new starts.
-- @string id
-- @param[opt] reason a text or `{reason, by}`
-- @treturn table|nil the task
-- @return err
local function pause(self, id, reason)
  check.type(id, "string", "app:pause: the id", 2)
  return perform(self, { type = "pause", id = id }, audit_of(reason, "app:pause"))
end

--- Resumes a paused task.
-- @string id
-- @param[opt] reason a text or `{reason, by}`
-- @treturn table|nil the task
-- @return err
local function resume(self, id, reason)
  check.type(id, "string", "app:resume: the id", 2)
  return perform(self, { type = "resume", id = id }, audit_of(reason, "app:resume"))
end

--- Gives the failed steps of a task, or one step, a fresh set of attempts.
-- @string id
-- @tab[opt] options `step`, `reason` (a text or `{reason, by}`)
-- @treturn table|nil the task
-- @return err
local function retry(self, id, options)
  local ok, err = check_call(id, options, RETRY_OPTIONS, "app:retry")
  if not ok then
    return nil, err
  end
  local step, reason
  if options then
    step, reason = options.step, options.reason
  end
  return perform(self, { type = "retry", id = id, step = step }, audit_of(reason, "app:retry"))
end

--- Sends a signal: to the step that waits for it, or kept until one does.
-- @string id
-- @string name
-- @param[opt] payload any JSON value: the step's results
-- @treturn table|nil the task
-- @return err
local function signal(self, id, name, payload)
  check.type(id, "string", "app:signal: the id", 2)
  check.type(name, "string", "app:signal: the name", 2)
  local wanted = check.not_name(name)
  if wanted then
    return errors.invalid("app:signal: the name must be %s, not %s", wanted, check.show(name))
  end
  local data, err = core.encode(payload)
  if not data then
    return errors.invalid("app:signal: the payload: %s", err.message)
  end
  return perform(self, { type = "signal", id = id, name = name, data = data }, false)
end

--- Settles a step as a person who knows its outcome; without a step, the whole task.
-- @string id
-- @string[opt] step
-- @param[opt] results
-- @param[opt] reason a text or `{reason, by}`
-- @treturn table|nil the task
-- @return err
local function resolve(self, id, step, results, reason)
  check.type(id, "string", "app:resolve: the id", 2)
  check.type(step, "string|nil", "app:resolve: the step", 2)
  local audit, err = audit_of(reason, "app:resolve")
  if audit == nil then
    return nil, err
  end
  local data
  data, err = core.encode(results)
  if not data then
    return errors.invalid("app:resolve: results: %s", err.message)
  end
  return perform(self, { type = "resolve", id = id, step = step, data = (step or results ~= nil) and data or nil }, audit)
end

--- Annotates a task.
-- @string id
-- @string name
-- @param value any JSON value; nil is null
-- @treturn table|nil the task
-- @return err
local function annotate(self, id, name, value)
  check.type(id, "string", "app:annotate: the id", 2)
  check.type(name, "string", "app:annotate: the name", 2)
  local wanted = check.not_name(name, check.LONGEST_STEP_NAME)
  if wanted then
    return errors.invalid("app:annotate: the name must be %s, not %s", wanted, check.show(name))
  end
  local data, err = core.encode(value)
  if not data then
    return errors.invalid("app:annotate: the value: %s", err.message)
  end
  return perform(self, { type = "annotate", id = id, name = name, data = data }, false)
end

--- Adds the operations to the app's methods.
-- @tab App
function operations.install(App)
  App.cancel, App.pause, App.resume, App.retry = cancel, pause, resume, retry
  App.resolve, App.annotate, App.signal = resolve, annotate, signal
end

return operations
