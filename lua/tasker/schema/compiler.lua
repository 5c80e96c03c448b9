--- A schema made into functions.
--
-- Each schema becomes a function `(value, run, seen)` that says whether the value is valid. A run is one validation: `collect`
-- says whether violations are to be listed (a first pass without, which stops at the first, is all that valid values cost);
-- `seen` is nil, or a set of the names and places of the value that some keyword has evaluated (`true` in it: all of them), for
-- the unevaluated* keyword of a schema around.
-- @module tasker.schema.compiler

local applicators = require "tasker.schema.applicators"
local assertions = require "tasker.schema.assertions"
local check = require "tasker.check"
local documents = require "tasker.schema.documents"
local drafts = require "tasker.schema.drafts"
local values = require "tasker.schema.values"

local compiler = {}

local refuse = documents.refuse

-- References on the way down to one value: beyond, a schema refers to itself without end, or the value is nested too deep.
local MOST_NESTED = 4000
-- References followed in one validation: branches that all refer on take time that doubles with each level of the value.
local MOST_FOLLOWED = 3000000
-- Violations told of one value.
local MOST_ERRORS = 100

local KEYWORDS = setmetatable({}, { __index = function(_, name) return assertions[name] or applicators[name] end })

-- ---- A run ----

local Run = {}
Run.__index = Run

function Run:pointer()
  local parts = {}
  for i = 1, self.depth do
    -- Pointers count from 0, Lua from 1.
    local key = self.path[i]
    parts[i] = "/" .. values.escape(math.type(key) == "integer" and key - 1 or key)
  end
  return table.concat(parts)
end

--- Lists a violation where violations are listed.
-- @return false
function Run:fail(keyword, at, format, ...)
  local found = self.errors
  if self.collect and #found < MOST_ERRORS then
    found[#found + 1] = { instance = self:pointer(), keyword = keyword, schema = at, message = format:format(...) }
  end
  return false
end

--- Is the value valid, without listing why not? What an invalid one left of marks for empty tables is taken back.
function Run:try(validate, value, seen)
  local collect, empty_count = self.collect, self.empty_count
  self.collect = false
  local ok = validate(value, self, seen)
  self.collect = collect
  if not ok then
    self.empty_count = empty_count
  end
  return ok
end

--- The first violation in a value, as a text.
function Run:first(validate, value)
  local errors, count = self.errors, self.empty_count
  self.errors, self.is_explaining = {}, true
  validate(value, self)
  local found = self.errors[1]
  self.errors, self.empty_count, self.is_explaining = errors, count, false
  if not found then
    return "is not valid"
  end
  local own = self:pointer()
  return found.instance == own and found.message or ("%s %s"):format(found.instance:sub(#own + 1), found.message)
end

--- Begins a validation.
-- @bool collect
-- @tab resource of the schema
function compiler.run(collect, resource)
  return setmetatable({ collect = collect, path = {}, depth = 0, errors = {}, nesting = 0, followed = 0, scope = { resource }, scopes = 1,
    empties = {}, empty_count = 0 }, Run)
end

-- ---- Schemas ----

local Compiler = {}
Compiler.__index = Compiler

local function accept()
  return true
end

-- As `validate`, with the resource on the dynamic scope meanwhile.
local function scoped(validate, resource)
  return function(value, run, seen)
    local count = run.scopes + 1
    run.scope[count], run.scopes = resource, count
    local ok = validate(value, run, seen)
    run.scopes = count - 1
    return ok
  end
end

local function all_of(checks)
  local count = #checks
  if count == 0 then
    return accept
  elseif count == 1 then
    return checks[1]
  end
  return function(value, run, seen)
    local ok = true
    for i = 1, count do
      if not checks[i](value, run, seen) then
        if not run.collect then
          return false
        end
        ok = false
      end
    end
    return ok
  end
end

-- The unevaluated* keywords look at what the others of the schema have seen.
local function evaluated(validate, rest)
  return function(value, run, seen)
    if type(value) ~= "table" then
      return validate(value, run, seen)
    end
    local own = {}
    if not (validate(value, run, own) and rest(value, run, own)) then
      return false
    elseif seen then
      for key in next, own do
        seen[key] = true
      end
    end
    return true
  end
end

-- Cheap and telling ones first; then by name, so that errors come in the same order every time.
local FIRST = { type = 1, const = 2, enum = 3, ["$ref"] = 4 }

local function sorted_keywords(node, known)
  local names = {}
  for name in next, node do
    if known[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b)
    local of_a, of_b = FIRST[a] or 9, FIRST[b] or 9
    return of_a < of_b or (of_a == of_b and a < b)
  end)
  return names
end

local function check_names(self, node, at, draft)
  for name in next, node do
    if type(name) ~= "string" then
      refuse(at, "a schema must be a table of keywords or a boolean, not a list")
    elseif self.is_strict and not draft.keywords[name] and not drafts.silent[name] then
      refuse(at, "unknown keyword %s%s", check.show(name), drafts.hint(name))
    end
  end
end

function Compiler:keywords_of(node, at, resource)
  local draft = resource.draft
  if draft.is_old and node["$ref"] ~= nil then
    return { "$ref" }
  end
  check_names(self, node, at, draft)
  local names = sorted_keywords(node, draft.keywords)
  if node.format ~= nil and (self.formats or draft.asserts_formats) then
    names[#names + 1] = "format"
  end
  return names
end

local function build(self, node, at, resource)
  local checks, rest = {}, {}
  for _, name in ipairs(self:keywords_of(node, at, resource)) do
    local made = self.keywords[name](self, node[name], at, node, resource)
    if made then
      local list = name:sub(1, 11) == "unevaluated" and rest or checks
      list[#list + 1] = made
    end
  end
  self:check_silent(node, at, resource)
  local validate = all_of(checks)
  return #rest > 0 and evaluated(validate, all_of(rest)) or validate
end

-- Schemas that nothing applies must be schemas all the same, so that what is none is refused.
function Compiler:check_silent(node, at, resource)
  for keyword, place in next, resource.draft.places do
    local value = node[keyword]
    if value ~= nil and not resource.draft.keywords[keyword] then
      self:compile_place(value, place, at, keyword, resource)
    end
  end
end

function Compiler:compile_place(value, place, at, keyword, resource)
  if place == "one" or (place == "some" and not values.is_array(value)) then
    self:schema(value, ("%s/%s"):format(at, keyword), resource)
  elseif place == "map" then
    self:map(value, at, keyword, resource)
  elseif place == "list" or place == "some" then
    self:list(value, at, keyword, resource)
  end
end

--- Compiles a schema at a place; what is compiled already, or being compiled, is not again.
-- @param node
-- @string at
-- @tab resource the schema around it belongs to
-- @treturn func
function Compiler:schema(node, at, resource)
  if node == true then
    return accept
  elseif node == false then
    return function(_, run) return run:fail("false", at, "nothing is allowed here") end
  elseif type(node) ~= "table" or values.is_array(node) and not values.is_unmarked(node) then
    refuse(at, "a schema must be a table of keywords or a boolean, not %s", check.show(node))
  end
  local cell = self.cells[at]
  if not cell then
    cell = {}
    self.cells[at] = cell
    local own = self.documents:resource_of(node, resource)
    local validate = build(self, node, at, own)
    cell.validate = own ~= resource and scoped(validate, own) or validate
  end
  return cell.validate or function(value, run, seen) return cell.validate(value, run, seen) end
end

--- Compiles the schemas of a table by name: names, sorted, and functions.
function Compiler:map(value, at, keyword, resource)
  if type(value) ~= "table" or not values.is_object(value) then
    refuse(at, "'%s' must be a table of schemas by name", keyword)
  end
  local names, validators = {}, {}
  for name in next, value do
    if type(name) ~= "string" then
      refuse(at, "'%s' must be a table of schemas by name", keyword)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    validators[i] = self:schema(value[name], ("%s/%s/%s"):format(at, keyword, values.escape(name)), resource)
  end
  return names, validators
end

--- Compiles the schemas of a list.
function Compiler:list(value, at, keyword, resource)
  if type(value) ~= "table" or not values.is_array(value) or not check.is_list(value) or #value == 0 then
    refuse(at, "'%s' must be a list of at least one schema", keyword)
  end
  local validators = {}
  for i = 1, #value do
    validators[i] = self:schema(value[i], ("%s/%s/%d"):format(at, keyword, i - 1), resource)
  end
  return validators
end

-- Ends the whole validation, with what is told of the value.
local function give_up(format, ...)
  error({ given_up = format:format(...) }, 0)
end

-- The function of what a reference means: it may be compiled later, or be the schema around.
local function refer(self, target, from)
  local validate = self:schema(target.node, target.at, target.resource)
  local at = target.at
  local function follow(value, run, seen)
    local nesting, followed = run.nesting + 1, run.followed + 1
    if nesting > MOST_NESTED then
      give_up("the value is nested too deep, or the schema refers to itself without end (%s)", at)
    elseif followed > MOST_FOLLOWED then
      give_up("validation takes too long: more than %d references were followed (%s)", MOST_FOLLOWED, at)
    end
    run.nesting, run.followed = nesting, followed
    local ok = validate(value, run, seen)
    run.nesting = nesting - 1
    return ok
  end
  return target.resource ~= from and scoped(follow, target.resource) or follow
end

--- Compiles a reference.
function Compiler:reference(reference, at, resource)
  return refer(self, self.documents:resolve(resource, reference, at), resource)
end

--- Compiles a dynamic reference: where it names a dynamic anchor, the outermost schema on the way that has it is meant.
function Compiler:dynamic_reference(reference, at, resource)
  local target = self.documents:resolve(resource, reference, at)
  local static = refer(self, target, resource)
  local name = target.dynamic
  if not name then
    return static
  end
  local by_resource = self.dynamic[name] or {}
  self.dynamic[name] = by_resource
  return function(value, run, seen)
    local scope = run.scope
    for i = 1, run.scopes do
      local validate = by_resource[scope[i]]
      if validate then
        return validate(value, run, seen)
      end
    end
    return static(value, run, seen)
  end
end

-- Compiles what dynamic references may mean, now that all documents are known; that may bring more.
local function link_dynamic(self)
  local again
  repeat
    again = false
    for name, by_resource in pairs(self.dynamic) do
      for _, resource in pairs(self.documents.resources) do
        local entry = resource.dynamic[name]
        if entry and not by_resource[resource] then
          by_resource[resource], again = refer(self, entry, nil), true
          break
        end
      end
    end
  until not again
end

--- Compiles a schema.
-- @param definition
-- @tab options `{draft (a draft), formats, loader, is_strict}`
-- @treturn func
-- @treturn table its resource
-- @treturn table what compiled it, to compile parts of it
function compiler.compile(definition, options)
  local self = setmetatable({
    documents = documents.new(options.draft, options.loader), cells = {}, dynamic = {}, formats = options.formats,
    is_strict = options.is_strict, keywords = KEYWORDS,
  }, Compiler)
  local resource = self.documents:add(definition, "")
  self.documents.default = resource.draft
  local validate = self:schema(definition, "#", resource)
  link_dynamic(self)
  return validate, type(definition) == "table" and self.documents:resource_of(definition, resource) or resource, self
end

return compiler
