-- tasker.oauth against a server that is a function: what is sent, what is made of the answers. No network, tokens in memory.
local core = require "tasker.core"
local base64 = require "tasker.base64"
local http = require "tasker.http"
local tasker = require "tasker"

local json = core.json

-- Keys of these tests alone.
local RSA_BITS = 2048
local function new_key(kind)
  local pipe = assert(io.popen(kind == "rsa" and "openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:" .. RSA_BITS .. " 2>/dev/null"
    or kind == "ec" and "openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:prime256v1 2>/dev/null"
    or "openssl genpkey -algorithm ed25519 2>/dev/null"))
  local pem = pipe:read "a"
  pipe:close()
  return pem
end

local function decode_form(text)
  local form = {}
  for name, value in (text or ""):gmatch "([^&=]*)=([^&]*)" do
    local function plain(part)
      return (part:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
    end
    form[plain(name)] = plain(value)
  end
  return form
end

describe("tasker.oauth", function()
  local asked, answers, now

  -- Answers of the server by path: a table, or a function of the form.
  before_each(function()
    asked, answers, now = {}, {}, core.now
    http.set_double(function(request)
      local path = request.url:match "^https?://[^/]+([^?]*)"
      local one = { path = path, url = request.url, headers = request.headers, form = decode_form(request.body), method = request.method }
      asked[#asked + 1] = one
      local answer = answers[path]
      if type(answer) == "function" then
        return answer(one)
      end
      return answer or { status = 404, body = "" }
    end)
  end)
  after_each(function()
    http.set_double(nil)
    core.now = now
  end)

  local function count(path)
    local n = 0
    for _, one in ipairs(asked) do
      n = n + (one.path == path and 1 or 0)
    end
    return n
  end

  -- A token endpoint that numbers its tokens.
  local function give_tokens(more)
    local n = 0
    answers["/token"] = function()
      n = n + 1
      local body = { access_token = "token-" .. n, token_type = "Bearer", expires_in = 3600 }
      for name, value in pairs(more or {}) do
        body[name] = type(value) == "function" and value(n) or value
      end
      return { json = body }
    end
  end

  local function new(more)
    local options = { token_url = "https://auth.example/token", client_id = "me", client_secret = "secret-of-me",
      grant = "client_credentials" }
    for name, value in pairs(more or {}) do
      options[name] = value ~= tasker.null and value or nil
    end
    local auth = tasker.oauth(options)
    return auth
  end

  local function pass(seconds)
    local later = core.now() + seconds
    core.now = function() return later end
  end

  describe("made", function()
    it("refuses what cannot be, and names it", function()
      for message, options in pairs {
        ["option 'grant' is missing: authorization_code"] = { grant = tasker.null },
        ["option 'grant' must be .*, not 'client_credential'; did you mean 'client_credentials'%?"] = { grant = "client_credential" },
        ["option 'grant' must be .*, not 'password'"] = { grant = "password" },
        ["option 'issuer' or 'token_url' is missing"] = { token_url = tasker.null },
        ["option 'client_id' is missing: the grant client_credentials needs it"] = { client_id = tasker.null },
        ["option 'client_secret' is missing"] = { client_secret = tasker.null },
        ["option 'client_secret' is empty"] = { client_secret = "" },
        ["option 'client_secret' must be a string or a secret"] = { client_secret = {} },
        ["option 'refresh_token' is of the grant refresh_token, not of client_credentials"] = { refresh_token = "x" },
        ["option 'refresh_token' is missing: the grant refresh_token needs it"] = { grant = "refresh_token" },
        ["option 'token_url' is 'ftp://x': it must begin with http"] = { token_url = "ftp://x" },
        ["option 'token_url' is 'http://auth.example/token': it must be https"] = { token_url = "http://auth.example/token" },
        ["option 'client_auth' must be \"basic\" or \"post\", not 'none'"] = { client_auth = "none" },
        ["option 'name' must be"] = { name = "a b" },
        ["option 'early' must be a number of seconds"] = { early = -1 },
        ["option 'scopes' is unknown; did you mean 'scope'"] = { scopes = "a" },
        ["option 'scope' must be a text or a list of words"] = { scope = { "a b" } },
        ["option 'issuer' or 'device_url' is missing"] = { grant = "device_code" },
        ["option 'issuer' is .*no query"] = { issuer = "https://auth.example/?a" },
        ["option 'private_key': the private key is none in PEM"] = { grant = "jwt_bearer", private_key = "x" },
        ["option 'alg' must be"] = { grant = "jwt_bearer", private_key = "x", alg = "HS256" },
      } do
        local ok, why = pcall(new, options)
        assert.is_false(ok, message)
        assert.matches(message, why)
        assert.matches("oauth_spec", why, 1, true)
      end
    end)

    it("shows no secret to who looks at it", function()
      local auth = new { name = "shop" }
      assert.equal("tasker.oauth (shop)", tostring(auth))
      assert.is_nil(json.encode(auth):find("secret-of-me", 1, true))
    end)
  end)

  describe("client_credentials", function()
    it("asks once, and again when it is time: early", function()
      give_tokens()
      local auth = new { scope = { "a", "b" } }
      assert.equal("token-1", auth:token())
      assert.equal("token-1", auth:token())
      assert.same({ grant_type = "client_credentials", scope = "a b" }, asked[1].form)
      assert.equal("Basic " .. base64.encode "me:secret-of-me", asked[1].headers.authorization)
      assert.is_nil(asked[1].headers["idempotency-key"])
      pass(3530)
      assert.equal("token-1", auth:token())
      pass(20)
      assert.equal("token-2", auth:token())
      assert.equal(2, #asked)
    end)

    it("encodes what goes into Basic, and sends both in the body with client_auth = post", function()
      give_tokens()
      new { client_id = "a:b", client_secret = "ü &" }:token()
      assert.equal("Basic " .. base64.encode "a%3Ab:%C3%BC%20%26", asked[1].headers.authorization)
      new { client_auth = "post", audience = "api", params = { tenant = "t" } }:token()
      assert.is_nil(asked[2].headers.authorization)
      assert.same({ grant_type = "client_credentials", client_id = "me", client_secret = "secret-of-me", audience = "api", tenant = "t" },
        asked[2].form)
    end)

    it("goes with requests of http and rest, and is renewed once after a 401", function()
      give_tokens()
      local accepted = { ["Bearer token-1"] = true }
      answers["/api"] = function(request)
        return { status = accepted[request.headers.authorization] and 200 or 401, body = request.headers.authorization }
      end
      local auth = new()
      local client = tasker.rest { base_url = "https://api.example", auth = auth, retry = false }
      assert.equal("Bearer token-1", client:get("/api").body)
      accepted = { ["Bearer token-2"] = true }
      assert.equal("Bearer token-2", tasker.http.get("https://api.example/api", { auth = auth }).body)
      assert.equal(2, count "/token")
      accepted = {}
      local response, err = client:get("/api")
      assert.is_nil(response)
      assert.equal("http_401", err.code)
      assert.same({ 3, 5 }, { count "/token", count "/api" })
    end)

    it("takes the token that another request got meanwhile, rather than to ask again", function()
      give_tokens()
      local auth = new()
      local first = auth:token()
      local function headers(token) return { authorization = { { "Authorization", "Bearer " .. token } } } end
      assert.is_true(auth:renew({}, headers(first)))
      assert.is_true(auth:renew({}, headers(first)))
      assert.equal(2, #asked)
    end)

    it("keeps its tokens apart from those of other connections, and shares those of one name", function()
      give_tokens()
      assert.equal("token-1", new():token())
      assert.equal("token-2", new():token())
      assert.equal("token-3", new { name = "shared" }:token())
      assert.equal("token-3", new { name = "shared" }:token())
      assert.equal("token-4", new { name = "shared", scope = "more" }:token())
    end)

    it("lives with answers that say little: no lifetime, a lifetime as text", function()
      give_tokens { expires_in = tasker.null }
      local auth = new()
      auth:token()
      pass(100000)
      assert.equal("token-1", auth:token())
      give_tokens { expires_in = "100" }
      auth = new()
      auth:token()
      pass(101)
      assert.equal("token-2", auth:token())
    end)

    it("names what the token endpoint says, in one sentence without secrets", function()
      for code, case in pairs {
        invalid_client = { { status = 401, json = { error = "invalid_client", error_description = "no secret-of-me\nhere" } }, false },
        temporarily_unavailable = { { status = 503, json = { error = "temporarily_unavailable" },
          headers = { ["Retry-After"] = "7" } }, true },
        http_502 = { { status = 502, body = "<html>" }, true },
        http_404 = { { status = 404, body = "" }, false },
        protocol = { { status = 200, body = "<html>" }, false },
        unsupported = { { json = { access_token = "x", token_type = "mac" } }, false },
      } do
        answers["/token"] = case[1]
        local token, err = new():token()
        assert.is_nil(token)
        assert.same({ code, case[2] }, { err.code, err.retryable })
        assert.is_nil(err.message:find("secret-of-me", 1, true))
        assert.is_nil(err.message:find("\n", 1, true))
        assert.equal(code == "temporarily_unavailable" and 7 or nil, err.retry_after)
      end
      answers["/token"] = { json = { token_type = "Bearer" } }
      assert.matches("without an access_token", select(2, new():token()).message, 1, true)
      answers["/token"] = { json = { access_token = "a\r\nb" } }
      assert.equal("protocol", select(2, new():token()).code)
    end)

    it("serves on with a token that still lives when an early renewal fails", function()
      give_tokens()
      local auth = new()
      auth:token()
      answers["/token"] = { status = 503, body = "" }
      pass(3590)
      assert.equal("token-1", auth:token())
      assert.equal("token-1", auth:token())
      assert.equal(2, #asked)
      pass(20)
      assert.equal("http_503", select(2, auth:token()).code)
    end)
  end)

  describe("refresh_token", function()
    it("begins with what is configured and goes on with what the server gives", function()
      give_tokens { refresh_token = function(n) return n < 3 and "refresh-" .. n or tasker.null end, expires_in = 100 }
      local auth = new { grant = "refresh_token", refresh_token = "refresh-0" }
      for n = 1, 4 do
        assert.equal("token-" .. n, auth:token())
        pass(101)
      end
      local sent = {}
      for i, one in ipairs(asked) do
        sent[i] = one.form.refresh_token
      end
      assert.same({ "refresh-0", "refresh-1", "refresh-2", "refresh-2" }, sent)
    end)

    it("is parked by invalid_grant: no further request, until it is configured anew", function()
      answers["/token"] = { status = 400, json = { error = "invalid_grant", error_description = "revoked" } }
      local function configured(token)
        return new { grant = "refresh_token", refresh_token = token, name = "parked" }
      end
      assert.equal("invalid_grant", select(2, configured "old":token()).code)
      local token, err = configured "old":token()
      assert.is_nil(token)
      assert.same({ "invalid_grant", false, true }, { err.code, err.retryable, err.parked })
      assert.matches("it is parked since .*revoked.*another configuration", err.message)
      assert.equal(1, #asked)
      give_tokens()
      assert.equal("token-1", configured "new":token())
      assert.equal(2, #asked)
    end)
  end)

  describe("jwt_bearer", function()
    it("signs an assertion that the key's owner made", function()
      for kind, alg in pairs { rsa = "RS256", ec = "ES256", ed = "EdDSA" } do
        local pem = new_key(kind)
        give_tokens()
        asked = {}
        local auth = new { grant = "jwt_bearer", private_key = pem, client_secret = tasker.null, subject = "ann", key_id = "k1",
          audience = "https://auth.example/", claims = { extra = 1 }, scope = "read" }
        assert.equal("token-1", auth:token())
        local form = asked[1].form
        assert.same({ "urn:ietf:params:oauth:grant-type:jwt-bearer", "read", "me" }, { form.grant_type, form.scope, form.client_id })
        assert.is_nil(form.audience)
        local head, claims, signature = form.assertion:match "^([^.]+)%.([^.]+)%.([^.]+)$"
        assert.same({ alg = alg, typ = "JWT", kid = "k1" }, json.decode(base64.decode(head)))
        local decoded = json.decode(base64.decode(claims))
        assert.same({ "me", "ann", "https://auth.example/", 1, 300 },
          { decoded.iss, decoded.sub, decoded.aud, decoded.extra, decoded.exp - decoded.iat })
        assert.is_true(#decoded.jti > 20)
        if alg == "ES256" then
          assert.equal(64, #base64.decode(signature))
        end
      end
    end)

    it("refuses a key of another algorithm, and short ones", function()
      local ok, why = pcall(new, { grant = "jwt_bearer", private_key = new_key "ec", alg = "RS256" })
      assert.is_false(ok)
      assert.matches("the private key is one for ES256, not for RS256", why, 1, true)
      RSA_BITS = 1024
      ok, why = pcall(new, { grant = "jwt_bearer", private_key = new_key "rsa" })
      RSA_BITS = 2048
      assert.is_false(ok)
      assert.matches("2048 bits or more", why, 1, true)
    end)
  end)

  describe("token_exchange", function()
    it("trades a token that a function gives", function()
      give_tokens { issued_token_type = "urn:ietf:params:oauth:token-type:access_token" }
      local auth = new { grant = "token_exchange", subject_token = function() return "subject" end, actor_token = "actor",
        audience = "api", requested_token_type = "urn:ietf:params:oauth:token-type:jwt" }
      assert.equal("token-1", auth:token())
      assert.same({ grant_type = "urn:ietf:params:oauth:grant-type:token-exchange", subject_token = "subject",
        subject_token_type = "urn:ietf:params:oauth:token-type:access_token", actor_token = "actor",
        actor_token_type = "urn:ietf:params:oauth:token-type:access_token", audience = "api",
        requested_token_type = "urn:ietf:params:oauth:token-type:jwt" }, asked[1].form)
    end)

    it("says so when the function gives none", function()
      local _, err = new { grant = "token_exchange", subject_token = function() end }:token()
      assert.same({ "invalid", "oauth" }, { err.code, err.message:match "^%a+" })
    end)
  end)

  describe("discovery", function()
    local function issue(place, more)
      local metadata = { issuer = "https://auth.example/t", token_endpoint = "https://auth.example/token" }
      for name, value in pairs(more or {}) do
        metadata[name] = value
      end
      answers[place] = { json = metadata }
    end
    local serial = 0
    -- Metadata are remembered by issuer.
    local function discovered(more)
      serial = serial + 1
      local options = { token_url = tasker.null, issuer = "https://auth" .. serial .. ".example/t" }
      for name, value in pairs(more or {}) do
        options[name] = value
      end
      return new(options), options.issuer
    end

    it("looks where RFC 8414 says, then where OpenID Connect does", function()
      give_tokens()
      local auth, issuer = discovered()
      issue("/.well-known/oauth-authorization-server/t", { issuer = issuer })
      assert.equal("token-1", auth:token())
      assert.equal(2, #asked)
      answers["/.well-known/oauth-authorization-server/t"] = nil
      auth, issuer = discovered()
      issue("/t/.well-known/openid-configuration", { issuer = issuer })
      assert.equal("token-2", auth:token())
      assert.same({ "/.well-known/oauth-authorization-server/t", "/t/.well-known/openid-configuration", "/token" },
        { asked[3].path, asked[4].path, asked[5].path })
    end)

    it("believes no metadata of another issuer, and no endpoint in the clear", function()
      local auth = discovered()
      issue "/.well-known/oauth-authorization-server/t"
      local _, err = auth:token()
      assert.same({ "invalid", 1 }, { err.code, #asked })
      assert.matches("is of the issuer 'https://auth.example/t', not of", err.message, 1, true)
      local other, issuer = discovered()
      issue("/.well-known/oauth-authorization-server/t", { issuer = issuer, token_endpoint = "http://auth.example/token" })
      _, err = other:token()
      assert.matches("it must be https", err.message, 1, true)
    end)

    it("fails as the server does, to be tried again where that helps", function()
      answers["/.well-known/oauth-authorization-server/t"] = { status = 503, body = "" }
      local _, err = discovered():token()
      assert.same({ "http_503", true, 1 }, { err.code, err.retryable, #asked })
      answers["/.well-known/oauth-authorization-server/t"] = nil
      _, err = discovered():token()
      assert.same({ "http_404", false }, { err.code, err.retryable })
    end)
  end)

  describe("a login by code", function()
    local function web(more)
      local options = { grant = "authorization_code", authorize_url = "https://auth.example/authorize", scope = "a",
        redirect_uri = "https://app.example/cb" }
      for name, value in pairs(more or {}) do
        options[name] = value
      end
      return new(options)
    end

    it("has PKCE with S256 and a state of one use", function()
      give_tokens { refresh_token = "refresh-1" }
      local auth = web()
      local _, err = auth:token()
      assert.equal("login_required", err.code)
      local address, state = auth:authorize_url { params = { prompt = "consent" } }
      local query = decode_form(address:match "%?(.*)")
      assert.same({ "code", "me", "https://app.example/cb", "a", state, "S256", "consent" }, { query.response_type, query.client_id,
        query.redirect_uri, query.scope, query.state, query.code_challenge_method, query.prompt })
      _, err = auth:exchange("code-1", "guessed")
      assert.equal("invalid", err.code)
      assert.equal(0, #asked)
      assert.equal("token-1", auth:exchange("code-1", state))
      local form = asked[1].form
      assert.same({ "authorization_code", "code-1", "https://app.example/cb" }, { form.grant_type, form.code, form.redirect_uri })
      local digest = core.sha256(form.code_verifier):gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)
      assert.equal(query.code_challenge, base64.encode_url(digest))
      assert.is_true(#form.code_verifier >= 43)
      _, err = auth:exchange("code-1", state)
      assert.equal("invalid", err.code)
      assert.equal("token-1", auth:token())
      assert.equal(1, #asked)
      pass(3600)
      assert.equal("token-2", auth:token())
      assert.same({ "refresh_token", "refresh-1" }, { asked[2].form.grant_type, asked[2].form.refresh_token })
    end)

    it("takes no answer that names another issuer, and no state that is old", function()
      give_tokens()
      local auth = web { issuer = "https://auth.example" }
      local _, state = auth:authorize_url()
      local _, err = auth:exchange("code", state, "https://evil.example")
      assert.equal("invalid", err.code)
      assert.matches("comes from the issuer 'https://evil.example'", err.message, 1, true)
      _, state = auth:authorize_url()
      assert.equal("token-1", auth:exchange("code", state, "https://auth.example"))
      _, state = auth:authorize_url()
      pass(901)
      assert.equal("invalid", select(2, auth:exchange("code", state)).code)
    end)

    it("ends what parked the connection", function()
      give_tokens { refresh_token = "refresh" }
      local auth = web { name = "parked-login" }
      local _, state = auth:authorize_url()
      auth:exchange("code", state)
      pass(3600)
      answers["/token"] = { status = 400, json = { error = "invalid_grant" } }
      assert.equal("invalid_grant", select(2, auth:token()).code)
      assert.matches("auth:exchange", select(2, auth:token()).message, 1, true)
      assert.equal(2, #asked)
      give_tokens()
      _, state = auth:authorize_url()
      assert.equal("token-1", auth:exchange("code", state))
      assert.equal("token-1", auth:token())
    end)

    it("is for its grant alone", function()
      local ok, why = pcall(function() return new():authorize_url() end)
      assert.is_false(ok)
      assert.matches("auth:authorize_url is for the grant authorization_code, and this is client_credentials", why, 1, true)
    end)
  end)

  describe("a login on another device", function()
    local slept
    local sleep = core.sleep

    before_each(function()
      slept = {}
      core.sleep = function(seconds)
        slept[#slept + 1] = seconds
        pass(seconds)
      end
    end)
    after_each(function() core.sleep = sleep end)

    local function device_auth()
      return new { grant = "device_code", device_url = "https://auth.example/device", client_secret = tasker.null, scope = "a" }
    end

    local function begin(more)
      answers["/device"] = { json = { device_code = "device-code", user_code = "AB-CD", verification_uri = "https://auth.example/d",
        expires_in = 600, interval = more and more.interval } }
      local auth = device_auth()
      return assert(auth:device()), auth
    end

    -- One answer after the other.
    local function say(...)
      local list, n = { ... }, 0
      answers["/token"] = function()
        n = n + 1
        local word = list[math.min(n, #list)]
        return word == "token" and { json = { access_token = "token", expires_in = 60 } } or word == "cut" and { status = 504, body = "" }
          or { status = 400, json = { error = word } }
      end
    end

    it("asks at the server's pace until the person has decided", function()
      say("authorization_pending", "slow_down", "authorization_pending", "cut", "token")
      local device, auth = begin()
      assert.same({ "AB-CD", "https://auth.example/d", 5 }, { device.user_code, device.verification_uri, device.interval })
      assert.same({ client_id = "me", scope = "a" }, asked[1].form)
      assert.equal("token", device:wait())
      assert.same({ 5, 5, 10, 10, 20 }, slept)
      assert.same({ grant_type = "urn:ietf:params:oauth:grant-type:device_code", device_code = "device-code", client_id = "me" },
        asked[2].form)
      assert.equal("token", auth:token())
    end)

    it("ends when the person says no, when the code is too old, and when it was told to", function()
      say "access_denied"
      assert.equal("access_denied", select(2, begin():wait()).code)
      say "expired_token"
      assert.equal("expired_token", select(2, begin():wait()).code)
      say "authorization_pending"
      assert.equal("expired_token", select(2, begin { interval = 100 }:wait()).code)
      local device = begin()
      assert.equal("timeout", select(2, device:wait(12)).code)
      say "token"
      assert.equal("token", device:wait())
    end)
  end)

  describe("revoke", function()
    it("revokes both tokens and forgets them", function()
      give_tokens { refresh_token = "refresh-1" }
      answers["/revoke"] = { status = 200, body = "gone" }
      local auth = new { grant = "refresh_token", refresh_token = "refresh-0", revoke_url = "https://auth.example/revoke" }
      auth:token()
      assert.is_true(auth:revoke())
      assert.same({ token = "refresh-1", token_type_hint = "refresh_token" }, asked[2].form)
      assert.same({ token = "token-1", token_type_hint = "access_token" }, asked[3].form)
      assert.is_true(auth:revoke())
      assert.equal(3, #asked)
      assert.equal("token-2", auth:token())
    end)

    it("is unsupported where the server has no place for it", function()
      give_tokens()
      local auth = new()
      auth:token()
      local ok, err = auth:revoke()
      assert.is_nil(ok)
      assert.same({ "unsupported", "token-1" }, { err.code, (auth:token()) })
    end)
  end)

  it("is blotted out of texts, tokens of the past too, and those that are long gone no more", function()
    local redaction = require "tasker.redaction"
    give_tokens { access_token = function(n) return "kanary-t0k3n-" .. n .. "-x" end, expires_in = 1 }
    local auth = new { name = "canary" }
    for _ = 1, 30 do
      auth:token()
      pass(2)
    end
    assert.equal("a [secret token of canary] b", redaction.redact "a kanary-t0k3n-30-x b")
    assert.is_nil(redaction.redact(base64.encode "kanary-t0k3n-29-x"):find(base64.encode "kanary-t0k3n", 1, true))
    assert.equal("kanary-t0k3n-1-x", redaction.redact "kanary-t0k3n-1-x")
  end)
end)
