-- What docs/WEBHOOKS.md shows of steps is what a handler takes.
local harness = require "spec.support.harness"
local process = require "spec.support.process"

describe("the page of webhooks", function()
  local page = process.read_file "docs/WEBHOOKS.md"

  it("shows steps that can be defined", function()
    local count = 0
    for text in page:gmatch "```lua\n({.-)```" do
      local step = assert(load("return " .. text))()
      local steps = { step }
      for _, name in ipairs { step.depends_on } do
        table.insert(steps, 1, { name = name, run = print })
      end
      assert.matches(step.name, tostring(harness.handler { steps = steps }.steps[#steps].name), 1, true)
      count = count + 1
    end
    assert.equal(2, count)
  end)

  it("shows code that compiles", function()
    for text in page:gmatch "```lua\n([^{].-)```" do
      assert(load(text))
    end
  end)
end)
