--- A schema as nodes that core.schema_program checks texts by, where all its keywords are known there.
-- @module tasker.schema.lower

local core = require "tasker.core"
local pattern = require "tasker.schema.pattern"
local values = require "tasker.schema.values"

local lower = {}

-- As in core/bind/schema_check.h.
local TYPES = { null = 1, boolean = 2, object = 4, array = 8, number = 16, string = 32, integer = 64 }
-- Required names of one schema there.
local MOST_REQUIRED = 64

-- Raised where a schema cannot be lowered.
local NO = {}

local function give_up()
  error(NO, 0)
end

-- What is copied: keyword of the schema, field of the node.
local COUNTS = { minLength = "length_min", maxLength = "length_max", minItems = "items_min", maxItems = "items_max",
  minProperties = "properties_min", maxProperties = "properties_max" }
local NUMBERS = { minimum = "minimum", maximum = "maximum", exclusiveMinimum = "exclusive_minimum",
  exclusiveMaximum = "exclusive_maximum" }
local LISTS = { anyOf = "any", oneOf = "one", prefixItems = "prefix" }

local keywords = {}

for keyword, field in pairs(COUNTS) do
  keywords[keyword] = function(_, value, node) node[field] = math.tointeger(value) end
end
for keyword, field in pairs(NUMBERS) do
  keywords[keyword] = function(_, value, node) node[field] = value end
end

local function lower_list(self, list, at, keyword, resource)
  local indexes = {}
  for i = 1, #list do
    indexes[i] = self:schema(list[i], ("%s/%s/%d"):format(at, keyword, i - 1), resource)
  end
  return indexes
end

for keyword, field in pairs(LISTS) do
  keywords[keyword] = function(self, value, node, at, _, resource)
    node[field] = lower_list(self, value, at, keyword, resource)
  end
end

local function all(node)
  node.all = node.all or {}
  return node.all
end

function keywords.allOf(self, value, node, at, _, resource)
  local list = lower_list(self, value, at, "allOf", resource)
  table.move(list, 1, #list, #all(node) + 1, node.all)
end

keywords["$ref"] = function(self, value, node, at, _, resource)
  local target = self.documents:resolve(resource, value, at)
  table.insert(all(node), self:schema(target.node, target.at, target.resource))
end

local function single(keyword, field)
  keywords[keyword] = function(self, value, node, at, _, resource)
    node[field] = self:schema(value, ("%s/%s"):format(at, keyword), resource)
  end
end

single("additionalProperties", "additional")
single("not", "negated")
single("if", "condition")

function keywords.items(self, value, node, at, _, resource)
  if resource.draft.is_old and (values.is_array(value) and not values.is_unmarked(value)) then
    give_up()
  end
  node.items = self:schema(value, at .. "/items", resource)
end

function keywords.type(_, value, node)
  local mask = 0
  for _, name in ipairs(type(value) == "string" and { value } or value) do
    mask = mask | TYPES[name]
  end
  node.types = mask
end

local function scalars(list)
  for _, element in ipairs(list) do
    if type(element) == "table" then
      give_up()
    end
  end
  return list
end

function keywords.enum(_, value, node, _, schema)
  if schema.const ~= nil then
    give_up()
  end
  node.values = scalars(value)
end

function keywords.const(_, value, node)
  node.values = scalars { value }
end

function keywords.multipleOf(_, value, node)
  node.multiple_of = math.tointeger(value) or give_up()
end

function keywords.uniqueItems(_, value, node)
  node.unique = value
end

function keywords.pattern(_, value, node)
  node.matcher = pattern.compile(value)
end

function keywords.patternProperties(self, value, node, at, _, resource)
  node.patterns = {}
  for written, schema in next, value do
    node.patterns[#node.patterns + 1] = { pattern.compile(written),
      self:schema(schema, ("%s/patternProperties/%s"):format(at, values.escape(written)), resource) }
  end
end

-- Properties and required names are one table.
local function add_names(self, schema, node, at, resource)
  local by_name, count = {}, 0
  local function entry(name)
    if not by_name[name] then
      by_name[name] = { name, 0, false }
      table.insert(node.names, by_name[name])
    end
    return by_name[name]
  end
  node.names = {}
  for name, property in next, type(schema.properties) == "table" and schema.properties or {} do
    entry(name)[2] = self:schema(property, ("%s/properties/%s"):format(at, values.escape(name)), resource)
  end
  for _, name in ipairs(schema.required or {}) do
    local own = entry(name)
    count = count + (own[3] and 0 or 1)
    own[3] = true
  end
  if count > MOST_REQUIRED then
    give_up()
  end
end

-- Read together, by add_names.
function keywords.properties()
end
keywords.required = keywords.properties

local Lowering = {}
Lowering.__index = Lowering

function Lowering:fill(node, schema, at, resource)
  local known = resource.draft.keywords
  if resource.draft.is_old and schema["$ref"] ~= nil then
    keywords["$ref"](self, schema["$ref"], node, at, schema, resource)
    return
  elseif schema.format ~= nil and (self.formats or resource.draft.asserts_formats) then
    give_up()
  end
  for keyword, value in next, schema do
    if known[keyword] then
      (keywords[keyword] or give_up)(self, value, node, at, schema, resource)
    end
  end
  if known.properties and schema.properties ~= nil or known.required and schema.required ~= nil then
    add_names(self, { properties = schema.properties, required = known.required and schema.required or nil }, node, at, resource)
  end
  if schema["if"] ~= nil then
    node.yes = schema["then"] ~= nil and self:schema(schema["then"], at .. "/then", resource) or nil
    node.no = schema["else"] ~= nil and self:schema(schema["else"], at .. "/else", resource) or nil
  end
  -- Keywords that would fail or mark an empty table, were it a list.
  node.needs_elements = node.types == TYPES.array or (node.items_min or 0) > 0 or schema.const ~= nil or schema.enum ~= nil
end

--- The index of a schema's node.
function Lowering:schema(schema, at, resource)
  local index = self.index_of[at]
  if index then
    return index
  end
  local node = {}
  index = #self.nodes + 1
  self.nodes[index], self.index_of[at] = node, index
  if schema == false then
    node.never = true
  elseif type(schema) == "table" then
    self:fill(node, schema, at, self.documents:resource_of(schema, resource))
  end
  return index
end

--- Lowers a schema.
-- @param definition that compiles
-- @tab resource it belongs to
-- @tab compiled what compiled it
-- @return a program of core.schema_program, or nil when not all of it can be
function lower.lower(definition, resource, compiled)
  local self = setmetatable({ nodes = {}, index_of = {}, documents = compiled.documents, formats = compiled.formats }, Lowering)
  local ok, why = pcall(self.schema, self, definition, "#", resource)
  if ok then
    return core.schema_program(self.nodes)
  elseif why == NO then
    return nil
  end
  error(why, 0)
end

return lower
