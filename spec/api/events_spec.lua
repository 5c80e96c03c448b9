local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

--- A workflow in which most things happen.
local function busy_handler()
  return harness.handler { retry = harness.quick_retry(2), steps = {
    { name = "first", run = nothing },
    { name = "flaky", depends_on = "first", run = function(_, s)
      if s.attempt == 1 then error { message = "once", code = "flaky" } end
    end },
    { name = "passed_over", depends_on = "first", skippable = true, run = nothing },
    { name = "dozes", depends_on = "first", run = function(_, s)
      if s.attempt == 1 then return tasker.snooze(0.001) end
    end },
    { name = "last", depends_on = { "flaky", "passed_over", "dozes" }, run = nothing },
  } }
end

for _, kind in ipairs(harness.kinds) do
  describe("the event log, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("is gapless from 1 over all tasks", function()
      local handler = busy_handler()
      for n = 1, 20 do
        app:submit(handler, { n = n }, { bypass_steps = { "passed_over" } })
      end
      app:work { until_idle = true }
      local last
      for n, event in ipairs(app:events { after = 0 }) do
        assert.equal(n, event.seq)
        if last then assert.is_true(event.at >= last) end
        last = event.at
      end
      assert.is_truthy(last)
    end)

    it("has the documented form", function()
      local handler = busy_handler()
      local task = app:run(handler, {}, { bypass_steps = { "passed_over" } })
      for _, event in ipairs(app:events { after = 0 }) do
        assert.is_truthy(event.at:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$")
        assert.equal(task.task_id, event.task_id)
        assert.is_table(event.data)
        local about_step = event.event:match "^step%."
        assert.equal(about_step ~= nil, event.step ~= nil)
        assert.is_truthy(about_step or event.event:match "^task%.")
      end
    end)

    it("tells each change once and in order, the final one last", function()
      local handler = busy_handler()
      local id = app:run(handler, {}, { bypass_steps = { "passed_over" } }).task_id
      local events = app:events { after = 0, task_id = id }
      local names = harness.event_names(events)
      local count, place = {}, {}
      for i, name in ipairs(names) do
        count[name] = (count[name] or 0) + 1
        place[name] = i
      end
      assert.equal("task.created", names[1])
      assert.equal("task.completed", names[#names])
      local expected = {
        ["task.created"] = 1, ["task.started"] = 1, ["task.completed"] = 1, ["step.started:first"] = 1, ["step.completed:first"] = 1,
        ["step.started:flaky"] = 2, ["step.failed:flaky"] = 1, ["step.retry_scheduled:flaky"] = 1, ["step.completed:flaky"] = 1,
        ["step.skipped:passed_over"] = 1, ["step.started:dozes"] = 2, ["step.waiting:dozes"] = 1, ["step.completed:dozes"] = 1,
        ["step.started:last"] = 1, ["step.completed:last"] = 1,
      }
      assert.same(expected, count)
      assert.is_true(place["step.completed:first"] < place["step.started:flaky"])
      assert.is_true(place["step.failed:flaky"] <= place["step.retry_scheduled:flaky"])
      assert.is_true(place["step.completed:flaky"] < place["step.started:last"])
      assert.is_true(place["step.skipped:passed_over"] < place["step.started:last"])
    end)

    it("tells attempt and error of each failure", function()
      local task = app:run(harness.one_step(function(_, s)
        error { message = "number " .. s.attempt, code = "odd", extra = s.attempt }
      end, { retry = harness.quick_retry(3) }))
      local failed = harness.events_of(app, "step.failed", task.task_id)
      assert.equal(3, #failed)
      for n, event in ipairs(failed) do
        assert.equal(n, event.attempt)
        assert.equal("odd", event.data.error.code)
        harness.contains("number " .. n, event.data.error.message)
      end
      local events = app:events { after = 0, task_id = task.task_id }
      assert.equal("task.failed", events[#events].event)
    end)

    it("ends with task.cancelled when the task is cancelled", function()
      local id = app:submit(busy_handler())
      app:cancel(id)
      local events = app:events { after = 0, task_id = id }
      assert.equal("task.cancelled", events[#events].event)
      assert.equal(5, #harness.events_of(app, "step.cancelled", id))
    end)

    it("is read from any place, with a limit, and of one task", function()
      local handler = harness.one_step(nothing)
      local one, two = app:submit(handler), app:submit(handler)
      app:work { until_idle = true }
      local all = app:events { after = 0 }
      assert.same({ all[3], all[4] }, app:events { after = 2, limit = 2 })
      assert.same({}, app:events { after = #all })
      local of_one, of_two = app:events { after = 0, task_id = one }, app:events { after = 0, task_id = two }
      assert.equal(#all, #of_one + #of_two)
      for _, event in ipairs(of_one) do
        assert.equal(one, event.task_id)
      end
      assert.same({ of_two[2] }, app:events { after = of_two[1].seq, limit = 1, task_id = two })
      assert.equal(#all, #app:events())
    end)

    it("is followed from a place until the function returns false", function()
      local handler = harness.one_step(nothing)
      app:submit(handler)
      local seen = {}
      app:follow({ after = 0 }, function(event)
        seen[#seen + 1] = event.seq
        if #seen == 1 then app:submit(handler) end
        return #seen < 2
      end)
      assert.same({ 1, 2 }, seen)
    end)
  end)
end

describe("the event log folded", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("gives the states of all tasks and steps", function()
    local handler = busy_handler()
    local failing = harness.handler { retry = { limit = 1 }, steps = {
      { name = "bad", run = function() error "no" end }, { name = "never", depends_on = "bad", run = nothing },
    } }
    local cancelled = app:submit(handler, {}, { delay = 3600 })
    for n = 1, 10 do
      app:submit(n % 2 == 0 and handler or failing, { n = n })
    end
    app:cancel(cancelled)
    app:work { until_idle = true }
    local status_of = {
      ["task.created"] = "pending", ["task.started"] = "in_progress", ["task.completed"] = "complete", ["task.failed"] = "error",
      ["task.cancelled"] = "cancelled", ["step.started"] = "in_progress", ["step.completed"] = "complete", ["step.cancelled"] = "cancelled",
      ["step.waiting"] = "waiting", ["step.retry_scheduled"] = "waiting",
    }
    local folded = {}
    for _, event in ipairs(app:events { after = 0 }) do
      folded[event.task_id .. (event.step or "")] = status_of[event.event] or folded[event.task_id .. (event.step or "")] or "error"
      if event.event == "step.failed" then folded[event.task_id .. event.step] = "error" end
    end
    for _, summary in ipairs(app:tasks { limit = 100 }) do
      local task = app:task(summary.task_id)
      assert.equal(folded[task.task_id], task.status)
      for _, step in ipairs(task.steps) do
        assert.equal(folded[task.task_id .. step.name] or "pending", step.status)
      end
    end
  end)
end)
