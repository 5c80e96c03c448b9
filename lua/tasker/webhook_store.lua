--- What the store keeps of webhooks. Each is a durable consumer, `webhook:NAME`: its place in the log, and what was said of it; and a
-- sealed text of that name with its secrets. An ordered one has a second, `webhook-head:NAME`, which names its newest delivery.
-- @module tasker.webhook_store

local core = require "tasker.core"
local errors = require "tasker.errors"
local secrets = require "tasker.secrets"
local task_view = require "tasker.task_view"

local store = {}

local json = core.json
local PREFIX, HEAD = "webhook:", "webhook-head:"

-- One consumer; nil without an err where there is none.
local function find(engine, name)
  local text, err = engine:consumers(name)
  if text then
    return task_view.record(text)
  elseif err.code == "not_found" then
    return nil
  end
  return nil, err
end

local function made_of(record)
  local hook = record.events
  hook.name, hook.seq, hook.created_at = record.name:sub(#PREFIX + 1), record.seq, record.created_at
  return hook
end

--- One webhook.
-- @param engine
-- @string name
-- @treturn table|nil `{name, url, events, seq, created_at, …}` as store.put got it
-- @return err `not_found`
function store.get(engine, name)
  local record, err = find(engine, PREFIX .. name)
  if not record then
    return nil, err or errors.new("not_found", ("no webhook '%s'"):format(name))
  end
  return made_of(record)
end

--- All of them, by name.
-- @param engine
-- @treturn {table,...}|nil
-- @return err
function store.all(engine)
  local text, err = engine:consumers()
  if not text then
    return nil, err
  end
  local list = {}
  for _, record in ipairs(task_view.records(text)) do
    if record.name:sub(1, #PREFIX) == PREFIX then
      list[#list + 1] = made_of(record)
    end
  end
  return list
end

local KEPT = { "url", "events", "description", "headers", "ordered", "allow_private", "retry", "timeout", "disabled" }

--- Keeps what is said of a webhook; a new one begins behind the last event.
-- @param engine
-- @tab hook
-- @return true, or nil, err
function store.put(engine, hook)
  local kept = {}
  for _, field in ipairs(KEPT) do
    kept[field] = hook[field]
  end
  return engine:consumer("open", PREFIX .. hook.name, { events = json.encode(kept), now = true })
end

--- Up to here its events have become deliveries, or are not wanted.
-- @param engine
-- @string name
-- @int seq
-- @return true, or nil, err
function store.move(engine, name, seq)
  return engine:consumer("ack", PREFIX .. name, { seq = seq })
end

--- The newest delivery of an ordered webhook.
-- @param engine
-- @string name
-- @treturn string|nil the task's id
-- @return err
function store.head(engine, name)
  local record, err = find(engine, HEAD .. name)
  return record and record.events.id, err
end

--- @param engine
-- @string name
-- @string id of the delivery's task
-- @return true, or nil, err
function store.set_head(engine, name, id)
  return engine:consumer("open", HEAD .. name, { events = json.encode { id = id } })
end

--- Its secrets.
-- @param engine
-- @string name
-- @treturn table|nil `{current, previous, expires}`
-- @return what they are sealed as, or err
function store.secrets(engine, name)
  local text, sealed = secrets.get(engine, PREFIX .. name)
  if not text then
    return nil, sealed
  end
  return json.decode(text), sealed
end

--- Keeps its secrets.
-- @param engine
-- @string name
-- @tab kept
-- @param[opt] before as in secrets.put
-- @return true, or nil, err
function store.set_secrets(engine, name, kept, before)
  return secrets.put(engine, PREFIX .. name, json.encode(kept), before)
end

--- Forgets a webhook, its place and its secrets.
-- @param engine
-- @string name
-- @return true, or nil
-- @return err `not_found`
function store.delete(engine, name)
  local ok, err = engine:consumer("delete", PREFIX .. name, {})
  if not ok then
    if err.code == "not_found" then
      err = errors.new("not_found", ("no webhook '%s'"):format(name))
    end
    return nil, err
  end
  engine:consumer("delete", HEAD .. name, {})   -- only an ordered one has it
  ok, err = secrets.drop(engine, PREFIX .. name)
  if not ok and err.code ~= "not_found" then
    return nil, err
  end
  return true
end

return store
