--- The schemas of schemas that both drafts define, for references to them; what they say is the standard's.
-- @module tasker.schema.metaschemas

local metaschemas = {}

local NEW = "https://json-schema.org/draft/2020-12/"
local OLD = "http://json-schema.org/draft-07/schema"

local STRING, ANY = { type = "string" }, true
local COUNT = { type = "integer", minimum = 0 }
local NAMES = { type = "array", items = STRING, uniqueItems = true }
local TYPES = { enum = { "array", "boolean", "integer", "null", "number", "object", "string" } }

local function map_of(schema, more)
  local made = { type = "object", additionalProperties = schema, default = {} }
  for keyword, value in pairs(more or {}) do
    made[keyword] = value
  end
  return made
end

local function list_of(schema)
  return { type = "array", minItems = 1, items = schema }
end

local META = { ["$dynamicRef"] = "#meta" }

local function vocabulary(name, title, properties, defs)
  return {
    ["$schema"] = NEW .. "schema", ["$id"] = NEW .. "meta/" .. name, ["$dynamicAnchor"] = "meta", title = title,
    ["$vocabulary"] = { [NEW .. "vocab/" .. name] = true }, type = { "object", "boolean" }, properties = properties,
    ["$defs"] = defs,
  }
end

local makers = {}

makers[NEW .. "schema"] = function()
  local parts, vocabularies = {}, {}
  for i, name in ipairs { "core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content" } do
    parts[i], vocabularies[NEW .. "vocab/" .. name] = { ["$ref"] = "meta/" .. name }, true
  end
  return {
    ["$schema"] = NEW .. "schema", ["$id"] = NEW .. "schema", ["$dynamicAnchor"] = "meta", ["$vocabulary"] = vocabularies,
    title = "Core and Validation specifications meta-schema", allOf = parts, type = { "object", "boolean" },
    properties = {
      definitions = map_of(META, { deprecated = true }),
      dependencies = map_of({ anyOf = { META, { ["$ref"] = "meta/validation#/$defs/stringArray" } } }, { deprecated = true }),
      ["$recursiveAnchor"] = { ["$ref"] = "meta/core#/$defs/anchorString", deprecated = true },
      ["$recursiveRef"] = { ["$ref"] = "meta/core#/$defs/uriReferenceString", deprecated = true },
    },
  }
end

makers[NEW .. "meta/core"] = function()
  local reference, address = { ["$ref"] = "#/$defs/uriReferenceString" }, { ["$ref"] = "#/$defs/uriString" }
  local anchor = { ["$ref"] = "#/$defs/anchorString" }
  return vocabulary("core", "Core vocabulary meta-schema", {
    ["$id"] = { ["$ref"] = "#/$defs/uriReferenceString", pattern = "^[^#]*#?$" }, ["$schema"] = address, ["$ref"] = reference,
    ["$anchor"] = anchor, ["$dynamicRef"] = reference, ["$dynamicAnchor"] = anchor, ["$comment"] = STRING,
    ["$vocabulary"] = { type = "object", propertyNames = address, additionalProperties = { type = "boolean" } },
    ["$defs"] = map_of(META),
  }, {
    anchorString = { type = "string", pattern = "^[A-Za-z_][-A-Za-z0-9._]*$" },
    uriString = { type = "string", format = "uri" }, uriReferenceString = { type = "string", format = "uri-reference" },
  })
end

makers[NEW .. "meta/applicator"] = function()
  local list = { ["$ref"] = "#/$defs/schemaArray" }
  return vocabulary("applicator", "Applicator vocabulary meta-schema", {
    prefixItems = list, items = META, contains = META, additionalProperties = META, properties = map_of(META),
    patternProperties = map_of(META, { propertyNames = { format = "regex" } }), dependentSchemas = map_of(META),
    propertyNames = META, ["if"] = META, ["then"] = META, ["else"] = META, allOf = list, anyOf = list, oneOf = list,
    ["not"] = META,
  }, { schemaArray = list_of(META) })
end

makers[NEW .. "meta/unevaluated"] = function()
  return vocabulary("unevaluated", "Unevaluated applicator vocabulary meta-schema",
    { unevaluatedItems = META, unevaluatedProperties = META })
end

makers[NEW .. "meta/validation"] = function()
  local number, count = { type = "number" }, { ["$ref"] = "#/$defs/nonNegativeInteger" }
  local least, names = { ["$ref"] = "#/$defs/nonNegativeIntegerDefault0" }, { ["$ref"] = "#/$defs/stringArray" }
  local types = { ["$ref"] = "#/$defs/simpleTypes" }
  return vocabulary("validation", "Validation vocabulary meta-schema", {
    type = { anyOf = { types, { type = "array", items = types, minItems = 1, uniqueItems = true } } }, const = ANY,
    enum = { type = "array", items = true }, multipleOf = { type = "number", exclusiveMinimum = 0 }, maximum = number,
    exclusiveMaximum = number, minimum = number, exclusiveMinimum = number, maxLength = count, minLength = least,
    pattern = { type = "string", format = "regex" }, maxItems = count, minItems = least,
    uniqueItems = { type = "boolean", default = false }, maxContains = count,
    minContains = { ["$ref"] = "#/$defs/nonNegativeInteger", default = 1 }, maxProperties = count, minProperties = least,
    required = names, dependentRequired = { type = "object", additionalProperties = names },
  }, {
    nonNegativeInteger = COUNT, nonNegativeIntegerDefault0 = { ["$ref"] = "#/$defs/nonNegativeInteger", default = 0 },
    simpleTypes = TYPES, stringArray = NAMES,
  })
end

makers[NEW .. "meta/meta-data"] = function()
  local flag = { type = "boolean", default = false }
  return vocabulary("meta-data", "Meta-data vocabulary meta-schema", {
    title = STRING, description = STRING, default = ANY, deprecated = flag, readOnly = flag, writeOnly = flag,
    examples = { type = "array", items = true },
  })
end

for _, name in ipairs { "format-annotation", "format-assertion" } do
  makers[NEW .. "meta/" .. name] = function()
    return vocabulary(name, "Format vocabulary meta-schema", { format = STRING })
  end
end

makers[NEW .. "meta/content"] = function()
  return vocabulary("content", "Content vocabulary meta-schema",
    { contentEncoding = STRING, contentMediaType = STRING, contentSchema = META })
end

makers[OLD] = function()
  local itself, list, names = { ["$ref"] = "#" }, { ["$ref"] = "#/definitions/schemaArray" }, { ["$ref"] = "#/definitions/stringArray" }
  local count, least = { ["$ref"] = "#/definitions/nonNegativeInteger" }, { ["$ref"] = "#/definitions/nonNegativeIntegerDefault0" }
  local number, types = { type = "number" }, { ["$ref"] = "#/definitions/simpleTypes" }
  local reference, flag = { type = "string", format = "uri-reference" }, { type = "boolean", default = false }
  return {
    ["$schema"] = OLD .. "#", ["$id"] = OLD .. "#", title = "Core schema meta-schema", type = { "object", "boolean" }, default = true,
    definitions = {
      schemaArray = list_of(itself), nonNegativeInteger = COUNT,
      nonNegativeIntegerDefault0 = { allOf = { count, { default = 0 } } }, simpleTypes = TYPES, stringArray = NAMES,
    },
    properties = {
      ["$id"] = reference, ["$schema"] = { type = "string", format = "uri" }, ["$ref"] = reference, ["$comment"] = STRING,
      title = STRING, description = STRING, default = ANY, readOnly = flag, writeOnly = flag,
      examples = { type = "array", items = true }, multipleOf = { type = "number", exclusiveMinimum = 0 }, maximum = number,
      exclusiveMaximum = number, minimum = number, exclusiveMinimum = number, maxLength = count, minLength = least,
      pattern = { type = "string", format = "regex" }, additionalItems = itself,
      items = { anyOf = { itself, list }, default = true }, maxItems = count, minItems = least,
      uniqueItems = flag, contains = itself, maxProperties = count, minProperties = least, required = names,
      additionalProperties = itself, definitions = map_of(itself), properties = map_of(itself),
      patternProperties = map_of(itself, { propertyNames = { format = "regex" } }),
      dependencies = { type = "object", additionalProperties = { anyOf = { itself, names } } }, propertyNames = itself,
      const = ANY, enum = { type = "array", items = true },
      type = { anyOf = { types, { type = "array", items = types, minItems = 1, uniqueItems = true } } },
      format = STRING, contentMediaType = STRING, contentEncoding = STRING, ["if"] = itself, ["then"] = itself,
      ["else"] = itself, allOf = list, anyOf = list, oneOf = list, ["not"] = itself,
    },
  }
end

--- The metaschema at an address, or nil.
-- @string address a URI without fragment
-- @treturn table|nil
function metaschemas.find(address)
  local make = makers[address]
  return make and make()
end

return metaschemas
