-- Every example runs from the project's folder and prints what its .expected file says.
local examples = require "spec.support.examples"
local peer = require "spec.support.peer"
local process = require "spec.support.process"

describe("the example", function()
  for _, path in ipairs(examples.list()) do
    local name = path:match("([%w_]+)%.lua$")
    it(name .. " prints what it promises", function()
      if assert(process.read_file(path)):find("examples.services", 1, true) and not peer.has_node then
        pending "skipped: node is not installed"
        return
      end
      local expected = assert(process.read_file("examples/" .. name .. ".expected"), "examples/" .. name .. ".expected is missing")
      local command = expected:match "^%$ tasker%-lua (.-)\n"
      local text = expected:gsub("^%$ .-\n", "")
      local result = process.run { "sh", "-c", process.program() .. " " .. (command or path) }
      assert.equal(0, result.status, result.stderr)
      assert.equal(text, result.stdout)
    end)
  end
end)

-- Drawings of the handlers of examples, kept beside the page that tells of them. They are written anew by
--   TASKER_WRITE_DIAGRAMS=yes busted --lua=build/tasker-lua spec/examples_spec.lua
describe("the page of examples", function()
  local DRAWN = { saga = "travel/trip@0.1.0", approval = "office/expense@0.1.0", expense = "office/claim@0.1.0",
    scatter = "report/prices@0.1.0", children = "mail/campaign@0.1.0", month_end = "books/close@0.1.0", versions = "shop/order@2.0.0",
    rate_limited = "shop/sync@0.1.0", poison = "import/payments@0.1.0", outside_rule = "shop/charge@0.1.0" }

  for name, handler in pairs(DRAWN) do
    it("has the diagram of " .. name .. " as it is drawn", function()
      local path = ("docs/diagrams/%s.svg"):format(name)
      local drawn = examples.each_handler(("examples/%s.lua"):format(name), ([[
        if tostring(handler) == %q then
          say((require("tasker").diagram(handler, { format = "svg" }):gsub("\n$", "")))
        end
      ]]):format(handler))
      assert.matches("^<svg", drawn)
      if os.getenv "TASKER_WRITE_DIAGRAMS" then
        process.write_file(path, drawn)
      end
      assert.equal(process.read_file(path), drawn, path)
      assert.truthy(process.read_file("docs/EXAMPLES.md"):find(("](diagrams/%s.svg)"):format(name), 1, true), name .. " is not on the page")
    end)
  end
end)
