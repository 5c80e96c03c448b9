--- The app of a test: the engine over a memory store, by hand, under a clock that stands still until it is moved.
-- @module tasker.testing.app

local core = require "tasker.core"
local check = require "tasker.check"
local client = require "tasker.client"
local coverage = require "tasker.testing.coverage"
local definitions = require "tasker.definitions"
local doubles = require "tasker.testing.doubles"
local errors = require "tasker.errors"
local loader = require "tasker.loader"
local network = require "tasker.testing.network"
local registry = require "tasker.registry"
local step = require "tasker.step"
local subscriptions = require "tasker.subscriptions"
local time = require "tasker.time"

local app = {}

local by_hand = core.testing

-- How often drain moves the clock before it takes the work for endless.
local MOST_JUMPS = 20000

local FINAL = { complete = true, error = true, cancelled = true, resolved_manually = true }

local App = { __name = client.App.__name, __tostring = client.App.__tostring }
App.__index = App
setmetatable(App, { __index = client.App })

--- @number seconds since the epoch
-- @treturn int microseconds
local function micros(seconds)
  return math.floor(seconds * 1000000 + 0.5)
end

--- Opens an empty store.
-- @tab options `clock` (seconds since the epoch), `seed` (an integer); `drive`: makes what runs the steps, gets what
-- core.testing.drive does and returns what has its methods; `wrap`: makes another plan of each plan of step_view
-- @return the app, or nil
-- @return err
function app.open(options)
  local engine, err = by_hand.open(micros(options.clock), options.seed)
  if not engine then
    return nil, err
  end
  subscriptions.opened(engine)
  local self = client.adopt(engine, App)
  self.doubles, self.network, self.queues = doubles.new(), network.new(), {}   -- `queues`: besides those of the registry
  self.drive, self.extra = options.drive or by_hand.drive, {}   -- `extra`: definitions besides those of the registry
  step.intercept(engine, options.wrap or function(plan) return self.doubles:wrap(plan) end)
  return self
end

-- ---- Driving ----

local function run_step(run)
  local word, text, more, most = step.run(run)
  doubles.ended(run, word, text)
  return word, text, more, most
end

local function interrupted(run, ...)
  local word, text, more, most = step.interrupted(run, ...)
  doubles.ended(run, word, text)
  return word, text, more, most
end

-- The driver, knowing all handlers there are.
local function driver_of(self)
  local err
  if not self.driver then
    self.driver, err = self.drive(self.engine, run_step, interrupted)
    self.served = nil
    if not self.driver then
      return nil, err
    end
  end
  if self.served ~= registry.generation then
    local numbers
    numbers, err = loader.register(self.engine)
    if not numbers then
      return nil, err
    end
    self.numbers, self.served = table.move(self.extra, 1, #self.extra, #numbers + 1, numbers), registry.generation
    self.rests = true
  end
  if self.rests then
    self.driver:serve(self.numbers, registry.queues(self.queues))
    self.rests = false
  end
  return self.driver
end

-- Between the calls that run steps nothing starts: what was submitted is pending until it is drained.
local function rest(self, ...)
  if self.engine and self.driver and not self.rests then
    self.driver:serve({}, {})
    self.rests = true
  end
  return ...
end

-- Before each call that runs steps.
local function begin(self, what)
  if core.run() then
    error(("app:%s runs steps: it cannot be called inside one"):format(what), 3)
  elseif not self.engine then
    return errors.closed(self)
  end
  self.stopping = false
  return driver_of(self)
end

-- Until nothing can move at this moment.
local function settle(self)
  local driver, err = driver_of(self)
  if not driver then
    return nil, err
  end
  local seen, ok
  repeat
    seen = self.engine:last_seq()
    ok, err = driver:settle()
    if not ok then
      return nil, err
    end
    subscriptions.serve_all(self.engine)
    if not self.engine then
      return errors.closed(self)
    end
  until not subscriptions.any() or self.engine:last_seq() == seen
  return true
end

--- Works until nothing can move at this moment.
-- @return true, or nil
-- @return err
App.settle = settle

-- Moves the clock to a moment, and stops at each on the way at which something is due.
local function pass(self, target)
  for _ = 1, math.maxinteger do
    local ok, err = settle(self)
    if not ok then
      return nil, err
    end
    local due = self.driver:next(true)
    if not due or due > target or self.stopping then
      break
    end
    by_hand.set_now(self.engine, due)
  end
  if not self.stopping then
    by_hand.set_now(self.engine, target)
  end
  return settle(self)
end

local function go_to(self, target)
  return rest(self, pass(self, target))
end

-- Works and moves the clock to what is waited for, until `enough()` or nothing more will move by itself; not past `limit`.
local function jump(self, enough, limit)
  for _ = 1, MOST_JUMPS do
    local ok, err = settle(self)
    if not ok then
      return nil, err
    end
    local due = self.driver:next(false)
    if not due or due > limit or self.stopping or enough() then
      return true
    end
    by_hand.set_now(self.engine, math.min(due, self.driver:next(true) or due))
  end
  return nil, errors.new("timeout",
    ("the clock was moved %d times, to %s, and something is still to come: is there a step that never ends?"):format(MOST_JUMPS,
      time.format(by_hand.now(self.engine) / 1000000)))
end

local function work(self, enough, limit)
  return rest(self, jump(self, enough, limit))
end

local function never()
  return false
end

--- Works until nothing moves any more without something from outside, and moves the clock over what is only waited for: delays of
-- retries, sleeps, starts at a time. Limits (the timeout of a signal or an approval, of a task) are no reason to move it; those
-- that fall due on the way fire.
-- @return true, or nil
-- @return err `timeout` when there is no end
function App:drain()
  local driver, err = begin(self, "drain")
  if not driver then
    return nil, err
  end
  return work(self, never, math.maxinteger)
end

--- Lets time pass: works, and fires in order whatever falls due on the way.
-- @number seconds
-- @return true, or nil
-- @return err
function App:advance(seconds)
  check.type(seconds, "number", "app:advance: seconds", 2)
  if check.not_seconds(seconds) then
    return errors.invalid("app:advance: seconds must be a number of at least 0, not %s", seconds)
  end
  local driver, err = begin(self, "advance")
  if not driver then
    return nil, err
  end
  return go_to(self, by_hand.now(self.engine) + micros(seconds))
end

--- As advance, to a moment; one that has passed moves nothing.
-- @param moment RFC 3339, or seconds since the epoch
-- @return true, or nil
-- @return err
function App:advance_to(moment)
  check.type(moment, "number|string", "app:advance_to: the time", 2)
  local wrong = time.not_time(moment)
  if wrong then
    return errors.invalid("app:advance_to: the time must be %s, not %s", wrong, check.show(moment))
  end
  local driver, err = begin(self, "advance_to")
  if not driver then
    return nil, err
  end
  return go_to(self, math.max(by_hand.now(self.engine), micros(time.seconds(moment))))
end

-- ---- What other apps do with a worker ----

--- Drains.
-- @return true, or nil
-- @return err
function App:work()
  local driver, err = begin(self, "work")
  if not driver then
    return nil, err
  end
  return work(self, never, math.maxinteger)
end

--- Submits, drains, and returns the task, also one that waits for something from outside.
-- @param handler as of submit
-- @tab[opt] context
-- @tab[opt] options as of submit
-- @treturn table|nil the task
-- @return err
function App:run(handler, context, options)
  local driver, err = begin(self, "run")
  if not driver then
    return nil, err
  end
  local id
  id, err = self:submit(handler, context, options)
  if not id then
    return nil, err
  end
  local ok
  ok, err = work(self, never, math.maxinteger)
  if not ok then
    return nil, err
  end
  return self:task(id)
end

--- Drains, and returns a task, also one that waits for something from outside.
-- @string id
-- @treturn table|nil the task
-- @return err
function App:work_for(id)
  check.type(id, "string", "app:work_for: the id", 2)
  local driver, err = begin(self, "work_for")
  if not driver then
    return nil, err
  end
  local ok
  ok, err = work(self, never, math.maxinteger)
  if not ok then
    return nil, err
  end
  return self:task(id)
end

--- Works until a task is final; `seconds` are the clock's. Inside a step it waits as ever.
-- @string id
-- @number[opt] seconds
-- @treturn table|nil the task
-- @return err `timeout`
function App:wait(id, seconds)
  if core.run() then
    return client.App.wait(self, id, seconds)
  end
  check.type(id, "string", "app:wait: the id", 2)
  check.type(seconds, "number|nil", "app:wait: seconds", 2)
  if seconds and check.not_seconds(seconds) then
    return errors.invalid("app:wait: seconds must be a number of at least 0, not %s", seconds)
  end
  local driver, err = begin(self, "wait")
  if not driver then
    return nil, err
  end
  local ok
  ok, err = self.engine:status(id)
  if not ok then
    return nil, err
  end
  local limit = seconds and by_hand.now(self.engine) + micros(seconds) or math.maxinteger
  ok, err = work(self, function() return FINAL[self.engine:status(id)] end, limit)
  if not ok then
    return nil, err
  elseif not FINAL[self.engine:status(id)] and seconds then
    ok, err = go_to(self, limit)
    if not ok then
      return nil, err
    end
  end
  local status = self.engine:status(id)
  if not FINAL[status] then
    return nil, errors.new("timeout", ("the task is not final yet: it is %s"):format(status))
  end
  return self:task(id)
end

--- Calls a function with each event after `after` until it returns false or nothing more happens by itself.
-- @tab options as of other apps
-- @func fn
-- @return true, or nil
-- @return err
function App:follow(options, fn)
  if core.run() then
    return client.App.follow(self, options, fn)
  end
  check.type(options, "table|nil", "app:follow: options", 2)
  check.type(fn, "function", "app:follow: the function", 2)
  local driver, err = begin(self, "follow")
  if not driver then
    return nil, err
  end
  local ok
  ok, err = work(self, never, math.maxinteger)
  local list = ok and {}
  if ok then
    list, err = self:events { after = options and options.after, task_id = options and options.task_id }
  end
  if not list then
    return nil, err
  end
  for _, event in ipairs(list) do
    if fn(event) == false then
      break
    end
  end
  return true
end

--- Makes the call that drives the app return. In a step it returns at once.
-- @return true, or nil
-- @return err
function App:stop()
  if not self.engine then
    return errors.closed(self)
  end
  self.stopping = true
  return true
end

local function note_queue(self, options)
  local queue = type(options) == "table" and options.queue
  if type(queue) == "string" and type(self) == "table" and not self.queues[queue] then
    self.queues[queue] = true
    self.served = nil
  end
end

--- As of other apps.
function App:submit(handler, context, options)
  note_queue(self, options)
  return client.App.submit(self, handler, context, options)
end

--- As of other apps.
function App:submit_many(list)
  for _, one in ipairs(type(list) == "table" and list or {}) do
    note_queue(self, type(one) == "table" and one[3])
  end
  return client.App.submit_many(self, list)
end

--- Closes; doubles end.
-- @return true
function App:close()
  if self.driver then
    self.driver:close()
    self.driver = nil
  end
  self.doubles:clear()
  self.network:clear()
  return client.App.close(self)
end

--- Another app takes its place: its doubles end. It can still be used.
function App:retire()
  self.doubles:clear()
  self.network:clear()
  -- A driver keeps its app from being collected.
  if self.driver and self.driver:active() == 0 then
    self.driver:close()
    self.driver = nil
  end
end

-- ---- Doubles ----

--- Puts something in the place of a step's code.
-- @param handler or its name
-- @string name the step
-- @param value the results; a function `(task, step)` as `run`; or `{run =, compensate =, notify =}` of such
function App:stub(handler, name, value)
  self.doubles:stub(handler, name, value, 2)
end

--- Makes attempts of a step fail.
-- @param handler or its name
-- @string name the step
-- @tab[opt] options `times` (how many attempts; all unless given), `error` (a text or an err)
-- @return true, or nil
-- @return err `invalid`
function App:fail(handler, name, options)
  return self.doubles:fail(handler, name, options, 2)
end

--- Answers in the place of the network; from now on a request without one fails with code `blocked`.
-- @tab answers by "METHOD address" (`*` in an address stands for anything, as a method for any; without `?` in it the query does
-- not matter): `{status, headers, body | json}`, `{error = "timeout"}`, a function of the request, or a list of such, one for
-- each request and the last for all that follow
function App:http(answers)
  self.network:add(answers)
end

--- Requests that were answered or refused in the place of the network, oldest first.
-- @treturn {table,...} `{method, url, headers, body, json}`
function App:requests()
  return table.move(self.network.requests, 1, #self.network.requests, 1, {})
end

--- What a step's code was called with and what came of it, oldest first.
-- @param handler or its name
-- @string name the step; with `:compensate` its compensation, with `:notify` its notifications
-- @treturn {table,...} `{task_id, attempt, context, inputs, item, index, results, error}`
function App:calls(handler, name)
  return self.doubles:list(handler, name, 2)
end

--- Which outcomes of a handler's steps came in the app's tasks: success, failure, a second attempt, each branch, timeouts …
-- @param handler or its name
-- @treturn table|nil `{handler, covered, total, missed = {"step: outcome", …}, steps = {[name] = {[outcome] = count}}}`; tostring
-- is a text
-- @return err
function App:coverage(handler)
  check.type(handler, "string|table", "app:coverage: the handler", 2)
  local namespace, name, version = definitions.parse(handler)
  local found = namespace and registry.find(namespace, name, version)
  if not found then
    error(("app:coverage: no handler %s is defined in this state"):format(check.show(handler)), 2)
  elseif not self.engine then
    return errors.closed(self)
  end
  return coverage.of(self, found)
end

return app
