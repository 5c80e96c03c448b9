local harness = require "spec.support.harness"
local tasker = require "tasker"

local once = { limit = 1 }
local function nothing() end
local it_ends_loops = harness.it_ends_loops(it, pending)

for _, kind in ipairs(harness.kinds) do
  describe("a step's timeout, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("ends an attempt that waits, with the code timeout", function()
      local before = tasker.now()
      local step, task = harness.outcome(app, function() tasker.sleep(30) end, { timeout = 0.05, retry = once })
      assert.is_true(tasker.now() - before < 5)
      assert.equal("error", task.status)
      assert.equal("timeout", step.error.code)
      assert.equal("timeout", harness.events_of(app, "step.failed", task.task_id)[1].data.error.code)
    end)

    it("is an ordinary failed attempt: it is retried", function()
      local step = harness.outcome(app, function(_, s)
        if s.attempt == 1 then tasker.sleep(30) end
        return s.attempt
      end, { timeout = 0.05, retry = harness.quick_retry(2) })
      assert.equal("complete", step.status)
      assert.equal(2, step.results)
    end)
  end)
end

describe("a step's timeout", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  local function ended_by_timeout(fn)
    local before = tasker.now()
    local step = harness.outcome(app, fn, { timeout = 0.1, retry = once })
    assert.is_true(tasker.now() - before < 5)
    assert.equal("error", step.status)
    assert.equal("timeout", step.error.code)
  end

  it_ends_loops("ends Lua that loops", function()
    ended_by_timeout(function()
      while true do end
    end)
  end)

  it_ends_loops("ends Lua that catches every error", function()
    ended_by_timeout(function()
      while true do
        pcall(function()
          while true do end
        end)
      end
    end)
  end)

  it("ends Lua that catches every error while it waits", function()
    ended_by_timeout(function()
      while true do
        pcall(tasker.sleep, 1)
      end
    end)
  end)

  it_ends_loops("ends loops in coroutines of the user", function()
    ended_by_timeout(function()
      local inner = coroutine.wrap(function()
        coroutine.wrap(function()
          while true do end
        end)()
      end)
      inner()
    end)
  end)

  it("ends waits in coroutines of the user", function()
    ended_by_timeout(function()
      coroutine.wrap(function() tasker.sleep(30) end)()
    end)
  end)

  it_ends_loops("replaces the user's own hook", function()
    ended_by_timeout(function()
      debug.sethook(function() end, "", 1)
      while true do end
    end)
  end)

  it("runs to-be-closed variables and is not stopped by them", function()
    local closed = 0
    ended_by_timeout(function()
      local guard <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      tasker.sleep(30)
      return guard
    end)
    assert.equal(1, closed)
  end)

  it_ends_loops("leaves the other steps of the thread alone", function()
    local slow = app:submit(harness.one_step(function() tasker.sleep(0.3) return "slept" end))
    local looping = app:submit(harness.one_step(function()
      while true do end
    end, { timeout = 0.1, retry = once }))
    app:work { until_idle = true }
    assert.equal("slept", app:task(slow).results.only)
    assert.equal("timeout", app:task(looping).errors.only.code)
  end)

  it("does not cut off what is in time, and false is none", function()
    assert.equal("complete", harness.outcome(app, function() tasker.sleep(0.05) end, { timeout = 10 }).status)
    assert.equal("complete", harness.outcome(app, function() tasker.sleep(0.05) end, { timeout = false }).status)
  end)
end)

describe("a heartbeat timeout", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("ends an attempt that shows no life", function()
    local step = harness.outcome(app, function() tasker.sleep(30) end, { heartbeat_timeout = 0.1, retry = once })
    assert.equal("error", step.status)
    assert.equal("timeout", step.error.code)
  end)

  it("lets an attempt live as long as it does", function()
    local step = harness.outcome(app, function(_, s)
      for n = 1, 15 do
        tasker.sleep(0.02)
        s:heartbeat { n = n }
      end
      return "alive"
    end, { heartbeat_timeout = 0.2, retry = once })
    assert.equal("alive", step.results)
  end)
end)

describe("the timeout of a whole task", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("puts it in error, and nothing of it goes on", function()
    local later = false
    local before = tasker.now()
    local task = app:run(harness.handler { timeout = 0.1, chain = true, steps = {
      { name = "long", run = function() tasker.sleep(30) end },
      { name = "later", run = function() later = true end },
    } })
    assert.is_true(tasker.now() - before < 10)
    assert.equal("error", task.status)
    assert.is_false(later)
    assert.equal(0, task.steps.later.attempts)
    local events = app:events { after = 0, task_id = task.task_id }
    assert.equal("task.failed", events[#events].event)
  end)

  it("holds for steps that wait for their retry", function()
    local task = app:run(harness.handler { timeout = 0.1, steps = {
      { name = "a", retry = { limit = 5, backoff = "fixed", base = 30, jitter = "none" }, run = function() error "no" end },
    } })
    assert.equal("error", task.status)
  end)

  it("does not touch a task that is done in time", function()
    local task = app:run(harness.handler { timeout = 10, steps = { { name = "a", run = nothing } } })
    assert.equal("complete", task.status)
  end)
end)

describe("tasker.sleep", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("lets other steps run meanwhile", function()
    local handler = harness.one_step(function() tasker.sleep(0.1) end)
    for n = 1, 100 do
      app:submit(handler, { n = n })
    end
    local before = tasker.now()
    app:work { until_idle = true }
    assert.is_true(tasker.now() - before < 3)
    assert.equal(100, #app:tasks { status = "complete" })
  end)

  it("blocks in a script for that long", function()
    local before = tasker.now()
    tasker.sleep(0.05)
    local took = tasker.now() - before
    assert.is_true(took >= 0.049 and took < 2)
  end)
end)
