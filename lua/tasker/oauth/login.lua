--- What a person takes part in: the authorization code with PKCE (RFC 6749, 7636, 9207, 9700) and the device flow (RFC 8628); and the
-- end of it, revocation (RFC 7009).
-- @module tasker.oauth.login

local core = require "tasker.core"
local base64 = require "tasker.base64"
local check = require "tasker.check"
local errors = require "tasker.errors"
local keeping = require "tasker.oauth.keeping"
local server = require "tasker.oauth.server"
local tokens = require "tasker.oauth.tokens"
local url = require "tasker.url"

local login = {}

-- In a test that has its own clock it moves that.
local function sleep(seconds)
  return require("tasker").sleep(seconds)
end

local function random_text()
  return base64.encode_url(core.random_bytes(32))
end

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function copy_into(form, more)
  for name, value in pairs(more or {}) do
    form[name] = value
  end
  return form
end

-- ---- Authorization code ----

--- The address where a person allows the access, and the state with which the answer comes back.
-- @tab connection
-- @tab options `redirect_uri`, `params`
-- @treturn string|nil
-- @treturn string state, or err
function login.authorize_url(connection, options)
  local address, err = server.endpoint(connection, "authorize")
  if not address then
    return nil, err
  end
  local state, verifier = random_text(), random_text()
  local redirect = options.redirect_uri or connection.redirect_uri
  server.remember(connection, "verifier", verifier)
  local ok
  ok, err = keeping.begin_login(state, { verifier = verifier, fingerprint = connection.fingerprint, redirect_uri = redirect })
  if not ok then
    return nil, err
  end
  local query = copy_into(copy_into({}, connection.authorize_params), options.params)
  copy_into(query, { response_type = "code", client_id = connection.client_id, redirect_uri = redirect, scope = connection.scope,
    audience = connection.audience, resource = connection.resource, state = state,
    code_challenge = base64.encode_url(bytes_of(core.sha256(verifier))), code_challenge_method = "S256" })
  return url.with_query(address, url.form(query)), state
end

--- Exchanges a code for tokens, once.
-- @tab connection
-- @string code
-- @string state
-- @string[opt] iss
-- @treturn string|nil the token
-- @return its record, or err
function login.exchange(connection, code, state, iss)
  local begun, err = keeping.end_login(state)
  if err then
    return nil, err
  elseif not begun or begun.fingerprint ~= connection.fingerprint then
    return server.failure(connection, "invalid",
      "the state is none that authorize_url gave in the last 15 minutes, it was used before, or it is another connection's")
  end
  -- RFC 9207: an answer that names its issuer comes from ours, or from one who mixes them up.
  if iss and connection.issuer and iss ~= connection.issuer then
    return server.failure(connection, "invalid", "the answer comes from the issuer %s, not from %s", check.show(iss),
      check.show(connection.issuer))
  end
  server.remember(connection, "code", code)
  return login.finish(connection, copy_into(copy_into({}, connection.params), { grant_type = "authorization_code", code = code,
    redirect_uri = begun.redirect_uri, code_verifier = begun.verifier, client_id = connection.client_id, resource = connection.resource }))
end

--- Asks for the tokens that a login earned, and keeps them in the place of what was there; a parked connection serves again.
-- @tab connection
-- @tab form
-- @treturn string|nil the token
-- @return its record, or err
function login.finish(connection, form)
  local answer, err = server.post(connection, "token", form)
  if not answer then
    return nil, err
  end
  local record, ok
  record, err = tokens.record_of(connection, {}, answer)
  if not record then
    return nil, err
  end
  ok, err = tokens.update(keeping.of(connection), function() return record end)
  if not ok then
    return nil, err
  end
  connection.pause_until = nil
  return record.access_token, record
end

-- ---- Device flow ----

local DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
local DEFAULT_INTERVAL, SLOW_DOWN = 5, 5
local LONGEST_INTERVAL = 60

local Device = { __name = "tasker.oauth.device" }
Device.__index = Device

-- device -> its connection: not among its fields, which are the server's.
local connections = setmetatable({}, { __mode = "k" })

-- Errors after which the next attempt may find another answer.
local function interval_after(err, interval)
  if err.code == "authorization_pending" then
    return interval
  elseif err.code == "slow_down" then
    return interval + SLOW_DOWN
  elseif err.code == "timeout" or err.code == "connect" or err.retryable then
    return math.min(math.max(2 * interval, 1), LONGEST_INTERVAL)   -- RFC 8628 section 3.5: exponential backoff
  end
  return nil
end

--- Waits until the person has decided.
-- @number[opt] seconds at most; then `timeout`, and it may be called again
-- @treturn string|nil the token
-- @return its record, or err: `access_denied`, `expired_token`, …
function Device:wait(seconds)
  check.type(seconds, "number|nil", "device:wait: the seconds", 2)
  local connection = connections[self]
  local interval = self.interval
  local ends, gives_up = connection.device_ends[self], seconds and core.now() + seconds
  while true do
    local now = core.now()
    if now >= ends then
      return server.failure(connection, "expired_token", "nobody entered the code in time; auth:device() gives another")
    elseif gives_up and now + interval > gives_up then
      sleep(math.max(0, math.min(gives_up, ends) - now))
      return server.failure(connection, "timeout", "nobody has entered the code yet")
    end
    sleep(math.min(interval, ends - now))
    local token, what = login.finish(connection, copy_into(copy_into({}, connection.params), { grant_type = DEVICE_GRANT,
      device_code = self.device_code, client_id = connection.client_id }))
    if token then
      return token, what
    end
    interval = interval_after(what, interval)
    if not interval then
      return nil, what
    end
    self.interval = interval
  end
end

local TEXTS = { "device_code", "user_code", "verification_uri" }

--- Begins a login on another device.
-- @tab connection
-- @treturn table|nil the server's fields, and `:wait()`
-- @return err
function login.device(connection)
  local answer, err = server.post(connection, "device", copy_into(copy_into({}, connection.params), { client_id = connection.client_id,
    scope = connection.scope, audience = connection.audience, resource = connection.resource }))
  if not answer then
    return nil, err
  end
  answer.verification_uri = answer.verification_uri or answer.verification_url   -- of a draft; some still say so
  for _, name in ipairs(TEXTS) do
    if type(answer[name]) ~= "string" then
      return server.failure(connection, "protocol", "the device endpoint answers without a %s", name)
    end
  end
  server.remember(connection, "device_code", answer.device_code)
  answer.interval = tonumber(answer.interval) or DEFAULT_INTERVAL
  answer.expires_in = tonumber(answer.expires_in) or errors.LONGEST_SECONDS
  local device = setmetatable(answer, Device)
  connections[device] = connection
  connection.device_ends[device] = core.now() + answer.expires_in
  return device
end

-- ---- Revocation ----

local function revoke_one(connection, token, hint)
  local answer, err = server.post(connection, "revoke", copy_into(copy_into({}, connection.params),
    { token = token, token_type_hint = hint }))
  return answer ~= nil or nil, err
end

--- Tells the server that the tokens serve no more, and forgets them.
-- @tab connection
-- @return true, or nil, err
function login.revoke(connection)
  local place = keeping.of(connection)
  local record, err = place:read()
  if not record then
    return nil, err
  end
  local ok
  if record.refresh_token then
    ok, err = revoke_one(connection, record.refresh_token, "refresh_token")
    if not ok then
      return nil, err
    end
  end
  if record.access_token then
    ok, err = revoke_one(connection, record.access_token, "access_token")
    -- RFC 7009 section 2.2.1: a server need not know how to revoke these; they end by themselves.
    if not ok and err.code ~= "unsupported_token_type" then
      return nil, err
    end
  end
  return place:drop()
end

return login
