local tasker = require "tasker"
local zones = require "spec.support.zones"

-- A second reading of cron expressions, as plain as possible: a function that tells whether a day fits, and lists of hours,
-- minutes and seconds.
local NAMES = { JAN = 1, FEB = 2, MAR = 3, APR = 4, MAY = 5, JUN = 6, JUL = 7, AUG = 8, SEP = 9, OCT = 10, NOV = 11, DEC = 12,
  SUN = 0, MON = 1, TUE = 2, WED = 3, THU = 4, FRI = 5, SAT = 6 }

local function number_of(word)
  return tonumber(word) or assert(NAMES[word:upper()], word)
end

-- The plain items of a field as a set, the others as a list.
local function read_field(text, least, most)
  local set, others = {}, {}
  for item in text:gmatch("[^,]+") do
    local range, step = item:match("^(.-)/(%d+)$")
    range = range or item
    local from, to = range:match("^(%w+)%-(%w+)$")
    if range == "*" then
      from, to = least, most
    elseif not from and range:match("^%d+$") or NAMES[range:upper()] then
      from, to = range, step and most or range
    end
    if from and not from:match("^[Ll]$") then
      local last = to:upper() == "SUN" and from ~= to and 7 or number_of(to)
      for value = number_of(from), last, step or 1 do
        set[value] = true
      end
    else
      others[#others + 1] = item:upper()
    end
  end
  return set, others
end

local function is_star(text)
  return text:match("^%*$") or text:match("^%*/%d+$")
end

local function sorted(set)
  local list = {}
  for value in pairs(set) do
    list[#list + 1] = value
  end
  table.sort(list)
  return list
end

-- The weekday, 0 is Sunday; days are counted from 1970-01-01, a Thursday.
local function weekday_of(days)
  return (days + 4) % 7
end

-- The Monday to Friday nearest to `day` of the month that ends with `last`, searched by trying.
local function nearest_weekday(first_days, day, last)
  for _, distance in ipairs { 0, -1, 1, -2, 2 } do
    local weekday = weekday_of(first_days + day + distance - 1)
    if day + distance >= 1 and day + distance <= last and weekday >= 1 and weekday <= 5 then
      return day + distance
    end
  end
end

local function special_day_fits(item, date)
  local before, near = item:match("^L%-?(%d*)(W?)$")
  local day = before and date.last - (tonumber(before) or 0)
  if not day then
    day, near = tonumber(item:match("^(%d+)W$")), "W"
  end
  if day < 1 or day > date.last then
    return false
  end
  return (near == "W" and nearest_weekday(date.days - date.day + 1, day, date.last) or day) == date.day
end

local function special_weekday_fits(item, date)
  local name, nth = item:match("^(%w+)#(%d)$")
  if name then
    return number_of(name) % 7 == date.weekday and (date.day - 1) // 7 + 1 == tonumber(nth)
  end
  return number_of(item:match("^(%w+)L$")) % 7 == date.weekday and date.day + 7 > date.last
end

local function any(list, fits, date)
  for _, item in ipairs(list) do
    if fits(item, date) then
      return true
    end
  end
  return false
end

local function read_expression(expression)
  local fields = {}
  for field in expression:gmatch("%S+") do
    fields[#fields + 1] = field
  end
  if #fields == 5 then
    table.insert(fields, 1, "0")
  end
  local days, special_days = read_field(fields[4], "1", "31")
  local months = read_field(fields[5], "1", "12")
  local weekdays, special_weekdays = read_field(fields[6], "0", "6")
  local both = is_star(fields[4]) or is_star(fields[6])
  local function day_fits(date)
    local by_day = days[date.day] or any(special_days, special_day_fits, date)
    local by_weekday = weekdays[date.weekday] or date.weekday == 0 and weekdays[7]
      or any(special_weekdays, special_weekday_fits, date)
    return months[date.month] and (both and by_day and by_weekday or not both and (by_day or by_weekday))
  end
  return { day_fits = day_fits, seconds = sorted(read_field(fields[1], "0", "59")),
    minutes = sorted(read_field(fields[2], "0", "59")), hours = sorted(read_field(fields[3], "0", "23")),
    elapsed = is_star(fields[3]) ~= nil }
end

local function add_times(times, read, date, midnight)
  if not read.day_fits(date) then
    return
  end
  for _, hour in ipairs(read.hours) do
    for _, minute in ipairs(read.minutes) do
      for _, second in ipairs(read.seconds) do
        times[#times + 1] = midnight + hour * 3600 + minute * 60 + second
      end
    end
  end
end

-- All local times of an expression in five years, and a month before and after, day by day, minute by minute.
local function local_times(read, first_year)
  local times = {}
  for year = first_year - 1, first_year + 5 do
    for month = year < first_year and 12 or 1, year == first_year + 5 and 1 or 12 do
      local last = zones.month_days(year, month)
      for day = 1, last do
        local midnight = zones.seconds(year, month, day)
        local days = midnight // 86400
        add_times(times, read, { day = day, month = month, last = last, days = days, weekday = weekday_of(days) }, midnight)
      end
    end
  end
  return times
end

-- Many of them fire in the hours in which zones change.
local EXPRESSIONS = { "30 2 * * *", "0 2 * * THU-SUN", "15 1 * * 5-7", "0 0 * * *", "30 0 * * fri-Sun", "0 3 * 3,4,9-12 *",
  "45 23 * * 4-6", "0 12 */3 * *", "0,30 1-3 * * SUN", "*/10 2 * 3,10 SAT,SUN", "0 0-4 * 3,4,9,10,11 0", "0 9 * * MON",
  "0 */6 * * 0,5", "30 */2 * * SUN#1,7L", "0 * * * 7#2,SUNL", "*/20 * 26-31 3,10 ?", "59 23 L * *", "0 1 L-3 * *", "30 2 LW * *",
  "0 9 15W * *", "0 2 1W,15,L * *", "0 2 * * 0L", "30 1 * * SUN#1", "0 2 * * 7#2,FRIL", "0 0 13 * FRI", "0 3 */2 * 0", "0 2 1-7 * */7",
  "0 0 31 12 *", "30 2 29 2 *", "30 30 2 * 3,10 SUN", "*/20 30 1 L * *", "15,45 0 3 * * SUN#5", "0 0 1 1,4,7,10 *", "0 0 30 12 ?",
  "10 2/7 L-1W * 6", "7-50/13 1,2 25-31 3,10 *" }

-- Each expression in each zone under the first of them, and the others in turn.
local RULES = { "shift first", "skip last", "shift both", "skip first" }

local function dst_of(rule)
  local gap, overlap = rule:match("(%a+) (%a+)")
  return { gap = gap, overlap = overlap }
end

-- Compares one expression over five years; returns a sentence, or nil when all is equal.
local function compare(zone, expression, read, locals, rule)
  local times = zones.fire(zone, locals, read.elapsed and "skip both" or rule)
  local texts, err = tasker.cron.next(expression,
    { timezone = zone.name, after = zone.from - 1, count = #times + 1, dst = dst_of(rule) })
  if not texts then
    return tostring(err)
  end
  local difference = zones.difference(zone, texts, times)
  return difference and ("'%s' (%s) in %s"):format(expression, rule, difference)
end

-- Every expression under every rule in these zones; returns the number of cases and the differences.
local function compare_all(list, expressions)
  local cases, differences, cache = 0, {}, {}
  for _, entry in ipairs(list) do
    local name, first_year = entry[1], entry[2]
    local zone = zones.load(name, first_year)
    for _, expression in ipairs(expressions) do
      local key = expression .. first_year
      local read = read_expression((expression:gsub("%?", "*")))
      cache[key] = cache[key] or local_times(read, first_year)
      for _, rule in ipairs { RULES[1], RULES[2 + cases // 2 % 3] } do
        cases = cases + 1
        differences[#differences + 1] = compare(zone, expression, read, cache[key], rule)
      end
    end
  end
  return cases, table.concat(differences, "\n", 1, math.min(#differences, 10))
end

describe("cron", function()
  it("agrees with a search minute by minute in three zones", function()
    local list = { { "Europe/Berlin", 2024 }, { "Australia/Lord_Howe", 2024 }, { "Pacific/Apia", 2009 } }
    local some = {}
    for i = 1, #EXPRESSIONS, 2 do
      some[#some + 1] = EXPRESSIONS[i]
    end
    local cases, differences = compare_all(list, some)
    assert.equal("", differences)
    assert.equal(3 * 18 * 2, cases)
  end)

  it("agrees with a search minute by minute in 29 zones over five years #slow", function()
    local cases, differences = compare_all(zones.list, EXPRESSIONS)
    assert.equal("", differences)
    assert.is_true(cases >= 2000)
  end)

  it("lists the next times in UTC, after the given one", function()
    local options = { timezone = "Europe/Berlin", after = "2026-03-27T08:00:00Z", count = 3 }
    assert.same({ "2026-03-30T07:00:00.000000Z", "2026-03-31T07:00:00.000000Z", "2026-04-01T07:00:00.000000Z" },
      tasker.cron.next("0 9 * * MON-FRI", options))
    assert.same({ "1970-01-01T00:01:00.000000Z" }, tasker.cron.next("* * * * *", { after = 0 }))
    assert.same({ "1970-01-01T00:00:01.000000Z" }, tasker.cron.next("* * * * * *", { after = 0.5 }))
  end)

  it("gives one time after now unless told otherwise", function()
    local list = tasker.cron.next("* * * * * *")
    assert.equal(1, #list)
    local ahead = tasker.time.parse(list[1]) - tasker.now()
    assert.is_true(ahead > -10 and ahead <= 1)
  end)

  it("gives what there is when the years end", function()
    local list = tasker.cron.next("0 0 31 12 *", { after = "9997-01-01T00:00:00Z", count = 100 })
    assert.equal(3, #list)
    local none, err = tasker.cron.next("0 0 1 1 *", { after = "9999-06-01T00:00:00Z" })
    assert.is_nil(none)
    assert.equal("invalid", err.code)
    assert.matches("never comes after that time in the zone UTC", err.message)
  end)

  it("names the place of a mistake", function()
    local places = { ["0 25 * * *"] = 3, ["* * * *"] = 8, ["0 0 * * FRI-MON"] = 9, ["0 0 30 2 *"] = 5, ["@never"] = 1 }
    for expression, position in pairs(places) do
      local none, err = tasker.cron.next(expression)
      assert.is_nil(none)
      assert.equal("invalid", err.code)
      assert.equal(position, err.details.position)
      assert.matches("at character " .. position .. "$", err.message)
    end
  end)

  it("refuses zones that there are not", function()
    for _, name in ipairs { "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "", "Europe", "right/Europe/Berlin" } do
      local none, err = tasker.cron.next("* * * * *", { timezone = name })
      assert.is_nil(none, name)
      assert.equal("invalid", err.code)
    end
  end)

  it("refuses values that cannot be, and raises for options that are none", function()
    for _, options in ipairs { { count = 0 }, { count = 1.5 }, { count = 0 / 0 }, { count = 1e9 }, { after = "yesterday" },
      { after = -1 }, { dst = { gap = "both" } }, { dst = { overlap = "skip" } } } do
      local none, err = tasker.cron.next("* * * * *", options)
      assert.is_nil(none)
      assert.equal("invalid", err.code)
    end
    assert.error_matches(function() tasker.cron.next(5) end, "the expression must be a string")
    assert.error_matches(function() tasker.cron.next("* * * * *", 5) end, "the options must be a table")
    assert.error_matches(function() tasker.cron.next("* * * * *", { zone = "UTC" }) end, "option 'zone' is unknown")
    assert.error_matches(function() tasker.cron.next("* * * * *", { count = "1" }) end, "'count' must be a number")
    assert.error_matches(function() tasker.cron.next("* * * * *", { dst = { gaps = "skip" } }) end, "did you mean 'gap'")
  end)
end)
