--- Signed assertions (RFC 7519, RFC 7523).
-- @module tasker.oauth.jwt

local core = require "tasker.core"
local base64 = require "tasker.base64"

local jwt = {}

-- Seconds that an assertion is good for: it is used at once, and clocks differ.
local LIFETIME = 300

local function part(value)
  return base64.encode_url(core.json.encode(value, { canonical = true }))
end

--- An assertion about a subject, for an audience.
-- @string key a private key as PEM
-- @tab about `issuer`, `subject`, `audience`; `alg` and `key_id` or nil; `claims` beside
-- @treturn string|nil
-- @return err `invalid`: the key is none, or one for another algorithm
function jwt.assertion(key, about)
  local alg = about.alg
  if not alg then
    local _, found = core.sign(key, nil, "")
    if type(found) ~= "string" then
      return nil, found
    end
    alg = found
  end
  local now = math.floor(core.now())
  local claims = { iss = about.issuer, sub = about.subject, aud = about.audience, iat = now, exp = now + LIFETIME, jti = core.uuid() }
  for name, value in pairs(about.claims or {}) do
    claims[name] = value
  end
  local signed = part { alg = alg, typ = "JWT", kid = about.key_id } .. "." .. part(claims)
  local signature, err = core.sign(key, alg, signed)
  if not signature then
    return nil, err
  end
  return signed .. "." .. base64.encode_url(signature)
end

return jwt
