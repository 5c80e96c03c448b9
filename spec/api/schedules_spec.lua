local harness = require "spec.support.harness"
local core = require "tasker.core"
local tasker = require "tasker"
local testing = require "tasker.testing"

local function nothing() end

-- A handler that keeps what its tasks see, and stops the work after `most` of them.
local function watched(most, fields)
  local seen = {}
  local handler = harness.one_step(function(task)
    seen[#seen + 1] = { schedule = task.schedule, scheduled_at = task.scheduled_at, context = task.context,
      previous = task.previous_scheduled_at, late_by = task.late_by }
    if #seen == most then tasker.app():stop() end
  end, fields)
  return handler, seen
end

for _, kind in ipairs(harness.kinds) do
  describe("schedules, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("make tasks that know their schedule and its times", function()
      local handler, seen = watched(3)
      assert(app:schedule { name = "tick", handler = handler, every = 0.05, context = { n = 1 } })
      assert(app:work())
      assert.equal(3, #seen)
      for i, one in ipairs(seen) do
        assert.equal("tick", one.schedule)
        assert.same({ n = 1 }, one.context)
        assert.equal(i > 1 and seen[i - 1].scheduled_at or nil, one.previous)
        assert.is_true(one.late_by >= 0)
      end
      local tasks = app:tasks { limit = 100 }
      local task = tasks[#tasks]
      assert.equal("tick", task.schedule)
      assert.equal(seen[1].scheduled_at, task.scheduled_at)
      local created = harness.events_of(app, "task.created")[1]
      assert.same({ schedule = "tick", scheduled_at = seen[1].scheduled_at }, created.data)
    end)

    it("fire an interval first one interval after they were made, and keep to their grid", function()
      local handler = harness.one_step(nothing)
      local made = assert(app:schedule { name = "tick", handler = handler, every = 3600 })
      local created = tasker.time.parse(made.created_at)
      assert.near(created + 3600, tasker.time.parse(made.next_at), 1e-5)
      local times = app:preview_schedule("tick", { count = 3 })
      assert.near(created + 3 * 3600, tasker.time.parse(times[3]), 1e-5)
    end)

    it("make a task when triggered, whatever runs, paused or not", function()
      local handler = harness.one_step(nothing)
      assert(app:schedule { name = "t", handler = handler, cron = "0 0 1 1 *", context = { a = 1 }, paused = true, tags = { "x" },
        priority = 7, reason = "why" })
      local first, second = assert(app:trigger_schedule "t"), assert(app:trigger_schedule "t")
      assert.not_equal(first, second)
      local task = app:task(first)
      assert.same({ { a = 1 }, "t", { "x" }, 7, "why" }, { task.context, task.schedule, task.tags, task.priority, task.reason })
      assert.equal(2, app:schedule_info("t").running)
      app:work { until_idle = true }
      assert.equal(0, app:schedule_info("t").running)
      assert.is_nil(app:schedule_info("t").last_at)
    end)

    it("call the context function of this state when triggered", function()
      local handler = harness.one_step(nothing)
      assert(app:schedule { name = "t", handler = handler, cron = "@yearly", context = function(occurrence)
        return { triggered = occurrence.triggered }
      end })
      assert.same({ triggered = true }, app:task(assert(app:trigger_schedule "t")).context)
    end)

    it("make the tasks of a time that is over, one after the other", function()
      local order = {}
      local handler = harness.one_step(function(task)
        order[#order + 1] = { task.scheduled_at, task.previous_scheduled_at }
      end)
      assert(app:schedule { name = "daily", handler = handler, cron = "0 9 * * *" })
      assert.equal(3, app:backfill_schedule("daily", "2026-01-01T09:00:00Z", "2026-01-04T09:00:00Z"))
      assert.equal(1, app:schedule_info("daily").running)
      app:work { until_idle = true }
      assert.same({
        { "2026-01-01T09:00:00.000000Z" },
        { "2026-01-02T09:00:00.000000Z", "2026-01-01T09:00:00.000000Z" },
        { "2026-01-03T09:00:00.000000Z", "2026-01-02T09:00:00.000000Z" },
      }, order)
      local info = app:schedule_info "daily"
      assert.same({ 3, 0, 0 }, { info.made, info.running, info.backfills })
      assert.equal(0, app:backfill_schedule("daily", "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"))
    end)

    it("backfill at once where tasks may overlap, also more than one turn takes, and intervals before their creation", function()
      local handler = harness.one_step(nothing)
      local made = assert(app:schedule { name = "many", handler = handler, every = 60, overlap = "allow" })
      local created = tasker.time.parse(made.created_at)
      assert.equal(500, app:backfill_schedule("many", created - 500 * 60 + 1, created + 1e6))
      app:work { until_idle = true }
      assert.equal(500, app:count { status = "complete" })
      assert.equal(500, app:schedule_info("many").made)
    end)

    it("have names of their own: a second one is a conflict unless it replaces the first", function()
      local handler = harness.one_step(nothing)
      local first, created = assert(app:schedule { name = "n", handler = handler, every = 60 })
      assert.is_true(created)
      harness.refused("conflict", { "n", "replace" }, app:schedule { name = "n", handler = handler, every = 60 })
      local same, again = assert(app:schedule { name = "n", handler = handler, every = 60, replace = true })
      assert.is_false(again)
      assert.same(first, same)
      local changed = assert(app:schedule { name = "n", handler = handler, every = 60, context = { a = 1 }, replace = true })
      assert.equal(first.next_at, changed.next_at)
      assert.same({ a = 1 }, changed.context)
      local faster = assert(app:schedule { name = "n", handler = handler, every = 30, replace = true })
      assert.is_true(faster.next_at < first.next_at)
      assert.equal(2, #harness.events_of(app, "schedule.updated"))
    end)

    it("are listed by name, deleted, and not found then", function()
      local handler = harness.one_step(nothing)
      for _, name in ipairs { "b", "a", "c" } do
        assert(app:schedule { name = name, handler = handler, cron = "@daily" })
      end
      local function names(options)
        local list = {}
        for i, one in ipairs(assert(app:schedules(options))) do list[i] = one.name end
        return table.concat(list)
      end
      assert.equal("abc", names())
      assert.equal("ab", names { limit = 2 })
      assert.equal("c", names { after = "b" })
      assert.is_true(app:delete_schedule "b")
      assert.equal("ac", names())
      harness.refused("not_found", "b", app:schedule_info "b")
      harness.refused("not_found", "b", app:delete_schedule "b")
      harness.refused("not_found", "b", app:trigger_schedule "b")
      harness.refused("not_found", "b", app:pause_schedule "b")
      harness.refused("not_found", "b", app:backfill_schedule("b", 0, 1))
      harness.refused("not_found", "b", app:preview_schedule "b")
      local again = assert(app:schedule { name = "b", handler = handler, cron = "@hourly" })
      assert.equal(0, again.made)
    end)

    it("come again after a task of theirs was retried, and count it as open", function()
      local fail = true
      local handler = harness.one_step(function() if fail then error(tasker.permanent("no")) end end)
      assert(app:schedule { name = "r", handler = handler, cron = "@yearly" })
      local id = app:trigger_schedule "r"
      app:work { until_idle = true }
      assert.equal("error", app:task(id).status)
      assert.equal(0, app:schedule_info("r").running)
      fail = false
      app:retry(id)
      harness.eventually(function()
        app:work { until_idle = true }
        return app:schedule_info("r").running == 0 and app:task(id).status == "complete"
      end)
    end)
  end)
end

describe("schedules, under a clock of their own,", function()
  local app
  before_each(function() app = testing.open { clock = "2026-01-01T00:00:00Z" } end)
  after_each(function()
    if app then app:close() end
    harness.clean()
  end)

  -- A handler whose tasks stay open, and one whose tasks end at once.
  local function long_and_short()
    return harness.one_step(function() return tasker.snooze(100000) end), harness.one_step(nothing)
  end

  it("end with their count, and say that nothing comes any more", function()
    local _, short = long_and_short()
    assert(app:schedule { name = "thrice", handler = short, every = 60, count = 3 })
    assert(app:advance(86400))
    local thrice = app:schedule_info "thrice"
    assert.equal(3, thrice.made)
    assert.equal("2026-01-01T00:03:00.000000Z", thrice.last_at)
    assert.is_nil(thrice.next_at)
    assert.same({}, app:preview_schedule "thrice")
  end)

  it("begin with `starts` and end with `ends`", function()
    local _, short = long_and_short()
    local made = assert(app:schedule { name = "s", handler = short, every = 3600, starts = "2026-02-01T00:00:00Z",
      ends = "2026-02-01T03:00:00Z" })
    assert.equal("2026-02-01T01:00:00.000000Z", made.next_at)
    assert(app:advance(60 * 86400))
    assert.same({ 3, "2026-02-01T03:00:00.000000Z" }, { app:schedule_info("s").made, app:schedule_info("s").last_at })
  end)

  it("ask a function for the context of each occurrence", function()
    local occurrences = {}
    local handler, seen = watched()
    assert(app:schedule { name = "asked", handler = handler, cron = "@daily", context = function(occurrence)
      occurrences[#occurrences + 1] = occurrence
      return { at = occurrence.scheduled_at }
    end })
    assert(app:advance(2 * 86400))
    assert.equal(2, #seen)
    for i = 1, 2 do
      assert.equal(("2026-01-0%dT00:00:00.000000Z"):format(i + 1), seen[i].context.at)
      assert.equal(seen[i].scheduled_at, seen[i].context.at)
      assert.equal("asked", occurrences[i].schedule)
      assert.equal(i > 1 and seen[1].scheduled_at or nil, occurrences[i].previous_scheduled_at)
      assert.is_false(occurrences[i].triggered)
    end
    assert.equal(2, #app:tasks())
  end)

  it("ask again when the function raises, and make no task of what cannot be a context", function()
    local handler, seen = watched()
    local calls = 0
    assert(app:schedule { name = "asked", handler = handler, every = 3600, context = function()
      calls = calls + 1
      if calls == 1 then error "not now" end
      return calls == 3 and { 1, 2 } or { n = calls }
    end })
    assert(app:advance(3 * 3600 + 10))
    assert.same({ { n = 2 }, { n = 4 } }, { seen[1].context, seen[2].context })
    assert.equal("2026-01-01T03:00:00.000000Z", seen[2].scheduled_at)
    local skipped = harness.events_of(app, "schedule.skipped")
    assert.same({ schedule = "asked", scheduled_at = "2026-01-01T02:00:00.000000Z", reason = "no context" }, skipped[1].data)
    assert.is_nil(skipped[1].task_id)
  end)

  it("make the task after all when a person retries what asked for its context", function()
    local handler, seen = watched()
    local broken = true
    assert(app:schedule { name = "asked", handler = handler, cron = "0 0 2 1 *", context = function()
      if broken then error(tasker.permanent "no") end
      return { fixed = true }
    end })
    assert(app:advance(86400))
    local asking = app:tasks { internal = true }[1]
    assert.equal("error", asking.status)
    broken = false
    assert(app:retry(asking.task_id))
    assert(app:drain())
    assert.same({ { fixed = true }, "2026-01-02T00:00:00.000000Z" }, { seen[1].context, seen[1].scheduled_at })
  end)

  it("skip an occurrence while their last task is open, unless told otherwise", function()
    local long = long_and_short()
    for name, overlap in pairs { skip = "skip", one = "buffer_one", all = "buffer_all", allow = "allow" } do
      assert(app:schedule { name = name, handler = long, every = 60, overlap = overlap })
    end
    assert(app:advance(600))
    local function numbers(name)
      local info = app:schedule_info(name)
      return { info.made, info.running, info.buffered, info.skipped }
    end
    assert.same({ 1, 1, 0, 9 }, numbers "skip")
    assert.same({ 1, 1, 1, 8 }, numbers "one")
    assert.same({ 1, 1, 9, 0 }, numbers "all")
    assert.same({ 10, 10, 0, 0 }, numbers "allow")
    local skipped = harness.events_of(app, "schedule.skipped")[1].data
    assert.equal("overlap", skipped.reason)
  end)

  it("start what was buffered at once when the open task ends, and tell how late that is", function()
    local seen = {}
    local handler = harness.one_step(function(task, step)
      if step.attempt == 1 then return tasker.snooze(100) end
      seen[#seen + 1] = { task.scheduled_at, task.previous_scheduled_at, task.late_by }
    end)
    assert(app:schedule { name = "b", handler = handler, every = 60, overlap = "buffer_all", count = 3 })
    assert(app:advance(1000))
    assert.same({
      { "2026-01-01T00:01:00.000000Z", nil, 0 },
      { "2026-01-01T00:02:00.000000Z", "2026-01-01T00:01:00.000000Z", 40 },
      { "2026-01-01T00:03:00.000000Z", "2026-01-01T00:02:00.000000Z", 80 },
    }, { { seen[1][1], seen[1][2], seen[1][3] }, seen[2], seen[3] })
  end)

  it("cancel the other task where told so, and start the newest when it has ended", function()
    local long = long_and_short()
    assert(app:schedule { name = "newest", handler = long, every = 60, overlap = "cancel_other" })
    assert(app:advance(180))
    assert.equal(2, app:count { status = "cancelled" })
    assert.equal(1, app:schedule_info("newest").running)
    assert.equal("2026-01-01T00:03:00.000000Z", app:tasks()[1].scheduled_at)
    assert.equal("the next occurrence of schedule newest", harness.events_of(app, "task.cancelled")[1].data.reason)
  end)

  it("do nothing while they are paused, and do not make up for it", function()
    local handler, seen = watched()
    assert(app:schedule { name = "p", handler = handler, every = 60, paused = true })
    assert(app:advance(3600))
    assert.is_nil(app:schedule_info("p").next_at)
    local resumed = assert(app:resume_schedule("p", { by = "ann" }))
    assert.same({ false, "2026-01-01T01:01:00.000000Z" }, { resumed.paused, resumed.next_at })
    assert(app:advance(60))
    assert.equal(1, #seen)
    assert.equal("ann", harness.events_of(app, "schedule.resumed")[1].data.by)
    assert.is_true(app:pause_schedule("p", "enough").paused)
    assert.is_true(app:pause_schedule("p").paused)
    assert.equal(1, #harness.events_of(app, "schedule.paused"))
    assert(app:advance(600))
    assert.equal(1, #seen)
  end)

  it("fire later by a jitter that stays below what is allowed and before the next one", function()
    local handler = harness.one_step(nothing)
    assert(app:schedule { name = "j", handler = handler, cron = "@hourly", jitter = 600 })
    assert(app:schedule { name = "k", handler = handler, every = 10, jitter = 3600, overlap = "allow", count = 100 })
    assert(app:advance(86400))
    local delays, different = {}, 0
    for _, task in ipairs(app:tasks { limit = 1000 }) do
      local delay = tasker.time.parse(task.created_at) - tasker.time.parse(task.scheduled_at)
      assert.is_true(delay >= 0 and delay < (task.schedule == "j" and 600 or 10))
      assert.equal(0, task.late_by)
      different = different + (delays[delay] and 0 or 1)
      delays[delay] = true
    end
    assert.equal(23, app:schedule_info("j").made)
    assert.equal(100, app:schedule_info("k").made)
    assert.is_true(different > 100)
  end)

  -- Time passes, and no worker runs.
  local function nobody_works(seconds)
    core.testing.set_now(app.engine, math.floor((app.engine:now() + seconds) * 1e6 + 0.5))
  end

  it("make up for what was missed while no worker ran, as far back as `catch_up` says", function()
    local handler, seen = watched()
    assert(app:schedule { name = "c", handler = handler, cron = "@hourly", catch_up = 3 * 3600, overlap = "buffer_all" })
    assert(app:schedule { name = "none", handler = handler, cron = "@hourly", catch_up = 0 })   -- what is punctual fires all the same
    assert(app:advance(60))
    nobody_works(10 * 3600)
    assert(app:advance(0))
    local times = {}
    for i, one in ipairs(seen) do times[i] = one.scheduled_at:sub(12, 16) end
    assert.same({ "08:00", "09:00", "10:00" }, times)
    assert.near(2 * 3600 + 60, seen[1].late_by, 1)
    assert.equal("missed", harness.events_of(app, "schedule.skipped")[1].data.reason)
    assert.equal("2026-01-01T11:00:00.000000Z", app:schedule_info("none").next_at)
    assert(app:advance(3600))
    assert.equal(5, #seen)
  end)

  it("pass over a long time that nobody worked without counting it through", function()
    local handler, seen = watched()
    assert(app:schedule { name = "c", handler = handler, every = 0.001, catch_up = 0.1, overlap = "skip" })
    assert(app:advance(0))
    nobody_works(30 * 86400)
    local before = os.clock()
    assert(app:advance(0))
    assert.is_true(os.clock() - before < 1)
    assert.equal(1, #seen)
  end)

  it("follow the clock of their zone: month ends at nine, in winter and in summer", function()
    local handler, seen = watched()
    assert(app:schedule { name = "m", handler = handler, cron = "0 9 L * *", timezone = "America/New_York" })
    assert(app:advance(120 * 86400))
    local times = {}
    for i, one in ipairs(seen) do times[i] = one.scheduled_at end
    assert.same({ "2026-01-31T14:00:00.000000Z", "2026-02-28T14:00:00.000000Z", "2026-03-31T13:00:00.000000Z",
      "2026-04-30T13:00:00.000000Z" }, times)
  end)

  it("let a year pass in less than a second, and an endless one does not keep drain from ending", function()
    local handler, seen = watched()
    assert(app:schedule { name = "d", handler = handler, cron = "0 9 * * *", timezone = "Europe/Berlin" })
    local before = os.clock()
    assert(app:advance_to "2027-01-01T00:00:00Z")
    assert.is_true(os.clock() - before < 1)
    assert.equal(365, #seen)
    assert.is_true(app:drain())
    assert.equal(365, #seen)
  end)
end)

describe("app:schedule", function()
  local app, handler
  before_each(function()
    app = harness.open "memory"
    handler = harness.one_step(nothing)
  end)
  after_each(harness.clean)

  it("refuses what cannot be, naming it", function()
    local function refused(fragments, given, code)
      given.name, given.handler = given.name or "x", given.handler or handler
      harness.refused(code or "invalid", fragments, app:schedule(given))
    end
    refused("missing", {})
    refused({ "cron", "every", "exclude" }, { cron = "@daily", every = 5 })
    refused({ "cron", "minute 61" }, { cron = "61 * * * *" })
    refused({ "cron", "never" }, { cron = "0 0 30 2 *" })
    refused({ "rrule" }, { rrule = "FREQ=SOMETIMES" })
    refused({ "timezone", "Foo/Bar" }, { cron = "@daily", timezone = "Foo/Bar" })
    refused({ "timezone", "Foo/Bar" }, { every = 60, timezone = "Foo/Bar" })
    refused({ "overlap", "buffer_one" }, { cron = "@daily", overlap = "queue" })
    refused({ "every" }, { every = 0 })
    refused({ "catch_up" }, { every = 1, catch_up = -1 })
    refused({ "count" }, { every = 1, count = 0 })
    refused({ "count", "at" }, { at = "2999-01-01T00:00:00Z", count = 1 })
    refused({ "dst", "gap" }, { cron = "@daily", dst = { gap = "maybe" } })
    refused({ "ends", "starts" }, { every = 1, starts = "2027-01-01T00:00:00Z", ends = "2026-01-01T00:00:00Z" })
    refused({ "never comes" }, { cron = "@daily", ends = "2026-01-01T00:00:00Z" })
    refused({ "never comes" }, { at = "2026-01-01T00:00:00Z" })
    refused({ "name" }, { name = "a b", every = 1 })
    refused({ "nope" }, { handler = "nope", every = 1 }, "not_found")
    refused({ "9.9.9" }, { handler = handler.name .. "@9.9.9", every = 1 }, "not_found")
    refused({ "context" }, { every = 1, context = { 1, 2 } })
    harness.raises({ "fequency", "unknown" }, app.schedule, app, { handler = handler, fequency = 1 })
    harness.raises({ "every", "number" }, app.schedule, app, { handler = handler, every = "1h" })
    harness.raises({ "handler", "missing" }, app.schedule, app, { name = "x", every = 1 })
  end)

  it("takes the handler's name for its own, and a context that its schema accepts", function()
    local strict = harness.handler { namespace = "shop", steps = { { name = "only", run = nothing } },
      context_schema = { type = "object", required = { "n" } } }
    assert.equal("shop/" .. strict.name, assert(app:schedule { handler = strict, every = 60, context = { n = 1 } }).name)
    harness.refused("invalid", { "context", "n" }, app:schedule { name = "x", handler = strict, every = 60 })
  end)

  it("fires a time that is given, once", function()
    local watcher, seen = watched(1)
    local at = tasker.now() + 0.05
    assert(app:schedule { name = "once", handler = watcher, at = at })
    app:work()
    assert.near(at, tasker.time.parse(seen[1].scheduled_at), 1e-5)
    assert.is_nil(app:schedule_info("once").next_at)
  end)

  it("takes recurrence rules and zones", function()
    assert(app:schedule { name = "r", handler = handler, rrule = "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
      timezone = "Europe/Berlin" })
    assert.same({ "2027-03-26T08:00:00.000000Z", "2027-04-30T07:00:00.000000Z" },
      app:preview_schedule("r", { after = "2027-03-01T00:00:00Z", count = 2 }))
  end)
end)

describe("a handler's schedule", function()
  after_each(harness.clean)

  it("is refused where it is made, naming handler and field", function()
    local function refused(fragments, schedule)
      harness.raises(fragments, tasker.handler, { name = "h", steps = { { name = "a", run = nothing } }, schedule = schedule })
    end
    refused({ "h@", "schedule", "missing" }, {})
    refused({ "h@", "schedule", "cron", "minute 61" }, { cron = "61 * * * *" })
    refused({ "h@", "schedule", "handler", "unknown" }, { cron = "@daily", handler = "x" })
    refused({ "h@", "schedule", "every", "number" }, { every = "1h" })
    refused({ "h@", "schedule", "Foo/Bar" }, { cron = "@daily", timezone = "Foo/Bar" })
    refused({ "h@", "schedule", "context" }, { cron = "@daily", context = { 1 } })
  end)

  it("is made when a worker begins, left alone while it is the same, paused too, and updated when it is not", function()
    local app = harness.open "memory"
    local function define(cron, version)
      return harness.handler { name = "scheduled", version = version, schedule = { cron = cron, context = { n = 1 } },
        steps = { { name = "a", run = nothing } } }
    end
    define("0 0 1 1 *", "1.0.0")
    app:work { until_idle = true }
    local made = assert(app:schedule_info "default/scheduled")
    assert.equal("default/scheduled@1.0.0", made.defined_by)
    app:pause_schedule "default/scheduled"
    app:work { until_idle = true }
    assert.is_true(app:schedule_info("default/scheduled").paused)
    define("0 0 2 1 *", "1.1.0")
    app:work { until_idle = true }
    local updated = app:schedule_info "default/scheduled"
    assert.same({ "0 0 2 1 *", true }, { updated.cron, updated.paused })
    assert.equal(1, #harness.events_of(app, "schedule.updated"))
  end)
end)

describe("schedules of several processes", function()
  after_each(harness.clean)

  it("fire once each, whoever works, dies or comes back", function()
    local dir = harness.temp_dir()
    local url = "lmdb:" .. dir .. "/store"
    local file = dir .. "/h.lua"
    local out = assert(io.open(file, "w"))
    out:write [[
      require("tasker").handler { name = "ticking", schedule = { every = 0.02, overlap = "allow",
        context = function(o) return { at = o.scheduled_at } end },
        steps = { { name = "a", run = function(task) return { task.scheduled_at, task.context.at } end } } }
    ]]
    out:close()
    local app = harness.reopen(url)
    local function worker()
      return harness.start { harness.process.program(), "worker", file, "--store", url }
    end
    local first, second = worker(), worker()
    local function complete(count, child)
      harness.eventually(function()
        return app:count { status = "complete" } >= count, ("%d complete; a worker %s says: %s"):format(
          app:count { status = "complete" }, child:running() and "that runs" or "that has ended", child:stderr())
      end, 60)
    end
    complete(10, second)
    first:kill(9)
    complete(20, second)
    local third = worker()
    complete(30, third)
    second:kill(9)
    third:kill(9)
    local seen, count = {}, 0
    for _, task in ipairs(app:tasks { limit = 10000 }) do
      assert.is_nil(seen[task.scheduled_at], "made twice: " .. task.scheduled_at)
      seen[task.scheduled_at] = task
      count = count + 1
    end
    local last = app:schedule_info "default/ticking"
    assert.is_true(last.made >= count)
  end)
end)
