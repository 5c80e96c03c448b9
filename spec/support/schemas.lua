--- Random schemas and values, the same for the same seed; and schemas broken at random.
local json = require("tasker.core").json

local schemas = {}

local function pick(random, list)
  return list[random(#list)]
end

local NAMES = { "a", "b", "c", "dd" }
local SCALARS = { 0, 1, 2, -1, 1.5, 3, 10, true, false, json.null, "", "a", "ab", "abc", "2024-01-01", "é", 1e300, math.mininteger }
local TYPES = { "null", "boolean", "object", "array", "number", "string", "integer" }
local PATTERNS = { "^a", "b$", "^[a-c]+$", "", "\\d", "." }

--- A value.
-- @tparam function random as math.random
-- @tparam int depth
function schemas.value(random, depth)
  local kind = random(10)
  if depth <= 0 or kind <= 5 then
    return pick(random, SCALARS)
  elseif kind <= 7 then
    local list = json.array {}
    for i = 1, random(0, 3) do
      list[i] = schemas.value(random, depth - 1)
    end
    return list
  end
  local object = json.decode "{}"
  for _ = 1, random(0, 3) do
    object[pick(random, NAMES)] = schemas.value(random, depth - 1)
  end
  return object
end

local function list_of(random, depth, most)
  local list = {}
  for i = 1, random(most) do
    list[i] = schemas.schema(random, depth)
  end
  return list
end

local function map_of(random, depth, names)
  local map = {}
  for _ = 1, random(2) do
    map[pick(random, names)] = schemas.schema(random, depth)
  end
  return map
end

local function names(random)
  local list, seen = json.array {}, {}
  for _ = 1, random(0, 2) do
    local name = pick(random, NAMES)
    if not seen[name] then
      seen[name], list[#list + 1] = true, name
    end
  end
  return list
end

local makers = {
  type = function(random) return random(4) == 1 and { "string", pick(random, { "null", "integer", "object" }) } or pick(random, TYPES) end,
  const = function(random) return schemas.value(random, 1) end,
  enum = function(random) return { schemas.value(random, 1), schemas.value(random, 1), pick(random, SCALARS) } end,
  minimum = function(random) return random(-2, 3) end,
  maximum = function(random) return random(-2, 5) end,
  exclusiveMinimum = function(random) return random(-2, 3) end,
  exclusiveMaximum = function(random) return random(0, 5) / 2 end,
  multipleOf = function(random) return pick(random, { 1, 2, 0.5, 0.1 }) end,
  minLength = function(random) return random(0, 3) end,
  maxLength = function(random) return random(0, 3) end,
  pattern = function(random) return pick(random, PATTERNS) end,
  minItems = function(random) return random(0, 2) end,
  maxItems = function(random) return random(0, 3) end,
  uniqueItems = function(random) return random(2) == 1 end,
  minProperties = function(random) return random(0, 2) end,
  maxProperties = function(random) return random(0, 3) end,
  required = names,
  dependentRequired = function(random) return { [pick(random, NAMES)] = names(random) } end,
  properties = function(random, depth) return map_of(random, depth, NAMES) end,
  patternProperties = function(random, depth) return map_of(random, depth, PATTERNS) end,
  additionalProperties = function(random, depth) return random(3) ~= 1 and random(2) == 1 or schemas.schema(random, depth) end,
  propertyNames = function(random) return { maxLength = random(0, 2) } end,
  dependentSchemas = function(random, depth) return map_of(random, depth, NAMES) end,
  unevaluatedProperties = function(random, depth) return random(2) == 1 and false or schemas.schema(random, depth) end,
  items = function(random, depth) return schemas.schema(random, depth) end,
  prefixItems = function(random, depth) return list_of(random, depth, 2) end,
  contains = function(random, depth) return schemas.schema(random, depth) end,
  minContains = function(random) return random(0, 2) end,
  maxContains = function(random) return random(0, 2) end,
  unevaluatedItems = function(random, depth) return random(2) == 1 and false or schemas.schema(random, depth) end,
  allOf = function(random, depth) return list_of(random, depth, 2) end,
  anyOf = function(random, depth) return list_of(random, depth, 3) end,
  oneOf = function(random, depth) return list_of(random, depth, 3) end,
  ["not"] = function(random, depth) return schemas.schema(random, depth) end,
  ["if"] = function(random, depth) return schemas.schema(random, depth) end,
  ["then"] = function(random, depth) return schemas.schema(random, depth) end,
  ["else"] = function(random, depth) return schemas.schema(random, depth) end,
  ["$ref"] = function() return "#/$defs/d" end,
}

local KEYWORDS = {}
for keyword in pairs(makers) do
  KEYWORDS[#KEYWORDS + 1] = keyword
end
table.sort(KEYWORDS)

--- A schema; its `$ref` need `$defs.d`, which whole has.
function schemas.schema(random, depth)
  if depth <= 0 then
    return random(4) == 1 and (random(3) > 1) or { type = pick(random, TYPES) }
  end
  local schema = {}
  for _ = 1, random(1, 4) do
    local keyword = pick(random, KEYWORDS)
    schema[keyword] = makers[keyword](random, depth - 1)
  end
  return schema
end

--- A schema that can stand alone.
function schemas.whole(random, depth)
  local schema = schemas.schema(random, depth)
  if type(schema) == "table" then
    local definition = schemas.schema(random, depth - 1)
    if type(definition) == "table" then
      definition["$ref"] = nil
    end
    schema["$defs"] = { d = definition }
  end
  return schema
end

--- The schema with one place replaced by something that may not belong there.
function schemas.break_one(random, schema)
  local text = json.encode(schema)
  local copy = json.decode(text)
  local places = {}
  local function walk(node)
    for key, value in next, node do
      places[#places + 1] = { node, key }
      if type(value) == "table" then
        walk(value)
      end
    end
  end
  if type(copy) ~= "table" then
    return schemas.value(random, 1)
  end
  walk(copy)
  table.sort(places, function(a, b) return tostring(a[2]) < tostring(b[2]) end)
  local place = #places > 0 and pick(random, places)
  if place then
    place[1][place[2]] = pick(random, { 0, -1, "x", "(", "#", "#/$defs/d", "%zz", "http://[", true, json.null, {}, json.array {},
      1.5, { 1 } })
  end
  return copy
end

--- A source of random numbers of its own, as math.random.
function schemas.random(seed)
  local state = seed * 2862933555777941757 + 3037000493
  return function(low, high)
    if not high then
      low, high = 1, low
    end
    state = state * 6364136223846793005 + 1442695040888963407
    return low + ((state >> 33) % (high - low + 1))
  end
end

return schemas
