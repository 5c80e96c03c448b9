-- The page about the command line says what the commands say.
local process = require "spec.support.process"

describe("docs/CLI.md", function()
  it("is what tools/cli-docs.lua prints", function()
    local printed = process.run { process.program(), "tools/cli-docs.lua" }
    assert.equal(0, printed.status, printed.stderr)
    assert.equal(printed.stdout, process.read_file "docs/CLI.md")
  end)
end)
