local base64 = require "tasker.base64"
local core = require "tasker.core"
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

local webhook = tasker.webhook
local SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

local function refused(pattern, value, err)
  assert.is_nil(value)
  assert.equal("refused", err.code, err.message)
  assert.matches(pattern, err.message)
end

describe("HMAC and base64", function()
  local function mac(key, text)
    return (core.hmac_sha256(key, text):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
  end

  it("are those of RFC 4231 and RFC 4648", function()
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", mac(("\11"):rep(20), "Hi There"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", mac("Jefe", "what do ya want for nothing?"))
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      mac(("\xAA"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
    for plain, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy" } do
      assert.equal(text, base64.encode(plain))
      assert.equal(plain, base64.decode(text))
      assert.equal(plain, base64.decode((text:gsub("=", ""))))
    end
    assert.equal("-_8", base64.encode_url "\xFB\xFF")
    assert.equal("\xFB\xFF", base64.decode "-_8")
    for _, wrong in ipairs { "Z", "Zg=", "Zg===", "Z g", "Zm9v=" } do
      assert.is_nil(base64.decode(wrong), wrong)
    end
  end)
end)

describe("tasker.webhook", function()
  it("signs as the specification's example", function()
    local headers = webhook.sign('{"test": 2432232314}', SECRET, { id = "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp = 1614265330 })
    assert.same({ ["webhook-id"] = "msg_p5jXN8AQM9LWM0D4loKWxJek", ["webhook-timestamp"] = "1614265330",
      ["webhook-signature"] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" }, headers)
  end)

  it("verifies what it signed, with any of several secrets on both sides", function()
    local other = "whsec_" .. base64.encode "another secret of ours"
    local headers, body = webhook.sign({ b = 1, a = { 2 } }, { other, SECRET })
    assert.equal('{"a":[2],"b":1}', body)
    assert.same({ b = 1, a = { 2 } }, webhook.verify(headers, body, SECRET))
    local shouted = { ["Webhook-Id"] = headers["webhook-id"], ["WEBHOOK-TIMESTAMP"] = { headers["webhook-timestamp"] },
      ["webhook-signature"] = headers["webhook-signature"] }
    assert.same({ b = 1, a = { 2 } }, webhook.verify(shouted, body, { "whsec_AAAA", other }))
    assert.equal("no JSON", webhook.verify(webhook.sign("no JSON", SECRET), "no JSON", SECRET))
  end)

  it("refuses what was changed, is too old, or lacks something", function()
    local headers, body = webhook.sign({ a = 1 }, SECRET)
    refused("does not match", webhook.verify(headers, body .. " ", SECRET))
    refused("does not match", webhook.verify(headers, body, "whsec_AAAA"))
    for name in pairs(headers) do
      local fewer = {}
      for other, value in pairs(headers) do
        fewer[other] = other ~= name and value or nil
      end
      refused("missing", webhook.verify(fewer, body, SECRET))
    end
    refused("old", webhook.verify(webhook.sign("x", SECRET, { timestamp = tasker.now() - 400 }), "x", SECRET))
    refused("ahead", webhook.verify(webhook.sign("x", SECRET, { timestamp = tasker.now() + 400 }), "x", SECRET))
    assert.equal("x", webhook.verify(webhook.sign("x", SECRET, { timestamp = tasker.now() - 400 }), "x", SECRET, { tolerance = 500 }))
    assert.equal("invalid", select(2, webhook.verify(headers, body, "no base64!")).code)
    assert.equal("invalid", select(2, webhook.sign("x", "whsec_")).code)
  end)

  it("never raises because of what comes from outside", function()
    for _, headers in ipairs { {}, { 1, 2 }, { ["webhook-id"] = 5 }, { ["webhook-id"] = {}, ["webhook-signature"] = "," },
      { ["webhook-id"] = "a", ["webhook-timestamp"] = "1e400", ["webhook-signature"] = "v1" },
      { ["webhook-id"] = "\0", ["webhook-timestamp"] = ("9"):rep(400), ["webhook-signature"] = "v1, v1,\xFF" } } do
      for _, scheme in ipairs { "standard", "github", "stripe", "slack" } do
        refused(".", webhook.verify(headers, "\xFF", SECRET, { scheme = scheme }))
      end
    end
    refused(".", webhook.verify(nil, nil, SECRET))
  end)

  it("knows the ways of GitHub, Stripe and Slack", function()
    -- GitHub's own example: docs.github.com, validating webhook deliveries.
    assert.equal("Hello, World!", webhook.verify(
      { ["X-Hub-Signature-256"] = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" }, "Hello, World!",
      "It's a Secret to Everybody", { scheme = "github" }))
    local function hex(key, text)
      return (core.hmac_sha256(key, text):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
    end
    local now = tostring(math.floor(tasker.now()))
    assert.same({ id = 1 }, webhook.verify({ ["Stripe-Signature"] = ("t=%s,v1=%s,v0=00"):format(now, hex("whsec_x", now .. '.{"id":1}')) },
      '{"id":1}', "whsec_x", { scheme = "stripe" }))
    assert.equal("a=1", webhook.verify({ ["X-Slack-Request-Timestamp"] = now,
      ["X-Slack-Signature"] = "v0=" .. hex("s", "v0:" .. now .. ":a=1") }, "a=1", "s", { scheme = "slack" }))
    refused("does not match", webhook.verify({ ["Stripe-Signature"] = ("t=%s,v1=00"):format(now) }, "{}", "s", { scheme = "stripe" }))
  end)

  describe("with ed25519", function()
    local function bytes(text)
      return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
    end
    -- RFC 8032, 7.1, test 1.
    local SEED = bytes "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    local PUBLIC = bytes "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    local PRIVATE_KEY, PUBLIC_KEY = "whsk_" .. base64.encode(SEED), "whpk_" .. base64.encode(PUBLIC)

    it("makes the signature of RFC 8032", function()
      assert.equal(PUBLIC, core.ed25519_public(SEED))
      local signature = bytes("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        .. "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
      assert.equal(signature, core.ed25519_sign(SEED, ""))
      assert.is_true(core.ed25519_verify(PUBLIC, "", signature))
      assert.is_false(core.ed25519_verify(PUBLIC, "x", signature))
      assert.is_false(core.ed25519_verify(PUBLIC, "", signature:sub(1, 63)))
    end)

    it("signs by whsk_, verifies by whpk_ or whsk_, beside HMAC while secrets change", function()
      local headers, body = webhook.sign({ a = 1 }, { PRIVATE_KEY, SECRET })
      assert.matches("^v1a,%S+ v1,%S+$", headers["webhook-signature"])
      for _, secret in ipairs { PUBLIC_KEY, PRIVATE_KEY, SECRET, "whsk_" .. base64.encode(SEED .. PUBLIC) } do
        assert.same({ a = 1 }, webhook.verify(headers, body, secret))
      end
      refused("does not match", webhook.verify(headers, body .. " ", PUBLIC_KEY))
      refused("does not match", webhook.verify(headers, body, "whpk_" .. base64.encode(SEED)))
      assert.equal(PUBLIC_KEY, webhook.verifier_of(PRIVATE_KEY))
      assert.equal(SECRET, webhook.verifier_of(SECRET))
    end)

    it("takes no signature of one kind for one of the other", function()
      local headers, body = webhook.sign("x", SECRET)
      headers["webhook-signature"] = headers["webhook-signature"]:gsub("^v1,", "v1a,")
      refused("does not match", webhook.verify(headers, body, SECRET))
      refused("does not match", webhook.verify(headers, body, PUBLIC_KEY))
    end)

    it("says what is wrong with a secret", function()
      for secret, why in pairs { ["whsk_AAAA"] = "32 or 64 bytes", ["whpk_AAAA"] = "32 bytes", ["whxx_AAAA"] = "whsec_, whsk_ and whpk_",
        ["whsk_" .. base64.encode(SEED .. SEED)] = "public key of another" } do
        local value, err = webhook.verify({ ["webhook-id"] = "a", ["webhook-signature"] = "v1,x",
          ["webhook-timestamp"] = ("%d"):format(tasker.now() // 1) }, "x", secret)
        assert.is_nil(value)
        assert.equal("invalid", err.code)
        assert.matches(why, err.message, 1, true)
      end
      assert.matches("whpk_, which verifies", select(2, webhook.sign("x", PUBLIC_KEY)).message, 1, true)
    end)

    it("agrees with node:crypto in both directions", function()
      if not peer.has_node then return pending "skipped: Node is not installed" end
      local body, now = '{"n":1}', ("%d"):format(tasker.now() // 1)
      local function node(...)
        local result = harness.process.run { "node", "spec/peers/webhooks.mjs", ... }
        assert.equal(0, result.status, result.stderr)
        return (result.stdout:gsub("\n$", ""))
      end
      local theirs = node("sign", PRIVATE_KEY, "msg_1", now, body)
      assert.same({ n = 1 }, webhook.verify({ ["webhook-id"] = "msg_1", ["webhook-timestamp"] = now, ["webhook-signature"] = theirs },
        body, PUBLIC_KEY))
      local headers = webhook.sign(body, PRIVATE_KEY)
      assert.equal("ok", node("verify", PUBLIC_KEY, headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"],
        body))
    end)
  end)

  it("agrees with the reference library in both directions", function()
    if not peer.has "standardwebhooks" then return pending "skipped: standardwebhooks is not installed (tools/peers)" end
    local body, now = '{"type":"task.completed","n":1}', tostring(math.floor(tasker.now()))
    local function node(...)
      local result = harness.process.run { "node", "spec/peers/webhooks.mjs", ... }
      assert.equal(0, result.status, result.stderr)
      return (result.stdout:gsub("\n$", ""))
    end
    local theirs = node("sign", SECRET, "msg_1", now, body)
    assert.same({ type = "task.completed", n = 1 }, webhook.verify({ ["webhook-id"] = "msg_1", ["webhook-timestamp"] = now,
      ["webhook-signature"] = theirs }, body, SECRET))
    local headers = webhook.sign(body, SECRET)
    assert.equal("ok", node("verify", SECRET, headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body))
  end)
end)
