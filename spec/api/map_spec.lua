local harness = require "spec.support.harness"
local tasker = require "tasker"

local quick = { limit = 2, backoff = "none" }

local function numbers(task)
  local list = {}
  for i = 1, task.context.n do
    list[i] = i
  end
  return list
end

for _, kind in ipairs(harness.kinds) do
  describe("maps, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("run a step once for each element, and give the results in its order", function()
      local handler = harness.handler { steps = {
        { name = "list", run = function() return { items = { "a", { b = 1 }, tasker.null, 4, false } } end },
        { name = "each", depends_on = "list", map = function(task) return task.results.list.items end,
          run = function(_, step) return { item = step.item, index = step.index, name = step.name } end },
        { name = "all", depends_on = "each", run = function(task) return task.results.each end },
      } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.same({
        { item = "a", index = 1, name = "each[1]" }, { item = { b = 1 }, index = 2, name = "each[2]" },
        { item = tasker.null, index = 3, name = "each[3]" }, { item = 4, index = 4, name = "each[4]" },
        { item = false, index = 5, name = "each[5]" },
      }, task.results.all)
      assert.same(task.results.all, task.results.each)
      assert.equal(5, task.steps.each.instances)
      assert.equal(0, task.steps.each.failed)
      assert.equal("complete", task.steps["each[3]"].status)
      assert.equal(8, #task.steps)
    end)

    it("an empty list is complete with an empty list", function()
      local handler = harness.handler { steps = {
        { name = "each", map = function() return {} end, run = function() error("nothing to run") end },
        { name = "count", depends_on = "each", run = function(task) return #task.results.each end },
      } }
      local task = app:run(handler)
      assert.equal(0, task.results.count)
      assert.equal("[]", tasker.json.encode(task.results.each))
      assert.equal(0, task.steps.each.instances)
      assert.equal(0, task.steps.each.attempts)
    end)

    it("a failure more than max_failures puts the step in error, and a retry goes on where it stopped", function()
      local broken, started = true, {}
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_parallel = 1, retry = quick, run = function(_, step)
            started[#started + 1] = step.index
            if broken and step.index == 2 then
              error(tasker.permanent("two is broken", { code = "two" }))
            end
            return step.item
          end },
        { name = "after", depends_on = "each", run = function(task) return #task.results.each end },
      } }
      local task = app:run(handler, { n = 4 })
      assert.equal("error", task.status)
      assert.same({ 1, 2 }, started)
      assert.equal("elements_failed", task.steps.each.error.code)
      assert.matches("each%[2%]", task.steps.each.error.message)
      assert.equal("two", task.errors.each[2].code)
      assert.equal("two", task.steps["each[2]"].error.code)
      assert.equal("pending", task.steps["each[3]"].status)
      assert.equal("pending", task.steps.after.status)
      broken, started = false, {}
      assert(app:retry(task.task_id))
      assert(app:work { until_idle = 10 })
      task = app:task(task.task_id)
      assert.equal("complete", task.status)
      assert.same({ 2, 3, 4 }, started)
      assert.same({ 1, 2, 3, 4 }, task.results.each)
    end)

    it("failures within max_failures leave false and their errors", function()
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_failures = 0.5, retry = quick, run = function(_, step)
            return step.index % 2 == 1 and step.item or error("even")
          end },
        { name = "after", depends_on = "each", run = function(task)
            return { list = task.results.each, second = task.errors.each[2].message, first = task.errors.each[1] == nil }
          end },
      } }
      local task = app:run(handler, { n = 4 })
      assert.equal("complete", task.status)
      assert.same({ 1, false, 3, false }, task.results.after.list)
      assert.matches("even$", task.results.after.second)
      assert.is_true(task.results.after.first)
      assert.equal(2, task.steps.each.failed)
      assert.equal(2, task.steps["each[2]"].attempts)
      assert.matches("even$", task.errors.each[4].message)
    end)

    it("instances are listed as asked", function()
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_failures = 1, retry = quick, run = function(_, step)
            return step.index ~= 3 or error("three")
          end },
      } }
      local id = app:run(handler, { n = 5 }).task_id
      assert.equal(6, #app:task(id).steps)
      assert.equal(6, #app:task(id, { instances = "all" }).steps)
      assert.equal(1, #app:task(id, { instances = "none" }).steps)
      local failed = app:task(id, { instances = "failed" }).steps
      assert.same({ "each", "each[3]" }, { failed[1].name, failed[2].name })
      id = app:run(handler, { n = 1001 }).task_id
      assert.equal(2, #app:task(id).steps)
      assert.equal(1002, #app:task(id, { instances = "all" }).steps)
    end)

    it("no more than max_parallel elements run at once", function()
      local running, most = 0, 0
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_parallel = 5, run = function()
            running = running + 1
            most = math.max(most, running)
            tasker.sleep(0.001)
            running = running - 1
          end },
      } }
      assert.equal("complete", app:run(handler, { n = 60 }).status)
      assert.equal(5, most)
    end)

    it("what is no list, or too long, puts the step in error and says so", function()
      local handler = harness.handler { steps = {
        { name = "each", map = function(task) return task.context.list end, run = function() end } } }
      for _, list in ipairs { "text", 5, { a = 1 } } do
        local task = app:run(handler, { list = list })
        assert.equal("error", task.status)
        assert.equal("invalid", task.steps.each.error.code)
        assert.matches("must return a list", task.steps.each.error.message)
      end
      assert.matches("must return a list, not nil", app:run(handler).steps.each.error.message)
      local long = harness.handler { steps = { { name = "each", map = numbers, run = function() end } } }
      assert.matches("100001 elements; at most 100000", app:run(long, { n = 100001 }).steps.each.error.message)
      local raises = harness.handler { steps = { { name = "each", map = function() error("no list") end, run = function() end } } }
      assert.matches("no list", app:run(raises).steps.each.error.message)
      local odd = harness.handler { steps = { { name = "each", map = function() return { 1, print } end, run = function() end } } }
      assert.matches("element 2", app:run(odd).steps.each.error.message)
    end)

    it("an element is retried, cancelled and resolved by its name", function()
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_parallel = 1, retry = { limit = 1 }, run = function(_, step)
            return step.index == 1 and error("one") or step.item
          end } } }
      local task = app:run(handler, { n = 3 })
      assert.equal("error", task.status)
      harness.refused("refused", "each[3]", app:retry(task.task_id, { step = "each[3]" }))
      harness.refused("not_found", "each[4]", app:retry(task.task_id, { step = "each[4]" }))
      task = assert(app:resolve(task.task_id, "each[1]", "by hand", { reason = "seen", by = "ann" }))
      assert.equal("in_progress", task.status)
      assert.equal("in_progress", task.steps.each.status)
      assert.equal("resolved_manually", task.steps["each[1]"].status)
      assert(app:work { until_idle = 10 })
      task = app:task(task.task_id)
      assert.same({ "by hand", 2, 3 }, task.results.each)
      harness.refused("refused", "complete", app:cancel(task.task_id, nil, { step = "each[2]" }))
    end)

    it("is one node of a diagram, whatever the length of its list", function()
      local handler = harness.handler { steps = {
        { name = "each", map = numbers, max_failures = 1, retry = { limit = 1 }, run = function(_, step)
            return step.index ~= 3 or error("three")
          end } } }
      local drawn = assert(tasker.diagram(app:run(handler, { n = 5 }), { format = "mermaid" }))
      assert.matches("for each of 5", drawn, 1, true)
      assert.matches("1 failed", drawn, 1, true)
      assert.is_nil(drawn:find("each[", 1, true))
    end)

    it("the log tells of elements by their names, and the store stays whole", function()
      local handler = harness.handler { steps = {
        { name = "a", run = function() end },
        { name = "each", depends_on = "a", map = numbers, run = function(_, step) return step.idempotency_key end } } }
      local task = app:run(handler, { n = 40 })
      assert.equal(task.task_id .. ":each[40]", task.results.each[40])
      local seen = {}
      for _, event in ipairs(app:events { task_id = task.task_id }) do
        if event.step then
          seen[event.step] = (seen[event.step] or "") .. event.event:match("%.(%a+)$") .. " "
        end
      end
      assert.equal("started completed ", seen["each[33]"])
      assert.equal("started completed ", seen.each)
      assert.equal(0, app.engine:check(error))
    end)
  end)
end

describe("a map on the command line", function()
  after_each(harness.clean)

  it("has the results of an element by its name", function()
    local app, url = harness.open("lmdb")
    local handler = harness.handler { steps = { { name = "each", map = numbers, run = function(_, step) return step.item * 2 end } } }
    local id = app:run(handler, { n = 3 }).task_id
    local function task(...)
      return harness.process.run { harness.process.program(), "task", id, "--store", url, ... }.stdout
    end
    assert.equal("4\n", task("--results", "each[2]"))
    assert.equal("[2,4,6]\n", task("--results", "each"))
    assert.is_nil(task("--instances", "none"):find("each[2]", 1, true))
    assert.truthy(task():find("each[2]", 1, true))
  end)
end)

describe("a map's definition", function()
  local function refused(pattern, step)
    step.name = "each"
    local ok, err = pcall(tasker.handler, { name = "refused", steps = { step } })
    assert.is_false(ok)
    assert.matches("step 'each'", err, 1, true)
    assert.matches(pattern, err)
  end
  local function list() return {} end

  it("is refused where it cannot work, naming handler, step and field", function()
    refused("'max_parallel' is for a step with 'map'", { run = list, max_parallel = 3 })
    refused("'max_failures' is for a step with 'map'", { run = list, max_failures = 3 })
    refused("'max_parallel' must be an integer", { run = list, map = list, max_parallel = 0 })
    refused("'max_failures' must be a fraction", { run = list, map = list, max_failures = -1 })
    refused("'max_failures' must be a fraction", { run = list, map = list, max_failures = 1.5 })
    refused("'map'", { run = list, map = { 1, 2 } })
    refused("'map' is not for a step with 'sleep'", { sleep = 1, map = list })
    refused("'map' is not for a step with 'signal'", { signal = "x", map = list })
  end)
end)
