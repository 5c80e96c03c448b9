--- When a cron expression or a recurrence rule comes next.
-- @module tasker.cron

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local time = require "tasker.time"

local cron = {}

-- Texts of one call: about ten megabytes.
local MOST = 100000

local function not_count(value)
  if math.type(value) ~= "integer" and value ~= math.floor(value) or value < 1 or value > MOST then
    return ("a whole number from 1 to %d"):format(MOST)
  end
  return nil
end

local OPTIONS = {
  timezone = { "string" },
  after = { "string|number", time.not_time },
  count = { "number", not_count },
  dst = { "table" },
}
local RULE_OPTIONS = { timezone = OPTIONS.timezone, after = OPTIONS.after, count = OPTIONS.count, dst = OPTIONS.dst,
  starts = { "string|number", time.not_time } }
local DST = { gap = { "string", check.one_of("skip", "shift") }, overlap = { "string", check.one_of("first", "last", "both") } }

-- What both functions ask of their arguments; true, or nil and an err.
local function check_arguments(text, options, declared, what)
  check.type(text, "string", what .. (declared == OPTIONS and ": the expression" or ": the rule"), 3)
  check.type(options, "table", what .. ": the options", 3)
  local ok, err = check.options(options, declared, what .. ": option", 3)
  if ok and options.dst then
    ok, err = check.options(options.dst, DST, what .. ": option dst:", 3)
  end
  return ok, err
end

-- A list that is empty says nothing: why it is.
local function or_never(list, err, text, options)
  if list and #list == 0 then
    return errors.invalid("%s never comes%s in the zone %s", check.show(text), options.after and " after that time" or "",
      options.timezone or "UTC")
  end
  return list, err
end

local function after_of(options)
  return time.seconds(options.after) or core.now()
end

local function ask(next_times, text, options, ...)
  local dst = options.dst or {}
  local count = math.tointeger(options.count or 1)
  local list, err = next_times(text, options.timezone or "UTC", after_of(options), count, dst.gap, dst.overlap, ...)
  return or_never(list, err, text, options)
end

--- The next times of a cron expression: five fields, or six with seconds first, or a macro such as `@daily`.
-- @string expression as `"0 9 * * MON-FRI"`; names in any case, ranges, lists, steps, `L W #`
-- @tab[opt] options `timezone` (`"UTC"`), `after` (exclusive; now), `count` (1), `dst = {gap = "shift"|"skip", overlap =
-- "first"|"last"|"both"}` for times that the zone skips or repeats
-- @treturn table|nil a list of RFC 3339 texts in UTC, in order
-- @return err `invalid`, with the place of a mistake in the message and as `details.position`
function cron.next(expression, options)
  options = options == nil and {} or options
  local ok, err = check_arguments(expression, options, OPTIONS, "tasker.cron.next")
  if not ok then
    return nil, err
  end
  return ask(core.cron.cron_next, expression, options)
end

--- The next times of a recurrence rule (RFC 5545).
-- @string rule as `"FREQ=MONTHLY;BYDAY=-1FR"`, alone or with lines `DTSTART`, `EXDATE` and `RDATE`
-- @tab[opt] options as of next, and `starts`: where the rule starts unless it says so itself (`after`, else now)
-- @treturn table|nil a list of RFC 3339 texts in UTC, in order
-- @return err as of next
function cron.next_by_rule(rule, options)
  options = options == nil and {} or options
  local ok, err = check_arguments(rule, options, RULE_OPTIONS, "tasker.cron.next_by_rule")
  if not ok then
    return nil, err
  end
  return ask(core.cron.rrule_next, rule, options, time.seconds(options.starts) or after_of(options))
end

return cron
