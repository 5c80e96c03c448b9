--- Retry policies of steps: their check, and what a step falls back to.
-- @module tasker.retry

local backoff = require "tasker.backoff"
local check = require "tasker.check"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local retry = {}

-- Attempts a step may be given, and entries of a list of delays: bounds against slips, far above any use.
local LARGEST_LIMIT = 1000000
local LONGEST_LIST = 1000

local DEFAULT = { limit = 3, backoff = "exponential", base = 1, factor = 2, cap = 300, jitter = "full", lost_limit = 10 }

local JITTERS = { none = true, full = true, equal = true, decorrelated = true }

--- What a policy may hold for tasker.failures; the hooks may stand beside `retry` too.
retry.FUNCTIONS = { "decide", "on_failure", "on_retry", "on_exhausted", "on_recovered" }

local FIELDS = { limit = true, backoff = true, base = true, factor = true, cap = true, jitter = true, lost_limit = true }
for _, name in ipairs(retry.FUNCTIONS) do
  FIELDS[name] = true
end

local function is_number(value)
  return type(value) == "number" and value == value and value < errors.LONGEST_SECONDS
end

local function check_number(policy, name, fail, least, exclusive)
  local value = policy[name]
  if value ~= nil and not (is_number(value) and (value > least or (not exclusive and value == least))) then
    fail("retry." .. name, "must be a number %s %s, not %s", exclusive and "above" or "of at least", least, check.show(value))
  end
end

local function check_count(policy, name, fail)
  local value = policy[name]
  local wanted = value ~= nil and (type(value) ~= "number" or check.not_integer(1, LARGEST_LIMIT)(value))
  if wanted then
    fail("retry." .. name, "must be an integer from 1 to %d, not %s", LARGEST_LIMIT, check.show(value))
  end
end

local function check_backoff(value, fail)
  if type(value) == "string" then
    if not backoff.is_known(value) then
      fail("retry.backoff", "no strategy %s is registered (tasker.backoff does that)%s", check.show(value),
        suggest.hint(value, backoff.names()))
    end
  elseif type(value) == "table" then
    if not check.is_list(value) or #value == 0 or #value > LONGEST_LIST then
      fail("retry.backoff", "must be a list of 1 to %d numbers of seconds", LONGEST_LIST)
    end
    for i, seconds in ipairs(value) do
      if not is_number(seconds) or seconds < 0 then
        fail("retry.backoff", "must be a list of numbers of at least 0, but has %s at %d", check.show(seconds), i)
      end
    end
  elseif value ~= nil and type(value) ~= "function" then
    fail("retry.backoff", "must be a name, a list of seconds or a function, not %s", check.show(value))
  end
end

local function check_jitter(value, fail)
  if type(value) == "string" then
    if not JITTERS[value] then
      fail("retry.jitter", "must be \"none\", \"full\", \"equal\", \"decorrelated\" or a fraction, not %s%s", check.show(value),
        suggest.hint(value, JITTERS))
    end
  elseif value ~= nil and not (type(value) == "number" and value >= 0 and value <= 1) then
    fail("retry.jitter", "must be a name or a fraction from 0 to 1, not %s", check.show(value))
  end
end

--- Checks a policy as a definition gives it.
-- @param policy
-- @func fail `fail(field, format, ...)` raises
function retry.check(policy, fail)
  if type(policy) ~= "table" then
    fail("retry", "must be a table, not %s", check.show(policy))
  end
  for name in next, policy do
    if not FIELDS[name] then
      fail("retry." .. tostring(name), "is unknown%s", suggest.hint(name, FIELDS))
    end
  end
  check_count(policy, "limit", fail)
  check_count(policy, "lost_limit", fail)
  check_number(policy, "base", fail, 0)
  check_number(policy, "factor", fail, 0, true)
  check_number(policy, "cap", fail, 0, true)
  check_backoff(policy.backoff, fail)
  check_jitter(policy.jitter, fail)
  for _, name in ipairs(retry.FUNCTIONS) do
    if policy[name] ~= nil and type(policy[name]) ~= "function" then
      fail("retry." .. name, "must be a function, not %s", check.show(policy[name]))
    end
  end
end

local function pick(name, own, common)
  if own and own[name] ~= nil then
    return own[name]
  elseif common and common[name] ~= nil then
    return common[name]
  end
  return DEFAULT[name]
end

--- The function that decides what follows from a failure. Both arguments have been checked.
-- @tab[opt] own the step's policy
-- @tab[opt] common the handler's
-- @treturn function|nil
function retry.decider(own, common)
  return pick("decide", own, common)
end

--- The whole policy of a step, as the core takes it. Both arguments have been checked.
-- @tab[opt] own the step's
-- @tab[opt] common the handler's
-- @treturn table for core.definition
-- @treturn function|nil the strategy to ask in Lua
-- @treturn string|nil the name it is registered under
function retry.resolve(own, common)
  local policy = {}
  for _, name in ipairs { "limit", "lost_limit", "base", "factor", "cap" } do
    policy[name] = pick(name, own, common)
  end
  policy.limit, policy.lost_limit = math.tointeger(policy.limit), math.tointeger(policy.lost_limit)
  local jitter = pick("jitter", own, common)
  if type(jitter) == "number" then
    policy.jitter, policy.fraction = "fraction", jitter
  else
    policy.jitter = jitter
  end
  local strategy = pick("backoff", own, common)
  if type(strategy) == "table" then
    policy.backoff, policy.list = "list", table.move(strategy, 1, #strategy, 1, {})
    return policy
  elseif backoff.is_built_in(strategy) then
    policy.backoff = strategy
    return policy
  end
  policy.backoff = "custom"
  if type(strategy) == "string" then
    return policy, backoff.find(strategy), strategy
  end
  return policy, strategy
end

return retry
