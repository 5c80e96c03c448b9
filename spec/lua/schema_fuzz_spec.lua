-- Random schemas: compiling says what is wrong or works, and never raises; what is inferred and compared holds for random values.
local json = require("tasker.core").json
local schema = require "tasker.schema"
local schemas = require "spec.support.schemas"

local ROUNDS = 1500

local function show(value)
  return json.encode(value)
end

describe("compiling", function()
  it("whole random schemas works, and validating with them gives an answer", function()
    local valid, invalid = 0, 0
    for seed = 1, ROUNDS do
      local random = schemas.random(seed)
      local definition = schemas.whole(random, 3)
      local compiled = assert(schema.compile(definition))
      for _ = 1, 8 do
        local ok, err = compiled:validate(schemas.value(random, 3))
        valid, invalid = valid + (ok and 1 or 0), invalid + (ok and 0 or 1)
        assert.is_true(ok == true or (err.code == "invalid" and #err.errors > 0), show(definition))
      end
    end
    assert.is_true(valid > ROUNDS and invalid > ROUNDS, valid .. " " .. invalid)
  end)

  it("broken random schemas gives a schema or says what is wrong", function()
    local refused = 0
    for seed = 1, ROUNDS do
      local random = schemas.random(seed)
      local definition = schemas.whole(random, 3)
      for _ = 1, 3 do
        definition = schemas.break_one(random, definition)
      end
      local called, compiled, err = pcall(schema.compile, definition)
      assert.is_true(called, ("%s: %s"):format(show(definition), compiled))
      if compiled then
        compiled:validate(schemas.value(random, 3))
      else
        refused = refused + 1
        assert.equal("invalid", err.code)
      end
    end
    assert.is_true(refused > ROUNDS // 10, refused)
  end)

  it("random patterns gives a matcher or says why not", function()
    local pattern = require "tasker.schema.pattern"
    local pieces = { "a", "b", "(", ")", "[", "]", "{", "}", "^", "$", ".", "*", "+", "?", "|", "\\", "-", "2", ",", "\\u", "\\x4",
      "\\p{L}", "\\cA", "(?:", "(?=", "(?<n>", "\\k<n>", "\\1", "\\s", "\\S", "[^", "é", "\xff", "\0", ":", "(?P", "(*" }
    local random = schemas.random(5)
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, random(1, 8) do
        parts[i] = pieces[random(#pieces)]
      end
      local text = table.concat(parts)
      local called, matches, why = pcall(pattern.compile, text)
      assert.is_true(called, text .. ": " .. tostring(matches))
      assert.is_true(matches ~= nil or type(why) == "string", text)
      if matches then
        matches "ab1 é"
      end
    end
  end)
end)

describe("the check of texts in C", function()
  it("accepts nothing that the functions refuse, and nearly all that they accept", function()
    local programs, agreed, unsure = 0, 0, 0
    for seed = 1, 4 * ROUNDS do
      local random = schemas.random(seed)
      local compiled = assert(schema.compile(schemas.whole(random, 3)))
      local program = compiled.program
      compiled.program = nil
      programs = programs + (program and 1 or 0)
      for _ = 1, program and 10 or 0 do
        local value = schemas.value(random, 3)
        local expected = (compiled:validate(value)) == true
        local accepted = program:accepts(value)
        assert.equal(accepted, program:accepts_text(show(value)))
        if accepted then
          assert.is_true(expected, ("%s by %s"):format(show(value), show(compiled.resource.node)))
          agreed = agreed + 1
        elseif expected then
          unsure = unsure + 1
        end
      end
    end
    assert.is_true(programs > ROUNDS and agreed > ROUNDS, programs .. " " .. agreed)
    assert.is_true(unsure < agreed // 20, unsure .. " " .. agreed)
  end)

  it("takes any text for what it is", function()
    local program = assert(schema.compile { items = { type = "string", maxLength = 3, pattern = "^[^x]*$" } }).program
    for text, expected in pairs { ['["a","b"]'] = true, [' [ "a" , "\\u00e9\\u00e9\\u00e9" ] '] = true, ['["\\ud83d\\udc32"]'] = true,
      ["[1]"] = false, ['["abcd"]'] = false, ['["x"]'] = false, ['["\\u0078"]'] = false, ["[] x"] = false, ["["] = false, [""] = false,
      ['["a" "b"]'] = false, ['["a",]'] = false, ['{"a":}'] = false, ["nul"] = false, ['["\xff"]'] = false, ["1e999"] = false } do
      assert.equal(expected, program:accepts_text(text), text)
    end
    assert.is_false(program:accepts_text(("["):rep(100000)))
  end)
end)

describe("an inferred schema", function()
  it("accepts all samples, and is one", function()
    for seed = 1, ROUNDS do
      local random = schemas.random(seed)
      local samples = {}
      for i = 1, random(1, 4) do
        samples[i] = schemas.value(random, 3)
      end
      local definition = assert(schema.infer(samples))
      local compiled = assert(schema.compile(definition, { formats = true }))
      for _, sample in ipairs(samples) do
        assert.is_true((compiled:validate(sample)) == true, ("%s by %s"):format(show(sample), show(definition)))
      end
    end
  end)
end)

describe("a schema that is compatible with another", function()
  it("accepts all random values that the other accepts", function()
    local compatible, compared = 0, 0
    for seed = 1, ROUNDS do
      local random = schemas.random(seed)
      local old = schemas.whole(random, 2)
      -- A new version differs in a place or two.
      local new = random(3) == 1 and schemas.whole(random, 2) or schemas.break_one(random, old)
      local of_old, of_new = schema.compile(old), schema.compile(new)
      local ok = of_old and of_new and schema.compatible(old, new)
      if ok then
        compatible = compatible + 1
        for _ = 1, 60 do
          local value = schemas.value(random, 3)
          if of_old:validate(value) then
            compared = compared + 1
            assert.is_true((of_new:validate(value)) == true, ("%s -> %s: %s"):format(show(old), show(new), show(value)))
          end
        end
      end
    end
    assert.is_true(compatible > ROUNDS // 20 and compared > 1000, compatible .. " " .. compared)
  end)

  it("is itself", function()
    for seed = 1, 300 do
      local definition = schemas.whole(schemas.random(seed), 2)
      if not show(definition):find("unevaluated", 1, true) and not show(definition):find('$ref"', 1, true) then
        local ok, err = schema.compatible(definition, definition, "full")
        assert.is_true(ok, show(definition) .. ": " .. tostring(err))
      end
    end
  end)
end)
