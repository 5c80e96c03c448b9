--- What a step cannot do to its worker: time and memory.
local harness = require "spec.support.harness"
local tasker = require "tasker"

local once = { limit = 1 }

describe("a step over its time", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("is ended in a message handler that loops", function()
    local step = harness.outcome(app, function()
      while true do
        xpcall(function() while true do end end, function() while true do end end)
      end
    end, { timeout = 0.05, retry = once })
    assert.equal("timeout", step.error.code)
  end)

  it("is ended although its __close handlers loop", function()
    local before = tasker.now()
    local step = harness.outcome(app, function()
      local guard <close> = setmetatable({}, { __close = function() while true do end end })
      tasker.sleep(30)
      return guard
    end, { timeout = 0.05, retry = once })
    assert.equal("timeout", step.error.code)
    assert.is_true(tasker.now() - before < 8)
  end)

  it("leaves no hook behind for the next step in its place", function()
    local looping = harness.one_step(function() while true do end end, { timeout = 0.03, retry = once })
    local hooked = harness.one_step(function() debug.sethook(function() end, "", 1) end)
    local after = harness.one_step(function() return debug.gethook() == nil end)
    for _ = 1, 3 do
      assert.equal("error", app:run(looping, nil).status)
      assert.equal("complete", app:run(hooked).status)
      assert.is_true(app:run(after).results.only)
    end
  end)

  it("lets a custom backoff decide about its next attempt", function()
    tasker.backoff("soon_after_timeout", function(_, err) return err.code == "timeout" and 0.001 or 60 end)
    local step = harness.outcome(app, function(_, s)
      if s.attempt == 1 then
        tasker.sleep(30)
      end
      return s.attempt
    end, { timeout = 0.05, retry = { limit = 2, backoff = "soon_after_timeout" } })
    assert.equal(2, step.results)
  end)
end)

describe("a step in a C call", function()
  after_each(harness.clean)

  it("is failed in time, and its thread's other steps are given back #slow", function()
    local app = harness.open "memory"
    local stuck = app:submit(harness.one_step(function()
      os.execute "sleep 3"
    end, { timeout = 0.1, retry = once }))
    local starts = 0
    local other = app:submit(harness.one_step(function()
      starts = starts + 1
      tasker.sleep(starts == 1 and 0.3 or 0)
      return starts
    end))
    assert(app:work { until_idle = true })
    local events = {}
    for _, event in ipairs(app:events { after = 0 }) do
      events[event.event .. ":" .. (event.task_id == stuck and "stuck" or "other")] = tasker.time.parse(event.at)
    end
    local took = events["step.failed:stuck"] - events["step.started:stuck"]
    assert.is_true(took < 2.9, ("failed after %g s"):format(took))
    assert.equal("timeout", app:task(stuck).errors.only.code)
    assert.equal("complete", app:task(other).status)
    assert.equal(2, app:task(other).steps.only.attempts)
    assert.is_nil(events["step.failed:other"])
  end)

  it("does not hold back what other steps have done", function()
    local app = harness.open "memory"
    for _ = 1, 5 do
      app:submit(harness.one_step(function() return 1 end), nil, { priority = 5 })
    end
    app:submit(harness.one_step(function() os.execute "sleep 1" end))
    assert(app:work { until_idle = true })
    local completed = harness.events_of(app, "step.completed")
    local first, last = tasker.time.parse(completed[1].at), tasker.time.parse(completed[#completed].at)
    assert.equal(6, #completed)
    assert.is_true(last - first > 0.7, ("the first ones came %g s before the last"):format(last - first))
  end)

  it("loses its thread to a new one when it does not come back #slow", function()
    local app, url = harness.open "lmdb"
    local dir = harness.temp_dir()
    local file = harness.process.write_file(dir .. "/stuck.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "stuck", steps = { { name = "a", timeout = 0.1, retry = { limit = 1 }, run = function()
        os.execute "sleep 40"
      end } } }
      tasker.handler { name = "after", steps = { { name = "a", run = function() return "ran" end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local stuck = app:submit "stuck"
    local child = harness.start { harness.process.program(), "worker", file, "--store", url }
    harness.eventually(function() return app:task(stuck).status == "error" end, 10)
    local after = app:submit "after"
    harness.eventually(function() return app:task(after).status == "complete" end, 25)
    child:kill "TERM"
    harness.eventually(function() return not child:running() end, 20)
    assert.equal(0, child:status(), child:stderr())
  end)
end)

describe("a state's memory limit", function()
  after_each(harness.clean)

  local function hoard()
    local all = {}
    for n = 1, 1e9 do
      all[n] = ("x"):rep(1000) .. n
    end
    return #all
  end

  it("fails the step that takes too much, and the state goes on", function()
    local app = harness.open "memory"
    local greedy = app:submit(harness.one_step(hoard, { timeout = 60, retry = once }))
    local modest = app:submit(harness.one_step(function()
      tasker.sleep(0.05)
      return #("x"):rep(100000)
    end))
    assert(app:work { until_idle = true, memory = 40 * 1024 * 1024 })
    harness.contains("not enough memory", app:task(greedy).errors.only.message)
    assert.equal(100000, app:task(modest).results.only)
    assert.equal("complete", app:run(harness.one_step(function() return #("x"):rep(50 * 1024 * 1024) end)).status)
  end)

  it("holds for the states of threads", function()
    local app = harness.open "memory"
    local file = harness.process.write_file(harness.temp_dir() .. "/greedy.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "greedy", steps = { { name = "a", timeout = 60, retry = { limit = 1 }, run = function()
        local all = {}
        for n = 1, 1e9 do all[n] = ("x"):rep(1000) .. n end
      end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local id = app:submit "greedy"
    assert(app:work { files = { file }, until_idle = true, memory = 40 * 1024 * 1024 })
    harness.contains("not enough memory", app:task(id).errors.a.message)
  end)
end)
