-- Zones as the system's zdump and date know them, and what becomes of local times in them: the reference that cron expressions
-- and recurrence rules are compared with. It shares no code with the core.
local zones = {}

-- Daylight saving of an hour, half an hour and two hours, in both hemispheres, in winter (Ireland), for Ramadan (Morocco), at
-- midnight; a day that never was, a zone that changed its mind, and zones that never change. With the first of five years.
zones.list = {
  { "UTC", 2024 }, { "Europe/Berlin", 2024 }, { "Europe/London", 2024 }, { "Europe/Dublin", 2024 }, { "Europe/Chisinau", 2024 },
  { "America/New_York", 2024 }, { "America/Los_Angeles", 2030 }, { "America/St_Johns", 2024 }, { "America/Havana", 2024 },
  { "America/Sao_Paulo", 2015 }, { "America/Santiago", 2024 }, { "America/Nuuk", 2021 }, { "America/Asuncion", 2021 },
  { "Australia/Lord_Howe", 2024 }, { "Australia/Sydney", 2040 }, { "Pacific/Auckland", 2024 }, { "Pacific/Chatham", 2024 },
  { "Pacific/Apia", 2009 }, { "Pacific/Norfolk", 2018 }, { "Asia/Tehran", 2019 }, { "Asia/Gaza", 2024 }, { "Asia/Beirut", 2024 },
  { "Asia/Kolkata", 2024 }, { "Asia/Kathmandu", 2024 }, { "Asia/Pyongyang", 2014 }, { "Africa/Casablanca", 2024 },
  { "Africa/Cairo", 2022 }, { "Antarctica/Troll", 2024 }, { "Europe/Moscow", 2010 },
}

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }
local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Days of a month.
function zones.month_days(year, month)
  return month == 2 and is_leap(year) and 29 or MONTH_DAYS[month]
end

local year_start = {}
-- Days from 1970-01-01 to the beginning of a year after it, counted year by year.
local function days_before_year(year)
  if not year_start[year] then
    local days = 0
    for before = 1970, year - 1 do
      days = days + (is_leap(before) and 366 or 365)
    end
    year_start[year] = days
  end
  return year_start[year]
end

-- Seconds since the epoch of a date and time in UTC, or local seconds of a local one.
function zones.seconds(year, month, day, hour, minute, second)
  local days = days_before_year(year) + day - 1
  for before = 1, month - 1 do
    days = days + zones.month_days(year, before)
  end
  return days * 86400 + (hour or 0) * 3600 + (minute or 0) * 60 + (second or 0)
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close(), command)
  return text
end

-- `{offsets = {{from, offset}, ...}, from, to}`: the offsets of a zone in five years, with a week before and after.
function zones.load(name, first_year)
  local zone = { name = name, from = zones.seconds(first_year, 1, 1), to = zones.seconds(first_year + 5, 1, 1),
    offsets = {}, quiet = {} }
  local at = zone.from - 7 * 86400
  local sign, hours, minutes = output_of(("TZ=%s date -d @%d +%%z"):format(name, at)):match("([+-])(%d%d)(%d%d)")
  zone.offsets[1] = { at, (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60) }
  local dump = output_of(("zdump -v -c %d,%d %s"):format(first_year - 1, first_year + 7, name))
  local pattern = "(%a+) +(%d+) (%d+):(%d+):(%d+) (%d+) UT .- gmtoff=(-?%d+)"
  for month, day, hour, minute, second, year, offset in dump:gmatch(pattern) do
    local utc = zones.seconds(tonumber(year), MONTHS[month], tonumber(day), tonumber(hour), tonumber(minute), tonumber(second))
    local last = zone.offsets[#zone.offsets]
    if utc > last[1] and tonumber(offset) ~= last[2] then
      zone.offsets[#zone.offsets + 1] = { utc, tonumber(offset) }
    end
  end
  return zone
end

-- The instants at which the clock shows `local_time`, in order; where there are none, also the end of the gap.
local function search_instants(zone, local_time)
  local offsets, found, gap_end = zone.offsets, {}, nil
  for i = 1, #offsets do
    local from, offset = offsets[i][1], offsets[i][2]
    local to = offsets[i + 1] and offsets[i + 1][1] or math.huge
    local utc = local_time - offset
    if utc >= from and utc < to then
      found[#found + 1] = utc
    end
    if i > 1 and local_time >= from + offsets[i - 1][2] and local_time < from + offset then
      gap_end = from
    end
  end
  return found, gap_end
end

-- The offset of a whole day that lies two days and more from every change, else false.
local function quiet_offset(zone, day)
  local offset = zone.offsets[1][2]
  for i = 2, #zone.offsets do
    local change = zone.offsets[i][1]
    if math.abs(change - day * 86400) < 3 * 86400 then
      return false
    elseif change < day * 86400 then
      offset = zone.offsets[i][2]
    end
  end
  return offset
end

local function instants_of(zone, local_time)
  local day = local_time // 86400
  if zone.quiet[day] == nil then
    zone.quiet[day] = quiet_offset(zone, day)
  end
  if zone.quiet[day] then
    return { local_time - zone.quiet[day] }
  end
  return search_instants(zone, local_time)
end

-- When local times fire, in order and each once. `rule` is "elapsed", or a gap's rule and an overlap's: "shift first".
function zones.fire(zone, local_times, rule)
  local seen, times = {}, {}
  local function fire(utc)
    if utc and utc >= zone.from and utc < zone.to and not seen[utc] then
      seen[utc] = true
      times[#times + 1] = utc
    end
  end
  local gap, overlap = rule:match("(%a+) (%a+)")
  for _, local_time in ipairs(local_times) do
    local found, gap_end = instants_of(zone, local_time)
    if #found == 0 then
      fire(gap == "shift" and gap_end)
    elseif #found == 1 or overlap == "first" then
      fire(found[1])
    elseif overlap == "last" then
      fire(found[#found])
    else
      for _, utc in ipairs(found) do
        fire(utc)
      end
    end
  end
  table.sort(times)
  return times
end

-- As the core writes a time.
function zones.text(utc)
  return os.date("!%Y-%m-%dT%H:%M:%S.000000Z", utc)
end

-- The first place where a list of texts is not the list of times, as a sentence; nil when they are equal up to `zone.to`.
function zones.difference(zone, texts, times)
  local limit = zones.text(zone.to)
  for i = 1, math.max(#texts, #times) do
    local expected = times[i] and zones.text(times[i])
    local found = texts[i] and texts[i] < limit and texts[i] or nil
    if expected ~= found then
      return ("%s, number %d: %s, the reference says %s"):format(zone.name, i, found, expected)
    elseif not found then
      return nil
    end
  end
  return nil
end

return zones
