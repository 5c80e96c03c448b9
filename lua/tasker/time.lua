--- Times: RFC 3339 texts and seconds since the epoch.
-- @module tasker.time

local core = require "tasker.core"
local errors = require "tasker.errors"

local time = {}

-- The years that RFC 3339 can write.
local EARLIEST, LATEST = -62167219200, 253402300799

--- Seconds of an RFC 3339 text.
-- @string text
-- @treturn number|nil seconds since the epoch, with fraction
-- @return err `invalid`
function time.parse(text)
  if type(text) ~= "string" then
    error(("tasker.time.parse: the text must be a string, not a %s"):format(type(text)), 2)
  end
  local seconds = core.time_parse(text)
  if not seconds then
    return errors.invalid("'%s' is not a time such as 2026-01-31T09:00:00Z", text:sub(1, 80):gsub("%c", "?"))
  end
  return seconds
end

--- The RFC 3339 text of seconds since the epoch: UTC, microseconds.
-- @number seconds
-- @treturn string|nil
-- @return err `invalid`
function time.format(seconds)
  if type(seconds) ~= "number" then
    error(("tasker.time.format: seconds must be a number, not a %s"):format(type(seconds)), 2)
  elseif not (seconds >= EARLIEST and seconds <= LATEST) then
    return errors.invalid("%s is no time of the years 0 to 9999", seconds)
  end
  return core.time_format(seconds)
end

--- What a time argument should have been, or nil when it is one: RFC 3339 or seconds since the epoch.
-- @param value a string or a number
-- @treturn string|nil
function time.not_time(value)
  local seconds = value
  if type(value) == "string" then
    seconds = core.time_parse(value)
  end
  if not seconds or not (seconds >= 0 and seconds <= LATEST) then
    return "a time such as 2026-01-31T09:00:00Z or seconds since the epoch"
  end
  return nil
end

--- Seconds of a time argument that not_time let pass.
-- @param value a string, a number or nil
-- @treturn number|nil
function time.seconds(value)
  if type(value) == "string" then
    return core.time_parse(value)
  end
  return value
end

return time
