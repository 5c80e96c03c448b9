local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

for _, kind in ipairs(harness.kinds) do
  describe("app:work { until_idle }, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("returns true at once when there is nothing to do", function()
      local before = tasker.now()
      assert.is_true(app:work { until_idle = true })
      assert.is_true(tasker.now() - before < 1)
    end)

    it("waits for retries, snoozes, sleeps and run_at", function()
      local handler = harness.one_step(function(_, s)
        if s.attempt == 1 then error "again" end
        if s.attempt == 2 then return tasker.snooze(0.01) end
        tasker.sleep(0.01)
      end, { retry = { backoff = "fixed", base = 0.01, jitter = "none" } })
      local id = app:submit(handler, {}, { delay = 0.03 })
      assert.is_true(app:work { until_idle = true })
      assert.equal("complete", app:task(id).status)
    end)

    it("does what steps submit meanwhile", function()
      local handler
      handler = harness.one_step(function(task)
        if task.context.n > 0 then assert(tasker.app():submit(handler, { n = task.context.n - 1 })) end
      end)
      app:submit(handler, { n = 5 })
      app:work { until_idle = true }
      assert.equal(6, #app:tasks { status = "complete" })
    end)

    it("returns while tasks are paused or lie in other queues", function()
      local handler = harness.one_step(nothing)
      local paused = app:submit(handler)
      app:pause(paused)
      local elsewhere = app:submit(handler, {}, { queue = "elsewhere" })
      assert.is_true(app:work { until_idle = true })
      assert.equal("paused", app:task(paused).status)
      assert.equal("ready", app:task(elsewhere).steps.only.status)
      assert.is_true(app:work { until_idle = true, queues = { "elsewhere" } })
      assert.equal("complete", app:task(elsewhere).status)
    end)

    it("with a number returns true after that many seconds", function()
      app:submit(harness.one_step(nothing), {}, { delay = 3600 })
      local before = tasker.now()
      assert.is_true(app:work { until_idle = 0.1 })
      local took = tasker.now() - before
      assert.is_true(took >= 0.095 and took < 5)
    end)

    it("ends early when a step calls app:stop", function()
      local id = app:submit(harness.one_step(function() tasker.app():stop() end))
      app:submit(harness.one_step(nothing), {}, { delay = 3600 })
      assert.is_true(app:work {})
      assert.equal("complete", app:task(id).status)
    end)
  end)
end

describe("app:work { until_idle }", function()
  after_each(harness.clean)

  it("does not wait for steps whose code it lacks, and says on stderr which handler is missing", function()
    local app, url = harness.open "lmdb"
    local id = app:submit(harness.handler { namespace = "far", name = "away", steps = { { name = "a", run = nothing } } })
    local script = harness.process.write_file(harness.temp_dir() .. "/worker.lua", [[
      local app = assert(require("tasker").open(arg[1]))
      assert(app:work { until_idle = true } == true)
      app:close()
    ]])
    local result = harness.process.run { harness.process.program(), script, url, timeout = 20 }
    assert.equal(0, result.status, result.stderr)
    harness.contains("far/away", result.stderr)
    assert.equal("ready", app:task(id).steps.a.status)
  end)
end)
