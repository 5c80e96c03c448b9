--- Schedules: made, steered and read by `app:` methods, and those that handlers bring with them.
-- @module tasker.schedules

local core = require "tasker.core"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local registry = require "tasker.registry"
local schedule_spec = require "tasker.schedule_spec"
local step = require "tasker.step"
local step_view = require "tasker.step_view"
local submission = require "tasker.submission"
local task_view = require "tasker.task_view"
local time = require "tasker.time"

local schedules = {}

local json = core.json

local MOST_LISTED = 100000
local MOST_PREVIEWED = 100000
local MOST_BACKFILLED = 100000

-- ---- Contexts that are functions of the occurrence ----
--
-- Such a context is asked for by a task of namespace `tasker`, whose one step calls the function: so a worker that has the
-- code answers, is retried when it raises and replaced when it dies. Who has the code is told by the schedule's name.

-- engine -> schedule name -> {fn, number}.
local functions = setmetatable({}, { __mode = "k" })

-- The context of an occurrence as JSON and as a value, checked as that of a submission is; or nil and an err.
local function call(engine, fn, reference, occurrence)
  local namespace, name, version = definitions.parse(reference)
  local plan, err = definitions.plan(engine, namespace, name, version)
  if not plan then
    return nil, err
  end
  return submission.encode_context(plan, fn(occurrence))
end

local function new_asker(name, reference, fn)
  return assert(handler.new {
    namespace = "tasker", name = "schedule-" .. core.sha256(name):sub(1, 32), version = "1.0.0",
    description = "the contexts of schedule " .. name,
    steps = { { name = "context", run = function(task)
      local text, value = call(core.current_engine(), fn, reference, task.context)
      if not text then
        error(errors.permanent(value.message, { code = value.code, details = value.details }), 0)
      end
      return value
    end } },
  })
end

-- Makes this state one that answers for the schedule: the number of the definition that asks, or nil and an err.
local function bind_function(engine, name, reference, fn)
  local known = functions[engine]
  if not known then
    known = {}
    functions[engine] = known
  end
  local asker = new_asker(name, reference, fn)
  local number, err = definitions.define(engine, asker)
  if not number then
    return nil, err
  end
  step.bind(engine, number, step_view.plan(asker))
  if not known[name] then
    registry.generation = registry.generation + 1   -- what this state can run has become more
  end
  known[name] = { fn = fn, number = number, reference = reference }
  return number
end

-- ---- Making ----

local APP_FIELDS = { handler = { "string|table" }, replace = { "boolean" }, paused = { "boolean" } }
for name, declaration in pairs(schedule_spec.FIELDS) do
  APP_FIELDS[name] = declaration
end

-- Adds the context, fixed or asked for: true, or nil and an err.
local function add_context(spec, engine, plan, reference, context)
  if type(context) == "function" then
    local number, err = bind_function(engine, spec.name, reference, context)
    spec.ask = number
    return number and true or nil, err
  end
  local text, err = submission.encode_context(plan, context)
  spec.context = text
  return text and true or nil, err
end

local function reference_of(namespace, name, version)
  return ("%s/%s%s"):format(namespace, name, version and "@" .. version or "")
end

-- The schedule as `app:schedule_info` gives it.
local function info(engine, name)
  local text, err = engine:schedule(name)
  if not text then
    return nil, err
  end
  return task_view.record(text)
end

local function check_handler(given)
  if given.handler == nil then
    error("app:schedule: field 'handler' is missing", 3)
  elseif type(given.handler) == "table" and not handler.is_handler(given.handler) then
    error("app:schedule: field 'handler' must be a name or what tasker.handler returned", 3)
  end
end

--- Makes a schedule: tasks of a handler by the clock.
-- @tab given `handler`, one of `cron every at rrule`; `name` (`namespace/name` of the handler unless given), `context` (a
-- table or a function of the occurrence), `timezone overlap catch_up jitter starts ends count dst`, `replace` (put it in
-- the place of one of that name), `paused`, and of its tasks `tags priority queue initiator source_system reason`
-- @treturn table|nil the schedule
-- @treturn bool|err was it created (false: replaced, or there is the same one already); or the err
local function schedule(self, given)
  check.type(given, "table", "app:schedule: the schedule", 2)
  check.type(given.handler, "string|table|nil", "app:schedule: field 'handler'", 2)
  check_handler(given)
  local kind, err = schedule_spec.check(given, APP_FIELDS, "app:schedule: field", 2)
  if not kind then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local namespace, name, version = definitions.parse(given.handler)
  if not namespace then
    return nil, name
  elseif type(given.handler) == "table" then
    version = nil   -- the handler, in whatever version is the highest then; a name may say otherwise
  end
  local plan
  plan, err = definitions.plan(self.engine, namespace, name, version)
  if not plan then
    return nil, err
  end
  local spec = schedule_spec.core(given, kind, namespace, name)
  spec.version = version
  local ok
  ok, err = add_context(spec, self.engine, plan, reference_of(namespace, name, version), given.context)
  if not ok then
    return nil, err
  end
  local created
  ok, created = self.engine:put_schedule(spec, given.replace, given.paused)
  if not ok then
    return nil, created
  end
  local made
  made, err = info(self.engine, spec.name)
  if not made then
    return nil, err
  end
  return made, created
end

-- ---- Those of handlers ----

-- "1.2.0" of "shop/order@1.2.0" when that is a version of this handler.
local function version_of(defined_by, own)
  local name, version = (defined_by or ""):match("^(.*)@(.*)$")
  return name == ("%s/%s"):format(own.namespace, own.name) and version or nil
end

-- What a handler's file says, unless a newer version's file has said it already.
local function put_own(engine, own)
  local given = own.schedule
  local spec = schedule_spec.core(given, own.schedule_kind, own.namespace, own.name)
  local before = info(engine, spec.name)
  local newest = before and version_of(before.defined_by, own)
  if newest and core.semver_compare(newest, own.version) > 0 then
    return true
  end
  spec.defined_by = tostring(own)
  local ok, err = true, nil
  if type(given.context) == "function" then
    spec.ask = functions[engine][spec.name].number
  else
    ok, err = submission.encode_context({ validator = own.context_validator, namespace = own.namespace, name = own.name,
      version = own.version }, given.context)
    spec.context = ok
  end
  if ok then
    ok, err = engine:put_schedule(spec, true)
  end
  return ok, err
end

--- Makes this state answer for the contexts of schedules that are functions here.
-- @param engine
-- @treturn {int,...}|nil numbers of definitions
-- @return err
function schedules.bind(engine)
  for _, own in ipairs(registry.all()) do
    local given = own.schedule
    if given and type(given.context) == "function" and registry.find(own.namespace, own.name) == own then
      local name = given.name or ("%s/%s"):format(own.namespace, own.name)
      local number, err = bind_function(engine, name, ("%s/%s"):format(own.namespace, own.name), given.context)
      if not number then
        return nil, err
      end
    end
  end
  local numbers = {}
  for _, known in pairs(functions[engine] or {}) do
    numbers[#numbers + 1] = known.number
  end
  return numbers
end

--- Makes or updates the schedules that this state's handlers bring with them; after bind.
-- @param engine
function schedules.put_all(engine)
  for _, own in ipairs(registry.all()) do
    if own.schedule and registry.find(own.namespace, own.name) == own then
      local ok, err = put_own(engine, own)
      if not ok then
        core.log("warn", ("the schedule of %s is left as it is: %s"):format(tostring(own), err.message))
      end
    end
  end
end

-- ---- Reading and steering ----

local LIST_OPTIONS = {
  limit = { "number", check.not_integer(1, MOST_LISTED) },
  after = { "string", schedule_spec.not_name },
}

--- All schedules, by name.
-- @tab[opt] options `limit` (100,000), `after` (a name: only those behind it)
-- @treturn {table,...}|nil
-- @return err
local function list(self, options)
  check.type(options, "table|nil", "app:schedules: options", 2)
  options = options or {}
  local ok, err = check.options(options, LIST_OPTIONS, "app:schedules: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text
  text, err = self.engine:schedules(options.after, math.tointeger(options.limit) or MOST_LISTED)
  if not text then
    return nil, err
  end
  return task_view.events(text)
end

--- One schedule.
-- @string name
-- @treturn table|nil `name handler context cron every at rrule timezone … paused next_at last_at last_task_id made skipped
-- running buffered`
-- @return err `not_found`
local function schedule_info(self, name)
  check.type(name, "string", "app:schedule_info: the name", 2)
  if not self.engine then
    return errors.closed(self)
  end
  return info(self.engine, name)
end

local AUDIT = { reason = { "string", check.not_text }, by = { "string", check.not_text } }

local function audit_of(reason, what)
  check.type(reason, "string|table|nil", what .. ": the reason", 3)
  local given = type(reason) == "string" and { reason = reason } or reason or {}
  local ok, err = check.options(given, AUDIT, what .. ": the reason's field", 3)
  if not ok then
    return nil, err
  end
  return next(given) and json.encode { reason = given.reason, by = given.by } or ""
end

-- A method that sends an event about a schedule; `finish` gets app, name and what the engine said.
local function steer(verb, finish)
  local what = "app:" .. verb .. "_schedule"
  return function(self, name, reason)
    check.type(name, "string", what .. ": the name", 2)
    local audit, err = audit_of(reason, what)
    if not audit then
      return nil, err
    elseif not self.engine then
      return errors.closed(self)
    end
    local ok
    ok, err = self.engine:schedule_event { type = verb, name = name, audit = audit ~= "" and audit or nil }
    if not ok then
      return nil, err
    end
    return finish(self, name)
  end
end

local function finish_info(self, name)
  return info(self.engine, name)
end

--- Makes a task now, whatever runs, paused or not.
-- @string name
-- @treturn string|nil the task's id; where its context is a function that is not in this state: the id of the task
-- (of namespace `tasker`) that asks for it
-- @return err
local function trigger(self, name)
  check.type(name, "string", "app:trigger_schedule: the name", 2)
  if not self.engine then
    return errors.closed(self)
  end
  local found, err = info(self.engine, name)
  if not found then
    return nil, err
  end
  local known = functions[self.engine] and functions[self.engine][name]
  local context
  if known and not found.context then
    context, err = call(self.engine, known.fn, known.reference, { schedule = name, triggered = true,
      scheduled_at = core.time_format(self.engine:now()), previous_scheduled_at = found.last_at })
    if not context then
      return nil, err
    end
  end
  return self.engine:schedule_event { type = "trigger", name = name, context = context }
end

--- Makes the tasks of a time that is over: one after the other, or at once where `overlap` is "allow".
-- @string name
-- @param from RFC 3339 or epoch seconds; inclusive
-- @param to exclusive; what is still to come is left to the schedule
-- @treturn int|nil how many occurrences there are
-- @return err
local function backfill(self, name, from, to)
  check.type(name, "string", "app:backfill_schedule: the name", 2)
  check.type(from, "string|number", "app:backfill_schedule: 'from'", 2)
  check.type(to, "string|number", "app:backfill_schedule: 'to'", 2)
  for what, value in pairs { from = from, to = to } do
    local wanted = time.not_time(value)
    if wanted then
      return errors.invalid("app:backfill_schedule: '%s' must be %s, not %s", what, wanted, check.show(value))
    end
  end
  from, to = time.seconds(from), time.seconds(to)
  if to < from then
    return errors.invalid("app:backfill_schedule: 'to' is before 'from'")
  elseif not self.engine then
    return errors.closed(self)
  end
  local times, err = self.engine:schedule_times(name, from, MOST_BACKFILLED + 1, math.min(to, self.engine:now()))
  if not times then
    return nil, err
  elseif #times > MOST_BACKFILLED then
    return errors.invalid("app:backfill_schedule: more than %d occurrences; take a shorter time", MOST_BACKFILLED)
  elseif #times == 0 then
    return 0
  end
  local ok
  ok, err = self.engine:schedule_event { type = "backfill", name = name, from = from, to = to }
  if not ok then
    return nil, err
  end
  return #times
end

local PREVIEW_OPTIONS = {
  count = { "number", check.not_integer(1, MOST_PREVIEWED) },
  after = { "string|number", time.not_time },
}

--- The next planned times of a schedule.
-- @string name
-- @tab[opt] options `count` (10), `after` (now)
-- @treturn {string,...}|nil RFC 3339, UTC; without jitter
-- @return err
local function preview(self, name, options)
  check.type(name, "string", "app:preview_schedule: the name", 2)
  check.type(options, "table|nil", "app:preview_schedule: options", 2)
  options = options or {}
  local ok, err = check.options(options, PREVIEW_OPTIONS, "app:preview_schedule: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  return self.engine:schedule_times(name, time.seconds(options.after), math.tointeger(options.count) or 10)
end

--- Adds the methods to the app's.
-- @tab App
function schedules.install(App)
  App.schedule, App.schedules, App.schedule_info = schedule, list, schedule_info
  App.pause_schedule, App.resume_schedule = steer("pause", finish_info), steer("resume", finish_info)
  App.delete_schedule = steer("delete", function() return true end)
  App.trigger_schedule, App.backfill_schedule, App.preview_schedule = trigger, backfill, preview
end

return schedules
