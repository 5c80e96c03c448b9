--- What a schedule is made of: the check of a table that says so, and what it becomes for the core.
-- @module tasker.schedule_spec

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local time = require "tasker.time"

local schedule_spec = {}

local LONGEST_NAME, MOST_TAGS = core.bounds.schedule_name, core.bounds.tags

local DEFAULT_CATCH_UP_SECONDS = 86400
local SHORTEST_SECONDS = 0.001

--- What a schedule's name should have been, or nil when it is one: as `namespace/name`.
-- @string value
-- @treturn string|nil
function schedule_spec.not_name(value)
  if #value == 0 or #value > LONGEST_NAME or not value:match("^[A-Za-z0-9_./-]+$") then
    return ("1 to %d characters of A-Z a-z 0-9 _ . - /"):format(LONGEST_NAME)
  end
  return nil
end

local function not_interval(value)
  if not (value >= SHORTEST_SECONDS and value <= errors.LONGEST_SECONDS) then
    return ("a number of seconds of at least %g"):format(SHORTEST_SECONDS)
  end
  return nil
end

local FIELDS = {
  name = { "string", schedule_spec.not_name },
  context = { "table|function" },
  cron = { "string" },
  every = { "number", not_interval },
  at = { "number|string", time.not_time },
  rrule = { "string" },
  timezone = { "string", check.not_key },
  overlap = { "string", check.one_of("skip", "buffer_one", "buffer_all", "cancel_other", "allow") },
  catch_up = { "number", check.not_seconds },
  jitter = { "number", check.not_seconds },
  starts = { "number|string", time.not_time },
  ends = { "number|string", time.not_time },
  count = { "number", check.not_integer(1, math.maxinteger) },
  dst = { "table" },
  tags = { "table", check.not_list_of(check.not_key, MOST_TAGS) },
  priority = { "number", check.not_priority },
  queue = { "string", check.not_name },
  initiator = { "string", check.not_text },
  source_system = { "string", check.not_text },
  reason = { "string", check.not_text },
}
local DST = { gap = { "string", check.one_of("skip", "shift") }, overlap = { "string", check.one_of("first", "last", "both") } }

--- The fields of a handler's `schedule`; those of `app:schedule` are more.
schedule_spec.FIELDS = FIELDS

local KINDS = { "cron", "every", "at", "rrule" }

local function kind_of(given, what)
  local kind
  for _, name in ipairs(KINDS) do
    if given[name] ~= nil then
      if kind then
        return errors.invalid("%s '%s' and '%s' exclude each other", what, kind, name)
      end
      kind = name
    end
  end
  if not kind then
    return errors.invalid("%s 'cron', 'every', 'at' or 'rrule' is missing: one of them says when", what)
  end
  return kind
end

-- The zone and the rule, tried out: true, or nil and an err.
local function check_times(given, kind, what)
  local zone, dst = given.timezone or "UTC", given.dst or {}
  local after = time.seconds(given.starts) or core.now()
  local list, err, field
  if kind == "rrule" then
    list, err = core.cron.rrule_next(given.rrule, zone, after, 1, dst.gap, dst.overlap, after)
    field = "rrule"
  else
    list, err = core.cron.cron_next(given.cron or "@daily", zone, after, 1, dst.gap, dst.overlap)
    field = kind == "cron" and "cron" or "timezone"
  end
  if list then
    return true
  elseif field ~= "timezone" and not core.cron.cron_next("@daily", zone, after, 1) then
    field = "timezone"
  end
  return nil, errors.new(err.code, ("%s '%s': %s"):format(what, field, err.message), err.details)
end

--- Checks the fields of a schedule. Unknown fields and wrong types raise.
-- @tab given
-- @tab declared which fields there are
-- @string what "app:schedule: field", for messages
-- @int level as in error, counted from the caller
-- @treturn string|nil the kind: "cron", "every", "at" or "rrule"
-- @return err `invalid`
function schedule_spec.check(given, declared, what, level)
  local ok, err = check.options(given, declared, what, level + 1)
  if ok and given.dst then
    ok, err = check.options(given.dst, DST, what .. " 'dst':", level + 1)
  end
  local kind
  if ok then
    kind, err = kind_of(given, what)
    ok = kind
  end
  if ok then
    ok, err = check_times(given, kind, what)
  end
  if not ok then
    return nil, err
  end
  local starts, ends = time.seconds(given.starts), time.seconds(given.ends)
  if starts and ends and ends < starts then
    return errors.invalid("%s 'ends' is before 'starts'", what)
  elseif kind == "at" and given.count then
    return errors.invalid("%s 'count' says nothing about a single time ('at')", what)
  end
  return kind
end

--- The schedule as the core takes it, without its context.
-- @tab given what check let pass
-- @string kind
-- @string namespace of the handler
-- @string name of the handler
-- @treturn table
function schedule_spec.core(given, kind, namespace, name)
  local dst = given.dst or {}
  return {
    name = given.name or ("%s/%s"):format(namespace, name), namespace = namespace, handler = name, kind = kind,
    rule = given.cron or given.rrule, every = given.every, at = time.seconds(given.at),
    timezone = given.timezone ~= "UTC" and given.timezone or nil, overlap = given.overlap,
    catch_up = given.catch_up or DEFAULT_CATCH_UP_SECONDS, jitter = given.jitter,
    starts = time.seconds(given.starts), ends = time.seconds(given.ends), count = math.tointeger(given.count),
    gap = dst.gap, repeated = dst.overlap, priority = math.tointeger(given.priority), queue = given.queue,
    tags = given.tags and #given.tags > 0 and assert(core.encode(given.tags, true)) or nil,
    initiator = given.initiator, source_system = given.source_system, reason = given.reason,
  }
end

return schedule_spec
