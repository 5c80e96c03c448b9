local assert = require "luassert"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("tasker.testing", function()
  local app

  local function open(options)
    app = assert(testing.open(options))
    return app
  end

  local function define(name, steps, more)
    local definition = { namespace = "kit", name = name, steps = steps }
    for field, value in pairs(more or {}) do
      definition[field] = value
    end
    return tasker.handler(definition)
  end

  after_each(function()
    if app then
      app:close()
    end
  end)

  describe("the clock", function()
    it("stands where open puts it, and moves only by drain and advance", function()
      open { clock = "2026-03-01T12:00:00Z" }
      assert.equal("2026-03-01T12:00:00.000000Z", tasker.time.format(tasker.now()))
      define("still", { { name = "a", run = function() return tasker.now() end } })
      local task = assert(app:run("kit/still"))
      assert.equal(tasker.time.parse "2026-03-01T12:00:00Z", task.steps.a.results)
      assert.equal("2026-03-01T12:00:00.000000Z", task.created_at)
      app:advance(90)
      assert.equal("2026-03-01T12:01:30.000000Z", tasker.time.format(tasker.now()))
      app:advance_to "2026-03-02T00:00:00Z"
      assert.equal("2026-03-02T00:00:00.000000Z", tasker.time.format(tasker.now()))
      app:advance_to "2026-03-01T00:00:00Z"
      assert.equal("2026-03-02T00:00:00.000000Z", tasker.time.format(tasker.now()))
    end)

    it("is the system's again once the app is closed", function()
      open { clock = "2026-03-01T12:00:00Z" }
      app:close()
      assert.is_true(math.abs(tasker.now() - os.time()) < 5)
    end)

    it("jumps over the delays of retries, sleeps and starts at a time when drained", function()
      open { clock = 0 }
      define("jumps", {
        { name = "a", retry = { limit = 3, backoff = "fixed", base = 3600, cap = 3600, jitter = "none" }, run = function(_, step)
          return step.attempt == 3 or error "not yet"
        end },
        { name = "b", depends_on = "a", sleep = 86400 },
        { name = "c", depends_on = "b", run = function()
          tasker.sleep(10)
        end },
      })
      local id = assert(app:submit("kit/jumps", {}, { delay = 60 }))
      assert(app:drain())
      local task = app:task(id)
      assert.equal("complete", task.status)
      assert.equal("1970-01-02T02:01:10.000000Z", task.completed_at)
      assert.equal(60 + 2 * 3600 + 86400 + 10, tasker.now())
    end)

    it("does not jump to a limit, but fires it on the way", function()
      open { clock = 0 }
      define("limits", {
        { name = "paid", signal = "payment", timeout = 3600, on_timeout = "complete" },
        { name = "after", depends_on = "paid", run = function() return tasker.now() end },
      })
      define("sleeper", { { name = "long", sleep = 7200 } })
      local task = assert(app:run("kit/limits"))
      assert.equal("waiting", task.steps.paid.status)
      assert.equal(0, tasker.now())
      assert(app:advance(3599))
      assert.equal("waiting", app:task(task.task_id).steps.paid.status)
      assert(app:advance(1))
      assert.equal(3600, app:task(task.task_id).steps.after.results)

      local second = assert(app:submit("kit/limits"))
      assert(app:run("kit/sleeper"))
      assert.equal(7200, app:task(second).steps.after.results)
    end)

    it("does not jump to the time of a machine's state, which advance fires", function()
      open()
      local handler = tasker.machine { namespace = "kit", name = "after", initial = "wait", states = {
        wait = { signal = "go", on = { go = "done" }, after = { [3600] = "late" } }, late = { final = "error" }, done = { final = true } } }
      local id = assert(app:submit(handler))
      app:drain()
      assert.equal("waiting", app:task(id).steps.wait.status)
      app:advance(3600)
      assert.equal("error", app:task(id).status)
    end)

    it("fires what falls due on the way in order, each at its moment", function()
      open { clock = 0 }
      local seen = {}
      for _, seconds in ipairs { 30, 10, 20 } do
        define("wake" .. seconds, {
          { name = "wait", sleep = seconds },
          { name = "note", depends_on = "wait", run = function() seen[#seen + 1] = tasker.now() end },
        })
        assert(app:submit("kit/wake" .. seconds))
      end
      assert(app:advance(25))
      assert.same({ 10, 20 }, seen)
      assert.equal(25, tasker.now())
      assert(app:advance(25))
      assert.same({ 10, 20, 30 }, seen)
    end)

    it("ends an attempt at its timeout when it sleeps longer", function()
      open { clock = 0 }
      define("slow", { { name = "a", timeout = 5, retry = { limit = 2, backoff = "none" }, run = function() tasker.sleep(60) end } })
      local task = assert(app:run("kit/slow"))
      assert.equal("error", task.status)
      assert.equal("timeout", task.steps.a.error.code)
      assert.equal(10, tasker.now())
      local calls = app:calls("kit/slow", "a")
      assert.equal(2, #calls)
      assert.equal("timeout", calls[2].error.code)
    end)

    it("ends an attempt that never yields by real time", function()
      open {}
      define("loop", { { name = "a", timeout = 0.05, retry = { limit = 1 }, run = function() while true do end end } })
      local task = assert(app:run("kit/loop"))
      assert.equal("timeout", task.steps.a.error.code)
    end)

    it("keeps a step that sleeps between two calls", function()
      open { clock = 0 }
      local runs = 0
      define("nap", { { name = "a", run = function()
        runs = runs + 1
        tasker.sleep(100)
        return runs
      end } })
      local id = assert(app:submit "kit/nap")
      assert(app:advance(50))
      assert.equal("in_progress", app:task(id).status)
      assert(app:advance(50))
      assert.equal("complete", app:task(id).status)
      assert.equal(1, app:task(id).steps.a.attempts)
    end)

    it("takes an hourly schedule through a year in no time, and is not moved by it", function()
      open { clock = "2026-01-01T00:00:00Z" }
      local times = {}
      define("hourly", { { name = "a", run = function(task) times[#times + 1] = task.scheduled_at end } })
      assert(app:schedule { name = "hourly", handler = "kit/hourly", cron = "0 * * * *" })
      assert(app:drain())
      assert.equal(0, #times)
      local began = os.clock()
      assert(app:advance(365 * 86400))
      assert.equal(8760, #times)
      assert.equal("2027-01-01T00:00:00.000000Z", times[8760])
      assert.is_true(os.clock() - began < 20, "a year took " .. os.clock() - began .. " s of processor time")
    end)

    it("waits for a limit by the clock", function()
      open { clock = "2026-01-01T00:00:00Z" }
      tasker.limit("kit.api", { rate = 1, per = 60, burst = 1 })
      define("limited", { { name = "a", limits = "kit.api", run = function() end } })
      for _ = 1, 5 do
        assert(app:submit("kit/limited"))
      end
      assert(app:drain())
      assert.equal(5, app:count { status = "complete" })
      assert.equal("2026-01-01T00:04:00.000000Z", tasker.time.format(tasker.now()))
    end)

    it("is moved by tasker.sleep in the test itself", function()
      open { clock = 0 }
      define("sleeper", { { name = "a", sleep = 100 } })
      local id = assert(app:submit "kit/sleeper")
      tasker.sleep(99)
      assert.equal("waiting", app:task(id).steps.a.status)
      tasker.sleep(1)
      assert.equal("complete", app:task(id).steps.a.status)
    end)

    it("is told when there is no end", function()
      open {}
      define("endless", { { name = "a", run = function() return tasker.snooze(1) end } })
      assert(app:submit "kit/endless")
      local ok, err = app:drain()
      assert.is_nil(ok)
      assert.equal("timeout", err.code)
    end)
  end)

  it("starts nothing but when it drains: what was submitted is pending, also after an earlier drain", function()
    open {}
    define("later", { { name = "a", run = function() return 1 end } })
    for calls = 0, 1 do
      local id = app:submit("kit/later")
      assert.same({ "pending", "ready" }, { app:task(id).status, app:task(id).steps.a.status })
      assert.equal("paused", app:pause(id).status)
      app:drain()
      assert.equal(calls, #app:calls("kit/later", "a"))
      app:resume(id)
      assert.equal("pending", app:task(id).status)
      app:drain()
      assert.equal("complete", app:task(id).status)
    end
  end)

  it("gives the same history for the same seed", function()
    local function history(seed)
      open { seed = seed }
      define("jitter", { { name = "a", retry = { limit = 6 }, run = function() error "no" end } })
      local id = assert(app:submit "kit/jitter")
      assert(app:drain())
      local times = { id }
      for _, event in ipairs(app:events()) do
        times[#times + 1] = event.at
      end
      app:close()
      return table.concat(times, " ")
    end
    assert.equal(history(7), history(7))
    assert.not_equal(history(7), history(8))
  end)

  describe("a stub", function()
    local order

    before_each(function()
      order = define("order", {
        { name = "reserve", run = function() return { reserved = true } end },
        { name = "charge", depends_on = "reserve", inputs = { cents = 100 }, run = function() error "the real thing" end },
        { name = "ship", depends_on = "charge", run = function(task) return { paid = task.results.charge } end },
      })
      open {}
    end)

    it("gives its value as results", function()
      testing.stub("kit/order", "charge", { charged = true })
      local task = assert(app:run(order, { order_id = 7 }))
      assert.equal("complete", task.status)
      assert.same({ paid = { charged = true } }, task.steps.ship.results)
    end)

    it("is called as run is", function()
      app:stub(order, "charge", function(task, step)
        return { order = task.context.order_id, cents = step.inputs.cents, reserved = task.results.reserve.reserved }
      end)
      local task = assert(app:run(order, { order_id = 7 }))
      assert.same({ order = 7, cents = 100, reserved = true }, task.steps.charge.results)
    end)

    it("ends with the app's close, and with the next open", function()
      testing.stub("kit/order", "charge", 1)
      app:close()
      open {}
      assert.equal("error", assert(app:run(order)).status)
      testing.stub("kit/order", "charge", 1)
      local first = app
      open {}
      assert.equal("error", assert(app:run(order)).status)
      assert.equal("error", assert(first:run(order)).status)
      first:close()
    end)

    it("may be for one version", function()
      define("order", { { name = "charge", run = function() return "real" end } }, { version = "2.0.0" })
      app:stub("kit/order@2.0.0", "charge", "two")
      app:stub("kit/order", "charge", "any")
      assert.equal("two", assert(app:run "kit/order@2.0.0").steps.charge.results)
      assert.equal("any", assert(app:run "kit/order@0.1.0").steps.charge.results)
    end)

    it("chooses the branch of a switch", function()
      define("routed", {
        { name = "route", switch = function() return "left" end, cases = { left = { "a" }, right = { "b" } } },
        { name = "a", run = function() end }, { name = "b", run = function() end },
      })
      app:stub("kit/routed", "route", "right")
      local task = assert(app:run "kit/routed")
      assert.equal("skipped", task.steps.a.status)
      assert.equal("complete", task.steps.b.status)
    end)

    it("says where a machine's state leads, as its code does; a failure is the state's", function()
      open()
      local handler = tasker.machine { namespace = "kit", name = "machine", initial = "draft", retry = { limit = 2, backoff = "none" },
        states = {
          draft = { run = function() return "bad" end, on = { ok = "pay", again = "draft", bad = "lost" } },
          pay = { run = function() error "called" end, on = { done = "done" } },
          done = { final = true }, lost = { final = "error" },
        } }
      app:stub(handler, "draft", function(_, step) return step.name == "draft" and "again" or "ok", { seen = step.name } end)
      app:stub(handler, "pay", "done")
      app:fail(handler, "pay", { times = 1 })
      local task = assert(app:run(handler))
      assert.equal("complete", task.status)
      assert.same({ seen = "draft[2]" }, task.results.draft)
      assert.equal(2, task.steps.pay.attempts)
      assert.equal(2, #app:calls(handler, "draft"))
      assert.same({ "draft: fail", "draft: retry", "lost: fail", "pay: fail" }, assert(app:coverage(handler)).missed)
      assert.has_error(function() app:stub(handler, "done", 1) end, "testing.stub: step 'done' has no code of its own: nothing runs in it")
    end)

    it("stands for each element of a map", function()
      define("mapped", { { name = "each", map = function() return { "x", "y" } end, run = function() return 0 end } })
      app:stub("kit/mapped", "each", function(_, step) return step.item .. step.index end)
      assert.same({ "x1", "y2" }, app:task(assert(app:run "kit/mapped").task_id).steps.each.results)
      local calls = app:calls("kit/mapped", "each")
      table.sort(calls, function(a, b) return a.index < b.index end)
      assert.equal("x", calls[1].item)
      assert.equal("y2", calls[2].results)
    end)

    it("is refused for a step without code, with what to do instead", function()
      define("bare", { { name = "go", signal = "go" }, { name = "down", child = "kit/order" } })
      assert.has_error(function() app:stub("kit/bare", "go", 1) end,
        "testing.stub: step 'go' has no code of its own: send the signal (app:signal), or let its time pass (app:advance)")
      assert.has_error(function() app:fail("kit/bare", "down") end,
        "testing.fail: step 'down' has no code of its own: stub the steps of its child")
    end)

    it("stands for steps of children", function()
      define("parent", { { name = "down", child = "kit/order" } })
      app:stub("kit/order", "charge", 7)
      local task = assert(app:run "kit/parent")
      assert.equal("complete", task.status)
      assert.equal(7, task.steps.down.results.results.charge)
    end)

    it("is refused for what does not exist", function()
      assert.has_error(function() testing.stub("kit/order", "chrage", 1) end,
        "testing.stub: kit/order@2.0.0 has no step 'chrage'; did you mean 'charge'?")
      assert.has_error(function() app:stub("kit/ordre", "charge", 1) end,
        "testing.stub: no handler 'kit/ordre' is defined in this state")
    end)
  end)

  describe("fail", function()
    it("fails the first attempts, then lets the step run", function()
      open {}
      define("flaky", { { name = "a", retry = { limit = 5 }, run = function() return "done" end } })
      testing.fail("kit/flaky", "a", { times = 2, error = { code = "busy", message = "not now" } })
      local task = assert(app:run "kit/flaky")
      assert.equal("complete", task.status)
      local calls = testing.calls("kit/flaky", "a")
      assert.equal(3, #calls)
      assert.equal("busy", calls[1].error.code)
      assert.equal("not now", calls[2].error.message)
      assert.is_nil(calls[3].error)
      assert.equal("done", calls[3].results)
      assert.equal(3, calls[3].attempt)
    end)

    it("fails all of them unless told how many, and takes what run could raise", function()
      open {}
      define("dead", { { name = "a", retry = { limit = 5 }, run = function() return "done" end } })
      app:fail("kit/dead", "a")
      assert.equal(5, assert(app:run "kit/dead").steps.a.attempts)
      app:fail("kit/dead", "a", { error = tasker.permanent("declined", { code = "declined" }) })
      local task = assert(app:run "kit/dead")
      assert.equal(1, task.steps.a.attempts)
      assert.equal("declined", task.steps.a.error.code)
    end)

    it("refuses what cannot be", function()
      open {}
      define("dead", { { name = "a", run = function() return "done" end } })
      assert.has_error(function() app:fail("kit/dead", "a", { time = 1 }) end,
        "testing.fail: option 'time' is unknown; did you mean 'times'?")
      local ok, err = app:fail("kit/dead", "a", { times = 0 })
      assert.is_nil(ok)
      assert.equal("invalid", err.code)
    end)
  end)

  it("tells what each call got", function()
    open {}
    define("calls", { { name = "a", inputs = function(task) return { n = task.context.n + 1 } end, run = function(_, step)
      return step.inputs.n
    end } })
    local first, second = assert(app:run("kit/calls", { n = 1 })), assert(app:run("kit/calls", { n = 5 }))
    assert.same({
      { task_id = first.task_id, attempt = 1, context = { n = 1 }, inputs = { n = 2 }, results = 2 },
      { task_id = second.task_id, attempt = 1, context = { n = 5 }, inputs = { n = 6 }, results = 6 },
    }, app:calls("kit/calls", "a"))
    assert.same({}, app:calls("kit/flaky", "a"))
  end)

  describe("an app of a test", function()
    it("waits by its clock", function()
      open { clock = 0 }
      define("waits", { { name = "a", sleep = 100 } })
      define("asks", { { name = "a", signal = "x" } })
      local id = assert(app:submit "kit/waits")
      local task, err = app:wait(id, 10)
      assert.is_nil(task)
      assert.equal("timeout", err.code)
      assert.equal(10, tasker.now())
      assert.equal("complete", assert(app:wait(id)).status)
      assert.equal(100, tasker.now())
      local asks = assert(app:submit "kit/asks")
      assert.equal("timeout", select(2, app:wait(asks)).code)
    end)

    it("lets a step wait for a task that needs something from outside", function()
      open { clock = 0 }
      define("inner", { { name = "a", signal = "go" } })
      define("outer", { { name = "a", run = function(task)
        return assert(tasker.app():wait(task.context.id)).status
      end } })
      local inner = assert(app:submit "kit/inner")
      local outer = assert(app:run("kit/outer", { id = inner }))
      assert.equal("in_progress", outer.status)
      assert(app:signal(inner, "go"))
      assert(app:drain())
      assert.equal("complete", app:task(outer.task_id).steps.a.results)
      assert.equal(0, tasker.now())
    end)

    it("runs what lies in any queue", function()
      open {}
      define("queued", { { name = "a", queue = "gpu", run = function() end } }, { queue = "batch" })
      assert.equal("complete", assert(app:run("kit/queued")).status)
      assert.equal("complete", assert(app:run("kit/queued", {}, { queue = "other" })).status)
    end)

    it("knows handlers that are defined later", function()
      open {}
      define("early", { { name = "a", run = function() return 1 end } })
      assert(app:run "kit/early")
      define("late", { { name = "a", run = function() return 2 end } })
      assert.equal(2, assert(app:run "kit/late").steps.a.results)
    end)

    it("follows to the end of what happens", function()
      open {}
      define("followed", { { name = "a", run = function() end } })
      local id, seen = assert(app:submit "kit/followed"), {}
      assert.is_true(app:follow({ task_id = id }, function(event) seen[#seen + 1] = event.event end))
      assert.same({ "task.created", "task.started", "step.started", "step.completed", "task.completed" }, seen)
    end)

    it("serves subscriptions while it drains, and what they submit", function()
      open {}
      define("first", { { name = "a", run = function() end } })
      define("second", { { name = "a", run = function() end } })
      local off = tasker.on("task.completed", function(event)
        if app:task(event.task_id).name == "first" then
          assert(app:submit "kit/second")
        end
      end)
      assert(app:run "kit/first")
      off()
      assert.equal(1, #app:tasks { name = "second", status = "complete" })
    end)

    it("does not drain inside a step", function()
      open {}
      define("inside", { { name = "a", retry = { limit = 1 }, run = function() app:drain() end } })
      assert.matches("app:drain runs steps: it cannot be called inside one", assert(app:run "kit/inside").steps.a.error.message)
    end)

    it("ends steps that still run when it is closed", function()
      open {}
      local closed = false
      define("ended", { { name = "a", run = function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        tasker.sleep(1000)
      end } })
      assert(app:submit "kit/ended")
      assert(app:advance(1))
      app:close()
      assert.is_true(closed)
      assert.equal("closed", select(2, app:drain()).code)
    end)

    it("goes with the garbage, also without a close", function()
      for _ = 1, 300 do
        local one = assert(testing.open {})
        define("garbage", { { name = "a", run = function() end } })
        assert(one:run "kit/garbage")
      end
      collectgarbage()
      collectgarbage()
      local files = assert(io.popen("ls /proc/self/fd | wc -l"))
      local count = tonumber(files:read "a")
      files:close()
      assert.is_true(count < 200)
    end)
  end)

  it("refuses options that cannot be", function()
    assert.has_error(function() testing.open { clok = 0 } end, "testing.open: option 'clok' is unknown; did you mean 'clock'?")
    local opened, err = testing.open { clock = "tomorrow" }
    assert.is_nil(opened)
    assert.equal("invalid", err.code)
  end)
end)
