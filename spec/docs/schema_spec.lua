-- What docs/SCHEMA.md shows runs as printed, and prints what it says.
local process = require "spec.support.process"

local document = process.read_file "docs/SCHEMA.md"

describe("docs/SCHEMA.md", function()
  local count = 0
  for code, expected in document:gmatch("```lua\n(.-)```\n```text\n(.-)```") do
    count = count + 1
    it("shows code that prints what stands below it, number " .. count, function()
      local result = process.run { process.program(), "-", stdin = code }
      assert.equal(expected, result.stdout, result.stderr)
    end)
  end

  it("shows no code besides", function()
    local _, all = document:gsub("```lua\n", "")
    assert.equal(all, count)
  end)
end)
