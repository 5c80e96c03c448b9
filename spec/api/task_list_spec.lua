local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end
local function ids_of(tasks)
  local ids = {}
  for i, task in ipairs(tasks) do
    ids[i] = task.task_id
  end
  return ids
end

for _, kind in ipairs(harness.kinds) do
  describe("app:tasks, on " .. kind .. ",", function()
    local app, handler, ids
    before_each(function()
      app = harness.open(kind)
      handler = harness.handler { namespace = "ns", steps = { { name = "a", run = function(task)
        if task.context.n == 2 then error(tasker.permanent "no") end
      end } } }
      ids = {}
      for n = 1, 5 do
        ids[n] = app:submit(handler, { n = n }, { tags = n % 2 == 1 and { "odd", "quo\"te\\" } or { "even" } })
      end
    end)
    after_each(harness.clean)

    it("lists the newest first", function()
      assert.same({ ids[5], ids[4], ids[3], ids[2], ids[1] }, ids_of(app:tasks {}))
      assert.equal(5, #app:tasks())
    end)

    it("filters by status", function()
      app:work { until_idle = true }
      assert.same({ ids[2] }, ids_of(app:tasks { status = "error" }))
      assert.equal(4, #app:tasks { status = "complete" })
      assert.same({}, app:tasks { status = "cancelled" })
    end)

    it("filters by tag, exactly", function()
      assert.same({ ids[5], ids[3], ids[1] }, ids_of(app:tasks { tag = "odd" }))
      assert.equal(3, #app:tasks { tag = "quo\"te\\" })
      assert.same({}, app:tasks { tag = "od" })
    end)

    it("filters by name and namespace", function()
      local other = app:submit(harness.one_step(nothing))
      local name = tostring(handler):match "/(.*)@"
      assert.equal(5, #app:tasks { name = name })
      assert.equal(5, #app:tasks { namespace = "ns" })
      assert.same({ other }, ids_of(app:tasks { namespace = "default" }))
      assert.same({}, app:tasks { name = name, namespace = "default" })
    end)

    it("filters by time of creation", function()
      local third = tasker.time.parse(app:task(ids[3]).created_at)
      for _, task in ipairs(app:tasks { since = third }) do
        assert.is_true(tasker.time.parse(task.created_at) >= third)
      end
      assert.equal(5, #app:tasks { since = third } + #app:tasks { ["until"] = third })
      assert.same({}, app:tasks { ["until"] = "2001-01-01T00:00:00Z" })
      assert.same({}, app:tasks { since = "2999-01-01T00:00:00Z" })
    end)

    it("pages with a cursor that is nil at the end", function()
      local page, cursor = app:tasks { limit = 2 }
      assert.same({ ids[5], ids[4] }, ids_of(page))
      page, cursor = app:tasks { limit = 2, cursor = cursor }
      assert.same({ ids[3], ids[2] }, ids_of(page))
      page, cursor = app:tasks { limit = 2, cursor = cursor }
      assert.same({ ids[1] }, ids_of(page))
      assert.is_nil(cursor)
      page, cursor = app:tasks { limit = 5 }
      assert.equal(5, #page)
      assert.is_nil(cursor)
      page, cursor = app:tasks { tag = "odd", limit = 2 }
      assert.equal(2, #page)
      page, cursor = app:tasks { tag = "odd", limit = 2, cursor = cursor }
      assert.same({ ids[1] }, ids_of(page))
      assert.is_nil(cursor)
    end)

    it("gives 100 unless told otherwise", function()
      local entries = {}
      for n = 1, 110 do
        entries[n] = { handler, { n = n } }
      end
      assert(app:submit_many(entries))
      local page, cursor = app:tasks {}
      assert.equal(100, #page)
      assert.is_truthy(cursor)
      assert.equal(115, #app:tasks { limit = 1000 })
    end)
  end)
end
