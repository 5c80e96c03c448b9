--- The keywords that assert something of a value itself. Each takes the compiler, its value, its place, the schema it stands in
-- and the resource, and returns a function `(value, run, seen)` as of tasker.schema.compiler, or nothing when it says nothing.
-- @module tasker.schema.assertions

local check = require "tasker.check"
local documents = require "tasker.schema.documents"
local read = require "tasker.schema.read"
local suggest = require "tasker.suggest"
local values = require "tasker.schema.values"

local refuse = documents.refuse
local is_object, is_array, describe = values.is_object, values.is_array, values.describe
local place = read.place
local utf8_len = utf8.len

local assertions = {}

-- ---- Any value ----

local TYPES = {
  null = function(value) return value == values.null end,
  boolean = function(value) return type(value) == "boolean" end,
  object = is_object,
  array = is_array,
  number = function(value) return type(value) == "number" end,
  string = function(value) return type(value) == "string" end,
  integer = values.is_integer,
}

-- An empty table that only a list can be: it is remembered, to be marked as one when all of the value is valid.
local function list_test(at)
  return function(value, run)
    if not is_array(value) then
      return run:fail("type", at, "must be array, not %s", values.type_name(value))
    elseif value[1] == nil and values.is_unmarked(value) then
      local count = run.empty_count + 1
      run.empties[count], run.empty_count = value, count
    end
    return true
  end
end

-- Without a call for the most frequent types.
local function plain_test(name, at)
  return function(value, run)
    return type(value) == name or run:fail("type", at, "must be %s, not %s", name, values.type_name(value))
  end
end

function assertions.type(_, value, at)
  local names = type(value) == "string" and { value } or value
  if type(names) ~= "table" or not check.is_list(names) or #names == 0 then
    refuse(at, "'type' must be a name or a list of names")
  end
  local tests, seen = {}, {}
  for i, name in ipairs(names) do
    if not TYPES[name] then
      refuse(at, "'type' knows no type %s%s", check.show(name), suggest.hint(name, TYPES))
    elseif seen[name] then
      refuse(at, "'type' names '%s' twice", name)
    end
    tests[i], seen[name] = TYPES[name], true
  end
  local wanted, where = table.concat(names, " or "), place(at, "type")
  if #names == 1 and wanted == "array" then
    return list_test(where)
  elseif wanted == "string" or wanted == "number" or wanted == "boolean" then
    return plain_test(wanted, where)
  end
  return function(instance, run)
    for i = 1, #tests do
      if tests[i](instance) then
        return true
      end
    end
    return run:fail("type", where, "must be %s, not %s", wanted, values.type_name(instance))
  end
end

function assertions.enum(_, value, at)
  if type(value) ~= "table" or not check.is_list(value) then
    refuse(at, "'enum' must be a list")
  end
  local simple, others, shown = {}, {}, {}
  for i, element in ipairs(value) do
    if type(element) == "table" then
      others[#others + 1] = element
    elseif element == element then
      simple[element] = true
    end
    shown[i] = describe(element)
  end
  local wanted = #shown <= 20 and "one of " .. table.concat(shown, ", ") or ("one of %d values"):format(#shown)
  local where = place(at, "enum")
  return function(instance, run)
    if simple[instance] then
      return true
    end
    for i = 1, #others do
      if values.equal(instance, others[i]) then
        return true
      end
    end
    return run:fail("enum", where, "must be %s", wanted)
  end
end

function assertions.const(_, value, at)
  local wanted, where = describe(value), place(at, "const")
  return function(instance, run)
    return values.equal(instance, value) or run:fail("const", where, "must be %s", wanted)
  end
end

-- ---- Numbers ----

local function bound(keyword, is_within, text)
  assertions[keyword] = function(_, value, at)
    read.number(value, keyword, at)
    local where = place(at, keyword)
    return function(instance, run)
      return type(instance) ~= "number" or is_within(instance, value) or
        run:fail(keyword, where, "must be %s %s, not %s", text, value, instance)
    end
  end
end

bound("minimum", function(instance, value) return instance >= value end, "at least")
bound("maximum", function(instance, value) return instance <= value end, "at most")
bound("exclusiveMinimum", function(instance, value) return instance > value end, "greater than")
bound("exclusiveMaximum", function(instance, value) return instance < value end, "less than")

function assertions.multipleOf(_, value, at)
  read.number(value, "multipleOf", at)
  if value <= 0 then
    refuse(at, "'multipleOf' must be greater than 0")
  end
  local where = place(at, "multipleOf")
  return function(instance, run)
    return type(instance) ~= "number" or values.is_multiple(instance, value) or
      run:fail("multipleOf", where, "must be a multiple of %s, not %s", value, instance)
  end
end

-- ---- Sizes ----

local function size(keyword, measure, is_within, text)
  assertions[keyword] = function(_, value, at)
    local count, where = read.count(value, keyword, at), place(at, keyword)
    return function(instance, run)
      local actual = measure(instance)
      return not actual or is_within(actual, count) or run:fail(keyword, where, text, count, actual)
    end
  end
end

local function characters(instance)
  -- Invalid UTF-8 is refused when the value is encoded; counting bytes is good enough until then.
  return type(instance) == "string" and (utf8_len(instance) or #instance) or nil
end

local function elements(instance)
  return is_array(instance) and #instance or nil
end

local function properties(instance)
  if not is_object(instance) then
    return nil
  end
  local count = 0
  for _ in next, instance do
    count = count + 1
  end
  return count
end

local function at_least(actual, count) return actual >= count end
local function at_most(actual, count) return actual <= count end

size("minLength", characters, at_least, "must have at least %d characters, not %d")
size("maxLength", characters, at_most, "must have at most %d characters, not %d")
size("minItems", elements, at_least, "must have at least %d elements, not %d")
size("maxItems", elements, at_most, "must have at most %d elements, not %d")
size("minProperties", properties, at_least, "must have at least %d properties, not %d")
size("maxProperties", properties, at_most, "must have at most %d properties, not %d")

-- ---- Strings ----

function assertions.pattern(_, value, at)
  local matches, where = read.pattern(value, "pattern", at), place(at, "pattern")
  return function(instance, run)
    if type(instance) ~= "string" then
      return true
    end
    local found, problem = matches(instance)
    return found or run:fail("pattern", where, problem and "cannot be matched with the pattern %s: %s" or
      "does not match the pattern %s", value, tostring(problem))
  end
end

function assertions.format(compiler, value, at)
  if type(value) ~= "string" then
    refuse(at, "'format' must be a name")
  end
  local where = place(at, "format")
  local own = type(compiler.formats) == "table" and compiler.formats[value]
  local builtin = require("tasker.schema.formats")[value]
  if own then
    return function(instance, run)
      local kind = type(instance)
      if kind ~= "string" and kind ~= "number" then
        return true
      end
      local ok, accepted = pcall(own, instance)
      return (ok and accepted) and true or
        run:fail("format", where, ok and "is no %s" or "is no %s: %s", value, tostring(accepted))
    end
  end
  return builtin and function(instance, run)
    return type(instance) ~= "string" or builtin(instance) or run:fail("format", where, "is no %s", value)
  end
end

-- ---- Objects ----

function assertions.required(_, value, at)
  local names, where = read.names(value, "required", at), place(at, "required")
  local count = #names
  return function(instance, run)
    if not is_object(instance) then
      return true
    end
    local ok = true
    for i = 1, count do
      if instance[names[i]] == nil then
        ok = run:fail("required", where, "'%s' is missing", names[i])
        if not run.collect then
          return false
        end
      end
    end
    return ok
  end
end

function assertions.uniqueItems(_, value, at)
  if type(value) ~= "boolean" then
    refuse(at, "'uniqueItems' must be a boolean")
  end
  local where = place(at, "uniqueItems")
  return value and function(instance, run)
    if not is_array(instance) then
      return true
    end
    local first, second = values.duplicate(instance)
    return not first or run:fail("uniqueItems", where, "the elements %d and %d are equal", first - 1, second - 1)
  end
end

return assertions
