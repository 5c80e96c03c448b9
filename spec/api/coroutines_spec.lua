local harness = require "spec.support.harness"
local tasker = require "tasker"

--- Each is the run of a step and what it must return.
local cases = {
  { "in a wrapped coroutine", function()
    local co = coroutine.wrap(function(a)
      tasker.sleep(0.001)
      local b = coroutine.yield(a + 1)
      tasker.sleep(0.001)
      return b * 2
    end)
    return { co(1), co(10) }
  end, { 2, 20 } },
  { "in a coroutine in a coroutine", function()
    local outer = coroutine.create(function()
      local inner = coroutine.create(function()
        tasker.sleep(0.001)
        coroutine.yield "inner yielded"
        tasker.sleep(0.001)
        return "inner ended"
      end)
      local _, first = coroutine.resume(inner)
      coroutine.yield(first)
      tasker.sleep(0.001)
      local _, second = coroutine.resume(inner)
      return second
    end)
    local seen = {}
    while coroutine.status(outer) ~= "dead" do
      local ok, value = coroutine.resume(outer)
      assert(ok, value)
      seen[#seen + 1] = value
    end
    return seen
  end, { "inner yielded", "inner ended" } },
  { "in a generator that a for loop calls", function()
    local sum = 0
    for n in coroutine.wrap(function()
      for n = 1, 5 do
        tasker.sleep(0.0005)
        coroutine.yield(n)
      end
    end) do
      sum = sum + n
    end
    return sum
  end, 15 },
  { "under pcall and xpcall", function()
    local ok, err = pcall(function()
      tasker.sleep(0.001)
      error { code = "mine" }
    end)
    local _, handled = xpcall(function()
      tasker.sleep(0.001)
      error "again"
    end, function(message) return "handled " .. tostring(message):match "again" end)
    return { ok, err.code, handled }
  end, { false, "mine", "handled again" } },
  { "in a metamethod", function()
    local t = setmetatable({}, { __index = function(_, key)
      tasker.sleep(0.001)
      return key .. "!"
    end })
    return t.hello
  end, "hello!" },
  { "with errors that come out of a coroutine", function()
    local co = coroutine.create(function()
      tasker.sleep(0.001)
      error { code = "inside" }
    end)
    local ok, err = coroutine.resume(co)
    return { ok, err.code, coroutine.status(co) }
  end, { false, "inside", "dead" } },
  { "with coroutine.close and to-be-closed variables", function()
    local log = {}
    local co = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      tasker.sleep(0.001)
      coroutine.yield(guard ~= nil)
    end)
    local _, value = coroutine.resume(co)
    log[#log + 1] = tostring(value)
    local ok = coroutine.close(co)
    log[#log + 1] = tostring(ok)
    return log
  end, { "true", "closed", "true" } },
  { "and isyieldable, running and status tell the truth", function()
    local co
    co = coroutine.create(function()
      tasker.sleep(0.001)
      return coroutine.running() == co, coroutine.isyieldable(), coroutine.status(co)
    end)
    return { select(2, coroutine.resume(co)) }
  end, { true, true, "running" } },
}

describe("tasker.sleep works in a step", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  for _, case in ipairs(cases) do
    it(case[1], function()
      local step = harness.outcome(app, case[2], { retry = { limit = 1 }, timeout = 10 })
      assert.is_nil(step.error and step.error.message)
      assert.same(case[3], step.results)
    end)
  end

  it("in many steps with coroutines at once", function()
    local handler = harness.one_step(function(task)
      local sum = 0
      for n in coroutine.wrap(function()
        for n = 1, 10 do
          tasker.sleep(0.0002 * (task.context.n % 7))
          coroutine.yield(n)
        end
      end) do
        sum = sum + n
      end
      return sum
    end)
    for n = 1, 200 do
      app:submit(handler, { n = n })
    end
    app:work { until_idle = true }
    for _, task in ipairs(app:tasks { limit = 200 }) do
      assert.equal(55, app:task(task.task_id).results.only)
    end
  end)

  it("and raises in a C callback, saying so", function()
    local step = harness.outcome(app, function()
      return (("abc"):gsub(".", function(c)
        tasker.sleep(0.001)
        return c
      end))
    end, { retry = { limit = 1 }, timeout = 10 })
    assert.equal("error", step.status)
    assert.is_truthy(step.error.message:find "yield" or step.error.message:find "C call" or step.error.message:find "callback")
  end)

  it("and a coroutine kept from one step to the next does not break the worker", function()
    local kept
    local keeps = harness.one_step(function()
      kept = coroutine.create(function()
        coroutine.yield(1)
        tasker.sleep(0.001)
        return 2
      end)
      return select(2, coroutine.resume(kept))
    end)
    assert.equal(1, app:run(keeps).results.only)
    local step = harness.outcome(app, function() return { coroutine.resume(kept) } end, { retry = { limit = 1 } })
    assert.same({ true, 2 }, step.results)
  end)
end)

describe("every app call in a step", function()
  local app
  before_each(function() app = harness.open "lmdb" end)
  after_each(harness.clean)

  it("works, also in a coroutine of the user", function()
    local child = harness.one_step(function() return "child" end)
    local task = app:run(harness.one_step(function(t)
      local a = tasker.app()
      local read = coroutine.wrap(function() return a:task(t.task_id) end)()
      local id = coroutine.wrap(function() return a:submit(child) end)()
      local done = a:wait(id, 10)
      local list = a:tasks { limit = 1 }
      local events = a:events { after = 0, task_id = id }
      return { read.status, done.status, #list, events[1].event }
    end, { retry = { limit = 1 } }))
    assert.is_nil(task.errors.only and task.errors.only.message)
    assert.same({ "in_progress", "complete", 1, "task.created" }, task.results.only)
  end)
end)
