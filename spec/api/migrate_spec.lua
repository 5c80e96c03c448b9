local harness = require "spec.support.harness"
local tasker = require "tasker"

local serial = 0

--- Two versions of one handler; functions give their steps.
local function two_versions(old, new, fields)
  serial = serial + 1
  local name = "moving" .. serial
  local function define(version, steps)
    local given = { name = name, version = version, steps = steps, retry = { limit = 1 } }
    for field, value in pairs(fields or {}) do given[field] = value end
    return tasker.handler(given)
  end
  return define("1.0.0", old), define("2.0.0", new), name
end

local function done(value)
  return function() return value end
end

for _, kind in ipairs(harness.kinds) do
  describe("a migration, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("lets a live task go on by the new version, with what was done", function()
      local old, new, name = two_versions({
        { name = "charge", run = done { amount = 7 } },
        { name = "approve", depends_on = "charge", signal = "approved" },
        { name = "ship", depends_on = "approve", run = done "old" },
      }, {
        { name = "pay", run = done "never run again" },
        { name = "approve", depends_on = "pay", signal = "approved" },
        { name = "pack", depends_on = "approve", run = function(task) return task.results.pay.amount + 1 end },
        { name = "ship", depends_on = "pack", run = done "new" },
      })
      local id = app:submit(old, {})
      app:work { until_idle = true }
      local dry = assert(app:migrate { handler = name, from = "1.0.0", to = "2.0.0", steps = { charge = "pay" }, dry_run = true })
      assert.same({ 1, 0, true }, { dry.moves, dry.refused, dry.dry_run })
      assert.same({ task_id = id, status = "in_progress", outcome = "moves" }, dry.tasks[1])
      assert.equal("1.0.0", app:task(id).version)
      local report = assert(app:migrate { handler = new, from = "1.0.0", steps = { charge = "pay" }, by = "ann" })
      assert.same({ 1, 0, "moved", "2.0.0" }, { report.moved, report.refused, report.tasks[1].outcome, report.to })
      app:signal(id, "approved")
      app:work { until_idle = true }
      local task = app:task(id)
      assert.same({ "complete", "2.0.0" }, { task.status, task.version })
      assert.same({ pay = { amount = 7 }, pack = 8, ship = "new" }, { pay = task.results.pay, pack = task.results.pack,
        ship = task.results.ship })
      local moved = harness.events_of(app, "task.migrated", id)
      assert.same({ from = "1.0.0", to = "2.0.0", by = "ann" }, moved[1].data)
      assert.equal(0, app.engine:check(function(what) error(what) end))
    end)

    it("keeps the names that steps had in the log", function()
      local old, _, name = two_versions({
        { name = "zero", run = done(0) }, { name = "wait", depends_on = "zero", signal = "go" },
      }, {
        { name = "first", run = done(1) }, { name = "wait", depends_on = "first", signal = "go" }, { name = "begin", run = done(0) },
      })
      local id = app:submit(old, {})
      app:work { until_idle = true }
      assert(app:migrate { handler = name, from = "1.0.0", to = "2.0.0", steps = { zero = "begin" } })
      app:signal(id, "go")
      app:work { until_idle = true }
      local steps = {}
      for _, event in ipairs(app:events { task_id = id }) do
        if event.event == "step.completed" then steps[#steps + 1] = event.step end
      end
      assert.same({ "zero", "wait" }, steps)
      assert.same({ "zero" }, { harness.events_of(app, "step.started", id)[1].step })
      assert.equal("complete", app:task(id).status)
      assert.equal("skipped", app:task(id).steps.first.status)
    end)

    it("refuses what cannot map, naming task and step, and moves the rest", function()
      local held = true
      local old, _, name = two_versions({
        { name = "a", run = done(1) },
        { name = "gone", depends_on = "a", when = function() return held end, run = done(2) },
        { name = "wait", depends_on = "a", signal = "go" },
      }, { { name = "a", run = done(1) }, { name = "wait", depends_on = "a", signal = "go" } })
      local stuck = app:submit(old, {})
      app:work { until_idle = true }
      local waiting = app:submit(old, {}, { delay = 1000 })
      local report = app:migrate { handler = name, from = "1.0.0", to = "2.0.0" }
      assert.same({ 1, 1 }, { report.moved, report.refused })
      local by_id = {}
      for _, entry in ipairs(report.tasks) do by_id[entry.task_id] = entry end
      assert.equal("moved", by_id[waiting].outcome)
      assert.same({ "refused", "gone" }, { by_id[stuck].outcome, by_id[stuck].step })
      harness.contains(("task %s cannot be migrated: step 'gone' is complete"):format(stuck), by_id[stuck].reason)
      assert.equal(1, app:migrate({ handler = name, from = "1.0.0", to = "2.0.0", steps = { gone = false } }).moved)
      assert.is_nil(app:task(stuck).results.gone)
      assert.equal(0, app.engine:check(function(what) error(what) end))
    end)

    it("refuses a mapping that names no step, and unknown versions", function()
      local old, _, name = two_versions({ { name = "alpha", run = done(1) }, { name = "beta", run = done(1) } },
        { { name = "alpha", run = done(1) }, { name = "gamma", run = done(1) } })
      app:submit(old, {})
      local function try(options)
        options.handler, options.from, options.to = options.handler or name, options.from or "1.0.0", options.to or "2.0.0"
        return app:migrate(options)
      end
      harness.refused("invalid", { "'beta' becomes 'gama'", "no step of", "did you mean 'gamma'" }, try { steps = { beta = "gama" } })
      harness.refused("invalid", { "names 'bet'", "no step of", "did you mean 'beta'" }, try { steps = { bet = "gamma" } })
      harness.refused("invalid", { "would both become 'alpha'" }, try { steps = { beta = "alpha" } })
      harness.refused("not_found", { "3.0.0" }, try { to = "3.0.0" })
      harness.refused("not_found", { "0.9.0" }, try { from = "0.9.0" })
      harness.refused("invalid", { "option 'from'" }, try { from = "one" })
      assert.error_matches(function() app:migrate { handler = name } end, "are needed")
      assert.error_matches(function() try { dry = true } end, "option 'dry' is unknown")
    end)

    it("gives the new context, when it can be", function()
      local old, _, name = two_versions({ { name = "wait", signal = "go" } }, {
        { name = "wait", signal = "go" }, { name = "read", depends_on = "wait", run = function(task) return task.context.total end },
      })
      tasker.handler { name = name, version = "3.0.0", context_schema = { type = "object", required = { "total" } },
        steps = { { name = "wait", signal = "go" }, { name = "read", depends_on = "wait", run = function(task)
          return task.context.total
        end } } }
      local id = app:submit(old, { amount = 2, price = 3 })
      local report = app:migrate { handler = name, from = "1.0.0", to = "3.0.0", context = function(c) return { sum = c.amount } end }
      assert.equal(1, report.refused)
      harness.contains("the new context", report.tasks[1].reason)
      report = app:migrate { handler = name, from = "1.0.0", to = "3.0.0", context = function() error("cannot say") end }
      harness.contains("cannot say", report.tasks[1].reason)
      report = app:migrate { handler = name, from = "1.0.0", to = "3.0.0", context = function(context, task)
        assert.equal(id, task.task_id)
        return { total = context.amount * context.price }
      end }
      assert.equal(1, report.moved)
      app:signal(id, "go")
      app:work { until_idle = true }
      assert.same({ total = 6 }, app:task(id).context)
      assert.equal(6, app:task(id).results.read)
      assert.equal(0, app.engine:check(function(what) error(what) end))
    end)

    it("moves a task in error, whose retry runs the new code", function()
      local old, _, name = two_versions({ { name = "a", run = function() error("old bug") end }, { name = "b", depends_on = "a",
        run = done(1) } }, { { name = "b", depends_on = "a", run = done(2) }, { name = "a", run = done "fixed" } })
      local id = app:run(old, {}).task_id
      assert.equal(1, app:migrate({ handler = name, from = "1.0.0", to = "2.0.0" }).moved)
      assert.equal("error", app:task(id).status)
      app:retry(id)
      app:work { until_idle = true }
      local task = app:task(id)
      assert.same({ "complete", "fixed", 2 }, { task.status, task.results.a, task.results.b })
    end)

    it("moves from many steps to few and back", function()
      local steps = {}
      for n = 1, 100 do
        steps[n] = { name = "s" .. n, depends_on = n > 1 and "s1" or nil, signal = n > 1 and "go" .. n or nil,
          run = n == 1 and done(1) or nil }
      end
      local old, _, name = two_versions(steps, { { name = "s1", run = done(1) }, { name = "s2", depends_on = "s1", signal = "go2" } })
      local id = app:submit(old, {})
      app:work { until_idle = true }
      local drop = {}
      for n = 3, 100 do
        app:signal(id, "go" .. n)
        drop["s" .. n] = false
      end
      app:work { until_idle = true }
      assert.equal(1, app:migrate({ handler = name, from = "1.0.0", to = "2.0.0", steps = drop }).moved)
      assert.equal(0, app.engine:check(function(what) error(what) end))
      assert.equal(1, app:migrate({ handler = name, from = "2.0.0", to = "1.0.0" }).moved)
      assert.equal(0, app.engine:check(function(what) error(what) end))
      app:work { until_idle = true }
      for n = 2, 100 do app:signal(id, "go" .. n) end
      app:work { until_idle = true }
      assert.equal("complete", app:task(id).status)
    end)

    it("leaves tasks at their end alone", function()
      local old, _, name = two_versions({ { name = "a", run = done(1) } }, { { name = "b", run = done(1) } })
      app:run(old, {})
      app:cancel((app:submit(old, {})))
      assert.same({}, app:migrate({ handler = name, from = "1.0.0", to = "2.0.0" }).tasks)
    end)

    it("can be vetoed", function()
      local old, _, name = two_versions({ { name = "a", signal = "x" } }, { { name = "a", signal = "x" }, { name = "b", run = done(1) } })
      app:submit(old, {})
      local off = tasker.before("task.migrate", function(change) return false, change.from .. " to " .. change.to .. ": no" end)
      local report = app:migrate { handler = name, from = "1.0.0", to = "2.0.0" }
      off()
      assert.equal("1.0.0 to 2.0.0: no", report.tasks[1].reason)
    end)
  end)
end

describe("a migration of what runs", function()
  after_each(harness.clean)

  local FILE = [[
    local tasker = require "tasker"
    local function steps(version)
      local list = {}
      for n = 1, 6 do
        list[n] = { name = "s" .. n, run = function() tasker.sleep(0.05) return version end }
      end
      return list
    end
    tasker.handler { name = "long", version = "1.0.0", chain = true, steps = steps "old" }
    tasker.handler { name = "long", version = "2.0.0", chain = true, steps = steps "new" }
  ]]

  it("waits for its steps with the task paused, and resumes it", function()
    local app, url = harness.open "lmdb"
    local file = harness.process.write_file(harness.temp_dir() .. "/long.lua", FILE)
    local worker = harness.start { harness.process.program(), "worker", file, "--store", url }
    local id
    harness.eventually(function()
      id = app:submit("long@1.0.0", {})
      return id
    end)
    harness.eventually(function() return app:task(id).steps.s1.status ~= "pending" and app:task(id).started_at end)
    local report = assert(app:migrate { handler = "long", from = "1.0.0", to = "2.0.0", dry_run = true })
    assert.equal(1, #report.tasks)
    report = assert(app:migrate { handler = "long", from = "1.0.0", to = "2.0.0", wait = 20 })
    assert.same({ 1, 0 }, { report.moved, report.refused })
    local task = app:wait(id, 20)
    assert.same({ "complete", "2.0.0", "new" }, { task.status, task.version, task.results.s6 })
    assert.equal("old", task.results.s1)
    assert.equal(#harness.events_of(app, "task.paused", id), #harness.events_of(app, "task.resumed", id))
    worker:kill "TERM"
    harness.eventually(function() return not worker:running() end)
  end)

  it("ignores an attempt of the old version that comes back afterwards", function()
    local app = harness.open "memory"
    local other = harness.one_step(function() end)
    local name = "zombie-move"
    local id
    tasker.handler { name = name, version = "1.0.0", steps = { { name = "slow", run = function()
      app:cancel(id, nil, { step = "slow" })
      return "never"
    end } } }
    tasker.handler { name = name, version = "2.0.0", steps = { { name = "fresh", run = function() return "fresh" end },
      { name = "slow", run = function() end } } }
    id = app:submit(name .. "@1.0.0", {})
    app:work { until_idle = true }
    assert.equal("error", app:task(id).status)
    assert.equal(1, app:migrate({ handler = name, from = "1.0.0", to = "2.0.0" }).moved)
    app:retry(id)
    app:work { until_idle = true }
    local task = app:task(id)
    assert.same({ "complete", "fresh" }, { task.status, task.results.fresh })
    assert.equal("complete", app:run(other).status)
  end)
end)

describe("tasker-lua migrate", function()
  after_each(harness.clean)

  it("shows what would happen, moves, and says what still runs where", function()
    local dir = harness.temp_dir()
    local url, file = dir .. "/store", dir .. "/orders.lua"
    local function write(version, first)
      harness.process.write_file(file, ([[
        local tasker = require "tasker"
        tasker.handler { namespace = "shop", name = "order", version = "%s", chain = true, steps = {
          { name = "%s", run = function() return "%s" end }, { name = "paid", signal = "paid" },
          { name = "ship", run = function(task) return task.results.%s end } } }
      ]]):format(version, first, version, first))
    end
    local function program(...)
      local argv = { harness.process.program(), ... }
      argv[#argv + 1] = "--store"
      argv[#argv + 1] = url
      return harness.process.run(argv)
    end
    write("1.0.0", "charge")
    local id = program("submit", "shop/order", "--file", file).stdout:match "%S+"
    assert.equal(0, program("worker", file, "--until-idle").status)
    write("2.0.0", "pay")
    local function live()
      local counts = {}
      for line in program("handlers", "--json").stdout:gmatch "[^\n]+" do
        local handler = tasker.json.decode(line)
        counts[handler.version] = handler.live
      end
      return counts
    end
    local dry = program("migrate", "shop/order", "--from", "1.0.0", "--file", file, "--dry-run")
    assert.equal(1, dry.status)
    harness.contains("step 'charge' is complete", dry.stdout)
    harness.contains("dry run: 1 refused", dry.stderr)
    assert.same({ ["1.0.0"] = 1, ["2.0.0"] = 0 }, live())
    dry = program("migrate", "shop/order", "--from", "1.0.0", "--map", "charge=pay", "--dry-run", "--json")
    assert.same({ 0, "moves" }, { dry.status, tasker.json.decode(dry.stdout).outcome })
    local moved = program("migrate", "shop/order", "--from", "1.0.0", "--map", "charge=pay", "--by", "ann")
    assert.equal(0, moved.status)
    harness.contains("1 moved", moved.stderr)
    assert.same({ ["1.0.0"] = 0, ["2.0.0"] = 1 }, live())
    harness.contains("no live task", program("migrate", "shop/order", "--from", "1.0.0").stderr)
    program("signal", id, "paid")
    assert.equal(0, program("worker", file, "--until-idle").status)
    assert.same({ "complete", "1.0.0" }, { harness.reopen(url):task(id).status, harness.reopen(url):task(id).results.ship })
    assert.equal(2, program("migrate", "shop/order").status)
    assert.equal(2, program("migrate", "shop/order", "--from", "1.0.0", "--map", "charge").status)
    harness.contains("--map: 'charge' becomes 'buy', which is no step of",
      program("migrate", "shop/order", "--from", "1.0.0", "--map", "charge=buy").stderr)
    assert.equal(0, program("check").status)
  end)
end)
