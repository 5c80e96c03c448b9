local assert = require "luassert"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("assertions about tasks", function()
  local app, good, bad

  setup(function()
    testing.register(assert)
    tasker.handler { namespace = "assertions", name = "good", steps = {
      { name = "a", run = function() return { list = { 1, 2 }, x = 1.0 } end },
      { name = "b", depends_on = "a", signal = "go" },
    } }
    tasker.handler { namespace = "assertions", name = "bad", steps = {
      { name = "a", run = function() error(tasker.permanent("declined", { code = "declined" })) end },
    } }
    app = assert(testing.open())
    good, bad = assert(app:run "assertions/good"), assert(app:run "assertions/bad")
  end)

  teardown(function() app:close() end)

  it("hold where they should", function()
    assert.task_status(good, "in_progress")
    assert.is_not.task_complete(good)
    assert.task_failed(bad)
    assert.task_failed(bad, "declined")
    assert.is_not.task_failed(bad, "timeout")
    assert.step_status(good, "a", "complete")
    assert.step_waits(good, "b")
    assert.step_waits(good, "b", "signal")
    assert.step_results(good, "a", { x = 1, list = { 1, 2 } })
    assert.is_not.step_results(good, "a", { x = 1 })
    assert.step_called(app, "assertions/good", "a", 1)
    assert.is_not.step_called(app, "assertions/good", "a", 2)
    app:signal(good.task_id, "go")
    app:drain()
    assert.task_complete(app:task(good.task_id))
  end)

  it("say what the task is when they do not", function()
    local ok, why = pcall(assert.task_complete, bad)
    assert.is_false(ok)
    assert.matches("Expected a complete task\ntask %S+ of assertions/bad@0.1.0 is error\n  a: error: declined", tostring(why))
    ok, why = pcall(assert.step_results, good, "a", 7)
    assert.is_false(ok)
    assert.matches("step 'a' to have the results 7, not {\"list\":%[1,2%],\"x\":1.0}", tostring(why))
    ok, why = pcall(assert.is_not.task_failed, bad)
    assert.is_false(ok)
    assert.matches("Expected not a task in error", tostring(why))
  end)

  it("refuse what is no task, and an unknown step", function()
    assert.has_error(function() assert.task_complete(nil, "not_found") end,
      "assert.task_complete: the first argument must be a task, as app:task returns it, not nil: not_found")
    assert.has_error(function() assert.step_status(good, "c", "complete") end, "assert.step_status: assertions/good has no step 'c'")
  end)
end)
