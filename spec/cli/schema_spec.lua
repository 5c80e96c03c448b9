-- tasker-lua schema: what stands on stdout, and the exit code.
local json = require("tasker.core").json
local process = require "spec.support.process"

describe("tasker-lua schema", function()
  local folder

  local function write(name, text)
    process.write_file(folder .. "/" .. name, text)
  end

  local function run(...)
    return process.run { process.program(), "schema", cwd = folder, ... }
  end

  setup(function()
    folder = process.temp_dir()
    write("order.json", '{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},"at":{"format":"date"}}}')
    write("newer.json", '{"type":"object","properties":{"id":{"type":"number"},"at":{"format":"date"}}}')
    write("other.json", '{"$ref":"http://example.com/order"}')
    write("named.json", '{"$id":"http://example.com/order","type":"object"}')
    write("good.json", '{"id":1,"at":"2024-01-01"}')
    write("bad.json", '{"id":"1","at":"soon"}')
    write("lines.jsonl", '{"id":1}\n{"id":2,"name":"x"}\n')
  end)
  teardown(function() process.remove_dir(folder) end)

  it("validate says of each file whether it is valid", function()
    local result = run("validate", "order.json", "good.json", "bad.json")
    assert.equal(1, result.status)
    assert.equal("good.json: valid\nbad.json: /id must be integer, not string (#/properties/id/type)\n", result.stdout)
    assert.equal(0, run("validate", "order.json", "good.json").status)
  end)

  it("validate asserts formats when told to", function()
    local result = run("validate", "order.json", "bad.json", "--formats")
    assert.matches("/at is no date", result.stdout, 1, true)
  end)

  it("validate --json prints one value a file", function()
    local lines = {}
    for line in run("validate", "order.json", "good.json", "bad.json", "--json").stdout:gmatch("[^\n]+") do
      lines[#lines + 1] = assert(json.decode(line))
    end
    assert.same({ { file = "good.json", valid = true }, { file = "bad.json", valid = false, errors = { { instance = "/id",
      keyword = "type", schema = "#/properties/id/type", message = "must be integer, not string" } } } }, lines)
  end)

  it("validate finds other documents among those given, and fetches nothing", function()
    local result = run("validate", "other.json", "good.json")
    assert.equal(1, result.status)
    assert.matches("'http://example.com/order' cannot be resolved", result.stderr, 1, true)
    assert.equal(0, run("validate", "other.json", "good.json", "--add", "named.json").status)
  end)

  it("infer prints a schema that accepts the files", function()
    local result = run("infer", "--lines", "lines.jsonl")
    assert.equal(0, result.status)
    local schema = json.decode(result.stdout)
    assert.same({ "id" }, schema.required)
    assert.equal("string", schema.properties.name.type)
  end)

  it("compatible says whether, and why not", function()
    assert.equal("compatible\n", run("compatible", "order.json", "newer.json").stdout)
    local result = run("compatible", "order.json", "newer.json", "--mode", "full", "--json")
    assert.equal(1, result.status)
    local answer = json.decode(result.stdout)
    assert.is_false(answer.compatible)
    assert.equal(2, #answer.reasons)
  end)

  it("refuses what it cannot use: exit code 2 for usage, 1 for files", function()
    for _, arguments in ipairs { { "validate", "order.json" }, { "compatible", "order.json" }, { "guess", "order.json" } } do
      assert.equal(2, run(table.unpack(arguments)).status)
    end
    write("none.json", '{"type":"int"}')
    write("broken.json", "{")
    for _, arguments in ipairs { { "validate", "none.json", "good.json" }, { "validate", "absent.json", "good.json" },
      { "validate", "order.json", "broken.json" }, { "infer", "broken.json" } } do
      local result = run(table.unpack(arguments))
      assert.equal(1, result.status)
      assert.matches("^tasker%-lua: ", result.stderr)
      assert.equal("", result.stdout)
    end
  end)
end)
