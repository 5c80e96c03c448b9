--- The drafts that are known: which keywords each has, and where schemas lie in them.
-- @module tasker.schema.drafts

local suggest = require "tasker.suggest"

local drafts = {}

-- Where schemas lie in the value of a keyword: it is one, a list of them, a table of them by name; "some": one or a list;
-- "mixed": a table of schemas and of lists of names.
local COMMON = {
  allOf = "list", anyOf = "list", oneOf = "list", ["not"] = "one", ["if"] = "one", ["then"] = "one", ["else"] = "one",
  properties = "map", patternProperties = "map", additionalProperties = "one", propertyNames = "one", contains = "one",
}

local function with(more)
  local all = {}
  for keyword, place in pairs(COMMON) do
    all[keyword] = place
  end
  for keyword, place in pairs(more) do
    all[keyword] = place
  end
  return all
end

local function set_of(text)
  local set = {}
  for word in text:gmatch("%S+") do
    set[word] = true
  end
  return set
end

-- Of each vocabulary, the keywords that assert or apply.
local APPLICATOR = set_of [[allOf anyOf oneOf not if properties patternProperties additionalProperties propertyNames contains
  items prefixItems dependentSchemas dependencies]]
local UNEVALUATED = set_of "unevaluatedItems unevaluatedProperties"
local VALIDATION = set_of [[type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern
  maxItems minItems uniqueItems maxProperties minProperties required dependentRequired]]
local CORE = set_of "$ref $dynamicRef"
-- Those that say nothing about what is valid by themselves.
local SILENT = set_of [[$schema $id $comment $anchor $dynamicAnchor $defs $vocabulary definitions title description default examples
  deprecated readOnly writeOnly contentEncoding contentMediaType contentSchema then else minContains maxContains
  additionalItems format]]

local function union(...)
  local all = {}
  for _, set in ipairs { ... } do
    for word in pairs(set) do
      all[word] = true
    end
  end
  return all
end

local NEW = "https://json-schema.org/draft/2020-12/schema"
local OLD = "http://json-schema.org/draft-07/schema"

local draft_2020 = {
  name = "2020-12", uri = NEW,
  places = with { ["$defs"] = "map", definitions = "map", items = "one", prefixItems = "list", dependentSchemas = "map",
    unevaluatedItems = "one", unevaluatedProperties = "one", contentSchema = "one", dependencies = "mixed" },
  keywords = union(CORE, APPLICATOR, UNEVALUATED, VALIDATION),
}

local draft_07 = {
  name = "draft-07", uri = OLD, is_old = true,
  places = with { definitions = "map", items = "some", additionalItems = "one", dependencies = "mixed" },
  keywords = union(set_of "$ref", APPLICATOR, VALIDATION),
}
for _, word in ipairs { "prefixItems", "dependentSchemas", "dependentRequired" } do
  draft_07.keywords[word] = nil
end

drafts.by_name = { ["2020-12"] = draft_2020, ["draft-07"] = draft_07 }
drafts.silent = SILENT

local BY_URI = { [NEW] = draft_2020, [OLD] = draft_07, ["https://json-schema.org/draft-07/schema"] = draft_07 }

--- The draft that a `$schema` names, or nil.
-- @string text
function drafts.find(text)
  return BY_URI[(text:gsub("#$", ""))]
end

local VOCABULARY = "https://json-schema.org/draft/2020-12/vocab/"
local BY_VOCABULARY = {
  core = CORE, applicator = APPLICATOR, unevaluated = UNEVALUATED, validation = VALIDATION, ["meta-data"] = {}, content = {},
  ["format-annotation"] = {}, ["format-assertion"] = {},
}

--- The draft of schemas whose `$schema` names a metaschema of the user's: that of the metaschema, less the vocabularies it
-- leaves out.
-- @tab metaschema
-- @tab draft of the metaschema
-- @string uri of the metaschema
-- @treturn table|nil the draft
-- @treturn ?string why there is none
function drafts.of_metaschema(metaschema, draft, uri)
  local vocabularies = metaschema["$vocabulary"]
  if draft.is_old or type(vocabularies) ~= "table" then
    return draft
  end
  local own = { name = draft.name, uri = uri, places = draft.places, keywords = union(CORE) }
  for name, is_required in pairs(vocabularies) do
    local known = type(name) == "string" and name:sub(1, #VOCABULARY) == VOCABULARY and BY_VOCABULARY[name:sub(#VOCABULARY + 1)]
    if known then
      own.keywords = union(own.keywords, known)
      own.asserts_formats = own.asserts_formats or name == VOCABULARY .. "format-assertion"
    elseif is_required == true then
      return nil, ("the metaschema %s needs the vocabulary %s, which is not known here"):format(uri, tostring(name))
    end
  end
  return own
end

--- `; did you mean 'x'?` for a keyword that is none.
function drafts.hint(word)
  return suggest.hint(word, union(draft_2020.keywords, SILENT))
end

return drafts
