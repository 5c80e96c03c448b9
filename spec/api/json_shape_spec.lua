local harness = require "spec.support.harness"
local tasker = require "tasker"

local json = tasker.json

local time_pattern = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$"
local uuid7_pattern = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

--- The keys of section 6 in their order, and those of a step.
local task_keys = {
  "task_id", "namespace", "name", "version", "status", "context", "tags", "priority", "queue", "initiator", "source_system", "reason",
  "bypass_steps", "identity_hash", "parent_task_id", "annotations", "results", "errors", "requested_at", "created_at", "started_at",
  "completed_at", "run_at", "steps",
}
local step_keys = {
  "name", "status", "depends_on", "attempts", "retry_limit", "retryable", "skippable", "inputs", "results", "error", "waiting_for",
  "next_attempt_at", "started_at", "completed_at", "last_attempted_at",
}

--- The JSON of a task as the command line prints it.
local function printed(dir, id)
  local result = harness.process.run { harness.process.program(), "task", id, "--json", "--store", dir }
  assert.equal(0, result.status, result.stderr)
  return result.stdout
end

describe("a task as JSON", function()
  local app, url
  before_each(function() app, url = harness.open "lmdb" end)
  after_each(harness.clean)

  local function example()
    return app:submit(harness.handler { namespace = "shop", version = "1.2.3", steps = {
      { name = "reserve", run = function(task) return { reserved = task.context.order_id } end },
      { name = "charge", depends_on = "reserve", skippable = true, retryable = false, inputs = { amount = 5 },
        retry = { limit = 1 }, run = function() error { message = "declined", code = "declined" } end },
      { name = "ship", depends_on = { "charge" }, run = function() end },
    } }, { order_id = 7 }, { tags = { "vip", "ü" }, priority = 5, initiator = "ann", source_system = "till", reason = "sale",
      annotations = { note = "hi" } })
  end

  it("has every key, null where there is nothing, in the documented order", function()
    local id = example()
    app:work { until_idle = true }
    local text = printed(url, id)
    assert.equal("\n", text:sub(-1))
    assert.is_nil(text:sub(1, -2):find("\n", 1, true))
    local at = 0
    for _, key in ipairs(task_keys) do
      local found = text:find('"' .. key .. '":', at + 1, true)
      assert.is_truthy(found, key .. " is missing or out of order")
      if key ~= "context" and key ~= "annotations" then at = found end
    end
    local steps = text:sub((text:find('"steps":[', 1, true)))
    at = 0
    for _, key in ipairs(step_keys) do
      local found = steps:find('"' .. key .. '":', at + 1, true)
      assert.is_truthy(found, key .. " of a step is missing or out of order")
      at = found
    end
  end)

  it("has the documented values and types", function()
    local id = example()
    app:work { until_idle = true }
    local task = json.decode(printed(url, id))
    assert.equal(id, task.task_id)
    assert.is_truthy(task.task_id:match(uuid7_pattern))
    assert.equal("shop", task.namespace)
    assert.equal("1.2.3", task.version)
    assert.equal("error", task.status)
    assert.same({ order_id = 7 }, task.context)
    assert.same({ "vip", "ü" }, task.tags)
    assert.equal(5, task.priority)
    assert.equal("default", task.queue)
    assert.equal("ann", task.initiator)
    assert.equal("till", task.source_system)
    assert.equal("sale", task.reason)
    assert.equal("[]", json.encode(task.bypass_steps))
    assert.equal(task.task_id, task.identity_hash, "a guid is the task's own")
    assert.equal(tasker.null, task.parent_task_id)
    assert.same({ note = "hi" }, task.annotations)
    assert.same({ reserve = { reserved = 7 } }, task.results)
    assert.equal("declined", task.errors.charge.code)
    for _, key in ipairs { "requested_at", "created_at", "started_at", "completed_at" } do
      assert.is_truthy(task[key]:match(time_pattern), key)
    end
    assert.equal(tasker.null, task.run_at)
    assert.is_true(task.created_at <= task.started_at and task.started_at <= task.completed_at)
  end)

  it("has the documented values and types in its steps", function()
    local id = example()
    app:work { until_idle = true }
    local steps = json.decode(printed(url, id)).steps
    local reserve, charge, ship = steps[1], steps[2], steps[3]
    assert.equal(3, #steps)
    assert.same({ "reserve", "charge", "ship" }, { reserve.name, charge.name, ship.name })
    assert.same({ "complete", "error", "pending" }, { reserve.status, charge.status, ship.status })
    assert.equal("[]", json.encode(reserve.depends_on))
    assert.same({ "reserve" }, charge.depends_on)
    assert.same({ 1, 1, 0 }, { reserve.attempts, charge.attempts, ship.attempts })
    assert.same({ 3, 1, 3 }, { reserve.retry_limit, charge.retry_limit, ship.retry_limit })
    assert.same({ true, false, true }, { reserve.retryable, charge.retryable, ship.retryable })
    assert.same({ false, true, false }, { reserve.skippable, charge.skippable, ship.skippable })
    assert.equal(tasker.null, reserve.inputs)
    assert.same({ amount = 5 }, charge.inputs)
    assert.same({ reserved = 7 }, reserve.results)
    assert.equal(tasker.null, charge.results)
    assert.equal(tasker.null, reserve.error)
    assert.equal("declined", charge.error.message)
    for _, key in ipairs { "started_at", "completed_at", "last_attempted_at" } do
      assert.is_truthy(reserve[key]:match(time_pattern), key)
      assert.equal(tasker.null, ship[key])
    end
    for _, step in ipairs(steps) do
      assert.equal(tasker.null, step.waiting_for)
      assert.equal(tasker.null, step.next_attempt_at)
    end
  end)

  it("has run_at, requested_at and bypass_steps as they were asked for", function()
    local id = app:submit(harness.handler { steps = { { name = "a", skippable = true, run = function() end } } }, nil,
      { run_at = "2999-01-02T03:04:05+01:00", requested_at = "2020-01-01T00:00:00Z", bypass_steps = { "a" } })
    local task = json.decode(printed(url, id))
    assert.equal("2999-01-02T02:04:05.000000Z", task.run_at)
    assert.equal("2020-01-01T00:00:00.000000Z", task.requested_at)
    assert.same({ "a" }, task.bypass_steps)
    assert.equal("{}", json.encode(task.context))
    assert.equal("{}", json.encode(task.results))
    assert.equal("{}", json.encode(task.errors))
    assert.equal("{}", json.encode(task.annotations))
    assert.equal(tasker.null, task.started_at)
    assert.equal("pending", task.status)
  end)
end)

for _, kind in ipairs(harness.kinds) do
  describe("a task as a table, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("has steps by place and by name, and null fields are absent", function()
      local task = app:run(harness.handler { steps = {
        { name = "a", run = function() return 1 end }, { name = "b", run = function() end },
      } })
      assert.equal(2, #task.steps)
      assert.equal(task.steps[1], task.steps.a)
      assert.equal("b", task.steps.b.name)
      assert.is_nil(rawget(task, "parent_task_id"))
      assert.is_nil(task.run_at)
      assert.is_nil(task.steps.a.error)
      assert.is_nil(task.steps.nope)
    end)

    it("keeps 64-bit integers, floats and null of user data", function()
      local context = {
        big = math.maxinteger, small = math.mininteger, half = 0.5, tiny = 5e-324, none = tasker.null, list = tasker.array {},
      }
      local task = app:task((app:submit(harness.one_step(function() end), context)))
      assert.equal(math.maxinteger, task.context.big)
      assert.equal(math.mininteger, task.context.small)
      assert.equal("integer", math.type(task.context.big))
      assert.equal(0.5, task.context.half)
      assert.equal(5e-324, task.context.tiny)
      assert.equal(tasker.null, task.context.none)
      assert.equal("[]", json.encode(task.context.list))
    end)

    it("has ids that rise in the order of submission", function()
      local handler = harness.one_step(function() end)
      local last = ""
      for _ = 1, 200 do
        local id = app:submit(handler)
        assert.is_true(id > last)
        last = id
      end
    end)
  end)
end
