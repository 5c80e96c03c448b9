--- Events in process: functions of this Lua state that are called with what others and this state commit, while the state is in
-- work, wait or follow. What they raise is logged; nothing waits for them but this state.
-- @module tasker.subscriptions

local core = require "tasker.core"
local check = require "tasker.check"
local patterns = require "tasker.patterns"
local task_view = require "tasker.task_view"

local subscriptions = {}

-- Events read at once: bounds what a state that is far behind keeps in memory and for how long steps wait.
local MOST_EVENTS = 1000

-- In the order they were made; replaced, never changed, so that a call in the middle of serving can subscribe.
local list = {}
-- engine -> how far its log was served: {seq}. Two apps of one directory share one.
local positions = setmetatable({}, { __mode = "k" })
-- Names of all events that somebody wants.
local wanted
local serving = false
local isolated = false

-- The position of an engine, from now on when it has none yet.
local function position_of(engine)
  local position = positions[engine]
  if position then
    return position
  end
  local path = engine:path()
  for other, found in pairs(positions) do
    if path and path ~= "" and other:path() == path then
      position = found
    end
  end
  if not position then
    position = { seq = engine:last_seq() or 0 }
  end
  positions[engine] = position
  return position
end

local function replace(new)
  list = new
  local set = {}
  for _, one in ipairs(new) do
    for _, name in ipairs(one.names) do
      set[name] = true
    end
  end
  wanted = {}
  for name in pairs(set) do
    wanted[#wanted + 1] = name
  end
end

-- What is there is known from now on only: nobody looked at it before.
local function look_up()
  for engine, position in pairs(positions) do
    position.seq = engine:last_seq() or position.seq
  end
end

local function unsubscribe(subscription)
  if subscription.gone then
    return
  end
  subscription.gone = true
  local rest = {}
  for _, one in ipairs(list) do
    if one ~= subscription then
      rest[#rest + 1] = one
    end
  end
  replace(rest)
end

--- Calls `fn(event)` for each event that is committed from now on and whose name the pattern means.
-- @tparam string|{string,...} pattern "task.completed", "step.*", "*", or a list of such
-- @func fn
-- @treturn function unsubscribes
function subscriptions.on(pattern, fn)
  local names, wrong = patterns.expand(pattern, core.event_names())
  if not names then
    error("tasker.on: the pattern " .. wrong, 2)
  end
  check.type(fn, "function", "tasker.on: the function", 2)
  if isolated then
    return function() end
  end
  if #list == 0 then
    look_up()
  end
  local subscription = { names = names, set = {}, fn = fn, pattern = pattern, since = {} }
  for _, name in ipairs(names) do
    subscription.set[name] = true
  end
  for engine, position in pairs(positions) do
    subscription.since[position] = engine:last_seq()
  end
  local grown = table.move(list, 1, #list, 1, {})
  grown[#grown + 1] = subscription
  replace(grown)
  core.serve()
  return function()
    unsubscribe(subscription)
  end
end

--- Notes an engine that this state opened.
-- @param engine
function subscriptions.opened(engine)
  position_of(engine)
end

--- Is anybody subscribed here?
-- @treturn bool
function subscriptions.any()
  return #list > 0
end

--- Sets subscribing aside, for code of another time: rules and subscriptions are those of the files that are loaded.
-- @treturn function ends that
function subscriptions.isolate()
  local before = isolated
  isolated = true
  return function()
    isolated = before
  end
end

local function call(subscription, event)
  local ok, why = pcall(subscription.fn, event)
  if ok then
    return
  end
  local shown, text = pcall(tostring, why)
  core.log("error", ("tasker.on: a function for %s raised: %s"):format(check.show(subscription.pattern),
    shown and text or "an error that cannot be shown"))
end

local function deliver(position, event)
  position.seq = event.seq
  for _, subscription in ipairs(list) do
    local since = subscription.since[position]
    if subscription.set[event.event] and not subscription.gone and event.seq > (since or 0) then
      call(subscription, event)
    end
  end
end

local function serve_some(engine)
  local position = position_of(engine)
  local text, last = engine:events(position.seq, nil, MOST_EVENTS, wanted)
  if not text then
    return false
  end
  local events = task_view.events(text)
  for _, event in ipairs(events) do
    deliver(position, event)
  end
  position.seq = math.max(position.seq, last)
  return #events == MOST_EVENTS
end

--- Calls the subscribed functions with what was committed since the last call.
-- @param engine
-- @treturn bool is anybody subscribed here
-- @treturn bool is there more to serve at once
function subscriptions.serve(engine)
  if #list == 0 or serving then
    return #list > 0, false
  end
  serving = true
  local ok, more = pcall(serve_some, engine)
  serving = false
  if not ok then
    core.log("error", "tasker.on: " .. tostring(more))
  end
  return #list > 0, ok and more
end

--- As serve, until nothing is left.
-- @param engine
function subscriptions.serve_all(engine)
  local _, more
  repeat
    _, more = subscriptions.serve(engine)
  until not more
end

--- As engine:wait, serving meanwhile.
-- @param engine
-- @string id
-- @number[opt] seconds
-- @treturn string|nil the final status
-- @return err
function subscriptions.wait(engine, id, seconds)
  local deadline = seconds and core.monotonic() + seconds
  local moved, err = engine:wait_log(0)
  while moved ~= nil do
    subscriptions.serve_all(engine)
    local status
    status, err = engine:wait(id, 0)
    if status then
      subscriptions.serve_all(engine)
      return status
    elseif err.code ~= "timeout" then
      return nil, err
    end
    local left = deadline and deadline - core.monotonic()
    if left and left <= 0 then
      return nil, err
    end
    moved, err = engine:wait_log(left)
  end
  return nil, err
end

return subscriptions
