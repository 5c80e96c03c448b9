--- Schedules for people.
-- @module tasker.cli.support.schedule_text

local format = require "tasker.cli.support.format"
local term = require "tasker.cli.support.term"

local schedule_text = {}

schedule_text.TITLES = {
  { title = "NAME", shrink = 12 }, { title = "HANDLER", shrink = 12 }, { title = "WHEN", shrink = 12 }, { title = "ZONE" },
  { title = "NEXT" }, { title = "LAST" }, { title = "MADE", right = true }, { title = "RUNNING", right = true },
}

-- A value of the decoded JSON, nil where that is null.
local function given(value)
  if type(value) == "string" or type(value) == "number" then
    return value
  end
  return nil
end

--- When it comes: "0 9 * * MON-FRI", "every 1h", "at 2026-…".
-- @tab schedule its decoded JSON
-- @treturn string
function schedule_text.when(schedule)
  if given(schedule.every) then
    return "every " .. format.duration(schedule.every)
  elseif given(schedule.at) then
    return "at " .. schedule.at
  end
  return given(schedule.cron) or given(schedule.rrule)
end

--- When it comes next, or why it does not.
function schedule_text.next_of(schedule)
  return schedule.paused and "paused" or given(schedule.next_at) or "never"
end

--- Cells under TITLES.
function schedule_text.row(schedule)
  return {
    term.clean(schedule.name), schedule.handler, term.clean(schedule_text.when(schedule)), term.clean(schedule.timezone),
    schedule_text.next_of(schedule), given(schedule.last_at) or "-", tostring(schedule.made), tostring(schedule.running),
  }
end

--- A planned time: in UTC, and in its zone where that is another.
-- @string at RFC 3339
-- @string timezone
-- @treturn string
function schedule_text.time(at, timezone)
  if timezone == "UTC" then
    return at
  end
  local core = require "tasker.core"
  local seconds = core.time_parse(at)
  local offset = core.cron.zone_offset(timezone, seconds)
  if not offset then
    return at
  end
  local sign, minutes = offset < 0 and "-" or "+", math.abs(offset) // 60
  local there = core.time_format(seconds + offset):gsub("%.%d+Z$", ""):gsub("T", " ")
  return ("%s  %s %s%02d:%02d"):format(at, there, sign, minutes // 60, minutes % 60)
end

return schedule_text
