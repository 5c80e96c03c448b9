--- The two built-in handlers of webhooks, of namespace `tasker`: `webhook`, whose tasks are deliveries, and `webhook-events`, whose one
-- task reads the log for all webhooks and makes a delivery of each event that one of them wants. Every worker has their code.
-- @module tasker.webhook_delivery

local core = require "tasker.core"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local http = require "tasker.http"
local http_errors = require "tasker.http_errors"
local identity = require "tasker.identity"
local patterns = require "tasker.patterns"
local retry = require "tasker.retry"
local step_view = require "tasker.step_view"
local store = require "tasker.webhook_store"
local task_view = require "tasker.task_view"
local webhook = require "tasker.webhook"

local delivery = {}

local json = core.json
local INTERNAL = "tasker"
local DEFAULT_TIMEOUT = 15

--- What is done about deliveries that fail, unless the webhook says otherwise: within three days and a half.
delivery.RETRY = { limit = 10, backoff = { 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400 }, jitter = 0.1 }

-- The engine knows no limit of its own here: each webhook has its policy.
local ENDLESS = { limit = 1000000, lost_limit = 1000000, backoff = "fixed", base = 60, jitter = "none" }

-- ---- A delivery ----

local function disable(engine, hook)
  hook.disabled = true
  store.put(engine, hook)
end

-- The failure of an attempt, as the webhook's policy wants it.
local function failed(hook, err, run)
  local policy = retry.resolve(hook.retry or delivery.RETRY)
  local n = run.failures + 1
  if err.code == "blocked" or n >= policy.limit then
    return nil, errors.permanent(err)
  end
  return nil, errors.retry_after(err.retry_after or core.retry_delay(policy, n), err, { retryable = true })
end

local function secrets_of(engine, name)
  local kept, err = store.secrets(engine, name)
  if not kept then
    return nil, err
  end
  local list = { kept.current }
  if kept.previous and core.now() < (kept.expires or 0) then
    list[2] = kept.previous
  end
  return list
end

local SHOWN_BODY = 2048

local function post(hook, headers, context)
  local shown = ""
  for name, value in pairs(hook.headers or {}) do
    headers[name] = value
  end
  headers["content-type"] = headers["content-type"] or "application/json"
  headers["user-agent"] = headers["user-agent"] or "tasker/" .. core.version
  local response, err = http.request {
    method = "POST", url = hook.url, headers = headers, body = context.body, timeout = hook.timeout or DEFAULT_TIMEOUT, follow = false,
    allow_private = hook.allow_private == true, idempotency_key = context.message_id,
    sink = function(chunk) shown = #shown < SHOWN_BODY and (shown .. chunk):sub(1, SHOWN_BODY) or shown end,
  }
  if not response then
    return nil, err
  end
  response.body = shown
  return response
end

local function deliver(task)
  local run, context = core.run(), task.context
  local engine = run.engine
  local hook, err = store.get(engine, context.webhook)
  if not hook then
    return nil, err.code == "not_found" and errors.permanent(err) or err
  elseif hook.disabled and not context.test then
    return nil, errors.permanent(("the webhook '%s' is disabled"):format(hook.name), { code = "disabled" })
  end
  local keys, headers
  keys, err = secrets_of(engine, hook.name)
  if keys then
    headers, err = webhook.sign(context.body, keys, { id = context.message_id })
  end
  if not headers then
    return nil, err
  end
  local response
  response, err = post(hook, headers, context)
  if not response then
    return failed(hook, err, run)
  elseif response.status >= 200 and response.status < 300 then
    return { status = response.status }
  end
  err = http_errors.of("POST " .. hook.url:match "^[^?#]*", response)
  err.retry_after = err.retry_after or http_errors.wait_of(response.headers)
  if response.status == 410 then
    disable(engine, hook)
    return nil, errors.permanent(err)
  end
  return failed(hook, err, run)
end

-- ---- Deliveries of events ----

--- The tag of a webhook's deliveries.
-- @string name
-- @treturn string
function delivery.tag(name)
  return "webhook:" .. name
end

--- A new message's id.
-- @treturn string
function delivery.message_id()
  return "msg_" .. core.uuid():gsub("-", "")
end

--- An entry of engine:submit that delivers something.
-- @param engine
-- @tab context `{webhook, message_id, type, body, event_seq, test}`
-- @string[opt] key the same for what must not be delivered twice
-- @treturn table|nil
-- @return err
function delivery.entry(engine, context, key)
  local number, err = definitions.define(engine, delivery.handlers.webhook)
  local text
  if number then
    text, err = core.encode(context)
  end
  if not text then
    return nil, err
  end
  return { definition = number, context = text, tags = core.encode({ delivery.tag(context.webhook) }, true),
    identity = key and identity.of_key(INTERNAL, "webhook", key) or nil }
end

local function entry_of(engine, hook, event)
  local body = json.encode { type = event.event, timestamp = event.at, data = event }
  return delivery.entry(engine, { webhook = hook.name, event_seq = event.seq, type = event.event, message_id = delivery.message_id(),
    body = body }, ("%s:%d"):format(hook.name, event.seq))
end

-- ---- Reading the log ----

local MOST_EVENTS = 100
-- What is passed over in vain is kept in memory; so much of it is written down.
local MOST_FORGOTTEN = 10000

-- engine -> number of a definition -> is it one of ours?
local internal = setmetatable({}, { __mode = "k" })

-- Is the event one of a task that the user never asked for? Deliveries of events of deliveries would never end.
local function is_internal(engine, event)
  if not event.task_id then
    return false
  end
  local known = internal[engine] or {}
  internal[engine] = known
  local number, err = engine:task_definition(event.task_id)
  if not number then
    error(err, 0)
  end
  if known[number] == nil then
    local stored
    stored, err = engine:definition(number)
    if not stored then
      error(err, 0)
    end
    known[number] = stored.namespace == INTERNAL
  end
  return known[number]
end

-- engine -> webhook -> how far its log was looked through in vain.
local looked = setmetatable({}, { __mode = "k" })

-- The next events that a webhook wants, and how far the log was read.
local function read(engine, hook)
  local seen = looked[engine] or {}
  looked[engine] = seen
  local after = math.max(hook.seq, seen[hook.name] or 0)
  local text, last = engine:events(after, nil, MOST_EVENTS, patterns.expand(hook.events, core.event_names()))
  if not text then
    error(last, 0)
  end
  local wanted = {}
  for _, event in ipairs(task_view.events(text)) do
    if not is_internal(engine, event) then
      wanted[#wanted + 1] = event
    end
  end
  if #wanted == 0 then
    seen[hook.name] = last
  end
  return wanted, last
end

local function submit(engine, hook, events)
  local entries = {}
  for i, event in ipairs(events) do
    entries[i] = assert(entry_of(engine, hook, event))
  end
  return assert(engine:submit(entries))
end

-- Is the newest delivery of an ordered webhook under way?
local function is_busy(engine, hook)
  local id = hook.ordered and store.head(engine, hook.name)
  if not id then
    return false
  end
  local text = engine:task(id, "none")
  return text ~= nil and task_view.task(text).completed_at == nil
end

-- Makes deliveries of the next events; true: there may be more.
local function serve(engine, hook)
  if hook.disabled or is_busy(engine, hook) then
    return false
  end
  local events, last = read(engine, hook)
  if #events == 0 then
    if last - hook.seq >= MOST_FORGOTTEN then
      assert(store.move(engine, hook.name, last))
    end
    return last > hook.seq and last < engine:last_seq()
  elseif hook.ordered then
    local ids = submit(engine, hook, { events[1] })
    assert(store.set_head(engine, hook.name, ids[1]))
    assert(store.move(engine, hook.name, events[1].seq))
    return false   -- its end wakes this
  end
  submit(engine, hook, events)
  assert(store.move(engine, hook.name, last))
  return true
end

local function read_log()
  local engine = core.run().engine
  local more = true
  while more do
    more = false
    for _, hook in ipairs(assert(store.all(engine))) do
      more = serve(engine, hook) or more
    end
  end
  return errors.until_woken()
end

-- ---- The handlers ----

local function built_in(name, description, step)
  step.retry = ENDLESS
  return assert(handler.new { namespace = INTERNAL, name = name, version = "1.0.0", description = description, steps = { step } })
end

--- By name.
delivery.handlers = {
  webhook = built_in("webhook", "delivers one event to one webhook", { name = "deliver", run = deliver }),
  ["webhook-events"] = built_in("webhook-events", "makes deliveries of events", { name = "read", run = read_log, timeout = false }),
}

--- The plan of a definition that every worker can run; nil: it is none.
-- @tab stored as of engine:definition
-- @treturn table|nil
function delivery.plan(stored)
  local own = stored.namespace == INTERNAL and delivery.handlers[stored.name]
  return own and step_view.plan(own) or nil
end

-- Of a task that was cancelled nothing is woken any more.
local function reader_task(engine)
  local number = assert(definitions.define(engine, delivery.handlers["webhook-events"]))
  local key = "the reader"
  while true do
    local ids, err = engine:submit { { definition = number, context = "{}", identity = identity.of_key(INTERNAL, "webhook-events", key) } }
    if not ids then
      return nil, err
    end
    local task = task_view.task(assert(engine:task(ids[1], "none")))
    if not task.completed_at then
      return ids[1], number
    end
    key = ids[1]
  end
end

--- From now on the log is read for webhooks, by whatever works on the store.
-- @param engine
-- @return true, or nil, err
function delivery.begin(engine)
  local number, err = definitions.define(engine, delivery.handlers.webhook)
  if not number then
    return nil, err
  end
  local id, own = reader_task(engine)
  if not id then
    return nil, own
  end
  return engine:set_reader(id, number, own)
end

--- The log is read no more; deliveries that are under way go on.
-- @param engine
-- @return true, or nil, err
function delivery.finish(engine)
  local number = assert(definitions.define(engine, delivery.handlers.webhook))
  return engine:set_reader(nil, number, assert(definitions.define(engine, delivery.handlers["webhook-events"])))
end

return delivery
