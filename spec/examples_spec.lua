-- Every example runs from the project's folder and prints what its .expected file says.
local process = require "spec.support.process"

local function list(pattern)
  local pipe, found = assert(io.popen("ls " .. pattern .. " 2>/dev/null")), {}
  for path in pipe:lines() do found[#found + 1] = path end
  pipe:close()
  return found
end

describe("the example", function()
  for _, path in ipairs(list "examples/*.lua") do
    local name = path:match("([%w_]+)%.lua$")
    it(name .. " prints what it promises", function()
      local expected = assert(process.read_file("examples/" .. name .. ".expected"), "examples/" .. name .. ".expected is missing")
      local command = expected:match "^%$ tasker%-lua (.-)\n"
      local text = expected:gsub("^%$ .-\n", "")
      local result = process.run { "sh", "-c", process.program() .. " " .. (command or path) }
      assert.equal(0, result.status, result.stderr)
      assert.equal(text, result.stdout)
    end)
  end
end)
