--- Webhooks: endpoints that are told of events, signed, each event once, by deliveries that are tasks.
-- @module tasker.webhooks

local core = require "tasker.core"
local base64 = require "tasker.base64"
local check = require "tasker.check"
local delivery = require "tasker.webhook_delivery"
local errors = require "tasker.errors"
local patterns = require "tasker.patterns"
local redaction = require "tasker.redaction"
local retry = require "tasker.retry"
local secrets = require "tasker.secrets"
local store = require "tasker.webhook_store"
local url = require "tasker.url"
local webhook = require "tasker.webhook"

local webhooks = {}

local json = core.json
local SECRET_BYTES = 32
local DEFAULT_GRACE = 86400
local DEFAULT_EVENTS = { "*" }
local MOST_URL = 2048

-- ---- What a webhook may be ----

-- The dotted form of an IPv4 address as inet_aton reads it: one to four numbers, decimal, octal or hexadecimal; nil: it is none.
local function plain_ipv4(host)
  local numbers = {}
  for part in (host:gsub("%.$", "") .. "."):gmatch "([^.]*)%." do
    local hex, octal = part:match "^0[xX](%x*)$", part:match "^0([0-7]+)$"
    local number = hex and tonumber("0" .. hex, 16) or octal and tonumber(octal, 8) or part:match "^%d+$" and tonumber(part)
    if not number then
      return nil
    end
    numbers[#numbers + 1] = number
  end
  local value, last = 0, table.remove(numbers)
  if #numbers > 3 or not last or last >= 256 ^ (4 - #numbers) then
    return nil
  end
  for i, number in ipairs(numbers) do
    if number > 255 then
      return nil
    end
    value = value + number * 256 ^ (4 - i)
  end
  value = math.tointeger(value + last)
  return value and ("%d.%d.%d.%d"):format(value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255)
end

-- Does the host of a URL name a private address by itself? What names resolve to is looked at each time.
local function is_private(host)
  local address = host:match "^%[(.*)%]$" or plain_ipv4(host) or host
  return core.http.is_public(address:match "^[^%%]*") == false
end

local function not_url(value)
  if #value > MOST_URL then
    return ("a URL of at most %d bytes"):format(MOST_URL)
  end
  local parts, why = url.parse(value)
  if not parts then
    return "a URL: " .. why
  elseif parts.userinfo then
    return "a URL without credentials: signatures are what tells who sends"
  elseif parts.host:find("%", 1, true) then
    return "a URL whose host is written as it is"
  end
  return nil
end

local function not_secret(value)
  local verifier, err = webhook.verifier_of(value)
  if not verifier then
    return "whsec_ or whsk_ with base64 behind it (" .. err.message .. ")"
  end
  return value:sub(1, 5) == "whpk_" and "whsec_ or whsk_: whpk_ only verifies" or nil
end

local function not_headers(value)
  for name, text in next, value do
    if type(name) ~= "string" or not name:match "^[%w!#$&'*+.^_`|~-]+$" or type(text) ~= "string" or text:find "[%c]" then
      return "a table of names and texts"
    elseif name:lower():match "^webhook%-" then
      return "headers of your own: those of the signature are ours"
    end
  end
  return nil
end

local OPTIONS = {
  name = { "string", check.not_name }, url = { "string", not_url }, events = { "string|table" }, secret = { "string", not_secret },
  retry = { "table" }, ordered = { "boolean" }, allow_private = { "boolean" }, timeout = { "number", check.not_duration },
  headers = { "table", not_headers }, description = { "string", check.not_text }, disabled = { "boolean" }, replace = { "boolean" },
}

-- The policy as data, or nil and an err.
local function read_retry(given)
  local ok, why = pcall(retry.check, given, function(field, format, ...)
    error(("option '%s' %s"):format(field, format:format(...)), 0)
  end)
  for name, value in next, ok and given or {} do
    if type(value) == "function" then
      ok, why = false, ("option 'retry.%s' must be data: a webhook outlives the program that makes it"):format(name)
    end
  end
  if ok and select(2, retry.resolve(given)) then
    ok, why = false, "option 'retry.backoff' must be a built-in one or a list: a webhook outlives the program that makes it"
  end
  if not ok then
    return errors.invalid("app:webhook: %s", why)
  end
  return given
end

local function read_events(given)
  local list = type(given) == "string" and { given } or given or DEFAULT_EVENTS
  local names, why = patterns.expand(list, core.event_names())
  if not names then
    return errors.invalid("app:webhook: option 'events' %s", why)
  end
  return list
end

-- What is kept of it, or nil and an err.
local function read(given)
  check.type(given, "table", "app:webhook: the definition", 3)
  check.type(given.name, "string", "app:webhook: option 'name'", 3)
  check.type(given.url, "string", "app:webhook: option 'url'", 3)
  local ok, err = check.options(given, OPTIONS, "app:webhook: option", 3)
  if not ok then
    return nil, err
  elseif not given.allow_private and is_private(url.parse(given.url).host) then
    return nil, errors.new("blocked", ("app:webhook: option 'url': %s is a private address (allow_private = true lets it)"):format(
      url.parse(given.url).host))
  end
  local hook = { name = given.name, url = given.url, description = given.description, headers = given.headers, timeout = given.timeout,
    ordered = given.ordered or nil, allow_private = given.allow_private or nil, disabled = given.disabled or nil }
  hook.events, err = read_events(given.events)
  if hook.events and given.retry then
    hook.retry, err = read_retry(given.retry)
  end
  if err then
    return nil, err
  end
  return hook
end

local function new_secret()
  return "whsec_" .. base64.encode(core.random_bytes(SECRET_BYTES))
end

-- ---- The app's methods ----

local methods = {}

local function check_app(self, name, what)
  if not self.engine then
    return errors.closed(self)
  end
  check.type(name, "string", what .. ": the name", 3)
  local wanted = check.not_name(name)
  if wanted then
    return errors.invalid("%s: the name must be %s, not %s", what, wanted, check.show(name))
  end
  return true
end

-- Keeps the first secret of a webhook that is not there; what a killed program left of another attempt is replaced.
local function keep_first(engine, hook, secret)
  local ok, err = store.set_secrets(engine, hook.name, { current = secret }, false)
  if not ok and err.code == "conflict" then
    local _, sealed = store.secrets(engine, hook.name)
    ok, err = store.set_secrets(engine, hook.name, { current = secret }, type(sealed) == "string" and sealed or nil)
  end
  return ok, err
end

local function replace(engine, before, hook, secret)
  local kept, sealed = store.secrets(engine, before.name)
  if not kept then
    return nil, sealed
  elseif secret and secret ~= kept.current then
    local ok, err = store.set_secrets(engine, before.name, { current = secret }, sealed)
    if not ok then
      return nil, err
    end
  end
  return store.put(engine, hook)
end

local function made(hook, secret)
  local verifier = secret and webhook.verifier_of(secret)
  return { name = hook.name, secret = secret, public_key = verifier ~= secret and verifier or nil }
end

--- Tells an endpoint of events: from now on each event that is meant becomes one delivery, a task of namespace `tasker`.
-- @tab given `name`, `url`, `events` (patterns; all unless given), `secret` ("whsec_…" or "whsk_…"; made unless given), `retry` (as of a
-- step, data only), `ordered` (each event is delivered or given up before the next is sent), `allow_private`, `timeout` (15 s),
-- `headers`, `description`, `disabled`, `replace` (one of that name is changed, else `conflict`)
-- @treturn table|nil `{name, secret, public_key}`: the secret is told this once; `public_key` belongs to a `whsk_`
-- @return err `blocked`: the URL has a private address; `refused` without a key to seal the secret with
function methods:webhook(given)
  local hook, err = read(given)
  if not hook then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local has, why = secrets.has_key()
  if not has then
    return nil, why
  end
  local before = store.get(self.engine, hook.name)
  if before and not given.replace then
    return nil, errors.new("conflict", ("there is a webhook '%s' already (replace = true changes it)"):format(hook.name))
  end
  local secret = given.secret or not before and new_secret() or nil
  if secret then
    redaction.add(delivery.tag(hook.name), secret)
  end
  local ok
  ok, err = delivery.begin(self.engine)
  if ok and before then
    ok, err = replace(self.engine, before, hook, secret)
  elseif ok then
    ok, err = keep_first(self.engine, hook, secret)
    if ok then
      ok, err = store.put(self.engine, hook)
    end
  end
  if not ok then
    return nil, err
  end
  return made(hook, secret)
end

--- The webhooks that there are: never their secrets.
-- @treturn {table,...}|nil `{name, url, events, ordered, allow_private, disabled, retry, timeout, headers, description, created_at}`
-- @return err
function methods:webhooks()
  if not self.engine then
    return errors.closed(self)
  end
  local list, err = store.all(self.engine)
  for _, hook in ipairs(list or {}) do
    hook.seq = nil
    hook.ordered, hook.allow_private, hook.disabled = hook.ordered == true, hook.allow_private == true, hook.disabled == true
  end
  return list, err
end

--- Gives a webhook another secret. The old one signs too, beside the new one, for `grace` seconds.
-- @string name
-- @tab[opt] options `secret` (made unless given), `grace` (86400)
-- @treturn table|nil `{name, secret, public_key}`
-- @return err
function methods:rotate_webhook(name, options)
  local ok, err = check_app(self, name, "app:rotate_webhook")
  if not ok then
    return nil, err
  end
  check.type(options, "table|nil", "app:rotate_webhook: options", 2)
  options = options or {}
  ok, err = check.options(options, { secret = { "string", not_secret }, grace = { "number", check.not_seconds } },
    "app:rotate_webhook: option", 2)
  local hook, kept, sealed
  if ok then
    hook, err = store.get(self.engine, name)
  end
  if hook then
    kept, sealed = store.secrets(self.engine, name)
    err = not kept and sealed or nil
  end
  if err then
    return nil, err
  end
  local secret = options.secret or new_secret()
  redaction.add(delivery.tag(name), secret)
  ok, err = store.set_secrets(self.engine, name,
    { current = secret, previous = kept.current, expires = core.now() + (options.grace or DEFAULT_GRACE) }, sealed)
  if not ok then
    return nil, err
  end
  return made(hook, secret)
end

local function submit(engine, context)
  local entry, err = delivery.entry(engine, context)
  local ids
  if entry then
    ids, err = engine:submit { entry }
  end
  return ids and ids[1], err
end

--- Delivers an event `webhook.test` that nothing else knows of, also to a webhook that is disabled.
-- @string name
-- @treturn string|nil the delivery's id
-- @return err
function methods:test_webhook(name)
  local ok, err = check_app(self, name, "app:test_webhook")
  local hook
  if ok then
    hook, err = store.get(self.engine, name)
  end
  if not hook then
    return nil, err
  end
  local body = json.encode { type = "webhook.test", timestamp = core.time_format(core.now()), data = { webhook = name } }
  return submit(self.engine, { webhook = name, type = "webhook.test", message_id = delivery.message_id(), body = body, test = true })
end

--- Switches a webhook off or on. What happens while it is off is not delivered.
local function switch(disabled)
  local what = disabled and "app:disable_webhook" or "app:enable_webhook"
  return function(self, name)
    local ok, err = check_app(self, name, what)
    local hook
    if ok then
      hook, err = store.get(self.engine, name)
    end
    if not hook then
      return nil, err
    elseif hook.disabled and not disabled then
      ok, err = store.move(self.engine, name, self.engine:last_seq())
      if not ok then
        return nil, err
      end
    end
    hook.disabled = disabled or nil
    return store.put(self.engine, hook)
  end
end

methods.disable_webhook, methods.enable_webhook = switch(true), switch(false)

local function shown(task)
  local step, context = task.steps[1], task.context
  local failure = step.error and step.error.details or {}
  return {
    id = task.task_id, webhook = context.webhook, event_seq = context.event_seq, type = context.type, message_id = context.message_id,
    status = task.status, attempts = step.attempts, next_attempt_at = step.next_attempt_at,
    response_status = type(step.results) == "table" and step.results.status or failure.status, error = step.error,
    created_at = task.created_at, completed_at = task.completed_at, last_attempted_at = step.last_attempted_at,
  }
end

local FILTER = { status = { "string" }, limit = { "number" }, cursor = { "number" } }

--- Deliveries of a webhook, newest first.
-- @string name
-- @tab[opt] filter `status limit cursor`, as of app:tasks
-- @treturn {table,...}|nil `{id, webhook, event_seq, type, message_id, status, attempts, response_status, error, next_attempt_at,
-- created_at, last_attempted_at, completed_at}`; `id` is the task's
-- @return the cursor of the next page, nil at the end; or err
function methods:webhook_deliveries(name, filter)
  local ok, err = check_app(self, name, "app:webhook_deliveries")
  if not ok then
    return nil, err
  end
  check.type(filter, "table|nil", "app:webhook_deliveries: the filter", 2)
  ok, err = check.options(filter or {}, FILTER, "app:webhook_deliveries: filter", 2)
  if not ok then
    return nil, err
  end
  local wanted = { namespace = "tasker", name = "webhook", tag = delivery.tag(name), steps = true }
  for field, value in pairs(filter or {}) do
    wanted[field] = value
  end
  local tasks, cursor = self:tasks(wanted)
  if not tasks then
    return nil, cursor
  elseif #tasks == 0 then
    ok, err = store.get(self.engine, name)
    if not ok then
      return nil, err
    end
  end
  for i, task in ipairs(tasks) do
    tasks[i] = shown(task)
  end
  return tasks, cursor
end

--- Delivers once more what a delivery is about: the same message, with its id and body. One that failed is retried itself.
-- @string id the delivery's
-- @treturn string|nil the id of the delivery: a new one where the old is complete or was cancelled
-- @return err `not_found`; `refused` while it is under way
function methods:replay_delivery(id)
  check.type(id, "string", "app:replay_delivery: the id", 2)
  if not self.engine then
    return errors.closed(self)
  end
  local task, err = self:task(id)
  if not task then
    return nil, err
  elseif task.namespace ~= "tasker" or task.name ~= "webhook" then
    return nil, errors.new("not_found", ("task %s is no delivery of a webhook"):format(id))
  elseif task.status == "error" then
    task, err = self:retry(id)
    return task and id, err
  elseif not task.completed_at then
    return nil, errors.new("refused", ("delivery %s is under way: it is %s"):format(id, task.status))
  end
  return submit(self.engine, task.context)
end

--- Forgets a webhook. What of it is under way fails.
-- @string name
-- @return true, or nil
-- @return err `not_found`
function methods:delete_webhook(name)
  local ok, err = check_app(self, name, "app:delete_webhook")
  if ok then
    ok, err = store.delete(self.engine, name)
  end
  local left
  if ok then
    left, err = store.all(self.engine)
  end
  if not left then
    return nil, err
  elseif #left == 0 then
    return delivery.finish(self.engine)
  end
  return true
end

--- Adds the methods to a class of apps.
-- @tab App
function webhooks.install(App)
  for name, method in pairs(methods) do
    App[name] = method
  end
end

return webhooks
