local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end
local function fail() error "no" end

--- Tasks in each status, made for one operation each. `wait` leaves its task in progress with a step in that state.
local make = {}

local once = { limit = 1 }
local hour = { limit = 2, backoff = "fixed", base = 3600, jitter = "none" }

function make.pending(app)
  return assert(app:submit(harness.one_step(nothing), {}, { delay = 3600 }))
end

function make.in_progress(app)
  local id = assert(app:submit(harness.handler { steps = {
    { name = "done", run = nothing },
    { name = "waits", depends_on = "done", retry = hour, run = fail },
    { name = "snoozes", depends_on = "done", run = function() return tasker.snooze(3600) end },
    { name = "later", depends_on = { "waits", "snoozes" }, run = nothing },
  } }))
  app:work { until_idle = 0.05 }
  return id
end

function make.complete(app)
  return app:run(harness.handler { steps = { { name = "only", run = nothing }, { name = "other", run = nothing } } }).task_id
end

function make.error(app)
  return app:run(harness.handler { steps = {
    { name = "done", run = nothing }, { name = "bad", retry = once, run = fail }, { name = "later", depends_on = "bad", run = nothing },
  } }).task_id
end

function make.cancelled(app)
  local id = make.in_progress(app)
  assert(app:cancel(id))
  return id
end

function make.resolved_manually(app)
  local id = make.error(app)
  assert(app:resolve(id, nil, nil, "settled"))
  return id
end

function make.paused(app)
  local id = make.in_progress(app)
  assert(app:pause(id))
  return id
end

local operations = {
  cancel = { call = function(app, id) return app:cancel(id, "why") end, to = "cancelled",
    legal = { pending = true, in_progress = true, paused = true, error = true } },
  pause = { call = function(app, id) return app:pause(id, "why") end, to = "paused", legal = { pending = true, in_progress = true } },
  resume = { call = function(app, id) return app:resume(id) end, legal = { paused = true } },
  retry = { call = function(app, id) return app:retry(id) end, to = "in_progress", legal = { error = true } },
  ["resolve whole"] = { call = function(app, id) return app:resolve(id, nil, { by = "hand" }, "why") end, to = "resolved_manually",
    legal = { error = true } },
}

for _, kind in ipairs(harness.kinds) do
  describe("on " .. kind .. ", of a task", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    for name, operation in pairs(operations) do
      for status, prepare in pairs(make) do
        if operation.legal[status] then
          it(("that is %s, %s is done and returns the task"):format(status, name), function()
            local id = prepare(app)
            assert.equal(status, app:task(id).status)
            local task = assert(operation.call(app, id))
            assert.equal(id, task.task_id)
            if operation.to then assert.equal(operation.to, task.status) end
            assert.equal(task.status, app:task(id).status)
          end)
        else
          it(("that is %s, %s is refused and names both states"):format(status, name), function()
            local id = prepare(app)
            local before = #app:events { after = 0, task_id = id }
            local err = harness.refused("refused", status, operation.call(app, id))
            if operation.to then harness.contains(operation.to, err.message) end
            assert.equal(status, app:task(id).status)
            assert.equal(before, #app:events { after = 0, task_id = id })
          end)
        end
      end
    end

    it("that is not there, every operation answers not_found", function()
      for _, operation in pairs(operations) do
        harness.refused("not_found", "00000000-0000-7000-8000-000000000000",
          operation.call(app, "00000000-0000-7000-8000-000000000000"))
      end
    end)
  end)
end

describe("cancel", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("cancels what is not final, keeps what is complete, and runs nothing afterwards", function()
    local id = make.in_progress(app)
    local task = app:cancel(id, { reason = "changed mind", by = "ann" })
    assert.equal("complete", task.steps.done.status)
    for _, name in ipairs { "waits", "snoozes", "later" } do
      assert.equal("cancelled", task.steps[name].status)
    end
    app:work { until_idle = true }
    assert.equal(0, app:task(id).steps.later.attempts)
    local event = harness.events_of(app, "task.cancelled", id)[1]
    assert.equal("changed mind", event.data.reason)
    assert.equal("ann", event.data.by)
  end)

  it("interrupts what runs at its next yield and ignores its outcome", function()
    local reached, closed = false, false
    local victim = harness.one_step(function()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      tasker.sleep(30)
      reached = true
      return { guard = guard ~= nil }
    end)
    local id = app:submit(victim)
    local killer = harness.one_step(function()
      assert(tasker.app():cancel(id))
    end)
    app:submit(killer, {}, { delay = 0.05 })
    local before = tasker.now()
    app:work { until_idle = true }
    assert.is_true(tasker.now() - before < 10)
    assert.equal("cancelled", app:task(id).status)
    assert.equal("cancelled", app:task(id).steps.only.status)
    assert.is_false(reached)
    assert.is_true(closed)
    assert.same({}, app:task(id).results)
  end)

  it("of one step counts for its dependents and its task like an error", function()
    local id = make.in_progress(app)
    local task = assert(app:cancel(id, "not needed", { step = "waits" }))
    assert.equal("cancelled", task.steps.waits.status)
    assert.equal("in_progress", task.status)
    assert(app:resolve(id, "snoozes", nil, "awake"))
    app:work { until_idle = 1 }
    task = app:task(id)
    assert.equal("error", task.status)
    assert.equal("pending", task.steps.later.status)
  end)

  it("of a final step is refused and names both states", function()
    local id = make.in_progress(app)
    harness.refused("refused", { "complete", "cancelled" }, app:cancel(id, "why", { step = "done" }))
  end)

  it("of an unknown step is refused with the name", function()
    local id = make.in_progress(app)
    local task, err = app:cancel(id, "why", { step = "nope" })
    assert.is_nil(task)
    harness.contains("nope", err.message)
  end)
end)

describe("pause", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("lets what runs finish, starts nothing new, and resume goes on", function()
    local handler
    handler = harness.handler { chain = true, steps = {
      { name = "first", run = function(task)
        assert(tasker.app():pause(task.task_id, "lunch"))
        tasker.sleep(0.01)
        return "finished"
      end },
      { name = "second", run = function() return "went on" end },
    } }
    local id = app:submit(handler)
    app:work { until_idle = 1 }
    local task = app:task(id)
    assert.equal("paused", task.status)
    assert.equal("finished", task.results.first)
    assert.equal(0, task.steps.second.attempts)
    assert(app:resume(id))
    app:work { until_idle = true }
    task = app:task(id)
    assert.equal("complete", task.status)
    assert.equal("went on", task.results.second)
    assert.same({ "task.paused", "task.resumed" },
      { harness.event_names(app:events { after = 0, task_id = id }, "task.paused")[1],
        harness.event_names(app:events { after = 0, task_id = id }, "task.resumed")[1] })
  end)

  it("holds retries that come due, and resume starts them", function()
    local id = app:submit(harness.one_step(function(_, s)
      if s.attempt == 1 then error "once" end
    end, { retry = { backoff = "fixed", base = 0.02, jitter = "none" } }))
    app:work { until_idle = 0.005 }
    assert.equal(1, app:task(id).steps.only.attempts)
    assert(app:pause(id))
    tasker.sleep(0.03)
    app:work { until_idle = true }
    assert.equal(1, app:task(id).steps.only.attempts)
    assert(app:resume(id))
    app:work { until_idle = true }
    assert.equal("complete", app:task(id).status)
    assert.equal(2, app:task(id).steps.only.attempts)
  end)

  it("of a task that is not due holds it beyond its time", function()
    local id = app:submit(harness.one_step(nothing), {}, { delay = 0.02 })
    assert(app:pause(id))
    tasker.sleep(0.03)
    app:work { until_idle = true }
    assert.equal("paused", app:task(id).status)
    assert(app:resume(id))
    app:work { until_idle = true }
    assert.equal("complete", app:task(id).status)
  end)

  it("and resume return to pending what was pending", function()
    local id = make.pending(app)
    app:pause(id)
    assert.equal("pending", app:resume(id).status)
  end)
end)

describe("retry", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("gives failed steps a fresh set of attempts and leaves complete ones alone", function()
    local works, good_starts, attempts = false, 0, {}
    local id = app:submit(harness.handler { retry = harness.quick_retry(2), steps = {
      { name = "good", run = function() good_starts = good_starts + 1 end },
      { name = "bad", depends_on = "good", run = function(_, s)
        attempts[#attempts + 1] = s.attempt
        if not works then error "no" end
      end },
      { name = "after", depends_on = "bad", run = nothing },
    } })
    app:work { until_idle = true }
    assert.equal("error", app:task(id).status)
    local task = assert(app:retry(id))
    assert.equal("in_progress", task.status)
    assert.same({}, task.errors)
    app:work { until_idle = true }
    assert.equal("error", app:task(id).status)
    works = true
    assert(app:retry(id))
    app:work { until_idle = true }
    task = app:task(id)
    assert.equal("complete", task.status)
    assert.equal(1, good_starts)
    assert.same({ 1, 2, 3, 4, 5 }, attempts)
    assert.equal(2, #harness.events_of(app, "task.retried", id))
  end)

  it("of one step leaves the other failed ones", function()
    local fixed = false
    local id = app:submit(harness.handler { retry = once, steps = {
      { name = "one", run = function() if not fixed then error "no" end end },
      { name = "two", run = fail },
    } })
    app:work { until_idle = true }
    fixed = true
    local task = assert(app:retry(id, { step = "one" }))
    assert.equal("error", task.steps.two.status)
    app:work { until_idle = true }
    task = app:task(id)
    assert.equal("complete", task.steps.one.status)
    assert.equal("error", task.status)
    assert.equal(1, task.steps.two.attempts)
  end)

  it("of a step that is not in error is refused and names its state", function()
    local id = make.error(app)
    harness.refused("refused", "complete", app:retry(id, { step = "done" }))
    harness.refused("refused", "pending", app:retry(id, { step = "later" }))
  end)
end)

describe("resolve", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("of a step in error settles it with results, and its dependents go on", function()
    local id = make.error(app)
    local task = assert(app:resolve(id, "bad", { paid = "cash" }, { reason = "paid in cash", by = "ann" }))
    assert.equal("resolved_manually", task.steps.bad.status)
    assert.same({ paid = "cash" }, task.results.bad)
    assert.same({}, task.errors)
    app:work { until_idle = true }
    task = app:task(id)
    assert.equal("complete", task.status)
    assert.equal("complete", task.steps.later.status)
    local event = harness.events_of(app, "step.resolved_manually", id)[1]
    assert.equal("bad", event.step)
    assert.equal("paid in cash", event.data.reason)
    assert.equal("ann", event.data.by)
  end)

  it("of a waiting step and of a pending one settles them", function()
    local id = make.in_progress(app)
    assert.equal("resolved_manually", assert(app:resolve(id, "waits", 1)).steps.waits.status)
    assert.equal("resolved_manually", assert(app:resolve(id, "snoozes", 2)).steps.snoozes.status)
    app:work { until_idle = true }
    assert.equal("complete", app:task(id).status)
    id = make.in_progress(app)
    assert.equal("resolved_manually", assert(app:resolve(id, "later", 3)).steps.later.status)
    assert.equal(3, app:task(id).results.later)
  end)

  it("of a ready step keeps it from running", function()
    local ran = false
    local id = app:submit(harness.one_step(function() ran = true end))
    local task = assert(app:resolve(id, "only", "by hand"))
    assert.equal("complete", task.status)
    app:work { until_idle = true }
    assert.is_false(ran)
    assert.equal("by hand", app:task(id).results.only)
  end)

  it("of a step that is final is refused and names both states", function()
    local id = make.in_progress(app)
    harness.refused("refused", { "complete", "resolved_manually" }, app:resolve(id, "done", 1))
  end)

  it("of a step that runs is refused", function()
    local code
    local task = app:run(harness.one_step(function(t)
      local _, err = tasker.app():resolve(t.task_id, "only", 1)
      code = err and err.code
    end))
    assert.equal("complete", task.status)
    assert.equal("refused", code)
  end)

  it("of the whole task ends it", function()
    local id = make.error(app)
    local task = assert(app:resolve(id, nil, { done = "elsewhere" }, "by phone"))
    assert.equal("resolved_manually", task.status)
    assert.equal("by phone", harness.events_of(app, "task.resolved_manually", id)[1].data.reason)
  end)
end)
