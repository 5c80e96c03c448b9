--- Identity: what makes two submissions the same task.
-- @module tasker.identity

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local identity = {}

local STRATEGIES = { guid = true, hash = true }
local CONFLICTS = { ["return"] = true, reject = true }
local FIELDS = { strategy = true, window = true, conflict = true }
local CANONICAL = { canonical = true }

local function check_strategy(value, fail, field)
  if type(value) == "string" and not STRATEGIES[value] then
    fail(field, "must be \"guid\", \"hash\" or a function, not %s%s", check.show(value), suggest.hint(value, STRATEGIES))
  elseif type(value) ~= "string" and type(value) ~= "function" then
    fail(field, "must be \"guid\", \"hash\" or a function, not %s", check.show(value))
  end
end

--- Checks the field `identity` of a definition.
-- @param value
-- @func fail `fail(field, format, ...)` raises
-- @treturn table `{strategy, window, reject}`: strategy "guid", "hash" or a function; window in seconds, nil forever
function identity.normalize(value, fail)
  if value == nil then
    return { strategy = "guid", reject = false }
  elseif type(value) ~= "table" then
    check_strategy(value, fail, "identity")
    return { strategy = value, reject = false }
  end
  for name in next, value do
    if not FIELDS[name] then
      fail("identity." .. tostring(name), "is unknown%s", suggest.hint(name, FIELDS))
    end
  end
  local strategy = value.strategy == nil and "guid" or value.strategy
  check_strategy(strategy, fail, "identity.strategy")
  local window = value.window
  if window == "forever" then
    window = nil
  elseif window ~= nil and (type(window) ~= "number" or check.not_duration(window)) then
    fail("identity.window", "must be a number of seconds above 0 or \"forever\", not %s", check.show(window))
  end
  if value.conflict ~= nil and not CONFLICTS[value.conflict] then
    fail("identity.conflict", "must be \"return\" or \"reject\", not %s", check.show(value.conflict))
  end
  return { strategy = strategy, window = window, reject = value.conflict == "reject" }
end

--- What of it a stored definition says, or nil when it is the default.
-- @tab spec from normalize
-- @treturn table|nil
function identity.describe(spec)
  if spec.strategy == "guid" and not spec.window and not spec.reject then
    return nil
  end
  return {
    strategy = type(spec.strategy) == "function" and "function" or spec.strategy,
    window = spec.window or "forever",
    conflict = spec.reject and "reject" or "return",
  }
end

--- The spec that a stored definition describes; its strategy may be "function": the code is elsewhere.
-- @tab[opt] described
-- @treturn table as normalize
function identity.restore(described)
  described = described or {}
  return {
    strategy = described.strategy or "guid",
    window = type(described.window) == "number" and described.window or nil,
    reject = described.conflict == "reject",
  }
end

--- SHA-256 (hex) over the canonical JSON of what a request asks for.
-- @tab request `namespace name initiator source_system context reason bypass_steps`
-- @treturn string|nil
-- @return err
function identity.hash(request)
  local text, err = core.json.encode({
    namespace = request.namespace,
    name = request.name,
    initiator = request.initiator,
    source_system = request.source_system,
    context = request.context,
    reason = request.reason,
    bypass_steps = core.json.array(table.move(request.bypass_steps, 1, #request.bypass_steps, 1, {})),
  }, CANONICAL)
  if not text then
    return nil, err
  end
  return core.sha256(text)
end

--- SHA-256 (hex) of a key within its handler.
-- @string namespace
-- @string name
-- @string key
-- @treturn string
function identity.of_key(namespace, name, key)
  -- Neither name can hold a line end, so that no two triples look alike.
  return core.sha256(namespace .. "\n" .. name .. "\n" .. key)
end

--- The identity of one request by its handler's strategy.
-- @tab spec from normalize or restore
-- @tab request
-- @treturn string|nil hex; nil for "guid" and, with an err, when there is none
-- @return err
function identity.of_request(spec, request)
  local strategy = spec.strategy
  if strategy == "guid" then
    return nil
  elseif strategy == "hash" then
    return identity.hash(request)
  elseif type(strategy) ~= "function" then
    return nil, errors.new("unsupported", ("%s/%s has a function for its identity, and this program does not have its code: "
      .. "load its file first (on the command line with --file)"):format(request.namespace, request.name))
  end
  local ok, key = pcall(strategy, request)
  if not ok then
    return errors.invalid("the identity function of %s/%s raised: %s", request.namespace, request.name, tostring(key))
  elseif type(key) ~= "string" or key == "" then
    return errors.invalid("the identity function of %s/%s must return a text that is not empty, not %s", request.namespace,
      request.name, check.show(key))
  end
  return identity.of_key(request.namespace, request.name, key)
end

return identity
