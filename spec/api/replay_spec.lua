local harness = require "spec.support.harness"
local tasker = require "tasker"

local serial = 0

local function handler(version, steps, fields)
  local given = { name = "replayed" .. serial, version = version, steps = steps, retry = harness.quick_retry(2) }
  for field, value in pairs(fields or {}) do given[field] = value end
  return tasker.handler(given)
end

local function done(value)
  return function() return value end
end

for _, kind in ipairs(harness.kinds) do
  describe("replay, on " .. kind .. ",", function()
    local app
    before_each(function()
      app = harness.open(kind)
      serial = serial + 1
    end)
    after_each(harness.clean)

    local function first_of(id, code)
      local report = assert(app:replay(id, { handler = code }))
      return report.divergence, report
    end

    it("finds no divergence in code that does the same", function()
      local old = handler("1.0.0", {
        { name = "list", run = function(task) return { items = { 1, 2, task.context.n } } end },
        { name = "flaky", run = function(_, step)
          if step.attempt == 1 then error "once" end
          return step.attempt
        end },
        { name = "each", depends_on = "list", map = function(task) return task.results.list.items end,
          run = function(_, step) return step.item * 2 end },
        { name = "sum", depends_on = "each", inputs = function(task) return { first = task.results.each[1] } end,
          run = function(task, step) return task.results.each[3] + step.inputs.first end },
        { name = "which", depends_on = "sum", switch = function(task) return task.results.sum > 5 and "big" or "small" end,
          cases = { big = "cheer", small = "weep" } },
        { name = "cheer", run = done(tasker.null) }, { name = "weep", run = done(1) },
        { name = "never", when = done(false), run = done(1) },
        { name = "breaks", on_error = "continue", run = function() error(tasker.permanent("no", { code = "no" })) end },
        { name = "last", depends_on = { "breaks", "cheer" }, run = function(task) return task.errors.breaks.code end },
      })
      local id = app:run(old, { n = 3 }).task_id
      local divergence, report = first_of(id, old)
      assert.is_nil(divergence and divergence.message)
      assert.equal(tostring(old), report.recorded)
      assert.is_true(report.compared >= 9)
    end)

    it("shows the first difference of results with its place, what was and what is", function()
      local old = handler("1.0.0", { { name = "a", run = done { total = { 1, 2 }, same = true } }, { name = "b", depends_on = "a",
        run = function(task) return task.results.a.total[2] end } })
      local new = handler("2.0.0", { { name = "a", run = done { total = { 1, 3 }, same = true } }, { name = "b", depends_on = "a",
        run = function(task) return task.results.a.total[2] + 1 end } })
      local divergence, report = first_of(app:run(old, {}).task_id, new)
      assert.same({ "a", "results", "/total/1", 2, 3 }, { divergence.step, divergence.kind, divergence.path, divergence.recorded,
        divergence.now })
      assert.same({ 2, "b", 2, 3 }, { #report.divergences, report.divergences[2].step, report.divergences[2].recorded,
        report.divergences[2].now })
    end)

    it("names what else would go another way", function()
      local old = handler("1.0.0", {
        { name = "fine", run = done(1) }, { name = "broken", on_error = "continue", run = function() error "old" end },
        { name = "gone", run = done(1) }, { name = "ran", when = done(true), run = done(1) },
        { name = "not_run", when = done(false), run = done(1) }, { name = "asked", inputs = done { n = 1 }, run = done(1) },
        { name = "which", switch = done "l", cases = { l = "left", r = "right" } },
        { name = "left", run = done(1) }, { name = "right", run = done(1) },
        { name = "each", map = done { 1, 2 }, run = function(_, step) return step.item end },
        { name = "reads", run = done(1) },
      })
      local new = handler("2.0.0", {
        { name = "fine", run = function() error "new" end }, { name = "broken", run = done(2) },
        { name = "ran", when = done(false), run = done(1) },
        { name = "not_run", when = done(true), run = done(1) }, { name = "asked", inputs = done { n = 2 }, run = done(1) },
        { name = "which", switch = done "r", cases = { l = "left", r = "right" } },
        { name = "left", run = done(1) }, { name = "right", run = done(1) },
        { name = "each", map = done { 1, 2, 3 }, run = function(_, step) return step.item end },
        { name = "reads", run = function(task) return task.results.fine end }, { name = "added", run = done(1) },
      })
      local _, report = first_of(app:run(old, {}).task_id, new)
      local kinds = {}
      for _, divergence in ipairs(report.divergences) do kinds[divergence.step] = divergence.kind end
      assert.same({ fine = "fails", broken = "completes", gone = "missing", ran = "skipped", not_run = "runs", asked = "inputs",
        which = "branch", each = "elements", reads = "fails", added = "new" }, kinds)
    end)

    it("commits nothing, waits for nothing and calls no hooks", function()
      local hooks = 0
      local other = harness.one_step(done(1))
      local code = function(_, step)
        local id, err = tasker.app():submit(other, {})
        step:annotate("seen", true)
        step:heartbeat(1)
        step:log("info", "here")
        tasker.sleep(step.attempt == 1 and 0 or 3600)
        return id or err.code
      end
      local old = handler("1.0.0", { { name = "a", run = done "refused" }, { name = "f", on_error = "continue", run = function()
        error "always"
      end } }, { on_failure = function() hooks = hooks + 1 end })
      local new = handler("2.0.0", { { name = "a", run = code }, { name = "f", on_error = "continue", run = function()
        error "always"
      end } }, { on_failure = function() hooks = hooks + 1 end, on_exhausted = function() hooks = hooks + 100 end })
      local id = app:run(old, {}).task_id
      local events, before = #app:events {}, hooks
      local divergence = first_of(id, new)
      assert.is_nil(divergence and divergence.message)
      assert.same({ events, before }, { #app:events {}, hooks })
      assert.is_string(app:submit(other, {}))
    end)

    it("refuses what cannot be replayed", function()
      local old = handler("1.0.0", { { name = "a", signal = "x" } })
      local id = app:submit(old, {})
      harness.refused("refused", { "is in_progress" }, app:replay(id))
      app:cancel(id)
      assert.is_table(app:replay(id))
      harness.refused("not_found", { "no handler 'nobody'" }, app:replay(id, { handler = "nobody" }))
      harness.refused("not_found", { "no task" }, app:replay("01a20e47-b483-71b6-8a90-5d0ed91a5f4b"))
      harness.refused("invalid", { "cannot load" }, app:replay(id, { file = "/nowhere/at/all.lua" }))
      harness.refused("invalid", { "exclude each other" }, app:replay(id, { file = "x", handler = "y" }))
      assert.error_matches(function() app:replay(id, { handler = {} }) end, "must be a name or what tasker.handler returned")
    end)
  end)
end

describe("tasker-lua replay", function()
  after_each(harness.clean)

  it("shows the first divergence and ends with 1", function()
    local dir = harness.temp_dir()
    local url, file = dir .. "/store", dir .. "/orders.lua"
    local function write(rate)
      harness.process.write_file(file, ([[
        local tasker = require "tasker"
        print "loading"
        tasker.handler { namespace = "shop", name = "order", chain = true, steps = {
          { name = "price", run = function(task) return { net = task.context.n, gross = task.context.n * %d } end },
          { name = "ship", run = function(task) return task.results.price.gross end } } }
      ]]):format(rate))
    end
    local function program(...)
      local argv = { harness.process.program(), ... }
      argv[#argv + 1] = "--store"
      argv[#argv + 1] = url
      return harness.process.run(argv)
    end
    write(2)
    assert.equal(0, program("run", file, "shop/order", '{"n":10}').status)
    local same = program("replay", "@last", "--file", file)
    assert.same({ 0, "" }, { same.status, same.stdout })
    harness.contains("2 steps compared, 0 divergences", same.stderr)
    write(3)
    local differs = program("replay", "@last", "--file", file)
    assert.equal(1, differs.status)
    harness.contains("step 'price': its results differ at '/gross': 20 was recorded, now it is 30", differs.stdout)
    assert.is_nil(differs.stdout:find("ship", 1, true))
    local line = tasker.json.decode(program("replay", "@last", "--file", file, "--json").stdout)
    assert.same({ "price", "/gross", 20, 30 }, { line.step, line.path, line.recorded, line.now })
    assert.equal(2, program("replay", "@last").status)
  end)
end)
