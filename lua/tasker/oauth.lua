--- OAuth 2.0 (RFC 6749 and what goes with it): credentials that requests carry, fetched, kept, and renewed early, by one for all
-- processes.
-- @module tasker.oauth

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local login = require "tasker.oauth.login"
local options = require "tasker.oauth.options"
local tokens = require "tasker.oauth.tokens"

local oauth = {}

local Auth = { __name = "tasker.auth" }
Auth.__index = Auth

-- auth -> its connection: what it holds is in no field, so that no one who looks at an auth sees a secret.
local connections = setmetatable({}, { __mode = "k" })

function Auth:__tostring()
  return ("tasker.oauth (%s)"):format(self.name)
end

local function connection_of(self, level)
  local connection = connections[self]
  if not connection then
    error("this is a method of what tasker.oauth gives: call it with a colon", level + 1)
  end
  return connection
end

--- Makes an auth.
-- @tab given `grant`: client_credentials, authorization_code, device_code, refresh_token, jwt_bearer or token_exchange; `issuer`, whose
-- metadata name the endpoints, or `token_url` (and `authorize_url`, `device_url`, `revoke_url`); `client_id`, `client_secret` (a text or a
-- secret), `client_auth` "basic" or "post"; `scope`, `audience`, `resource`; `name`, under which tokens are kept; `early`, seconds before
-- its end in which a token is renewed; `params`, more fields of requests; `timeout connect_timeout allow_private tls` as tasker.http;
-- and by grant: `redirect_uri authorize_params`; `refresh_token`; `private_key alg key_id subject claims`; `subject_token actor_token` and
-- their types, `requested_token_type`
-- @return the auth, for tasker.http, rest and graphql
function oauth.new(given)
  local connection = options.read(given, 2)
  core.no_dumps()
  connection.remembered, connection.device_ends = {}, setmetatable({}, { __mode = "k" })
  local self = setmetatable({ kind = "oauth", name = connection.name, grant = connection.grant }, Auth)
  connections[self] = connection
  return self
end

--- For tasker.http: adds the token to a request.
function Auth:authorize(_, headers)
  local token, what = tokens.acquire(connection_of(self, 2))
  if not token then
    return nil, what
  elseif what.token_type == "N_A" then
    return nil, errors.new("invalid", ("oauth '%s': the token is none for requests: its type is N_A"):format(self.name))
  end
  headers.authorization = { { "Authorization", "Bearer " .. token } }
  return true
end

--- For tasker.http: after a 401, another token than the one that was sent. False: there is no way to get one.
function Auth:renew(_, headers)
  local connection = connection_of(self, 2)
  local sent = headers.authorization and headers.authorization[1][2]:match "^Bearer (.+)$"
  if not sent or not tokens.can_renew(connection) then
    return false
  end
  local token, what = tokens.acquire(connection, sent)
  if not token then
    return nil, what
  end
  return token ~= sent
end

--- A token that serves now.
-- @treturn string|nil
-- @treturn table `{expires_at, scope, token_type}`; or err: an OAuth error's name, `login_required`, or one of tasker.http
function Auth:token()
  local token, what = tokens.acquire(connection_of(self, 2))
  if not token then
    return nil, what
  end
  return token, { expires_at = what.expires_at, scope = what.scope, token_type = what.token_type }
end

local function for_grant(self, grant, what)
  local connection = connection_of(self, 3)
  if connection.grant ~= grant then
    error(("%s is for the grant %s, and this is %s"):format(what, grant, connection.grant), 3)
  end
  return connection
end

local URL_OPTIONS = { redirect_uri = { "string" }, params = { "table" } }

--- Where a person allows the access. What ends the login (PKCE's verifier) is kept with the state, sealed in the store when there is a key.
-- @tab[opt] more `redirect_uri`, `params`: for this one
-- @treturn string|nil the url
-- @treturn string the state; or err
function Auth:authorize_url(more)
  local connection = for_grant(self, "authorization_code", "auth:authorize_url")
  check.type(more, "table|nil", "auth:authorize_url: options", 2)
  check.options(more or {}, URL_OPTIONS, "auth:authorize_url: option", 2)
  return login.authorize_url(connection, more or {})
end

--- Ends the login with what came back to the redirect_uri; also in another process, where there is a key.
-- @string code
-- @string state
-- @string[opt] iss the answer's parameter `iss`, where it has one (RFC 9207)
-- @treturn string|nil the token
-- @return err
function Auth:exchange(code, state, iss)
  local connection = for_grant(self, "authorization_code", "auth:exchange")
  check.type(code, "string", "auth:exchange: the code", 2)
  check.type(state, "string", "auth:exchange: the state", 2)
  check.type(iss, "string|nil", "auth:exchange: the issuer", 2)
  local token, what = login.exchange(connection, code, state, iss)
  return token, not token and what or nil
end

--- Begins a login on another device: show the person `verification_uri` and `user_code`, then `:wait()`.
-- @treturn table|nil the fields of RFC 8628, and `:wait(seconds)`
-- @return err
function Auth:device()
  return login.device(for_grant(self, "device_code", "auth:device"))
end

--- Tells the server that the tokens serve no more (RFC 7009) and forgets them; a parked connection serves again.
-- @return true, or nil
-- @return err `unsupported`: the server has no such endpoint
function Auth:revoke()
  return login.revoke(connection_of(self, 2))
end

return oauth
