-- tasker.oauth against oidc-provider, a certified server: discovery, client credentials, code with PKCE, refresh with rotation, devices.
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

describe("tasker.oauth with oidc-provider", function()
  if not peer.has "oidc-provider" then
    pending("skipped: oidc-provider is not installed (tools/peers does it)")
    return
  end

  local base

  setup(function() base = ("http://127.0.0.1:%d"):format(peer.start("oidc").http) end)
  teardown(harness.clean)

  local function new(options)
    options.issuer = base
    return tasker.oauth(options)
  end

  local function requests()
    return tasker.http.get(base .. "/seen"):json().token
  end

  local function browse(address)
    local response = assert(tasker.http.get(base .. "/browse", { query = { url = address } }))
    assert.equal(200, response.status, response.body)
    return response:json().url
  end

  local function api(auth)
    local client = tasker.rest { base_url = base, auth = auth, retry = false }
    return assert(client:get("/api")):json()
  end

  it("gets tokens by client credentials, and others when they end", function()
    local auth = new { grant = "client_credentials", client_id = "service", client_secret = "service-secret", scope = "read" }
    local before = requests()
    local first = assert(auth:token())
    assert.same({ client = "service", account = tasker.null, scope = "read" }, api(auth))
    assert.equal(before + 1, requests())
    harness.eventually(function() return auth:token() ~= first end)
    assert.equal(before + 2, requests())
    assert.equal("service", api(auth).client)
  end)

  it("is told by name what is wrong with its credentials", function()
    local auth = new { grant = "client_credentials", client_id = "service", client_secret = "wrong" }
    local token, err = auth:token()
    assert.is_nil(token)
    assert.same({ "invalid_client", 401, false }, { err.code, err.status, err.retryable })
  end)

  it("logs in by code with PKCE, and goes on with refresh tokens that rotate, until they are revoked", function()
    local auth = new { grant = "authorization_code", client_id = "web", client_secret = "web-secret", scope = "openid offline_access",
      redirect_uri = "http://127.0.0.1:1/cb", authorize_params = { prompt = "consent" } }
    local address, state = assert(auth:authorize_url())
    local back = browse(address)
    local query = {}
    for name, value in back:match("%?(.*)$"):gmatch "([^&=]+)=([^&]*)" do
      query[name] = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    end
    assert.equal(state, query.state)
    assert.equal(base, query.iss)
    local first = assert(auth:exchange(query.code, query.state, query.iss))
    assert.same({ client = "web", account = "ann", scope = "openid offline_access" }, api(auth))
    local second
    harness.eventually(function()
      second = assert(auth:token())
      return second ~= first
    end)
    local third
    harness.eventually(function()
      third = assert(auth:token())
      return third ~= second
    end)
    assert.equal("ann", api(auth).account)
    assert.is_true(auth:revoke())
    local token, err = auth:token()
    assert.is_nil(token)
    assert.equal("login_required", err.code)
    assert.equal(401, tasker.http.get(base .. "/api", { auth = tasker.auth.bearer(third) }).status)
  end)

  it("signs assertions that another library finds good, and not when a byte of them is changed", function()
    local jwt = require "tasker.oauth.jwt"
    local path = harness.temp_dir() .. "/key.pem"
    for alg, arguments in pairs { RS256 = "-algorithm rsa -pkeyopt rsa_keygen_bits:2048",
      ES256 = "-algorithm ec -pkeyopt ec_paramgen_curve:prime256v1", EdDSA = "-algorithm ed25519" } do
      assert(os.execute(("openssl genpkey %s -out %s 2>/dev/null"):format(arguments, path)))
      local token = assert(jwt.assertion(harness.process.read_file(path), { issuer = "me", subject = "ann", audience = "them" }))
      local verified = harness.process.run { "node", "spec/peers/jwt.mjs", alg, path, token }
      assert.equal(0, verified.status, verified.stderr)
      assert.equal("ann", tasker.json.decode(verified.stdout).sub)
      local changed = token:gsub("^([^.]+%.)(.)", function(head, byte) return head .. (byte == "e" and "f" or "e") end, 1)
      assert.are_not.equal(0, harness.process.run({ "node", "spec/peers/jwt.mjs", alg, path, changed }).status)
    end
  end)

  it("is parked when its refresh token was revoked, and asks no more", function()
    local auth = new { grant = "refresh_token", client_id = "web", client_secret = "web-secret", refresh_token = "none-such" }
    local before = requests()
    for _ = 1, 3 do
      assert.equal("invalid_grant", select(2, auth:token()).code)
    end
    assert.equal(before + 1, requests())
  end)

  it("logs in on another device", function()
    local auth = new { grant = "device_code", client_id = "cli", scope = "openid offline_access" }
    local device = assert(auth:device())
    assert.equal(base .. "/device", device.verification_uri)
    local token, err = device:wait(0)
    assert.is_nil(token)
    assert.equal("timeout", err.code)
    browse(device.verification_uri_complete)
    device.interval = 0.1
    token = assert(device:wait(20))
    assert.equal(token, (auth:token()))
    assert.equal("ann", api(auth).account)
    harness.eventually(function() return assert(auth:token()) ~= token end)
    assert.equal("ann", api(auth).account)
  end)
end)
