local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

describe("task in run", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  --- Runs a -> b -> c with d apart; `fn` is c's run.
  local function probe(fn, options)
    local task = assert(app:run(harness.handler { steps = {
      { name = "a", run = function() return { n = 1 } end },
      { name = "b", depends_on = "a", skippable = true, run = function() return { n = 2 } end },
      { name = "c", depends_on = "b", retry = { limit = 1 }, run = fn },
      { name = "d", run = function() return 4 end },
    } }, { k = "v" }, options))
    return task.steps.c, task
  end

  it("gives results of steps that this one depends on, directly or not", function()
    local step = probe(function(task) return { task.results.a.n, task.results.b.n } end)
    assert.same({ 1, 2 }, step.results)
  end)

  it("raises for the results of a step that this one does not depend on, and names both", function()
    local step = probe(function(task) return task.results.d end)
    assert.equal("error", step.status)
    harness.contains("d", step.error.message)
    harness.contains("c", step.error.message)
    harness.contains("depend", step.error.message)
  end)

  it("raises for its own results", function()
    assert.equal("error", probe(function(task) return task.results.c end).status)
  end)

  it("raises for the results of what is no step, and names both", function()
    local step = probe(function(task) return task.results.aa end)
    assert.equal("error", step.status)
    harness.contains("aa", step.error.message)
    harness.contains("c", step.error.message)
  end)

  it("gives nil for the results of a skipped step", function()
    local step = probe(function(task) return { is_nil = task.results.b == nil, a = task.results.a.n } end, { bypass_steps = { "b" } })
    assert.same({ is_nil = true, a = 1 }, step.results)
  end)

  it("gives false where that is what a step returned, also as inputs", function()
    local seen
    local task = app:run(harness.handler { steps = {
      { name = "a", run = function() return false end },
      { name = "b", depends_on = "a", inputs = function(task) return task.results.a end,
        run = function(task, step) seen = { task.results.a, step.inputs } return { of_a = task.results.a } end },
    } })
    assert.equal("complete", task.status)
    assert.same({ false, false }, seen)
    assert.same({ a = false, b = { of_a = false } }, task.results)
    assert.is_false(task.steps.b.inputs)
  end)

  it("gives the results of a step that a person resolved", function()
    local handler = harness.handler { steps = {
      { name = "a", retry = { limit = 1 }, run = function() error "no" end },
      { name = "b", depends_on = "a", run = function(task) return task.results.a.by_hand end },
    } }
    local id = app:submit(handler)
    app:work { until_idle = true }
    assert(app:resolve(id, "a", { by_hand = 5 }, "did it myself"))
    app:work { until_idle = true }
    assert.equal(5, app:task(id).results.b)
  end)

  it("has every documented field", function()
    local step, task = probe(function(t)
      local errors = 0
      for _ in pairs(t.errors) do
        errors = errors + 1
      end
      return {
        task_id = t.task_id, namespace = t.namespace, name = t.name, version = t.version, context = t.context, tags = t.tags,
        initiator = t.initiator, source_system = t.source_system, reason = t.reason, priority = t.priority,
        attempt_of_task = t.attempt_of_task, no_parent = t.parent_task_id == nil, no_schedule = t.schedule == nil,
        not_scheduled = t.previous_scheduled_at == nil, no_errors = errors == 0,
      }
    end, { tags = { "x", "y" }, initiator = "ann", source_system = "till", reason = "sale", priority = 3 })
    assert.same({
      task_id = task.task_id, namespace = "default", name = task.name, version = "0.1.0", context = { k = "v" }, tags = { "x", "y" },
      initiator = "ann", source_system = "till", reason = "sale", priority = 3, attempt_of_task = 1, no_parent = true,
      no_schedule = true, not_scheduled = true, no_errors = true,
    }, step.results)
  end)

  it("says unknown for who, whence and why when nobody said", function()
    local step = probe(function(t) return { t.initiator, t.source_system, t.reason } end)
    assert.same({ "unknown", "unknown", "unknown" }, step.results)
  end)

  it("is a value: writing to it changes nothing outside the call", function()
    local handler = harness.handler { chain = true, steps = {
      { name = "a", run = function(task)
        task.context.k = "changed"
        task.tags[1] = "changed"
        task.priority = 99
        return { n = 1 }
      end },
      { name = "b", run = function(task) task.results.a.n = 99 end },
      { name = "c", run = function(task) return { task.context.k, task.tags[1], task.priority, task.results.a.n } end },
    } }
    local task = app:run(handler, { k = "v" }, { tags = { "t" }, priority = 2 })
    assert.same({ "v", "t", 2, 1 }, task.results.c)
    assert.same({ k = "v" }, task.context)
  end)

  it("tells the errors of a step whose error does not stop its dependents", function()
    local task = app:run(harness.handler { steps = {
      { name = "a", on_error = "continue", retry = { limit = 1 }, run = function() error { message = "gone", code = "lost_it" } end },
      { name = "b", depends_on = "a", run = function(t) return { t.errors.a.code, t.results.a == nil } end },
    } })
    assert.equal("complete", task.status)
    assert.equal("error", task.steps.a.status)
    assert.same({ "lost_it", true }, task.results.b)
    assert.equal("lost_it", task.errors.a.code)
  end)

  it("counts how often the task was retried as a whole", function()
    local handler = harness.one_step(function(task)
      if task.attempt_of_task < 3 then error "not yet" end
      return task.attempt_of_task
    end, { retry = { limit = 1 } })
    local id = app:submit(handler)
    for _ = 1, 2 do
      app:work { until_idle = true }
      assert(app:retry(id))
    end
    app:work { until_idle = true }
    assert.equal(3, app:task(id).results.only)
  end)

  it("lists what it has when it is walked with pairs", function()
    local step = probe(function(task)
      local names = {}
      for name in pairs(task.results) do
        names[#names + 1] = name
      end
      table.sort(names)
      return names
    end)
    assert.same({ "a", "b" }, step.results)
  end)
end)

describe("dependencies", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("are complete before a step starts, in any shape of graph", function()
    local done = {}
    local steps = {}
    math.randomseed(7)
    for i = 1, 60 do
      local needs = {}
      for j = 1, i - 1 do
        if math.random() < 0.1 then needs[#needs + 1] = "s" .. j end
      end
      steps[i] = { name = "s" .. i, depends_on = needs, run = function()
        for _, name in ipairs(needs) do
          assert(done[name], name .. " is not done")
        end
        tasker.sleep(0.0001)
        done["s" .. i] = true
      end }
    end
    local task = app:run(harness.handler { steps = steps, retry = { limit = 1 } })
    assert.equal("complete", task.status)
  end)

  it("let steps without any start at once, and a chain one after the other", function()
    local running, most = 0, 0
    local function busy()
      running = running + 1
      most = math.max(most, running)
      tasker.sleep(0.02)
      running = running - 1
    end
    local steps = { { name = "a", run = busy }, { name = "b", run = busy }, { name = "c", run = busy } }
    app:run(harness.handler { steps = steps })
    assert.equal(3, most)
    most = 0
    app:run(harness.handler { chain = true, steps = steps })
    assert.equal(1, most)
    most = 0
    app:run(harness.handler { max_parallel = 2, steps = steps })
    assert.equal(2, most)
  end)

  it("of a step in error are never started, and other branches run to their end first", function()
    local task = app:run(harness.handler { steps = {
      { name = "bad", retry = { limit = 1 }, run = function() error "no" end },
      { name = "after_bad", depends_on = "bad", run = nothing },
      { name = "slow", run = function() tasker.sleep(0.03) end },
      { name = "after_slow", depends_on = "slow", run = function() return "done" end },
    } })
    assert.equal("error", task.status)
    assert.equal("pending", task.steps.after_bad.status)
    assert.equal(0, task.steps.after_bad.attempts)
    assert.equal("done", task.results.after_slow)
    assert.is_true(task.completed_at >= task.steps.after_slow.completed_at)
  end)
end)
