--- REST clients: a base address, credentials, templates of paths, answers that are none as errors, pages.
-- @module tasker.rest

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local http = require "tasker.http"
local http_errors = require "tasker.http_errors"
local retry = require "tasker.retry"
local url = require "tasker.url"

local rest = {}

local Client = { __name = "tasker.rest" }
Client.__index = Client

function Client:__tostring()
  return "tasker.rest (" .. self.base_url .. ")"
end

-- ---- Making one ----

local FIELDS = {
  base_url = { "string" }, headers = { "table" }, query = { "table" }, auth = { "table" }, timeout = { "number|boolean" },
  connect_timeout = { "number|boolean" }, max_body = { "number|boolean" }, follow = { "number|boolean" },
  allow_private = { "boolean" }, tls = { "table" }, retry = { "table|boolean" }, limits = { "string|table" }, breaker = { "table" },
}
-- Fields that each request takes over unless it has its own.
local COMMON = { "timeout", "connect_timeout", "max_body", "follow", "allow_private", "tls", "auth", "limits", "breaker" }

local function read_retry(given, what)
  if given == nil or given == false then
    return given
  elseif given == true then
    given = {}
  end
  local function fail(field, format, ...)
    error(("%s: option '%s' "):format(what, field) .. format:format(...), 0)
  end
  local ok, wrong = pcall(retry.check, given, fail)
  if not ok then
    error(wrong, 3)
  end
  local policy, strategy = retry.resolve(given)
  if strategy or retry.decider(given) then
    error(what .. ": option 'retry' takes no functions: the step's own policy does", 3)
  end
  return policy
end

--- Makes a client.
-- @tab options `base_url`; `headers`, `query` of every request; `auth` (tasker.auth, tasker.oauth); `timeout connect_timeout max_body
-- follow allow_private tls limits breaker` as tasker.http; `retry` as a step's, for retries inside the call (a table, true or false; by
-- default on in plain scripts and off in steps, whose own policy does it)
-- @return the client: `get post put patch delete head request paginate`
function rest.new(options)
  check.type(options, "table", "tasker.rest: the options", 2)
  check.options(options, FIELDS, "tasker.rest: option", 2)
  local base, why = url.parse(options.base_url or "")
  if not base then
    error(("tasker.rest: option 'base_url' is %s: %s"):format(check.show(options.base_url), why), 2)
  end
  local self = { base_url = options.base_url:gsub("/+$", ""), headers = options.headers or {}, query = options.query or {},
    policy = read_retry(options.retry, "tasker.rest"), common = {} }
  for _, name in ipairs(COMMON) do
    self.common[name] = options[name]
  end
  self.common.limits, self.common.breaker = http.read_admission(options, "tasker.rest", 2)
  return setmetatable(self, Client)
end

-- ---- Addresses ----

local function invalid(format, ...)
  return nil, http.failure("invalid", "tasker.rest: " .. format:format(...))
end

-- The path with `{name}` filled in, percent-encoded; `{+name}` keeps slashes (RFC 6570 levels 1 and 2).
local function expand(path, params)
  local missing
  local expanded = path:gsub("{(%+?)([^{}]*)}", function(plus, name)
    local value = params[name]
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      missing = missing or name
      return ""
    end
    local text = kind == "number" and math.type(value) == "float" and value == math.floor(value) and ("%d"):format(value) or tostring(value)
    return plus == "+" and (text:gsub("[^/]+", url.encode)) or url.encode(text)
  end)
  if missing then
    return invalid("the path %s wants params.%s", check.show(path), missing)
  end
  return expanded
end

local function address_of(self, path, params)
  local expanded, err = expand(path, params or {})
  if not expanded then
    return nil, err
  elseif path:match("^https?://") then   -- not what a variable makes of it
    return expanded
  end
  return self.base_url .. (expanded:match("^[/?]") and "" or expanded ~= "" and "/" or "") .. expanded
end

-- ---- Requests ----

local function merge(a, b)
  local all = {}
  for name, value in pairs(a) do
    all[name] = value
  end
  for name, value in pairs(b or {}) do
    all[name] = value
  end
  return all
end

-- Headers are one whatever the case of their names.
local function merge_headers(a, b)
  local all, names = {}, {}
  for _, headers in ipairs { a, b or {} } do
    for name, value in pairs(headers) do
      local key = type(name) == "string" and name:lower() or name
      if names[key] then
        all[names[key]] = nil
      end
      names[key], all[name] = name, value
    end
  end
  return all
end

local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true }
-- What says that nothing was done.
local NOT_DONE = { connect = true, dns = true, http_429 = true, http_503 = true, http_425 = true }

-- What a limit or a breaker blocked has waited as long as it may.
local function may_repeat(request, err)
  return err.retryable and err.code ~= "blocked" and
    (IDEMPOTENT[request.method] or type(request.idempotency_key) == "string" or NOT_DONE[err.code])
end

local function send_once(request, what)
  local response, err = http.request(request)
  if not response then
    return nil, err
  elseif response.status // 100 == 2 or response.status == 304 then
    return response
  end
  return nil, http_errors.of(what, response)
end

local DEFAULT_POLICY

local function send(request, policy, what)
  local run = core.run()
  if policy == nil and not run then
    DEFAULT_POLICY = DEFAULT_POLICY or retry.resolve {}
    policy = DEFAULT_POLICY
  end
  -- One call is one request to who counts: its repetitions keep its key.
  request.idempotency_key = http.idempotency_key(run, request.method, request.idempotency_key) or false
  local delay = 0
  for n = 1, policy and policy.limit or 1 do
    local response, err = send_once(request, what)
    if response or not policy or n == policy.limit or not may_repeat(request, err) then
      return response, err
    end
    delay = core.retry_delay(policy, n, delay)
    core.sleep(err.retry_after or delay)
  end
end

local REQUEST_FIELDS = merge(http.OPTIONS, { params = { "table" } })

local function request_at(self, method, path, options, level)
  options = options or {}
  check.type(options, "table", "tasker.rest: the options", level + 1)
  check.options(options, REQUEST_FIELDS, "tasker.rest: option", level + 1)
  local address, err = address_of(self, path, options.params)
  if not address then
    return nil, err
  end
  local request = merge(self.common, options)
  request.params = nil
  request.method, request.url = method, address
  request.headers = merge_headers(self.headers, options.headers)
  request.query = merge(self.query, options.query)
  return send(request, self.policy, method .. " " .. path)
end

--- Sends a request.
-- @string method "GET" …
-- @string path with `{name}` for what `options.params` has; a whole URL is taken as it is
-- @tab[opt] options `params`, and those of tasker.http.request
-- @return the response of a status from 200 to 299, or 304; or nil
-- @return err `http_404` … with `status`, `body`, `retryable`, `retry_after`; or one of tasker.http
function Client:request(method, path, options)
  check.type(method, "string", "tasker.rest: the method", 2)
  check.type(path, "string", "tasker.rest: the path", 2)
  return request_at(self, method:upper(), path, options, 2)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head" } do
  Client[method] = function(self, path, options)
    check.type(path, "string", "tasker.rest: the path", 2)
    return request_at(self, method:upper(), path, options, 2)
  end
end

-- ---- Pages ----

local function at_path(value, path)
  for name in path:gmatch("[^.]+") do
    if type(value) ~= "table" then
      return nil
    end
    value = value[name] or value[math.tointeger(tonumber(name))]
  end
  return value ~= core.json.null and value or nil
end

local function next_link(headers)
  local field = headers.link
  for target, params in (field or ""):gmatch("<([^>]*)>([^<]*)") do
    if params:match('rel%s*=%s*"?next"?') then
      return target
    end
  end
  return nil
end

local function items_of(body, path, what)
  local items = body
  if path then
    items = at_path(body, path)
  elseif type(body) == "table" and #body == 0 then
    for _, name in ipairs { "items", "data", "results" } do
      items = type(body[name]) == "table" and body[name] or items
    end
  end
  if type(items) ~= "table" then
    error(errors.new("protocol", ("%s: the answer has no list%s"):format(what, path and " at " .. path or "")), 0)
  end
  return items
end

-- How each kind goes on: given the place of a page, its options; given its answer, the next one's place.
local KINDS = {
  link = {
    set = function() end,
    next = function(response)
      local target = next_link(response.headers)
      return target and url.resolve(response.url, target)
    end,
  },
  cursor = {
    param = "cursor",
    set = function(query, param, place) query[param] = place end,
    next = function(_, body, options)
      local place = at_path(body, options.cursor)
      return place ~= "" and place or nil
    end,
  },
  page = {
    param = "page", first = 1,
    set = function(query, param, place) query[param] = place end,
    next = function(_, _, _, place, count) return count > 0 and place + 1 or nil end,
  },
}

local PAGE_FIELDS = merge(REQUEST_FIELDS, {
  by = { "string" }, items = { "string" }, cursor = { "string" }, param = { "string" }, from = { "string|number" },
})

--- Iterates over the items of all pages: `for item, cursor in client:paginate("/orders", {by = "link"}) do`. Raises what goes wrong.
-- @string path
-- @tab options `by` "link" (RFC 8288, rel=next), "cursor" or "page"; `items`, the path of the list in an answer (where it is not the
-- answer itself, or its field items, data or results); `cursor`, the path of the next cursor; `param`, the parameter that carries it;
-- `from`, a cursor to go on at; and those of request
-- @treturn function of the items; each comes with the cursor of its page, from which it would come again
function Client:paginate(path, options)
  check.type(path, "string", "tasker.rest: the path", 2)
  check.options(options or {}, PAGE_FIELDS, "tasker.rest: paginate: option", 2)
  options = merge(options or {})
  local by = options.by or "link"
  local kind = KINDS[by]
  if not kind then
    error(("tasker.rest: paginate: option 'by' must be \"link\", \"cursor\" or \"page\", not %s"):format(check.show(by)), 2)
  elseif by == "cursor" and not options.cursor then
    error("tasker.rest: paginate: option 'cursor' is missing: the path of the next cursor in an answer", 2)
  end
  local request = merge(options)
  for _, name in ipairs { "by", "items", "cursor", "param", "from" } do
    request[name] = nil
  end
  local place, items, at, following = options.from or kind.first, {}, 0, nil
  local started = false
  return function()
    while true do
      at = at + 1
      if items[at] ~= nil then
        return items[at], place
      elseif started and following == nil then
        return nil
      elseif started then
        place = following
      end
      started = true
      request.query = merge(options.query or {})
      if place ~= nil then
        kind.set(request.query, options.param or kind.param, place)
      end
      local target = by == "link" and place or path
      local response, err = request_at(self, "GET", target, by == "link" and place and merge(request, { query = {} }) or request, 3)
      if not response then
        error(err, 0)
      end
      local body
      body, err = response:json()
      if body == nil then
        error(err, 0)
      end
      items, at = items_of(body, options.items, "GET " .. path), 0
      following = kind.next(response, body, options, place, #items)
    end
  end
end

return rest
