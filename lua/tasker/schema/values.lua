--- JSON values in Lua as a schema sees them.
--
-- A table that is empty and bears no mark may stand for an object or for a list; what was decoded from `{}` or `[]` bears one.
-- @module tasker.schema.values

local core = require "tasker.core"

local json = core.json
local getmetatable, type, next = getmetatable, type, next
local floor = math.floor
local integer_type = math.type

local values = {}

local ARRAY = getmetatable(json.array {})
local OBJECT = getmetatable(json.decode "{}")

values.null = json.null

--- Is the value an object?
function values.is_object(value)
  return type(value) == "table" and value[1] == nil and getmetatable(value) ~= ARRAY
end

--- Is the value an array?
function values.is_array(value)
  if type(value) ~= "table" then
    return false
  elseif value[1] ~= nil then
    return true
  end
  local mark = getmetatable(value)
  return mark == ARRAY or (mark ~= OBJECT and next(value) == nil)
end

--- Is the value an empty table that could be either?
function values.is_unmarked(value)
  if next(value) ~= nil then
    return false
  end
  local mark = getmetatable(value)
  return mark ~= ARRAY and mark ~= OBJECT
end

--- A number without a fraction, however it is written.
function values.is_integer(value)
  return type(value) == "number" and (integer_type(value) == "integer" or (value - value == 0 and floor(value) == value))
end

--- The name of a value's type.
-- @treturn string
function values.type_name(value)
  if value == json.null or value == nil then
    return "null"
  elseif type(value) == "table" then
    return (value[1] ~= nil or getmetatable(value) == ARRAY) and "array" or "object"
  elseif values.is_integer(value) then
    return "integer"
  end
  return type(value)
end

-- "array", "object", or nil of a table that could be either.
local function shape(value)
  if value[1] ~= nil then
    return "array"
  elseif next(value) ~= nil then
    return "object"
  end
  local mark = getmetatable(value)
  return mark == ARRAY and "array" or mark == OBJECT and "object" or nil
end

--- Equality of JSON values: 1 and 1.0 are equal, keys have no order.
function values.equal(a, b)
  if a == b then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  end
  local of_a, of_b = shape(a), shape(b)
  if of_a and of_b and of_a ~= of_b then
    return false
  end
  for key, value in next, a do
    local other = b[key]
    if other == nil or not values.equal(value, other) then
      return false
    end
  end
  for key in next, b do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local CANONICAL = { canonical = true }

--- The places of the first two equal elements of a list, or nil.
function values.duplicate(list)
  local scalars, tables = {}, nil
  for i = 1, #list do
    local value = list[i]
    local seen = scalars
    if type(value) == "table" then
      tables = tables or {}
      seen, value = tables, json.encode(value, CANONICAL) or value
    end
    if value ~= value then
      return nil
    elseif seen[value] then
      return seen[value], i
    end
    seen[value] = i
  end
  return nil
end

-- digits, exponent of a finite number that is not 0, exactly as its shortest decimal says; digits end in no 0.
local function decimal(number)
  local digits, exponent
  if integer_type(number) == "integer" then
    digits, exponent = number, 0
    if digits < 0 then
      digits = digits == math.mininteger and digits or -digits
    end
  else
    local mantissa, power = nil, nil
    for precision = 14, 16 do
      local text = ("%." .. precision .. "e"):format(number < 0 and -number or number)
      mantissa, power = text:match("^(.*)e(.*)$")
      if tonumber(text) == number or tonumber(text) == -number then
        break
      end
    end
    local fraction = mantissa:match("%D(%d*)$") or ""
    digits, exponent = math.tointeger((mantissa:gsub("%D", ""))), math.tointeger(power) - #fraction
  end
  while digits % 10 == 0 do
    digits, exponent = digits // 10, exponent + 1
  end
  return digits, exponent
end

-- Above this a remainder times ten leaves 64 bits.
local MOST_DIVISOR = math.maxinteger // 10

--- Is a number a multiple of another (greater than 0), in decimal: 0.3 is one of 0.1?
function values.is_multiple(number, divisor)
  if number == 0 then
    return true
  elseif integer_type(number) == "integer" and integer_type(divisor) == "integer" then
    return number % divisor == 0
  elseif number - number ~= 0 then
    return false
  end
  local a, a_power = decimal(number)
  local b, b_power = decimal(divisor)
  if b > MOST_DIVISOR or a < 0 then
    return math.fmod(number, divisor) == 0
  elseif a_power >= b_power then
    local rest = a % b
    for _ = 1, a_power - b_power do
      if rest == 0 then
        return true
      end
      rest = rest * 10 % b
    end
    return rest == 0
  end
  -- a ends in no 0, so b has to divide it with a quotient that makes up for the powers of ten it lacks.
  local lacking = b_power - a_power
  return lacking < 19 and a % b == 0 and a // b % math.tointeger(10 ^ lacking) == 0
end

--- A token of a JSON Pointer.
function values.escape(token)
  return (tostring(token):gsub("~", "~0"):gsub("/", "~1"))
end

--- A value as an error shows it.
function values.describe(value)
  local text = json.encode(value)
  return text and #text <= 80 and text or "a certain value"
end

return values
