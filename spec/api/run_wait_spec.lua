local harness = require "spec.support.harness"
local tasker = require "tasker"

local process = harness.process
local function nothing() end

for _, kind in ipairs(harness.kinds) do
  describe("app:run, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("submits, works until that task is final, and returns it", function()
      local handler = harness.handler { chain = true, steps = {
        { name = "a", run = function(task) return task.context.n end }, { name = "b", run = function(task) return task.results.a * 2 end },
      } }
      local task = app:run(handler, { n = 21 }, { tags = { "t" } })
      assert.equal("complete", task.status)
      assert.equal(42, task.results.b)
      assert.same({ "t" }, task.tags)
    end)

    it("returns a task in error too", function()
      assert.equal("error", app:run(harness.one_step(error, { retry = { limit = 1 } })).status)
    end)

    it("does not wait for other tasks", function()
      app:submit(harness.one_step(nothing), {}, { delay = 3600 })
      local before = tasker.now()
      assert.equal("complete", app:run(harness.one_step(nothing)).status)
      assert.is_true(tasker.now() - before < 10)
    end)

    it("works in whatever queue its task, its steps and its children lie in", function()
      local child = harness.handler { queue = "kids", steps = { { name = "a", run = nothing } } }
      local handler = harness.handler { queue = "apart", steps = {
        { name = "a", run = nothing }, { name = "b", queue = "further", run = nothing }, { name = "c", child = child },
      } }
      assert.equal("complete", app:run(handler).status)
      assert.equal("complete", app:run(harness.one_step(nothing), {}, { queue = "named" }).status)
      local id = app:submit(handler)
      assert.equal("complete", app:work_for(id, { until_idle = 5 }).status)
    end)

    it("answers nil, err when the submission does", function()
      harness.refused("not_found", "nobody", app:run "nobody")
      harness.refused("invalid", "context", app:run(harness.one_step(nothing), { 1 }))
    end)

    it("waits for the retries of its task", function()
      local task = app:run(harness.one_step(function(_, s)
        if s.attempt < 3 then error "again" end
      end, { retry = { backoff = "fixed", base = 0.02, jitter = "none" } }))
      assert.equal("complete", task.status)
      assert.equal(3, task.steps.only.attempts)
    end)
  end)
end

describe("app:wait", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("returns a final task at once", function()
    local id = app:run(harness.one_step(nothing)).task_id
    assert.equal(id, app:wait(id, 5).task_id)
    assert.equal(id, app:wait(id).task_id)
  end)

  it("in a step lets the other step run", function()
    local child = app:submit(harness.one_step(function() return "done" end), {}, { delay = 0.02 })
    local task = app:run(harness.one_step(function() return tasker.app():wait(child, 10).results.only end))
    assert.equal("done", task.results.only)
  end)

  it("in a step answers timeout", function()
    local child = app:submit(harness.one_step(nothing), {}, { delay = 3600 })
    local task = app:run(harness.one_step(function()
      local _, err = tasker.app():wait(child, 0.02)
      return err.code
    end))
    assert.equal("timeout", task.results.only)
  end)
end)

describe("tasker.open", function()
  after_each(harness.clean)

  local script = [[
    local tasker = require "tasker"
    local app = assert(tasker.open())
    assert(app:submit(tasker.handler { name = "x", steps = { { name = "a", run = function() end } } }))
    app:close()
  ]]

  it("takes $TASKER_STORE when it is given nothing", function()
    local dir = harness.temp_dir()
    process.write_file(dir .. "/s.lua", script)
    local result = process.run { process.program(), "s.lua", cwd = dir, env = { TASKER_STORE = dir .. "/named" } }
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(io.open(dir .. "/named/data.mdb") or io.open(dir .. "/named/lock"))
  end)

  it("takes ./tasker-data without it", function()
    local dir = harness.temp_dir()
    process.write_file(dir .. "/s.lua", script)
    local result = process.run { process.program(), "s.lua", cwd = dir }
    assert.equal(0, result.status, result.stderr)
    assert.equal(1, #harness.reopen(dir .. "/tasker-data"):tasks {})
  end)

  it("does not promise durability over an environment that is open without it", function()
    local path = harness.temp_dir() .. "/store"
    local relaxed = assert(tasker.open(path, { durability = "relaxed" }))
    harness.refused("conflict", { "relaxed" }, tasker.open(path))
    assert(tasker.open(path, { read_only = true })):close()
    assert(tasker.open(path, { durability = "relaxed" })):close()
    relaxed:close()
    assert(tasker.open(path)):close()
  end)

  it("takes relaxed durability and a map size", function()
    local app = harness.open("lmdb", { durability = "relaxed", map_size = 1024 * 1024 })
    local handler = harness.one_step(function() return ("x"):rep(100000) end)
    for n = 1, 40 do
      app:submit(handler, { n = n })
    end
    assert.is_true(app:work { until_idle = true })
    assert.equal(40, #app:tasks { status = "complete" })
  end)
end)
