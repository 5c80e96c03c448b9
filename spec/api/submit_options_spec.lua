local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

for _, kind in ipairs(harness.kinds) do
  describe("app:submit, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    local function versions()
      for _, version in ipairs { "1.2.0", "1.10.0", "1.9.9", "2.0.0-rc.1" } do
        tasker.handler { namespace = "ns", name = "versioned", version = version,
          steps = { { name = "a", run = function(task) return { ran = version, told = task.version } end } } }
      end
    end

    it("takes the highest version unless one is named, in the text or in the options", function()
      versions()
      assert.equal("2.0.0-rc.1", app:run("ns/versioned").version)
      assert.equal("1.9.9", app:run("ns/versioned@1.9.9").version)
      assert.equal("1.2.0", app:run("versioned", {}, { namespace = "ns", version = "1.2.0" }).version)
      assert.same({ ran = "1.10.0", told = "1.10.0" }, app:run("versioned@1.10.0", {}, { namespace = "ns" }).results.a)
    end)

    it("takes the handler itself, and runs the content it was defined with", function()
      local handler = harness.handler { steps = { { name = "a", run = function() return "this one" end } } }
      assert.equal("this one", app:run(handler).results.a)
    end)

    it("answers not_found for a handler, namespace or version that is not there, and names it", function()
      versions()
      harness.refused("not_found", "no_such", app:submit "no_such")
      harness.refused("not_found", "versioned", app:submit "versioned")
      harness.refused("not_found", "3.0.0", app:submit "ns/versioned@3.0.0")
    end)

    it("keeps every option with the task", function()
      local handler = harness.handler { queue = "mail", priority = 3, steps = { { name = "a", skippable = true, run = nothing } } }
      local plain = app:task((app:submit(handler)))
      assert.equal("mail", plain.queue)
      assert.equal(3, plain.priority)
      assert.same({}, plain.tags)
      assert.equal("unknown", plain.initiator)
      assert.equal("unknown", plain.source_system)
      assert.equal("unknown", plain.reason)
      local task = app:task((app:submit(handler, { n = 1 }, {
        tags = { "a", "b" }, initiator = "ann", source_system = "till", reason = "sale", bypass_steps = { "a" }, priority = -5,
        queue = "slow", requested_at = 1600000000.5, annotations = { x = { y = 1 } },
      })))
      assert.same({ "a", "b" }, task.tags)
      assert.equal("ann", task.initiator)
      assert.equal("till", task.source_system)
      assert.equal("sale", task.reason)
      assert.same({ "a" }, task.bypass_steps)
      assert.equal(-5, task.priority)
      assert.equal("slow", task.queue)
      assert.equal("2020-09-13T12:26:40.500000Z", task.requested_at)
      assert.same({ x = { y = 1 } }, task.annotations)
      assert.same({ n = 1 }, task.context)
    end)

    it("starts a task with run_at or delay not before its time", function()
      local handler = harness.one_step(nothing)
      local due = tasker.now() + 0.05
      local by_time = app:submit(handler, {}, { run_at = due })
      local by_text = app:submit(handler, {}, { run_at = tasker.time.format(due) })
      local by_delay = app:submit(handler, {}, { delay = 0.05 })
      local past = app:submit(handler, {}, { run_at = "2001-01-01T00:00:00Z" })
      assert.equal("pending", app:task(by_time).status)
      app:work { until_idle = true }
      for _, id in ipairs { by_time, by_text, by_delay } do
        local task = app:task(id)
        assert.equal("complete", task.status)
        assert.is_true(tasker.time.parse(task.started_at) >= due - 0.001)
        assert.is_true(tasker.time.parse(task.run_at) >= due - 0.001)
      end
      assert.equal("complete", app:task(past).status)
    end)

    it("answers invalid for values that cannot be, and names the option", function()
      local handler = harness.handler { steps = { { name = "a", skippable = true, run = nothing }, { name = "b", run = nothing } } }
      local bad = {
        { { priority = 1.5 }, "priority" }, { { delay = -1 }, "delay" }, { { run_at = "yesterday" }, "run_at" },
        { { run_at = 4e9, delay = 1 }, "delay" }, { { requested_at = "noon" }, "requested_at" }, { { queue = "a queue" }, "queue" },
        { { bypass_steps = { "nope" } }, "nope" }, { { bypass_steps = { "b" } }, { "b", "skippable" } },
        { { delay = 0 / 0 }, "delay" }, { { version = "one" }, "version" }, { { namespace = "a/b" }, "namespace" },
        { { tags = { "vip", 5 } }, { "tags", "5" } },
      }
      local name = tostring(handler):match "/(.*)@"
      for _, case in ipairs(bad) do
        harness.refused("invalid", case[2], app:submit(name, {}, case[1]))
      end
      assert.same({}, app:tasks {})
    end)

    it("answers invalid for a context that is no object", function()
      local handler = harness.one_step(nothing)
      harness.refused("invalid", "context", app:submit(handler, { 1, 2, 3 }))
      harness.refused("invalid", "context", app:submit(handler, tasker.array {}))
      assert.is_truthy(app:submit(handler, nil))
      assert.is_truthy(app:submit(handler, {}))
    end)

    it("answers invalid for a context that JSON cannot hold, and says where", function()
      local handler = harness.one_step(nothing)
      harness.refused("invalid", "deep", app:submit(handler, { deep = { f = print } }))
      harness.refused("invalid", "x", app:submit(handler, { x = 0 / 0 }))
      harness.refused("invalid", "text", app:submit(handler, { text = "\xff" }))
    end)

    it("raises for a wrong type or an unknown option, and names it", function()
      local handler = harness.one_step(nothing)
      harness.raises("prioritty", app.submit, app, handler, {}, { prioritty = 1 })
      harness.raises("priority", app.submit, app, handler, {}, { priority = "high" })
      harness.raises("tags", app.submit, app, handler, {}, { tags = "vip" })
      harness.raises("delay", app.submit, app, handler, {}, { delay = "soon" })
      harness.raises("bypass_steps", app.submit, app, handler, {}, { bypass_steps = true })
      harness.raises("identity_key", app.submit, app, handler, {}, { identity_key = 5 })
      harness.raises("annotations", app.submit, app, handler, {}, { annotations = "x" })
      harness.raises("handler", app.submit, app, nil)
      harness.raises("handler", app.submit, app, 42)
      harness.raises("options", app.submit, app, handler, {}, "vip")
    end)

    it("validates the context against the schema, with JSON pointers in message and details", function()
      local handler = harness.handler {
        context_schema = { type = "object", required = { "order_id" }, additionalProperties = false, properties = {
          order_id = { type = "integer", minimum = 1 }, lines = { type = "array", maxItems = 2, items = { type = "object",
            properties = { sku = { type = "string", pattern = "^[A-Z]+$" } } } }, kind = { enum = { "a", "b" } },
        } },
        steps = { { name = "a", run = nothing } },
      }
      assert.is_truthy(app:submit(handler, { order_id = 1, lines = { { sku = "AB" } }, kind = "b" }))
      harness.refused("invalid", "order_id", app:submit(handler, {}))
      harness.refused("invalid", "/order_id", app:submit(handler, { order_id = 0 }))
      harness.refused("invalid", "/order_id", app:submit(handler, { order_id = "1" }))
      harness.refused("invalid", "/lines/1/sku", app:submit(handler, { order_id = 1, lines = { { sku = "A" }, { sku = "a" } } }))
      harness.refused("invalid", "/lines", app:submit(handler, { order_id = 1, lines = { {}, {}, {} } }))
      harness.refused("invalid", "/kind", app:submit(handler, { order_id = 1, kind = "c" }))
      local err = harness.refused("invalid", "colour", app:submit(handler, { order_id = 1, colour = "red" }))
      assert.is_table(err.details)
      harness.contains("colour", tasker.json.encode(err.details))
    end)
  end)

  describe("app:submit_many, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("returns ids in order and what was created, with one commit", function()
      local handler = harness.one_step(function(task) return task.context.n end)
      local entries = {}
      for n = 1, 500 do
        entries[n] = { handler, { n = n }, { tags = { "t" .. n } } }
      end
      local ids, created = assert(app:submit_many(entries))
      assert.equal(500, #ids)
      assert.equal(500, #created)
      for n = 2, 500 do
        assert.is_true(ids[n] > ids[n - 1])
        assert.is_true(created[n])
      end
      app:work { until_idle = true }
      assert.equal(137, app:task(ids[137]).results.only)
      assert.same({ "t137" }, app:task(ids[137]).tags)
    end)

    it("is all or nothing", function()
      local handler = harness.handler { context_schema = { required = { "n" } }, steps = { { name = "a", run = nothing } } }
      harness.refused("invalid", "2", app:submit_many { { handler, { n = 1 } }, { handler, {} }, { handler, { n = 3 } } })
      harness.refused("not_found", "nobody", app:submit_many { { handler, { n = 1 } }, { "nobody", {} } })
      assert.same({}, app:tasks {})
      assert.same({}, app:events { after = 0 })
    end)

    it("of nothing is nothing", function()
      assert.same({}, (app:submit_many {}))
    end)
  end)
end
