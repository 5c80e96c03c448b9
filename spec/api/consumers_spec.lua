local harness = require "spec.support.harness"

local function one_step(name)
  return harness.handler { name = name, steps = { { name = "only", run = function() end } } }
end

local function names(events)
  local list = {}
  for i, event in ipairs(events) do list[i] = event.event end
  return list
end

for _, kind in ipairs(harness.kinds) do
  describe("a durable consumer, on " .. kind .. ",", function()
    local app, url
    before_each(function() app, url = harness.open(kind) end)
    after_each(harness.clean)

    it("starts at the beginning and gives events in order", function()
      app:run(one_step(), {})
      local consumer = assert(app:consumer "billing")
      assert.same(app:events {}, consumer:poll())
      assert.equal(5, consumer:lag())
    end)

    it("gives again what was not acknowledged, and nothing that was", function()
      app:run(one_step(), {})
      local consumer = app:consumer "billing"
      local first = consumer:poll(2)
      assert.same({ 1, 2 }, { first[1].seq, first[2].seq })
      assert.same(first, consumer:poll(2))
      assert.is_true(consumer:ack(2))
      assert.equal(3, consumer:poll(1)[1].seq)
      assert.equal(3, consumer:lag())
      assert.is_true(consumer:ack(5))
      assert.same({}, consumer:poll())
      assert.equal(0, consumer:lag())
    end)

    it("shares its place with others of that name and never goes back by an ack", function()
      app:run(one_step(), {})
      local one, two = app:consumer "shared", app:consumer "shared"
      one:ack(4)
      assert.equal(5, two:poll()[1].seq)
      two:ack(2)
      assert.equal(5, one:poll()[1].seq)
    end)

    it("sees only the events it asks for", function()
      for _ = 1, 3 do app:run(one_step(), {}) end
      local consumer = app:consumer("ends", { events = { "task.completed", "step.failed" } })
      assert.same({ "task.completed", "task.completed", "task.completed" }, names(consumer:poll()))
      assert.equal(3, consumer:lag())
      consumer:ack(consumer:poll(1)[1].seq)
      assert.equal(2, consumer:lag())
      assert.equal(2, #app:consumer("ends"):poll())
      assert.equal(2, #app:consumer("ends", { events = "step.completed" }):poll())
      consumer:ack(15)
      assert.same({}, consumer:poll())
      app:run(one_step(), {})
      assert.same({ "step.completed" }, names(consumer:poll()))
    end)

    it("rewinds: the next event is the first after the seq", function()
      app:run(one_step(), {})
      local consumer = app:consumer("again", { events = { "task.*" } })
      consumer:ack(5)
      assert.same({}, consumer:poll())
      assert.is_true(consumer:rewind(1))
      assert.same({ "task.started", "task.completed" }, names(consumer:poll()))
      assert.is_true(consumer:rewind(0))
      assert.equal(1, consumer:poll()[1].seq)
      assert.is_true(consumer:rewind(5))
      assert.equal(0, consumer:lag())
    end)

    it("waits for an event at most as long as it is told", function()
      local consumer = app:consumer "patient"
      assert.same({}, consumer:poll(10, 0.01))
      local id = app:submit(one_step(), {})
      assert.equal(id, consumer:poll(10, 10)[1].task_id)
    end)

    it("refuses what cannot be", function()
      app:run(one_step(), {})
      local consumer = app:consumer "careful"
      harness.refused("invalid", { "there is no event 6 yet" }, consumer:ack(6))
      harness.refused("invalid", { "there is no event 99 yet" }, consumer:rewind(99))
      harness.refused("invalid", { "consumer:ack: the seq" }, consumer:ack(-1))
      harness.refused("invalid", { "consumer:poll: n" }, consumer:poll(0))
      harness.refused("invalid", { "app:consumer: the name" }, app:consumer "not a name")
      harness.refused("invalid", { "'step.finished' is none of" }, app:consumer("x", { events = { "step.finished" } }))
      harness.refused("not_found", { "no consumer 'nobody'" }, app:rewind_consumer("nobody", 0))
      assert.error_matches(function() app:consumer("x", { pattern = "*" }) end, "option 'pattern' is unknown")
      assert.error_matches(function() consumer.poll() end, "call it with a colon")
      assert.error_matches(function() consumer:ack() end, "consumer:ack: the seq must be a number")
    end)

    it("is listed with its lag until it is deleted", function()
      app:run(one_step(), {})
      app:consumer("b", { events = { "step.*" } }):ack(3)
      app:consumer "a"
      local list = app:consumers()
      assert.same({ "a", "b" }, { list[1].name, list[2].name })
      assert.same({ 0, 5, 3, 1 }, { list[1].seq, list[1].lag, list[2].seq, list[2].lag })
      assert.same({ "step.*" }, list[2].events)
      assert.is_nil(list[1].events)
      assert.is_nil(list[1].moved_at)
      assert.is_string(list[2].moved_at)
      assert.is_true(app:delete_consumer "b")
      assert.equal(1, #app:consumers())
      local gone = app:consumer "a"
      assert.is_true(gone:delete())
      harness.refused("not_found", { "no consumer 'a'" }, gone:poll())
    end)

    it("works in a step", function()
      local handler = one_step()
      app:run(handler, {})
      local task = app:run(harness.handler { steps = { { name = "reads", run = function()
        local consumer = require("tasker").app():consumer "in-step"
        local seen = consumer:poll(3, 1)
        consumer:ack(seen[3].seq)
        return consumer:poll(1)[1].seq
      end } } }, {})
      assert.equal(4, task.results.reads)
    end)

    if kind == "lmdb" then
      it("keeps its place when the process is gone, and wakes for what another commits", function()
        app:run(one_step(), {})
        app:consumer("kept", { events = "task.completed" }):ack(5)
        app:close()
        app = harness.reopen(url)
        local child = harness.start { harness.process.program(), "-e", ([[
          local tasker = require "tasker"
          tasker.handler { name = "other", steps = { { name = "a", run = function() end } } }
          local app = assert(tasker.open("%s"))
          app:run("other", {})
        ]]):format(url) }
        local events = app:consumer("kept"):poll(1, 10)
        assert.equal("task.completed", events[1].event)
        assert.is_true(events[1].seq > 5)
        harness.eventually(function() return not child:running() end)
      end)
    end
  end)
end

describe("tasker-lua consumers", function()
  after_each(harness.clean)

  it("lists, rewinds and deletes", function()
    local app, url = harness.open "lmdb"
    app:run(one_step(), {})
    app:consumer("billing", { events = { "task.*" } }):ack(4)
    local function cli(...)
      return harness.process.run { harness.process.program(), "consumers", "--store", url, ... }
    end
    harness.contains("billing", cli().stdout)
    local line = require("tasker").json.decode(cli("--json").stdout)
    assert.same({ "billing", 4, 1 }, { line.name, line.seq, line.lag })
    assert.equal(0, cli("rewind", "billing", "0").status)
    assert.equal(3, app:consumer("billing"):lag())
    assert.equal(2, cli("rewind", "billing").status)
    assert.equal(0, cli("delete", "billing").status)
    local gone = cli("delete", "billing")
    assert.equal(1, gone.status)
    harness.contains("no consumer 'billing'", gone.stderr)
    harness.contains("no consumer reads", cli().stderr)
  end)
end)
