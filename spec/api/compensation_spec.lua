local harness = require "spec.support.harness"
local tasker = require "tasker"

for _, kind in ipairs(harness.kinds) do
  describe("compensation, on " .. kind .. ",", function()
    local app, undone
    before_each(function()
      app = harness.open(kind)
      undone = {}
    end)
    after_each(harness.clean)

    local function undo(_, step) undone[#undone + 1] = step.name end
    local function ok() return true end
    local function fail() error(tasker.permanent("no", { code = "declined" })) end

    -- Three steps in a chain that can be undone, and one that fails; fields of handler and of steps by name.
    local function saga(fields, by_name)
      local steps = {}
      for i, name in ipairs { "reserve", "charge", "ship", "bill" } do
        steps[i] = { name = name, run = name == "bill" and fail or ok, compensate = undo }
        for field, value in pairs((by_name or {})[name] or {}) do
          steps[i][field] = value
        end
      end
      local definition = { chain = true, steps = steps, retry = harness.quick_retry() }
      for field, value in pairs(fields or {}) do
        definition[field] = value
      end
      return harness.handler(definition)
    end

    it("undoes the completed steps of a task that ends in error, the last first, and then it has failed", function()
      local task = assert(app:run(saga()))
      assert.equal("error", task.status)
      assert.same({ "ship", "charge", "reserve" }, undone)
      assert.equal("complete", task.steps.charge.status)
      local compensation = task.steps.charge.compensation
      assert.equal("complete", compensation.status)
      assert.equal(1, compensation.attempts)
      assert.is_nil(compensation.error)
      assert.is_truthy(tasker.time.parse(compensation.completed_at))
      assert.is_nil(task.steps.bill.compensation)
      assert.equal(4, #task.steps)
      local events = assert(app:events { after = 0, task_id = task.task_id })
      assert.same({ "step.compensated:ship", "step.compensated:charge", "step.compensated:reserve" },
        harness.event_names(events, "step.compensated"))
      local last = events[#events]
      assert.equal("task.failed", last.event)
      assert.equal("declined", last.data.error.code)
      assert.equal(1, #harness.events_of(app, "task.failed"))
    end)

    it("sees what its step returned, its inputs, and the results of all completed steps", function()
      local seen
      local task = assert(app:run(saga(nil, {
        reserve = { run = function() return { seats = 2 } end, inputs = { from = "here" }, compensate = function(t, step)
          seen = { results = step.results, key = step.idempotency_key, name = step.name, attempt = step.attempt,
            inputs = step.inputs, charge = t.results.charge, all = {} }
          for name in pairs(t.results) do
            seen.all[name] = true
          end
        end },
        charge = { run = function() return "paid" end },
      })))
      assert.same({ seats = 2 }, seen.results)
      assert.same({ from = "here" }, seen.inputs)
      assert.equal("paid", seen.charge)
      assert.is_true(seen.all.ship)
      assert.equal(task.task_id .. ":reserve:compensate", seen.key)
      assert.equal("reserve", seen.name)
      assert.equal(1, seen.attempt)
    end)

    it("a cancelled task is undone after it is cancelled, and its last event comes after that", function()
      local handler = saga(nil, { bill = { run = function() return tasker.snooze(3600) end } })
      local id = assert(app:submit(handler))
      assert(app:work { until_idle = 0.3 })
      harness.eventually(function()
        assert(app:work { until_idle = 0.3 })
        return assert(app:task(id)).steps.bill.status == "waiting"
      end)
      local task = assert(app:cancel(id, { reason = "changed my mind", by = "ann" }))
      assert.equal("cancelled", task.status)
      assert.same({}, undone)
      assert(app:work { until_idle = 10 })
      assert.same({ "ship", "charge", "reserve" }, undone)
      task = assert(app:wait(id, 5))
      assert.equal("cancelled", task.status)
      local events = assert(app:events { after = 0, task_id = id })
      local last = events[#events]
      assert.equal("task.cancelled", last.event)
      assert.same({ reason = "changed my mind", by = "ann" }, last.data)
    end)

    it("is retried by its step's policy; one that fails for good is told and the others run", function()
      local calls = 0
      local task = assert(app:run(saga(nil, {
        charge = { compensate = function()
          calls = calls + 1
          error("bank is closed")
        end },
      })))
      assert.equal(3, calls)
      assert.same({ "ship", "reserve" }, undone)
      local compensation = task.steps.charge.compensation
      assert.equal("error", compensation.status)
      assert.equal(3, compensation.attempts)
      harness.contains("bank is closed", compensation.error.message)
      local failed = harness.events_of(app, "step.compensation_failed", task.task_id)
      assert.equal("charge", failed[1].step)
      harness.contains("bank is closed", failed[1].data.error.message)
      assert.equal("error", task.status)
    end)

    it("its step's timeout is its own, and hooks and schemas of the step are not", function()
      local hooks = 0
      local task = assert(app:run(saga(nil, {
        charge = { timeout = 0.1, retry = { limit = 1 }, on_failure = function() hooks = hooks + 1 end,
          results_schema = { type = "boolean" }, compensate = function() tasker.sleep(10) end },
      })))
      assert.equal("timeout", task.steps.charge.compensation.error.code)
      assert.equal(0, hooks)
    end)

    it("`compensate = false` on the handler turns it off", function()
      local task = assert(app:run(saga { compensate = false }))
      assert.equal("error", task.status)
      assert.same({}, undone)
      assert.equal("error", assert(app:run(saga { compensate = false })).status)
      assert.is_table(app:retry(task.task_id))
    end)

    it("`compensate_on = \"started\"` undoes also what only began", function()
      assert(app:run(saga(nil, { bill = { compensate_on = "started" } })))
      assert.same({ "bill", "ship", "charge", "reserve" }, undone)
    end)

    it("a compensated task cannot be retried, nor its steps touched", function()
      local task = assert(app:run(saga()))
      harness.refused("refused", "compensated", app:retry(task.task_id))
      harness.refused("refused", "compensated", app:retry(task.task_id, { step = "bill" }))
      harness.refused("refused", "compensated", app:resolve(task.task_id, "bill", 1))
      assert.equal("resolved_manually", assert(app:resolve(task.task_id)).status)
    end)

    it("a task in error in which nothing was done can be retried", function()
      local broken = true
      local handler = harness.handler { steps = { { name = "only", compensate = undo, run = function()
        if broken then
          fail()
        end
      end } } }
      local task = assert(app:run(handler))
      assert.equal("error", task.status)
      broken = false
      assert(app:retry(task.task_id))
      assert.equal("complete", assert(app:work_for(task.task_id)).status)
      assert.same({}, undone)
    end)

    it("a task that completes is not undone", function()
      assert.equal("complete", assert(app:run(saga(nil, { bill = { run = ok } }))).status)
      assert.same({}, undone)
    end)

    it("the task's timeout undoes what was done", function()
      local handler = saga({ timeout = 0.3 }, { bill = { run = function() tasker.sleep(20) end } })
      local task = assert(app:run(handler))
      assert.equal("error", task.status)
      assert.same({ "ship", "charge", "reserve" }, undone)
      local events = assert(app:events { after = 0, task_id = task.task_id })
      assert.equal("task.failed", events[#events].event)
      assert.equal("timeout", events[#events].data.error.code)
    end)

    it("a pause holds it, and a cancel while it runs changes how the task ends", function()
      local id
      local handler = saga(nil, { charge = { compensate = function()
        undone[#undone + 1] = "charge"
        assert(app:cancel(id, "enough"))
      end } })
      id = assert(app:submit(handler))
      assert.equal("cancelled", assert(app:work_for(id)).status)
      assert.same({ "ship", "charge", "reserve" }, undone)
      local events = assert(app:events { after = 0, task_id = id })
      assert.equal("task.cancelled", events[#events].event)
      undone = {}
      handler = saga(nil, { ship = { compensate = function()
        undone[#undone + 1] = "ship"
        assert(app:pause(id))
      end } })
      id = assert(app:submit(handler))
      assert(app:work { until_idle = 10 })
      assert.same({ "ship" }, undone)
      assert.equal("paused", assert(app:task(id)).status)
      assert(app:resume(id))
      assert.equal("error", assert(app:work_for(id)).status)
      assert.same({ "ship", "charge", "reserve" }, undone)
      if kind == "lmdb" then
        assert.equal(0, app.engine:check(print))
      end
    end)
  end)
end

describe("a definition with a compensation that cannot work is refused,", function()
  it("naming handler, step and field", function()
    local function run() end
    harness.raises({ "'charge'", "'compensate'" }, harness.handler, { steps = { { name = "charge", run = run, compensate = 5 } } })
    harness.raises({ "'charge'", "'compensate_on'", "started" }, harness.handler,
      { steps = { { name = "charge", run = run, compensate = run, compensate_on = "start" } } })
    harness.raises({ "'charge'", "'compensate_on'", "needs" }, harness.handler,
      { steps = { { name = "charge", run = run, compensate_on = "started" } } })
    harness.raises({ "'compensate'" }, harness.handler, { compensate = run, steps = { { name = "charge", run = run } } })
    harness.raises({ "'later'", "'compensate'" }, harness.handler, { steps = { { name = "later", sleep = 5, compensate = run } } })
  end)
end)
