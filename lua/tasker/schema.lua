--- JSON Schema, the part that `context_schema` knows: compiled once into functions.
--
-- Keywords: `type required properties additionalProperties items enum const minimum maximum minLength maxLength pattern
-- minItems maxItems`; `$schema $id $comment title description default examples` are accepted and say nothing. Any other is
-- refused when the schema is compiled.
-- @module tasker.schema

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local json = core.json

local schema = {}

-- Nesting of a schema: as of what the store keeps.
local DEEPEST = 128
-- Violations told of one value.
local MOST_ERRORS = 100

local ANNOTATIONS = { ["$schema"] = true, ["$id"] = true, ["$comment"] = true, title = true, description = true,
  default = true, examples = true }

local TYPES = { null = true, boolean = true, object = true, array = true, number = true, string = true, integer = true }

local function escape(token)
  return (tostring(token):gsub("~", "~0"):gsub("/", "~1"))
end

-- Raised by compile, caught there.
local function refuse(at, format, ...)
  error({ refused = ("%s at %s"):format(format:format(...), at) }, 0)
end

-- An empty table is both an object and an array unless it is marked as an array.
local function is_object(value)
  return type(value) == "table" and value[1] == nil and not json.is_array(value)
end

local function is_array(value)
  return type(value) == "table" and (json.is_array(value) or value[1] ~= nil or next(value) == nil)
end

local function is_integer(value)
  return type(value) == "number" and value == math.floor(value) and value - value == 0
end

local is_type = {
  null = function(value) return value == json.null end,
  boolean = function(value) return type(value) == "boolean" end,
  object = is_object,
  array = is_array,
  number = function(value) return type(value) == "number" end,
  string = function(value) return type(value) == "string" end,
  integer = is_integer,
}

local function type_name(value)
  if value == json.null then
    return "null"
  elseif type(value) == "table" then
    return (value[1] ~= nil or json.is_array(value)) and "array" or "object"
  elseif is_integer(value) then
    return "integer"
  end
  return type(value)
end

local function equal(a, b)
  if a == b then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  elseif type_name(a) ~= type_name(b) and next(a) ~= nil then
    return false
  end
  for key, value in next, a do
    if not equal(value, b[key]) then
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

-- A run of a validator: where it is in the value, and what it found.
local Run = {}
Run.__index = Run

function Run:pointer()
  local parts = {}
  for i = 1, self.depth do
    -- Pointers count from 0, Lua from 1.
    local key = self.path[i]
    parts[i] = "/" .. escape(math.type(key) == "integer" and key - 1 or key)
  end
  return table.concat(parts)
end

function Run:add(keyword, at, format, ...)
  local found = self.errors
  if #found < MOST_ERRORS then
    -- The schema `false` has no keyword to point at.
    local where = keyword == "false" and at or at .. "/" .. escape(keyword)
    found[#found + 1] = { instance = self:pointer(), keyword = keyword, schema = where, message = format:format(...) }
  end
end

-- ---- Keywords: each takes its value and returns a function(value, run) that adds to run.errors ----

local compile_at

local keywords = {}

function keywords.type(value, at)
  local names = type(value) == "string" and { value } or value
  if type(names) ~= "table" or not check.is_list(names) or #names == 0 then
    refuse(at, "'type' must be a name or a list of names")
  end
  local tests = {}
  for i, name in ipairs(names) do
    if not TYPES[name] then
      refuse(at, "'type' knows no type %s%s", check.show(name), suggest.hint(name, TYPES))
    end
    tests[i] = is_type[name]
  end
  local wanted = table.concat(names, " or ")
  local test = tests[1]
  local only_array = #names == 1 and names[1] == "array"
  return function(instance, run)
    if test(instance) then
      if only_array and next(instance) == nil and not json.is_array(instance) then
        run.empty_lists = run.empty_lists + 1
        if run.mark then
          json.array(instance)
        end
      end
      return
    end
    for i = 2, #tests do
      if tests[i](instance) then
        return
      end
    end
    run:add("type", at, "must be %s, not %s", wanted, type_name(instance))
  end
end

function keywords.required(value, at)
  if type(value) ~= "table" or check.not_list_of()(value) then
    refuse(at, "'required' must be a list of names")
  end
  local names = table.move(value, 1, #value, 1, {})
  return function(instance, run)
    if is_object(instance) then
      for i = 1, #names do
        if instance[names[i]] == nil then
          run:add("required", at, "'%s' is missing", names[i])
        end
      end
    end
  end
end

function keywords.properties(value, at)
  if not is_object(value) then
    refuse(at, "'properties' must be a table of schemas by name")
  end
  local names, validators = {}, {}
  for name in next, value do
    if type(name) ~= "string" then
      refuse(at, "'properties' must be a table of schemas by name")
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    validators[i] = compile_at(value[name], ("%s/properties/%s"):format(at, escape(name)))
  end
  return function(instance, run)
    if is_object(instance) then
      local depth = run.depth + 1
      for i = 1, #names do
        local element = instance[names[i]]
        if element ~= nil then
          run.depth, run.path[depth] = depth, names[i]
          validators[i](element, run)
        end
      end
      run.depth = depth - 1
    end
  end
end

function keywords.additionalProperties(value, at, whole)
  local known = type(whole.properties) == "table" and whole.properties or {}
  local names = {}
  for name in next, known do
    names[name] = true
  end
  local validate = compile_at(value, at .. "/additionalProperties")
  return function(instance, run)
    if is_object(instance) then
      local depth = run.depth + 1
      for name, element in next, instance do
        if not names[name] then
          run.depth, run.path[depth] = depth, name
          if value == false then
            run:add("additionalProperties", at, "is not allowed here%s", suggest.hint(name, names))
          else
            validate(element, run)
          end
        end
      end
      run.depth = depth - 1
    end
  end
end

function keywords.items(value, at)
  if type(value) == "table" and value[1] ~= nil then
    refuse(at, "'items' as a list is not supported")
  end
  local validate = compile_at(value, at .. "/items")
  return function(instance, run)
    if is_array(instance) then
      local depth = run.depth + 1
      for i = 1, #instance do
        run.depth, run.path[depth] = depth, i
        validate(instance[i], run)
      end
      run.depth = depth - 1
    end
  end
end

local function describe(value)
  local text = json.encode(value)
  return text and #text <= 80 and text or "a certain value"
end

function keywords.enum(value, at)
  if type(value) ~= "table" or not check.is_list(value) or #value == 0 then
    refuse(at, "'enum' must be a list that is not empty")
  end
  local simple, others, shown = {}, {}, {}
  for i, element in ipairs(value) do
    if type(element) == "table" then
      others[#others + 1] = element
    else
      simple[element] = true
    end
    shown[i] = describe(element)
  end
  local wanted = #shown <= 20 and "one of " .. table.concat(shown, ", ") or ("one of %d values"):format(#shown)
  return function(instance, run)
    if simple[instance] then
      return
    end
    for i = 1, #others do
      if equal(instance, others[i]) then
        return
      end
    end
    run:add("enum", at, "must be %s", wanted)
  end
end

function keywords.const(value, at)
  local wanted = describe(value)
  return function(instance, run)
    if not equal(instance, value) then
      run:add("const", at, "must be %s", wanted)
    end
  end
end

local function bound(keyword, is_within, text)
  keywords[keyword] = function(value, at)
    if type(value) ~= "number" or value - value ~= 0 then
      refuse(at, "'%s' must be a number", keyword)
    end
    return function(instance, run)
      if type(instance) == "number" and not is_within(instance, value) then
        run:add(keyword, at, "must be at %s %s, not %s", text, value, instance)
      end
    end
  end
end

bound("minimum", function(instance, value) return instance >= value end, "least")
bound("maximum", function(instance, value) return instance <= value end, "most")

local function size(keyword, measure, is_within, text)
  keywords[keyword] = function(value, at)
    local count = type(value) == "number" and math.tointeger(value)
    if not count or count < 0 then
      refuse(at, "'%s' must be an integer of at least 0", keyword)
    end
    return function(instance, run)
      local actual = measure(instance)
      if actual and not is_within(actual, count) then
        run:add(keyword, at, text, count, actual)
      end
    end
  end
end

local function characters(instance)
  -- Invalid UTF-8 is refused when the value is encoded; counting bytes is good enough until then.
  return type(instance) == "string" and (utf8.len(instance) or #instance) or nil
end

local function elements(instance)
  return is_array(instance) and #instance or nil
end

local function at_least(actual, count) return actual >= count end
local function at_most(actual, count) return actual <= count end

size("minLength", characters, at_least, "must have at least %d characters, not %d")
size("maxLength", characters, at_most, "must have at most %d characters, not %d")
size("minItems", elements, at_least, "must have at least %d elements, not %d")
size("maxItems", elements, at_most, "must have at most %d elements, not %d")

function keywords.pattern(value, at)
  if type(value) ~= "string" then
    refuse(at, "'pattern' must be a string")
  end
  local matches, why = core.regex(value)
  if not matches then
    refuse(at, "'pattern': %s", tostring(why))
  end
  return function(instance, run)
    if type(instance) == "string" then
      local found, problem = matches(instance)
      if not found then
        run:add("pattern", at, problem and "cannot be matched with the pattern %s: %s" or "does not match the pattern %s",
          value, tostring(problem))
      end
    end
  end
end

-- ---- A schema ----

local known_keywords

local function accept_all()
end

local function is_ignored(keyword)
  return ANNOTATIONS[keyword]
end

-- Keywords in an order that does not change from run to run.
local function sorted_keywords(value, at)
  local names = {}
  for name in next, value do
    if not keywords[name] and not is_ignored(name) then
      refuse(at, "unsupported keyword %s%s", check.show(name), suggest.hint(name, known_keywords))
    elseif keywords[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

function compile_at(value, at)
  if value == true then
    return accept_all
  elseif value == false then
    return function(_, run)
      run:add("false", at, "nothing is allowed here")
    end
  elseif type(value) ~= "table" or json.is_array(value) or value[1] ~= nil then
    refuse(at, "a schema must be a table of keywords or a boolean, not %s", check.show(value))
  end
  local _, depth = at:gsub("/", "")
  if depth > 2 * DEEPEST then
    refuse(at, "the schema is nested too deep")
  end
  local validators = {}
  for _, keyword in ipairs(sorted_keywords(value, at)) do
    validators[#validators + 1] = keywords[keyword](value[keyword], at, value)
  end
  if #validators == 1 then
    return validators[1]
  end
  return function(instance, run)
    for i = 1, #validators do
      validators[i](instance, run)
    end
  end
end

local function invalid(found)
  local parts = {}
  for i = 1, math.min(#found, 3) do
    local one = found[i]
    parts[i] = ("%s %s"):format(one.instance == "" and "(the whole)" or one.instance, one.message)
  end
  if #found > 3 then
    parts[#parts + 1] = ("and %d more"):format(#found - 3)
  end
  return errors.new("invalid", table.concat(parts, "; "), { errors = found })
end

local Schema = {}
Schema.__index = Schema

--- Validates a value.
-- @param value as decoded from JSON, or a Lua table
-- @bool[opt] mark mark empty tables that stand for lists (changes them)
-- @return true, or nil
-- @return err `invalid` with `details.errors = {{instance, keyword, schema, message}, …}`; after true: the number of empty
-- tables that stand for lists and are not marked as arrays
function Schema:validate(value, mark)
  local run = setmetatable({ path = {}, depth = 0, errors = {}, empty_lists = 0, mark = mark }, Run)
  self.check(value, run)
  if #run.errors > 0 then
    return nil, invalid(run.errors)
  end
  return true, run.empty_lists
end

--- Validates a value that is to be kept.
-- @string text the value's JSON
-- @return the JSON, in which what is empty and stands for a list is `[]`; or nil
-- @return err as of validate
function Schema:conform(text)
  local value = json.decode(text)
  local ok, found = self:validate(value, true)
  if not ok then
    return nil, found
  end
  return found > 0 and core.encode(value) or text
end

--- Compiles a schema.
-- @tab definition
-- @return an object with `validate`, or nil
-- @return err `invalid`
function schema.compile(definition)
  if not known_keywords then
    known_keywords = {}
    for name in pairs(keywords) do
      known_keywords[name] = true
    end
    for name in pairs(ANNOTATIONS) do
      known_keywords[name] = true
    end
  end
  local ok, result = pcall(compile_at, definition, "#")
  if ok then
    return setmetatable({ check = result }, Schema)
  elseif type(result) == "table" and result.refused then
    return errors.invalid("%s", result.refused)
  end
  error(result, 0)
end

return schema
