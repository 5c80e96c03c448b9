--- The schema documents of one compilation: what each identifier in them names, and which schema a reference means.
--
-- A *resource* is a schema with an identifier of its own (`$id`, or the URI a document was found by): references in it are
-- relative to that. `{uri, node, at, draft, anchors, dynamic}`; `at` is where it lies, "" for the schema given, `uri` of
-- others, then `#` and a JSON Pointer.
-- @module tasker.schema.documents

local check = require "tasker.check"
local drafts = require "tasker.schema.drafts"
local uri = require "tasker.schema.uri"
local values = require "tasker.schema.values"

local documents = {}

-- Nesting of a schema, and schemas in all documents together.
local DEEPEST = 256
local MOST_SCHEMAS = 100000
-- Documents that one schema may need.
local MOST_DOCUMENTS = 1000

local Documents = {}
Documents.__index = Documents

--- Raises what compile returns as its error.
function documents.refuse(at, format, ...)
  error({ refused = ("%s at %s"):format(format:format(...), at) }, 0)
end

local refuse = documents.refuse

local function is_map(value)
  return type(value) == "table" and value[1] == nil and values.is_object(value)
end

-- The draft that `$schema` names, here or through a metaschema that the loader brings.
function Documents:draft_of(text, at)
  if type(text) ~= "string" then
    refuse(at, "'$schema' must be a URI, not %s", check.show(text))
  end
  local draft = drafts.find(text) or self.drafts[text]
  if draft then
    return draft
  end
  local address, fragment = uri.resolve("", text)
  local metaschema = (fragment == nil or fragment == "") and self:load(address)
  if not is_map(metaschema) then
    refuse(at, "'$schema' names a draft that is not known: %s (known are 2020-12 and draft-07)", check.show(text))
  end
  self.drafts[text] = self.default
  local base = metaschema["$schema"]
  local why
  draft, why = drafts.of_metaschema(metaschema, base and base ~= text and self:draft_of(base, at) or self.default, address)
  if not draft then
    refuse(at, "%s", why)
  end
  self.drafts[text] = draft
  return draft
end

-- ---- Reading a document ----

local function name_anchor(self, resource, name, entry, is_dynamic)
  if resource.anchors[name] and resource.anchors[name].node ~= entry.node then
    refuse(entry.at, "the anchor %s is there twice", check.show(name))
  end
  resource.anchors[name] = entry
  if is_dynamic then
    resource.dynamic[name] = entry
    self.dynamic_names[name] = true
  end
end

local function add_resource(self, address, node, at, draft)
  local known = self.resources[address]
  if known and known.node ~= node then
    refuse(at, "the $id %s is there twice", check.show(address))
  elseif known then
    return known
  end
  local resource = { uri = address, node = node, at = at, draft = draft, anchors = {}, dynamic = {} }
  self.resources[address] = resource
  return resource
end

-- The resource that a schema with a `$id` begins; of draft-07 `$id: "#name"` is an anchor only.
local function identify(self, node, at, resource)
  local id, draft = node["$id"], resource.draft
  if id ~= nil and node["$schema"] ~= nil then
    draft = self:draft_of(node["$schema"], at)
  end
  if id == nil or (draft.is_old and node["$ref"] ~= nil) then
    return resource
  elseif type(id) ~= "string" then
    refuse(at, "'$id' must be a URI, not %s", check.show(id))
  end
  local address, fragment = uri.resolve(resource.uri, id)
  if not draft.is_old and fragment ~= nil and fragment ~= "" then
    refuse(at, "'$id' must have no fragment, not %s", check.show(id))
  end
  if id:sub(1, 1) ~= "#" then
    resource = add_resource(self, address, node, at, draft)
  end
  if draft.is_old and fragment ~= nil and fragment ~= "" then
    name_anchor(self, resource, fragment, { node = node, at = at, resource = resource })
  end
  return resource
end

local function read_anchors(self, node, at, resource)
  if resource.draft.is_old then
    return
  end
  for _, keyword in ipairs { "$anchor", "$dynamicAnchor" } do
    local name = node[keyword]
    if name ~= nil then
      if type(name) ~= "string" or not name:match("^[%a_][%w_.-]*$") then
        refuse(at, "'%s' must be a name, not %s", keyword, check.show(name))
      end
      name_anchor(self, resource, name, { node = node, at = at, resource = resource }, keyword == "$dynamicAnchor")
    end
  end
end

local walk

local function walk_all(self, list, at, resource, depth)
  for key, node in next, list do
    local token = math.type(key) == "integer" and key - 1 or key
    walk(self, node, ("%s/%s"):format(at, values.escape(token)), resource, depth)
  end
end

function walk(self, node, at, resource, depth)
  self.count = self.count + 1
  if depth > DEEPEST then
    refuse(at, "the schema is nested too deep (more than %d levels)", DEEPEST)
  elseif self.count > MOST_SCHEMAS then
    refuse(at, "the schema is too large: more than %d schemas", MOST_SCHEMAS)
  elseif not is_map(node) then
    return
  end
  resource = identify(self, node, at, resource)
  read_anchors(self, node, at, resource)
  for keyword, place in next, resource.draft.places do
    local value = node[keyword]
    if type(value) == "table" then
      local there = at .. "/" .. values.escape(keyword)
      if place == "one" or (place == "some" and is_map(value)) then
        walk(self, value, there, resource, depth + 1)
      else
        walk_all(self, value, there, resource, depth + 1)
      end
    end
  end
end

--- Takes a document in.
-- @param node the schema
-- @string address where it was found, "" for the schema given
-- @treturn table its resource
function Documents:add(node, address)
  local label = address
  local draft = self.default
  if is_map(node) and node["$schema"] ~= nil then
    draft = self:draft_of(node["$schema"], label .. "#")
  end
  local resource = add_resource(self, address, node, label .. "#", draft)
  walk(self, node, label .. "#", resource, 1)
  return resource
end

-- ---- References ----

--- The document at an address, from the standard, or from the loader; nil when nobody has it.
function Documents:load(address)
  local known = self.loaded[address]
  if known ~= nil then
    return known or nil
  end
  local node = require("tasker.schema.metaschemas").find(address)
  if node == nil and self.loader then
    self.document_count = self.document_count + 1
    if self.document_count > MOST_DOCUMENTS then
      refuse(address, "more than %d documents are needed", MOST_DOCUMENTS)
    end
    local ok, found, why = pcall(self.loader, address)
    if not ok or (found == nil and why ~= nil) then
      refuse(address, "the loader: %s", tostring(ok and why or found))
    elseif found ~= nil and type(found) ~= "table" and type(found) ~= "boolean" then
      refuse(address, "the loader must return a schema or nil, not %s", check.show(found))
    end
    node = found
  end
  self.loaded[address] = node == nil and false or node
  return node
end

local function find_resource(self, address)
  local resource = self.resources[address]
  if resource then
    return resource
  end
  local node = self:load(address)
  return node ~= nil and self:add(node, address) or nil
end

-- A step down a pointer: the value there, its token as written in places.
local function step(node, token)
  if type(node) ~= "table" then
    return nil
  elseif values.is_object(node) then
    return node[token]
  end
  local index = token:match("^%d+$") and (token == "0" or token:sub(1, 1) ~= "0") and math.tointeger(tonumber(token))
  return index and node[index + 1] or nil
end

-- What a pointer means in a resource; below a schema with a `$id` it goes on in that one's resource.
local function follow(self, resource, pointer)
  local node, at, inner = resource.node, resource.at, resource
  for token in pointer:gmatch("/([^/]*)") do
    token = token:gsub("~1", "/"):gsub("~0", "~")
    node = step(node, token)
    if node == nil then
      return nil
    end
    at = ("%s/%s"):format(at, values.escape(token))
    if is_map(node) and type(node["$id"]) == "string" then
      local own = self.resources[(uri.resolve(inner.uri, node["$id"]))]
      inner = own and own.node == node and own or inner
    end
  end
  return { node = node, at = at, resource = inner }
end

--- The schema that a reference means.
-- @tab resource where the reference stands
-- @string reference
-- @string at where it stands, for messages
-- @treturn table `{node, at, resource}`, with `dynamic` (a name) when it was found by a dynamic anchor
function Documents:resolve(resource, reference, at)
  local address, fragment = uri.resolve(resource.uri, reference)
  local target = find_resource(self, address)
  if not target then
    refuse(at, "the reference %s cannot be resolved: nothing is known of %s%s", check.show(reference), check.show(address),
      self.loader and "" or " (a loader would be asked)")
  end
  if fragment == nil or fragment == "" then
    return { node = target.node, at = target.at, resource = target }
  end
  fragment = uri.decode(fragment) or refuse(at, "the reference %s is no URI", check.show(reference))
  local entry
  if fragment:sub(1, 1) == "/" then
    entry = follow(self, target, fragment)
  else
    entry = target.anchors[fragment]
    if entry and target.dynamic[fragment] == entry then
      entry = { node = entry.node, at = entry.at, resource = entry.resource, dynamic = fragment }
    end
  end
  return entry or refuse(at, "the reference %s cannot be resolved: there is no such place", check.show(reference))
end

--- The resource that a schema met on the way down belongs to.
-- @param node
-- @tab resource of the schema around it
-- @treturn table
function Documents:resource_of(node, resource)
  local id = node["$id"]
  if type(id) ~= "string" or (resource.draft.is_old and node["$ref"] ~= nil) then
    return resource
  end
  local own = self.resources[(uri.resolve(resource.uri, id))]
  return own and own.node == node and own or resource
end

--- Makes an empty collection.
-- @tab default the draft of documents that name none
-- @func[opt] loader of documents by URI
-- @treturn table
function documents.new(default, loader)
  return setmetatable({ default = default, loader = loader, resources = {}, loaded = {}, drafts = {}, dynamic_names = {},
    count = 0, document_count = 0 }, Documents)
end

return documents
