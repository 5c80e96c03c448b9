--- Named step handlers: what `handler = "name"` of a step runs.
-- @module tasker.step_handlers

local check = require "tasker.check"
local schema = require "tasker.schema"
local suggest = require "tasker.suggest"

local step_handlers = {}

local registered = {}

-- Those that come with tasker, each in handlers/NAME.lua.
local READY_MADE = { approval_request = true, graphql = true, rest = true, webhook = true }

--- Sets aside what is registered, for code of another time that registers its own.
-- @treturn function puts it back
function step_handlers.isolate()
  local before = registered
  registered = setmetatable({}, { __index = before })
  return function()
    registered = before
  end
end

local FIELDS = { config_schema = true, run = true }

--- Registers a step handler. A second one of that name replaces the first for steps defined afterwards.
-- @string name
-- @tab definition `{config_schema = JSON Schema, run = function(task, step, config) … end}`
function step_handlers.register(name, definition)
  local what = "tasker.step_handler"
  check.type(name, "string", what .. ": the name", 2)
  local wanted = check.not_name(name)
  if wanted then
    error(("%s: the name must be %s, not %s"):format(what, wanted, check.show(name)), 2)
  end
  what = ("%s '%s'"):format(what, name)
  check.type(definition, "table", what .. ": the definition", 2)
  for field in next, definition do
    if not FIELDS[field] then
      error(("%s: field %s is unknown%s"):format(what, check.show(field), suggest.hint(field, FIELDS)), 2)
    end
  end
  check.type(definition.run, "function", what .. ": field 'run'", 2)
  local config_schema
  if definition.config_schema ~= nil then
    local err
    config_schema, err = schema.compile(definition.config_schema)
    if not config_schema then
      error(("%s: field 'config_schema': %s"):format(what, err.message), 2)
    end
  end
  registered[name] = { name = name, run = definition.run, config_schema = config_schema }
end

--- @string name
-- @treturn table|nil `{name, run, config_schema}`; of ours, instead of run, `expand`: the fields of the step that a configuration
-- stands for
function step_handlers.find(name)
  local found = registered[name]
  if not found and READY_MADE[name] then
    local definition = require("tasker.handlers." .. name)
    found = { name = name, run = definition.run, expand = definition.expand,
      config_schema = assert(schema.compile(definition.config_schema)) }
  end
  return found
end

--- `; did you mean …?` for a name that is not registered.
-- @string name
-- @treturn string
function step_handlers.hint(name)
  local names = {}
  for _, set in ipairs { READY_MADE, registered } do
    for known in pairs(set) do
      names[known] = true
    end
  end
  return suggest.hint(name, names)
end

return step_handlers
