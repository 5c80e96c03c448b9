--- The keywords that apply schemas to a value or to parts of it; as tasker.schema.assertions.
-- @module tasker.schema.applicators

local check = require "tasker.check"
local documents = require "tasker.schema.documents"
local read = require "tasker.schema.read"
local suggest = require "tasker.suggest"
local values = require "tasker.schema.values"

local refuse = documents.refuse
local is_object, is_array = values.is_object, values.is_array
local place = read.place

local applicators = {}

-- ---- Objects ----

-- Validates some of an object's properties with the place of each known to the run.
local function visit(run, key, validate, value)
  local depth = run.depth + 1
  run.depth, run.path[depth] = depth, key
  local ok = validate(value, run)
  run.depth = depth - 1
  return ok
end

function applicators.properties(compiler, value, at, _, resource)
  local names, validators = compiler:map(value, at, "properties", resource)
  local count = #names
  return function(instance, run, seen)
    if not is_object(instance) then
      return true
    end
    local ok, collect = true, run.collect
    for i = 1, count do
      local name = names[i]
      local element = instance[name]
      if element ~= nil then
        if seen then
          seen[name] = true
        end
        if collect then
          ok = visit(run, name, validators[i], element) and ok
        elseif not validators[i](element, run) then
          return false
        end
      end
    end
    return ok
  end
end

-- The patterns of patternProperties: how they match and, where they apply, what they validate.
local function compile_patterns(compiler, value, at, resource)
  local names, validators = compiler:map(value, at, "patternProperties", resource)
  local matchers = {}
  for i, name in ipairs(names) do
    matchers[i] = read.pattern(name, "patternProperties", at)
  end
  return matchers, validators
end

function applicators.patternProperties(compiler, value, at, _, resource)
  local matchers, validators = compile_patterns(compiler, value, at, resource)
  local where = place(at, "patternProperties")
  return function(instance, run, seen)
    if not is_object(instance) then
      return true
    end
    local ok = true
    for name, element in next, instance do
      for i = 1, #matchers do
        local found, problem = matchers[i](name)
        if problem then
          ok = run:fail("patternProperties", where, "%s cannot be matched: %s", check.show(name), tostring(problem))
        elseif found then
          if seen then
            seen[name] = true
          end
          ok = visit(run, name, validators[i], element) and ok
        end
        if not ok and not run.collect then
          return false
        end
      end
    end
    return ok
  end
end

-- A function that says whether a name is one of `properties` or matches one of `patternProperties` beside it.
local function known_names(node, at)
  local names, matchers = {}, {}
  for name in next, type(node.properties) == "table" and node.properties or {} do
    names[name] = true
  end
  for name in next, type(node.patternProperties) == "table" and node.patternProperties or {} do
    matchers[#matchers + 1] = read.pattern(name, "patternProperties", at)
  end
  if #matchers == 0 then
    return names
  end
  return names, function(name)
    for i = 1, #matchers do
      if matchers[i](name) then
        return true
      end
    end
    return false
  end
end

function applicators.additionalProperties(compiler, value, at, node, resource)
  local names, matches = known_names(node, at)
  local where = place(at, "additionalProperties")
  local validate = compiler:schema(value, where, resource)
  local function one(name, element, run)
    if value == false then
      return run:fail("additionalProperties", where, "is not allowed here%s", run.collect and suggest.hint(name, names) or "")
    end
    return validate(element, run)
  end
  return function(instance, run, seen)
    if not is_object(instance) then
      return true
    end
    local ok = true
    for name, element in next, instance do
      if not names[name] and not (matches and matches(name)) then
        if seen then
          seen[name] = true
        end
        local depth = run.depth + 1
        run.depth, run.path[depth] = depth, name
        ok = one(name, element, run) and ok
        run.depth = depth - 1
        if not ok and not run.collect then
          return false
        end
      end
    end
    return ok
  end
end

function applicators.propertyNames(compiler, value, at, _, resource)
  local where = place(at, "propertyNames")
  local validate = compiler:schema(value, where, resource)
  return function(instance, run)
    if not is_object(instance) then
      return true
    end
    local ok = true
    for name in next, instance do
      if not run:try(validate, name) then
        if not run.collect then
          return false
        end
        ok = run:fail("propertyNames", where, "the name %s: %s", check.show(name), run:first(validate, name))
      end
    end
    return ok
  end
end

local function need(instance, run, name, others, where, keyword)
  local ok = true
  for i = 1, #others do
    if instance[others[i]] == nil then
      ok = run:fail(keyword, where, "'%s' is missing, which '%s' needs", others[i], name)
    end
  end
  return ok
end

-- Names that need others, and names that need a schema.
local function dependent(keyword, is_list, is_schema)
  applicators[keyword] = function(compiler, value, at, _, resource)
    read.map(value, keyword, at)
    local where, lists, schemas = place(at, keyword), {}, {}
    for name, wanted in next, value do
      local there = place(where, name)
      if is_list and (not is_schema or is_array(wanted) and not values.is_unmarked(wanted)) then
        lists[#lists + 1] = { name, read.names(wanted, keyword, at), there }
      else
        schemas[#schemas + 1] = { name, compiler:schema(wanted, there, resource) }
      end
    end
    local function by_name(a, b) return a[1] < b[1] end
    table.sort(lists, by_name)
    table.sort(schemas, by_name)
    return function(instance, run, seen)
      if not is_object(instance) then
        return true
      end
      local ok = true
      for i = 1, #lists do
        local one = lists[i]
        ok = (instance[one[1]] == nil or need(instance, run, one[1], one[2], one[3], keyword)) and ok
      end
      for i = 1, #schemas do
        ok = (instance[schemas[i][1]] == nil or schemas[i][2](instance, run, seen)) and ok
      end
      return ok
    end
  end
end

dependent("dependentRequired", true, false)
dependent("dependentSchemas", false, true)
dependent("dependencies", true, true)

function applicators.unevaluatedProperties(compiler, value, at, _, resource)
  local where = place(at, "unevaluatedProperties")
  local validate = compiler:schema(value, where, resource)
  return function(instance, run, seen)
    if not is_object(instance) or seen[true] then
      return true
    end
    local ok = true
    for name, element in next, instance do
      if not seen[name] then
        ok = visit(run, name, value == false and function(_, own)
          return own:fail("unevaluatedProperties", where, "is not allowed here")
        end or validate, element) and ok
      end
    end
    seen[true] = true
    return ok
  end
end

-- ---- Arrays ----

-- Validates elements from one place on.
local function validate_rest(instance, run, validate, first)
  local ok, collect = true, run.collect
  for i = first, #instance do
    if collect then
      ok = visit(run, i, validate, instance[i]) and ok
    elseif not validate(instance[i], run) then
      return false
    end
  end
  return ok
end

local function see(seen, first, last)
  for i = first, last do
    seen[i] = true
  end
end

-- A schema for each of the first elements.
local function tuple(validators)
  return function(instance, run, seen)
    if not is_array(instance) then
      return true
    end
    local ok = true
    for i = 1, math.min(#validators, #instance) do
      ok = visit(run, i, validators[i], instance[i]) and ok
    end
    if seen then
      see(seen, 1, math.min(#validators, #instance))
    end
    return ok
  end
end

-- A schema for all elements behind the first ones.
local function rest_of(validate, first)
  return function(instance, run, seen)
    if not is_array(instance) then
      return true
    end
    if seen then
      see(seen, first, #instance)
    end
    return validate_rest(instance, run, validate, first)
  end
end

function applicators.prefixItems(compiler, value, at, _, resource)
  return tuple(compiler:list(value, at, "prefixItems", resource))
end

function applicators.items(compiler, value, at, node, resource)
  if not resource.draft.is_old then
    if type(value) == "table" and value[1] ~= nil then
      refuse(at, "'items' must be one schema: in 2020-12 a list of them is 'prefixItems'")
    end
    local first = is_array(node.prefixItems) and #node.prefixItems + 1 or 1
    return rest_of(compiler:schema(value, place(at, "items"), resource), first)
  elseif type(value) ~= "table" or not is_array(value) or values.is_unmarked(value) then
    return rest_of(compiler:schema(value, place(at, "items"), resource), 1)
  end
  local heads = #value > 0 and tuple(compiler:list(value, at, "items", resource))
  local tail = node.additionalItems ~= nil and
    rest_of(compiler:schema(node.additionalItems, place(at, "additionalItems"), resource), #value + 1)
  return function(instance, run, seen)
    local ok = not heads or heads(instance, run, seen)
    return (not tail or tail(instance, run, seen)) and ok
  end
end

function applicators.contains(compiler, value, at, node, resource)
  local where = place(at, "contains")
  local validate = compiler:schema(value, where, resource)
  local counts = not resource.draft.is_old and resource.draft.keywords.minItems
  local least = counts and node.minContains ~= nil and read.count(node.minContains, "minContains", at) or 1
  local most = counts and node.maxContains ~= nil and read.count(node.maxContains, "maxContains", at) or math.huge
  return function(instance, run, seen)
    if not is_array(instance) then
      return true
    end
    local count = 0
    for i = 1, #instance do
      if run:try(validate, instance[i]) then
        count = count + 1
        if seen then
          seen[i] = true
        end
      end
    end
    if count < least then
      local keyword = node.minContains ~= nil and counts and "minContains" or "contains"
      return run:fail(keyword, place(at, keyword), "must contain at least %d elements of a kind, not %d", least, count)
    elseif count > most then
      return run:fail("maxContains", place(at, "maxContains"), "must contain at most %d elements of a kind, not %d", most, count)
    end
    return true
  end
end

function applicators.unevaluatedItems(compiler, value, at, _, resource)
  local where = place(at, "unevaluatedItems")
  local validate = compiler:schema(value, where, resource)
  return function(instance, run, seen)
    if not is_array(instance) or seen[true] then
      return true
    end
    local ok = true
    for i = 1, #instance do
      if not seen[i] then
        ok = visit(run, i, value == false and function(_, own)
          return own:fail("unevaluatedItems", where, "is not allowed here")
        end or validate, instance[i]) and ok
      end
    end
    seen[true] = true
    return ok
  end
end

-- ---- Schemas in schemas ----

applicators["$ref"] = function(compiler, value, at, _, resource)
  if type(value) ~= "string" then
    refuse(at, "'$ref' must be a URI")
  end
  return compiler:reference(value, place(at, "$ref"), resource)
end

applicators["$dynamicRef"] = function(compiler, value, at, _, resource)
  if type(value) ~= "string" then
    refuse(at, "'$dynamicRef' must be a URI")
  end
  return compiler:dynamic_reference(value, place(at, "$dynamicRef"), resource)
end

function applicators.allOf(compiler, value, at, _, resource)
  local validators = compiler:list(value, at, "allOf", resource)
  return function(instance, run, seen)
    local ok = true
    for i = 1, #validators do
      if not validators[i](instance, run, seen) then
        if not run.collect then
          return false
        end
        ok = false
      end
    end
    return ok
  end
end

-- Tries a branch; what it has seen counts when it is valid.
local function try(run, validate, instance, seen)
  if not seen then
    return run:try(validate, instance)
  end
  local own = {}
  if not run:try(validate, instance, own) then
    return false
  end
  for key in next, own do
    seen[key] = true
  end
  return true
end

-- Why no branch is valid: the first violation of each, of the first three.
local function reasons(run, validators, instance)
  if run.is_explaining then
    return ""
  end
  local parts = {}
  for i = 1, math.min(#validators, 3) do
    parts[i] = ("(%d) %s"):format(i, run:first(validators[i], instance))
  end
  return ": " .. table.concat(parts, "; ") .. (#validators > 3 and "; …" or "")
end

function applicators.anyOf(compiler, value, at, _, resource)
  local validators, where = compiler:list(value, at, "anyOf", resource), place(at, "anyOf")
  return function(instance, run, seen)
    local ok = false
    for i = 1, #validators do
      ok = try(run, validators[i], instance, seen) or ok
      if ok and not seen then
        return true
      end
    end
    return ok or run:fail("anyOf", where, "is none of the %d that it may be%s", #validators,
      run.collect and reasons(run, validators, instance) or "")
  end
end

function applicators.oneOf(compiler, value, at, _, resource)
  local validators, where = compiler:list(value, at, "oneOf", resource), place(at, "oneOf")
  return function(instance, run, seen)
    local found
    for i = 1, #validators do
      if try(run, validators[i], instance, seen) then
        if found then
          return run:fail("oneOf", where, "must be just one of the %d that it may be, but it is both number %d and number %d",
            #validators, found, i)
        end
        found = i
      end
    end
    return found ~= nil or run:fail("oneOf", where, "is none of the %d that it may be%s", #validators,
      run.collect and reasons(run, validators, instance) or "")
  end
end

applicators["not"] = function(compiler, value, at, _, resource)
  local where = place(at, "not")
  local validate = compiler:schema(value, where, resource)
  return function(instance, run)
    local count = run.empty_count
    local ok = run:try(validate, instance)
    run.empty_count = count
    return not ok or run:fail("not", where, "is what it must not be")
  end
end

applicators["if"] = function(compiler, value, at, node, resource)
  local condition = compiler:schema(value, place(at, "if"), resource)
  local yes = node["then"] ~= nil and compiler:schema(node["then"], place(at, "then"), resource)
  local no = node["else"] ~= nil and compiler:schema(node["else"], place(at, "else"), resource)
  return function(instance, run, seen)
    local branch = no
    if try(run, condition, instance, seen) then
      branch = yes
    end
    return not branch or branch(instance, run, seen)
  end
end

return applicators
