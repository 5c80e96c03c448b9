-- References, drafts, loaders, formats, limits.
local json = require("tasker.core").json
local process = require "spec.support.process"
local schema = require "tasker.schema"

local function accepts(compiled, value)
  return (compiled:validate(value)) == true
end

describe("a schema of draft-07", function()
  it("is one that says so, or that compile is told of", function()
    local definition = { items = { { type = "string" }, { type = "integer" } }, additionalItems = false }
    assert.is_nil(schema.compile(definition))
    for _, compiled in ipairs {
      assert(schema.compile(definition, { draft = "draft-07" })),
      assert(schema.compile { ["$schema"] = "http://json-schema.org/draft-07/schema#", items = definition.items,
        additionalItems = false }),
    } do
      assert.is_true(accepts(compiled, { "a", 1 }))
      assert.is_false(accepts(compiled, { "a", 1, 2 }))
    end
  end)

  it("ignores what stands beside $ref", function()
    local definition = { ["$ref"] = "#/definitions/a", minimum = 5, definitions = { a = { type = "integer" } } }
    assert.is_true(accepts(assert(schema.compile(definition, { draft = "draft-07" })), 1))
    assert.is_false(accepts(assert(schema.compile(definition)), 1))
  end)
end)

describe("a loader", function()
  it("is asked for a document once, by its absolute URI", function()
    local asked = {}
    local compiled = assert(schema.compile({
      ["$id"] = "http://example.com/a/root.json", properties = { x = { ["$ref"] = "../b.json#/$defs/n" }, y = { ["$ref"] = "/b.json#s" } },
    }, { loader = function(uri)
      asked[#asked + 1] = uri
      return { ["$defs"] = { n = { type = "integer" }, s = { ["$anchor"] = "s", type = "string" } } }
    end }))
    assert.same({ "http://example.com/b.json" }, asked)
    assert.is_true(accepts(compiled, { x = 1, y = "s" }))
    local _, err = compiled:validate { x = "s" }
    assert.equal("http://example.com/b.json#/$defs/n/type", err.errors[1].schema)
    assert.equal("/x", err.errors[1].instance)
  end)

  it("that has nothing, raises or returns what is none makes compile fail and say so", function()
    local cases = {
      [function() return nil end] = "cannot be resolved",
      [function() error "no network" end] = "no network",
      [function() return nil, "gone" end] = "gone",
      [function() return "text" end] = "must return a schema",
      [function() return { type = "no type" } end] = "knows no type",
    }
    for loader, expected in pairs(cases) do
      local compiled, err = schema.compile({ ["$ref"] = "http://example.com/x" }, { loader = loader })
      assert.is_nil(compiled)
      assert.equal("invalid", err.code)
      assert.matches(expected, err.message, 1, true)
    end
  end)

  it("is not needed for the schemas of schemas", function()
    for uri, draft in pairs { ["https://json-schema.org/draft/2020-12/schema"] = "2020-12",
      ["http://json-schema.org/draft-07/schema#"] = "draft-07" } do
      local compiled = assert(schema.compile({ ["$ref"] = uri }, { draft = draft }))
      assert.is_true(accepts(compiled, json.decode '{"properties":{"a":{"type":["integer","null"]}},"required":["a"]}'))
      for _, wrong in ipairs { '{"properties":{"a":{"type":"int"}}}', '{"minLength":-1}', '{"allOf":[]}', "5" } do
        assert.is_false(accepts(compiled, json.decode(wrong)), wrong)
      end
    end
  end)
end)

describe("formats", function()
  local definition = { format = "date" }

  it("are annotations unless asserted", function()
    assert.is_true(accepts(assert(schema.compile(definition)), "no date"))
    assert.is_false(accepts(assert(schema.compile(definition, { formats = true })), "no date"))
    assert.is_true(accepts(assert(schema.compile(definition, { formats = true })), "2024-02-29"))
    assert.is_true(accepts(assert(schema.compile({ format = "unheard-of" }, { formats = true })), "x"))
  end)

  it("of the user are functions of strings and numbers, beside the known ones", function()
    local compiled = assert(schema.compile({ properties = { n = { format = "even" }, d = { format = "date" } } },
      { formats = { even = function(value) return value % 2 == 0 end } }))
    assert.is_true(accepts(compiled, { n = 2, d = "2024-01-01" }))
    assert.is_true(accepts(compiled, { n = true }))
    assert.is_false(accepts(compiled, { n = 3 }))
    assert.is_false(accepts(compiled, { d = "x" }))
    local _, err = compiled:validate { n = "odd" }
    assert.matches("is no even: ", err.message, 1, true)
  end)

  it("are all accepted and refused without raising, whatever the text", function()
    local formats = require "tasker.schema.formats"
    math.randomseed(7)
    local pieces = { "a", "1", ":", "::", "/", "%", "%41", "@", "[", "]", ".", "..", "-", "xn--", "é", "\xff", "\0", "{", "}", "~",
      "T", "P", "Z", "+", "\u{200C}", "\u{6F0}", "\u{30FB}", "(", "\\", "\\u{", "^" }
    for _ = 1, 3000 do
      local parts = {}
      for i = 1, math.random(0, 8) do
        parts[i] = pieces[math.random(#pieces)]
      end
      for name, accepts_text in pairs(formats) do
        local ok, result = pcall(accepts_text, table.concat(parts))
        assert.is_true(ok, name .. ": " .. table.concat(parts) .. ": " .. tostring(result))
      end
    end
  end)
end)

describe("a reference", function()
  it("to itself works on values of any depth within reason", function()
    local compiled = assert(schema.compile { type = "object", properties = { next = { ["$ref"] = "#" } } })
    local value = {}
    for _ = 1, 2000 do
      value = { next = value }
    end
    assert.is_true(accepts(compiled, value))
    for _ = 1, 20000 do
      value = { next = value }
    end
    local ok, err = compiled:validate(value)
    assert.is_nil(ok)
    assert.matches("nested too deep", err.message, 1, true)
  end)

  it("that leads nowhere but to itself is an error of the value, not an endless loop", function()
    for _, definition in ipairs { { ["$ref"] = "#" }, { allOf = { { ["$ref"] = "#" } } }, { ["not"] = { ["$ref"] = "#" } },
      { ["$dynamicAnchor"] = "a", ["$dynamicRef"] = "#a" } } do
      local compiled = assert(schema.compile(definition))
      local ok, err = compiled:validate(1)
      assert.is_nil(ok)
      assert.equal("invalid", err.code)
      assert.matches("refers to itself without end", err.message, 1, true)
    end
  end)

  it("in branches that all refer on is bounded in time #slow", function()
    local compiled = assert(schema.compile { oneOf = { { properties = { a = { ["$ref"] = "#" } }, required = { "a" } },
      { properties = { a = { ["$ref"] = "#" } }, required = { "b" } } } })
    local value = 1
    for _ = 1, 100 do
      value = { a = value }
    end
    local started = os.clock()
    local _, err = compiled:validate(value)
    assert.matches("takes too long", err.message, 1, true)
    assert.is_true(os.clock() - started < 60)
  end)
end)

describe("compile", function()
  it("raises for an unknown option or one of a wrong type, naming it", function()
    for option, value in pairs { colour = 1, draft = 7, formats = "yes", loader = {}, strict = 1 } do
      local ok, err = pcall(schema.compile, true, { [option] = value })
      assert.is_false(ok)
      assert.matches(option, err, 1, true)
    end
  end)

  it("returns invalid for a draft that is none, and for formats that are no functions", function()
    for _, options in ipairs { { draft = "2019-09" }, { formats = { date = true } } } do
      local compiled, err = schema.compile(true, options)
      assert.is_nil(compiled)
      assert.equal("invalid", err.code)
    end
  end)

  it("ignores unknown keywords, and refuses them when told to be strict", function()
    assert.is_true(accepts(assert(schema.compile { requird = { "a" } }), {}))
    local compiled, err = schema.compile({ requird = { "a" } }, { strict = true })
    assert.is_nil(compiled)
    assert.matches("did you mean 'required'?", err.message, 1, true)
    assert(schema.compile({ title = "t", ["$defs"] = { a = true }, format = "date" }, { strict = true }))
  end)

  it("bounds schemas without end that share tables", function()
    local shared = {}
    shared.items, shared.contains, shared.additionalProperties = shared, shared, shared
    local compiled, err = schema.compile(shared)
    assert.is_nil(compiled)
    assert.equal("invalid", err.code)
  end)
end)

describe("numbers", function()
  local cases = {
    { { type = "integer" }, "12345678901234567890123456789", true },
    { { type = "integer" }, "1e300", true },
    { { maximum = math.maxinteger }, "9223372036854775808", false },
    { { exclusiveMinimum = math.maxinteger - 1 }, "9223372036854775807", true },
    { { const = 9007199254740993 }, "9007199254740992", false },
    { { multipleOf = 0.01 }, "19.99", true }, { { multipleOf = 0.1 }, "0.35", false }, { { multipleOf = 1e-7 }, "123456.7891234", true },
    { { multipleOf = 3 }, "9223372036854775806", true }, { { multipleOf = 0.5 }, "-9223372036854775808", true },
    { { uniqueItems = true }, "[1,1.0]", false }, { { uniqueItems = true }, '[1,true,"1",[1],{"a":1}]', true },
    { { uniqueItems = true }, '[{"a":1,"b":[]},{"b":[],"a":1.0}]', false }, { { enum = { 1 } }, "1.0", true },
  }
  for _, case in ipairs(cases) do
    it(("%s is %s for %s"):format(case[2], case[3] and "valid" or "invalid", json.encode(case[1])), function()
      assert.equal(case[3], accepts(assert(schema.compile(case[1])), json.decode(case[2])))
    end)
  end
end)

describe("a violation of anyOf", function()
  it("says why of each branch", function()
    local compiled = assert(schema.compile { properties = { a = { anyOf = { { type = "string" },
      { properties = { b = { minimum = 1 } } } } } } })
    local _, err = compiled:validate { a = { b = 0 } }
    assert.equal("/a is none of the 2 that it may be: (1) must be string, not object; (2) /b must be at least 1, not 0", err.message)
    assert.same({ "/a", "anyOf", "#/properties/a/anyOf" }, { err.errors[1].instance, err.errors[1].keyword, err.errors[1].schema })
  end)
end)

describe("a context", function()
  it("is validated against the definition in the store, empty lists of the schema included", function()
    local folder = process.temp_dir()
    process.write_file(folder .. "/handler.lua", [[require("tasker").handler { namespace = "spec", name = "schemas",
      context_schema = { required = {}, ["$defs"] = { id = { type = "integer" } },
        properties = { ids = { type = "array", items = { ["$ref"] = "#/$defs/id" }, uniqueItems = true } } },
      steps = { { name = "a", run = function() end } } }]])
    local function submit(context, ...)
      return process.run { process.program(), "submit", "spec/schemas", context, "--store", folder .. "/store", ... }
    end
    assert.equal(0, submit('{"ids":[1]}', "--file", folder .. "/handler.lua").status)
    assert.equal(0, submit('{"ids":[]}').status)
    local refused = submit('{"ids":[1,1]}')
    process.remove_dir(folder)
    assert.equal(1, refused.status)
    assert.matches("/ids the elements 0 and 1 are equal", refused.stderr, 1, true)
  end)
end)
