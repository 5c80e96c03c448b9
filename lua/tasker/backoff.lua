--- Backoff strategies: the registered ones of this Lua state, and asking one.
-- @module tasker.backoff

local check = require "tasker.check"
local errors = require "tasker.errors"

local backoff = {}

-- The core computes these.
local BUILT_IN = { none = true, fixed = true, linear = true, exponential = true, fibonacci = true }

local registered = {}

--- Sets aside what is registered, for code of another time that registers its own.
-- @treturn function puts it back
function backoff.isolate()
  local before = registered
  registered = setmetatable({}, { __index = before })
  return function()
    registered = before
  end
end

--- Registers a strategy under a name that `retry.backoff` can use. A second one of that name replaces the first for
-- handlers that are defined afterwards.
-- @string name
-- @func strategy `function(attempt, err, step) return seconds end`
function backoff.register(name, strategy)
  check.type(name, "string", "tasker.backoff: the name", 2)
  local wanted = check.not_name(name)
  if wanted then
    error(("tasker.backoff: the name must be %s, not %s"):format(wanted, check.show(name)), 2)
  elseif BUILT_IN[name] then
    error(("tasker.backoff: '%s' is built in; choose another name"):format(name), 2)
  end
  check.type(strategy, "function", "tasker.backoff: the strategy", 2)
  registered[name] = strategy
end

--- @treturn bool does the core compute it?
function backoff.is_built_in(name)
  return BUILT_IN[name] == true
end

--- @treturn bool may a policy name it?
function backoff.is_known(name)
  return BUILT_IN[name] == true or registered[name] ~= nil
end

--- @string name
-- @treturn function|nil the registered strategy
function backoff.find(name)
  return registered[name]
end

--- @treturn table the set of names a policy may use
function backoff.names()
  local names = {}
  for name in pairs(BUILT_IN) do
    names[name] = true
  end
  for name in pairs(registered) do
    names[name] = true
  end
  return names
end

--- Asks a strategy for the delay before the next attempt.
-- @func strategy
-- @int attempt the attempt that failed
-- @tab err what is kept of its error
-- @tab step
-- @treturn number|nil seconds; nil: the default policy applies
-- @treturn string|nil why it does
function backoff.ask(strategy, attempt, err, step)
  local ok, seconds = pcall(strategy, attempt, err, step)
  if not ok then
    return nil, ("the backoff strategy raised: %s"):format(tostring(seconds))
  elseif type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
    return nil, ("the backoff strategy returned %s, not a number of at least 0"):format(check.show(seconds))
  end
  return math.min(seconds, errors.LONGEST_SECONDS), nil
end

return backoff
