local harness = require "spec.support.harness"
local tasker = require "tasker"

local function ok() return true end

for _, kind in ipairs(harness.kinds) do
  describe("child tasks, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("run with the context that their parent gives and bring their results back", function()
      local ship = harness.handler { steps = {
        { name = "pack", run = function(task) return { packed = task.context.order } end },
        { name = "send", depends_on = "pack", run = function(task) return task.parent_task_id end },
      } }
      local order = harness.handler { steps = {
        { name = "check", run = function() return 7 end },
        { name = "ship", depends_on = "check", child = ship, context = function(task) return { order = task.results.check } end },
        { name = "tell", depends_on = "ship", run = function(task) return task.results.ship end },
      } }
      local task = app:run(order)
      assert.equal("complete", task.status)
      local child = app:task(task.results.ship.task_id)
      assert.same({ task_id = child.task_id, status = "complete", results = { pack = { packed = 7 }, send = task.task_id } },
        task.results.ship)
      assert.same(task.results.ship, task.results.tell)
      assert.equal(task.task_id, child.parent_task_id)
      assert.equal(child.task_id, task.steps.ship.child_task_id)
      assert.equal(1, task.steps.ship.attempts)
      assert.same({ order = 7 }, task.steps.ship.inputs)
      assert.is_nil(task.steps.check.child_task_id)
      local names = {}
      for _, event in ipairs(app:events { task_id = task.task_id }) do
        if event.step == "ship" then
          names[#names + 1] = event.event
          assert.equal(1, event.attempt or 1)
          assert.equal(event.event == "step.waiting" and child.task_id or nil, event.data.task_id)
        end
      end
      assert.same({ "step.started", "step.waiting", "step.completed" }, names)
    end)

    it("have the initiator, source system and reason of their parent, and a priority of their own only when they say so", function()
      local plain, urgent = harness.handler { steps = { { name = "a", run = ok } } },
        harness.handler { priority = 9, steps = { { name = "a", run = ok } } }
      local task = app:run(harness.handler { steps = { { name = "x", child = plain }, { name = "y", child = urgent } } }, {},
        { initiator = "ann", source_system = "till", reason = "because", priority = 3, tags = { "vip" } })
      local x, y = app:task(task.results.x.task_id), app:task(task.results.y.task_id)
      assert.same({ "ann", "till", "because", 3, {} }, { x.initiator, x.source_system, x.reason, x.priority, x.tags })
      assert.equal(9, y.priority)
      assert.not_equal(x.task_id, y.task_id)
    end)

    it("that end in error put their parent's step in error, which says where and why", function()
      local bad = harness.handler { namespace = "depot", steps = {
        { name = "load", run = function() error(tasker.permanent("no truck", { code = "truck" })) end } } }
      local task = app:run(harness.handler { steps = {
        { name = "ship", child = bad }, { name = "after", depends_on = "ship", run = ok } } })
      assert.equal("error", task.status)
      assert.equal("pending", task.steps.after.status)
      local err = task.errors.ship
      assert.equal("truck", err.code)
      assert.matches("step 'load': no truck", err.message, 1, true)
      assert.matches("depot/", err.message, 1, true)
      assert.equal("error", err.details.status)
      assert.equal("load", err.details.step)
      assert.equal("no truck", err.details.error.message)
      assert.equal(task.steps.ship.child_task_id, err.details.task_id)
    end)

    it("that end in error are results where on_child_error = \"ignore\"", function()
      local bad = harness.handler { steps = {
        { name = "good", run = ok }, { name = "bad", retry = { limit = 1 }, run = function() error "oops" end } } }
      local task = app:run(harness.handler { steps = { { name = "try", child = bad, on_child_error = "ignore" } } })
      assert.equal("complete", task.status)
      assert.equal("error", task.results.try.status)
      assert.same({ good = true }, task.results.try.results)
      assert.matches("oops", task.results.try.errors.bad.message, 1, true)
    end)

    it("are retried by their step's policy where on_child_error = \"retry\", and keep what they had done", function()
      local runs = { once = 0, often = 0 }
      local flaky = harness.handler { steps = {
        { name = "once", run = function() runs.once = runs.once + 1 end },
        { name = "often", depends_on = "once", retry = { limit = 1 }, run = function(task)
          runs.often = runs.often + 1
          return task.attempt_of_task < 3 and error "not yet" or "now"
        end } } }
      local task = app:run(harness.handler { steps = {
        { name = "try", child = flaky, on_child_error = "retry", retry = harness.quick_retry(3) } } })
      assert.equal("complete", task.status)
      assert.equal("now", task.results.try.results.often)
      assert.same({ once = 1, often = 3 }, runs)
      assert.equal(3, task.steps.try.attempts)
      task = app:run(harness.handler { steps = {
        { name = "try", child = flaky, on_child_error = "retry", retry = harness.quick_retry(2) } } })
      assert.equal("error", task.status)
      assert.equal(2, task.steps.try.attempts)
    end)

    it("of a task or step that is retried are retried where they failed", function()
      local broken = true
      local child = harness.handler { steps = { { name = "a", retry = { limit = 1 }, run = function()
        return broken and error "broken" or "mended"
      end } } }
      local task = app:run(harness.handler { steps = { { name = "up", child = harness.handler { steps = {
        { name = "down", child = child } } } } } })
      assert.equal("error", task.status)
      local before = task.steps.up.child_task_id
      broken = false
      assert(app:retry(task.task_id, { reason = { reason = "mended", by = "ann" } }))
      task = app:work_for(task.task_id)
      assert.equal("complete", task.status)
      assert.equal(before, task.steps.up.child_task_id)
      local grandchild = task.results.up.results.down.task_id
      assert.same({ cascade = task.task_id, reason = "mended", by = "ann" }, harness.events_of(app, "task.retried", grandchild)[1].data)
    end)

    it("that cannot be found, or refuse their context, put their step in error; a retry looks again", function()
      local wanted = harness.handler { name = "wanted_" .. kind, context_schema = { type = "object", required = { "n" } },
        steps = { { name = "a", run = ok } } }
      local parent = harness.handler { steps = {
        { name = "lost", child = "default/nowhere_" .. kind }, { name = "wrong", child = "wanted_" .. kind, context = { m = 1 } },
        { name = "raises", child = wanted, context = function() error "no idea" end },
      } }
      local task = app:run(parent)
      assert.equal("error", task.status)
      assert.equal("not_found", task.errors.lost.code)
      assert.equal("invalid", task.errors.wrong.code)
      assert.matches("no idea", task.errors.raises.message, 1, true)
      assert.equal(0, task.steps.lost.attempts)
      harness.handler { name = "nowhere_" .. kind, steps = { { name = "a", run = ok } } }
      app:retry(task.task_id, { step = "lost" })
      assert.equal("complete", app:work_for(task.task_id).steps.lost.status)
    end)

    it("that take longer than their step's timeout are cancelled", function()
      local slow = harness.handler { steps = { { name = "a", sleep = 3600 } } }
      local task = app:run(harness.handler { steps = { { name = "wait", child = slow, timeout = 0.05 } } })
      assert.equal("error", task.status)
      assert.equal("timeout", task.errors.wait.code)
      app:work { until_idle = true }
      assert.equal("cancelled", app:task(task.steps.wait.child_task_id).status)
    end)

    it("that somebody cancels or resolves count as that", function()
      local slow = harness.handler { steps = { { name = "a", signal = "go" } } }
      local function start(fields)
        fields.name, fields.child = "wait", slow
        local id = app:submit(harness.handler { steps = { fields } })
        app:work { until_idle = true }
        return id, app:task(id).steps.wait.child_task_id
      end
      local id, child = start {}
      app:cancel(child, { reason = "no", by = "ann" })
      app:work { until_idle = true }
      assert.equal("cancelled", app:task(id).errors.wait.code)
      id, child = start { on_child_error = "ignore" }
      app:cancel(child)
      app:work { until_idle = true }
      assert.equal("cancelled", app:task(id).results.wait.status)
      id, child = start {}
      app:cancel(child, nil, { step = "a" })
      app:resolve(child, nil, { by = "hand" })
      assert(app:retry(id))
      app:work { until_idle = true }
      local results = app:task(id).results.wait
      assert.same({ "resolved_manually", { by = "hand" } }, { results.status, results.resolution })
    end)

    it("end at a depth of 100", function()
      local name = "deep_" .. kind
      tasker.handler { name = name, steps = { { name = "down", child = name } } }
      local task = app:run(name)
      assert.equal("error", task.status)
      local depth = 1
      while task.steps.down.child_task_id do
        task, depth = app:task(task.steps.down.child_task_id), depth + 1
      end
      assert.equal(100, depth)
      assert.matches("100", task.errors.down.message, 1, true)
    end)

    it("with larger results than a payload may have fail their step, saying so", function()
      local text = ("x"):rep(600 * 1024)
      local function run() return text end
      local big = harness.handler { steps = { { name = "a", run = run }, { name = "b", run = run } } }
      local task = app:run(harness.handler { steps = { { name = "all", child = big } } })
      assert.equal("error", task.status)
      assert.equal("too_large", task.errors.all.code)
      harness.names_limit(task.errors.all.message, "1 MiB")
    end)

    it("are of the tasks that app:work waits for with until_idle", function()
      local child = harness.handler { steps = { { name = "a", sleep = 0.05 }, { name = "b", depends_on = "a", run = ok } } }
      local id = app:submit(harness.handler { steps = { { name = "wait", child = child } } })
      app:work { until_idle = true }
      assert.equal("complete", app:task(id).status)
    end)

    it("are made for each element of a list, no more at once than max_parallel says, and may fail as max_failures says", function()
      local running, most = 0, 0
      local square = harness.handler { steps = { { name = "square", retry = { limit = 1 }, run = function(task)
        running = running + 1
        most = math.max(most, running)
        tasker.sleep(0.001)
        running = running - 1
        return task.context.bad and error "bad" or task.context.n * task.context.n
      end } } }
      local each = { name = "each", child = square, max_parallel = 3, max_failures = 1,
        map = function(task) return task.context.list end,
        context = function(task, step) return { n = step.item, bad = step.item == task.context.bad, i = step.index } end }
      local task = app:run(harness.handler { steps = { each } }, { list = { 1, 2, 3, 4, 5, 6, 7, 8 }, bad = 4 })
      assert.equal("complete", task.status)
      assert.is_true(most <= 3)
      local squares = {}
      for i, result in ipairs(task.results.each) do
        squares[i] = result and result.results.square
      end
      assert.same({ 1, 4, 9, false, 25, 36, 49, 64 }, squares)
      assert.equal(8, task.steps.each.instances)
      assert.equal(1, task.steps.each.failed)
      assert.matches("bad", task.errors.each.elements["4"].message, 1, true)
      assert.is_nil(task.steps.each.child_task_id)
      assert.equal("each[2]", app:tree(task.task_id).children[2].step)
      assert.equal(task.results.each[2].task_id, task.steps["each[2]"].child_task_id)
      assert.equal(8, app:count { parent = task.task_id })
      local whole = app:run(harness.handler { steps = { { name = "all", child = harness.handler { steps = { each } },
        context = { list = { 1, 2 } } } } })
      assert.equal(4, whole.results.all.results.each[2].results.square)
    end)

    it("of a list are cancelled with it, and retried where they failed", function()
      local broken = true
      local part = harness.handler { steps = { { name = "a", retry = { limit = 1 }, run = function(task)
        return broken and task.context.n == 2 and error "broken" or task.context.n
      end } } }
      local parent = harness.handler { steps = { { name = "each", child = part, map = function() return { 1, 2, 3 } end,
        context = function(_, step) return { n = step.item } end } } }
      local task = app:run(parent)
      assert.equal("error", task.status)
      broken = false
      assert(app:retry(task.task_id))
      task = app:work_for(task.task_id)
      assert.equal("complete", task.status)
      assert.equal(3, app:count { parent = task.task_id })
      local waiting = harness.handler { steps = { { name = "a", signal = "go" } } }
      local id = app:submit(harness.handler { steps = { { name = "each", child = waiting, map = function() return { 1, 2, 3 } end } } })
      app:work { until_idle = true }
      app:cancel(id)
      app:work { until_idle = true }
      assert.equal(3, app:count { parent = id, status = "cancelled" })
    end)

    it("stand in a tree, and can be listed by their parent", function()
      local leaf = harness.handler { steps = { { name = "a", run = ok }, { name = "b", run = ok } } }
      local middle = harness.handler { steps = { { name = "x", child = leaf }, { name = "y", child = leaf } } }
      local task = app:run(harness.handler { steps = { { name = "down", child = middle } } })
      local tree = app:tree(task.task_id)
      assert.same({ complete = 4 }, tree.tasks)
      assert.same({ task.task_id, nil, 1 }, { tree.task_id, tree.step, #tree.children })
      local below = tree.children[1]
      assert.same({ "down", 2, { complete = 2 } }, { below.step, #below.children, below.children[1].steps })
      assert.same({ "x", "y" }, { below.children[1].step, below.children[2].step })
      local list = app:tasks { parent = below.task_id }
      assert.same({ below.children[2].task_id, below.children[1].task_id }, { list[1].task_id, list[2].task_id })
      assert.equal(1, app:count { parent = task.task_id })
      assert.equal(0, app:count { parent = task.task_id, status = "error" })
      harness.refused("not_found", "no task", app:tree("0197f2a0-0000-7000-8000-000000000000"))
      harness.refused("not_found", "no task", app:tasks { parent = "0197f2a0-0000-7000-8000-000000000000" })
      harness.refused("invalid", "parent", app:tasks { parent = "none" })
    end)

    it("are not what a step submits", function()
      local other = harness.handler { steps = { { name = "a", run = ok } } }
      local task = app:run(harness.one_step(function() return tasker.app():submit(other) end))
      assert.is_nil(app:task(task.results.only).parent_task_id)
    end)
  end)

  describe("what is done to a task with children, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    -- A root with 3 children with 40 steps each, of which each has a signal to wait for in the end.
    local function tree()
      local steps = {}
      for i = 1, 40 do
        steps[i] = { name = "s" .. i, run = function() return tasker.sleep(0) end }
      end
      steps[41] = { name = "go", signal = "go" }
      local leaf = harness.handler { steps = steps }
      local middle = harness.handler { steps = { { name = "x", child = leaf }, { name = "y", child = leaf } } }
      return harness.handler { steps = { { name = "a", child = middle }, { name = "b", child = middle }, { name = "c", child = leaf } } }
    end

    local function each_below(id, fn)
      for _, step in ipairs(app:task(id).steps) do
        if step.child_task_id then
          fn(app:task(step.child_task_id))
          each_below(step.child_task_id, fn)
        end
      end
    end

    it("is done to all of them, as one operation, and nothing starts after it was acknowledged", function()
      for _, verb in ipairs { "cancel", "pause" } do
        local id, acknowledged
        local after = select(2, app:events())
        -- The one who stops the tree works in the same worker, in the middle of it.
        local stopper = harness.one_step(function()
          harness.eventually(function() return #assert(app:tree(id)).children > 0 end)
          assert(app[verb](app, id, { reason = "enough", by = "ann" }))
          acknowledged = select(2, app:events { after = after })
        end)
        id = app:submit(tree())
        app:submit(stopper, {}, { priority = 1 })
        app:work { until_idle = true, concurrency = 2 }
        local status = verb == "cancel" and "cancelled" or "paused"
        assert.equal(status, app:task(id).status)
        local count = 0
        each_below(id, function(task)
          count = count + 1
          assert.equal(status, task.status)
          local event = harness.events_of(app, "task." .. status, task.task_id)
          assert.equal(1, #event)
          -- One that was asked for before, and made after it, is paused by its parent, which does not remember why.
          local made = harness.events_of(app, "task.created", task.task_id)[1].seq
          if made < acknowledged then
            assert.same({ cascade = id, reason = "enough", by = "ann" }, event[1].data)
          else
            assert.is_string(event[1].data.cascade)
          end
        end)
        assert.is_true(count > 0)
        for _, event in ipairs(app:events { after = acknowledged }) do
          assert.not_equal("step.started", event.event, "a step started after the " .. verb)
        end
        if verb == "pause" then
          assert(app:resume(id))
          app:work { until_idle = true }
          each_below(id, function(task)
            assert.equal("in_progress", task.status)
            if task.steps.go then app:signal(task.task_id, "go") end
          end)
          app:work { until_idle = true }
          assert.equal("complete", app:task(id).status)
        end
      end
    end)

    it("is refused below a task that is paused: a child cannot be resumed alone", function()
      local id = app:submit(tree())
      app:work { until_idle = true }
      app:pause(id)
      local child = app:task(id).steps.a.child_task_id
      app:work { until_idle = true }
      harness.refused("refused", { id, "paused" }, app:resume(child))
      assert(app:resume(id))
      app:work { until_idle = true }
      assert.equal("in_progress", app:task(child).status)
    end)

    it("reaches the child of the one step that is cancelled or resolved", function()
      local id = app:submit(tree())
      app:work { until_idle = true }
      local a, b = app:task(id).steps.a.child_task_id, app:task(id).steps.b.child_task_id
      app:cancel(id, "not a", { step = "a" })
      app:resolve(id, "b", { by = "hand" })
      app:work { until_idle = true }
      assert.equal("cancelled", app:task(a).status)
      assert.equal("cancelled", app:task(b).status)
      assert.equal("in_progress", app:task(app:task(id).steps.c.child_task_id).status)
    end)
  end)
end

describe("a definition with a child is refused", function()
  local function refused(fragments, step)
    step.name = "ship"
    harness.raises(fragments, function() harness.handler { name = "wrong", steps = { step } } end)
  end

  it("where a field is wrong, naming handler, step and field", function()
    refused({ "default/wrong", "step 'ship'", "child", "no handler" }, { child = "a/b/c" })
    refused({ "step 'ship'", "child" }, { child = {} })
    refused({ "step 'ship'", "child", "version" }, { child = "a@one" })
    refused({ "step 'ship'", "'run' and 'child'" }, { child = "a", run = ok })
    refused({ "step 'ship'", "on_child_error", "ignore" }, { child = "a", on_child_error = "ignor" })
    refused({ "step 'ship'", "context" }, { run = ok, context = ok })
    refused({ "step 'ship'", "context", "object" }, { child = "a", context = { 1, 2 } })
    refused({ "step 'ship'", "retry", "on_child_error" }, { child = "a", retry = { limit = 2 } })
    harness.handler { steps = { { name = "ship", child = "a", retry = { limit = 1 } } } }   -- which is what there is without it
    refused({ "step 'ship'", "retry.backoff" }, { child = "a", on_child_error = "retry", retry = { backoff = function() return 1 end } })
    refused({ "step 'ship'", "timeout" }, { child = "a", timeout = -1 })
  end)
end)
