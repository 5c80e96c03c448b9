--- Definitions in a store: what this state's handlers are there, and what a name means.
-- @module tasker.definitions

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local identity = require "tasker.identity"
local limits = require "tasker.limits"
local reference = require "tasker.reference"
local registry = require "tasker.registry"
local schema = require "tasker.schema"
local suggest = require "tasker.suggest"

local definitions = {}

-- engine -> handler -> definition number.
local numbers = setmetatable({}, { __mode = "k" })

--- Defines a handler in a store, once.
-- @param engine
-- @tab self the handler
-- @treturn int|nil the definition's number there
-- @return err
function definitions.define(engine, self)
  local known = numbers[engine]
  if not known then
    known = setmetatable({}, { __mode = "k" })
    numbers[engine] = known
  end
  local number = known[self]
  if number then
    return number
  end
  local source = self.source
  local definition, err = handler.definition(self, source and source.hash)
  local told
  if definition then
    told, err = limits.tell(engine, self)
  end
  if told then
    number, err = engine:define(definition, source and source.text)
  end
  if not number then
    return nil, err
  end
  known[self] = number
  return number
end

-- ---- Names ----

definitions.parse = reference.parse

local function not_found(engine, namespace, name, version)
  local known, versions, elsewhere = {}, {}, nil
  local function add(one)
    local full = one.namespace .. "/" .. one.name
    known[full] = true
    if one.name == name and one.namespace == namespace then
      versions[one.version] = true
    elseif one.name == name then
      elsewhere = full
    end
  end
  for _, one in ipairs(registry.all()) do
    add(one)
  end
  for _, one in ipairs(engine:definitions() or {}) do
    add(one)
  end
  local full = namespace .. "/" .. name
  if version and next(versions) then
    local list = {}
    for one in pairs(versions) do
      list[#list + 1] = one
    end
    table.sort(list, function(a, b) return core.semver_compare(a, b) < 0 end)
    return nil, errors.new("not_found", ("no handler '%s@%s' is defined; there are versions %s"):format(full, version,
      table.concat(list, ", ")))
  end
  local hint = elsewhere and ("; did you mean '%s'?"):format(elsewhere) or suggest.hint(full, known)
  return nil, errors.new("not_found", ("no handler '%s' is defined%s"):format(full, hint))
end

-- ---- Plans: what submitting to a definition needs to know ----

local function plan_of_handler(self, number)
  return {
    number = number, namespace = self.namespace, name = self.name, version = self.version,
    validator = self.context_validator, identity = self.identity, priority = self.priority, queue = self.queue,
    steps = self.steps,
  }
end

local UNMARKED = { unmarked = true }

local function plan_of_stored(stored)
  -- Empty lists of a schema given in Lua were written as `{}`.
  local described = assert(core.json.decode(stored.json, UNMARKED))
  local validator, err
  if described.context_schema then
    validator, err = schema.compile(described.context_schema)
    if not validator then
      return nil, errors.new("unsupported", ("the context_schema of %s/%s@%s cannot be used here: %s"):format(
        stored.namespace, stored.name, stored.version, err.message))
    end
  end
  return {
    number = stored.number, namespace = stored.namespace, name = stored.name, version = stored.version,
    validator = validator, identity = identity.restore(described.identity), priority = described.priority,
    queue = described.queue, steps = described.steps,
  }
end

--- What submitting to a handler needs to know: the definition in this state when it is the one meant, else the store's.
-- @param engine
-- @string namespace
-- @string name
-- @string[opt] version the highest without
-- @treturn table|nil `{number, namespace, name, version, validator, identity, priority, queue, steps}`
-- @return err
function definitions.plan(engine, namespace, name, version)
  local own = registry.find(namespace, name, version)
  local stored, err
  if not own or not version then
    stored, err = engine:find_definition(namespace, name, version)
    if err then
      return nil, err
    end
  end
  if own and stored and core.semver_compare(stored.version, own.version) > 0 then
    own = nil
  end
  if own then
    local number
    number, err = definitions.define(engine, own)
    if not number then
      return nil, err
    end
    return plan_of_handler(own, number)
  elseif stored then
    return plan_of_stored(stored)
  end
  return not_found(engine, namespace, name, version)
end

--- Indexes of steps to bypass.
-- @tab plan
-- @tparam {string,...} names
-- @treturn {int,...}|nil
-- @return err `invalid`
function definitions.bypass(plan, names)
  local index_of = plan.index_of
  if not index_of then
    index_of = {}
    for i, step in ipairs(plan.steps) do
      index_of[step.name] = i
    end
    plan.index_of = index_of
  end
  local indexes, seen = {}, {}
  for _, name in ipairs(names) do
    local index = index_of[name]
    if not index then
      return errors.invalid("bypass_steps names %s, which is no step of %s/%s@%s%s", check.show(name), plan.namespace,
        plan.name, plan.version, suggest.hint(name, index_of))
    elseif not plan.steps[index].skippable then
      return errors.invalid("bypass_steps names '%s', but that step of %s/%s@%s is not skippable", name, plan.namespace,
        plan.name, plan.version)
    end
    if not seen[index] then
      seen[index] = true
      indexes[#indexes + 1] = index
    end
  end
  table.sort(indexes)
  return indexes
end

return definitions
