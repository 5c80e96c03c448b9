local core = require "tasker.core"
local handler = require "tasker.handler"
local identity = require "tasker.identity"

local function request(context)
  return { namespace = "shop", name = "order", initiator = "unknown", source_system = "unknown", reason = "unknown",
    context = context, bypass_steps = {} }
end

local function spec_of(value)
  return assert(handler.new { name = "x", identity = value, steps = { { name = "a", run = print } } }).identity
end

describe("the hash identity", function()
  it("is SHA-256 over the canonical JSON of what is asked for", function()
    local canonical = '{"bypass_steps":[],"context":{"a":1,"b":[true,"\u{20ac}"]},"initiator":"unknown","name":"order",'
      .. '"namespace":"shop","reason":"unknown","source_system":"unknown"}'
    assert.equal(core.sha256(canonical), identity.hash(request { b = { true, "\u{20ac}" }, a = 1 }))
  end)

  it("knows no difference between 1 and 1.0", function()
    assert.equal(identity.hash(request { a = 1 }), identity.hash(request { a = 1.0 }))
  end)

  it("differs with each of its parts", function()
    local seen = { [identity.hash(request {})] = true }
    for _, field in ipairs { "namespace", "name", "initiator", "source_system", "reason" } do
      local changed = request {}
      changed[field] = "other"
      local hash = identity.hash(changed)
      assert.is_nil(seen[hash])
      seen[hash] = true
    end
    local bypassing = request {}
    bypassing.bypass_steps = { "a" }
    assert.is_nil(seen[identity.hash(bypassing)])
    assert.is_nil(seen[identity.hash(request { a = 1 })])
  end)
end)

describe("canonical JSON", function()
  local function canonical(value)
    return core.json.encode(value, { canonical = true })
  end

  it("is that of RFC 8785's example", function()
    local value = assert(core.json.decode([[{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}]]))
    assert.equal([[{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],]]
      .. '"string":"\u{20ac}$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}', canonical(value))
  end)

  it("sorts keys by UTF-16 units", function()
    local value = assert(core.json.decode([[{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6,
      "\u00f6": 7}]]))
    assert.equal('{"\\r":2,"1":4,"\u{80}":6,"\u{f6}":7,"\u{20ac}":1,"\u{1f600}":5,"\u{fb33}":3}', canonical(value))
  end)

  it("writes numbers as ECMAScript does, and integers in full", function()
    for _, case in ipairs { { 0.0, "0" }, { -0.0, "0" }, { 5e-324, "5e-324" }, { 1.7976931348623157e308, "1.7976931348623157e+308" },
      { 9007199254740992.0, "9007199254740992" }, { 295147905179352830000.0, "295147905179352830000" }, { 1e21, "1e+21" },
      { 1e-6, "0.000001" }, { 1e-7, "1e-7" }, { 333333333.33333325, "333333333.33333325" },
      { math.maxinteger, "9223372036854775807" } } do
      assert.equal(case[2], canonical(case[1]))
    end
  end)
end)

describe("identity of a request", function()
  it("is none for guid", function()
    assert.is_nil(identity.of_request(spec_of(nil), request {}))
    assert.is_nil(identity.of_request(spec_of("guid"), request {}))
  end)

  it("is the hash of what a function returns, within the handler", function()
    local spec = spec_of(function(asked) return "order-" .. asked.context.id end)
    assert.equal(identity.of_key("shop", "order", "order-7"), identity.of_request(spec, request { id = 7 }))
    assert.not_equal(identity.of_key("shop", "refund", "order-7"), identity.of_request(spec, request { id = 7 }))
  end)

  it("is invalid when the function raises or returns no text", function()
    local _, raised = identity.of_request(spec_of(function() error("boom") end), request {})
    assert.equal("invalid", raised.code)
    assert.truthy(raised.message:find("boom", 1, true))
    local _, number = identity.of_request(spec_of(function() return 5 end), request {})
    assert.equal("invalid", number.code)
  end)

  it("is unsupported where the function's code is elsewhere", function()
    local stored = identity.restore(identity.describe(spec_of(print)))
    local _, err = identity.of_request(stored, request {})
    assert.equal("unsupported", err.code)
    assert.truthy(err.message:find("--file", 1, true))
  end)

  it("keeps window and conflict through the store", function()
    local spec = spec_of { strategy = "hash", window = 60, conflict = "reject" }
    assert.same(spec, identity.restore(core.json.decode(core.json.encode(identity.describe(spec)))))
    assert.same(spec_of(nil), identity.restore(identity.describe(spec_of { window = "forever" })))
  end)
end)
