local harness = require "spec.support.harness"
local tasker = require "tasker"

local json = tasker.json
local once = { retry = { limit = 1 } }

for _, kind in ipairs(harness.kinds) do
  describe("what run returns, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("is the step's results", function()
      local step, task = harness.outcome(app, function() return { a = { 1, 2 }, b = "x" } end)
      assert.equal("complete", task.status)
      assert.equal("complete", step.status)
      assert.same({ a = { 1, 2 }, b = "x" }, step.results)
      assert.same(step.results, task.results.only)
      assert.same({}, task.errors)
    end)

    it("may be any JSON value", function()
      for _, value in ipairs { true, false, 0, -7, 1.5, "", "ü\n\"\\\0", math.maxinteger, math.mininteger, 1e300, 0.1 } do
        local step = harness.outcome(app, function() return value end)
        assert.equal(value, step.results)
        assert.equal(math.type(value), math.type(step.results))
      end
    end)

    it("is null when it is nothing or nil", function()
      for _, fn in ipairs { function() end, function() return nil end } do
        local step, task = harness.outcome(app, fn)
        assert.equal("complete", step.status)
        assert.is_nil(step.results)
        assert.is_nil(task.errors.only)
      end
    end)

    it("keeps empty arrays apart from empty objects, and null apart from nothing", function()
      local step = harness.outcome(app, function()
        return { array = tasker.array {}, object = {}, decoded = json.decode "[]", null = tasker.null }
      end)
      assert.equal('{"array":[],"decoded":[],"null":null,"object":{}}', json.encode(step.results, { canonical = true }))
      assert.equal(tasker.null, step.results.null)
    end)

    it("reads nil in task.results when it was null", function()
      local seen
      local task = app:run(harness.handler { chain = true, steps = {
        { name = "none", run = function() return nil end },
        { name = "reads", run = function(t) seen = t.results.none; return { is_nil = seen == nil } end },
      } })
      assert.is_true(task.results.reads.is_nil)
    end)
  end)
end

describe("an attempt fails", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("when run raises, and keeps message, code, retryable and traceback", function()
    local step, task = harness.outcome(app, function() error "out of paper" end, once)
    assert.equal("error", step.status)
    assert.equal("error", task.status)
    harness.contains("out of paper", step.error.message)
    assert.equal("error", step.error.code)
    assert.is_boolean(step.error.retryable)
    harness.contains("outcomes_spec.lua", step.error.traceback)
    assert.same(step.error, task.errors.only)
  end)

  it("when run returns nil and an err, which keeps its code", function()
    local step = harness.outcome(app, function()
      return nil, { code = "http_503", message = "come back later", status = 503 }
    end, once)
    assert.equal("error", step.status)
    assert.equal("http_503", step.error.code)
    assert.equal("come back later", step.error.message)
  end)

  it("when run returns nil and a text", function()
    local step = harness.outcome(app, function() return nil, "no such file" end, once)
    assert.equal("error", step.status)
    harness.contains("no such file", step.error.message)
  end)

  it("the same way for assert(call()) as for return call()", function()
    local function call() return nil, { code = "timeout", message = "too slow" } end
    local returned = harness.outcome(app, function() return call() end, once)
    local raised = harness.outcome(app, function() return harness.lua_assert(call()) end, once)
    assert.equal("timeout", returned.error.code)
    assert.equal("timeout", raised.error.code)
    assert.equal(returned.error.message, raised.error.message)
  end)

  it("as an err of the client does when it is raised", function()
    local step = harness.outcome(app, function()
      return harness.lua_assert(tasker.app():task "00000000-0000-7000-8000-000000000000")
    end, once)
    assert.equal("not_found", step.error.code)
  end)

  it("with details when a table is raised", function()
    local step = harness.outcome(app, function() error { message = "no money", code = "declined", bank = "b1", tries = 2 } end, once)
    assert.equal("no money", step.error.message)
    assert.equal("declined", step.error.code)
    assert.same({ bank = "b1", tries = 2 }, step.error.details)
  end)

  it("whatever is raised", function()
    for _, value in ipairs { 42, true, function() end, setmetatable({}, { __tostring = function() return "me" end }) } do
      local step = harness.outcome(app, function() error(value) end, once)
      assert.equal("error", step.status)
      assert.is_string(step.error.message)
    end
    local step = harness.outcome(app, function() error() end, once)
    assert.equal("error", step.status)
    assert.is_string(step.error.message)
  end)

  it("when the results are more than JSON can hold, and says where", function()
    local cycle = {}
    cycle.inner = { cycle }
    local impossible = {
      { { a = { f = print } }, "f" }, { cycle, "inner" }, { { x = 0 / 0 }, "x" }, { { x = math.huge }, "x" },
      { { bad = "\xff" }, "bad" }, { { [1] = 1, k = 2 }, "" }, { { 1, nil, 3 }, "" }, { { [true] = 1 }, "" }, { print, "function" },
    }
    for _, case in ipairs(impossible) do
      local step = harness.outcome(app, function() return case[1] end, once)
      assert.equal("error", step.status)
      harness.contains(case[2], step.error.message)
    end
  end)

  it("when the results are over 1 MiB, and names the limit", function()
    local step = harness.outcome(app, function() return ("x"):rep(1024 * 1024) end, once)
    assert.equal("error", step.status)
    harness.names_limit(step.error.message, "1 MiB", 1048576)
    assert.equal("complete", harness.outcome(app, function() return ("x"):rep(1024 * 1024 - 2) end, once).status)
  end)

  it("when the results are nested deeper than 128", function()
    local function nested(depth)
      local value = {}
      for _ = 2, depth do
        value = { value }
      end
      return value
    end
    assert.equal("complete", harness.outcome(app, function() return nested(128) end, once).status)
    local step = harness.outcome(app, function() return nested(129) end, once)
    assert.equal("error", step.status)
    harness.contains("128", step.error.message)
  end)

  it("and a long error is cut", function()
    local step = harness.outcome(app, function() error(("x"):rep(200000)) end, once)
    assert.equal("error", step.status)
    assert.is_true(#json.encode(step.error) <= 64 * 1024)
    harness.contains("xxxxx", step.error.message)
  end)

  it("and an error within the limit is kept whole, with its details beside what is cut", function()
    local long = ("x"):rep(60000)
    assert.equal(long, harness.outcome(app, function() error(long, 0) end, once).error.message)
    local step = harness.outcome(app, function() error { message = long .. long, code = "big", at = 7 } end, once)
    assert.is_true(#json.encode(step.error) <= 64 * 1024)
    assert.same({ at = 7 }, step.error.details)
    step = harness.outcome(app, function() error { message = "short", blob = long .. long } end, once)
    assert.equal("short", step.error.message)
  end)

  it("without taking invalid UTF-8 of its message into the store", function()
    local step = harness.outcome(app, function() error "bad \xff byte" end, once)
    assert.equal("error", step.status)
    assert.is_truthy(utf8.len(step.error.message))
  end)
end)

describe("tasker.permanent", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("is never retried and keeps its code", function()
    local step, task = harness.outcome(app, function()
      error(tasker.permanent("card declined", { code = "declined" }))
    end, { retry = harness.quick_retry(5) })
    assert.equal("error", task.status)
    assert.equal(1, step.attempts)
    assert.equal("declined", step.error.code)
    harness.contains("card declined", step.error.message)
    assert.is_false(step.error.retryable)
  end)

  it("may be returned as well as raised", function()
    local step = harness.outcome(app, function() return nil, tasker.permanent "no" end, { retry = harness.quick_retry(5) })
    assert.equal(1, step.attempts)
  end)
end)

describe("tasker.retry_after", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("retries after that many seconds, whatever cap and jitter say", function()
    local id = app:submit(harness.one_step(function() error(tasker.retry_after(30, "busy")) end, { retry = { cap = 1, jitter = "full" } }))
    local before = tasker.now()
    app:work { until_idle = 0.2 }
    local step = app:task(id).steps.only
    assert.equal("waiting", step.status)
    assert.equal("retry", step.waiting_for)
    harness.contains("busy", step.error.message)
    local due = tasker.time.parse(step.next_attempt_at)
    assert.is_true(due >= before + 30 and due <= tasker.now() + 30)
  end)

  it("counts against the limit", function()
    local step, task = harness.outcome(app, function() error(tasker.retry_after(0.01, "busy")) end, { retry = { limit = 2 } })
    assert.equal("error", task.status)
    assert.equal(2, step.attempts)
  end)

  it("is what an err with retry_after does", function()
    local id = app:submit(harness.one_step(function() return nil, { code = "http_429", message = "slow down", retry_after = 40 } end))
    app:work { until_idle = 0.2 }
    local step = app:task(id).steps.only
    assert.equal("http_429", step.error.code)
    assert.is_true(tasker.time.parse(step.next_attempt_at) - tasker.now() > 30)
  end)
end)

for _, kind in ipairs(harness.kinds) do
  describe("tasker.snooze, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("waits for a timer and is no failure", function()
      local id = app:submit(harness.one_step(function() return tasker.snooze(30) end))
      local before = tasker.now()
      app:work { until_idle = 0.2 }
      local task = app:task(id)
      assert.equal("in_progress", task.status)
      assert.equal("waiting", task.steps.only.status)
      assert.equal("timer", task.steps.only.waiting_for)
      assert.is_nil(task.steps.only.error)
      assert.is_true(tasker.time.parse(task.steps.only.next_attempt_at) >= before + 30)
      assert.same({}, harness.events_of(app, "step.failed", id))
    end)

    it("does not count against the limit", function()
      local starts = 0
      local step, task = harness.outcome(app, function(_, s)
        starts = starts + 1
        if starts <= 5 then return tasker.snooze(0.001) end
        return { attempt = s.attempt }
      end, { retry = { limit = 1 } })
      assert.equal("complete", task.status)
      assert.equal(6, step.attempts)
      assert.same({ attempt = 6 }, step.results)
    end)

    it("holds no slot", function()
      local order = {}
      local sleeper = harness.one_step(function(_, s)
        order[#order + 1] = "snoozer"
        if s.attempt == 1 then return tasker.snooze(0.05) end
      end)
      local other = harness.one_step(function() order[#order + 1] = "other" end)
      app:submit(sleeper, {}, { priority = 1 })
      app:submit(other)
      app:work { concurrency = 1, until_idle = true }
      assert.same({ "snoozer", "other", "snoozer" }, order)
    end)
  end)
end

describe("the step table in run", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("tells name, attempt, limit and a key that is the same at every attempt", function()
    local seen = {}
    local id = app:submit(harness.one_step(function(_, s)
      seen[#seen + 1] = { s.name, s.attempt, s.retry_limit, s.idempotency_key }
      if s.attempt < 3 then error "again" end
    end, { retry = harness.quick_retry(4) }))
    app:work { until_idle = true }
    assert.same({ { "only", 1, 4, id .. ":only" }, { "only", 2, 4, id .. ":only" }, { "only", 3, 4, id .. ":only" } }, seen)
  end)

  it("gives the inputs, a value or what a function of the task returned", function()
    local task = app:run(harness.handler { steps = {
      { name = "value", inputs = { n = 1 }, run = function(_, s) return s.inputs end },
      { name = "asked", depends_on = "value", inputs = function(t) return { n = t.results.value.n + t.context.plus } end,
        run = function(_, s) return s.inputs end },
      { name = "none", run = function(_, s) return { is_nil = s.inputs == nil } end },
    } }, { plus = 10 })
    assert.same({ n = 1 }, task.results.value)
    assert.same({ n = 11 }, task.results.asked)
    assert.same({ n = 1 }, task.steps.value.inputs)
    assert.same({ n = 11 }, task.steps.asked.inputs)
    assert.same({ is_nil = true }, task.results.none)
    assert.is_nil(task.steps.none.inputs)
  end)

  it("puts the step in error when the function of its inputs raises, without a start", function()
    local task = app:run(harness.handler { steps = {
      { name = "asked", inputs = function() error "no inputs today" end, run = function() end },
    } })
    assert.equal("error", task.status)
    assert.equal("error", task.steps.asked.status)
    assert.equal(0, task.steps.asked.attempts)
    harness.contains("no inputs today", task.steps.asked.error.message)
  end)

  it("keeps the last heartbeat of earlier attempts as progress", function()
    local seen = {}
    local step = harness.outcome(app, function(_, s)
      seen[#seen + 1] = s.progress == nil and "none" or s.progress.done
      if s.attempt == 1 then
        s:heartbeat { done = 1 }
        s:heartbeat { done = 50 }
        error "cut off"
      end
    end, { retry = harness.quick_retry() })
    assert.equal("complete", step.status)
    assert.same({ "none", 50 }, seen)
  end)

  it("annotates the task and logs into the event log", function()
    local _, task = harness.outcome(app, function(_, s)
      s:annotate("invoice", { no = 7 })
      s:log("warn", "nearly empty", { left = 2 })
    end)
    assert.same({ invoice = { no = 7 } }, app:task(task.task_id).annotations)
    local found
    for _, event in ipairs(app:events { after = 0, task_id = task.task_id }) do
      if event.data.message == "nearly empty" then found = event end
    end
    assert.is_truthy(found)
    assert.equal("warn", found.data.level)
    assert.same({ left = 2 }, found.data.fields)
    assert.equal("only", found.step)
  end)
end)
