--- What a request passes before it is sent: limits and a breaker, which live in the store and so hold over all its processes. Where no
-- app is open they live in this state.
-- @module tasker.admission

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local limits = require "tasker.limits"
local sleep = require "tasker.sleep"
local suggest = require "tasker.suggest"

local admission = {}

local MOST_FAILURES = 1000000
local DEFAULT_FAILURES, DEFAULT_RESET = 5, 30

-- How long a request may be under way that has no timeout, before its breaker takes it for lost.
local LONGEST_PROBE = 600
-- Beyond its timeout: the connection's end, the commit.
local PROBE_SLACK = 5

-- A place of a concurrency limit becomes free when nobody knows: seconds between two looks, from the first to the longest.
local FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25

-- ---- What a client says ----

local BREAKER = {
  name = { "string", check.not_name },
  failures = { "number", check.not_integer(1, MOST_FAILURES) },
  reset = { "number", check.not_duration },
}

local function read_breaker(given, what, level)
  check.type(given, "table", what .. ": option 'breaker'", level + 1)
  for name, value in next, given do
    local rule = BREAKER[name]
    if not rule then
      error(("%s: option 'breaker': field %s is unknown%s"):format(what, check.show(name), suggest.hint(name, BREAKER)), level + 1)
    end
    check.type(value, rule[1], ("%s: option 'breaker': field '%s'"):format(what, name), level + 1)
    local wanted = rule[2](value)
    if wanted then
      error(("%s: option 'breaker': field '%s' must be %s, not %s"):format(what, name, wanted, check.show(value)), level + 1)
    end
  end
  if not given.name then
    error(("%s: option 'breaker': field 'name' is missing"):format(what), level + 1)
  end
  return { name = given.name, failures = math.tointeger(given.failures or DEFAULT_FAILURES), reset = given.reset or DEFAULT_RESET }
end

-- Of options that were read before: a client reads them once.
local Read = { __name = "tasker.admission" }

--- Reads the options `limits` and `breaker`; raises what is wrong with them.
-- @tparam ?table|string given_limits
-- @tparam ?table given_breaker
-- @string what whose options they are
-- @int level of the error
-- @return both as enter takes them, each nil where it is not given
function admission.read(given_limits, given_breaker, what, level)
  local list, breaker = given_limits, given_breaker
  if list ~= nil and getmetatable(list) ~= Read then
    check.type(list, "string|table", what .. ": option 'limits'", level + 1)
    local why
    list, why = limits.read_for_client(list)
    if not list then
      error(("%s: option 'limits' %s"):format(what, why), level + 1)
    end
    setmetatable(list, Read)
  end
  if breaker ~= nil and getmetatable(breaker) ~= Read then
    breaker = setmetatable(read_breaker(breaker, what, level + 1), Read)
  end
  return list, breaker
end

-- ---- Where they live ----

local private
local known = setmetatable({}, { __mode = "k" })   -- engine -> {limits = {name -> rules told}}

local function enlist(engine)
  local ok, err = engine:enlist()
  if ok then
    known[engine] = { limits = {} }
  end
  return ok, err
end

-- The engine of the app, or where there is none that can be written to, one of this state alone.
local function engine_of()
  local engine = core.current_engine()
  if engine and engine:is_open() then
    local ok, err = known[engine] ~= nil, nil
    if not ok then
      ok, err = enlist(engine)
    end
    if ok then
      return engine
    elseif err.code ~= "refused" and err.code ~= "closed" then
      return nil, err
    end
  end
  if not private or not private:is_open() then
    local err
    private, err = core.open("memory:", { unnamed = true })
    if not private then
      return nil, err
    end
    enlist(private)
  end
  return private
end

local function tell_limits(engine, list)
  local told, new = known[engine].limits, {}
  for _, limit in ipairs(list) do
    if told[limit.name] ~= limit.rules then
      new[#new + 1] = limit
    end
  end
  if #new == 0 then
    return true
  end
  local ok, err = limits.tell_rules(engine, new)
  for _, limit in ipairs(ok and new or {}) do
    told[limit.name] = limit.rules
  end
  return ok, err
end

-- State, failures and epoch; where it is not there, or has other rules, it is declared.
local function look_at(engine, breaker)
  local state, failures, epoch, most, reset = engine:breaker(breaker.name)
  if state and most == breaker.failures and math.abs(reset - breaker.reset) < 1e-6 then
    return state, failures, epoch
  elseif not state and failures.code ~= "not_found" then
    return nil, failures
  end
  local ok, err = engine:declare_breaker(breaker.name, breaker.failures, breaker.reset)
  if not ok then
    return nil, err
  end
  return engine:breaker(breaker.name)
end

-- ---- Refusals ----

local function blocked(message, seconds, details)
  local err = errors.new("blocked", message, details)
  err.retryable, err.retry_after = true, seconds
  return nil, err
end

local function in_words(seconds)
  return ("%.3g s"):format(seconds)
end

local function blocked_by_breaker(engine, breaker, seconds)
  local state, failures = engine:breaker(breaker.name)
  if state == "half_open" then
    return blocked(("breaker '%s' lets one request try, and waits for what comes of it"):format(breaker.name), seconds,
      { breaker = breaker.name })
  end
  return blocked(("breaker '%s' is open after %d failures in a row: the next try is in %s"):format(breaker.name,
    failures or breaker.failures, in_words(seconds)), seconds, { breaker = breaker.name })
end

local function blocked_by_limit(limit, seconds, patience)
  local key = limit.key and (" (key '%s')"):format(limit.key) or ""
  if not seconds then
    return blocked(("limit '%s'%s: all %d places were taken for %s"):format(limit.name, key, limit.rules.concurrency or 0,
      in_words(patience)), 1, { limit = limit.name })
  end
  return blocked(("limit '%s'%s has no room for %s, longer than the request may take"):format(limit.name, key, in_words(seconds)),
    seconds, { limit = limit.name })
end

-- ---- Passing ----

local Pass = { __name = "tasker.pass" }
Pass.__index = Pass

local function done(self)
  local held = self.held
  self.engine = nil
  return held
end

--- Tells what came of the request.
-- @string verdict "success", "failure", or "none" when it says nothing of the service
-- @tparam ?string why of a failure
function Pass:settle(verdict, why)
  local engine, breaker = self.engine, self.breaker
  if not engine then
    return
  end
  local held = done(self)
  if breaker and verdict ~= "none" and (verdict == "failure" or held ~= 0) then
    engine:settle(breaker, self.epoch, verdict, held, why and why:sub(1, 200))   -- who asks next must know it
    return
  end
  local changes = held ~= 0
  if breaker and not changes and verdict == "success" then
    local state, failures = engine:breaker(breaker)
    changes = state == "closed" and failures > 0
  end
  if changes then
    engine:settle_later(breaker, self.epoch, verdict, held)
  end
end

-- The step was ended while it waited for the answer, or something was raised.
function Pass:__close()
  local engine = self.engine
  if engine then
    engine:settle_later(self.breaker, self.epoch, "none", done(self))
  end
end

local function new_pass(engine, breaker, epoch, held)
  return setmetatable({ engine = engine, breaker = breaker and breaker.name, epoch = epoch, held = held }, Pass)
end

-- Sleeps before the next look; false: there is no time for it. `left` is what is left of the patience, nil: any.
local function pause(seconds, left)
  if left and seconds > left then
    return false
  end
  return sleep(seconds)
end

--- Waits until the request may be sent.
-- @tparam ?table list as read made it
-- @tparam ?table breaker as read made it
-- @tparam ?number timeout seconds that the request may take, the wait included; nil: any
-- @return a pass, to be settled (and closed: `<close>`), or nil
-- @return seconds that it waited, or err: `blocked`, retryable, with retry_after
function admission.enter(list, breaker, timeout)
  local engine, err = engine_of()
  if not engine then
    return nil, err
  end
  local started, slept, looks = core.monotonic(), 0, 0
  if list then
    local ok
    ok, err = tell_limits(engine, list)
    if not ok then
      return nil, err
    end
  end
  if breaker then
    local state, failures, epoch = look_at(engine, breaker)
    if not state then
      return nil, failures
    elseif state == "closed" and not list then
      return new_pass(engine, breaker, epoch, 0), 0
    end
  end
  while true do
    -- A test's clock does not move by itself, this machine's does not by sleeping there.
    local spent = math.max(core.monotonic() - started, slept)
    local left = timeout and math.max(0, timeout - spent)
    local word, seconds, which, held, epoch = engine:admit(list or {}, breaker and breaker.name, left,
      (timeout or LONGEST_PROBE) + PROBE_SLACK)
    if not word then
      return nil, seconds
    elseif word == "admitted" then
      local pass <close> = new_pass(engine, breaker, epoch, held)
      if seconds > 0 then
        sleep(seconds)
      end
      return new_pass(engine, breaker, epoch, done(pass)), math.max(core.monotonic() - started, slept + seconds)
    elseif word == "broken" then
      return blocked_by_breaker(engine, breaker, math.max(seconds, 0.001))
    elseif word == "limited" then
      return blocked_by_limit(list[which], seconds)
    end
    looks = looks + 1
    local wait = seconds or math.min(FIRST_PAUSE * 2 ^ (looks - 1), LONGEST_PAUSE) * (0.5 + math.random())
    if not pause(wait, left) then
      return blocked_by_limit(list[which], seconds, timeout)
    end
    slept = slept + wait
  end
end

-- What says that the service does not work.
local BROKEN = { timeout = true, dns = true, connect = true, tls = true, protocol = true }
-- What says nothing of it.
local SILENT = { invalid = true, blocked = true, cancelled = true }

--- What an exchange says of the service.
-- @param response or nil
-- @param err
-- @return the verdict, and why it is a failure
function admission.verdict(response, err)
  if response then
    return response.status < 500 and "success" or "failure", response.status >= 500 and ("it answered %d"):format(response.status) or nil
  elseif BROKEN[err.code] then
    return "failure", tostring(err.message)
  end
  return SILENT[err.code] and "none" or "success"   -- too_large: it did answer
end

return admission
