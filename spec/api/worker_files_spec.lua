local harness = require "spec.support.harness"
local tasker = require "tasker"

local process = harness.process

describe("app:work { files }", function()
  local app, url, dir
  before_each(function()
    app, url = harness.open "lmdb"
    dir = harness.temp_dir()
  end)
  after_each(harness.clean)

  local function file(name, text)
    return process.write_file(dir .. "/" .. name, text)
  end

  --- Defines what a file defines, through a worker that finds nothing to do.
  local function load_file(path)
    assert(app:work { files = { path }, until_idle = true })
  end

  it("runs steps in threads with a Lua state each", function()
    local path = file("states.lua", [[
      local tasker = require "tasker"
      local calls = 0
      tasker.handler { name = "in_threads", steps = { { name = "a", run = function()
        calls = calls + 1
        tasker.sleep(0.002)
        return { state = tostring(tasker.handler), calls = calls }
      end } } }
    ]])
    load_file(path)
    local ids = {}
    for n = 1, 200 do
      ids[n] = assert(app:submit("in_threads", { n = n }))
    end
    assert.is_true(app:work { files = { path }, threads = 4, concurrency = 4, until_idle = true })
    local states, count = {}, 0
    for _, id in ipairs(ids) do
      local results = app:task(id).results.a
      if not states[results.state] then
        states[results.state] = true
        count = count + 1
      end
    end
    assert.is_true(count > 1, "only one state ran steps")
  end)

  it("answers an err that names the file when it cannot be loaded", function()
    local missing = dir .. "/missing.lua"
    local ok, err = app:work { files = { missing }, until_idle = true }
    assert.is_nil(ok)
    harness.contains("missing.lua", err.message)
    local broken = file("broken.lua", "local x = = 1")
    ok, err = app:work { files = { broken }, until_idle = true }
    assert.is_nil(ok)
    harness.contains("broken.lua", err.message)
    local raising = file("raising.lua", "error 'on purpose'")
    ok, err = app:work { files = { raising }, until_idle = true }
    assert.is_nil(ok)
    harness.contains("on purpose", err.message)
  end)

  it("does not let a file open, submit or work while it is loaded", function()
    for _, call in ipairs { "tasker.open 'memory:'", "tasker.app():submit('x')", "tasker.app():work {}" } do
      local ok, err = app:work { files = { file("calls.lua", "local tasker = require 'tasker'; " .. call) }, until_idle = true }
      assert.is_nil(ok)
      assert.is_string(err.message)
    end
  end)

  it("finishes tasks of an older content with the source that the store kept", function()
    local path = file("versions.lua", [[
      require("tasker").handler { name = "changing", chain = true, steps = {
        { name = "a", run = function() return "old a" end }, { name = "b", run = function() return "old b" end },
      } }
    ]])
    load_file(path)
    local old = assert(app:submit "changing")
    file("versions.lua", [[
      require("tasker").handler { name = "changing", steps = { { name = "other", run = function() return "new" end } } }
    ]])
    load_file(path)
    local new = assert(app:submit "changing")
    assert(app:work { files = { path }, until_idle = true })
    assert.same({ other = "new" }, app:task(new).results)
    local task = app:task(old)
    if task.status == "complete" then
      assert.same({ a = "old a", b = "old b" }, task.results)
    else
      assert.equal("ready", task.steps.a.status)
    end
  end)

  it("keeps local modules that a handler file requires", function()
    file("helper_module.lua", "return { answer = 42 }")
    local path = file("main.lua", [[
      local helper = require "helper_module"
      require("tasker").handler { name = "with_module", steps = { { name = "a", run = function() return helper.answer end } } }
    ]])
    local result = process.run { process.program(), "run", path, "with_module", cwd = dir }
    assert.equal(0, result.status, result.stderr)
    harness.contains("42", result.stdout)
  end)

  it("ends by SIGTERM with true, and a stopped worker frees what it held #slow", function()
    local path = file("endless.lua", [[
      require("tasker").handler { name = "endless", steps = { { name = "a", run = function() require("tasker").sleep(60) end } } }
    ]])
    load_file(path)
    local id = assert(app:submit "endless")
    local script = file("work.lua", [[
      local app = assert(require("tasker").open(arg[1]))
      print(app:work { files = { arg[2] }, threads = 2 })
      app:close()
    ]])
    local child = harness.start { process.program(), script, url, path }
    harness.eventually(function() return app:task(id).steps.a.status == "in_progress" end, 20, "it runs")
    child:kill "TERM"
    harness.eventually(function() return not child:running() end, 20, "it has ended")
    assert.equal(0, child:status(), child:stderr())
    assert.equal("true\n", child:stdout())
    assert.equal("ready", app:task(id).steps.a.status)
  end)
end)

describe("tasker.app", function()
  after_each(harness.clean)

  it("is the app of the worker in a step, and the one opened last in a script", function()
    local first = harness.open "memory"
    assert.equal(first, tasker.app())
    local second = harness.open "memory"
    assert.equal(second, tasker.app())
    local handler = harness.one_step(function() return #tasker.app():tasks {} end)
    assert.equal(1, first:run(handler).results.only)
    assert.equal(0, #second:tasks {})
  end)
end)
