local harness = require "spec.support.harness"
local tasker = require "tasker"

-- A retry policy that does not make a test wait, with a decide.
local function deciding(decide, limit)
  local policy = harness.quick_retry(limit)
  policy.decide = decide
  return policy
end

local function boom()
  error("boom")
end

-- Events of a task of one kind of step, as names with what they tell of a decision.
local function events_of(app, task)
  local names, logged = {}, {}
  for _, event in ipairs(app:events { task_id = task.task_id }) do
    if event.event == "step.logged" then
      logged[#logged + 1] = event.data
    elseif event.event:match("^step%.") then
      local decided = event.data and event.data.decided
      names[#names + 1] = event.event:sub(6) .. (decided and " " .. decided or "")
    end
  end
  return table.concat(names, ", "), logged
end

for _, kind in ipairs(harness.kinds) do
  describe("retry.decide, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("is asked at each failure, with the attempt, the error, the task and the step", function()
      local seen = {}
      local step = harness.outcome(app, boom, { retry = deciding(function(failure)
        seen[#seen + 1] = { failure.attempt, failure.error.code, failure.task.name ~= nil, failure.step.name }
        assert(tostring(failure.error):find("boom", 1, true))
      end, 2) })
      assert.same({ "error", 2 }, { step.status, step.attempts })
      assert.same({ { 1, "error", true, "only" }, { 2, "error", true, "only" } }, seen)
    end)

    it("may say when the next attempt is, within the limit", function()
      local step = harness.outcome(app, boom, { retry = { limit = 3, base = 500, backoff = "fixed", jitter = "none",
        decide = function() return { retry_after = 0.001 } end } })
      assert.same({ "error", 3 }, { step.status, step.attempts })
      step = harness.outcome(app, function(_, s)
        return s.attempt > 1 or error(tasker.permanent("no"))
      end, { retry = deciding(function() return { retry_after = 0 } end) })
      assert.same({ "complete", 2 }, { step.status, step.attempts })
    end)

    it("may say that it failed for good", function()
      local step, task = harness.outcome(app, boom, { retry = deciding(function() return { fail = true } end) })
      assert.same({ "error", 1, false }, { step.status, step.attempts, step.error.retryable })
      assert.equal("started, failed", (events_of(app, task)))
    end)

    it("may skip the step, as a branch that is not taken", function()
      local handler = harness.handler { steps = {
        { name = "extra", run = boom, retry = deciding(function() return { skip = true } end) },
        { name = "other", run = function() return 1 end },
        { name = "alone", depends_on = "extra", run = boom },
        { name = "both", depends_on = { "extra", "other" }, run = function(task) return task.results.extra == nil end },
      } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.same({ "skipped", "skipped", "complete" },
        { task.steps.extra.status, task.steps.alone.status, task.steps.both.status })
      assert.is_true(task.results.both)
      assert.is_nil(task.steps.extra.error)
      assert.matches("failed, .*skipped skip", (events_of(app, task)))
    end)

    it("may give the step its results", function()
      local step, task = harness.outcome(app, boom,
        { retry = deciding(function(failure) return { results = { instead = failure.attempt } } end) })
      assert.same({ "complete", { instead = 1 } }, { step.status, step.results })
      assert.is_nil(step.error)
      assert.equal("started, failed, completed results", (events_of(app, task)))
    end)

    it("may park the step for a person, who retries it", function()
      local fixed = false
      local handler = harness.one_step(function() return fixed or error("boom") end,
        { retry = deciding(function() return { park = "ask Ann" } end, 1) })
      local id = app:submit(handler)
      assert.is_true(app:work { until_idle = true })
      local task = app:task(id)
      assert.same({ "in_progress", "waiting", "person" }, { task.status, task.steps.only.status, task.steps.only.waiting_for })
      assert.matches("boom", task.steps.only.error.message, 1, true)
      assert.equal("started, failed, waiting park", (events_of(app, task)))
      fixed = true
      assert(app:retry(id, { step = "only" }))
      assert.is_true(app:work { until_idle = true })
      assert.same({ "complete", 2 }, { app:task(id).status, app:task(id).steps.only.attempts })
    end)

    it("may park the step for a person, who resolves it", function()
      local id = app:submit(harness.one_step(boom, { retry = deciding(function() return { park = "why" } end) }))
      assert.is_true(app:work { until_idle = true })
      for _, event in ipairs(app:events { task_id = id }) do
        if event.event == "step.waiting" then
          assert.same({ waiting_for = "person", decided = "park", reason = "why" }, event.data)
        end
      end
      assert(app:resolve(id, "only", { by = "hand" }, "done by phone"))
      local task = app:task(id)
      assert.same({ "complete", "resolved_manually", { by = "hand" } },
        { task.status, task.steps.only.status, task.steps.only.results })
    end)

    it("that raises or makes no sense leaves it to the policy, and the log says so", function()
      for fragment, decide in pairs {
        ["raised: "] = function() error("oops") end,
        ["an empty table"] = function() return {} end,
        ["more than one"] = function() return { skip = true, fail = true } end,
        ["'again'"] = function() return { again = true } end,
        ["retry_after"] = function() return { retry_after = -1 } end,
        ["'skip'"] = function() return { skip = 1 } end,
        ["'park'"] = function() return { park = true } end,
        ["results that cannot be"] = function() return { results = boom } end,
        ["returned"] = function() return 7 end,
      } do
        local step, task = harness.outcome(app, boom, { retry = deciding(decide, 1) })
        assert.same({ "error", 1 }, { step.status, step.attempts }, fragment)
        local _, logged = events_of(app, task)
        assert.equal("warn", logged[1].level)
        assert.matches(fragment, logged[1].message, 1, true)
        assert.matches("the policy applies", logged[1].message, 1, true)
      end
    end)

    it("gives only results that the step's schema allows", function()
      local step = harness.outcome(app, boom, { results_schema = { type = "integer" },
        retry = deciding(function() return { results = "text" } end, 1) })
      assert.equal("error", step.status)
    end)

    it("is asked after a timeout too, and may wait itself", function()
      local step = harness.outcome(app, function() tasker.sleep(60) end, { timeout = 0.05,
        retry = deciding(function(failure)
          tasker.sleep(0.001)
          return { results = failure.error.code }
        end) })
      assert.same({ "complete", "timeout" }, { step.status, step.results })
    end)

    it("is the handler's where the step has none", function()
      local task = app:run(harness.handler { retry = deciding(function() return { skip = true } end),
        steps = { { name = "a", run = boom } } })
      assert.equal("skipped", task.steps.a.status)
    end)
  end)

  describe("hooks, on " .. kind .. ",", function()
    local app, calls
    before_each(function() app, calls = harness.open(kind), {} end)
    after_each(harness.clean)

    local function noting(name)
      return function(failure)
        calls[#calls + 1] = ("%s %d %s %s"):format(name, failure.attempt, failure.error.code, failure.step.name)
      end
    end

    local function hooks(fields)
      for _, name in ipairs { "on_failure", "on_retry", "on_exhausted", "on_recovered" } do
        fields[name] = noting(name)
      end
      return fields
    end

    it("tell of failures, retries and the end", function()
      harness.outcome(app, boom, hooks { retry = harness.quick_retry(2) })
      assert.same({ "on_failure 1 error only", "on_retry 1 error only", "on_failure 2 error only", "on_exhausted 2 error only" },
        calls)
    end)

    it("tell of a success after a failure, and of nothing where nothing failed", function()
      harness.outcome(app, function(_, s) return s.attempt == 2 or error("boom") end, hooks { retry = harness.quick_retry() })
      assert.same({ "on_failure 1 error only", "on_retry 1 error only", "on_recovered 1 error only" }, calls)
      calls = {}
      harness.outcome(app, function() return 1 end, hooks {})
      assert.same({}, calls)
    end)

    it("tell of a permanent error once", function()
      harness.outcome(app, function() error(tasker.permanent("no", { code = "declined" })) end, hooks {})
      assert.same({ "on_failure 1 declined only", "on_exhausted 1 declined only" }, calls)
    end)

    it("tell of a timeout", function()
      harness.outcome(app, function() while true do end end, hooks { timeout = 0.05, retry = harness.quick_retry(1) })
      assert.same({ "on_failure 1 timeout only", "on_exhausted 1 timeout only" }, calls)
    end)

    it("tell of inputs that could not be had", function()
      harness.outcome(app, boom, hooks { inputs = function() error("none") end })
      assert.same({ "on_failure 0 error only", "on_exhausted 0 error only" }, calls)
    end)

    it("of the handler are those of its steps, unless a step has its own", function()
      app:run(harness.handler { retry = harness.quick_retry(1), on_exhausted = noting "common", steps = {
        { name = "a", run = boom }, { name = "b", run = boom, on_exhausted = noting "own" }, { name = "c", sleep = 0.001 },
      } })
      table.sort(calls)
      assert.same({ "common 1 error a", "own 1 error b" }, calls)
    end)

    it("may stand in retry as well, of a step or of the handler", function()
      local policy = hooks(harness.quick_retry(2))
      harness.outcome(app, boom, { retry = policy })
      assert.same({ "on_failure 1 error only", "on_retry 1 error only", "on_failure 2 error only", "on_exhausted 2 error only" },
        calls)
      calls = {}
      app:run(harness.handler { retry = policy, steps = { { name = "a", retry = { limit = 1 }, run = boom } } })
      assert.same({ "on_failure 1 error a", "on_exhausted 1 error a" }, calls)
      assert.has_error(function() harness.one_step(boom, { retry = { on_retry = 5 } }) end)
    end)

    it("that raise lose nothing: the outcome stands, and the log says so", function()
      local step, task = harness.outcome(app, function(_, s) return s.attempt == 2 or error("boom") end,
        { retry = harness.quick_retry(), on_failure = boom, on_retry = boom, on_recovered = boom })
      assert.same({ "complete", 2 }, { step.status, step.attempts })
      local _, logged = events_of(app, task)
      assert.equal(3, #logged)
      for i, name in ipairs { "on_failure", "on_retry", "on_recovered" } do
        assert.equal("warn", logged[i].level)
        assert.matches(name .. " raised: ", logged[i].message, 1, true)
      end
    end)

    it("may wait and use the app", function()
      local other = harness.one_step(function() return 1 end)
      local submitted
      local step = harness.outcome(app, boom, { retry = harness.quick_retry(1), on_exhausted = function()
        tasker.sleep(0.001)
        submitted = tasker.app():submit(other)
      end })
      assert.equal("error", step.status)
      assert.is_string(submitted)
    end)
  end)
end
