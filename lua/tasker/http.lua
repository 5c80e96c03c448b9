--- HTTP: requests that yield in a step and block in a plain script.
-- @module tasker.http

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local url = require "tasker.url"

local http = {}

local json = core.json

local DEFAULT_TIMEOUT, DEFAULT_CONNECT_TIMEOUT = 30, 10
local DEFAULT_MAX_BODY = 64 * 1024 * 1024
local DEFAULT_FOLLOW = 10

-- What may work at another time.
local RETRYABLE = { timeout = true, dns = true, connect = true, protocol = true, blocked = false, tls = false, too_large = false,
  invalid = false }

-- ---- Responses ----

local Headers = { __name = "tasker.headers" }

function Headers.__index(self, name)
  return type(name) == "string" and rawget(self, name:lower()) or nil
end

-- Names in lower case; a header that came several times is one, its values with commas between (RFC 9110 section 5.3).
local function new_headers(flat)
  local headers = setmetatable({}, Headers)
  for i = 1, #flat, 2 do
    local name, value = flat[i]:lower(), flat[i + 1]
    local before = rawget(headers, name)
    headers[name] = before and before .. (name == "set-cookie" and "\n" or ", ") .. value or value
  end
  return headers
end

local Response = { __name = "tasker.response" }
Response.__index = Response

--- The body decoded as JSON.
-- @return the value, or nil
-- @return err of code `protocol`: the body is no JSON
function Response:json()
  local value, why = json.decode(self.body)
  if value == nil then
    return nil, errors.new("protocol", ("the body of %s is no JSON: %s"):format(self.url, why.message or tostring(why)))
  end
  return value
end

local function new_response(status, flat, body, address, seconds)
  return setmetatable({ status = status, headers = new_headers(flat), body = body, url = address, time = seconds }, Response)
end

-- An err of this module: says by itself whether trying again may help.
local function failure(code, message, details)
  local err = errors.new(code, message, details)
  err.retryable = RETRYABLE[code] or false
  return err
end

-- ---- Options ----

local OPTIONS = {
  method = { "string" }, url = { "string" }, headers = { "table" }, query = { "table" },
  json = { "table|string|number|boolean|userdata" }, form = { "table" }, body = { "string" }, multipart = { "table" },
  timeout = { "number|boolean" }, connect_timeout = { "number|boolean" }, max_body = { "number|boolean" },
  follow = { "number|boolean" }, allow_private = { "boolean" }, tls = { "table" }, idempotency_key = { "string|boolean" },
  auth = { "table" }, sink = { "string|function" }, limits = { "string|table" }, breaker = { "table" },
}
local TLS_OPTIONS = { ca = { "string" }, cert = { "string" }, key = { "string|table" }, verify = { "boolean" } }
local BODIES = { "json", "form", "body", "multipart" }

local function check_options(options, level)
  check.type(options, "table", "tasker.http.request: the options", level + 1)
  check.options(options, OPTIONS, "tasker.http: option", level + 1)
  if options.url == nil then
    error("tasker.http: option 'url' is missing", level + 1)
  end
  if options.auth and type(options.auth.authorize) ~= "function" then
    error("tasker.http: option 'auth' must be one of tasker.auth or tasker.oauth", level + 1)
  end
  if options.tls then
    check.options(options.tls, TLS_OPTIONS, "tasker.http: option", level + 1)
  end
  local body
  for _, name in ipairs(BODIES) do
    if options[name] ~= nil then
      if body then
        error(("tasker.http: options '%s' and '%s' exclude each other"):format(body, name), level + 1)
      end
      body = name
    end
  end
end

local function invalid(format, ...)
  return nil, failure("invalid", "tasker.http: " .. format:format(...))
end

local function not_positive(value)
  return type(value) == "number" and not (value > 0 and value <= errors.LONGEST_SECONDS)
end

-- ---- What is sent ----

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function copy_of(fields)
  local copy = {}
  for name, value in pairs(fields) do
    copy[name] = value
  end
  return copy
end

local NOTHING = {}
local SECRET_PARTS = { "headers", "query", "form", "tls" }

-- The options with texts in the place of the placeholders of secrets (tasker.secret), read now; or nil, err.
local function revealed(options)
  for _, part in ipairs(SECRET_PARTS) do
    for name, value in next, options[part] or NOTHING do
      if type(value) == "table" and type(value.read) == "function" then
        local text, err = value:read()
        if not text then
          return nil, err
        end
        local changed = copy_of(options)
        changed[part] = copy_of(options[part])
        changed[part][name] = text
        return revealed(changed)
      end
    end
  end
  return options
end

local function add_headers(out, headers)
  for name, value in pairs(headers) do
    if type(name) ~= "string" or not name:match(TOKEN) then
      return invalid("%s is no name of a header", check.show(name))
    elseif type(value) == "table" and not check.is_list(value) then
      return invalid("header '%s' must be a text or a list of texts", name)
    end
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      local text = type(one) == "number" and tostring(one) or one
      if type(text) ~= "string" or text:find("[\r\n\0]") then
        return invalid("header '%s' must be a text without line ends, not %s", name, check.show(one))
      end
      out[name:lower()] = out[name:lower()] or {}
      table.insert(out[name:lower()], { name, text })
    end
  end
  return true
end

local function set_header(headers, name, value)
  headers[name:lower()] = { { name, value } }
end

local function set_default(headers, name, value)
  if not headers[name:lower()] then
    set_header(headers, name, value)
  end
end

local function header_lines(headers)
  local names, lines = {}, {}
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, header in ipairs(headers[name]) do
      -- curl sends an empty header only when it ends with a semicolon.
      lines[#lines + 1] = header[2] == "" and header[1] .. ";" or header[1] .. ": " .. header[2]
    end
  end
  return lines
end

-- A text inside the quotes of a multipart header (HTML, section on multipart/form-data).
local function quoted(text)
  return (text:gsub('[\r\n"]', { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = "%22" }))
end

local function multipart_body(parts)
  local boundary = "tasker-" .. core.uuid():gsub("-", "")
  local out = {}
  for i, part in ipairs(parts) do
    local content = type(part) == "table" and (part.body or part.value)
    if type(content) ~= "string" and type(content) ~= "number" or type(part.name) ~= "string" then
      return invalid("multipart: part %d must be a table with a name, and a value or a body", i)
    end
    for _, name in ipairs { "filename", "type" } do
      if part[name] ~= nil and type(part[name]) ~= "string" then
        return invalid("multipart: the %s of part %d must be a text, not %s", name, i, check.show(part[name]))
      end
    end
    local head = ('Content-Disposition: form-data; name="%s"'):format(quoted(part.name))
    if part.filename then
      head = head .. ('; filename="%s"'):format(quoted(part.filename))
    end
    local kind = part.type or part.filename and "application/octet-stream"
    if kind then
      if kind:find("[\r\n]") then
        return invalid("multipart: the type of part %d has a line end", i)
      end
      head = head .. "\r\nContent-Type: " .. kind
    end
    out[#out + 1] = ("--%s\r\n%s\r\n\r\n%s\r\n"):format(boundary, head, content)
  end
  out[#out + 1] = ("--%s--\r\n"):format(boundary)
  return table.concat(out), "multipart/form-data; boundary=" .. boundary
end

-- The body and its type; nil, nil: none; nil, err.
local function body_of(options)
  if options.body ~= nil then
    return options.body
  elseif options.json ~= nil then
    local text, why = json.encode(options.json)
    if not text then
      return invalid("json: %s", why.message or tostring(why))
    end
    return text, "application/json"
  elseif options.form then
    local text, why = url.form(options.form)
    if not text then
      return invalid("form has %s", why)
    end
    return text, "application/x-www-form-urlencoded"
  elseif options.multipart then
    return multipart_body(options.multipart)
  end
  return nil
end

-- ---- In a step ----

local UNSAFE = { POST = true, PATCH = true }

-- The n-th request of an attempt that changes something has the step's key, then key:2 …: the same in every attempt. Takes the next
-- number.
local function idempotency_key(run, method, given)
  if type(given) == "string" then
    return given
  elseif given == false or not run or not UNSAFE[method] then
    return nil
  end
  run.unsafe_requests = (run.unsafe_requests or 0) + 1
  local key = require("tasker.step_view").idempotency_key(run)
  return run.unsafe_requests == 1 and key or key .. ":" .. run.unsafe_requests
end

-- W3C Trace Context: the task is the trace, the attempt the parent.
local function traceparent(run)
  if run.traceparent then
    return run.traceparent
  end
  local parent = core.sha256(("%s:%d:%d"):format(run.task_id, run.step, run.attempt)):sub(1, 16)
  run.traceparent = ("00-%s-%s-01"):format((run.task_id:gsub("-", "")), parent)
  return run.traceparent
end

-- ---- One exchange ----

local double

--- Lets a function answer in place of the network; nil: the network again. For tests.
-- @tparam ?function fn gets the request as sent (`method url headers body`); returns a response as `{status, headers, body | json}`, or
-- nil and an err, or false: the network answers this one
function http.set_double(fn)
  double = fn
end

local function doubled(request)
  local headers = {}
  for _, line in ipairs(request.headers) do
    local name, value = line:match("^([^:;]*)[:;] ?(.*)$")
    headers[name:lower()] = value
  end
  local answer, err = double({ method = request.method, url = request.url, headers = setmetatable(headers, Headers), body = request.body })
  if not answer then
    return answer, err
  end
  local flat = {}
  for name, value in pairs(answer.headers or {}) do
    flat[#flat + 1], flat[#flat + 2] = name, tostring(value)
  end
  local body = answer.body or answer.json ~= nil and assert(json.encode(answer.json)) or ""
  return new_response(answer.status or 200, flat, body, request.url, 0)
end

-- Sends what is ready to be sent; returns a response, or nil and an err.
local function exchange(request, sink)
  if double then
    local response, err = doubled(request)
    if response ~= false then
      return response, err
    end
  end
  local transfer <close>, err = core.http.start(request)
  if not transfer then
    return nil, failure(err.code == "invalid" and "invalid" or "protocol", err.message)
  end
  while true do
    local piece = core.http.wait(transfer, request.streamed)
    if piece == nil then
      break
    elseif piece and sink then
      sink(piece)
    end
  end
  local status, flat, body, seconds = core.http.result(transfer)
  if not status then
    return nil, failure(flat, ("%s %s: %s"):format(request.method, request.url:match("^[^?#]*"), body))
  end
  return new_response(status, flat, request.streamed and "" or body, request.url, seconds)
end

-- ---- Redirects ----

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

local function same_place(a, b)
  return a.scheme == b.scheme and a.host == b.host and a.port == b.port
end

-- The request that an answer leads to (RFC 9110 section 15.4), changed in place; nil: it is the answer; false, err.
local function redirect(request, headers, response)
  local location = REDIRECTS[response.status] and response.headers.location
  if not location then
    return nil
  end
  local target = url.resolve(request.url, location)
  local to, why = url.parse(target)
  if not to then
    return false, failure("protocol", ("%s redirects to %s: %s"):format(request.url:match("^[^?#]*"), check.show(location), why))
  end
  if not same_place(url.parse(request.url), to) then
    headers.authorization, headers.cookie = nil, nil
  end
  if response.status == 303 and request.method ~= "HEAD" or response.status < 303 and request.method == "POST" then
    request.method, request.body = "GET", nil
    headers["content-type"], headers["idempotency-key"] = nil, nil
  end
  request.url, request.headers = target, header_lines(headers)
  return true
end

local function follow(request, headers, most, sink)
  local ends = request.timeout and core.monotonic() + request.timeout
  for _ = 0, most do
    local response, err = exchange(request, sink)
    if not response then
      return nil, err
    end
    local moved, why = nil, nil
    if most > 0 then
      moved, why = redirect(request, headers, response)
    end
    if moved == false then
      return nil, why
    elseif not moved then
      return response
    end
    if ends then
      request.timeout = ends - core.monotonic()
      if request.timeout <= 0 then
        return nil, failure("timeout", ("%s: its redirects took too long"):format(request.url:match("^[^?#]*")))
      end
    end
  end
  return nil, failure("protocol", ("%s: more than %d redirects"):format(request.url:match("^[^?#]*"), most))
end

-- ---- Requests ----

local function most_redirects(given)
  if given == nil or given == true then
    return DEFAULT_FOLLOW
  end
  return given or 0
end

local function seconds(given, default)
  if given == nil or given == true then
    return default
  end
  return given or nil
end

-- Options of one request as the core takes them, and its headers by name; or nil, err.
local function prepare(options, run)
  local err
  options, err = revealed(options)
  if not options then
    return nil, err
  end
  local method = options.method or "GET"
  if not method:match("^%u+$") then
    return invalid("option 'method' must be a word like GET, not %s", check.show(method))
  end
  local address = options.url
  if options.query then
    local query, why = url.form(options.query)
    if not query then
      return invalid("query has %s", why)
    end
    address = url.with_query(address, query)
  end
  local parts, why = url.parse(address)
  if not parts then
    return invalid("option 'url' is %s: %s", check.show(address), why)
  end
  for _, name in ipairs { "timeout", "connect_timeout" } do
    if not_positive(options[name]) then
      return invalid("option '%s' must be a number of seconds above 0, or false, not %s", name, options[name])
    end
  end
  if type(options.follow) == "number" and (math.type(options.follow) ~= "integer" or options.follow < 0) then
    return invalid("option 'follow' must be a number of redirects, not %s", options.follow)
  end
  local headers = {}
  local ok
  ok, err = add_headers(headers, options.headers or NOTHING)
  if not ok then
    return nil, err
  end
  local body, kind = body_of(options)
  if not body and kind then
    return nil, kind
  elseif kind then
    set_default(headers, "Content-Type", kind)
  end
  if not body and (UNSAFE[method] or method == "PUT") then
    body = ""
  end
  set_default(headers, "User-Agent", "tasker/" .. core.version)
  local key = idempotency_key(run, method, options.idempotency_key)
  if key then
    set_default(headers, "Idempotency-Key", key)
  end
  if run then
    set_default(headers, "Traceparent", traceparent(run))
  end
  local tls = options.tls or NOTHING
  local max_body = options.max_body
  if max_body == nil then
    max_body = not options.sink and DEFAULT_MAX_BODY or nil
  end
  return {
    method = method, url = address, body = body, timeout = seconds(options.timeout, DEFAULT_TIMEOUT),
    connect_timeout = seconds(options.connect_timeout, DEFAULT_CONNECT_TIMEOUT), max_body = max_body or nil,
    streamed = type(options.sink) == "function", path = type(options.sink) == "string" and options.sink or nil,
    guarded = options.allow_private == false, ca = tls.ca, cert = tls.cert, key = tls.key, no_verify = tls.verify == false or nil,
  }, headers
end

local function copy(fields)
  local all = {}
  for name, value in pairs(fields) do
    all[name] = value
  end
  return all
end

local function send(request, headers, options)
  local auth = options.auth
  local sent, own = request, headers
  if auth then
    local ok, err = auth:authorize(request, headers)
    if not ok then
      return nil, err
    end
    -- Redirects change them, and it may be sent again.
    sent, own = copy(request), copy(headers)
  end
  sent.headers = header_lines(own)
  return follow(sent, own, most_redirects(options.follow), type(options.sink) == "function" and options.sink or nil)
end

-- An answer, with credentials renewed where they were refused.
local function answer_of(request, headers, options)
  local response, err = send(request, headers, options)
  if response and response.status == 401 and options.auth and options.auth.renew then
    local renewed, why = options.auth:renew(request, headers)
    if renewed then
      return send(request, headers, options)
    elseif why then
      return nil, why
    end
  end
  return response, err
end

-- The wait for the limits is part of the time that the request may take.
local function pass_and_send(request, headers, options, level)
  local admission = require "tasker.admission"
  local list, breaker = admission.read(options.limits, options.breaker, "tasker.http", level + 1)
  local pass <close>, waited = admission.enter(list, breaker, request.timeout)
  if not pass then
    return nil, waited
  elseif request.timeout and waited > 0 then
    request.timeout = math.max(request.timeout - waited, 0.001)
  end
  local response, err = answer_of(request, headers, options)
  pass:settle(admission.verdict(response, err))
  return response, err
end

local function request_at(options, level)
  check_options(options, level + 1)
  local run = core.run()
  local request, headers = prepare(options, run)
  if not request then
    return nil, headers
  end
  if options.limits == nil and options.breaker == nil then
    return answer_of(request, headers, options)
  end
  return pass_and_send(request, headers, options, level + 1)
end

--- Sends a request and returns its answer, whatever its status.
-- @tab options `url`; `method` ("GET"), `headers`, `query`; one of `json form body multipart`; `timeout` (30 s), `connect_timeout` (10 s),
-- `max_body` (64 MiB; with a sink any number), `follow` (10 redirects), `allow_private` (true), `tls` {ca, cert, key, verify},
-- `idempotency_key`, `auth`, `sink` (a function of each piece of the body, or the path of a file), `limits` (a name of tasker.limit, or a
-- list of names and `{name, key, cost}`), `breaker` {name, failures = 5, reset = 30}
-- @return the response `{status, headers, body, url, time}`, or nil
-- @return err `timeout dns connect tls blocked too_large protocol invalid`
function http.request(options)
  return request_at(options, 2)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head" } do
  local upper, the_url, the_options = method:upper(), ("tasker.http.%s: the url"):format(method), ("tasker.http.%s: options"):format(method)
  http[method] = function(address, options)
    check.type(address, "string", the_url, 2)
    check.type(options, "table|nil", the_options, 2)
    local all = options and copy(options) or {}
    all.url, all.method = address, upper
    return request_at(all, 2)
  end
end

--- Reads the options `limits` and `breaker` of a client once; raises what is wrong with them.
-- @tab options
-- @string what
-- @int level
-- @return both, as request takes them
function http.read_admission(options, what, level)
  if options.limits == nil and options.breaker == nil then
    return nil, nil
  end
  return require("tasker.admission").read(options.limits, options.breaker, what, level + 1)
end

http.failure = failure
http.idempotency_key = idempotency_key
http.OPTIONS = OPTIONS

return http
