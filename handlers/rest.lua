--- `handler = "rest"`: one request of a REST service, from data alone.
local core = require "tasker.core"
local auth = require "tasker.auth"
local rest = require "tasker.rest"
local template = require "tasker.template"

local text = { type = "string" }
local texts = { type = "object", additionalProperties = { type = { "string", "number", "boolean" } } }

-- Credentials as data: `{bearer = T}`, `{basic = {user, password}}`, `{api_key = K, header = N}`; T, K and the password may be
-- `{secret = NAME}`.
local secret = { anyOf = { text,
  { type = "object", required = { "secret" }, additionalProperties = false, properties = { secret = text } } } }
local credentials = { type = "object", minProperties = 1, additionalProperties = false, properties = {
  bearer = secret, api_key = secret, header = text, query = text,
  basic = { type = "object", required = { "user", "password" }, additionalProperties = false,
    properties = { user = text, password = secret } },
} }

local function secret_of(value)
  if type(value) == "table" then
    return require("tasker").secret(value.secret)
  end
  return value
end

local function auth_of(given)
  if not given then
    return nil
  elseif given.bearer then
    return auth.bearer(secret_of(given.bearer))
  elseif given.basic then
    return auth.basic(given.basic.user, secret_of(given.basic.password))
  end
  return auth.api_key(secret_of(given.api_key), { header = given.header, query = given.query })
end

local function run(task, step, config)
  config = template.fill(config, task, step)
  local client = rest.new { base_url = config.url or config.base_url, headers = config.headers, timeout = config.timeout,
    retry = false, auth = auth_of(config.auth), allow_private = config.allow_private }
  local response, err = client:request(config.method or "GET", config.path or "", { params = config.params, query = config.query,
    json = config.json, form = config.form, idempotency_key = config.idempotency_key })
  if not response then
    return nil, err
  end
  local body = response.body
  if (response.headers["content-type"] or ""):find("json", 1, true) then
    body, err = response:json()
    if body == nil then
      return nil, err
    end
  elseif not utf8.len(body) then
    return nil, { code = "protocol", message = "the answer is neither JSON nor text", retryable = false }
  end
  return { status = response.status, body = body ~= "" and body or core.json.null }
end

return {
  auth_of = auth_of,
  credentials = credentials,
  config_schema = { type = "object", additionalProperties = false, properties = {
    url = text, base_url = text, path = text, params = texts,
    method = { type = "string", enum = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD" } },
    query = texts, headers = texts, json = true, form = texts, auth = credentials, timeout = { type = "number", exclusiveMinimum = 0 },
    idempotency_key = text, allow_private = { type = "boolean" },
  }, oneOf = { { required = { "url" } }, { required = { "base_url" } } } },
  run = run,
}
