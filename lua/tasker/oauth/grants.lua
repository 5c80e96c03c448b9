--- What each grant sends to the token endpoint.
-- @module tasker.oauth.grants

local core = require "tasker.core"
local jwt = require "tasker.oauth.jwt"
local server = require "tasker.oauth.server"

local grants = {}

-- A copy of the extra parameters, for a form.
local function form_of(connection, grant)
  local form = {}
  for name, value in pairs(connection.params or {}) do
    form[name] = value
  end
  form.grant_type = grant
  return form
end

local function add_target(connection, form)
  form.scope, form.audience, form.resource = connection.scope, connection.audience, connection.resource
  return form
end

local FORMS = {}

function FORMS.client_credentials(connection)
  return add_target(connection, form_of(connection, "client_credentials"))
end

function FORMS.jwt_bearer(connection)
  local key, err = server.reveal(connection, "private_key")
  if not key then
    return nil, err
  end
  local assertion
  assertion, err = jwt.assertion(key, { issuer = connection.client_id, subject = connection.subject or connection.client_id,
    audience = connection.audience or connection.issuer or connection.token_url, alg = connection.alg, key_id = connection.key_id,
    claims = connection.claims })
  if not assertion then
    return server.failure(connection, err.code, "%s", err.message)
  end
  local form = form_of(connection, "urn:ietf:params:oauth:grant-type:jwt-bearer")
  server.remember(connection, "assertion", assertion)
  form.assertion, form.scope, form.resource = assertion, connection.scope, connection.resource
  return form
end

function FORMS.token_exchange(connection)
  local subject, err = server.reveal(connection, "subject_token")
  if not subject then
    return nil, err
  end
  local actor
  actor, err = server.reveal(connection, "actor_token")
  if err then
    return nil, err
  end
  local form = add_target(connection, form_of(connection, "urn:ietf:params:oauth:grant-type:token-exchange"))
  form.subject_token, form.subject_token_type = subject, connection.subject_token_type
  form.actor_token, form.actor_token_type = actor, actor and connection.actor_token_type
  form.requested_token_type = connection.requested_token_type
  return form
end

-- With a refresh token: what was configured, until the server gave another.
local function refresh(connection, record)
  local form = form_of(connection, "refresh_token")
  form.refresh_token = record.refresh_token
  form.scope = connection.grant == "refresh_token" and connection.scope or nil
  return form
end

FORMS.refresh_token, FORMS.authorization_code, FORMS.device_code = refresh, refresh, refresh

--- Grants whose tokens come by a person's login, at first.
grants.BY_LOGIN = { authorization_code = true, device_code = true }

--- The form that gets a token.
-- @tab connection
-- @tab record what is kept of it, with a refresh token where the grant needs one
-- @treturn table|nil
-- @return err
function grants.form(connection, record)
  return FORMS[connection.grant](connection, record)
end

local CREDENTIALS = { "client_secret", "refresh_token", "private_key", "subject_token", "actor_token" }

--- A hash over all that a person could have changed to make a refused connection work.
-- @tab connection
-- @treturn string|nil
-- @return err a secret cannot be read
function grants.configuration(connection)
  local all = { connection.fingerprint, connection.alg or "", connection.key_id or "" }
  for _, option in ipairs(CREDENTIALS) do
    local text, err = server.reveal(connection, option)
    if err then
      return nil, err
    end
    all[#all + 1] = text or ""
  end
  return core.sha256(core.json.encode(all))
end

return grants
