local harness = require "spec.support.harness"
local tasker = require "tasker"

-- Names of the steps by status, so that one line tells all of a run.
local function by_status(task)
  local found = {}
  for _, step in ipairs(task.steps) do
    found[step.status] = found[step.status] or {}
    table.insert(found[step.status], step.name)
  end
  return found
end

for _, kind in ipairs(harness.kinds) do
  describe("branches and joins, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    local function ok() return true end

    it("a step whose `when` says no is skipped with all that depends on it alone", function()
      local handler = harness.handler { steps = {
        { name = "check", run = function(task) return task.context.amount end },
        { name = "big", depends_on = "check", when = function(task) return task.results.check > 1000 end, run = ok },
        { name = "report", depends_on = "big", run = ok },
        { name = "done", depends_on = { "check", "report" }, run = ok },
      } }
      local task = app:run(handler, { amount = 5 })
      assert.equal("complete", task.status)
      assert.same({ complete = { "check", "done" }, skipped = { "big", "report" } }, by_status(task))
      assert.equal(0, task.steps.big.attempts)
      assert.same({ complete = { "check", "big", "report", "done" } }, by_status(app:run(handler, { amount = 5000 })))
    end)

    it("a switch takes the branch that it names, the default otherwise", function()
      local handler = harness.handler { steps = {
        { name = "route", switch = function(task) return task.context.how end,
          cases = { express = { "fast" }, standard = { "slow", "post" } }, default = "standard" },
        { name = "fast", run = ok }, { name = "slow", run = ok }, { name = "post", run = ok },
        { name = "ship", depends_on = { "fast", "slow", "post" }, run = ok },
      } }
      local task = app:run(handler, { how = "express" })
      assert.same({ complete = { "route", "fast", "ship" }, skipped = { "slow", "post" } }, by_status(task))
      assert.equal("express", task.results.route)
      task = app:run(handler, { how = "by pigeon" })
      assert.same({ complete = { "route", "slow", "post", "ship" }, skipped = { "fast" } }, by_status(task))
      assert.equal("standard", task.results.route)
      assert.equal("standard", app:run(handler, {}).results.route, "nothing is no branch either")
    end)

    it("a switch without a default fails on a branch that is not there, naming it", function()
      local handler = harness.handler { steps = {
        { name = "route", switch = function() return "north" end, cases = { south = "go" } }, { name = "go", run = ok },
      } }
      local task = app:run(handler)
      assert.equal("error", task.status)
      assert.matches("north", task.errors.route.message, 1, true)
    end)

    it("a condition that raises puts its step in error", function()
      local handler = harness.handler { steps = { { name = "a", when = function() error "no idea" end, run = ok } } }
      local task = app:run(handler)
      assert.equal("error", task.status)
      assert.matches("no idea", task.errors.a.message, 1, true)
      assert.equal(0, task.steps.a.attempts)
    end)

    it("`any` and a number join as soon as that many are complete", function()
      local function slow() return tasker.sleep(0.2) end
      local handler = harness.handler { steps = {
        { name = "quick", run = ok }, { name = "slow", run = slow }, { name = "slower", run = slow },
        { name = "first", depends_on = { "quick", "slow", "slower" }, join = "any", run = function() return tasker.now() end },
        { name = "two", depends_on = { "quick", "slow", "slower" }, join = 2, run = function() return tasker.now() end },
      } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.is_true(task.results.two - task.results.first > 0.1)
    end)

    it("`all_done` runs after failures too, and the task still ends in error", function()
      local handler = harness.handler { steps = {
        { name = "a", retry = { limit = 1 }, run = function() error "broken" end },
        { name = "b", depends_on = "a", run = ok },
        { name = "clean", depends_on = { "a" }, join = "all_done", run = ok },
      } }
      local task = app:run(handler)
      assert.equal("error", task.status)
      assert.same({ error = { "a" }, pending = { "b" }, complete = { "clean" } }, by_status(task))
    end)

    it("a join that can no longer be met is skipped", function()
      local function never() return false end
      local handler = harness.handler { steps = {
        { name = "a", when = never, run = ok }, { name = "b", when = never, run = ok },
        { name = "either", depends_on = { "a", "b" }, join = "any", run = ok },
      } }
      assert.same({ skipped = { "a", "b", "either" } }, by_status(app:run(handler)))
    end)
  end)

  describe("a step that waits, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("sleeps for its seconds, or until the time that its function tells", function()
      local handler = harness.handler { steps = {
        { name = "a", sleep = 0.1 }, { name = "b", sleep = function(task) return task.context.pause end },
        { name = "c", sleep = function() return tasker.time.format(tasker.now() + 0.1) end },
        { name = "end", depends_on = { "a", "b", "c" }, run = function() return tasker.now() end },
      } }
      local started = tasker.now()
      local task = app:run(handler, { pause = 0.1 })
      assert.equal("complete", task.status)
      assert.is_true(task.results["end"] - started >= 0.1)
      assert.is_nil(task.results.a)
    end)

    it("is refused with a timeout on a sleep, which would say two times", function()
      local ok, err = pcall(harness.handler, { steps = { { name = "nap", sleep = 1, timeout = 2 } } })
      assert.is_false(ok)
      assert.matches("nap", err, 1, true)
      assert.matches("timeout", err, 1, true)
    end)

    it("takes a signal that comes while it waits, whose payload is its results", function()
      local handler = harness.handler { steps = {
        { name = "paid", signal = "payment" },
        { name = "ship", depends_on = "paid", run = function(task) return task.results.paid.sum end },
      } }
      local id = app:submit(handler)
      app:work { until_idle = true }
      local task = app:task(id)
      assert.equal("waiting", task.steps.paid.status)
      assert.equal("signal", task.steps.paid.waiting_for)
      assert.equal("complete", app:signal(id, "payment", { sum = 12 }).steps.paid.status)
      app:work { until_idle = true }
      assert.equal(12, app:task(id).results.ship)
      assert.equal("refused", select(2, app:signal(id, "payment")).code)
    end)

    it("takes signals that came before it waited, in their order", function()
      local handler = harness.handler { chain = true, steps = {
        { name = "a", run = function() end }, { name = "one", signal = "go" }, { name = "two", signal = "go" },
      } }
      local id = app:submit(handler)
      assert(app:signal(id, "go", 1))
      assert(app:signal(id, "other"))
      assert(app:signal(id, "go", 2))
      app:work { until_idle = true }
      local task = app:task(id)
      assert.equal("complete", task.status)
      assert.same({ 1, 2 }, { task.results.one, task.results.two })
    end)

    it("fails, or completes, when its signal does not come in time", function()
      local function waiting(on_timeout)
        return harness.handler { steps = { { name = "paid", signal = "payment", timeout = 0.1, on_timeout = on_timeout } } }
      end
      local failed = app:run(waiting("fail"))
      assert.equal("error", failed.status)
      assert.equal("timeout", failed.errors.paid.code)
      local done = app:run(waiting("complete"))
      assert.equal("complete", done.status)
      assert.is_nil(done.results.paid)
    end)
  end)
end
