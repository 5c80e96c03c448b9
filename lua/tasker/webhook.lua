--- Signatures of webhooks: Standard Webhooks 1.0.0 (symmetric, v1, and asymmetric, v1a), and what GitHub, Stripe and Slack send.
-- @module tasker.webhook

local core = require "tasker.core"
local base64 = require "tasker.base64"
local check = require "tasker.check"
local errors = require "tasker.errors"

local webhook = {}

local DEFAULT_TOLERANCE = 300
local SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
local ED25519_BYTES = 32

local function reveal(secret)
  if type(secret) == "string" then
    return secret
  elseif type(secret) == "table" and type(secret.read) == "function" then
    return secret:read()
  end
  return nil, errors.new("invalid", ("webhook: a secret must be a text or a tasker.secret, not %s"):format(check.show(secret)))
end

local function list_of(secrets)
  return type(secrets) == "table" and type(secrets.read) ~= "function" and secrets or { secrets }
end

local function wrong_secret(format, ...)
  return nil, errors.new("invalid", "webhook: the secret " .. format:format(...))
end

-- A private key is its 32 bytes, or those and the public key's behind them.
local function private_key(bytes)
  local seed = bytes:sub(1, ED25519_BYTES)
  if #bytes ~= ED25519_BYTES and #bytes ~= 2 * ED25519_BYTES then
    return wrong_secret("is not whsk_ with base64 of %d or %d bytes behind it", ED25519_BYTES, 2 * ED25519_BYTES)
  end
  local public, err = core.ed25519_public(seed)
  if not public then
    return nil, err
  elseif #bytes ~= ED25519_BYTES and public ~= bytes:sub(ED25519_BYTES + 1) then
    return wrong_secret("is whsk_ with the public key of another one in it")
  end
  return { version = "v1a", seed = seed, public = public }
end

-- What a Standard Webhooks secret is by its prefix: `{version = "v1", bytes}`, or `{version = "v1a", public, seed}` (no seed: it only
-- verifies). Without a prefix it is symmetric.
local function standard_key(secret)
  local text, err = reveal(secret)
  if not text then
    return nil, err
  end
  local prefix, encoded = text:match("^(wh%l+_)(.*)$")
  prefix, encoded = prefix or SYMMETRIC, encoded or text
  local bytes = base64.decode(encoded)
  if not bytes or #bytes == 0 then
    return wrong_secret("is not %s with base64 behind it", prefix)
  elseif prefix == SYMMETRIC then
    return { version = "v1", bytes = bytes }
  elseif prefix == PRIVATE then
    return private_key(bytes)
  elseif prefix ~= PUBLIC then
    return wrong_secret("begins with %s; whsec_, whsk_ and whpk_ are known", prefix)
  elseif #bytes ~= ED25519_BYTES then
    return wrong_secret("is not whpk_ with base64 of %d bytes behind it", ED25519_BYTES)
  end
  return { version = "v1a", public = bytes }
end

-- The signature of a text, as it stands in the header.
local function sign_text(key, text)
  if key.version == "v1" then
    return "v1," .. base64.encode(core.hmac_sha256(key.bytes, text))
  elseif not key.seed then
    return wrong_secret("is whpk_, which verifies; whsk_ signs")
  end
  local signature, err = core.ed25519_sign(key.seed, text)
  return signature and "v1a," .. base64.encode(signature), err
end

--- What the receiver needs to verify: the secret itself, of `whsk_` the public key.
-- @string secret
-- @treturn string|nil
-- @return err
function webhook.verifier_of(secret)
  local key, err = standard_key(secret)
  if not key then
    return nil, err
  end
  return key.public and PUBLIC .. base64.encode(key.public) or secret
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local SIGN_OPTIONS = { id = { "string" }, timestamp = { "number" } }

--- Signs a payload as Standard Webhooks says.
-- @param payload the body: a text, or a value that is sent as canonical JSON (the second result)
-- @param secret `whsec_…` (HMAC-SHA256) or `whsk_…` (ed25519), or a list while a secret rotates: one signature for each
-- @tab[opt] options `id` ("msg_…"), `timestamp` (epoch seconds)
-- @treturn table|nil headers `webhook-id webhook-timestamp webhook-signature`
-- @treturn string the body that was signed; or err
function webhook.sign(payload, secret, options)
  options = options or {}
  check.options(options, SIGN_OPTIONS, "tasker.webhook.sign: option", 2)
  local body = payload
  if type(payload) ~= "string" then
    local why
    body, why = core.json.encode(payload, { canonical = true })
    if not body then
      return nil, errors.new("invalid", "tasker.webhook.sign: the payload: " .. why.message)
    end
  end
  local id = options.id or "msg_" .. core.uuid():gsub("-", "")
  if id == "" or id:find("[.%c%s]") then
    return errors.invalid("tasker.webhook.sign: an id has no dot, space or control character: %s", check.show(id))
  end
  local timestamp = ("%d"):format(math.floor(options.timestamp or core.now()))
  local signatures = {}
  for _, one in ipairs(list_of(secret)) do
    local key, err = standard_key(one)
    local signature
    if key then
      signature, err = sign_text(key, id .. "." .. timestamp .. "." .. body)
    end
    if not signature then
      return nil, err
    end
    signatures[#signatures + 1] = signature
  end
  return { ["webhook-id"] = id, ["webhook-timestamp"] = timestamp, ["webhook-signature"] = table.concat(signatures, " ") }, body
end

-- ---- Verifying ----

local function refused(format, ...)
  return nil, errors.new("refused", "webhook: " .. format:format(...))
end

-- One header by its name, whatever its case; a list's first.
local function header_of(headers, name)
  for key, value in pairs(headers) do
    if type(key) == "string" and key:lower() == name then
      value = type(value) == "table" and value[1] or value
      return type(value) == "string" and value or nil
    end
  end
  return nil
end

local function check_time(text, tolerance)
  local at = text and text:match("^%d+$") and #text < 16 and tonumber(text)
  if not at then
    return refused("the time is missing, or it is none")
  end
  local off = core.now() - at
  if off > tolerance then
    return refused("it is %d s old; at most %d are taken", math.floor(off), tolerance)
  elseif -off > tolerance then
    return refused("its time is %d s ahead; at most %d are taken", math.floor(-off), tolerance)
  end
  return true
end

-- Does one of the secrets accept one of the signatures? `accepts(secret, signature)` -> bool | nil, err.
local function matches(secrets, signatures, accepts)
  local found = false
  for _, secret in ipairs(secrets) do
    for _, signature in ipairs(signatures) do
      local ok, err = accepts(secret, signature)
      if ok == nil then
        return nil, err
      end
      found = ok or found
    end
  end
  if not found then
    return refused("the signature does not match")
  end
  return true
end

-- Of the schemes whose signatures are the HMAC of the text in hexadecimal.
local function matches_hex(secrets, signatures, text)
  return matches(secrets, signatures, function(secret, signature)
    local key, err = reveal(secret)
    if not key then
      return nil, err
    end
    return core.same(hex(core.hmac_sha256(key, text)), signature)
  end)
end

local function key_accepts(key, text, signature)
  if key.version == "v1" then
    return core.same(base64.encode(core.hmac_sha256(key.bytes, text)), signature)
  end
  local bytes = base64.decode(signature)
  if not bytes then
    return false
  end
  return core.ed25519_verify(key.public, text, bytes)
end

local SCHEMES = {}

function SCHEMES.standard(headers, body, secrets, tolerance)
  local id, time, given = header_of(headers, "webhook-id"), header_of(headers, "webhook-timestamp"), header_of(headers, "webhook-signature")
  if not id or not given then
    return refused("the header %s is missing", id and "webhook-signature" or "webhook-id")
  end
  local ok, err = check_time(time, tolerance)
  if not ok then
    return nil, err
  end
  local signatures, text = {}, id .. "." .. time .. "." .. body
  for version, signature in given:gmatch("([^ ,]+),([^ ]+)") do
    if version == "v1" or version == "v1a" then
      signatures[#signatures + 1] = { version = version, text = signature }
    end
  end
  local keys = {}
  for i, secret in ipairs(secrets) do
    keys[i], err = standard_key(secret)
    if not keys[i] then
      return nil, err
    end
  end
  return matches(keys, signatures, function(key, signature)
    return signature.version == key.version and key_accepts(key, text, signature.text)
  end)
end

function SCHEMES.github(headers, body, secrets)
  local signature = (header_of(headers, "x-hub-signature-256") or ""):match("^sha256=(%x+)$")
  if not signature then
    return refused("the header x-hub-signature-256 is missing")
  end
  return matches_hex(secrets, { signature:lower() }, body)
end

function SCHEMES.stripe(headers, body, secrets, tolerance)
  local given = header_of(headers, "stripe-signature")
  if not given then
    return refused("the header stripe-signature is missing")
  end
  local time, signatures = given:match("t=(%d+)"), {}
  local ok, err = check_time(time, tolerance)
  if not ok then
    return nil, err
  end
  for signature in given:gmatch("v1=(%x+)") do
    signatures[#signatures + 1] = signature:lower()
  end
  return matches_hex(secrets, signatures, time .. "." .. body)
end

function SCHEMES.slack(headers, body, secrets, tolerance)
  local signature = (header_of(headers, "x-slack-signature") or ""):match("^v0=(%x+)$")
  local time = header_of(headers, "x-slack-request-timestamp")
  if not signature then
    return refused("the header x-slack-signature is missing")
  end
  local ok, err = check_time(time, tolerance)
  if not ok then
    return nil, err
  end
  return matches_hex(secrets, { signature:lower() }, "v0:" .. time .. ":" .. body)
end

local VERIFY_OPTIONS = {
  tolerance = { "number", check.not_seconds },
  scheme = { "string", function(value) return not SCHEMES[value] and "\"standard\", \"github\", \"stripe\" or \"slack\"" or nil end },
}

--- Checks what came. Never raises because of headers or body, whatever they are.
-- @tab headers of the request, names in any case
-- @string body its bytes
-- @param secrets one, or a list while one rotates
-- @tab[opt] options `tolerance` (300 s, both ways), `scheme` ("standard", "github", "stripe", "slack")
-- @return the payload, decoded where it is JSON, else the text; or nil
-- @return err `refused`: it is not what one of the secrets signed, or too old; `invalid`: a secret that is none
function webhook.verify(headers, body, secrets, options)
  options = options or {}
  local ok, err = check.options(options, VERIFY_OPTIONS, "tasker.webhook.verify: option", 2)
  if not ok then
    return nil, err
  elseif type(headers) ~= "table" or type(body) ~= "string" then
    return refused("there are no headers or no body")
  end
  ok, err = SCHEMES[options.scheme or "standard"](headers, body, list_of(secrets), options.tolerance or DEFAULT_TOLERANCE)
  if not ok then
    return nil, err
  end
  local value = core.json.decode(body)
  return value == nil and body or value
end

return webhook
