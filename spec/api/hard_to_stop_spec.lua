local harness = require "spec.support.harness"
local tasker = require "tasker"

local process = harness.process
local once = { limit = 1 }
local it_ends_loops = harness.it_ends_loops(it, pending)

describe("a step in a C call that does not return in time #slow", function()
  local app
  before_each(function() app = harness.open "lmdb" end)
  after_each(harness.clean)

  it("is failed and fenced in time, and what it returns later is ignored", function()
    local handler = harness.one_step(function()
      os.execute "sleep 4"
      return "too late"
    end, { timeout = 0.2, retry = once })
    local id = app:submit(handler)
    app:work { until_idle = true }
    local task = app:task(id)
    assert.equal("error", task.status)
    assert.equal("timeout", task.errors.only.code)
    local started = harness.events_of(app, "step.started", id)[1]
    local failed = harness.events_of(app, "step.failed", id)[1]
    assert.is_true(tasker.time.parse(failed.at) - tasker.time.parse(started.at) < 3)
    assert.equal(1, #harness.events_of(app, "step.failed", id))
  end)

  it("does not keep other tasks from being worked off afterwards", function()
    local slow = harness.one_step(function() os.execute "sleep 3" end, { timeout = 0.2, retry = once })
    local quick = harness.one_step(function() return "quick" end)
    app:submit(slow)
    local ids = {}
    for n = 1, 20 do
      ids[n] = app:submit(quick, { n = n })
    end
    app:work { until_idle = true }
    for _, id in ipairs(ids) do
      assert.equal("complete", app:task(id).status)
    end
  end)

  it("is left behind when it does not come back: another thread takes over", function()
    local dir = harness.temp_dir()
    local file = process.write_file(dir .. "/stuck.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "stuck", steps = { { name = "a", timeout = 0.2, retry = { limit = 1 }, run = function()
        os.execute "sleep 60"
      end } } }
      tasker.handler { name = "quick", steps = { { name = "a", run = function() return "quick" end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local stuck = assert(app:submit "stuck")
    local child = harness.start { process.program(), "worker", file, "--store", app:url(), "--threads", "1" }
    harness.eventually(function() return app:task(stuck).status == "error" end, 10, "it is fenced")
    local quick = assert(app:submit "quick")
    assert.equal("complete", assert(app:wait(quick, 25)).status)
    assert.is_true(child:running())
  end)
end)

describe("a step that is cancelled and tried again before its first attempt answers", function()
  after_each(harness.clean)

  it("gives its slot back", function()
    local app = harness.open "lmdb"
    local file = process.write_file(harness.temp_dir() .. "/slow.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "slow", steps = { { name = "a", run = function(_, step)
        if step.attempt == 1 then os.execute "sleep 0.3" end
        return step.attempt
      end } } }
      tasker.handler { name = "patient", steps = { { name = "a", run = function() tasker.sleep(60) end } } }
    ]])
    harness.start { process.program(), "worker", file, "--store", app:url(), "--threads", "1", "--concurrency", "2" }
    local id = harness.eventually(function() return (app:submit "slow") end, 20)
    harness.eventually(function() return app:task(id).steps.a.status == "in_progress" end, 10)
    assert(app:cancel(id, "no", { step = "a" }))
    assert(app:retry(id))
    assert.equal(2, assert(app:wait(id, 10)).results.a)
    local first, second = assert(app:submit "patient"), assert(app:submit "patient")
    harness.eventually(function()
      return app:task(first).steps.a.status == "in_progress" and app:task(second).steps.a.status == "in_progress"
    end, 10, "both slots are free")
  end)
end)

describe("a worker's memory cap", function()
  after_each(harness.clean)

  it("turns into a failed attempt, and the worker goes on", function()
    local app = harness.open "lmdb"
    local dir = harness.temp_dir()
    local file = process.write_file(dir .. "/greedy.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "greedy", steps = { { name = "a", retry = { limit = 1 }, run = function()
        local t = {}
        for n = 1, 1e9 do t[n] = ("x"):rep(1000) .. n end
      end } } }
      tasker.handler { name = "modest", steps = { { name = "a", run = function() return "fine" end } } }
    ]])
    local child = harness.start { process.program(), "worker", file, "--store", app:url(), "--memory", "32M" }
    local greedy = harness.eventually(function() return app:submit "greedy" end, 20)
    local task = assert(app:wait(greedy, 30))
    assert.equal("error", task.status)
    harness.contains("memory", task.errors.a.message)
    local modest = assert(app:submit "modest")
    assert.equal("complete", assert(app:wait(modest, 20)).status)
    assert.is_true(child:running())
  end)
end)

describe("a step whose process dies #slow", function()
  after_each(harness.clean)

  it_ends_loops("is in error after retry.lost_limit losses", function()
    local app = harness.open "lmdb"
    local dir = harness.temp_dir()
    local file = process.write_file(dir .. "/deadly.lua", [[
      require("tasker").handler { name = "deadly", steps = { { name = "a", retry = { limit = 1, lost_limit = 2 }, run = function()
        os.execute "kill -9 $PPID"
        while true do end
      end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local id = assert(app:submit "deadly")
    for _ = 1, 2 do
      local child = harness.start { process.program(), "worker", file, "--store", app:url() }
      harness.eventually(function() return not child:running() end, 20, "the worker died")
    end
    assert(app:work { files = { file }, until_idle = true })
    local task = app:task(id)
    assert.equal("error", task.status)
    assert.equal("lost", task.errors.a.code)
    assert.equal(2, task.steps.a.attempts)
    assert.equal(2, #harness.events_of(app, "step.failed", id))
  end)
end)

describe("SIGTERM", function()
  after_each(harness.clean)

  it_ends_loops("ends a worker whose step loops, and the step is given back #slow", function()
    local app = harness.open "lmdb"
    local dir = harness.temp_dir()
    local file = process.write_file(dir .. "/loops.lua", [[
      require("tasker").handler { name = "loops", steps = { { name = "a", timeout = false, run = function()
        while true do pcall(error) end
      end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local id = assert(app:submit "loops")
    local child = harness.start { process.program(), "worker", file, "--store", app:url() }
    harness.eventually(function() return app:task(id).steps.a.status == "in_progress" end, 20, "it loops")
    child:kill "TERM"
    harness.eventually(function() return not child:running() end, 20, "the worker has ended")
    assert.equal(0, child:status(), child:stderr())
    local task = app:task(id)
    assert.equal("ready", task.steps.a.status)
    assert.equal(1, task.steps.a.attempts)
    assert.same({}, harness.events_of(app, "step.failed", id))
  end)
end)
