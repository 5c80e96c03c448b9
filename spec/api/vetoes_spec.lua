local harness = require "spec.support.harness"
local tasker = require "tasker"

local function one_step(fields)
  local given = { steps = { { name = "only", run = function() return { n = 1 } end } } }
  for name, value in pairs(fields or {}) do given[name] = value end
  return harness.handler(given)
end

describe("tasker.before", function()
  local app, ends

  before_each(function()
    app = harness.open "memory"
    ends = {}
  end)
  after_each(function()
    for _, take_away in ipairs(ends) do take_away() end
    harness.clean()
  end)

  local function before(pattern, fn)
    ends[#ends + 1] = tasker.before(pattern, fn)
    return ends[#ends]
  end

  it("fails the attempt whose start it vetoes, which is retried as ever", function()
    local runs, asked = 0, 0
    local handler = harness.handler { retry = harness.quick_retry(3), steps = { { name = "a", run = function() runs = runs + 1 end } } }
    before("step.start", function(change)
      asked = asked + 1
      assert.same({ "a", "ready", "in_progress", "step.start" }, { change.step, change.from, change.to, change.event })
      assert.is_string(change.task.task_id)
      if asked < 3 then return false, "not yet" end
    end)
    local task = app:run(handler, {})
    assert.equal("complete", task.status)
    assert.same({ 1, 3 }, { runs, asked })
    local failed = harness.events_of(app, "step.failed", task.task_id)
    assert.equal(2, #failed)
    assert.same({ "vetoed", "not yet" }, { failed[1].data.error.code, failed[1].data.error.message })
  end)

  it("fails the attempt whose completion it vetoes, and sees the results", function()
    before("step.complete", function(change)
      if change.results.n == 1 then return false, tasker.permanent("one is too few") end
    end)
    local task = app:run(one_step(), {})
    assert.equal("error", task.status)
    local step = task.steps.only
    assert.same({ "vetoed", "one is too few", 1 }, { step.error.code, step.error.message, step.attempts })
    assert.is_nil(task.results.only)
  end)

  it("takes what a rule raises for a veto", function()
    before("step.complete", function() error(tasker.permanent("broken rule")) end)
    assert.equal("broken rule", app:run(one_step(), {}).steps.only.error.message)
  end)

  it("lets pass what no rule returns false for", function()
    local seen = {}
    before("*", function(change)
      seen[#seen + 1] = change.event
      return #seen % 2 == 0 or nil
    end)
    assert.equal("complete", app:run(one_step(), {}).status)
    assert.same({ "task.submit", "step.start", "step.complete" }, seen)
  end)

  it("refuses operations with the why and changes nothing", function()
    local id = app:submit(one_step(), {})
    before({ "task.cancel", "task.pause", "step.*" }, function(change)
      return false, ("no %s from %s to %s"):format(change.event, change.from, change.to)
    end)
    local before_events = #app:events {}
    local function refused(call, why)
      local task, err = call()
      assert.is_nil(task)
      assert.equal("refused", err.code)
      assert.is_truthy(err.message:find(why, 1, true), err.message)
      assert.equal(why, err.details.vetoed)
    end
    refused(function() return app:cancel(id, "why not") end, "no task.cancel from pending to cancelled")
    refused(function() return app:pause(id) end, "no task.pause from pending to paused")
    refused(function() return app:cancel(id, nil, { step = "only" }) end, "no step.cancel from ready to cancelled")
    refused(function() return app:resolve(id, "only", 1) end, "no step.resolve from ready to resolved_manually")
    assert.equal(before_events, #app:events {})
    ends[#ends]()
    assert.equal("paused", app:pause(id).status)
    before("task.resume", function(change)
      return false, ("from %s to %s"):format(change.from, change.to)
    end)
    refused(function() return app:resume(id) end, "from paused to pending")
  end)

  it("refuses a decision of people", function()
    local handler = harness.handler { steps = { { name = "ok", approval = { approvers = { "ann" } } } } }
    local id = app:submit(handler, {})
    app:work { until_idle = true }
    before("step.approve", function(change) return change.step ~= "ok", "not today" end)
    local task, err = app:approve(id, "ok", { by = "ann" })
    assert.is_nil(task)
    assert.same({ "refused", "not today" }, { err.code, err.details.vetoed })
    ends[#ends]()
    assert.equal("complete", app:approve(id, "ok", { by = "ann" }).status)
  end)

  it("refuses a submission, also one of several", function()
    local handler = one_step()
    before("task.submit", function(change)
      return change.task.context.n ~= 2 and change.task.name == handler.name, "two is one too many"
    end)
    assert.is_string(app:submit(handler, { n = 1 }))
    local id, err = app:submit(handler, { n = 2 })
    assert.is_nil(id)
    assert.same({ "refused", "two is one too many" }, { err.code, err.details.vetoed })
    id, err = app:submit_many { { handler, { n = 1 } }, { handler, { n = 2 } } }
    assert.is_nil(id)
    assert.equal("refused", err.code)
    assert.equal(1, #app:tasks())
  end)

  it("is asked of nothing that happens by itself", function()
    before({ "task.cancel", "step.cancel", "step.complete" }, function(change)
      return change.event == "step.complete", "no"
    end)
    local task = app:run(harness.handler { timeout = 0.05, steps = {
      { name = "slow", run = function() tasker.sleep(30) end },
    } }, {})
    assert.same({ "error", "cancelled" }, { task.status, task.steps.slow.status })
  end)

  it("refuses an unknown verb, and what is no function", function()
    assert.error_matches(function() tasker.before("step.begin", print) end, "tasker.before: the verb 'step.begin' is none of")
    assert.error_matches(function() tasker.before("task.cancle", print) end, "did you mean 'task.cancel'")
    assert.error_matches(function() tasker.before("step.start") end, "tasker.before: the function must be a function")
  end)
end)

describe("code that is kept in the store", function()
  after_each(harness.clean)

  it("brings no rules and subscriptions of its time: those of the files that are loaded count", function()
    local dir = harness.temp_dir()
    local file = dir .. "/steps.lua"
    local function write(version, verb)
      harness.process.write_file(file, ([[
        local tasker = require "tasker"
        tasker.before("%s", function() return false, tasker.permanent("%s") end)
        tasker.on("*", function(event) io.stderr:write("%s ", event.event, "\n") end)
        tasker.handler { name = "kept", version = "%s", steps = { { name = "a", run = function() return "%s" end } } }
      ]]):format(verb, version, version, version, version))
    end
    local url = dir .. "/store"
    write("1.0.0", "step.start")
    local id = harness.process.run({ harness.process.program(), "submit", "kept", "--file", file, "--store", url }).stdout:match "%S+"
    write("2.0.0", "task.cancel")
    local worked = harness.process.run { harness.process.program(), "worker", file, "--until-idle", "--store", url }
    assert.equal(0, worked.status)
    assert.is_nil(worked.stderr:find("1.0.0 ", 1, true))
    assert.equal(1, select(2, worked.stderr:gsub("2%.0%.0 task%.completed", "")))
    local task = harness.reopen(url):task(id)
    assert.same({ "complete", "1.0.0", "1.0.0" }, { task.status, task.version, task.results.a })
  end)
end)
