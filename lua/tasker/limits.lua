--- Limits in front of steps: `tasker.limit` declares them, the field `limits` of a step or handler names them.
-- @module tasker.limits

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local limits = {}

local json = core.json

local MOST_OF_STEP, LONGEST_KEY = core.bounds.step_limits, core.bounds.limit_key
local MOST_UNITS = 1000000000

local declared = {}

--- Sets aside what is declared, for code of another time that declares its own.
-- @treturn function puts it back
function limits.isolate()
  local before = declared
  declared = setmetatable({}, { __index = before })
  return function()
    declared = before
  end
end

-- ---- Rules ----

local not_units = check.not_integer(1, MOST_UNITS)

local function not_rate(value)
  if not (value > 0 and value <= MOST_UNITS) then
    return ("a number above 0, at most %d"):format(MOST_UNITS)
  end
  return nil
end

local RULES = {
  rate = { "number", not_rate },
  per = { "number", check.not_duration },
  burst = { "number", not_units },
  concurrency = { "number", not_units },
}

-- What is wrong with rules, or nil.
local function wrong_rules(rules)
  for name, value in next, rules do
    local rule = RULES[name]
    if not rule then
      return ("field %s is unknown%s"):format(check.show(name), suggest.hint(name, RULES))
    end
    local wrong = check.wrong_type(value, rule[1])
    local wanted = not wrong and rule[2](value)
    if wrong or wanted then
      return ("field '%s' %s"):format(name, wrong or ("must be %s, not %s"):format(wanted, check.show(value)))
    end
  end
  if rules.rate == nil and rules.concurrency == nil then
    return "needs a 'rate' or a 'concurrency'"
  elseif rules.rate == nil and (rules.per or rules.burst) then
    return ("field '%s' needs a 'rate'"):format(rules.per and "per" or "burst")
  end
  return nil
end

--- Declares a limit; a second declaration of the name replaces the first for handlers defined afterwards.
-- @string name
-- @tab rules `rate` (units) each `per` (seconds, default 1), at most `burst` at once (default 1); `concurrency`: steps at once
function limits.declare(name, rules)
  check.type(name, "string", "tasker.limit: the name", 2)
  local wanted = check.not_name(name)
  if wanted then
    error(("tasker.limit: the name must be %s, not %s"):format(wanted, check.show(name)), 2)
  end
  check.type(rules, "table", ("tasker.limit '%s': the rules"):format(name), 2)
  local wrong = wrong_rules(rules)
  if wrong then
    error(("tasker.limit '%s': %s"):format(name, wrong), 2)
  end
  declared[name] = { name = name, rate = rules.rate, per = rules.per or 1, burst = math.tointeger(rules.burst) or 1,
    concurrency = math.tointeger(rules.concurrency) }
end

-- ---- The field `limits` ----

local FIELDS = { key = "function", cost = "number" }

local function read_one(given, at, fail)
  local one = type(given) == "string" and { given } or given
  if type(one) ~= "table" or type(one[1]) ~= "string" then
    fail("limits", "entry %d must be a limit's name or {name, key = function, cost = n}, not %s", at, check.show(given))
  end
  local name = one[1]
  local rules = declared[name]
  if not rules then
    fail("limits", "names no limit %s (tasker.limit declares one)%s", check.show(name), suggest.hint(name, declared))
  end
  for field, value in next, one do
    local wrong = field ~= 1 and FIELDS[field] and check.wrong_type(value, FIELDS[field])
    if field ~= 1 and not FIELDS[field] then
      fail("limits", "limit '%s': field %s is unknown%s", name, check.show(field), suggest.hint(field, FIELDS))
    elseif wrong then
      fail("limits", "limit '%s': field '%s' %s", name, field, wrong)
    end
  end
  local cost = one.cost == nil and 1 or one.cost
  local wanted = not_units(cost)
  if wanted then
    fail("limits", "limit '%s': field 'cost' must be %s, not %s", name, wanted, check.show(cost))
  elseif one.cost and not rules.rate then
    fail("limits", "limit '%s': field 'cost' is of its rate, and it has none", name)
  elseif rules.rate and cost > rules.burst then
    fail("limits", "limit '%s': field 'cost' is %d, more than the limit's burst of %d: it could never start", name, cost, rules.burst)
  end
  return { name = name, key = one.key, cost = math.tointeger(cost), rules = rules }
end

--- Reads the field of a step or of a handler.
-- @param given a name, or a list of names and `{name, key, cost}`
-- @func fail gets a field, a format and its arguments; raises
-- @treturn {table,...} `{name, key, cost, rules}`
function limits.read(given, fail)
  local list = type(given) == "string" and { given } or given
  if type(list) ~= "table" or not check.is_list(list) then
    fail("limits", "must be a limit's name or a list of limits")
  end
  local result = {}
  for i, one in ipairs(list) do
    result[i] = read_one(one, i, fail)
  end
  return result
end

--- The limits of a step: its handler's, then its own.
-- @tab common of the handler
-- @tab own of the step
-- @func fail
-- @treturn ?{table,...} nil: none
function limits.join(common, own, fail)
  local all, seen = table.move(common, 1, #common, 1, {}), {}
  table.move(own, 1, #own, #all + 1, all)
  for _, limit in ipairs(all) do
    if seen[limit.name] then
      fail("limits", "names '%s' twice", limit.name)
    end
    seen[limit.name] = true
  end
  if #all > MOST_OF_STEP then
    fail("limits", "has %d limits; a step has at most %d", #all, MOST_OF_STEP)
  end
  return #all > 0 and all or nil
end

-- ---- The option `limits` of clients ----

local CLIENT_FIELDS = { key = { "string|number" }, cost = { "number", not_units } }

-- One entry, or nil and what is wrong.
local function read_client_limit(given, at)
  local one = type(given) == "string" and { given } or given
  if type(one) ~= "table" or type(one[1]) ~= "string" then
    return nil, ("entry %d must be a limit's name or {name, key = text, cost = n}, not %s"):format(at, check.show(given))
  end
  local name = one[1]
  local rules = declared[name]
  if not rules then
    return nil, ("names no limit %s (tasker.limit declares one)%s"):format(check.show(name), suggest.hint(name, declared))
  end
  for field, value in next, one do
    local rule = CLIENT_FIELDS[field]
    if field ~= 1 then
      local wrong = not rule and "is unknown" .. suggest.hint(field, CLIENT_FIELDS) or check.wrong_type(value, rule[1])
      local wanted = not wrong and rule[2] and rule[2](value)
      if wrong or wanted then
        return nil, ("limit '%s': field %s %s"):format(name, check.show(field),
          wrong or ("must be %s, not %s"):format(wanted, check.show(value)))
      end
    end
  end
  local cost = math.tointeger(one.cost or 1)
  if rules.rate and cost > rules.burst then
    return nil, ("limit '%s': field 'cost' is %d, more than the limit's burst of %d: it could never start"):format(name, cost, rules.burst)
  end
  local key = one.key and (math.tointeger(one.key) and ("%d"):format(one.key) or tostring(one.key))
  if key and (#key == 0 or #key > LONGEST_KEY or not utf8.len(key)) then
    return nil, ("limit '%s': field 'key' must be a number or a text of 1 to %d bytes of UTF-8, not %s"):format(name, LONGEST_KEY,
      check.show(one.key))
  end
  return { name = name, key = key, cost = cost, rules = rules }
end

--- Reads the option of a client, whose keys are texts.
-- @param given a name, or a list of names and `{name, key, cost}`
-- @treturn {table,...}|nil `{name, key, cost, rules}`
-- @return what is wrong with it
function limits.read_for_client(given)
  local list = type(given) == "string" and { given } or given
  if not check.is_list(list) or #list == 0 then
    return nil, "must be a limit's name or a list of limits"
  elseif #list > MOST_OF_STEP then
    return nil, ("has %d limits; a request has at most %d"):format(#list, MOST_OF_STEP)
  end
  local result, seen = {}, {}
  for i, one in ipairs(list) do
    local limit, why = read_client_limit(one, i)
    if not limit then
      return nil, why
    elseif seen[limit.name] then
      return nil, ("names '%s' twice"):format(limit.name)
    end
    seen[limit.name], result[i] = true, limit
  end
  return result
end

--- Must a worker be asked for keys before the step starts?
-- @tab step
-- @treturn bool
function limits.asks(step)
  for _, limit in ipairs(step.limits or {}) do
    if limit.key then
      return true
    end
  end
  return false
end

--- What the definition says of a step's limits, for people and for the core.
-- @tab step
-- @treturn ?{table,...} `{name, cost, keyed}`
function limits.describe(step)
  if not step.limits then
    return nil
  end
  local list = {}
  for i, limit in ipairs(step.limits) do
    list[i] = { name = limit.name, cost = limit.cost, keyed = limit.key ~= nil or nil }
  end
  return list
end

-- ---- Keys ----

local function key_of(limit, task)
  local key = limit.key(task)
  local text = (type(key) == "number" or type(key) == "string") and tostring(key) or nil
  if math.type(key) == "float" and math.tointeger(key) then
    text = tostring(math.tointeger(key))
  end
  if not text or #text == 0 or #text > LONGEST_KEY or not utf8.len(text) then
    error({ code = "invalid", message = ("limits: the key of limit '%s' must be a number or a text of 1 to %d bytes of UTF-8, not %s")
      :format(limit.name, LONGEST_KEY, check.show(key)) }, 0)
  end
  return text
end

-- A size as the core reads it: seven bits a byte, the lowest first.
local function varint(size)
  return size < 128 and string.char(size) or string.char(size & 127 | 128, size >> 7)
end

--- The keys of a step's limits, as the core takes them.
-- @tab step
-- @tab task
-- @treturn string
function limits.keys(step, task)
  local parts = {}
  for i, limit in ipairs(step.limits) do
    local key = limit.key and key_of(limit, task) or ""
    parts[i] = varint(#key) .. key
  end
  return table.concat(parts)
end

-- ---- Stores ----

--- Tells a store of these limits: new ones, and those whose declaration changed.
-- @param engine
-- @tparam {table,...} list as read made them
-- @return true, or nil
-- @return err
function limits.tell_rules(engine, list)
  local told = {}
  for i, limit in ipairs(list) do
    local rules = limit.rules
    told[i] = { name = rules.name, declared = true, rate = rules.rate or 0, per = rules.per, burst = rules.burst,
      concurrency = rules.concurrency or 0 }
  end
  return engine:set_limits(told)
end

--- Tells a store of the limits that a handler names: new ones, and those whose declaration changed.
-- @param engine
-- @tab handler
-- @return true, or nil
-- @return err
function limits.tell(engine, handler)
  local list, seen = {}, {}
  for _, step in ipairs(handler.steps) do
    for _, limit in ipairs(step.limits or {}) do
      if not seen[limit.name] then
        seen[limit.name] = true
        list[#list + 1] = limit
      end
    end
  end
  return #list == 0 or limits.tell_rules(engine, list)
end

local SET = {
  rate = { "number|boolean", function(value) return value and (value == true and "a number or false" or not_rate(value)) or nil end },
  per = RULES.per,
  burst = RULES.burst,
  concurrency = { "number|boolean",
    function(value) return value and (value == true and "a number or false" or not_units(value)) or nil end },
}

local function or_none(value)
  if value == nil then
    return nil
  end
  return value or 0
end

--- Changes rules of a limit at run time, for every process of the store. Rules that are not given stay as they are.
-- @string name
-- @tab rules `rate` and `concurrency` (false: none), `per`, `burst`
-- @return true, or nil
-- @return err `not_found`, `invalid`
local function set_limit(self, name, rules)
  check.type(name, "string", "app:set_limit: the name", 2)
  check.type(rules, "table", "app:set_limit: the rules", 2)
  local ok, err = check.options(rules, SET, "app:set_limit: rule", 2)
  if not ok then
    return nil, err
  elseif check.not_name(name) then
    return errors.invalid("app:set_limit: the name must be %s, not %s", check.not_name(name), check.show(name))
  elseif next(rules) == nil then
    return errors.invalid("app:set_limit: no rule is given; there are rate, per, burst and concurrency")
  elseif not self.engine then
    return errors.closed(self)
  end
  return self.engine:set_limits { { name = name, rate = or_none(rules.rate), per = rules.per, burst = rules.burst,
    concurrency = or_none(rules.concurrency) } }
end

local OPTIONS = {
  name = { "string", check.not_name },
  keys = { "number", check.not_integer(0, 100000) },
}

local function drop_nulls(record)
  for name, value in next, record do
    if value == json.null then
      record[name] = nil
    end
  end
end

--- The limits of the store and how much of each is used.
-- @tab[opt] options `name`: only this one; `keys`: list at most so many keys of each, those that are in use
-- @treturn {table,...}|nil `{name, rate, per, burst, concurrency, keys_in_use, running, waiting, keys}`; a key is
-- `{key, running, waiting, free_at}`
-- @return err
local function list_limits(self, options)
  check.type(options, "table|nil", "app:limits: options", 2)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "app:limits: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text
  text, err = self.engine:limits(options.name, math.tointeger(options.keys))
  if not text then
    return nil, err
  end
  local list = assert(json.decode(text))
  for _, limit in ipairs(list) do
    drop_nulls(limit)
    for _, key in ipairs(limit.keys or {}) do
      drop_nulls(key)
    end
  end
  return list
end

--- Adds `limits` and `set_limit` to the app's methods.
-- @tab App
function limits.install(App)
  App.limits, App.set_limit = list_limits, set_limit
end

return limits
