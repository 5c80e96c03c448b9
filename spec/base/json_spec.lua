local json = require("tasker.core").json
local dkjson = require "dkjson"

-- Whether two values are the same to the codec: types of numbers and arrays included.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  if json.is_array(a) ~= json.is_array(b) then
    return false
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local random_value

local characters = { "a", "Z", "0", " ", "\"", "\\", "/", "\n", "\t", "\0", "\x1f", "\x7f", "ä", "€", "\u{fb33}", "\u{1f600}" }

local function random_string(random)
  local parts = {}
  for i = 1, random(0, 12) do
    parts[i] = characters[random(#characters)]
  end
  return table.concat(parts)
end

local makers = {
  function() return json.null end,
  function(random) return random(0, 1) == 1 end,
  function(random) return random(0) end,
  function(random) return random(-1000, 1000) end,
  function(random) return random() * 10 ^ random(-12, 12) end,
  function(random) return random(-1000, 1000) / 8 end,
  random_string,
  random_string,
  function(random, depth)
    local list = json.array {}
    for i = 1, depth > 0 and random(0, 5) or 0 do
      list[i] = random_value(random, depth - 1)
    end
    return list
  end,
  function(random, depth)
    local object = {}
    for _ = 1, depth > 0 and random(0, 5) or 0 do
      object[random_string(random)] = random_value(random, depth - 1)
    end
    return object
  end,
}

function random_value(random, depth)
  return makers[random(#makers)](random, depth)
end

local function from_dkjson(value)
  if value == dkjson.null then
    return json.null
  elseif type(value) ~= "table" then
    return value
  end
  local copy = getmetatable(value).__jsontype == "array" and json.array {} or {}
  for key, item in pairs(value) do
    copy[key] = from_dkjson(item)
  end
  return copy
end

local function to_dkjson(value)
  if value == json.null then
    return dkjson.null
  elseif type(value) ~= "table" then
    return value
  end
  local copy = setmetatable({}, { __jsontype = json.is_array(value) and "array" or "object" })
  for key, item in pairs(value) do
    copy[key] = to_dkjson(item)
  end
  return copy
end

-- The same values by number: the other implementation has floats for all that is written with a point or an exponent.
local function same_numbers(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same_numbers(value, b[key]) then
      return false
    end
  end
  return #a == #b and json.is_array(a) == json.is_array(b)
end

describe("tasker.json", function()
  it("gives back every value as it went in", function()
    math.randomseed(2026)
    for _ = 1, 3000 do
      local value = random_value(math.random, 4)
      local text = assert(json.encode(value))
      local back, err = json.decode(text)
      assert.is_nil(err)
      assert(same(value, back), text)
      assert.equal(text, json.encode(back))
      assert(same(value, json.decode((json.encode(value, { indent = 3 })))), text)
    end
  end)

  it("writes what another implementation reads the same", function()
    math.randomseed(2027)
    for _ = 1, 1500 do
      local value = random_value(math.random, 3)
      local text = json.encode(value)
      local read, _, err = dkjson.decode("[" .. text .. "]", 1, dkjson.null)
      assert.is_nil(err)
      assert(same_numbers(value, from_dkjson(read)[1]), text)
    end
  end)

  it("reads what another implementation wrote", function()
    math.randomseed(2028)
    for _ = 1, 1500 do
      local text = dkjson.encode(to_dkjson(random_value(math.random, 3)))
      local back, err = json.decode(text)
      assert.is_nil(err)
      assert(same_numbers(back, from_dkjson(dkjson.decode("[" .. text .. "]", 1, dkjson.null))[1]), text)
    end
  end)

  it("tells arrays from objects", function()
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.array {}))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("[]", json.encode(json.decode "[]"))
    assert.equal("[]", json.encode({}, { list = true }))
    assert.is_true(json.is_array(json.decode "[]"))
    assert.is_true(json.is_array { 1 })
    assert.is_false(json.is_array {})
    assert.is_false(json.is_array "text")
    local list = { 1, 2 }
    assert.equal(list, json.array(list))
    assert.equal(list, json.array(list))
    local decoded = json.decode "[1,2]"
    table.remove(decoded)
    table.remove(decoded)
    assert.equal("[]", json.encode(decoded))
    assert.same({ 1, 2 }, (json.decode "[1,2]"))
  end)

  it("has one null", function()
    assert.equal(json.null, (json.decode "null"))
    assert.equal(json.null, json.decode("[null]")[1])
    assert.equal("null", tostring(json.null))
    assert.equal("null", json.encode(nil))
    assert.equal("[null,null]", json.encode { json.null, json.null })
  end)

  it("keeps integers and floats apart, canonical JSON does not", function()
    for _, text in ipairs { "1", "1.0", "-0.0", "9223372036854775807", "-9223372036854775808", "1e+300", "0.1", "5e-324" } do
      assert.equal(text, json.encode((json.decode(text))))
    end
    assert.equal("float", math.type(json.decode "9223372036854775808"))
    assert.equal("integer", math.type(json.decode "9223372036854775807"))
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("[1,1,9007199254740993]", json.encode({ 1, 1.0, 9007199254740993 }, { canonical = true }))
  end)

  it("names the place of what cannot be JSON", function()
    local function refused(value, options)
      local text, err = json.encode(value, options)
      assert.is_nil(text)
      assert.equal("invalid", err.code)
      assert.equal(err.message, tostring(err))
      return err.message, err.details.path
    end
    local message, path = refused { results = { items = { 1, 2, { x = print } } } }
    assert.equal("at $.results.items[3].x: a function cannot be JSON", message)
    assert.equal("$.results.items[3].x", path)
    local cycle = {}
    cycle.again = cycle
    assert.matches("a cycle", (refused(cycle)))
    assert.matches("NaN", (refused { 0 / 0 }))
    assert.matches("infinite", (refused { math.huge }))
    assert.matches("invalid UTF%-8 at its byte 3", (refused { "ab\xff" }))
    assert.matches("holes", (refused { 1, nil, 3 }))
    assert.matches("both string keys and integer keys", (refused { 1, a = 2 }))
    assert.matches("a key that is a boolean", (refused { [true] = 1 }))
    assert.matches("deeper than 1 levels", (refused({ {} }, { max_depth = 1 })))
    assert.matches("larger than 5 bytes", (refused({ "abcdef" }, { max_size = 5 })))
  end)

  it("names the position of what is no JSON", function()
    local value, err = json.decode "[1,\n 2,\n x]"
    assert.is_nil(value)
    assert.equal("invalid", err.code)
    assert.equal("invalid JSON at byte 10 (line 3, column 2): expected a value", tostring(err))
    assert.same({ byte = 10, line = 3, column = 2 }, err.details)
  end)

  it("reads RFC 8259 and nothing else", function()
    for _, text in ipairs {
      "", " ", "nul", "True", "NaN", "Infinity", "+1", "01", "1.", ".5", "1e", "0x1", "1e999", "[1,]", "[,1]", "[1 2]", "{a:1}",
      "{'a':1}", "{\"a\":1,}", "{\"a\"}", "\"a", "\"\\x\"", "\"\\ud800\"", "\"\\udc00x\"", "\"\t\"", "\"\xff\"", "\u{feff}1", "1 1",
      "// 1", "[1]]", "{1:2}", "'a'", "\"\\u00g0\"", "[\"a\":1]", "{\"a\",1}", "\u{a0}1", "-", "--1", "\"\xed\xa0\x80\"",
    } do
      local value, err = json.decode(text)
      assert.is_nil(value, text)
      assert.equal("invalid", err.code)
    end
    for _, text in ipairs { "1", " [ ] ", "{\"a\":1,\"a\":2}", "\"\\u0000\"", "\"\\ud83d\\ude00\"", "\t\r\n0 ", "-1E-2", "\"\x7f\"" } do
      assert.is_not_nil(json.decode(text), text)
    end
    assert.equal(2, json.decode('{"a":1,"a":2}').a)
    assert.equal("\u{1f600}", json.decode '"\\ud83d\\ude00"')
  end)

  it("asks no metamethods", function()
    local trap = { __index = error, __len = error, __pairs = error, __eq = error, __tostring = error }
    assert.equal('{"a":[1]}', json.encode(setmetatable({ a = setmetatable({ 1 }, trap) }, trap)))
  end)

  it("raises for misuse and names it", function()
    assert.error_matches(function() json.encode() end, "value expected")
    assert.error_matches(function() json.encode(1, 2) end, "table expected")
    assert.error_matches(function() json.encode(1, { indentation = 2 }) end, "unknown option 'indentation'")
    assert.error_matches(function() json.encode(1, { indent = "2" }) end, "option 'indent' must be an integer from 0 to 16")
    assert.error_matches(function() json.encode(1, { canonical = 1 }) end, "option 'canonical' must be a boolean")
    assert.error_matches(function() json.encode(1, { canonical = true, indent = 2 }) end, "no indent")
    assert.error_matches(function() json.decode(1) end, "string expected")
    assert.error_matches(function() json.decode {} end, "string expected")
    assert.error_matches(function() json.array(1) end, "table expected")
    assert.error_matches(function() json.array(setmetatable({}, {})) end, "has a metatable already")
  end)

  it("survives ten thousand levels and refuses more", function()
    local text = ("["):rep(10000) .. ("]"):rep(10000)
    assert.equal(text, json.encode((json.decode(text))))
    local value, err = json.decode(("["):rep(10001))
    assert.is_nil(value)
    assert.matches("byte 10001 .*nested deeper than 10000 levels", err.message)
    value, err = json.decode(("["):rep(1000000))
    assert.is_nil(value)
    assert.equal("invalid", err.code)
  end)
end)
