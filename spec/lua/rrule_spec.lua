local tasker = require "tasker"
local zones = require "spec.support.zones"

local function seconds_of(text)
  local year, month, day, hour, minute, second = text:match("^(%d%d%d%d)(%d%d)(%d%d)T(%d%d)(%d%d)(%d%d)$")
  return zones.seconds(tonumber(year), tonumber(month), tonumber(day), tonumber(hour), tonumber(minute), tonumber(second))
end

-- The lines of spec/data/rrule.txt for one use: `{start, rule, times}`, times in local seconds.
local function reference(use)
  local cases = {}
  for line in io.lines("spec/data/rrule.txt") do
    local of, start, rule, list = line:match("^(%a+)\t(%w+)\t(%S+)\t(.*)$")
    if of == use then
      local times = {}
      for time in list:gmatch("%S+") do
        times[#times + 1] = seconds_of(time)
      end
      cases[#cases + 1] = { start = start, rule = rule, times = times }
    end
  end
  return cases
end

local function next_by_rule(case, options)
  options.after = options.after or 0
  return tasker.cron.next_by_rule("DTSTART:" .. case.start .. "\nRRULE:" .. case.rule, options)
end

-- The first eight times of every rule of the reference.
local function compare_first(case)
  local list, err = next_by_rule(case, { count = 8 })
  if not list then
    return case.rule .. ": " .. tostring(err)
  end
  for i = 1, 8 do
    local expected = case.times[i] and zones.text(case.times[i])
    if list[i] ~= expected then
      return ("%s from %s, number %d: %s, the reference says %s"):format(case.rule, case.start, i, list[i], expected)
    end
  end
  return nil
end

local RULES = { "shift first", "skip last", "shift both", "skip first" }

-- The times of a rule in a zone, up to the last that the reference lists.
local function compare_zoned(case, zone, rule)
  local gap, overlap = rule:match("(%a+) (%a+)")
  local times = zones.fire(zone, case.times, rule)
  local texts, err = next_by_rule(case,
    { after = zone.from - 1, count = math.max(#times, 1), timezone = zone.name, dst = { gap = gap, overlap = overlap } })
  if not texts and #times > 0 then
    return case.rule .. ": " .. tostring(err)
  end
  local difference = #times > 0 and zones.difference(zone, texts, times)
  return difference and ("%s (%s) in %s"):format(case.rule, rule, difference) or nil
end

describe("recurrence rules", function()
  it("name the times that an independent reading of RFC 5545 names", function()
    local cases, differences = reference "first", {}
    for _, case in ipairs(cases) do
      differences[#differences + 1] = compare_first(case)
    end
    assert.equal("", table.concat(differences, "\n"))
    assert.is_true(#cases > 300)
  end)

  it("follow the rule for times that a zone skips or repeats, in every kind of zone", function()
    local cases, differences, compared = reference "zones", {}, 0
    for _, entry in ipairs(zones.list) do
      local zone = zones.load(entry[1], 2024)
      for _, case in ipairs(cases) do
        for _, rule in ipairs { RULES[1], RULES[2 + compared // 2 % 3] } do
          compared = compared + 1
          differences[#differences + 1] = compare_zoned(case, zone, rule)
        end
      end
    end
    assert.equal("", table.concat(differences, "\n", 1, math.min(#differences, 10)))
    assert.is_true(compared >= 1000)
  end)

  it("leave out what EXDATE names and add what RDATE names", function()
    local rule = table.concat({ "DTSTART:20260101T090000", "RRULE:FREQ=DAILY;COUNT=6", "EXDATE:20260102T090000,20260104T080000",
      "EXDATE;VALUE=DATE:20260103", "RDATE:20260201T080000,20260103T100000", "" }, "\r\n")
    assert.same({ "2026-01-01T00:00:00.000000Z", "2026-01-04T00:00:00.000000Z", "2026-01-05T00:00:00.000000Z",
      "2026-01-06T00:00:00.000000Z", "2026-01-31T23:00:00.000000Z" },
      tasker.cron.next_by_rule(rule, { timezone = "Asia/Tokyo", after = 0, count = 100 }))
  end)

  it("start where the option says unless the rule does", function()
    local options = { after = 0, starts = "2026-05-06T07:08:09Z", timezone = "Europe/Berlin", count = 2 }
    assert.same({ "2026-05-06T07:08:09.000000Z", "2027-05-06T07:08:09.000000Z" },
      tasker.cron.next_by_rule("FREQ=YEARLY", options))
    assert.same({ "2026-01-01T23:00:00.000000Z", "2027-01-01T23:00:00.000000Z" },
      tasker.cron.next_by_rule("DTSTART;VALUE=DATE:20260102\nFREQ=YEARLY", options))
  end)

  it("are refused with the place of a mistake", function()
    for rule, position in pairs { ["FREQ=DAILY;BYDAY=1MO"] = 1, ["FREQ=SOMETIMES"] = 6, ["FREQ=DAILY;COUNT=0"] = 18,
      ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"] = 1, ["DTSTART;TZID=Europe/Berlin:20260101T000000\nFREQ=DAILY"] = 9 } do
      local none, err = tasker.cron.next_by_rule(rule)
      assert.is_nil(none)
      assert.equal("invalid", err.code)
      assert.equal(position, err.details.position, rule)
    end
    assert.error_matches(function() tasker.cron.next_by_rule() end, "the rule must be a string")
    assert.error_matches(function() tasker.cron.next_by_rule("FREQ=DAILY", { start = 0 }) end, "did you mean 'starts'")
  end)
end)
