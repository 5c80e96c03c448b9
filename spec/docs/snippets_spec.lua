-- What the README shows runs as printed, and prints what it says.
local process = require "spec.support.process"

local readme = process.read_file "README.md"

local function block(after, language)
  local from = assert(readme:find(after, 1, true), "the README says: " .. after)
  return assert(readme:match("```" .. language .. "\n(.-)```", from))
end

describe("the README", function()
  local folder

  setup(function()
    folder = process.temp_dir()
    process.write_file(folder .. "/hello.lua", block("Put this into `hello.lua`", "lua"))
  end)
  teardown(function() process.remove_dir(folder) end)

  local function run(script)
    return process.run { "sh", "-c", (script:gsub("build/tasker%-lua", process.program())), cwd = folder }
  end

  it("has a first workflow that runs as printed", function()
    local result = run(block("and run it:", "sh"))
    local promised = readme:match("It prints `(.-)`")
    assert.equal(0, result.status, result.stderr)
    assert.equal(promised .. "\n", result.stdout)
  end)

  it("keeps a task in a store, works it off and shows it", function()
    local lines = block("To keep it, give it a store", "sh"):gsub("\n$", ""):gsub("\n", " && ")
    local result = run(lines)
    assert.equal(0, result.status, result.stderr)
    local results = run("build/tasker-lua task @last --store ./store --results --json").stdout
    assert.equal("HELLO, BOB!", require("tasker").json.decode(results).shout)
  end)

  it("shows a script that prints what its comment says", function()
    process.write_file(folder .. "/script.lua", block("From Lua, with", "lua"))
    local result = run("build/tasker-lua script.lua")
    assert.equal("complete\t42\n", result.stdout, result.stderr)
  end)
end)
