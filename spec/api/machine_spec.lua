local harness = require "spec.support.harness"
local tasker = require "tasker"

local serial = 0

local function machine(definition)
  serial = serial + 1
  definition.namespace, definition.name = "machines", "m" .. serial
  return tasker.machine(definition)
end

local function visits(task)
  local names = {}
  for _, step in ipairs(task.steps) do
    if step.status == "complete" then
      names[#names + 1] = step.name
    end
  end
  table.sort(names)
  return table.concat(names, " ")
end

local function to(outcome)
  return function() return outcome end
end

for _, kind in ipairs(harness.kinds) do
  describe("machines, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("visit states by their outcomes, again where they lead back, and skip what they never came to", function()
      local handler = machine { initial = "draft", states = {
        draft = { run = function(task)
            local before = task.results.review
            return "submit", { amount = (before and before.amount or 0) + 1 }
          end, on = { submit = "review" } },
        review = { run = function(task, step)
            local amount = task.results.draft.amount
            return amount < 3 and "again" or "ok", { amount = amount, name = step.name, key = step.idempotency_key }
          end, on = { again = "draft", ok = "done", never = "lost" } },
        lost = { run = to "ok", on = { ok = "done" } },
        done = { final = true },
      } }
      assert.matches("^machines/m%d+@0%.1%.0$", tostring(handler))
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.equal("done draft draft[2] draft[3] review review[2] review[3]", visits(task))
      assert.equal("skipped", task.steps.lost.status)
      assert.equal(3, task.results.review.amount)
      assert.equal("review[3]", task.results.review.name)
      assert.equal(task.task_id .. ":review[3]", task.results.review.key)
      assert.equal(1, task.steps.review.results.amount)
      assert.equal(0, app.engine:check(error))
    end)

    it("take the first transition whose guard says yes, and do its action", function()
      local done = {}
      local function note(text) return function(_, change) done[#done + 1] = text .. " " .. change.outcome end end
      local handler = machine { initial = "a", states = {
        a = { run = function(task) return "ok", task.context.n end, entry = function() done[#done + 1] = "in" end,
          exit = function() done[#done + 1] = "out" end, on = { ok = {
            { target = "big", guard = function(_, change) return change.results > 10 end, action = note "big" },
            { target = "small", guard = function(task) return task.context.n > 0 end, action = note "small" },
          } } },
        big = { final = true }, small = { final = "error" },
      } }
      assert.equal("complete", app:run(handler, { n = 11 }).status)
      assert.same({ "in", "out", "big ok" }, done)
      local task = app:run(handler, { n = 5 })
      assert.equal("error", task.status)
      assert.equal("final", task.steps.small.error.code)
      assert.equal("small ok", done[#done])
      task = app:run(handler, { n = 0 })
      assert.equal("guarded", task.steps.a.error.code)
    end)

    it("refuse an outcome that the state does not know, naming both, and retry a failure", function()
      local tries = 0
      local handler = machine { initial = "a", retry = { backoff = "none" }, states = {
        a = { run = function()
            tries = tries + 1
            return tries == 1 and error("once") or tries == 2 and "odd" or "ok"
          end, on = { ok = "z" } },
        z = { final = true } } }
      local task = app:run(handler)
      assert.equal("unknown_outcome", task.steps.a.error.code)
      assert.matches("'a'.*'odd'", task.steps.a.error.message)
      assert.equal(2, task.steps.a.attempts)
      assert(app:retry(task.task_id))
      assert(app:work { until_idle = 10 })
      assert.equal("complete", app:task(task.task_id).status)
    end)

    it("wait for signals, times and people in their states", function()
      local handler = machine { initial = "order", states = {
        order = { signal = "payment", timeout = 0.05, on = { payment = "pack", timeout = "remind" } },
        remind = { sleep = 0.01, on = { done = "order" } },
        pack = { approval = { approvers = { "ann" } }, on = { approve = "sent", reject = { target = "order", action = function() end } } },
        sent = { final = true },
      } }
      local id = assert(app:submit(handler))
      assert(app:work { until_idle = 1 })
      harness.eventually(function()
        assert(app:work { until_idle = 0.2 })
        return app:task(id).steps["order[2]"]
      end)
      assert(app:signal(id, "payment", { sum = 5 }))
      assert(app:work { until_idle = true })
      local task = assert(app:reject(id, "pack", { by = "ann" }))
      assert.equal("complete", task.steps.pack.status)
      assert(app:signal(id, "payment", { sum = 6 }))
      assert(app:work { until_idle = true })
      task = app:task(id)
      assert.equal("waiting", task.steps["pack[2]"].status)
      assert.same({ sum = 6 }, task.results.order)
      assert(app:approve(id, "pack[2]", { by = "ann" }))
      assert.equal("complete", app:task(id).status)
    end)

    it("have children in their states, whose end is the outcome", function()
      serial = serial + 1
      local broken = true
      tasker.handler { namespace = "machines", name = "child" .. serial, steps = {
        { name = "s", retry = { limit = 1 }, run = function() return broken and error("no") or 7 end } } }
      local handler = machine { initial = "make", states = {
        make = { child = "machines/child" .. serial, on = { complete = "z", error = "mend" } },
        mend = { run = function() broken = false return "again" end, on = { again = "make" } },
        z = { final = true } } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.equal("error", task.steps.make.results.status)
      assert.equal(7, task.results.make.results.s)
    end)

    it("leave a state when its time is over, whatever it does", function()
      local handler = machine { initial = "a", states = {
        a = { run = function() tasker.sleep(30) end, on = { done = "z" }, after = { [0.05] = "late" } },
        late = { after = { [0.01] = "b" } },
        b = { run = to "ok", on = { ok = "z" }, after = { [3600] = "late" } },
        z = { final = true },
      } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.equal("skipped", task.steps.a.status)
      assert.equal("complete", task.steps["a.after"].status)
      assert.equal("skipped", task.steps["b.after"].status)
    end)

    it("do not make a worker wait until a state's time is over", function()
      local handler = machine { initial = "open", states = {
        open = { signal = "closed", on = { closed = "done" }, after = { [3600] = "late" } },
        late = { final = "error" }, done = { final = true },
      } }
      local id = assert(app:submit(handler))
      assert(app:work { until_idle = true })
      assert.equal("waiting", app:task(id).steps.open.status)
      assert(app:signal(id, "closed"))
      assert(app:work { until_idle = true })
      assert.equal("complete", app:task(id).status)
    end)

    it("have states in states, whose outcomes those around them may know, and a history", function()
      local calls = 0
      local handler = machine { initial = "work", states = {
        work = { initial = "first", history = true, on = { stop = "pause", done = "z" }, states = {
          first = { run = to "ok", on = { ok = "second" } },
          second = { run = function()
              calls = calls + 1
              return calls == 1 and "stop" or "ok"
            end, on = { ok = "over" } },
          over = { final = true },
        } },
        pause = { run = to "back", on = { back = "work" } },
        z = { final = true },
      } }
      local task = app:run(handler)
      assert.equal("complete", task.status)
      assert.equal("complete", task.steps["work.second[2]"].status)
      assert.is_nil(task.steps["work.first[2]"])
    end)

    it("do the parts of a parallel state at once, and go on when all are done", function()
      local handler = machine { initial = "both", states = {
        both = { parallel = true, on = { done = "z" }, states = {
          left = { initial = "a", states = { a = { run = to "ok", on = { ok = "b" } }, b = { run = to "ok", on = { ok = "end" } },
            ["end"] = { final = true } } },
          right = { initial = "c", states = { c = { signal = "go", on = { go = "end" } }, ["end"] = { final = true } } },
        } },
        z = { final = true },
      } }
      local id = assert(app:submit(handler))
      assert(app:work { until_idle = true })
      local task = app:task(id)
      assert.equal("in_progress", task.status)
      assert.equal("complete", task.steps["both.left.end"].status)
      assert.equal("pending", task.steps["both.done"].status)
      assert(app:signal(id, "go"))
      assert.equal("complete", app:task(id).status)
    end)

    it("end when they go round for ever, and say so", function()
      if kind ~= "memory" then
        return   -- ten thousand visits, each a commit
      end
      local handler = machine { initial = "a", states = { a = { run = to "ok", on = { ok = "a", out = "z" } }, z = { final = true } } }
      local task = app:run(handler)
      assert.equal("error", task.status)
      local last = task.steps[#task.steps]
      assert.equal("too_many_visits", last.error.code)
    end)
  end)
end

describe("a machine's definition", function()
  it("may have a schedule, as any handler", function()
    local handler = tasker.machine { name = "hourly", schedule = { every = 3600 }, initial = "z", states = { z = { final = true } } }
    local app = require("tasker.testing").open { clock = "2026-01-01T00:00:00Z", seed = 1 }
    app:drain()
    assert.equal(tostring(handler), app:schedules()[1].defined_by)
    app:close()
  end)

  local function refused(pattern, definition)
    definition.name = "refused"
    local ok, err = pcall(tasker.machine, definition)
    assert.is_false(ok)
    assert.matches("handler default/refused", err, 1, true)
    assert.matches(pattern, err)
  end
  local z = { final = true }

  it("is refused where it cannot work, naming handler, state and field", function()
    refused("'initial' is missing", { states = { z = z } })
    refused("'initial' names no state", { initial = "y", states = { z = z } })
    refused("state 'a': field 'on' leads to no state: 'zz'", { initial = "a", states = { a = { run = to "x", on = { x = "zz" } }, z = z } })
    refused("state 'b': cannot be reached", { initial = "a", states = { a = { run = to "x", on = { x = "z" } }, b = z, z = z } })
    refused("state 'a': is a dead end", { initial = "a", states = { a = { run = to "x" } } })
    refused("state 'a': is a dead end", { initial = "a", states = { a = {} } })
    refused("state 'a': has both", { initial = "a", states = { a = { run = to "x", sleep = 1, on = { x = "z" } }, z = z } })
    refused("lacks the outcome 'timeout'", { initial = "a", states = { a = { signal = "s", timeout = 1, on = { s = "z" } }, z = z } })
    refused("never has", { initial = "a", states = { a = { sleep = 1, on = { done = "z", x = "z" } }, z = z } })
    refused("'after' must have one time", {
      initial = "a", states = { a = { run = to "x", on = { x = "z" }, after = { [1] = "z", [2] = "z" } }, z = z } })
    refused("step 'a': field 'timeout'", { initial = "a", states = { a = { run = to "x", on = { x = "z" }, timeout = -1 }, z = z } })
    refused("'final' must be", { initial = "z", states = { z = { final = "maybe" } } })
    refused("'depends_on' is not for a state", {
      initial = "a", states = { a = { run = to "x", depends_on = "z", on = { x = "z" } }, z = z } })
    refused("into or out of a part of a parallel state", { initial = "p", states = { z = z, p = { parallel = true, on = { done = "z" },
      states = { l = { initial = "a", states = { a = { run = to "x", on = { x = "z" } } } } } } } })
  end)
end)
