local harness = require "spec.support.harness"

-- 1 + 100 + 100 * 99 tasks, of which the lowest wait for a signal.
describe("a tree of 10,000 tasks #slow", function()
  after_each(harness.clean)

  local function count(n)
    return function()
      local list = {}
      for i = 1, n do
        list[i] = i
      end
      return list
    end
  end

  it("is paused, resumed and cancelled whole, by one operation each, also when the program ends in the middle", function()
    local app, url = harness.open "lmdb"
    local leaf = harness.handler { steps = { { name = "go", signal = "go" } } }
    local middle = harness.handler { steps = { { name = "each", child = leaf, map = count(99) } } }
    local root = harness.handler { steps = { { name = "each", child = middle, map = count(100) } } }
    local id = app:submit(root)
    assert(app:work { until_idle = true })
    local function statuses() return app:tree(id).tasks end
    assert.same({ in_progress = 10001 }, statuses())
    for _, step in ipairs { { "pause", { paused = 10001 } }, { "resume", { in_progress = 10001 } },
      { "cancel", { cancelled = 10001 } } } do
      local after = select(2, app:events { limit = 1000000 })
      assert(app[step[1]](app, id, "all of it"))
      -- What is to be told lies in the store: another program goes on with it.
      app:close()
      app = harness.reopen(url)
      assert(app:work { until_idle = true })
      assert.same(step[2], statuses())
      local operations = 0
      for _, event in ipairs(app:events { after = after }) do
        assert.not_equal("step.started", event.event)
        operations = operations + (event.event:match "^task%." and not event.data.cascade and 1 or 0)
      end
      assert.equal(1, operations)
    end
  end)
end)
