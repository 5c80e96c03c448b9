--- The examples, run quietly for what they define.
local process = require "spec.support.process"

local examples = {}

--- Runs an example in a process of its own, without what it prints, and then code for each handler that it defined.
-- @string path
-- @string code gets `handler`, and `say`, which prints
-- @treturn string what the code printed
function examples.each_handler(path, code)
  local result = process.run { process.program(), "-e", ([[
    local say, exit = print, os.exit
    print, io.write, os.exit = function() end, function() end, function() error "exit" end
    arg = { [0] = %q }
    pcall(dofile, %q)
    for _, handler in ipairs(require("tasker.registry").all()) do
      %s
    end
    exit(0, false)
  ]]):format(path, path, code) }
  assert(result.status == 0, result.stderr)
  return result.stdout
end

--- @treturn {string,...} paths of all examples
function examples.list()
  local pipe, found = assert(io.popen "ls examples/*.lua"), {}
  for path in pipe:lines() do
    found[#found + 1] = path
  end
  pipe:close()
  return found
end

return examples
