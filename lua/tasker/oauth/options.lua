--- What tasker.oauth takes: which options go with which grant.
-- @module tasker.oauth.options

local core = require "tasker.core"
local auth = require "tasker.auth"
local check = require "tasker.check"
local suggest = require "tasker.suggest"
local url = require "tasker.url"

local options = {}

local SECRET = "string|table"

local FIELDS = {
  issuer = { "string" }, token_url = { "string" }, authorize_url = { "string" }, device_url = { "string" }, revoke_url = { "string" },
  client_id = { "string" }, client_secret = { SECRET }, client_auth = { "string" }, grant = { "string" }, scope = { "string|table" },
  audience = { "string|table" }, resource = { "string|table" }, name = { "string" }, params = { "table" }, early = { "number" },
  timeout = { "number" }, connect_timeout = { "number" }, allow_private = { "boolean" }, tls = { "table" }, allow_http = { "boolean" },
  redirect_uri = { "string" }, authorize_params = { "table" },
  refresh_token = { SECRET },
  private_key = { SECRET }, alg = { "string" }, key_id = { "string" }, subject = { "string" }, claims = { "table" },
  subject_token = { SECRET .. "|function" }, subject_token_type = { "string" }, actor_token = { SECRET .. "|function" },
  actor_token_type = { "string" }, requested_token_type = { "string" },
}

-- Options of one grant alone, and those that it must have.
local GRANTS = {
  client_credentials = { needs = { "client_id" } },
  authorization_code = { needs = { "client_id" }, endpoint = "authorize_url",
    own = { "redirect_uri", "authorize_params", "authorize_url" } },
  device_code = { needs = { "client_id" }, endpoint = "device_url", own = { "device_url" } },
  refresh_token = { needs = { "client_id", "refresh_token" }, own = { "refresh_token" } },
  jwt_bearer = { needs = { "client_id", "private_key" }, own = { "private_key", "alg", "key_id", "subject", "claims" } },
  token_exchange = { needs = { "subject_token" },
    own = { "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type" } },
}

local OWNER = {}
for grant, rules in pairs(GRANTS) do
  for _, field in ipairs(rules.own or {}) do
    OWNER[field] = grant
  end
end

local SECRETS = { "client_secret", "refresh_token", "private_key", "subject_token", "actor_token" }
local ADDRESSES = { "issuer", "token_url", "authorize_url", "device_url", "revoke_url" }
local ALGORITHMS = { RS256 = true, ES256 = true, EdDSA = true }

local TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"

local function names(set)
  local list = {}
  for name in pairs(set) do
    list[#list + 1] = name
  end
  table.sort(list)
  return table.concat(list, ", ", 1, #list - 1) .. " or " .. list[#list]
end

local function fail(level, format, ...)
  error("tasker.oauth: " .. format:format(...), level + 1)
end

local function is_loopback(host)
  return host == "localhost" or host == "[::1]" or host:match("^127%.%d+%.%d+%.%d+$") ~= nil
end

--- What is wrong with an address of an authorization server; nil: nothing. Credentials go over TLS, or to this machine.
-- @string address
-- @bool allow_http
-- @treturn string|nil
function options.not_address(address, allow_http)
  local parts, why = url.parse(address)
  if not parts then
    return why
  elseif parts.userinfo then
    return "it has a user in it"
  elseif parts.scheme == "http" and not allow_http and not is_loopback(parts.host) then
    return "it must be https (http is for this machine, or with allow_http = true)"
  end
  return nil
end

-- A list of words as the one text that OAuth sends.
local function words_of(value, what, level)
  if type(value) ~= "table" then
    return value
  end
  for _, word in ipairs(value) do
    if type(word) ~= "string" or word:find("%s") then
      fail(level + 1, "option '%s' must be a text or a list of words, not one with %s in it", what, check.show(word))
    end
  end
  return table.concat(value, " ")
end

local function check_secrets(given, level)
  for _, name in ipairs(SECRETS) do
    local value = given[name]
    local wrong = value ~= nil and type(value) ~= "function" and auth.not_secret(value)
    if wrong then
      fail(level + 1, "option '%s' %s", name, wrong)
    elseif value == "" then
      fail(level + 1, "option '%s' is empty", name)
    end
  end
end

local function check_addresses(given, level)
  for _, name in ipairs(ADDRESSES) do
    local why = given[name] and options.not_address(given[name], given.allow_http)
    if why then
      fail(level + 1, "option '%s' is %s: %s", name, check.show(given[name]), why)
    end
  end
  if not given.issuer and not given.token_url then
    fail(level + 1, "option 'issuer' or 'token_url' is missing")
  elseif given.issuer and given.issuer:find("[?#]") then
    fail(level + 1, "option 'issuer' is %s: an issuer has no query and no fragment (RFC 8414)", check.show(given.issuer))
  end
end

local function check_grant(given, level)
  local grant = given.grant
  if grant == nil then
    fail(level + 1, "option 'grant' is missing: %s", names(GRANTS))
  end
  local rules = GRANTS[grant]
  if not rules then
    fail(level + 1, "option 'grant' must be %s, not %s%s", names(GRANTS), check.show(grant), suggest.hint(grant, GRANTS))
  end
  for _, name in ipairs(rules.needs) do
    if given[name] == nil then
      fail(level + 1, "option '%s' is missing: the grant %s needs it", name, grant)
    end
  end
  for name in pairs(given) do
    if OWNER[name] and OWNER[name] ~= grant then
      fail(level + 1, "option '%s' is of the grant %s, not of %s", name, OWNER[name], grant)
    end
  end
  if rules.endpoint and not given.issuer and not given[rules.endpoint] then
    fail(level + 1, "option 'issuer' or '%s' is missing: the grant %s needs it", rules.endpoint, grant)
  elseif grant == "client_credentials" and not given.client_secret and not (given.tls and given.tls.cert) then
    fail(level + 1, "option 'client_secret' is missing: the grant client_credentials needs it, or tls.cert")
  end
end

local function check_key(given, level)
  if given.alg and not ALGORITHMS[given.alg] then
    fail(level + 1, "option 'alg' must be %s, not %s", names(ALGORITHMS), check.show(given.alg))
  elseif type(given.private_key) == "string" then
    local signature, err = core.sign(given.private_key, given.alg, "")
    if not signature then
      fail(level + 1, "option 'private_key': %s", err.message)
    end
  end
end

local function check_values(given, level)
  for _, name in ipairs { "timeout", "connect_timeout" } do
    local wanted = given[name] and check.not_duration(given[name])
    if wanted then
      fail(level + 1, "option '%s' must be %s, not %s", name, wanted, given[name])
    end
  end
  local early, name = given.early and check.not_seconds(given.early), given.name and check.not_name(given.name)
  if early then
    fail(level + 1, "option 'early' must be %s, not %s", early, given.early)
  elseif name then
    fail(level + 1, "option 'name' must be %s, not %s", name, check.show(given.name))
  elseif given.client_auth and given.client_auth ~= "basic" and given.client_auth ~= "post" then
    fail(level + 1, "option 'client_auth' must be \"basic\" or \"post\", not %s", check.show(given.client_auth))
  end
  for _, field in ipairs { "params", "authorize_params" } do
    local _, why = url.form(given[field] or {})
    if why then
      fail(level + 1, "option '%s' has %s", field, why)
    end
  end
end

-- What the connection is: tokens that were got for another do not serve. Secrets are not in it.
local IDENTITY = { "grant", "issuer", "token_url", "client_id", "scope", "audience", "resource", "subject", "requested_token_type",
  "params" }

--- Checks options; raises what is wrong.
-- @tab given
-- @int level as in error, counted from the caller
-- @treturn table a copy: scope a text; `fingerprint`; `name`, and whether it was `named`
function options.read(given, level)
  check.type(given, "table", "tasker.oauth: the options", level + 1)
  check.options(given, FIELDS, "tasker.oauth: option", level + 1)
  check_grant(given, level + 1)
  check_addresses(given, level + 1)
  check_secrets(given, level + 1)
  check_values(given, level + 1)
  check_key(given, level + 1)
  local read = {}
  for name, value in pairs(given) do
    read[name] = value
  end
  read.scope = words_of(given.scope, "scope", level + 1)
  read.subject_token_type = given.subject_token_type or TOKEN_TYPE .. "access_token"
  read.actor_token_type = given.actor_token_type or TOKEN_TYPE .. "access_token"
  local identity = {}
  for _, name in ipairs(IDENTITY) do
    identity[name] = read[name]
  end
  read.fingerprint = core.sha256(core.json.encode(identity, { canonical = true })):sub(1, 32)
  read.named = given.name ~= nil
  read.name = given.name or read.fingerprint:sub(1, 16)
  return read
end

return options
