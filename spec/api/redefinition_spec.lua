local harness = require "spec.support.harness"
local tasker = require "tasker"

for _, kind in ipairs(harness.kinds) do
  describe("a handler that is defined again, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("leaves the graph of tasks already submitted, and its steps run the code now defined under their names", function()
      local function define(steps)
        return tasker.handler { name = "again", chain = true, steps = steps }
      end
      define {
        { name = "a", run = function() return "old a" end },
        { name = "b", run = function() return "old b" end },
      }
      local old = app:submit "again"
      define {
        { name = "a", run = function() return "new a" end },
        { name = "between", run = function() return "between" end },
        { name = "b", run = function() return "new b" end },
      }
      local new = app:submit "again"
      app:work { until_idle = true }
      assert.same({ a = "new a", b = "new b" }, app:task(old).results)
      assert.equal(2, #app:task(old).steps)
      assert.same({ a = "new a", between = "between", b = "new b" }, app:task(new).results)
    end)

    it("leaves tasks alone whose steps it has no more", function()
      tasker.handler { name = "shrinks", steps = { { name = "a", run = function() end }, { name = "gone", run = function() end } } }
      local old = app:submit "shrinks"
      tasker.handler { name = "shrinks", steps = { { name = "a", run = function() end } } }
      app:work { until_idle = true }
      local task = app:task(old)
      assert.equal("ready", task.steps.gone.status)
      assert.equal(0, task.steps.gone.attempts)
    end)

    it("may exist in several versions that run side by side", function()
      for _, version in ipairs { "1.0.0", "2.0.0" } do
        tasker.handler { name = "sides", version = version, steps = { { name = "a", run = function() return version end } } }
      end
      local one, two = app:submit "sides@1.0.0", app:submit "sides"
      app:work { until_idle = true }
      assert.equal("1.0.0", app:task(one).results.a)
      assert.equal("2.0.0", app:task(two).results.a)
    end)
  end)
end
