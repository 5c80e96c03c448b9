local tasker = require "tasker"

local counter = 0

-- A handler under a name of its own.
local function define(fields)
  counter = counter + 1
  local definition = { namespace = "spec", name = "client" .. counter,
    steps = { { name = "a", run = function() return { ok = true } end } } }
  for name, value in pairs(fields or {}) do
    definition[name] = value
  end
  return tasker.handler(definition)
end

-- The task that was submitted with these arguments.
local function submitted(app, ...)
  local id = assert(app:submit(...))
  return app:task(id)
end

local function assert_invalid(text, result, err)
  assert.is_nil(result)
  assert.equal("invalid", err.code)
  assert.truthy(tostring(err):find(text, 1, true), ("%q is not in: %s"):format(text, tostring(err)))
end

local function assert_raises(text, fn)
  local ok, err = pcall(fn)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), ("%q is not in: %s"):format(text, tostring(err)))
  assert.truthy(tostring(err):find("client_spec.lua", 1, true), "raised elsewhere: " .. tostring(err))
end

for _, kind in ipairs { "memory", "lmdb" } do
  describe("a client of a store of kind " .. kind, function()
    local app, folder

    before_each(function()
      folder = os.tmpname()
      os.remove(folder)
      app = assert(tasker.open(kind == "memory" and "memory:" or folder))
    end)

    after_each(function()
      app:close()
      os.execute("rm -rf " .. folder)
    end)

    it("runs a workflow from submit to results", function()
      local handler = define { steps = {
        { name = "reserve", run = function(task) return { reserved = task.context.order_id } end },
        { name = "charge", depends_on = "reserve", run = function(task, step)
          return { amount = task.results.reserve.reserved * 2, key = step.idempotency_key }
        end },
      } }
      local task = assert(app:run(handler, { order_id = 7 }, { tags = { "vip" }, priority = 5, reason = "spec" }))
      assert.equal("complete", task.status)
      assert.same({ amount = 14, key = task.task_id .. ":charge" }, task.results.charge)
      assert.equal(task.steps[2], task.steps.charge)
      assert.same({ "vip" }, task.tags)
      assert.same({ 5, "spec", "default" }, { task.priority, task.reason, task.queue })
      assert.is_nil(task.parent_task_id)
      assert.is_nil(task.steps.charge.error)
    end)

    it("takes a handler by name, with and without namespace and version", function()
      local handler = define { version = "1.2.0" }
      local full = "spec/" .. handler.name
      for _, reference in ipairs { handler, full, full .. "@1.2.0" } do
        assert.equal("1.2.0", submitted(app, reference).version)
      end
      assert(app:submit(handler.name, nil, { namespace = "spec", version = "1.2.0" }))
    end)

    it("takes the highest version without one", function()
      local handler = define { version = "1.9.0" }
      define { name = handler.name, version = "1.10.0" }
      define { name = handler.name, version = "1.10.0-rc.1" }
      assert.equal("1.10.0", submitted(app, "spec/" .. handler.name).version)
    end)

    it("uses the newest definition of a name and version; tasks keep the one they were submitted with", function()
      local handler = define { steps = { { name = "old", run = function() return 1 end } } }
      local before = assert(app:submit(handler))
      define { name = handler.name, steps = { { name = "new", run = function() return 2 end } } }
      local after = assert(app:submit("spec/" .. handler.name))
      assert.equal("old", app:task(before).steps[1].name)
      assert.equal("new", app:task(after).steps[1].name)
    end)

    it("says which handler was meant", function()
      local handler = define()
      local id, err = app:submit("spec/" .. handler.name .. "x")
      assert.is_nil(id)
      assert.equal("not_found", err.code)
      id, err = app:submit(handler.name)
      assert.is_nil(id)
      assert.truthy(err.message:find("did you mean 'spec/" .. handler.name .. "'", 1, true), err.message)
      id, err = app:submit("spec/" .. handler.name .. "@9.0.0")
      assert.is_nil(id)
      assert.truthy(err.message:find("0.1.0", 1, true), err.message)
    end)

    it("validates the context, with pointers", function()
      local handler = define { context_schema = { type = "object", required = { "order_id" },
        properties = { order_id = { type = "integer" }, items = { type = "array" } } } }
      local id, err = app:submit(handler, { order_id = "x" })
      assert.is_nil(id)
      assert.equal("/order_id", err.details.errors[1].instance)
      assert_invalid("'order_id' is missing", app:submit(handler, nil))
      local context = { order_id = 1, items = {} }
      local task = submitted(app, handler, context)
      assert.is_true(tasker.json.is_array(task.context.items))
      assert.is_nil(getmetatable(context.items))
    end)

    it("refuses a context that is no object", function()
      local handler = define()
      assert_invalid("context", app:submit(handler, 5))
      assert_invalid("context", app:submit(handler, { 1, 2 }))
      assert_invalid("context", app:submit(handler, tasker.array {}))
      assert_invalid("context", app:submit(handler, tasker.null))
      assert_invalid("$.f", app:submit(handler, { f = print }))
      assert_invalid("1048576", app:submit(handler, { text = ("x"):rep(1024 * 1024) }))
      local deep = {}
      for _ = 1, 200 do deep = { deep } end
      assert_invalid("128", app:submit(handler, { deep = deep }))
    end)

    it("refuses impossible options, naming them", function()
      local handler = define { steps = { { name = "a", run = function() end }, { name = "b", run = print, skippable = true } } }
      for _, case in ipairs {
        { "priority", { priority = 1.5 } }, { "priority", { priority = 2 ^ 40 } }, { "delay", { delay = -1 } },
        { "delay", { delay = 0 / 0 } },
        { "run_at", { run_at = "soon" } }, { "requested_at", { requested_at = -5 } }, { "queue", { queue = "a b" } },
        { "tags", { tags = { a = 1 } } }, { "tags", { tags = { 1 } } }, { "identity_key", { identity_key = "" } },
        { "'run_at' and 'delay'", { run_at = 5, delay = 5 } }, { "'c'", { bypass_steps = { "c" } } },
        { "not skippable", { bypass_steps = { "a" } } }, { "version", { version = "1" } }, { "namespace", { namespace = "a/b" } },
        { "reason", { reason = ("x"):rep(1025) } }, { "initiator", { initiator = "\xff" } },
        { "annotations", { annotations = { ["a b"] = 1 } } }, { "'x'", { annotations = { x = print } } },
      } do
        assert_invalid(case[1], app:submit(handler, {}, case[2]))
      end
      local many = {}
      for i = 1, 65 do many["a" .. i] = i end
      assert_invalid("64", app:submit(handler, {}, { annotations = many }))
    end)

    it("raises on misuse, naming the argument, at the caller", function()
      local handler = define()
      assert_raises("'prioritty' is unknown; did you mean 'priority'?", function() app:submit(handler, {}, { prioritty = 1 }) end)
      assert_raises("'priority' must be a number", function() app:submit(handler, {}, { priority = "high" }) end)
      assert_raises("options must be a table", function() app:submit(handler, {}, "x") end)
      assert_raises("handler", function() app:submit({}, {}) end)
      assert_raises("'staus'", function() app:tasks { staus = "complete" } end)
      assert_raises("'limit'", function() app:tasks { limit = "x" } end)
      assert_raises("id", function() app:task(5) end)
      assert_raises("function", function() app:follow({}, 5) end)
      assert_raises("'thread'", function() app:work { thread = 1 } end)
      assert_raises("'files'", function() app:work { files = "x.lua" } end)
      assert_raises("seconds", function() app:wait("x", "y") end)
      assert_raises("'because'", function() app:cancel("x", { because = "y" }) end)
      assert_raises("'durabilty'", function() tasker.open("memory:", { durabilty = "sync" }) end)
      assert_raises("list", function() app:submit_many { a = 1 } end)
      assert_raises("entry 1", function() app:submit_many { 5 } end)
    end)

    it("answers invalid for what cannot be", function()
      assert_invalid("status", app:tasks { status = "done" })
      assert_invalid("limit", app:tasks { limit = 0 })
      assert_invalid("since", app:tasks { since = "soon" })
      assert_invalid("after", app:events { after = -1 })
      assert_invalid("threads", app:work { threads = 0 })
      assert_invalid("threads", app:work { threads = 2 })
      assert_invalid("concurrency", app:work { concurrency = 1.5 })
      assert_invalid("until_idle", app:work { until_idle = -1 })
      assert_invalid("queues", app:work { queues = {} })
      assert_invalid("seconds", app:wait("x", -1))
      assert_invalid("durability", tasker.open("memory:", { durability = "fast" }))
      assert_invalid("instances", app:task("x", { instances = "some" }))
    end)

    it("submits many in one commit, in order, all or nothing", function()
      local handler = define { context_schema = { properties = { n = { type = "integer" } } } }
      local list = {}
      for i = 1, 100 do list[i] = { handler, { n = i } } end
      local ids, created = assert(app:submit_many(list))
      assert.equal(100, #ids)
      assert.is_true(created[100])
      assert.equal(57, app:task(ids[57]).context.n)
      local before = app:count { name = handler.name }
      list[50] = { handler, { n = "x" } }
      assert_invalid("entry 50", app:submit_many(list))
      assert.equal(before, app:count { name = handler.name })
      assert.same({ {}, {} }, { app:submit_many {} })
    end)

    it("bounds submit_many by entries and bytes", function()
      local handler = define()
      local list = {}
      for i = 1, 10001 do list[i] = { handler } end
      assert_invalid("10000", app:submit_many(list))
      list = {}
      for i = 1, 17 do list[i] = { handler, { text = ("x"):rep(1000000) } } end
      assert_invalid("16777216", app:submit_many(list))
    end)

    it("creates nothing twice for one identity", function()
      local handler = define { identity = "hash" }
      local first, created = assert(app:submit(handler, { n = 1 }))
      assert.is_true(created)
      assert.same({ first, false }, { app:submit(handler, { n = 1.0 }) })
      assert.not_equal(first, (app:submit(handler, { n = 2 })))
      local keyed = app:submit(handler, { n = 1 }, { identity_key = "k" })
      assert.same({ keyed, false }, { app:submit(handler, { n = 9 }, { identity_key = "k" }) })
      assert.not_equal(first, keyed)
    end)

    it("rejects the second where the handler says so", function()
      local handler = define { identity = { strategy = function(request) return request.context.key end, conflict = "reject" } }
      local first = assert(app:submit(handler, { key = "a" }))
      local id, err = app:submit(handler, { key = "a" })
      assert.is_nil(id)
      assert.same({ "conflict", first }, { err.code, err.details.task_id })
      assert_invalid("identity function", app:submit(handler, {}))
    end)

    it("gives submissions inside a step a key of their own, so that a retry makes no second task", function()
      local child = define()
      local tries, ids = 0, {}
      local parent = define { steps = { { name = "spawn", retry = { backoff = "none" }, run = function()
        tries = tries + 1
        local current = tasker.app()
        local first = assert(current:submit(child, { n = 1 }))
        local second = assert(current:submit(child, { n = 2 }))
        ids[tries] = { first, second }
        if tries == 1 then error("again") end
      end } } }
      assert.equal("complete", app:run(parent).status)
      assert.equal(2, tries)
      assert.same(ids[1], ids[2])
      assert.not_equal(ids[1][1], ids[1][2])
      assert.equal(2, app:count { name = child.name })
    end)

    it("raises for work inside a step", function()
      local handler = define { steps = { { name = "a", retry = { limit = 1 }, run = function() tasker.app():work {} end } } }
      local task = assert(app:run(handler))
      assert.equal("error", task.status)
      assert.truthy(task.steps.a.error.message:find("app:work", 1, true))
      assert.is_nil(task.steps.a.error.details)
    end)

    it("lists tasks newest first, by pages, and counts them", function()
      local handler = define()
      local ids = {}
      for i = 1, 5 do ids[i] = assert(app:submit(handler, {}, { tags = i > 3 and { "late" } or nil })) end
      local page, cursor = app:tasks { name = handler.name, limit = 2 }
      assert.same({ ids[5], ids[4] }, { page[1].task_id, page[2].task_id })
      page, cursor = app:tasks { name = handler.name, limit = 2, cursor = cursor }
      assert.same({ ids[3], ids[2] }, { page[1].task_id, page[2].task_id })
      page, cursor = app:tasks { name = handler.name, limit = 2, cursor = cursor }
      assert.same({ 1, ids[1] }, { #page, page[1].task_id })
      assert.is_nil(cursor)
      assert.equal(2, app:count { tag = "late" })
      assert.equal(5, app:count { status = "pending", name = handler.name })
    end)

    it("steers tasks, each call giving the task or the reason why not", function()
      local handler = define()
      local id = assert(app:submit(handler))
      assert.equal("paused", app:pause(id, "wait").status)
      local _, err = app:pause(id)
      assert.equal("refused", err.code)
      assert.equal("pending", app:resume(id, { reason = "go", by = "ann" }).status)
      assert.equal("cancelled", app:cancel(id, { reason = "no", by = "ann" }).status)
      _, err = app:retry(id)
      assert.equal("refused", err.code)
      assert.truthy(err.message:find("cancelled", 1, true), err.message)
      _, err = app:cancel("0197c0de-0000-7000-8000-000000000000")
      assert.equal("not_found", err.code)
      local events = assert(app:events { task_id = id })
      assert.equal("ann", events[#events].data.by)
    end)

    it("lets a person settle a failed step", function()
      local handler = define { steps = { { name = "a", retry = { limit = 1 }, run = function() error("no") end },
        { name = "b", depends_on = "a", run = function(task) return task.results.a.by_hand end } } }
      local id = app:run(handler).task_id
      assert.equal("resolved_manually", app:resolve(id, "a", { by_hand = 5 }, "known").steps.a.status)
      app:work { until_idle = true }
      local task = app:task(id)
      assert.same({ "complete", 5 }, { task.status, task.results.b })
    end)

    it("retries a task in error with fresh attempts", function()
      local works = false
      local handler = define { steps = { { name = "a", retry = { limit = 2, backoff = "none" }, run = function(task)
        if not works then error("no") end
        return task.attempt_of_task
      end } } }
      local task = app:run(handler)
      assert.same({ "error", 2 }, { task.status, task.steps.a.attempts })
      works = true
      assert(app:retry(task.task_id))
      app:work { until_idle = true }
      task = app:task(task.task_id)
      assert.same({ "complete", 2, 3 }, { task.status, task.results.a, task.steps.a.attempts })
    end)

    it("skips what is bypassed", function()
      local handler = define { steps = { { name = "a", skippable = true, run = function() error("no") end },
        { name = "b", depends_on = "a", run = function(task) return task.results.a == nil end } } }
      local task = app:run(handler, {}, { bypass_steps = { "a" } })
      assert.same({ "complete", "skipped", true }, { task.status, task.steps.a.status, task.results.b })
      assert.same({ "a" }, task.bypass_steps)
    end)

    it("tells the errors of a step that is allowed to fail", function()
      local handler = define { steps = { { name = "a", on_error = "continue", retry = { limit = 1 }, run = function()
        error { message = "late", code = "late", minutes = 5 }
      end }, { name = "b", depends_on = "a", run = function(task)
        return { task.errors.a.message, task.errors.a.code, task.errors.a.details.minutes, task.results.a == nil }
      end } } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.same({ "late", "late", 5, true }, task.results.b)
    end)

    it("asks a function for inputs before the step starts", function()
      local handler = define { steps = { { name = "a", inputs = function(task) return { n = task.context.n + 1 } end,
        run = function(_, step) return step.inputs.n end } } }
      local task = app:run(handler, { n = 1 })
      assert.same({ "complete", 2, 2 }, { task.status, task.results.a, task.steps.a.inputs.n })
    end)

    it("keeps fixed inputs with the task, as what the step got", function()
      local handler = define { steps = { { name = "a", inputs = { list = {}, n = 1.0 }, run = function(_, step)
        step.inputs.n = 2
        return step.inputs.n
      end } } }
      for _ = 1, 2 do
        local task = app:run(handler)
        assert.same({ "complete", 2, 1.0 }, { task.status, task.results.a, task.steps.a.inputs.n })
      end
    end)

    it("runs older contents of a script's handler by the code there is now, where it has all their steps", function()
      local handler = define { steps = { { name = "a", run = function() return "old" end }, { name = "gone", run = function() end } } }
      local without_code = assert(app:submit(handler))
      define { name = handler.name, steps = { { name = "b", run = function() end }, { name = "a", run = function() end } } }
      local with_code = assert(app:submit("spec/" .. handler.name))
      define { name = handler.name, steps = { { name = "a", run = function() return "new" end }, { name = "b", run = function() end } } }
      assert.is_true(app:work { until_idle = true })
      assert.same({ "complete", "new" }, { app:task(with_code).status, app:task(with_code).results.a })
      assert.equal("ready", app:task(without_code).steps.a.status)
    end)

    it("lets an identity end with its window", function()
      local handler = define { identity = { strategy = "hash", window = 0.05 } }
      local first = app:submit(handler, { n = 1 })
      assert.equal(first, (app:submit(handler, { n = 1 })))
      tasker.sleep(0.06)
      assert.not_equal(first, (app:submit(handler, { n = 1 })))
    end)

    it("gives a later attempt the progress of the earlier", function()
      local handler = define { steps = { { name = "a", retry = { backoff = "none" }, run = function(_, step)
        if step.attempt == 1 then
          step:heartbeat { at = 5 }
          error("half way")
        end
        return step.progress.at
      end } } }
      assert.equal(5, app:run(handler).results.a)
    end)

    it("follows events until told to stop", function()
      local handler = define()
      assert(app:run(handler))
      local names = {}
      assert.is_true(app:follow({ after = 0 }, function(event)
        names[#names + 1] = event.event
        return event.event ~= "task.completed"
      end))
      assert.same({ "task.created", "task.started", "step.started", "step.completed", "task.completed" }, names)
    end)

    it("waits no longer than it is told", function()
      local id = assert(app:submit(define()))
      local task, err = app:wait(id, 0.01)
      assert.is_nil(task)
      assert.equal("timeout", err.code)
    end)

    it("knows the app of the step and the one opened last", function()
      assert.equal(app, tasker.app())
      local inside
      app:run(define { steps = { { name = "a", run = function() inside = tasker.app() end } } })
      assert.equal(app, inside)
    end)

    it("answers closed after close", function()
      app:close()
      for _, call in ipairs {
        function() return app:submit("x") end, function() return app:task("x") end, function() return app:tasks() end,
        function() return app:work() end, function() return app:cancel("x") end, function() return app:events() end,
        function() return app:wait("x") end, function() return app:stop() end, function() return app:run("x") end,
      } do
        local result, err = call()
        assert.is_nil(result)
        assert.equal("closed", err.code)
      end
      assert.is_true(app:close())
    end)
  end)
end
