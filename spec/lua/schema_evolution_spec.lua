-- tasker.schema.infer and tasker.schema.compatible.
local tasker = require "tasker"

local infer, compatible = tasker.schema.infer, tasker.schema.compatible
local json = tasker.json

local function inferred(...)
  local schema = assert(infer { ... })
  assert.equal("https://json-schema.org/draft/2020-12/schema", schema["$schema"])
  schema["$schema"] = nil
  return json.encode(schema)
end

describe("tasker.schema.infer", function()
  it("tells types, together where they differ", function()
    assert.equal('{"type":"integer"}', inferred(1, 2.0))
    assert.equal('{"type":"number"}', inferred(1, 2.5))
    assert.equal('{"type":["null","string"]}', inferred("a", json.null))
    assert.equal("{}", inferred())
  end)

  it("requires what all objects have", function()
    assert.equal('{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"type":"object"}',
      inferred({ a = 1, b = "x" }, { a = 2 }))
  end)

  it("looks into lists, and takes an empty table for one where others are", function()
    assert.equal('{"properties":{"l":{"items":{"type":["boolean","integer"]},"type":"array"}},"required":["l"],"type":"object"}',
      inferred({ l = { 1, true } }, { l = {} }, { l = json.array {} }))
    assert.equal('{"type":"object"}', inferred({}))
  end)

  it("tells a form that all texts have", function()
    assert.equal('{"format":"date","type":"string"}', inferred("2024-02-29", "1999-12-31"))
    assert.equal('{"type":"string"}', inferred("2024-02-29", "no date"))
    assert.equal('{"format":"uuid","type":"string"}', inferred("2eb8aa08-aa98-11ea-b4aa-73b441d16380"))
    assert.equal('{"format":"uri","type":"string"}', inferred("https://example.com/a"))
    assert.equal('{"type":"string"}', inferred("a:b"))
  end)

  it("raises for what is no list, and says when a sample is too deep", function()
    assert.is_false((pcall(infer, "text")))
    assert.is_false((pcall(infer, { a = 1 })))
    local deep = {}
    for _ = 1, 200 do
      deep = { deep }
    end
    local schema, err = infer { deep }
    assert.is_nil(schema)
    assert.equal("invalid", err.code)
  end)
end)

local OBJECT = { type = "object", properties = { a = { type = "string" } }, required = { "a" } }

local function with(changes)
  local copy = json.decode(json.encode(OBJECT))
  for key, value in pairs(changes) do
    copy[key] = value
  end
  return copy
end

-- name, old, new, backward, forward
local cases = {
  { "the same", OBJECT, OBJECT, true, true },
  { "a wider type", { type = "integer" }, { type = "number" }, true, false },
  { "one more type", { type = "string" }, { type = { "string", "null" } }, true, false },
  { "one more required property", OBJECT, with { required = { "a", "b" } }, false, true },
  { "one property required no more", OBJECT, with { required = json.array {} }, true, false },
  { "a new optional property with a type", OBJECT,
    with { properties = { a = { type = "string" }, b = { type = "integer" } } }, false, true },
  { "a new optional property where no others were allowed",
    with { additionalProperties = false }, with { additionalProperties = false, properties = { a = { type = "string" }, b = true } },
    true, false },
  { "no more additional properties", OBJECT, with { additionalProperties = false }, false, true },
  { "one more value", { enum = { 1, 2 } }, { enum = { 1, 2, 3 } }, true, false },
  { "values in place of a type", { type = "string" }, { enum = { "a", "b" } }, false, true },
  { "tighter bounds", { type = "integer", minimum = 0, maximum = 10 }, { type = "integer", minimum = 1, maximum = 9 }, false, true },
  { "an exclusive bound", { type = "number", minimum = 0 }, { type = "number", exclusiveMinimum = 0 }, false, true },
  { "longer texts", { type = "string", maxLength = 3 }, { type = "string", maxLength = 5 }, true, false },
  { "a multiple", { type = "integer", multipleOf = 6 }, { type = "integer", multipleOf = 3 }, true, false },
  { "another pattern", { type = "string", pattern = "^a" }, { type = "string", pattern = "^b" }, false, false },
  { "elements of a wider type", { type = "array", items = { type = "integer" } },
    { type = "array", items = { type = "number" } }, true, false },
  { "a choice in place of types", { type = { "string", "null" } }, { anyOf = { { type = "string" }, { type = "null" } } }, true, true },
  { "one more choice", { anyOf = { { type = "string" } } }, { anyOf = { { type = "string" }, { type = "null" } } }, true, false },
  { "annotations", { type = "string", title = "a" }, { type = "string", title = "b", description = "c" }, true, true },
  { "allOf taken apart", { allOf = { { type = "integer" }, { minimum = 1 } } }, { type = "integer", minimum = 1 }, true, true },
  { "a reference in place of what it means", { type = "integer" }, { ["$ref"] = "#/$defs/n", ["$defs"] = { n = { type = "integer" } } },
    true, true },
  { "a definition that became narrower", { ["$ref"] = "#/$defs/n", ["$defs"] = { n = { type = "number" } } },
    { ["$ref"] = "#/$defs/n", ["$defs"] = { n = { type = "integer" } } }, false, true },
  { "a schema that refers to itself", { type = "object", properties = { next = { ["$ref"] = "#" } } },
    { type = { "object", "null" }, properties = { next = { ["$ref"] = "#" } } }, true, false },
  { "drafts that differ", { ["$schema"] = "http://json-schema.org/draft-07/schema#", items = { { type = "string" } }, type = "array" },
    { prefixItems = { { type = "string" } }, type = "array" }, true, true },
  { "nothing at all", { type = "string" }, false, false, true },
  { "anything", { type = "string" }, true, true, false },
}

describe("tasker.schema.compatible", function()
  for _, case in ipairs(cases) do
    it("knows of " .. case[1], function()
      for mode, expected in pairs { backward = case[4], forward = case[5], full = case[4] and case[5] } do
        local ok, err = compatible(case[2], case[3], mode)
        assert.equal(expected, ok == true, ("%s: %s"):format(mode, tostring(err)))
      end
    end)
  end

  it("gives the reasons", function()
    local ok, err = compatible(OBJECT, with { required = { "a", "b" }, properties = { a = { type = "integer" } } })
    assert.is_nil(ok)
    assert.equal("conflict", err.code)
    assert.same({ "#/properties/a: the new schema does not accept string", "#: the new schema requires 'b'" }, err.reasons)
    assert.same(err.reasons, err.details.reasons)
  end)

  it("refuses a mode that is none and schemas that are none", function()
    for _, arguments in ipairs { { OBJECT, OBJECT, "sideways" }, { { type = "int" }, OBJECT }, { OBJECT, { type = "int" } } } do
      local ok, err = compatible(table.unpack(arguments))
      assert.is_nil(ok)
      assert.equal("invalid", err.code)
    end
    assert.is_false((pcall(compatible, OBJECT, OBJECT, 5)))
  end)
end)
