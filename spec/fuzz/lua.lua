-- Seeded fuzzing of what is written in Lua and reads what comes from outside.
-- usage: tasker-lua spec/fuzz/lua.lua TARGET [SECONDS] [SEED]; without a target: all of them, one after the other
--
-- Each round has a seed of its own, which a failure names: `tasker-lua spec/fuzz/lua.lua TARGET 0 SEED` repeats it
-- alone. Nothing may raise but what is the caller's own mistake, and what is told must hold.
local tasker = require "tasker"
local http_errors = require "tasker.http_errors"
local url = require "tasker.url"
local webhook = require "tasker.webhook"

local json = tasker.json

local targets = {}

local function pick(list)
  return list[math.random(#list)]
end

-- A text near `samples`: pieces of them, cut, repeated, with bytes changed.
local function near(samples)
  local parts = {}
  for i = 1, math.random(4) do
    local sample = pick(samples)
    local from = math.random(#sample + 1)
    parts[i] = math.random(3) == 1 and sample or sample:sub(from, from + math.random(0, 20))
  end
  local text = table.concat(parts, pick { "", "", ":", "/", "%", "\0", "\r\n", ",", ";", "=", "é" })
  for _ = 1, math.random(0, 3) do
    local at = math.random(#text + 1)
    text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + math.random(0, 1))
  end
  return text
end

-- ---- URLs ----

local URLS = { "http://example.com/", "https://user:pw@example.com:8443/a/../b/./c?x=1&y=%20#f", "http://[::1]:80/x", "//host/path",
  "../a?b", "http://127.0.0.1:99999/", "HTTP://EXAMPLE.com", "file:///etc/passwd", "https://exa mple/", "?q", "#f", "",
  "http://[fe80::1%25eth0]/" }

function targets.url()
  local base, reference = near(URLS), near(URLS)
  local parts, why = url.parse(base)
  assert(parts or type(why) == "string")
  if parts then
    assert(parts.host ~= "" and parts.port >= 1 and parts.port <= 65535 and not parts.host:find("[/?#@%s]"), base)
    local target = url.resolve(base, reference)
    assert(type(target) == "string", reference)
    local again = url.with_query(base, "fuzz=1")
    assert(url.parse(again), again)
  end
  local encoded = url.encode(reference)
  assert(not encoded:find "[^%w_.~%%-]", encoded)
end

local PATHS = { "/orders/{id}", "/a/{+rest}/{id}", "{id}", "{}", "{", "/{id}{id}", "http://other.example.com/{id}", "/x?{id}",
  "//{id}", "}{" }

function targets.template()
  local sent
  require("tasker.http").set_double(function(request)
    sent = request.url
    return { status = 200 }
  end)
  local path = near(PATHS)
  local value = pick { 7, 7.5, true, near(URLS), "", "../..", "//evil.example.com", "@evil.example.com/" }
  local client = tasker.rest { base_url = "http://api.example.com/v1", retry = false }
  local response, err = client:get(path, { params = { id = value, rest = value } })
  require("tasker.http").set_double(nil)
  assert(response or type(err.message) == "string" and (err.code == "invalid" or err.code == "protocol"), path)
  if response and not path:find "^https?://" and not path:find "^{%+" then
    assert(url.parse(sent).host == "api.example.com", path .. " -> " .. sent)
  end
end

-- ---- Headers ----

local FIELDS = { "120", "Fri, 31 Dec 1999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 1999",
  "limit=10, remaining=0, reset=7", '"default";r=0;t=9', "0", "-1", "1e999", "99999999999999999999",
  '<https://a.example/?page=2>; rel="next", <x>; rel=last', "inf", "nan" }

function targets.headers()
  local headers = { ["retry-after"] = near(FIELDS), ratelimit = near(FIELDS), ["x-ratelimit-remaining"] = pick { "0", near(FIELDS) },
    ["x-ratelimit-reset"] = near(FIELDS) }
  for name in pairs(headers) do
    if math.random(2) == 1 then
      headers[name] = nil
    end
  end
  local wait = http_errors.wait_of(headers)
  assert(wait == nil or wait >= 0 and wait < math.huge, json.encode(headers))
  local err = http_errors.of("GET /x", { status = pick { 403, 429, 503, 200, 999 }, headers = headers, body = near(FIELDS) })
  assert(type(err.retryable) == "boolean" and (err.retry_after == nil or err.retryable))
end

-- ---- Signatures ----

local SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
local SIGNATURES = { "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "v1a,abc", "sha256=deadbeef",
  "t=1,v1=ab,v0=cd", "v0=ff", "v1,", "", "v1" }

function targets.signature()
  local payload = near { '{"a":1}', "text", "" }
  local headers = assert(webhook.sign(payload, SECRET, { id = "msg_1" }))
  assert(webhook.verify(headers, payload, SECRET) ~= nil)
  for name, value in pairs(headers) do
    if math.random(2) == 1 then
      headers[name] = near { value, pick(SIGNATURES) }
    end
  end
  headers[pick { "stripe-signature", "x-hub-signature-256", "x-slack-signature", "x-slack-request-timestamp" }] = near(SIGNATURES)
  local changed = near { payload, "x" }
  local got, err = webhook.verify(headers, changed, pick { SECRET, { SECRET, "whsec_AAAA" }, "whpk_" .. ("A"):rep(43) .. "=" },
    { scheme = pick { "standard", "github", "stripe", "slack" } })
  assert(got == nil and type(err.message) == "string" or got ~= nil and changed == payload, "a forged one passes")
end

-- ---- Schemas ----

local function value(depth)
  local kind = math.random(depth > 0 and 8 or 6)
  if kind <= 2 then
    return near { "object", "#/$defs/a", "^a+$", "https://json-schema.org/draft/2020-12/schema", "[", "date-time", "integer" }
  elseif kind == 3 then
    return pick { 0, 1, -1, 1.5, 2 ^ 53, math.maxinteger, 1e300 }
  elseif kind <= 5 then
    return pick { true, false, tasker.null }
  elseif kind == 6 then
    return tasker.array {}
  end
  local made = {}
  for i = 1, math.random(0, 4) do
    made[kind == 7 and i or near { "type", "a", "$ref" }] = value(depth - 1)
  end
  return kind == 7 and tasker.array(made) or made
end

local KEYWORDS = { "type", "properties", "required", "items", "prefixItems", "pattern", "patternProperties", "$ref",
  "$dynamicRef", "$anchor", "$dynamicAnchor", "$id", "$defs", "$schema", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "enum",
  "const", "minimum", "multipleOf", "maxLength", "uniqueItems", "contains", "minContains",
  "dependentSchemas", "dependentRequired", "propertyNames", "unevaluatedProperties",
  "unevaluatedItems", "additionalProperties", "format", "minProperties" }

local function schema(depth)
  if depth == 0 or math.random(8) == 1 then
    return pick { true, false, {}, { ["$ref"] = "#" }, { type = "string" } }
  end
  local made = {}
  for _ = 1, math.random(5) do
    local keyword, choice = pick(KEYWORDS), math.random(4)
    if choice == 1 then
      made[keyword] = value(2)
    elseif choice == 2 then
      made[keyword] = { a = schema(depth - 1), b = schema(depth - 1) }
    elseif choice == 3 then
      made[keyword] = tasker.array { schema(depth - 1), schema(depth - 1) }
    else
      made[keyword] = schema(depth - 1)
    end
  end
  return made
end

function targets.schema()
  local definition = schema(3)
  local compiled, err = tasker.schema.compile(definition, { draft = pick { "2020-12", "draft-07" }, formats = pick { true, false } })
  assert(compiled or type(err.message) == "string" and err.code == "invalid", err and err.code)
  if compiled then
    for _ = 1, 3 do
      local ok, why = compiled:validate(value(3))
      assert(ok == true or type(why.errors) == "table")
    end
  end
end

-- ---- Running ----

local function round(name, seed)
  math.randomseed(seed)
  local ok, why = xpcall(targets[name], debug.traceback)
  if not ok then
    io.stderr:write(("%s: seed %d: %s\n"):format(name, seed, why))
  end
  return ok
end

local function run(name, seconds, seed)
  local clock = require("tasker.core").monotonic
  local ends, rounds = clock() + seconds, 0
  repeat
    if not round(name, seed) then
      return false
    end
    seed, rounds = seed + 1, rounds + 1
  until clock() >= ends
  print(("%s: %d rounds, nothing found"):format(name, rounds))
  return true
end

local names = {}
for name in pairs(targets) do
  if not arg[1] or arg[1] == name or arg[1] == "all" then
    names[#names + 1] = name
  end
end
table.sort(names)
if #names == 0 then
  io.stderr:write(("no target '%s'\n"):format(arg[1]))
  os.exit(2)
end
for _, name in ipairs(names) do
  if not run(name, tonumber(arg[2]) or 60, tonumber(arg[3]) or math.floor(tasker.now() * 1000)) then
    os.exit(1)
  end
end
