local harness = require "spec.support.harness"

for _, kind in ipairs(harness.kinds) do
  describe("a bypassed step, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("is skipped, counts as done, and never runs", function()
      local ran = {}
      local function step(name, depends_on)
        return { name = name, depends_on = depends_on, skippable = true, run = function() ran[#ran + 1] = name end }
      end
      local handler = harness.handler { steps = { step "a", step("b", "a"), step("c", { "b" }), step("d", { "b", "c" }) } }
      local task = app:run(handler, {}, { bypass_steps = { "b", "d" } })
      assert.equal("complete", task.status)
      assert.same({ "a", "c" }, ran)
      assert.same({ "complete", "skipped", "complete", "skipped" },
        { task.steps.a.status, task.steps.b.status, task.steps.c.status, task.steps.d.status })
      assert.equal(0, task.steps.b.attempts)
      assert.is_nil(task.results.b)
      assert.same({ "step.skipped:b", "step.skipped:d" },
        harness.event_names(app:events { after = 0, task_id = task.task_id }, "step.skipped"))
    end)

    it("waits for its dependencies before it is skipped", function()
      local handler = harness.handler { steps = {
        { name = "a", retry = { limit = 1 }, run = function() error "no" end },
        { name = "b", depends_on = "a", skippable = true, run = function() end },
      } }
      local task = app:run(handler, {}, { bypass_steps = { "b" } })
      assert.equal("error", task.status)
      assert.equal("pending", task.steps.b.status)
    end)

    it("may be every one of them: the task is complete", function()
      local handler = harness.handler { chain = true, steps = {
        { name = "a", skippable = true, run = error }, { name = "b", skippable = true, run = error },
      } }
      local task = app:run(handler, {}, { bypass_steps = { "a", "b" } })
      assert.equal("complete", task.status)
      assert.same({}, task.results)
    end)
  end)
end
