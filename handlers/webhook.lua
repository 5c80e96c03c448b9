--- `handler = "webhook"`: sends one signed message, from data alone. It is the step's own: its retry is the step's, its id the step's key.
local core = require "tasker.core"
local http = require "tasker.http"
local http_errors = require "tasker.http_errors"
local template = require "tasker.template"
local webhook = require "tasker.webhook"

local text = { type = "string" }
local secret = { anyOf = { text,
  { type = "object", required = { "secret" }, additionalProperties = false, properties = { secret = text } } } }

local function secret_of(value)
  return type(value) == "table" and require("tasker").secret(value.secret) or value
end

local function secrets_of(config)
  local list = {}
  for i, one in ipairs(config.secrets or { config.secret }) do
    list[i] = secret_of(one)
  end
  return list
end

-- The same at every attempt: who receives knows what came twice.
local function message_id(step)
  return "msg_" .. core.sha256(step.idempotency_key):sub(1, 32)
end

-- When the task was made, as its id (UUIDv7) says: the same at every attempt.
local function made_at(task)
  return core.time_format(tonumber(task.task_id:gsub("-", ""):sub(1, 12), 16) / 1000)
end

local function run(task, step, config)
  config = template.fill(config, task, step)
  local id = message_id(step)
  local body, err = core.json.encode({ type = config.type or "step." .. step.name, timestamp = made_at(task),
    data = config.data == nil and task.context or config.data }, { canonical = true })
  local headers
  if body then
    headers, err = webhook.sign(body, secrets_of(config), { id = id })
  end
  if not headers then
    return nil, err
  end
  for name, value in pairs(config.headers or {}) do
    headers[name] = value
  end
  headers["content-type"] = headers["content-type"] or "application/json"
  local response
  response, err = http.request { method = "POST", url = config.url, headers = headers, body = body, timeout = config.timeout or 15,
    follow = false, allow_private = config.allow_private == true, idempotency_key = id }
  if not response then
    return nil, err
  elseif response.status < 200 or response.status > 299 then
    return nil, http_errors.of("POST " .. config.url:match "^[^?#]*", response)
  end
  return { id = id, status = response.status }
end

return {
  config_schema = { type = "object", required = { "url" }, additionalProperties = false, properties = {
    url = text, type = text, data = true, secret = secret, secrets = { type = "array", items = secret, minItems = 1 },
    headers = { type = "object", additionalProperties = text }, timeout = { type = "number", exclusiveMinimum = 0 },
    allow_private = { type = "boolean" },
  }, oneOf = { { required = { "secret" } }, { required = { "secrets" } } } },
  run = run,
}
