local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

local function handler_with(identity)
  return harness.handler { identity = identity, steps = { { name = "a", skippable = true, run = nothing } } }
end

for _, kind in ipairs(harness.kinds) do
  describe("identity, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("makes every submission a new task unless told otherwise", function()
      local handler = handler_with(nil)
      local first, created = app:submit(handler, { n = 1 })
      local second, created_too = app:submit(handler, { n = 1 })
      assert.is_true(created and created_too)
      assert.not_equal(first, second)
    end)

    it("by hash returns the first task and created = false", function()
      local handler = handler_with "hash"
      local first, created = app:submit(handler, { n = 1, list = { 1, 2 } })
      local second, again = app:submit(handler, { list = { 1, 2 }, n = 1 })
      assert.is_true(created)
      assert.is_false(again)
      assert.equal(first, second)
      assert.equal(1, #app:tasks {})
    end)

    it("by hash tells apart what differs in any hashed field, and ignores the others", function()
      local handler = handler_with "hash"
      local base = { initiator = "ann", source_system = "till", reason = "sale" }
      local first = app:submit(handler, { n = 1 }, base)
      local differing = {
        { { n = 2 }, base },
        { { n = 1 }, { initiator = "bob", source_system = "till", reason = "sale" } },
        { { n = 1 }, { initiator = "ann", source_system = "web", reason = "sale" } },
        { { n = 1 }, { initiator = "ann", source_system = "till", reason = "gift" } },
        { { n = 1 }, { initiator = "ann", source_system = "till", reason = "sale", bypass_steps = { "a" } } },
      }
      for _, case in ipairs(differing) do
        local _, created = app:submit(handler, case[1], case[2])
        assert.is_true(created)
      end
      local same, created = app:submit(handler, { n = 1.0 },
        { initiator = "ann", source_system = "till", reason = "sale", priority = 9, tags = { "t" } })
      assert.is_false(created)
      assert.equal(first, same)
    end)

    it("by hash is SHA-256 in hex and shows as identity_hash", function()
      local task = app:task((app:submit(handler_with "hash", {})))
      assert.is_truthy(task.identity_hash:match "^%x+$")
      assert.equal(64, #task.identity_hash)
    end)

    it("by a function uses what it returns", function()
      local seen
      local handler = handler_with(function(request)
        seen = request
        return "customer-" .. request.context.customer
      end)
      local first = app:submit(handler, { customer = 1, n = 1 })
      local second, created = app:submit(handler, { customer = 1, n = 2 })
      local _, third = app:submit(handler, { customer = 2, n = 1 })
      assert.equal(first, second)
      assert.is_false(created)
      assert.is_true(third)
      assert.equal("default", seen.namespace)
    end)

    it("answers invalid when the function returns no string", function()
      harness.refused("invalid", "identity", app:submit(handler_with(function() return 5 end), {}))
    end)

    it("can reject and name the first task", function()
      local handler = handler_with { strategy = "hash", conflict = "reject" }
      local first = assert(app:submit(handler, { n = 1 }))
      local err = harness.refused("conflict", {}, app:submit(handler, { n = 1 }))
      assert.equal(first, err.details.task_id)
    end)

    it("that rejects makes no task of a list with the same one twice", function()
      local handler = handler_with { strategy = "hash", conflict = "reject" }
      local err = harness.refused("conflict", { "entry 3" }, app:submit_many { { handler, { n = 1 } }, { handler, { n = 2 } },
        { handler, { n = 1 } } })
      assert.is_nil(err.details)
      assert.equal(0, #app:tasks {})
      assert.equal(2, #assert(app:submit_many { { handler, { n = 1 } }, { handler, { n = 2 } } }))
    end)

    it("ends with its window", function()
      local handler = handler_with { strategy = "hash", window = 0.5 }
      local first = app:submit(handler, { n = 1 })
      local _, created = app:submit(handler, { n = 1 })
      assert.is_false(created)
      tasker.sleep(0.51)
      local second, again = app:submit(handler, { n = 1 })
      assert.is_true(again)
      assert.not_equal(first, second)
      assert.is_false(select(2, app:submit(handler, { n = 1 })))
    end)

    it("lasts as long as the first task is kept, whatever became of it", function()
      local handler = handler_with "hash"
      local first = app:run(handler, { n = 1 })
      local second, created = app:submit(handler, { n = 1 })
      assert.equal("complete", first.status)
      assert.equal(first.task_id, second)
      assert.is_false(created)
    end)

    it("by identity_key overrides the strategy and holds for one handler", function()
      local handler, other = handler_with(nil), handler_with(nil)
      local first = app:submit(handler, { n = 1 }, { identity_key = "k" })
      local second, created = app:submit(handler, { n = 2 }, { identity_key = "k" })
      local third, created_too = app:submit(other, { n = 1 }, { identity_key = "k" })
      assert.equal(first, second)
      assert.is_false(created)
      assert.is_true(created_too)
      assert.not_equal(first, third)
    end)

    it("holds within one submit_many", function()
      local handler = handler_with "hash"
      local ids, created = app:submit_many { { handler, { n = 1 } }, { handler, { n = 1 } }, { handler, { n = 2 } } }
      assert.equal(ids[1], ids[2])
      assert.not_equal(ids[1], ids[3])
      assert.same({ true, false, true }, created)
    end)
  end)
end

describe("a submission inside a step", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("makes no second task when the step is retried", function()
    local child = handler_with(nil)
    local ids = {}
    local parent = harness.one_step(function(_, s)
      for n = 1, 2 do
        ids[#ids + 1] = tasker.app():submit(child, { n = n })
      end
      if s.attempt == 1 then error "after the submissions" end
    end, { retry = harness.quick_retry() })
    assert.equal("complete", app:run(parent).status)
    assert.equal(4, #ids)
    assert.equal(ids[1], ids[3])
    assert.equal(ids[2], ids[4])
    assert.not_equal(ids[1], ids[2])
    assert.equal(2, #app:tasks { name = tostring(child):match "/(.*)@" })
  end)

  it("keeps an identity_key that is given", function()
    local child = handler_with(nil)
    local outside = app:submit(child, {}, { identity_key = "mine" })
    local inside
    app:run(harness.one_step(function() inside = tasker.app():submit(child, {}, { identity_key = "mine" }) end))
    assert.equal(outside, inside)
  end)
end)
