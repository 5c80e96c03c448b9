local json = require("tasker.core").json
local schema = require "tasker.schema"

local function is_valid(definition, value)
  local compiled = assert(schema.compile(definition))
  return (compiled:validate(value)) == true
end

describe("a schema accepts and refuses by", function()
  local null, array = json.null, json.array
  -- keyword, schema, accepted, refused
  local cases = {
    { "type string", { type = "string" }, { "", "x" }, { 1, true, {}, null } },
    { "type integer", { type = "integer" }, { 1, 1.0, -5, math.maxinteger }, { 1.5, "1", math.huge } },
    { "type number", { type = "number" }, { 1, 1.5 }, { "1", true } },
    { "type boolean", { type = "boolean" }, { true, false }, { 0, "true", null } },
    { "type null", { type = "null" }, { null }, { false, 0, "" } },
    { "type object", { type = "object" }, { {}, { a = 1 } }, { array {}, { 1 }, "x" } },
    { "type array", { type = "array" }, { {}, array {}, { 1, 2 } }, { { a = 1 }, "x" } },
    { "several types", { type = { "string", "null" } }, { "x", null }, { 1 } },
    { "required", { required = { "a" } }, { { a = null }, { a = 1, b = 2 }, "no object" }, { {}, { b = 1 } } },
    { "properties", { properties = { a = { type = "integer" } } }, { {}, { a = 1 }, { b = "x" } }, { { a = "x" } } },
    { "additionalProperties false", { properties = { a = true }, additionalProperties = false }, { {}, { a = 1 } }, { { b = 1 } } },
    { "additionalProperties schema", { additionalProperties = { type = "integer" } }, { {}, { x = 1 } }, { { x = "1" } } },
    { "items", { items = { type = "integer" } }, { {}, { 1, 2 }, "x" }, { { 1, "2" } } },
    { "enum", { enum = { 1, "a", { b = { 1 } }, null } }, { 1, 1.0, "a", { b = { 1 } }, null }, { 2, "b", { b = { 2 } }, {} } },
    { "const", { const = { a = { 1, 2 } } }, { { a = { 1, 2.0 } } }, { { a = { 1 } }, { a = { 1, 2 }, b = 1 }, 1 } },
    { "minimum", { minimum = 1 }, { 1, 2.5, "x" }, { 0.9, -1 } },
    { "maximum", { maximum = 1 }, { 1, -2 }, { 1.1 } },
    { "minLength in characters", { minLength = 2 }, { "äö", "xyz", 5 }, { "ä", "" } },
    { "maxLength in characters", { maxLength = 2 }, { "äö", "" }, { "xyz" } },
    { "minItems", { minItems = 1 }, { { 1 }, { a = 1 } }, { {}, array {} } },
    { "maxItems", { maxItems = 1 }, { {}, { 1 } }, { { 1, 2 } } },
    { "pattern, unanchored", { pattern = "b+" }, { "abc", 5 }, { "ac" } },
    { "pattern, anchored", { pattern = "^[A-Z]{2}\\d$" }, { "AB1" }, { "AB1\n", "xAB1", "AB" } },
    { "pattern with \\u", { pattern = "^\\u00e4$" }, { "ä" }, { "a" } },
    { "the schema false", { properties = { a = false } }, { {} }, { { a = 1 } } },
    { "annotations, which say nothing", { title = "t", description = "d", default = 1, examples = { 1 },
      ["$id"] = "y", ["$comment"] = "z", ["x-own"] = { type = "no schema" } }, { 1, {}, "x" }, {} },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, value in ipairs(case[3]) do
        assert.is_true(is_valid(case[2], value), "refuses " .. tostring(json.encode(value)))
      end
      for _, value in ipairs(case[4]) do
        assert.is_false(is_valid(case[2], value), "accepts " .. tostring(value))
      end
    end)
  end
end)

describe("a violation", function()
  it("is told with JSON Pointers into value and schema", function()
    local compiled = assert(schema.compile { properties = { ["a/b"] = { items = { properties = { ["c~"] = { type = "integer" } } } } } })
    local ok, err = compiled:validate { ["a/b"] = { {}, { ["c~"] = "x" } } }
    assert.is_nil(ok)
    assert.equal("invalid", err.code)
    local found = err.details.errors
    assert.equal(1, #found)
    assert.equal("/a~1b/1/c~0", found[1].instance)
    assert.equal("#/properties/a~1b/items/properties/c~0/type", found[1].schema)
    assert.equal("type", found[1].keyword)
    assert.truthy(err.message:find("/a~1b/1/c~0", 1, true))
  end)

  it("does not hide the others", function()
    local compiled = assert(schema.compile { required = { "a", "b" }, properties = { c = { maximum = 1 } } })
    local _, err = compiled:validate { c = 5 }
    assert.equal(3, #err.details.errors)
  end)

  it("of an unexpected property suggests the expected one", function()
    local compiled = assert(schema.compile { properties = { order_id = true }, additionalProperties = false })
    local _, err = compiled:validate { oder_id = 5 }
    assert.truthy(err.message:find("did you mean 'order_id'", 1, true))
  end)

  it("of a pattern that backtracks without end comes soon", function()
    local compiled = assert(schema.compile { pattern = "^(a+)+$" })
    local started = os.clock()
    assert.is_nil(compiled:validate(("a"):rep(40) .. "b"))
    assert.is_true(os.clock() - started < 2)
  end)
end)

describe("an empty table where only a list may stand", function()
  local definition = { properties = { list = { type = "array" }, either = { type = { "array", "object" } } } }

  it("is counted, and left as it is", function()
    local compiled = assert(schema.compile(definition))
    local value = { list = {}, either = {} }
    assert.equal(1, compiled:empty_lists(value))
    assert.same({ true }, { compiled:validate(value) })
    assert.is_false(json.is_array(value.list))
  end)

  it("becomes one in what is kept", function()
    local compiled = assert(schema.compile(definition))
    local text, value = compiled:conform('{"either":{},"list":{}}')
    assert.equal('{"either":{},"list":[]}', text)
    assert.is_true(json.is_array(value.list))
  end)

  it("counts in the branch that is valid only", function()
    local compiled = assert(schema.compile { anyOf = { { type = "array", minItems = 1 }, { type = "object" } } })
    assert.equal("{}", (compiled:conform "{}"))
  end)

  it("is none when it was decoded from {}", function()
    local compiled = assert(schema.compile { type = "array" })
    assert.is_nil(compiled:validate(json.decode "{}"))
    assert.is_true((compiled:validate(json.decode "[]")))
  end)
end)

describe("a schema is refused, naming the keyword and its place, for", function()
  local cases = {
    { "a reference to nowhere", { items = { ["$ref"] = "#/x" } }, "'#/x' cannot be resolved", "#/items/$ref" },
    { "a reference to another document", { ["$ref"] = "http://example.com/x" }, "'http://example.com/x' cannot be resolved" },
    { "an unknown draft", { ["$schema"] = "http://json-schema.org/draft-04/schema#" }, "'$schema'", "draft-04" },
    { "an anchor that is there twice", { allOf = { { ["$anchor"] = "a" }, { ["$anchor"] = "a", type = "null" } } }, "'a'", "twice" },
    { "a schema in $defs that is none", { ["$defs"] = { a = { type = "int" } } }, "'int'", "#/$defs/a" },
    { "an allOf that is empty", { allOf = {} }, "'allOf'" },
    { "a multipleOf of 0", { multipleOf = 0 }, "'multipleOf'" },
    { "a pattern of PCRE alone", { pattern = "(?i)a" }, "'pattern'" },
    { "a pattern in patternProperties that is none", { patternProperties = { ["["] = true } }, "'patternProperties'" },
    { "an unknown type", { type = "int" }, "'type'", "'int'" },
    { "a required that is no list", { required = "a" }, "'required'" },
    { "properties that are a list", { properties = { "a" } }, "'properties'" },
    { "items as a list", { items = { {}, {} } }, "'items'" },
    { "an enum that is no list", { enum = 5 }, "'enum'" },
    { "a negative length", { minLength = -1 }, "'minLength'" },
    { "a minimum that is no number", { minimum = "1" }, "'minimum'" },
    { "a pattern that is none", { pattern = "(" }, "'pattern'" },
    { "a schema that is a number", { properties = { a = 5 } }, "#/properties/a" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local compiled, err = schema.compile(case[2])
      assert.is_nil(compiled)
      assert.equal("invalid", err.code)
      for i = 3, #case do
        assert.truthy(err.message:find(case[i], 1, true), err.message)
      end
    end)
  end

  it("nesting without end", function()
    local deep = {}
    deep.items = deep
    local compiled, err = schema.compile(deep)
    assert.is_nil(compiled)
    assert.truthy(err.message:find("deep", 1, true))
  end)
end)
