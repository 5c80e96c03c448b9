local harness = require "spec.support.harness"
local tasker = require "tasker"

--- Seconds from its last failure to the next attempt of a step that fails; nil when it waits for none.
local function delay_of(app, policy)
  local id = app:submit(harness.one_step(function() error "again" end, { retry = policy }))
  app:work { until_idle = 0.05 }
  local failed = harness.events_of(app, "step.failed", id)
  local due = app:task(id).steps.only.next_attempt_at
  return due and tasker.time.parse(due) - tasker.time.parse(failed[#failed].at)
end

local function close_to(expected, actual)
  assert.is_true(math.abs(expected - actual) < 0.002, ("%g is not %g"):format(actual, expected))
end

for _, kind in ipairs(harness.kinds) do
  describe("a failed step, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("is started again until it succeeds, and its error is null then", function()
      local step, task = harness.outcome(app, function(_, s)
        if s.attempt < 3 then error "again" end
        return "fine"
      end, { retry = harness.quick_retry() })
      assert.equal("complete", task.status)
      assert.equal(3, step.attempts)
      assert.is_nil(step.error)
      assert.same({}, task.errors)
      assert.equal(2, #harness.events_of(app, "step.failed", task.task_id))
      assert.equal(2, #harness.events_of(app, "step.retry_scheduled", task.task_id))
    end)

    it("is in error after its limit, which counts the first attempt", function()
      local starts = 0
      local step, task = harness.outcome(app, function()
        starts = starts + 1
        error("no " .. starts)
      end, { retry = harness.quick_retry(3) })
      assert.equal("error", task.status)
      assert.equal(3, starts)
      assert.equal(3, step.attempts)
      assert.equal(3, step.retry_limit)
      harness.contains("no 3", step.error.message)
      harness.contains("no 3", task.errors.only.message)
    end)

    it("is not retried with a limit of 1 or when it is not retryable", function()
      assert.equal(1, harness.outcome(app, function() error "no" end, { retry = { limit = 1 } }).attempts)
      local step = harness.outcome(app, function() error "no" end, { retryable = false, retry = harness.quick_retry(5) })
      assert.equal(1, step.attempts)
      assert.is_false(step.retryable)
    end)

    it("waits for its retry meanwhile, with the last failure and the time of the next attempt", function()
      local id = app:submit(harness.one_step(function() error "wait" end, { retry = { backoff = "fixed", base = 60, jitter = "none" } }))
      app:work { until_idle = 0.1 }
      local task = app:task(id)
      local step = task.steps.only
      assert.equal("in_progress", task.status)
      assert.equal("waiting", step.status)
      assert.equal("retry", step.waiting_for)
      assert.equal(1, step.attempts)
      harness.contains("wait", step.error.message)
      local failed = harness.events_of(app, "step.failed", id)[1]
      close_to(60, tasker.time.parse(step.next_attempt_at) - tasker.time.parse(failed.at))
    end)
  end)
end

describe("the delay before an attempt", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  local function first(policy)
    return delay_of(app, policy)
  end

  it("is base when fixed", function() close_to(20, first { backoff = "fixed", base = 20, jitter = "none" }) end)
  it("is base at first when linear", function() close_to(20, first { backoff = "linear", base = 20, jitter = "none" }) end)
  it("is base at first when exponential", function()
    close_to(20, first { backoff = "exponential", base = 20, factor = 7, jitter = "none" })
  end)
  it("is the first of a list", function() close_to(15, first { backoff = { 15, 99 }, jitter = "none" }) end)
  it("is at most cap", function() close_to(12, first { backoff = "fixed", base = 100, cap = 12, jitter = "none" }) end)

  it("is what a function says, without cap and jitter", function()
    local seen
    local delay = first { cap = 5, jitter = "full", backoff = function(attempt, err, step)
      seen = { attempt, err.message:match "again", step.name }
      return 77
    end }
    close_to(77, delay)
    assert.same({ 1, "again", "only" }, seen)
  end)

  it("is what a registered strategy says", function()
    tasker.backoff("house_rule", function(attempt) return 50 + attempt end)
    close_to(51, first { backoff = "house_rule", jitter = "full" })
  end)

  it("is the default policy's when a strategy raises or returns no number of seconds", function()
    local bad = { function() error "broken" end, function() return -1 end, function() return "soon" end, function() return 0 / 0 end,
      function() end }
    for _, strategy in ipairs(bad) do
      local delay = first { backoff = strategy }
      assert.is_true(delay == nil or delay >= 0 and delay <= 4.002)   -- full jitter below 1, 2, 4 s
    end
  end)

  it("lies within its jitter #slow", function()
    local full, equal, fraction = {}, {}, {}
    for i = 1, 20 do
      full[i] = first { backoff = "fixed", base = 40, jitter = "full" } or 0
      equal[i] = first { backoff = "fixed", base = 40, jitter = "equal" }
      fraction[i] = first { backoff = "fixed", base = 40, jitter = 0.25 }
      assert.is_true(full[i] >= 0 and full[i] <= 40.002)
      assert.is_true(equal[i] >= 20 and equal[i] <= 40.002)
      assert.is_true(fraction[i] >= 30 and fraction[i] <= 50.002)
    end
    for _, list in ipairs { full, equal, fraction } do
      assert.is_true(math.max(table.unpack(list)) - math.min(table.unpack(list)) > 1)
    end
  end)

  it("grows by its rule over the failures", function()
    local asked = {}
    local rules = {
      linear = { 0.01, 0.02, 0.03, 0.04 }, exponential = { 0.01, 0.02, 0.04, 0.08 }, fibonacci = { 0.01, 0.01, 0.02, 0.03 },
    }
    for rule, expected in pairs(rules) do
      local id = app:submit(harness.one_step(function() error "again" end,
        { retry = { limit = 5, backoff = rule, base = 0.01, factor = 2, jitter = "none" } }))
      app:work { until_idle = true }
      local failed, started = harness.events_of(app, "step.failed", id), harness.events_of(app, "step.started", id)
      assert.equal(5, #failed)
      for n = 1, 4 do
        local pause = tasker.time.parse(started[n + 1].at) - tasker.time.parse(failed[n].at)
        assert.is_true(pause >= expected[n] - 0.0005, ("%s: pause %d is %g"):format(rule, n, pause))
        assert.is_true(pause < expected[n] + 0.5)
      end
      asked[#asked + 1] = rule
    end
    assert.equal(3, #asked)
  end)
end)

describe("a retry policy", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("is three attempts unless given", function()
    local handler = harness.one_step(function() return 1 end)
    assert.equal(3, app:run(handler).steps.only.retry_limit)
  end)

  it("of the handler is the default of its steps, field by field", function()
    local task = app:run(harness.handler { retry = { limit = 7, backoff = "none" }, steps = {
      { name = "own", retry = { limit = 2 }, run = function() error "no" end },
      { name = "common", run = function() end },
    } })
    assert.equal(2, task.steps.own.retry_limit)
    assert.equal(2, task.steps.own.attempts)
    assert.equal(7, task.steps.common.retry_limit)
  end)

  it("of a strategy that is registered later is refused", function()
    harness.raises("not_there_yet", harness.one_step, function() end, { retry = { backoff = "not_there_yet" } })
  end)
end)
