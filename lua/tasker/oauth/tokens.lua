--- Tokens: got, kept, renewed early, and by one for all.
--
-- The record of a connection: `fingerprint` (what the tokens are for), `access_token`, `expires_at` and `renew_at` (absent: not known),
-- `refresh_token` (and `seed`, a hash of the configured one that it began with), `token_type`, `scope`; `parked` (no request is made);
-- `lease` of who asks for a token now, `failure` of who asked last and got none. A lease is written before the request and a token
-- (with the refresh token that came with it) before it is used; each is a commit where the record is in a store.
-- @module tasker.oauth.tokens

local core = require "tasker.core"
local errors = require "tasker.errors"
local grants = require "tasker.oauth.grants"
local keeping = require "tasker.oauth.keeping"
local server = require "tasker.oauth.server"

local tokens = {}

-- How long before its end a token is renewed: this, or a tenth of its life where that is less.
local EARLY, EARLY_PART = 60, 0.1
local DEFAULT_TIMEOUT = 30
-- A lease outlives its request by this, so that a slow one is not doubled.
local LEASE_MARGIN = 10
-- Who waits for another's request looks after these seconds, twice as many each time.
local FIRST_LOOK, LAST_LOOK = 0.005, 0.1
-- After an early renewal failed the token serves on, and the next attempt waits.
local PAUSE_AFTER_FAILURE = 10

-- Leases that somebody in this Lua state works on. One whose fiber was ended is in no list, and is taken over at once.
local flying = {}
local STATE = core.uuid()

local function copy_of(record)
  local copy = {}
  for name, value in pairs(record) do
    copy[name] = value
  end
  return copy
end

-- ---- What is known of a token ----

local function is_ours(connection, record)
  return record.fingerprint == connection.fingerprint
end

-- The token that serves now, and whether it is time to get another; nil: none does.
local function standing(connection, record, rejected)
  local token, now = record.access_token, core.now()
  if not token or not is_ours(connection, record) or token == rejected or (record.expires_at and record.expires_at <= now) then
    return nil
  end
  return token, record.renew_at ~= nil and record.renew_at <= now and now >= (connection.pause_until or 0)
end

local function seed_of(text)
  return core.sha256("refresh token " .. text)
end

-- The record as the grant's request wants it; nil: there is nothing to ask with; nil, err.
local function basis(connection, record)
  if connection.grant == "refresh_token" then
    local configured, err = server.reveal(connection, "refresh_token")
    if not configured then
      return nil, err
    elseif not is_ours(connection, record) or record.seed ~= seed_of(configured) or not record.refresh_token then
      return { fingerprint = connection.fingerprint, refresh_token = configured, seed = seed_of(configured) }
    end
    return record
  elseif grants.BY_LOGIN[connection.grant] then
    return is_ours(connection, record) and record.refresh_token and record or nil
  end
  return is_ours(connection, record) and record or { fingerprint = connection.fingerprint }
end

local LOGINS = { authorization_code = "auth:authorize_url() and auth:exchange(code, state)", device_code = "auth:device()" }

local function login_required(connection, record)
  local had = is_ours(connection, record) and record.access_token
  return server.failure(connection, "login_required", "%s: %s", had and "its token serves no more and came without a refresh token"
    or "nobody has logged in yet", LOGINS[connection.grant])
end

-- The err of a parked connection; nil: it is not, or its configuration was changed since; nil, err.
local function parked(connection, record)
  local was = record.parked
  if not was or not is_ours(connection, record) then
    return nil
  end
  local configuration, err = grants.configuration(connection)
  if not configuration then
    return nil, err
  elseif configuration ~= was.configuration then
    return nil
  end
  local way = LOGINS[connection.grant]
  local _, why = server.failure(connection, was.code, "it is parked since %s (%s): %s", core.time_format(was.at), was.message,
    way and way .. " ends that, or another configuration" or "another configuration ends that, or auth:revoke()")
  why.parked = true
  return why
end

-- ---- Answers ----

local function seconds_of(value)
  local number = tonumber(value)
  return number and number >= 0 and number <= errors.LONGEST_SECONDS and number or nil
end

local function not_token(value)
  return type(value) ~= "string" or not value:match("^[\33-\126]+$")
end

--- The record after a token's answer.
-- @tab connection
-- @tab before the record that asked; its refresh token stays where the answer has none
-- @tab answer
-- @treturn table|nil
-- @return err `protocol`, `unsupported`
function tokens.record_of(connection, before, answer)
  local kind = answer.token_type
  if not_token(answer.access_token) then
    return server.failure(connection, "protocol", "the token endpoint answers without an access_token")
  elseif answer.refresh_token ~= nil and answer.refresh_token ~= core.json.null and not_token(answer.refresh_token) then
    return server.failure(connection, "protocol", "the token endpoint answers with a refresh_token that is none")
  elseif kind ~= nil and (type(kind) ~= "string" or kind:lower() ~= "bearer" and kind ~= "N_A") then
    return server.failure(connection, "unsupported", "the token endpoint answers with a token of the type %s, not Bearer", tostring(kind))
  end
  local now, life = core.now(), seconds_of(answer.expires_in)
  local refresh = type(answer.refresh_token) == "string" and answer.refresh_token or nil
  local scope = type(answer.scope) == "string" and answer.scope or connection.scope
  server.remember(connection, "token", answer.access_token)
  server.remember(connection, "refresh token", refresh)
  return {
    fingerprint = connection.fingerprint, access_token = answer.access_token, token_type = kind, scope = scope,
    obtained_at = now, expires_at = life and now + life,
    renew_at = life and now + life - (connection.early and math.min(connection.early, life / 2) or math.min(EARLY, life * EARLY_PART)),
    refresh_token = refresh or before.refresh_token, seed = before.seed,
  }
end

-- ---- One for all ----

local function is_live(place, lease)
  if not lease or lease.ends_at <= core.now() then
    return false
  elseif lease.state == STATE then
    return flying[lease.id] ~= nil
  end
  return place:lives(lease.process)
end

-- Writes what `change` makes of the record, as often as others were quicker. change(record) -> new record, note; nil: nothing to write.
local function update(place, change)
  while true do
    local record, mark = place:read()
    if not record then
      return nil, mark
    end
    local new, note = change(record)
    if not new then
      return true
    end
    local ok, err = place:write(new, mark, note)
    if ok or err.code ~= "conflict" then
      return ok, err
    end
  end
end

tokens.update = update

-- Ends the lease without a token.
local function give_up(connection, place, lease, err)
  local park
  if err.code == "invalid_grant" then
    local configuration = grants.configuration(connection)
    park = { code = err.code, message = err.message, at = core.now(), configuration = configuration }
  end
  local ok, why = update(place, function(record)
    if not record.lease or record.lease.id ~= lease.id then
      return nil
    end
    local new = copy_of(record)
    new.lease = nil
    new.failure = { lease = lease.id, code = err.code, message = tostring(err.message), status = err.status,
      retryable = err.retryable == true, retry_after = err.retry_after }
    if not park then
      return new
    end
    new.fingerprint, new.parked = connection.fingerprint, park
    new.access_token, new.expires_at, new.renew_at = nil, nil, nil
    return new, core.json.encode({ connection = connection.name, code = err.code, message = err.message }, { canonical = true })
  end)
  if not ok then
    core.log("warn", ("oauth '%s': %s"):format(connection.name, tostring(why.message)))
  end
end

-- Keeps what came. When the lease was lost meanwhile, what its new holder got stands, unless that has nothing yet.
local function keep(place, lease, before, new)
  local kept = new
  local ok, err = update(place, function(record)
    local still = record.lease and record.lease.id == lease.id
    if not still and (record.access_token ~= before.access_token or record.refresh_token ~= before.refresh_token) then
      kept = record
      return nil
    end
    local whole = copy_of(new)
    whole.lease = not still and record.lease or nil
    return whole
  end)
  if ok and not kept.access_token then
    ok, err = nil, errors.new("conflict", "the tokens were revoked while another was fetched")
  end
  return ok and kept, err
end

-- The request itself, for who holds the lease. before: the record as it was, asked: what the request stands on.
local function fly(connection, place, lease, before, asked)
  local form, err = grants.form(connection, asked)
  local answer, new
  if form then
    answer, err = server.post(connection, "token", form)
  end
  if answer then
    new, err = tokens.record_of(connection, asked, answer)
  end
  if new then
    new, err = keep(place, lease, before, new)
  end
  if not new then
    give_up(connection, place, lease, err)
    return nil, err
  end
  connection.pause_until = nil
  return new.access_token, new
end

-- What the one whom this caller waited for was told; nil: something else happened.
local function shared_failure(record, waited)
  local failure = record.failure
  if not failure or failure.lease ~= waited then
    return nil
  end
  local err = errors.new(failure.code, failure.message)
  err.retryable, err.status, err.retry_after = failure.retryable, failure.status, failure.retry_after
  return err
end

-- Takes the lease and asks; nil, nil: somebody else was quicker.
local function lead(connection, place, record, mark, asked)
  local process, err = place:self()
  if not process then
    return nil, err
  end
  local lease = { id = core.uuid(), process = process, state = STATE,
    ends_at = core.now() + (connection.timeout or DEFAULT_TIMEOUT) + LEASE_MARGIN }
  local leased = copy_of(record)
  leased.lease, leased.failure = lease, nil
  flying[lease.id] = true   -- from before it can be seen, until the fiber is done or was ended
  local landing <close> = setmetatable({}, { __close = function() flying[lease.id] = nil end })   -- luacheck: ignore
  local ok
  ok, err = place:write(leased, mark)
  if not ok then
    return nil, err.code ~= "conflict" and err or nil
  end
  local token, what = fly(connection, place, lease, record, asked)
  return token, what
end

-- Sees to it that a token serves that is not the rejected one. One look: a token and its record; nil, err; or nil, nil, id of the lease
-- to wait for (nil: look again at once).
local function look(connection, place, rejected, waited)
  local record, mark = place:read()
  if not record then
    return nil, mark
  end
  local token, is_late = standing(connection, record, rejected)
  local why, err = parked(connection, record)
  if why or err then
    return nil, why or err
  elseif token and not is_late then
    return token, record
  elseif waited and shared_failure(record, waited) then
    return nil, shared_failure(record, waited)
  end
  local asked
  asked, err = basis(connection, record)
  if not asked then
    if err or not token then
      return nil, err or select(2, login_required(connection, record))
    end
    return token, record
  elseif is_live(place, record.lease) then
    if token then
      return token, record
    end
    return nil, nil, record.lease.id
  end
  local got, what = lead(connection, place, record, mark, asked)
  if not got and what and what.retryable and token then
    connection.pause_until = core.now() + PAUSE_AFTER_FAILURE
    return token, record
  end
  return got, what
end

--- A token that serves: the kept one, or a new one.
-- @tab connection
-- @string[opt] rejected a token that the resource did not take
-- @treturn string|nil
-- @return its record, or err
function tokens.acquire(connection, rejected)
  local place = keeping.of(connection)
  local pause, waited = FIRST_LOOK, nil
  while true do
    local token, what, lease = look(connection, place, rejected, waited)
    if token then
      server.remember(connection, "token", token)
      return token, what
    elseif what then
      return nil, what
    end
    if lease then
      waited = lease
      core.sleep(pause)
      pause = math.min(2 * pause, LAST_LOOK)
    end
  end
end

--- Could another token be got than the one there is, without a person?
-- @tab connection
-- @treturn bool
function tokens.can_renew(connection)
  local record = keeping.of(connection):read()
  return record ~= nil and basis(connection, record) ~= nil
end

return tokens
