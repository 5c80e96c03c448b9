-- The examples of docs/TESTING.md run, one after the other.
local process = require "spec.support.process"

describe("docs/TESTING.md", function()
  local page = process.read_file "docs/TESTING.md"
  local blocks = {}
  for block in page:gmatch "```lua\n(.-)```" do
    blocks[#blocks + 1] = block
  end
  local definition = table.remove(blocks, 1)

  it("has examples", function()
    assert.is_true(#blocks > 5)
  end)

  for i, block in ipairs(blocks) do
    it("has an example that runs: " .. i, function()
      local env = setmetatable({ assert = _G.assert, print = function() end }, { __index = _G })
      local chunk = assert(load(definition .. "\n" .. block, "=TESTING.md " .. i, "t", env))
      chunk()
    end)
  end
end)
