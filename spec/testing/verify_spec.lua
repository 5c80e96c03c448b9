local assert = require "luassert"
local examples = require "spec.support.examples"
local tasker = require "tasker"
local testing = require "tasker.testing"

local serial = 0

local function never_called()
  error "verify called a function of the handler"
end

local function define(steps, more)
  serial = serial + 1
  local definition = { namespace = "verify", name = "workflow" .. serial, steps = steps }
  for name, value in pairs(more or {}) do
    definition[name] = value
  end
  return tasker.handler(definition)
end

local function run(name, depends_on, more)
  local step = { name = name, depends_on = depends_on, run = never_called }
  for field, value in pairs(more or {}) do
    step[field] = value
  end
  return step
end

-- The problems of a handler as "kind step", sorted.
local function problems_of(handler, options)
  local ok, err = testing.verify(handler, options)
  local found = {}
  for i, problem in ipairs(err and err.problems or {}) do
    found[i] = problem.kind .. " " .. tostring(problem.step)
  end
  assert.equal(#found == 0, ok == true)
  table.sort(found)
  return found, err
end

describe("testing.verify finds", function()
  it("a signal that nothing limits", function()
    local found, err = problems_of(define { run "order", { name = "paid", depends_on = "order", signal = "payment" }, run("ship", "paid") })
    assert.same({ "stranded paid" }, found)
    assert.same({}, err.problems[1].path)
    assert.matches("step 'paid' can strand the task: it waits for a signal that may never come: give it a 'timeout'", err.message)
  end)

  it("a signal that nothing limits, on one branch only, and the way there", function()
    local found, err = problems_of(define {
      { name = "route", switch = never_called, cases = { direct = { "ship" }, prepaid = { "paid" } } },
      run "ship", { name = "paid", signal = "payment" }, run("done", { "ship", "paid" }),
    })
    assert.same({ "stranded paid" }, found)
    assert.same({ "route: case prepaid" }, err.problems[1].path)
  end)

  it("a signal that nothing limits, after a failure only", function()
    local found, err = problems_of(define {
      run("try", nil, { on_error = "continue", when = never_called }), run "other",
      { name = "rescue", depends_on = { "try", "other" }, join = "all_done", when = never_called, signal = "rescued" },
    })
    assert.same({ "stranded rescue" }, found)
    assert.equal("string", type(err.problems[1].message))
  end)

  it("people who need not decide", function()
    assert.same({ "stranded accept" }, problems_of(define {
      { name = "accept", approval = { approvers = never_called, required = 2 } }, run("pay", "accept"),
    }))
  end)

  it("a join that asks for two branches of one switch", function()
    local found, err = problems_of(define {
      { name = "route", switch = never_called, cases = { a = { "left" }, b = { "right" } } },
      run "left", run "right", run("ended_left", "left"), run("ended_right", "right"),
      run("both", { "ended_left", "ended_right" }, { join = 2 }), run("after", "both"),
    })
    assert.same({ "never_succeeds after", "never_succeeds both" }, found)
    assert.matches("step 'both' never succeeds: in each of the %d+ combinations that there are it is pending or skipped", err.message)
    assert.matches("step 'after' never succeeds: because 'both' does not", err.message)
  end)

  it("a step in branches that exclude each other", function()
    assert.same({ "never_succeeds deep" }, problems_of(define {
      { name = "one", switch = never_called, cases = { x = { "two" }, y = { "other" } } }, run "other",
      { name = "two", switch = never_called, cases = { p = { "deep" }, q = { "side" } } },
      run("ended", "other"), run("deep", "ended", { join = 2 }), run "side",
    }))
  end)

  it("a sleep that is longer than its task may take", function()
    assert.same({ "never_succeeds after", "never_succeeds later" }, problems_of(define({
      run "first", { name = "later", depends_on = "first", sleep = 3600 }, run("after", "later"),
    }, { timeout = 60 })))
  end)

  it("sleeps that are longer together than their task may take", function()
    assert.same({ "never_succeeds second" }, problems_of(define({
      run "start", { name = "first", depends_on = "start", sleep = 40 }, { name = "second", depends_on = "first", sleep = 40 },
    }, { timeout = 60 })))
  end)

  it("a child that nobody defined", function()
    assert.same({ "never_succeeds after", "never_succeeds down" }, problems_of(define {
      { name = "down", child = "verify/nobody" }, run("after", "down"),
    }))
  end)

  it("a task that starts itself for ever", function()
    serial = serial + 1
    local itself = "verify/workflow" .. serial + 1
    local found, err = problems_of(define { run "a", { name = "again", depends_on = "a", child = itself, context = never_called } })
    assert.same({ "endless again" }, found)
    assert.matches("step 'again' starts a task that always leads to another one of " .. itself, err.message)
    local first = define { { name = "down", child = "verify/workflow" .. serial + 2 } }
    local second = define { { name = "down", child = tostring(first) } }
    assert.same({ "endless down" }, problems_of(first))
    assert.same({ "endless down" }, problems_of(second))
    assert.same({}, problems_of(define { { name = "again", when = never_called, child = "verify/workflow" .. serial + 1 } }))
  end)

  it("what never succeeds among more combinations than are walked", function()
    local steps, all = { run "root" }, {}
    for i = 1, 20 do
      steps[#steps + 1] = { name = "switch" .. i, depends_on = "root", switch = never_called,
        cases = { a = { "a" .. i }, b = { "b" .. i }, c = { "c" .. i } } }
      for _, case in ipairs { "a", "b", "c" } do
        steps[#steps + 1] = run(case .. i)
      end
      all[i] = "c" .. i
    end
    steps[#steps + 1] = run("possible", all, { join = #all })
    steps[#steps + 1] = run("after_c", "c20")
    steps[#steps + 1] = run("after_b", "b20")
    steps[#steps + 1] = run("impossible", { "after_c", "after_b" }, { join = 2 })
    assert.same({ "never_succeeds impossible" }, problems_of(define(steps), { limit = 300 }))
  end)
end)

describe("testing.verify of a machine finds", function()
  local function machine(states, more)
    serial = serial + 1
    local definition = { namespace = "verify", name = "machine" .. serial, initial = "first", states = states }
    for name, value in pairs(more or {}) do
      definition[name] = value
    end
    return tasker.machine(definition)
  end

  it("a state that waits for a signal without a limit, and the way there", function()
    local found, err = problems_of(machine {
      first = { run = never_called, on = { small = "done", large = { { target = "ask", guard = never_called }, { target = "done" } } } },
      ask = { approval = { approvers = { "ann" } }, on = { approve = "wait", reject = "first" } },
      wait = { signal = "paid", on = { paid = "done" } },
      done = { final = true },
    })
    assert.same({ "stranded ask", "stranded wait" }, found)
    assert.same({ "first: large" }, err.problems[1].path)
    assert.same({ "first: large", "ask: approve" }, err.problems[2].path)
  end)

  it("one in a part of a parallel state", function()
    assert.same({ "stranded first.right.wait" }, problems_of(machine {
      first = { parallel = true, on = { done = "done" }, states = {
        left = { initial = "work", states = { work = { run = never_called, on = { ok = "ended" } }, ended = { final = true } } },
        right = { initial = "wait", states = { wait = { signal = "paid", on = { paid = "ended" } }, ended = { final = true } } },
      } },
      done = { final = true },
    }))
  end)

  it("states that lead to each other only", function()
    local found, err = problems_of(machine {
      first = { run = never_called, on = { ok = "done", again = "left" } },
      left = { run = never_called, on = { ok = "right" } }, right = { run = never_called, on = { ok = "left" } },
      done = { final = true },
    })
    assert.same({ "endless left" }, found)
    assert.matches("from state 'left' no final state can be reached %(after first: again%)", err.message)
    assert.same({ "endless first" }, problems_of(machine {
      first = { run = never_called, on = { ok = "second" } }, second = { run = never_called, on = { ok = "first" } },
    }))
  end)

  it("a limit that never comes, and a task's that comes too early", function()
    assert.same({ "never_succeeds first.after" }, problems_of(machine {
      first = { sleep = 10, on = { done = "done" }, after = { [60] = "done" } }, done = { final = true },
    }))
    assert.same({ "never_succeeds done", "never_succeeds first" }, problems_of(machine({
      first = { sleep = 100, on = { done = "done" } }, done = { final = true },
    }, { timeout = 60 })))
  end)

  it("nothing where every state has a way out", function()
    assert.is_true(testing.verify(machine {
      first = { run = never_called, on = { ok = "nested", again = "first" }, after = { [5] = "wait" } },
      nested = { initial = "a", history = true, on = { done = "wait" }, states = {
        a = { run = never_called, on = { ok = "b" } },
        b = { child = define { { name = "forever", signal = "x" } }, on = { complete = "end", error = "failed" }, after = { [9] = "end" } },
        ["end"] = { final = true } } },
      wait = { signal = "paid", on = { paid = "ask" }, after = { [100] = { target = "ask", action = never_called } } },
      ask = { approval = { approvers = never_called, required = 2 }, timeout = 60, on = { approve = "done", reject = "failed" } },
      done = { final = true }, failed = { final = "error" },
    }))
  end)
end)

describe("testing.verify", function()
  it("finds nothing where every wait has a limit and every step a way", function()
    assert.is_true(testing.verify(define({
      run "start",
      run("check", "start", { when = never_called, inputs = never_called, retry = { decide = never_called } }),
      { name = "route", depends_on = "start", switch = never_called, cases = { a = { "left" }, b = { "right" } }, default = "a" },
      run("left", nil, { results_schema = { type = "integer" } }), run("right", nil, { on_error = "continue" }),
      { name = "wait", depends_on = { "left", "right" }, sleep = never_called },
      { name = "each", depends_on = "wait", map = never_called, run = never_called, max_failures = 1 },
      { name = "child", depends_on = "each", child = define { { name = "forever", signal = "x" } }, on_child_error = "ignore" },
      { name = "paid", depends_on = "wait", signal = "payment", timeout = 3600, on_timeout = "complete" },
      { name = "accept", depends_on = "wait", approval = { approvers = { "ann", "bob" }, required = "all", form = {
        type = "object", required = { "limit" }, properties = { limit = { type = "integer" } } } }, timeout = 60, on_reject = "complete" },
      run("clean", { "paid", "accept", "check" }, { join = "all_done" }),
    }, { timeout = 86400, context_schema = { type = "object", required = { "id" } } })))
  end)

  it("asks no function for the key of a limit", function()
    tasker.limit("verify.tenant", { rate = 1, per = 60, burst = 1 })
    assert.is_true(testing.verify(define { run("a", nil, { limits = { { "verify.tenant", key = never_called } } }) }))
  end)

  it("takes a handler's name", function()
    local handler = define { run "a" }
    assert.is_true(testing.verify("verify/" .. handler.name))
    assert.has_error(function() testing.verify "verify/nothing" end,
      "testing.verify: no handler 'verify/nothing' is defined in this state")
  end)

  it("leaves an app that is open alone", function()
    local app = assert(testing.open { clock = "2026-05-01T00:00:00Z" })
    local handler = define { run "a" }
    testing.stub(handler, "a", 7)
    assert.is_true(testing.verify(handler))
    assert.equal(7, assert(app:run(handler)).steps.a.results)
    assert.equal(tasker.time.parse "2026-05-01T00:00:00Z", tasker.now())
    app:close()
  end)

  it("finds nothing in the examples #slow", function()
    for _, path in ipairs(examples.list()) do
      local printed = examples.each_handler(path, [[
        local ok, err = require("tasker.testing").verify(handler)
        say(tostring(handler), ok and "fine" or tostring(err))
      ]])
      for line in printed:gmatch "[^\n]+" do
        assert.matches("\tfine$", line, path .. ": " .. printed)
      end
    end
  end)

  it("refuses options that cannot be", function()
    assert.has_error(function() testing.verify(define { run "a" }, { limits = 1 }) end,
      "testing.verify: option 'limits' is unknown; did you mean 'limit'?")
    assert.equal("invalid", select(2, testing.verify(define { run "a" }, { limit = 0 })).code)
  end)
end)

describe("app:coverage", function()
  it("tells which outcomes came, and which never did", function()
    local app = assert(testing.open())
    local handler = define {
      run("charge", nil, { retry = { limit = 2, backoff = "none" } }),
      { name = "route", depends_on = "charge", switch = function(task) return task.context.way end,
        cases = { air = { "fly" }, sea = { "sail" } } },
      { name = "fly", run = function() end, retry = { limit = 1 } }, { name = "sail", run = function() end, retry = { limit = 1 } },
      { name = "paid", signal = "payment", timeout = 60 },
    }
    app:stub(handler, "charge", true)
    app:fail(handler, "charge", { times = 1 })
    local task = assert(app:run(handler, { way = "air" }))
    assert(app:signal(task.task_id, "payment", 1))
    assert(app:drain())
    local found = assert(app:coverage(handler))
    assert.same({ "charge: fail", "route: case sea", "route: fail", "fly: fail", "sail: complete", "sail: fail", "paid: timeout" },
      found.missed)
    assert.equal(12, found.total)
    assert.equal(5, found.covered)
    assert.same({ complete = 1, retry = 1 }, found.steps.charge)
    assert.matches("5 of 12 outcomes\n  never: charge: fail\n", tostring(found))
    assert(app:run(handler, { way = "sea" }))
    assert(app:advance(60))
    found = assert(app:coverage(handler))
    assert.same({ "charge: fail", "route: fail", "fly: fail", "sail: fail" }, found.missed)
    app:close()
  end)
end)
