--- Where a connection's record is kept: sealed in the store of the app that works here when a key is configured, else in this Lua state.
--
-- A record is read with a mark, and written only where the mark still holds, so that of several writers one wins. Records are values:
-- who changes one makes a copy.
-- @module tasker.oauth.keeping

local core = require "tasker.core"
local errors = require "tasker.errors"
local secrets = require "tasker.secrets"

local keeping = {}

local json = core.json

local KIND = "oauth"

-- ---- In memory ----

local Memory = {}
Memory.__index = Memory

function Memory:read()
  return self.record or {}, self.record or false
end

function Memory:write(record, mark, note)
  if (self.record or false) ~= mark then
    return nil, errors.new("conflict", "the connection was changed meanwhile")
  end
  self.record = record
  if note then
    core.log("warn", json.decode(note).message .. ": it is parked")
  end
  return true
end

function Memory:drop()
  self.record = nil
  return true
end

-- All leases are this state's.
function Memory:self() -- luacheck: no unused args
  return ""
end

function Memory:lives() -- luacheck: no unused args
  return false
end

-- By name, for connections that have one; the others have their own.
local named = {}

local function in_memory(connection)
  local holder = connection.memory or connection.named and named[connection.name]
  if not holder then
    holder = setmetatable({}, Memory)
    if connection.named then
      named[connection.name] = holder
    end
  end
  connection.memory = holder
  return holder
end

-- ---- In a store ----

local Sealed = {}
Sealed.__index = Sealed

function Sealed:read()
  local text, sealed = secrets.get(self.engine, self.name, self.known and self.known.sealed)
  if text == true then
    return self.known.record, sealed
  elseif not text then
    if sealed.code == "not_found" then
      return {}, false
    end
    return nil, sealed
  end
  self.known = { sealed = sealed, record = json.decode(text) }
  return self.known.record, sealed
end

function Sealed:write(record, mark, note)
  return secrets.put(self.engine, self.name, json.encode(record), mark, note)
end

function Sealed:drop()
  local ok, err = secrets.drop(self.engine, self.name)
  return ok or err.code == "not_found" or nil, err
end

-- The name of this process in a store: engine -> incarnation.
local incarnations = setmetatable({}, { __mode = "k" })

function Sealed:self()
  local own, err = incarnations[self.engine], nil
  if not own then
    own, err = self.engine:incarnation()
    incarnations[self.engine] = own
  end
  return own, err
end

function Sealed:lives(process)
  return self.engine:lives(process)
end

local function in_store(connection, engine)
  local holder = connection.sealed
  if not holder or holder.engine ~= engine then
    holder = setmetatable({ engine = engine, name = KIND .. ":" .. connection.name }, Sealed)
    connection.sealed = holder
  end
  return holder
end

--- Where the connection is kept now.
-- @tab connection
-- @return an object: `read() -> record, mark`, `write(record, mark, note)`, `drop()`, `self()` and `lives(process)`; each may fail with
-- nil, err
function keeping.of(connection)
  local app = secrets.wants_key() and require("tasker.client").current()
  if app then
    return in_store(connection, app.engine)
  end
  return in_memory(connection)
end

-- ---- Logins that were begun ----

local LOGIN = "oauth-login"
-- Seconds in which a person has to log in, and how many may be on their way in memory.
local LOGIN_LIFE = 900
local MOST_LOGINS = 1000

-- The state itself is not in the store: who reads names there cannot end a login.
local function login_name(state)
  return LOGIN .. ":" .. core.sha256(state):sub(1, 40)
end

local logins, login_order = {}, {}

local function clear_old(engine)
  for _, one in ipairs(secrets.of_kind(engine, LOGIN) or {}) do
    if core.time_parse(one.created_at) + LOGIN_LIFE < core.now() then
      secrets.drop(engine, one.name)
    end
  end
end

--- Keeps what ends a login, under its state.
-- @string state
-- @tab login
-- @return true, or nil, err
function keeping.begin_login(state, login)
  local app = secrets.wants_key() and require("tasker.client").current()
  login.ends_at = core.now() + LOGIN_LIFE
  if app then
    clear_old(app.engine)
    return secrets.put(app.engine, login_name(state), json.encode(login), false)
  end
  logins[state], login_order[#login_order + 1] = login, state
  if #login_order > MOST_LOGINS then
    logins[table.remove(login_order, 1)] = nil
  end
  return true
end

--- Takes it: once.
-- @string state
-- @treturn table|nil nil, nil: there is none
-- @return err
function keeping.end_login(state)
  local app = secrets.wants_key() and require("tasker.client").current()
  local login
  if app then
    local text, sealed = secrets.get(app.engine, login_name(state))
    if not text then
      return nil, sealed.code ~= "not_found" and sealed or nil
    end
    local ok, err = secrets.drop(app.engine, login_name(state), sealed)
    if not ok then
      return nil, err.code ~= "conflict" and err.code ~= "not_found" and err or nil
    end
    login = json.decode(text)
  else
    login, logins[state] = logins[state], nil
  end
  return login and login.ends_at > core.now() and login or nil
end

return keeping
