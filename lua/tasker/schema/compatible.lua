--- Does one schema accept all that another does?
--
-- The question is undecidable in general. What is shown here is shown by comparing keyword by keyword; where that does not
-- settle it, the answer is no, with the reason. A schema is looked at as a list of *parts* that all hold: itself, its allOf, what
-- its $ref means. `wide` is to accept all that `narrow` does.
-- @module tasker.schema.compatible

local compiler = require "tasker.schema.compiler"
local pattern = require "tasker.schema.pattern"
local values = require "tasker.schema.values"

local compatible = {}

-- Comparisons of one pair of schemas, and reasons that are given.
local MOST_COMPARISONS = 100000
local MOST_REASONS = 100

local TRUE = { node = true, at = "#" }

local function child(part, keyword, key)
  local value = part.node[keyword]
  local at = ("%s/%s"):format(part.at, keyword)
  if key ~= nil then
    value = value[key]
    at = ("%s/%s"):format(at, values.escape(math.type(key) == "integer" and key - 1 or key))
  end
  local resource = part.resource
  if type(value) == "table" then
    resource = part.side.documents:resource_of(value, resource)
  end
  return { node = value, at = at, resource = resource, side = part.side }
end

-- All that holds of a schema, flat. Beside a $ref of draft-07 nothing else counts.
local function parts_of(part, into, seen)
  into, seen = into or {}, seen or {}
  if seen[part.at] then
    return into
  end
  seen[part.at] = true
  local node = part.node
  local reference = type(node) == "table" and type(node["$ref"]) == "string" and node["$ref"]
  if not (reference and part.resource.draft.is_old) then
    into[#into + 1] = part
  end
  if reference then
    local target = part.side.documents:resolve(part.resource, reference, part.at)
    target.side = part.side
    parts_of(target, into, seen)
  end
  for i = 1, type(node) == "table" and type(node.allOf) == "table" and #node.allOf or 0 do
    parts_of(child(part, "allOf", i), into, seen)
  end
  return into
end

local function join(lists)
  local all = {}
  for _, list in ipairs(lists) do
    table.move(list, 1, #list, #all + 1, all)
  end
  return all
end

local function any(parts, test)
  for _, part in ipairs(parts) do
    if type(part.node) == "table" and test(part.node, part) then
      return true
    end
  end
  return false
end

-- ---- A comparison ----

local Comparison = {}
Comparison.__index = Comparison

function Comparison:reason(part, format, ...)
  local text = ("%s: the %s schema %s"):format(part.at, self.wide_name, format:format(...))
  if #self.reasons < MOST_REASONS and not self.seen[text] then
    self.reasons[#self.reasons + 1], self.seen[text] = text, true
  end
  return false
end

local ALL_TYPES = { "array", "boolean", "integer", "null", "number", "object", "string" }

local function names_of(value)
  local set = {}
  for _, name in ipairs(value == nil and ALL_TYPES or type(value) == "string" and { value } or value) do
    set[name] = true
  end
  set.integer = set.integer or set.number
  return set
end

-- The types that all parts together allow.
local function types_of(parts)
  local set = names_of(nil)
  for _, part in ipairs(parts) do
    local own = names_of(type(part.node) == "table" and part.node.type or nil)
    for name in pairs(set) do
      set[name] = own[name]
    end
  end
  return set
end

-- Is there no value at all?
local function is_nothing(parts)
  for _, part in ipairs(parts) do
    if part.node == false then
      return true
    end
  end
  return next(types_of(parts)) == nil
end

-- The values that are all there can be, or nil.
local function values_of(parts)
  for _, part in ipairs(parts) do
    local node = part.node
    if type(node) == "table" and node.const ~= nil then
      return { node.const }
    elseif type(node) == "table" and type(node.enum) == "table" then
      return node.enum
    end
  end
  return nil
end

-- ---- Keywords that assert: function(self, wide's value, wide, narrow parts, narrow types) ----

local rules = {}

function rules.type(self, value, wide, _, types)
  local allowed, missing = names_of(value), {}
  for _, name in ipairs(ALL_TYPES) do
    if types[name] and not allowed[name] and not (name == "integer" and types.number) then
      missing[#missing + 1] = name
    end
  end
  return #missing == 0 or self:reason(wide, "does not accept %s", table.concat(missing, ", "))
end

function rules.enum(self, _, wide)
  return self:reason(wide, "accepts certain values only")
end

rules.const = rules.enum

local NUMBERS, TEXTS, LISTS, OBJECTS = { "number", "integer" }, { "string" }, { "array" }, { "object" }

-- A bound that the other has to have, at least as tight. `is_tight(own, given)`.
local function bound(keyword, kinds, is_tight, more)
  rules[keyword] = function(self, value, wide, narrow, types)
    local concerned = false
    for _, kind in ipairs(kinds) do
      concerned = concerned or types[kind]
    end
    -- Nothing is shorter than 0.
    return not concerned or (kinds ~= NUMBERS and value == 0 and keyword:find("^min") ~= nil) or any(narrow, function(node)
      return (type(node[keyword]) == "number" and is_tight(node[keyword], value)) or (more and more(node, value))
    end) or self:reason(wide, "has %s %s", keyword, value)
  end
end

local function at_least(own, given) return own >= given end
local function at_most(own, given) return own <= given end

local function is_number(value) return type(value) == "number" end

bound("minimum", NUMBERS, at_least, function(node, value)
  return is_number(node.exclusiveMinimum) and node.exclusiveMinimum >= value
end)
bound("maximum", NUMBERS, at_most, function(node, value)
  return is_number(node.exclusiveMaximum) and node.exclusiveMaximum <= value
end)
bound("exclusiveMinimum", NUMBERS, at_least, function(node, value) return is_number(node.minimum) and node.minimum > value end)
bound("exclusiveMaximum", NUMBERS, at_most, function(node, value) return is_number(node.maximum) and node.maximum < value end)
bound("minLength", TEXTS, at_least)
bound("maxLength", TEXTS, at_most)
bound("minItems", LISTS, at_least)
bound("maxItems", LISTS, at_most)
bound("minProperties", OBJECTS, at_least, function(node, value)
  return type(node.required) == "table" and #node.required >= value
end)
bound("maxProperties", OBJECTS, at_most)
bound("multipleOf", NUMBERS, values.is_multiple, function(node, value)
  return node.type == "integer" and values.is_multiple(1, value)
end)

function rules.pattern(self, value, wide, narrow, types)
  return not types.string or any(narrow, function(node) return node.pattern == value end) or
    self:reason(wide, "has the pattern %s", value)
end

function rules.uniqueItems(self, value, wide, narrow, types)
  return not value or not types.array or any(narrow, function(node)
    return node.uniqueItems == true or (is_number(node.maxItems) and node.maxItems <= 1)
  end) or self:reason(wide, "wants unique elements")
end

function rules.required(self, value, wide, narrow, types)
  local ok = true
  for _, name in ipairs(types.object and value or {}) do
    local given = any(narrow, function(node)
      for _, other in ipairs(type(node.required) == "table" and node.required or {}) do
        if other == name then
          return true
        end
      end
      return false
    end)
    ok = given or self:reason(wide, "requires '%s'", name)
  end
  return ok
end

local function has_references(node)
  for key, value in next, node do
    if key == "$ref" or key == "$dynamicRef" or (type(value) == "table" and has_references(value)) then
      return true
    end
  end
  return false
end

-- What is compared as it stands, in one go: the other has to have the very same, without references, which may mean something else.
local function same(...)
  local group = { ... }
  rules[group[1]] = function(self, _, wide, narrow)
    return any(narrow, function(node)
      for _, keyword in ipairs(group) do
        local own, given = node[keyword], wide.node[keyword]
        if (own == nil) ~= (given == nil) or not values.equal(own, given) or (type(own) == "table" and has_references(own)) then
          return false
        end
      end
      return true
    end) or self:reason(wide, "has '%s', which cannot be compared", group[1])
  end
end

same("not")
same("if", "then", "else")
same("oneOf")
same("contains", "minContains", "maxContains")
for _, keyword in ipairs { "dependentRequired", "dependentSchemas", "dependencies" } do
  same(keyword)
end

-- They depend on all that stands beside them.
for _, keyword in ipairs { "unevaluatedProperties", "unevaluatedItems", "$dynamicRef" } do
  rules[keyword] = function(self, _, wide)
    return self:reason(wide, "has '%s', which cannot be compared", keyword)
  end
end

-- ---- Objects ----

-- Whether a part says something of the property, as a list of parts; else what it says of additional ones.
local function property_parts(part, name)
  local node, found = part.node, {}
  if type(node.properties) == "table" and node.properties[name] ~= nil then
    found[1] = child(part, "properties", name)
  end
  for written in next, type(node.patternProperties) == "table" and node.patternProperties or {} do
    local matches = pattern.compile(written)
    if matches and matches(name) then
      found[#found + 1] = child(part, "patternProperties", written)
    end
  end
  if #found == 0 and node.additionalProperties ~= nil then
    found[1] = child(part, "additionalProperties")
  end
  return found
end

-- All that holds of a property, or of those without a name of their own.
local function of_property(parts, name)
  local lists = {}
  for _, part in ipairs(parts) do
    if type(part.node) == "table" then
      local found = name and property_parts(part, name) or
        (part.node.additionalProperties ~= nil and { child(part, "additionalProperties") } or {})
      for _, one in ipairs(found) do
        lists[#lists + 1] = parts_of(one)
      end
    end
  end
  local all = join(lists)
  return #all > 0 and all or { TRUE }
end

function rules.properties(self, value, wide, narrow, types)
  local ok = true
  for name in next, types.object and value or {} do
    ok = self:covers(child(wide, "properties", name), of_property(narrow, name)) and ok
  end
  return ok
end

-- The names that the other schema speaks of.
local function names_in(parts)
  local names = {}
  for _, part in ipairs(parts) do
    for name in next, type(part.node) == "table" and type(part.node.properties) == "table" and part.node.properties or {} do
      names[name] = true
    end
  end
  return names
end

function rules.additionalProperties(self, _, wide, narrow, types)
  if not types.object then
    return true
  end
  local ok, target = true, child(wide, "additionalProperties")
  for name in pairs(names_in(narrow)) do
    local own, given = property_parts(wide, name), of_property(narrow, name)
    if #own == 1 and own[1].at == target.at and not is_nothing(given) then
      if target.node == false then
        ok = self:reason(target, "does not accept '%s'", name)
      else
        ok = self:covers(target, given) and ok
      end
    end
  end
  for _, part in ipairs(narrow) do
    for written in next, type(part.node) == "table" and type(part.node.patternProperties) == "table" and
      part.node.patternProperties or {} do
      if not (type(wide.node.patternProperties) == "table" and wide.node.patternProperties[written] ~= nil) then
        ok = self:covers(target, parts_of(child(part, "patternProperties", written))) and ok
      end
    end
  end
  return self:covers(target, of_property(narrow)) and ok
end

function rules.patternProperties(self, value, wide, narrow, types)
  local ok = true
  for written in next, types.object and value or {} do
    local matches, target = pattern.compile(written), child(wide, "patternProperties", written)
    local lists = {}
    for _, part in ipairs(narrow) do
      if type(part.node) == "table" and type(part.node.patternProperties) == "table" and
        part.node.patternProperties[written] ~= nil then
        lists[#lists + 1] = parts_of(child(part, "patternProperties", written))
      end
    end
    ok = self:covers(target, #lists > 0 and join(lists) or of_property(narrow)) and ok
    for name in pairs(names_in(narrow)) do
      if matches(name) then
        ok = self:covers(target, of_property(narrow, name)) and ok
      end
    end
  end
  return ok
end

function rules.propertyNames(self, _, wide, narrow, types)
  local lists = {}
  for _, part in ipairs(narrow) do
    if type(part.node) == "table" and part.node.propertyNames ~= nil then
      lists[#lists + 1] = parts_of(child(part, "propertyNames"))
    end
  end
  lists[#lists + 1] = { { node = { type = "string" }, at = "#", resource = wide.resource, side = wide.side } }
  return not types.object or self:covers(child(wide, "propertyNames"), join(lists))
end

-- ---- Arrays ----

-- How many elements a part speaks of one by one, and what it says of one (counted from 1; nil: of the rest).
local function tuple_of(part)
  local node = part.node
  local keyword = part.resource.draft.is_old and "items" or "prefixItems"
  local list = node[keyword]
  local is_tuple = type(list) == "table" and list[1] ~= nil
  local rest = "items"
  if is_tuple and part.resource.draft.is_old then
    rest = "additionalItems"
  end
  return is_tuple and #list or 0, function(i)
    if is_tuple and i and i <= #list then
      return child(part, keyword, i)
    end
    return node[rest] ~= nil and child(part, rest) or nil
  end
end

local function of_element(parts, i)
  local lists = {}
  for _, part in ipairs(parts) do
    if type(part.node) == "table" then
      local _, element = tuple_of(part)
      local found = element(i)
      lists[#lists + 1] = found and parts_of(found) or nil
    end
  end
  local all = join(lists)
  return #all > 0 and all or { TRUE }
end

function rules.items(self, _, wide, narrow, types)
  if not types.array then
    return true
  end
  local count, element = tuple_of(wide)
  for _, part in ipairs(narrow) do
    count = math.max(count, type(part.node) == "table" and (tuple_of(part)) or 0)
  end
  local ok = true
  for i = 1, count do
    local target = element(i)
    ok = (not target or self:covers(target, of_element(narrow, i))) and ok
  end
  local rest = element(nil)
  return (not rest or self:covers(rest, of_element(narrow, nil))) and ok
end

rules.prefixItems = rules.items

-- ---- Schemas ----

-- Tries a comparison without keeping its reasons.
function Comparison:try(wide, narrow)
  local reasons, seen = self.reasons, self.seen
  self.reasons, self.seen = {}, {}
  local ok = self:covers(wide, narrow)
  self.reasons, self.seen = reasons, seen
  return ok
end

local function covered_by_any(self, value, wide, narrow)
  for i = 1, #value do
    if self:try(child(wide, "anyOf", i), narrow) then
      return true
    end
  end
  return false
end

function rules.anyOf(self, value, wide, narrow, types)
  if covered_by_any(self, value, wide, narrow) then
    return true
  end
  local ok = true
  for name in pairs(types) do
    local own = { node = { type = name }, at = "type " .. name, resource = wide.resource, side = wide.side }
    ok = ok and covered_by_any(self, value, wide, join { narrow, { own } })
  end
  return ok or self:reason(wide, "has 'anyOf', of which no schema accepts all that was")
end

-- The parts split by the first anyOf or oneOf among them, one list of parts for each branch; nil: there is none.
local function branches(narrow)
  for index, part in ipairs(narrow) do
    for _, keyword in ipairs { "anyOf", "oneOf" } do
      local list = type(part.node) == "table" and not part.is_split and part.node[keyword]
      if type(list) == "table" then
        local made = {}
        for i = 1, #list do
          local all = table.move(narrow, 1, #narrow, 1, {})
          all[index] = { node = part.node, at = part.at, resource = part.resource, side = part.side, is_split = true }
          made[i] = join { all, parts_of(child(part, keyword, i)) }
        end
        return made
      end
    end
  end
  return nil
end

local function accepts(part, value)
  if type(part.node) ~= "table" then
    return part.node
  end
  return part.side:schema(part.node, part.at, part.resource)(value, compiler.run(false, part.resource))
end

-- Of the values that are all there can be, those that are valid.
local function valid_of(given, narrow)
  local valid = {}
  for _, value in ipairs(given) do
    local ok = true
    for _, part in ipairs(narrow) do
      ok = ok and accepts(part, value)
    end
    valid[#valid + 1] = ok and value or nil
  end
  return valid
end

local function accepts_all(self, wide, given)
  for _, value in ipairs(given) do
    if not accepts(wide, value) then
      return self:reason(wide, "does not accept %s", values.describe(value))
    end
  end
  return true
end

local function compare_part(self, wide, narrow)
  local node, types = wide.node, types_of(narrow)
  if node == false then
    return self:reason(wide, "accepts nothing here")
  elseif node == true then
    return true
  end
  local ok, names = true, {}
  local known = wide.resource.draft
  for keyword in next, node do
    names[#names + 1] = type(keyword) == "string" and keyword or nil
  end
  table.sort(names)
  for _, keyword in ipairs(names) do
    local rule = rules[keyword]
    if rule and known.keywords[keyword] then
      ok = rule(self, node[keyword], wide, narrow, types) and ok
    end
  end
  return ok
end

local function key_of(wide, narrow)
  local parts = { wide.at }
  for _, part in ipairs(narrow) do
    parts[#parts + 1] = part.at .. (part.is_split and "*" or "")
  end
  return table.concat(parts, " ")
end

-- A schema that stands in the other as it is, and refers to nothing, needs no look inside.
local function stands_in(part, narrow)
  if type(part.node) ~= "table" then
    return part.node
  end
  return any(narrow, function(node, other)
    return other.side.is_plain and part.side.is_plain and values.equal(node, part.node)
  end)
end

--- Does a schema accept all that parts do? What is being compared already, further up, counts as yes.
function Comparison:covers(wide, narrow)
  self.count = self.count + 1
  if self.count > MOST_COMPARISONS then
    return self:reason(wide, "cannot be compared: more than %d comparisons", MOST_COMPARISONS)
  end
  local key = key_of(wide, narrow)
  if self.open[key] or is_nothing(narrow) then
    return true
  end
  self.open[key] = true
  local ok, given = true, values_of(narrow)
  given = given and valid_of(given, narrow)
  local split = not given and branches(narrow)
  for _, part in ipairs(parts_of(wide)) do
    if given then
      ok = accepts_all(self, part, given) and ok
    elseif not stands_in(part, narrow) then
      for _, branch in ipairs(split or {}) do
        ok = self:covers(part, branch) and ok
      end
      ok = (split or compare_part(self, part, narrow)) and ok
    end
  end
  self.open[key] = nil
  return ok
end

local function open_side(definition, options)
  local _, resource, side = compiler.compile(definition, options)
  side.is_plain = type(definition) ~= "table" or not has_references(definition)
  return { node = definition, at = "#", resource = resource, side = side }
end

--- Reasons why `wide` does not accept all that `narrow` does; raises what compile does.
-- @param wide a schema
-- @param narrow a schema
-- @string wide_name "new" or "old", for the reasons
-- @tab options of compiler.compile
-- @treturn {string,...} none: it does
function compatible.reasons(wide, narrow, wide_name, options)
  local self = setmetatable({ reasons = {}, seen = {}, open = {}, count = 0, wide_name = wide_name }, Comparison)
  self:covers(open_side(wide, options), parts_of(open_side(narrow, options)))
  return self.reasons
end

return compatible
