--- Durations, times, sizes and counts as people read them.
-- @module tasker.cli.support.format

local format = {}

--- `340 ms`, `1.24 s`, `2 m 03 s`, `3 h 12 m`, `2 d 4 h`.
-- @number seconds
-- @treturn string
function format.duration(seconds)
  if seconds < 0.0005 then
    return "0 ms"
  elseif seconds < 0.9995 then
    return ("%.0f ms"):format(seconds * 1000)
  elseif seconds < 9.995 then
    return ("%.2f s"):format(seconds)
  elseif seconds < 59.5 then
    return ("%.0f s"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return ("%d m %02d s"):format(whole // 60, whole % 60)
  elseif whole < 86400 then
    return ("%d h %02d m"):format(whole // 3600, whole % 3600 // 60)
  end
  return ("%d d %d h"):format(whole // 86400, whole % 86400 // 3600)
end

--- A duration without fractions of a second, for what goes on: `340 ms`, `4 s`, `2 m 03 s`.
-- @number seconds
-- @treturn string
function format.age(seconds)
  local text = format.duration(seconds < 1 and seconds or math.floor(seconds + 0.5)):gsub("^(%d)%.00 s$", "%1 s")
  return text
end

--- `12 s ago`, `in 3 m 10 s`, `now`.
-- @number seconds an epoch time
-- @number now an epoch time
-- @treturn string
function format.relative(seconds, now)
  local distance = seconds - now
  if math.abs(distance) < 0.5 then
    return "now"
  elseif distance > 0 then
    return "in " .. format.age(distance)
  end
  return format.age(-distance) .. " ago"
end

--- Epoch seconds of a time of a task or event, or nil.
-- @tparam string|nil text RFC 3339; other values (JSON null) are nil
-- @treturn number|nil
function format.epoch(text)
  return type(text) == "string" and require("tasker.core").time_parse(text) or nil
end

--- `2026-11-24 11:22:30` in the user's time zone.
-- @number seconds an epoch time
function format.local_time(seconds)
  return os.date("%Y-%m-%d %H:%M:%S", math.floor(seconds))
end

--- `12,345`.
-- @int number
function format.count(number)
  local text = ("%d"):format(number)
  local grouped = text:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^,", ""):gsub("^%-,", "-"))
end

--- `1 step`, `2 steps`, `1 index`, `2 indexes`.
function format.plural(number, one, many)
  return format.count(number) .. " " .. (number == 1 and one or many or one .. "s")
end

--- `512 bytes`, `12.3 KiB`, `4.5 GiB`.
-- @int bytes
function format.bytes(bytes)
  if bytes < 1024 then
    return format.plural(bytes, "byte")
  end
  local size, unit = bytes, 0
  local units = { "KiB", "MiB", "GiB", "TiB" }
  repeat
    size, unit = size / 1024, unit + 1
  until size < 1023.95 or unit == #units
  return ("%.1f %s"):format(size, units[unit])
end

local MULTIPLES = { [""] = 1, K = 1 << 10, M = 1 << 20, G = 1 << 30 }

--- Bytes of `1000000`, `512K`, `64M`, `1G` (also `64MiB`, `64MB`; binary multiples), or nil.
-- @string text
-- @treturn int|nil
function format.parse_bytes(text)
  local digits, unit = text:match("^(%d+)([KMGkmg]?)[iI]?[bB]?$")
  if not digits or #digits > 12 then
    return nil
  end
  return math.tointeger(digits) * MULTIPLES[unit:upper()]
end

--- The status in words: `in error`, `resolved manually`.
function format.status(status)
  return status == "error" and "in error" or (status:gsub("_", " "))
end

return format
