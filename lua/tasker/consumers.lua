--- Durable consumers: named readers of the log whose place is kept in the store. All processes that use one name share it.
-- @module tasker.consumers

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local patterns = require "tasker.patterns"
local task_view = require "tasker.task_view"

local consumers = {}

local json = core.json

local DEFAULT_EVENTS = 100
local MOST_EVENTS = 10000

local Consumer = { __name = "tasker.consumer" }
Consumer.__index = Consumer

function Consumer:__tostring()
  return ("tasker.consumer (%s)"):format(self.name)
end

local function engine_of(self, method)
  if getmetatable(self) ~= Consumer then
    error(("consumer:%s is a method: call it with a colon"):format(method), 3)
  end
  return self.app.engine
end

-- The names of events that patterns mean; nil: all. Patterns were checked when they were kept; kinds that came later are meant too.
local function expand(given)
  return given and patterns.expand(given, core.event_names())
end

local function record(engine, name)
  local text, err = engine:consumers(name)
  return text and task_view.record(text), err
end

local function lag(engine, found)
  return engine:count_events(found.seq, expand(found.events))
end

-- ---- A consumer ----

-- Events after the consumer's place that it wants, and that place. What was looked through in vain is not looked through again.
local function read(self, engine, n)
  local found, err = record(engine, self.name)
  if not found then
    return nil, err
  end
  local after = found.seq
  if self.looked_from == after and self.looked_names == json.encode(found.events) then
    after = math.max(after, self.looked_to)
  end
  local text, last = engine:events(after, nil, n, expand(found.events))
  if not text then
    return nil, last
  end
  local events = task_view.events(text)
  if #events == 0 then
    self.looked_from, self.looked_to, self.looked_names = found.seq, last, json.encode(found.events)
  end
  return events
end

--- The next events, oldest first. Until they are acknowledged, every call gives them again.
-- @int[opt] n how many at most, 100 unless given
-- @number[opt] seconds how long to wait for one, 0 unless given
-- @treturn {table,...}|nil empty when none came
-- @return err
function Consumer:poll(n, seconds)
  local engine = engine_of(self, "poll")
  check.type(n, "number|nil", "consumer:poll: n", 2)
  check.type(seconds, "number|nil", "consumer:poll: seconds", 2)
  local wrong = n and check.not_integer(1, MOST_EVENTS)(n)
  if wrong then
    return errors.invalid("consumer:poll: n must be %s, not %s", wrong, n)
  elseif seconds and check.not_seconds(math.min(seconds, errors.LONGEST_SECONDS)) then
    return errors.invalid("consumer:poll: seconds must be a number of at least 0, not %s", seconds)
  elseif not engine then
    return errors.closed(self.app)
  end
  n, seconds = math.tointeger(n) or DEFAULT_EVENTS, math.min(seconds or 0, errors.LONGEST_SECONDS)
  local deadline = core.monotonic() + seconds
  while true do
    local events, err = read(self, engine, n)
    local left = deadline - core.monotonic()
    if not events or #events > 0 or left <= 0 then
      return events, err
    end
    local moved
    moved, err = engine:wait_log(left)
    if moved == nil then
      return nil, err
    end
  end
end

local function move(self, operation, seq)
  local engine = engine_of(self, operation)
  local what = "consumer:" .. operation
  check.type(seq, "number", what .. ": the seq", 3)
  local wrong = check.not_integer(0, math.maxinteger)(seq)
  if wrong then
    return errors.invalid("%s: the seq must be %s, not %s", what, wrong, seq)
  elseif not engine then
    return errors.closed(self.app)
  end
  return engine:consumer(operation, self.name, { seq = math.tointeger(seq) })
end

--- Says that all events up to a seq are done with. The place never goes back: an ack of what is behind it changes nothing.
-- @int seq
-- @return true, or nil
-- @return err `invalid`: there is no such event yet
function Consumer:ack(seq)
  return move(self, "ack", seq)
end

--- Goes to another place: the next event is the first after seq. 0 is the beginning.
-- @int seq
-- @return true, or nil
-- @return err
function Consumer:rewind(seq)
  return move(self, "rewind", seq)
end

--- How many events it still has before it.
-- @treturn int|nil
-- @return err
function Consumer:lag()
  local engine = engine_of(self, "lag")
  if not engine then
    return errors.closed(self.app)
  end
  local found, err = record(engine, self.name)
  if not found then
    return nil, err
  end
  return lag(engine, found)
end

--- Its seq: that of the last event it is done with.
-- @treturn int|nil
-- @return err
function Consumer:seq()
  local engine = engine_of(self, "seq")
  if not engine then
    return errors.closed(self.app)
  end
  local found, err = record(engine, self.name)
  return found and found.seq, err
end

--- Forgets it and its place.
-- @return true, or nil
-- @return err
function Consumer:delete()
  local engine = engine_of(self, "delete")
  if not engine then
    return errors.closed(self.app)
  end
  return engine:consumer("delete", self.name, {})
end

-- ---- The app's methods ----

local OPTIONS = { events = { "string|table" } }

local function check_name(name, what, level)
  check.type(name, "string", what .. ": the name", level + 1)
  local wanted = check.not_name(name)
  return wanted and ("%s: the name must be %s, not %s"):format(what, wanted, check.show(name))
end

--- A durable consumer; makes it, at the beginning of the log, where there is none of that name.
-- @string name
-- @tab[opt] options `events`: patterns such as "task.*" or a list of them. Without, all of a new one, those of one that is there
-- @return the consumer: `poll(n, seconds) ack(seq) lag() rewind(seq) seq() delete()`; or nil
-- @return err
local function consumer(self, name, options)
  local wrong = check_name(name, "app:consumer", 2)
  check.type(options, "table|nil", "app:consumer: options", 2)
  local ok, err = check.options(options or {}, OPTIONS, "app:consumer: option", 2)
  if not ok then
    return nil, err
  elseif wrong then
    return errors.invalid("%s", wrong)
  end
  local events = options and options.events
  if events ~= nil then
    events = type(events) == "string" and { events } or events
    local names, why = patterns.expand(events, core.event_names())
    if not names then
      return errors.invalid("app:consumer: option 'events' %s", why)
    end
  end
  if not self.engine then
    return errors.closed(self)
  end
  ok, err = self.engine:consumer("open", name, { events = events and json.encode(events) })
  if not ok then
    return nil, err
  end
  return setmetatable({ app = self, name = name }, Consumer)
end

--- All durable consumers, by name.
-- @treturn {table,...}|nil `{name, events, seq, lag, created_at, moved_at}`
-- @return err
local function list(self)
  if not self.engine then
    return errors.closed(self)
  end
  local text, err = self.engine:consumers()
  if not text then
    return nil, err
  end
  local found = {}
  for _, one in ipairs(task_view.events(text)) do
    found[#found + 1] = not one.name:find(":", 1, true) and one or nil   -- others are webhooks
  end
  for _, one in ipairs(found) do
    one.lag, err = lag(self.engine, one)
    if not one.lag then
      return nil, err
    end
  end
  return found
end

local function operate(operation)
  local what = ("app:%s_consumer"):format(operation)
  return function(self, name, seq)
    local wrong = check_name(name, what, 2)
    if wrong then
      return errors.invalid("%s", wrong)
    end
    return Consumer[operation](setmetatable({ app = self, name = name }, Consumer), seq)
  end
end

--- Adds its methods to the app's.
-- @tab App
function consumers.install(App)
  App.consumer, App.consumers = consumer, list
  --- Forgets a consumer; moves one to another place.
  App.delete_consumer, App.rewind_consumer = operate "delete", operate "rewind"
end

return consumers
