-- A moment of each target of spec/fuzz/lua.lua, from the same seeds each time; `make fuzz` goes on from there.
local process = require "spec.support.process"

describe("fuzzing finds nothing in", function()
  for _, target in ipairs { "headers", "schema", "signature", "template", "url" } do
    it(target .. " within a moment", function()
      local result = process.run { process.program(), "spec/fuzz/lua.lua", target, "0.2", "1" }
      assert.equal(0, result.status, result.stderr)
    end)
  end
end)
