--- The authorization server: its metadata (RFC 8414) and what is asked of its endpoints (RFC 6749).
-- @module tasker.oauth.server

local core = require "tasker.core"
local auth = require "tasker.auth"
local base64 = require "tasker.base64"
local check = require "tasker.check"
local errors = require "tasker.errors"
local http = require "tasker.http"
local http_errors = require "tasker.http_errors"
local options = require "tasker.oauth.options"
local redaction = require "tasker.redaction"
local url = require "tasker.url"

local server = {}

local json = core.json

local MOST_ANSWER = 1024 * 1024
-- Seconds that metadata are taken for what they were.
local METADATA_LIFE = 3600
local MOST_REDIRECTS = 3

--- An err of a connection, whose texts have no secrets in them.
-- @tab connection
-- @string code
-- @string format as in string.format
-- @return nil
-- @return the err, which is not to be retried
function server.failure(connection, code, format, ...)
  local err = errors.new(code, redaction.redact(("oauth '%s': "):format(connection.name) .. format:format(...)))
  err.retryable = false
  return nil, err
end

local failure = server.failure

local function request_of(connection, more)
  for _, name in ipairs { "timeout", "connect_timeout", "allow_private", "tls" } do
    more[name] = connection[name]
  end
  more.max_body, more.idempotency_key = MOST_ANSWER, false
  return more
end

-- What comes and goes (tokens, codes) is remembered until so many others came.
local REMEMBERED = 24

--- Lets errors and logs blot out a text of this connection.
-- @tab connection
-- @string what
-- @string[opt] text
function server.remember(connection, what, text)
  local list = connection.remembered
  if not text or list[text] then
    return
  end
  redaction.add(("%s of %s"):format(what, connection.name), text)
  list[text], list[#list + 1] = true, text
  if #list > REMEMBERED then
    local oldest = table.remove(list, 1)
    list[oldest] = nil
    redaction.forget(oldest)
  end
end

-- ---- Metadata ----

-- issuer -> {metadata, until}; metadata are public.
local cache = {}

-- RFC 8414 section 3.1: the well-known part stands between host and path; OpenID Connect Discovery puts it behind.
local function places_of(issuer)
  local bare = issuer:gsub("/$", "")
  local host, path = bare:match("^(%a+://[^/]+)(.*)$")
  return { host .. "/.well-known/oauth-authorization-server" .. path, bare .. "/.well-known/openid-configuration" }
end

local function read_metadata(connection, place, response)
  local found = json.decode(response.body)
  if type(found) ~= "table" then
    return failure(connection, "protocol", "%s is no JSON object", place)
  elseif found.issuer ~= connection.issuer then
    return failure(connection, "invalid", "%s is of the issuer %s, not of %s", place, check.show(found.issuer),
      check.show(connection.issuer))
  end
  return found
end

local function discover(connection)
  local response, err
  for _, place in ipairs(places_of(connection.issuer)) do
    response, err = http.request(request_of(connection, { url = place, headers = { Accept = "application/json" },
      follow = MOST_REDIRECTS }))
    if not response then
      return nil, err
    elseif response.status == 200 then
      return read_metadata(connection, place, response)
    elseif response.status // 100 ~= 4 or response.status == 429 then
      break
    end
  end
  err = http_errors.of(("oauth '%s': the metadata of %s"):format(connection.name, connection.issuer), response)
  return nil, err
end

--- What the issuer says of itself; an empty table where there is no issuer.
-- @tab connection
-- @treturn table|nil
-- @return err
function server.metadata(connection)
  local issuer = connection.issuer
  if not issuer then
    return {}
  end
  local kept = cache[issuer]
  if kept and kept.ends > core.monotonic() then
    return kept.metadata
  end
  local found, err = discover(connection)
  if not found then
    return nil, err
  end
  cache[issuer] = { metadata = found, ends = core.monotonic() + METADATA_LIFE }
  return found
end

local ENDPOINTS = {
  token = { "token_url", "token_endpoint" }, authorize = { "authorize_url", "authorization_endpoint" },
  device = { "device_url", "device_authorization_endpoint" }, revoke = { "revoke_url", "revocation_endpoint" },
}

--- The address of an endpoint.
-- @tab connection
-- @string which "token" "authorize" "device" "revoke"
-- @treturn string|nil
-- @return err `unsupported`: there is none
function server.endpoint(connection, which)
  local option, field = table.unpack(ENDPOINTS[which])
  if connection[option] then
    return connection[option]
  end
  local metadata, err = server.metadata(connection)
  if not metadata then
    return nil, err
  end
  local address = metadata[field]
  if type(address) ~= "string" then
    return failure(connection, "unsupported", "%s; option '%s' names it",
      connection.issuer and ("the issuer %s names no %s"):format(connection.issuer, field) or ("no %s is known"):format(field), option)
  end
  local why = options.not_address(address, connection.allow_http)
  if why then
    return failure(connection, "invalid", "the %s of %s is %s: %s", field, connection.issuer, check.show(address), why)
  end
  return address
end

-- ---- Requests ----

--- The text of an option that is a secret; remembered, so that it is blotted out.
-- @tab connection
-- @string option
-- @treturn string|nil nil, nil: it is not given
-- @return err
function server.reveal(connection, option)
  local value = connection[option]
  if value == nil then
    return nil
  end
  local text, err
  if type(value) == "function" then
    text, err = value()
    if text ~= nil and (type(text) ~= "string" or text == "") then
      return failure(connection, "invalid", "the function '%s' must return a text, not %s", option, check.show(text))
    elseif text == nil then
      err = err or select(2, failure(connection, "invalid", "the function '%s' returned nothing", option))
    end
  else
    text, err = auth.reveal(value)
  end
  if not text then
    return nil, err
  end
  server.remember(connection, option, text)
  return text
end

-- RFC 6749 section 2.3.1: both parts are encoded as in a form, before they are put together.
local function add_client(connection, form, headers)
  local secret, err = server.reveal(connection, "client_secret")
  if err then
    return nil, err
  elseif not secret then
    form.client_id = form.client_id or connection.client_id
  elseif connection.client_auth == "post" then
    form.client_id, form.client_secret = connection.client_id, secret
  else
    local credentials = base64.encode(url.encode(connection.client_id) .. ":" .. url.encode(secret))
    server.remember(connection, "client_secret", credentials)
    headers.Authorization = "Basic " .. credentials
  end
  return true
end

-- What the endpoints may call an error; anything else is no OAuth.
local function error_name(answer)
  local name = type(answer) == "table" and answer.error
  return type(name) == "string" and #name <= 64 and name:match("^[%w_.-]+$") or nil
end

local PASSING = { temporarily_unavailable = true, server_error = true, slow_down = true, authorization_pending = true }

local function refusal(connection, what, response, answer)
  local name = error_name(answer)
  if not name then
    return nil, http_errors.of(("oauth '%s': the %s endpoint"):format(connection.name, what), response)
  end
  local description = type(answer.error_description) == "string" and answer.error_description:gsub("[%c\127]", " "):sub(1, 300)
  local _, err = failure(connection, name, "the %s endpoint answers %s%s", what, name, description and (" (%s)"):format(description) or "")
  err.status, err.retryable = response.status, PASSING[name] or response.status == 429 or response.status >= 500
  err.retry_after = err.retryable and http_errors.wait_of(response.headers) or nil
  return nil, err
end

--- Asks an endpoint.
-- @tab connection
-- @string which "token" "device" "revoke"
-- @tab form
-- @treturn table|nil the answer decoded; empty where it has no body
-- @return err whose code is the error's name in OAuth, or one of tasker.http
function server.post(connection, which, form)
  local address, err = server.endpoint(connection, which)
  if not address then
    return nil, err
  end
  local headers = { Accept = "application/json" }
  local ok, why = add_client(connection, form, headers)
  if not ok then
    return nil, why
  end
  local response
  response, err = http.request(request_of(connection, { method = "POST", url = address, form = form, headers = headers, follow = false }))
  if not response then
    return nil, err
  end
  local answer = json.decode(response.body)
  if response.status // 100 ~= 2 or error_name(answer) then
    return refusal(connection, which, response, answer)
  elseif type(answer) ~= "table" and which ~= "revoke" then   -- RFC 7009 section 2.2: what it answers there says nothing
    return failure(connection, "protocol", "the %s endpoint answers what is no JSON object", which)
  end
  return type(answer) == "table" and answer or {}
end

return server
