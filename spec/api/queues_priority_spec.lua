local harness = require "spec.support.harness"
local tasker = require "tasker"

for _, kind in ipairs(harness.kinds) do
  describe("order of work, on " .. kind .. ",", function()
    local app, order, handler
    before_each(function()
      app = harness.open(kind)
      order = {}
      handler = harness.one_step(function(task) order[#order + 1] = task.context.n end)
    end)
    after_each(harness.clean)

    it("is by submission", function()
      for n = 1, 30 do
        app:submit(handler, { n = n })
      end
      app:work { until_idle = true, concurrency = 1 }
      for n = 1, 30 do
        assert.equal(n, order[n])
      end
    end)

    it("is by priority first, the greater one first", function()
      for n, priority in ipairs { 0, 5, -5, 5, 0, 1000000, -1000000 } do
        app:submit(handler, { n = n }, { priority = priority })
      end
      app:work { until_idle = true, concurrency = 1 }
      assert.same({ 6, 2, 4, 1, 5, 3, 7 }, order)
    end)

    it("holds over handlers", function()
      local other = harness.one_step(function(task) order[#order + 1] = task.context.n end)
      for n = 1, 10 do
        app:submit(n % 2 == 0 and handler or other, { n = n }, { priority = n })
      end
      app:work { until_idle = true, concurrency = 1 }
      assert.same({ 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 }, order)
    end)

    it("takes only the queues it is given", function()
      app:submit(handler, { n = "default" })
      app:submit(handler, { n = "mail" }, { queue = "mail" })
      app:submit(handler, { n = "slow" }, { queue = "slow" })
      app:work { until_idle = true, queues = { "mail", "slow" }, concurrency = 1 }
      table.sort(order)
      assert.same({ "mail", "slow" }, order)
      app:work { until_idle = true }
      assert.equal("default", order[3])
    end)

    it("lets a step go to a queue of its own", function()
      local split = harness.handler { chain = true, steps = {
        { name = "a", run = function() order[#order + 1] = "a" end },
        { name = "b", queue = "gpu", run = function() order[#order + 1] = "b" end },
        { name = "c", run = function() order[#order + 1] = "c" end },
      } }
      app:submit(split)
      app:work { until_idle = true }
      assert.same({ "a" }, order)
      app:work { until_idle = true, queues = { "gpu" } }
      assert.same({ "a", "b" }, order)
      app:work { until_idle = true, queues = { "default", "gpu" } }
      assert.same({ "a", "b", "c" }, order)
    end)

    it("runs at most `concurrency` steps at once", function()
      local running, most = 0, 0
      local busy = harness.one_step(function()
        running = running + 1
        most = math.max(most, running)
        tasker.sleep(0.005)
        running = running - 1
      end)
      for n = 1, 20 do
        app:submit(busy, { n = n })
      end
      app:work { until_idle = true, concurrency = 3 }
      assert.equal(3, most)
    end)
  end)
end
