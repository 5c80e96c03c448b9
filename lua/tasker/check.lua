--- Checks of what callers pass, with the names they know: misuse raises, impossible values are `nil, invalid`.
-- @module tasker.check

local core = require "tasker.core"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local check = {}

check.LONGEST_NAME = core.bounds.name
check.LONGEST_STEP_NAME = core.bounds.step_name
check.LONGEST_TEXT = core.bounds.text
check.LARGEST_PRIORITY = 2147483647

--- A value as messages show it.
-- @param value
-- @treturn string
function check.show(value)
  if type(value) == "string" then
    local short = #value > 80 and value:sub(1, 77) .. "..." or value
    return "'" .. short:gsub("[%c\127]", "?") .. "'"
  elseif type(value) == "number" or type(value) == "boolean" or value == nil then
    return tostring(value)
  end
  return "a " .. type(value)
end

local ARTICLES = { number = "a number", string = "a string", table = "a table", boolean = "a boolean",
  ["function"] = "a function" }

-- "a string or a number" of "string|number".
local function describe_types(types)
  local names = {}
  for name in types:gmatch("[^|]+") do
    names[#names + 1] = ARTICLES[name] or name
  end
  return table.concat(names, " or ")
end

local type_sets = {}   -- "string|number" -> {string = true, number = true}

local function has_type(value, types)
  local actual = type(value)
  if actual == types then
    return true
  end
  local set = type_sets[types]
  if not set then
    set = {}
    for name in types:gmatch("[^|]+") do
      set[name] = true
    end
    type_sets[types] = set
  end
  return set[actual] == true
end

--- What a value of another type should have been: "must be a string or a number, not 5"; nil when it has one of the types.
-- @param value
-- @string types as "string|number"
-- @treturn string|nil
function check.wrong_type(value, types)
  if has_type(value, types) then
    return nil
  end
  return ("must be %s, not %s"):format(describe_types(types), check.show(value))
end

--- Raises unless value has one of the types.
-- @param value
-- @string types as "string|number"
-- @string what "app:submit: handler"
-- @int level as in error, counted from the caller
function check.type(value, types, what, level)
  local wrong = check.wrong_type(value, types)
  if wrong then
    error(("%s %s"):format(what, wrong), (level or 1) + 1)
  end
end

--- Checks a table of options against its declaration, `{name = {types, impossible}}`: `impossible(value)` returns what
-- the value should have been when it cannot be.
-- @tab options
-- @tab declared
-- @string what "app:submit: option"
-- @int level as in error, counted from the caller, for what raises: an unknown name, a wrong type
-- @return true, or nil
-- @return an err `invalid` that names the option
function check.options(options, declared, what, level)
  for name, value in next, options do
    local declaration = declared[name]
    if not declaration then
      error(("%s %s is unknown%s"):format(what, check.show(name), suggest.hint(name, declared)), level + 1)
    end
    if not has_type(value, declaration[1]) then
      check.type(value, declaration[1], ("%s '%s'"):format(what, name), level + 1)
    end
    local impossible = declaration[2]
    local wanted = impossible and impossible(value)
    if wanted then   -- of a table it tells itself what is wrong in it
      return errors.invalid("%s '%s' must be %s%s", what, name, wanted,
        type(value) ~= "table" and ", not " .. check.show(value) or "")
    end
  end
  return true
end

-- Each of these returns nothing when the value can be, else what it should have been.

--- Letters, digits and `_.-`.
function check.not_name(value, longest)
  longest = longest or check.LONGEST_NAME
  if #value == 0 or #value > longest or not value:match("^[A-Za-z0-9_.-]+$") then
    return ("1 to %d characters of A-Z a-z 0-9 _ . -"):format(longest)
  end
  return nil
end

--- A text as the store keeps it.
function check.not_text(value)
  if #value > check.LONGEST_TEXT then
    return ("at most %d bytes"):format(check.LONGEST_TEXT)
  elseif not utf8.len(value) then
    return "valid UTF-8"
  end
  return nil
end

--- A text that is not empty.
function check.not_key(value)
  return value == "" and "a text that is not empty" or check.not_text(value)
end

--- A function that checks for an integer in a range.
function check.not_integer(min, max)
  local wanted = ("an integer from %d to %d"):format(min, max)
  return function(value)
    local integer = math.tointeger(value)
    if not integer or integer < min or integer > max then
      return wanted
    end
    return nil
  end
end

check.not_priority = check.not_integer(-check.LARGEST_PRIORITY - 1, check.LARGEST_PRIORITY)

--- A function that checks for one of some words.
function check.one_of(...)
  local words = { ... }
  local wanted = "one of \"" .. table.concat(words, "\", \"") .. "\""
  return function(value)
    for _, word in ipairs(words) do
      if value == word then
        return nil
      end
    end
    return wanted
  end
end

--- Seconds, 0 or more.
function check.not_seconds(value)
  if not (value >= 0 and value <= errors.LONGEST_SECONDS) then
    return ("a number of seconds from 0 to %d"):format(errors.LONGEST_SECONDS)
  end
  return nil
end

--- Seconds, more than 0.
function check.not_duration(value)
  if not (value > 0 and value <= errors.LONGEST_SECONDS) then
    return ("a number of seconds above 0, at most %d"):format(errors.LONGEST_SECONDS)
  end
  return nil
end

--- Is it a list: keys 1..n and nothing else?
-- @tab value
-- @treturn bool
function check.is_list(value)
  local count = 0
  for key in next, value do
    if math.type(key) ~= "integer" or key < 1 then
      return false
    end
    count = count + 1
  end
  return count == #value
end

--- A list of strings, each checked.
-- @func[opt] impossible for each element
function check.not_list_of(impossible, longest)
  return function(value)
    if not check.is_list(value) then
      return "a list of strings"
    elseif longest and #value > longest then
      return ("a list of at most %d"):format(longest)
    end
    for _, element in ipairs(value) do
      if type(element) ~= "string" then
        return ("a list of strings (%s is not)"):format(check.show(element))
      end
      local wanted = impossible and impossible(element)
      if wanted then
        return ("a list of strings, each %s (%s is not)"):format(wanted, check.show(element))
      end
    end
    return nil
  end
end

return check
