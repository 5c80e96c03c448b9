local harness = require "spec.support.harness"

local process = harness.process

describe("a task id on the command line", function()
  local app, url, first, second
  before_each(function()
    app, url = harness.open "lmdb"
    local handler = harness.one_step(function() end)
    first, second = app:submit(handler), app:submit(handler)
  end)
  after_each(harness.clean)

  --- The id of the task that `task TEXT --json` shows, or nil and the line on stderr.
  local function found(text)
    local result = process.run { process.program(), "task", text, "--json", "--store", url }
    if result.status == 0 then
      return result.stdout:match '"task_id":"([^"]+)"'
    end
    assert.equal(1, result.status)
    assert.equal("", result.stdout)
    return nil, result.stderr
  end

  it("may be whole, in either case", function()
    assert.equal(first, found(first))
    assert.equal(second, found(second:upper()))
  end)

  it("may be a unique end, with or without its dashes", function()
    assert.equal(first, found(first:sub(-6)))
    assert.equal(second, found(second:sub(-17)))
    assert.equal(second, found((second:gsub("-", ""))))
  end)

  it("may be a unique beginning", function()
    local length = 1
    while first:sub(1, length) == second:sub(1, length) do
      length = length + 1
    end
    assert.equal(second, found(second:sub(1, math.max(length, 6))))
  end)

  it("may be @last: the newest", function()
    assert.equal(second, found "@last")
  end)

  it("is refused when it fits two, and both are named", function()
    local id, why = found(first:sub(1, 6))
    assert.is_nil(id)
    harness.contains(first, why)
    harness.contains(second, why)
  end)

  it("is refused when it is too short, unknown or no id", function()
    for _, text in ipairs { first:sub(-5), "ffffff", "nonsense", "00000000-0000-7000-8000-000000000000", first .. "0" } do
      local id, why = found(text)
      assert.is_nil(id)
      harness.contains(text, why)
    end
  end)
end)
