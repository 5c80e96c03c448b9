--- The client: an opened store.
-- @module tasker.client

local core = require "tasker.core"
local approval = require "tasker.approval"
local breakers = require "tasker.breakers"
local check = require "tasker.check"
local consumers = require "tasker.consumers"
local errors = require "tasker.errors"
local limits = require "tasker.limits"
local loader = require "tasker.loader"
local migrate = require "tasker.migrate"
local replay = require "tasker.replay"
local operations = require "tasker.operations"
local registry = require "tasker.registry"
local schedules = require "tasker.schedules"
local secrets = require "tasker.secrets"
local submission = require "tasker.submission"
local subscriptions = require "tasker.subscriptions"
local task_view = require "tasker.task_view"
local time = require "tasker.time"
local webhooks = require "tasker.webhooks"

local client = {}

local MOST_ENTRIES, MOST_BYTES = core.bounds.submit_many, core.bounds.submit_many_bytes
local MOST_TASKS = core.bounds.tasks_page
local MOST_THREADS, MOST_CONCURRENCY = core.bounds.threads, core.bounds.concurrency

local App = { __name = "tasker.app" }
App.__index = App

function App:__tostring()
  return self.engine and ("tasker.app (%s)"):format(self.engine:url()) or "tasker.app (closed)"
end

operations.install(App)
approval.install(App)
consumers.install(App)
migrate.install(App)
replay.install(App)
schedules.install(App)
breakers.install(App)
limits.install(App)
secrets.install(App)
webhooks.install(App)

-- engine -> app. The app holds its engine, which an ephemeron allows.
local apps = setmetatable({}, { __mode = "k" })

local function app_of(engine)
  local app = apps[engine]
  if not app then
    app = setmetatable({ engine = engine, plans = {}, generation = -1, registry_generation = -1 }, App)
    apps[engine] = app
    subscriptions.opened(engine)
  end
  return app
end

client.App = App

--- Makes an engine's app one of another class, which inherits from client.App: for tests.
-- @param engine
-- @tab class a metatable
-- @return the app
function client.adopt(engine, class)
  return setmetatable(app_of(engine), class)
end

-- Methods of an engine that change its store.
local WRITERS = { submit = true, event = true, consumer = true, migrate = true, define = true, work = true, vote = true,
  admit = true, settle = true, settle_later = true, declare_breaker = true, set_secrets = true,
  set_reader = true }

local function guarded(engine, why)
  return setmetatable({}, { __index = function(_, name)
    if WRITERS[name] then
      return function()
        return nil, errors.new("refused", why)
      end
    end
    return function(_, ...)
      return engine[name](engine, ...)
    end
  end })
end

--- Makes the open apps of this state refuse to write.
-- @string why
-- @treturn function ends that
function client.guard(why)
  local held = {}
  for engine, app in pairs(apps) do
    held[app] = engine
    app.engine = guarded(engine, why)
  end
  return function()
    for app, engine in pairs(held) do
      if app.engine then
        app.engine = engine
      end
    end
  end
end

-- ---- Opening ----

local DURABILITIES = { sync = true, relaxed = true }

local OPEN_OPTIONS = {
  durability = { "string", function(value) return not DURABILITIES[value] and "\"sync\" or \"relaxed\"" or nil end },
  map_size = { "number", check.not_integer(65536, 1 << 46) },
  read_only = { "boolean" },
}

--- Opens a store; creates it where there is none.
-- @string[opt] url "lmdb:PATH", a path or "memory:"; else $TASKER_STORE, else "./tasker-data"
-- @tab[opt] options `durability` ("sync" or "relaxed"), `map_size` (bytes), `read_only`
-- @return the app, or nil
-- @return err
function client.open(url, options)
  check.type(url, "string|nil", "tasker.open: the url", 2)
  check.type(options, "table|nil", "tasker.open: options", 2)
  local ok, err = check.options(options or {}, OPEN_OPTIONS, "tasker.open: option", 2)
  if not ok then
    return nil, err
  end
  if url == nil then
    url = os.getenv "TASKER_STORE"
    url = url ~= "" and url or "./tasker-data"
  elseif url == "" then
    return errors.invalid("tasker.open: the url is empty; it must be a path, lmdb:PATH or memory:")
  elseif url:find("\0", 1, true) then
    return errors.invalid("tasker.open: the url has a zero byte; it must be a path, lmdb:PATH or memory:")
  end
  local engine
  engine, err = core.open(url, options or {})
  if not engine then
    return nil, err
  end
  return app_of(engine)
end

--- The app of the worker that runs this step; in a script the one opened last.
-- @return the app, or nil
function client.current()
  local engine = core.current_engine()
  return engine and engine:is_open() and app_of(engine) or nil
end

--- Closes; every later call answers `closed`. Closing twice does nothing.
-- @return true
function App:close()
  local engine = self.engine
  if engine then
    self.engine = nil
    self.plans = {}
    apps[engine] = nil
    engine:close()
  end
  return true
end

--- @treturn string|nil the url it was opened with
-- @return err
function App:url()
  if not self.engine then
    return errors.closed(self)
  end
  return self.engine:url()
end

-- ---- Submitting ----

--- Submits one task; returns when it is durable.
-- @param handler a name (`name`, `namespace/name`, either with `@version`) or a handler
-- @tab[opt] context
-- @tab[opt] options `namespace version tags initiator source_system reason bypass_steps priority queue requested_at run_at
-- delay identity_key annotations`
-- @treturn string|nil the task's id
-- @treturn bool|err was it created (false: one with its identity was there), or the err
function App:submit(handler, context, options)
  if not self.engine then
    return errors.closed(self)
  end
  submission.refresh(self)
  local entry, err = submission.build(self, handler, context, options, "app:submit", 2)
  if not entry then
    return nil, err
  end
  local ids, created = self.engine:submit({ entry })
  if not ids then
    return nil, created
  end
  return ids[1], created[1]
end

--- Submits several tasks in one commit, all or nothing.
-- @tparam {table,...} list of `{handler, context, options}`
-- @treturn {string,...}|nil ids in order
-- @return list of bool: was each created; or the err
function App:submit_many(list)
  check.type(list, "table", "app:submit_many: the list", 2)
  if not check.is_list(list) then
    error("app:submit_many: the list must have the keys 1 to n and no others", 2)
  elseif not self.engine then
    return errors.closed(self)
  elseif #list > MOST_ENTRIES then
    return errors.invalid("app:submit_many: %d entries; at most %d are taken at once", #list, MOST_ENTRIES)
  elseif #list == 0 then
    return {}, {}
  end
  submission.refresh(self)
  local entries, bytes = {}, 0
  for i = 1, #list do
    local one = list[i]
    if type(one) ~= "table" then
      error(("app:submit_many: entry %d must be a table {handler, context, options}, not %s"):format(i, check.show(one)), 2)
    end
    local entry, err = submission.build(self, one[1], one[2], one[3], "app:submit_many: an entry", 2)
    if not entry then
      return nil, errors.new(err.code, ("entry %d: %s"):format(i, err.message), err.details)
    end
    entries[i] = entry
    bytes = bytes + #entry.context
  end
  if bytes > MOST_BYTES then
    return errors.invalid("app:submit_many: contexts of %d bytes; at most %d are taken at once", bytes, MOST_BYTES)
  end
  return self.engine:submit(entries)
end

-- ---- Reading ----

local INSTANCES = { failed = true, all = true, none = true }

local TASK_OPTIONS = {
  instances = { "string", function(value) return not INSTANCES[value] and "\"failed\", \"all\" or \"none\"" or nil end },
}

--- One task.
-- @string id
-- @tab[opt] options `instances`: which instances of mapped steps to list, "failed", "all" or "none"
-- @treturn table|nil the task; `steps` can be indexed by name too
-- @return err `not_found`
function App:task(id, options)
  check.type(id, "string", "app:task: the id", 2)
  local instances
  if options ~= nil then
    check.type(options, "table", "app:task: options", 2)
    local ok, err = check.options(options, TASK_OPTIONS, "app:task: option", 2)
    if not ok then
      return nil, err
    end
    instances = options.instances
  end
  if not self.engine then
    return errors.closed(self)
  end
  local text, err = self.engine:task(id, instances)
  if not text then
    return nil, err
  end
  return task_view.task(text)
end

--- A task and all below it.
-- @string id
-- @treturn table|nil `{task_id, namespace, name, version, status, step, created_at, started_at, completed_at, steps, children}`:
-- `step` is the parent's that waits for it, `steps` counts its own by status, `children` is a list of the same; and `tasks` counts
-- the whole tree by status
-- @return err `not_found`
function App:tree(id)
  check.type(id, "string", "app:tree: the id", 2)
  if not self.engine then
    return errors.closed(self)
  end
  local text, err = self.engine:tree(id)
  if not text then
    return nil, err
  end
  return task_view.tree(text)
end

local STATUSES = { pending = true, in_progress = true, complete = true, error = true, cancelled = true,
  resolved_manually = true, paused = true }

local FINAL = { complete = true, error = true, cancelled = true, resolved_manually = true }

local function not_status(value)
  return not STATUSES[value]
    and "one of pending, in_progress, complete, error, cancelled, resolved_manually, paused" or nil
end

local FILTER = {
  status = { "string", not_status },
  name = { "string", check.not_name },
  namespace = { "string", check.not_name },
  tag = { "string", check.not_key },
  parent = { "string", check.not_key },
  since = { "number|string", time.not_time },
  ["until"] = { "number|string", time.not_time },
  limit = { "number", check.not_integer(1, MOST_TASKS) },
  cursor = { "number", check.not_integer(1, math.maxinteger) },
  steps = { "boolean" },
  internal = { "boolean" },
}

local function core_filter(filter, what)
  check.type(filter, "table|nil", what .. ": the filter", 3)
  filter = filter or {}
  local ok, err = check.options(filter, FILTER, what .. ": filter", 3)
  if not ok then
    return nil, err
  end
  local copy = {}
  for name, value in next, filter do
    copy[name] = value
  end
  copy.since, copy["until"] = time.seconds(filter.since), time.seconds(filter["until"])
  copy.limit = math.tointeger(filter.limit)
  return copy
end

--- Tasks, newest first.
-- @tab[opt] filter `status name namespace tag parent since until limit cursor`; `steps = true` for whole tasks; `internal = true`
-- also shows those of namespace `tasker`
-- @treturn {table,...}|nil without steps, results and context unless the filter says `steps`
-- @return the cursor of the next page, nil at the end; or the err
function App:tasks(filter)
  local copy, err = core_filter(filter, "app:tasks")
  if not copy then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text, cursor = self.engine:tasks(copy)
  if not text then
    return nil, cursor
  end
  return task_view.tasks(text), cursor
end

--- How many tasks a filter lets pass.
-- @tab[opt] filter as of tasks
-- @treturn int|nil
-- @return err
function App:count(filter)
  local copy, err = core_filter(filter, "app:count")
  if not copy then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  return self.engine:count(copy)
end

--- Waits until a task is final.
-- @string id
-- @number[opt] seconds how long at most
-- @treturn table|nil the task
-- @return err `timeout`
function App:wait(id, seconds)
  check.type(id, "string", "app:wait: the id", 2)
  check.type(seconds, "number|nil", "app:wait: seconds", 2)
  if seconds and check.not_seconds(math.min(seconds, errors.LONGEST_SECONDS)) then
    return errors.invalid("app:wait: seconds must be a number of at least 0, not %s", seconds)
  elseif not self.engine then
    return errors.closed(self)
  end
  seconds = seconds and math.min(seconds, errors.LONGEST_SECONDS)
  local status, err
  if subscriptions.any() and not core.in_fiber() then
    status, err = subscriptions.wait(self.engine, id, seconds)
  else
    status, err = self.engine:wait(id, seconds)
  end
  if not status then
    return nil, err
  end
  return self:task(id)
end

local EVENT_OPTIONS = {
  after = { "number", check.not_integer(0, math.maxinteger) },
  limit = { "number", check.not_integer(1, math.maxinteger) },
  task_id = { "string" },
}

local function event_options(options, what)
  check.type(options, "table|nil", what .. ": options", 3)
  options = options or {}
  local ok, err = check.options(options, EVENT_OPTIONS, what .. ": option", 3)
  if not ok then
    return nil, err
  end
  return { after = math.tointeger(options.after) or 0, limit = math.tointeger(options.limit), task_id = options.task_id }
end

--- Events of the log.
-- @tab[opt] options `after` (a seq; 0 unless given), `limit`, `task_id`
-- @treturn {table,...}|nil
-- @return the seq of the last one, or `after`; or the err
function App:events(options)
  local wanted, err = event_options(options, "app:events")
  if not wanted then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text, last = self.engine:events(wanted.after, wanted.task_id, wanted.limit)
  if not text then
    return nil, last
  end
  return task_view.events(text), last
end

-- Events read at once while following: bounds the memory of a follower that starts far behind.
local FOLLOW_EVENTS = 1000

--- Calls a function with each event after `after`, those to come too, until it returns false.
-- @tab options `after` (0 unless given), `task_id`
-- @func fn `function(event) … end`
-- @treturn bool|nil true when fn returned false
-- @return err
function App:follow(options, fn)
  local wanted, err = event_options(options, "app:follow")
  if not wanted then
    return nil, err
  end
  check.type(fn, "function", "app:follow: the function", 2)
  if not self.engine then
    return errors.closed(self)
  end
  local after = wanted.after
  -- From here on wait_log tells of each commit: none falls between a read and a wait.
  local ok
  ok, err = self.engine:wait_log(0)
  while ok ~= nil do
    local list, last = self:events { after = after, limit = FOLLOW_EVENTS, task_id = wanted.task_id }
    if not list then
      return nil, last
    end
    for _, event in ipairs(list) do
      if fn(event) == false then
        return true
      elseif not self.engine then
        return errors.closed(self)
      end
    end
    after = last
    if not core.in_fiber() then
      subscriptions.serve_all(self.engine)
    end
    if not self.engine then
      return errors.closed(self)
    elseif #list < FOLLOW_EVENTS then
      ok, err = self.engine:wait_log()
    end
  end
  return nil, err
end

-- ---- Working ----

local function not_file_list(value)
  return check.not_list_of(check.not_key)(value) or (#value == 0 and "a list of at least one file" or nil)
end

local function not_queue_list(value)
  return check.not_list_of(check.not_name)(value) or (#value == 0 and "a list of at least one queue" or nil)
end

local WORK_OPTIONS = {
  threads = { "number", check.not_integer(1, MOST_THREADS) },
  concurrency = { "number", check.not_integer(1, MOST_CONCURRENCY) },
  until_idle = { "boolean|number", function(value)
    return type(value) == "number" and check.not_seconds(value) or nil
  end },
  files = { "table", not_file_list },
  queues = { "table", not_queue_list },
  memory = { "number", check.not_integer(1 << 20, 1 << 46) },
  watch = { "function" },
  watch_interval = { "number", check.not_duration },
}

-- What work calls while threads with states of their own do it: the caller's watch, and what this state subscribed to.
local function watch_of(self, options)
  if not options.files or not subscriptions.any() then
    return options.watch, options.watch_interval
  end
  return function()
    if self.engine then
      subscriptions.serve_all(self.engine)
    end
    if options.watch then
      options.watch()
    end
  end, options.watch and options.watch_interval or 0
end

-- `queues`: those it serves where the options name none.
local function run_worker(self, options, until_task, queues)
  local given = {}
  for name, value in next, options do
    given[name] = value
  end
  given.threads, given.until_task = math.tointeger(options.threads) or 1, until_task
  given.queues = options.queues or queues
  given.concurrency, given.memory = math.tointeger(options.concurrency), math.tointeger(options.memory)
  given.watch, given.watch_interval = watch_of(self, options)
  if not given.files then
    if given.threads > 1 then
      return errors.invalid("app:work: option 'threads' is %d, but without 'files' only this state has the handlers: %s",
        given.threads, "name the files to load, or use one thread")
    end
    local definitions, err = loader.register(self.engine)
    if not definitions then
      return nil, err
    end
    given.definitions = definitions
  end
  return self.engine:work(given)
end

--- Runs steps until stopped: by SIGINT, SIGTERM, `app:stop()`, or when idle where `until_idle` says so.
-- @tab[opt] options `threads concurrency until_idle files queues memory`; `watch` is a function called after the log has
-- grown, every `watch_interval` seconds at most
-- @return true, or nil
-- @return err
function App:work(options)
  check.type(options, "table|nil", "app:work: options", 2)
  if core.run() then
    error("app:work cannot be called inside a step", 2)
  end
  local ok, err = check.options(options or {}, WORK_OPTIONS, "app:work: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  return run_worker(self, options or {})
end

-- A task that was worked for.
local function ended(self, id)
  local task, err = self:task(id)
  if not task then
    return nil, err
  elseif not FINAL[task.status] then
    return nil, errors.new("closed", ("work was stopped while task %s was %s"):format(id, task.status), { task_id = id })
  end
  return task
end

--- Submits, works in this state until that task is final, and returns it.
-- @param handler as of submit
-- @tab[opt] context
-- @tab[opt] options as of submit
-- @treturn table|nil the task
-- @return err
function App:run(handler, context, options)
  if core.run() then
    error("app:run cannot be called inside a step: it works; submit and wait there", 2)
  elseif not self.engine then
    return errors.closed(self)
  end
  submission.refresh(self)
  local entry, err = submission.build(self, handler, context, options, "app:run", 2)
  if not entry then
    return nil, err
  end
  -- The worker is there before its task, so that the first step starts in the commit that makes the task.
  local id, refusal
  local function submit()
    local ids, reason = self.engine:submit({ entry })
    id, refusal = ids and ids[1], not ids and reason
    return id
  end
  local ok
  ok, err = run_worker(self, {}, submit, registry.queues { [entry.queue or "default"] = true })
  if not ok then
    return nil, refusal or err
  end
  return ended(self, id)
end

--- Works in this state until a task is final, and returns it.
-- @string id
-- @tab[opt] options as of work; `queues` are by default those that the handlers of this state name, and the task's own
-- @treturn table|nil the task
-- @return err `closed` when work was stopped before
function App:work_for(id, options)
  check.type(id, "string", "app:work_for: the id", 2)
  check.type(options, "table|nil", "app:work_for: options", 2)
  if core.run() then
    error("app:work_for cannot be called inside a step", 2)
  end
  local ok, err = check.options(options or {}, WORK_OPTIONS, "app:work_for: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local task
  task, err = self:task(id, { instances = "none" })
  if not task then
    return nil, err
  end
  options = options or {}
  ok, err = run_worker(self, options, id, not options.files and registry.queues { [task.queue] = true } or nil)
  if not ok then
    return nil, err
  end
  return ended(self, id)
end

--- Makes work return, here and in the other threads of this app. In a step it returns at once.
-- @return true, or nil
-- @return err
function App:stop()
  if not self.engine then
    return errors.closed(self)
  end
  self.engine:stop()
  return true
end

return client
