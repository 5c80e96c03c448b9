--- The formats that the drafts define: functions of a text that say whether it has the form.
-- @module tasker.schema.formats

local pattern = require "tasker.schema.pattern"

local formats = {}

-- ---- Times (RFC 3339) ----

local DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

function formats.date(text)
  local year, month, day = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not year then
    return false
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not DAYS[month] or day < 1 or day > DAYS[month] then
    return false
  end
  return month ~= 2 or day < 29 or (year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0))
end

-- Minutes east of UTC, or nil.
local function offset(text)
  if text == "Z" or text == "z" then
    return 0
  end
  local sign, hours, minutes = text:match("^([+-])(%d%d):(%d%d)$")
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then
    return nil
  end
  return (sign == "+" and 1 or -1) * (hours * 60 + minutes)
end

function formats.time(text)
  local hour, minute, second, rest = text:match("^(%d%d):(%d%d):(%d%d)(.*)$")
  if not hour then
    return false
  end
  local east = offset((rest:gsub("^%.%d+", "")))
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if not east or hour > 23 or minute > 59 or second > 60 then
    return false
  end
  -- A leap second is the last of a day in UTC.
  return second < 60 or (hour * 60 + minute - east) % 1440 == 1439
end

formats["date-time"] = function(text)
  local date, time = text:match("^([%d-]+)[Tt](.+)$")
  return date ~= nil and formats.date(date) and formats.time(time)
end

-- The units of one part of a duration, in order, without a gap.
local function units(text, order)
  local first, last
  for digits, unit in text:gmatch("(%d+)(%a)") do
    local at = order:find(unit, 1, true)
    if not at or (last and at ~= last + 1) then
      return false
    end
    first, last = first or at, at
    text = text:sub(#digits + 2)
  end
  return text == "" and first ~= nil
end

function formats.duration(text)
  local body = text:match("^P(.+)$")
  if not body then
    return false
  elseif body:match("^%d+W$") then
    return true
  end
  local date, time = body:match("^([^T]*)T(.*)$")
  date = date or body
  if time and not units(time, "HMS") then
    return false
  end
  return (time ~= nil and date == "") or units(date, "YMD")
end

-- ---- Addresses ----

function formats.ipv4(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for i = 1, #parts do
    if #parts[i] > 3 or tonumber(parts[i]) > 255 or parts[i]:match("^0%d") then
      return false
    end
  end
  return #parts == 4
end

-- Groups of 16 bits in a part of an address without `::`; nil when it is none.
local function groups(text, may_end_in_v4)
  if text == "" then
    return 0
  end
  local count = 0
  for group, rest in (text .. ":"):gmatch("([^:]*):()") do
    if group:match("^%x%x?%x?%x?$") then
      count = count + 1
    elseif may_end_in_v4 and rest > #text and formats.ipv4(group) then
      count = count + 2
    else
      return nil
    end
  end
  return count
end

function formats.ipv6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  if not head then
    return groups(text, true) == 8
  end
  local before, after = groups(head, false), groups(tail, true)
  return before ~= nil and after ~= nil and before + after <= 7
end

function formats.hostname(text)
  return require("tasker.schema.formats_idn").is_hostname(text, false)
end

formats["idn-hostname"] = function(text)
  return require("tasker.schema.formats_idn").is_hostname(text, true)
end

local ATEXT = "[%w!#$%%&'*+/=?^_`{|}~-]"

local function is_local_part(text, atext)
  if text:match('^".*"$') then
    local quoted = text:sub(2, -2):gsub("\\[ -~]", "")
    return not quoted:find('["\\%c]')
  end
  for atom in (text .. "."):gmatch("([^.]*)%.") do
    if atom == "" or atom:gsub(atext, "") ~= "" then
      return false
    end
  end
  return true
end

local function is_mail_domain(text, international)
  local literal = text:match("^%[(.*)%]$")
  if literal then
    local v6 = literal:match("^[iI][pP][vV]6:(.*)$")
    return v6 and formats.ipv6(v6) or not v6 and formats.ipv4(literal)
  elseif international then
    local ascii = text:gsub("[\x80-\xff]+", "a")
    return formats.hostname(ascii) and #text <= 253
  end
  return formats.hostname(text)
end

local function email(international, atext)
  return function(text)
    local before, domain = text:match("^(.*)@([^@]*)$")
    return before ~= nil and #before >= 1 and #before <= 64 and is_local_part(before, atext) and
      is_mail_domain(domain, international)
  end
end

formats.email = email(false, ATEXT)
formats["idn-email"] = email(true, "[\x80-\xff" .. ATEXT:sub(2))

-- ---- URIs (RFC 3986, 3987) ----

local UNRESERVED, SUB = "%w._~%-", "!$&'()*+,;="

local function all_of(set)
  local whole = "^[" .. set .. "]*$"
  return function(text)
    return (text:gsub("%%%x%x", "")):match(whole) ~= nil
  end
end

local function is_port(text)
  return text == "" or text:match("^:%d*$") ~= nil
end

local function uri_checks(beyond)
  local word = UNRESERVED .. SUB .. beyond
  local is_name, is_user = all_of(word), all_of(word .. ":")
  local is_path, is_query = all_of(word .. ":@/"), all_of(word .. ":@/?")
  local function is_authority(text)
    local user, rest = text:match("^([^@]*)@(.*)$")
    if user and not is_user(user) then
      return false
    end
    rest = rest or text
    local literal, port = rest:match("^%[([^%]]*)%](.*)$")
    if literal then
      local future = literal:match("^[vV]%x+%.(.+)$")
      return is_port(port) and (future and is_user(future) and not future:find("%", 1, true) or formats.ipv6(literal))
    end
    local name = rest:match("^[^:]*")
    return is_name(name) and is_port(rest:sub(#name + 1))
  end
  return is_authority, is_path, is_query
end

local function uri(beyond, may_be_relative)
  local is_authority, is_path, is_query = uri_checks(beyond)
  return function(text)
    local rest, fragment = text:match("^([^#]*)#(.*)$")
    rest = rest or text
    local before, query = rest:match("^([^?]*)%?(.*)$")
    before = before or rest
    if (fragment and not is_query(fragment)) or (query and not is_query(query)) then
      return false
    end
    local scheme, tail = before:match("^(%a[%w+.-]*):(.*)$")
    if not scheme and (not may_be_relative or before:match("^[^/]*:")) then
      return false
    end
    tail = tail or before
    local authority, path = tail:match("^//([^/]*)(.*)$")
    return (not authority or is_authority(authority)) and is_path(path or tail)
  end
end

formats.uri = uri("", false)
formats["uri-reference"] = uri("", true)
formats.iri = uri("\x80-\xff", false)
formats["iri-reference"] = uri("\x80-\xff", true)

-- A name of a variable, with what says how it is to be written.
local function is_varspec(text)
  local name, modifier = text:match("^([%w_.%%]+)(.*)$")
  if not name or name:gsub("%%%x%x", ""):find("%", 1, true) or name:match("^%.") or name:match("%.$") or
    name:find("..", 1, true) then
    return false
  end
  return modifier == "" or modifier == "*" or modifier:match("^:[1-9]%d?%d?%d?$") ~= nil
end

formats["uri-template"] = function(text)
  local literals = text:gsub("{([^{}]*)}", function(expression)
    for spec in (expression:gsub("^[+#./;?&=,!@|]", "") .. ","):gmatch("([^,]*),") do
      if not is_varspec(spec) then
        return "{"
      end
    end
    return ""
  end)
  return not (literals:gsub("%%%x%x", "")):find("[%c \"%%<>\\^`{|}\x7f]")
end

-- ---- Others ----

function formats.uuid(text)
  return text:match("^%x+%-%x+%-%x+%-%x+%-%x+$") ~= nil and #text == 36 and
    text:match("^........%-....%-....%-....%-............$") ~= nil
end

formats["json-pointer"] = function(text)
  return (text == "" or text:sub(1, 1) == "/") and not text:gsub("~[01]", ""):find("~", 1, true)
end

formats["relative-json-pointer"] = function(text)
  local digits, rest = text:match("^(%d+)(.*)$")
  if not digits or digits:match("^0%d") then
    return false
  end
  return rest == "#" or formats["json-pointer"](rest)
end

function formats.regex(text)
  local matches, why = pattern.compile(text)
  -- PCRE2 has no lookbehind of variable length, which ECMA-262 has.
  return matches ~= nil or why:find("lookbehind", 1, true) ~= nil
end

return formats
