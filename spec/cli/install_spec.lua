-- What was built works where it is put: the program anywhere, the module in a stock Lua.
local process = require "spec.support.process"

local build = os.getenv "TASKER_BUILD" or "build"

-- A sanitizer's library would have to be loaded before the stock interpreter.
local sanitized = build:find("asan", 1, true) or build:find("tsan", 1, true)

local WORKFLOW = [[
local tasker = require "tasker"
tasker.handler { name = "sum", steps = {
  { name = "one", run = function() return 20 end },
  { name = "two", depends_on = "one", run = function(task) return task.results.one + 22 end } } }
local app = assert(tasker.open "memory:")
local task = assert(app:run("sum"))
print(task.status, task.steps.two.results)
app:close()
]]

describe("what was built", function()
  local dir, script

  setup(function()
    dir = process.temp_dir()
    script = process.write_file(dir .. "/workflow.lua", WORKFLOW)
  end)

  teardown(function()
    process.remove_dir(dir)
  end)

  local function assert_runs(argv)
    local result = process.run(argv)
    assert.equal("", result.stderr)
    assert.equal("complete\t42\n", result.stdout)
    assert.equal(0, result.status)
  end

  local function absolute(path)
    return process.program():gsub("tasker%-lua$", "") .. path
  end

  it("runs from any folder, as one program without its sources", function()
    os.execute(("cp %s %s/program"):format(process.program(), dir))
    assert_runs { dir .. "/program", script, cwd = "/" }
  end)

  it("loads into a stock Lua by LUA_PATH and LUA_CPATH", function()
    if sanitized then
      pending "a stock Lua cannot load a module built with a sanitizer"
    end
    local sources = process.run({ "pwd" }).stdout:gsub("\n", "")
    assert_runs { "lua5.4", script, cwd = dir, env = {
      LUA_PATH = sources .. "/lua/?.lua;" .. sources .. "/lua/?/init.lua", LUA_CPATH = absolute "?.so" } }
  end)

  it("works after make install, from a staging folder too", function()
    local result = process.run { "make", "-s", "-o", "all", "install", "BUILD=" .. build, "DESTDIR=" .. dir .. "/stage",
      "PREFIX=/opt/x" }
    assert.equal("", result.stderr)
    local prefix = dir .. "/stage/opt/x"
    assert_runs { prefix .. "/bin/tasker-lua", script, cwd = "/" }
    if not sanitized then
      local lua = prefix .. "/share/lua/5.4"
      assert_runs { "lua5.4", script, cwd = "/", env = { LUA_PATH = lua .. "/?.lua;" .. lua .. "/?/init.lua",
        LUA_CPATH = prefix .. "/lib/lua/5.4/?.so" } }
    end
  end)

  it("gives out one function and takes Lua from its host", function()
    local symbols = process.run({ "nm", "-D", "--defined-only", absolute "tasker/core.so" }).stdout
    local names = {}
    for name in symbols:gmatch " [TDBRVW] ([%w_]+)" do
      names[#names + 1] = name
    end
    if not sanitized then
      assert.same({ "luaopen_tasker_core" }, names)
    end
    assert.falsy(process.run({ "ldd", absolute "tasker/core.so" }).stdout:find("liblua", 1, true))
    assert.truthy(process.run({ "ldd", process.program() }).stdout:find("liblua5.4", 1, true))
  end)
end)
