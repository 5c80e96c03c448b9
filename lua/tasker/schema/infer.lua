--- A schema that accepts given samples: their types, the properties they all have, forms that all their texts have.
-- @module tasker.schema.infer

local values = require "tasker.schema.values"

local infer = {}

-- Forms of texts that are told, the narrower ones first.
local FORMATS = { "uuid", "date-time", "date", "ipv4", "ipv6", "email", "uri" }

-- Samples nest as deep as what the store keeps, at most.
local DEEPEST = 128

local function new_node()
  return { types = {}, properties = {}, present = {}, objects = 0, texts = 0, fits = {} }
end

local function has_format(name, text)
  -- `a:b` is a URI too, which says nothing.
  return require("tasker.schema.formats")[name](text) and (name ~= "uri" or text:find("://", 1, true) ~= nil)
end

local function add_text(node, text)
  node.texts = node.texts + 1
  for _, name in ipairs(FORMATS) do
    if (node.texts == 1 or node.fits[name]) and has_format(name, text) then
      node.fits[name] = true
    else
      node.fits[name] = nil
    end
  end
end

local add

local function add_object(node, value, depth)
  node.types.object, node.objects = true, node.objects + 1
  for name, element in next, value do
    local property = node.properties[name] or new_node()
    node.properties[name], node.present[name] = property, (node.present[name] or 0) + 1
    add(property, element, depth + 1)
  end
end

function add(node, value, depth)
  if depth > DEEPEST then
    error({ refused = ("a sample is nested too deep (more than %d levels)"):format(DEEPEST) }, 0)
  elseif type(value) ~= "table" then
    node.types[values.type_name(value)] = true
    if type(value) == "string" then
      add_text(node, value)
    end
  elseif values.is_unmarked(value) then
    node.empty = true
  elseif values.is_array(value) then
    node.types.array = true
    for i = 1, #value do
      node.items = node.items or new_node()
      add(node.items, value[i], depth + 1)
    end
  else
    add_object(node, value, depth)
  end
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function types_of(node)
  local types = {}
  for name in pairs(node.types) do
    types[name] = true
  end
  if types.number then
    types.integer = nil
  end
  -- What is empty is a list where others are, else an object.
  if node.empty and not types.array then
    types.object = true
  end
  local names = sorted(types)
  return #names == 1 and names[1] or #names > 0 and names or nil
end

local function schema_of(node)
  local schema = { type = types_of(node) }
  local names = sorted(node.properties)
  if #names > 0 then
    schema.properties = {}
    local required = {}
    for _, name in ipairs(names) do
      schema.properties[name] = schema_of(node.properties[name])
      if node.present[name] == node.objects and not (node.empty and not node.types.array) then
        required[#required + 1] = name
      end
    end
    schema.required = #required > 0 and required or nil
  end
  if node.items then
    schema.items = schema_of(node.items)
  end
  for _, name in ipairs(FORMATS) do
    if node.fits[name] then
      schema.format = name
      break
    end
  end
  return schema
end

--- @tab samples a list
-- @treturn table the schema
function infer.infer(samples)
  local node = new_node()
  for i = 1, #samples do
    add(node, samples[i], 1)
  end
  local schema = schema_of(node)
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
  return schema
end

return infer
