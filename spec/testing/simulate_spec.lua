local assert = require "luassert"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("testing.simulate", function()
  local function define(name, steps)
    return tasker.handler { namespace = "simulate", name = name, steps = steps }
  end

  -- What it prints is about the failures that are wanted here.
  local function failing(fn, options)
    local stderr = io.stderr
    io.stderr = { write = function() end } -- luacheck: ignore 122
    local ok, why = pcall(testing.simulate, fn, options)
    io.stderr = stderr -- luacheck: ignore 122
    assert.is_false(ok)
    return tostring(why)
  end

  local order

  setup(function()
    order = define("order", {
      { name = "reserve", run = function(task) return task.context.n end },
      { name = "wait", depends_on = "reserve", sleep = 60 },
      { name = "left", depends_on = "reserve", run = function() tasker.sleep(5) return 1 end },
      { name = "right", depends_on = "reserve", retry = { limit = 5 }, run = function(_, step)
        return step.attempt > 1 and 2 or error "not yet"
      end },
      { name = "sum", depends_on = { "wait", "left", "right" }, run = function(task)
        return task.results.reserve + task.results.left + task.results.right
      end },
    })
  end)

  it("passes a workflow that keeps its promises through every death", function()
    local histories = 0
    assert.is_true(testing.simulate(function(app, random)
      local ids, numbers = {}, {}
      for i = 1, random(4) do
        numbers[i] = random(1, 100)
        ids[i] = assert(app:submit(order, { n = numbers[i] }))
      end
      assert(app:drain())
      for i, id in ipairs(ids) do
        assert.equal(numbers[i] + 3, app:task(id).steps.sum.results)
      end
      histories = histories + 1
    end))
    assert.equal(100, histories)
  end)

  it("finds a step that may not be run twice, and names the death that does it", function()
    local sent
    local mail = define("mail", { { name = "send", run = function() sent = sent + 1 end }, { name = "note", depends_on = "send",
      run = function() end } })
    local function test(app)
      sent = 0
      assert(app:run(mail))
      assert(sent == 1, "sent " .. sent .. " times")
    end
    local why = failing(test)
    assert.matches("seed %d+ failed: .*sent 2 times", why)
    local _, deaths = why:gsub("\n  process %d+ died", "")
    assert.equal(1, deaths)
    local seed = tonumber(why:match "seed (%d+)")
    assert.equal(why, failing(test, { seed = seed }))
  end)

  it("finds what holds in one order only", function()
    local seen
    local race = define("race", {
      { name = "first", run = function() seen[#seen + 1] = "first" end },
      { name = "second", run = function() seen[#seen + 1] = "second" end },
    })
    local why = failing(function(app)
      seen = {}
      assert(app:run(race))
      assert(seen[1] == "first", "second came first")
    end)
    assert.matches("second came first", why)
    assert.matches("\n  step 'second' of task %w+ in process %d+ %(attempt %d+%) went before others\n", why)
  end)

  it("says so when nothing needs to go wrong", function()
    local why = failing(function(app)
      assert(app:run(order, { n = 1 }))
      error("always", 0)
    end)
    assert.matches("seed 1 failed: always\n.*It also fails when everything goes in order and no process dies", why)
  end)

  it("lets steps submit and wait, whatever dies", function()
    local inner = define("inner", { { name = "a", run = function() return 7 end } })
    local outer = define("outer", { { name = "a", retry = { limit = 20 }, run = function()
      local id = assert(tasker.app():submit(inner))
      return assert(tasker.app():wait(id)).steps.a.results
    end } })
    testing.simulate(function(app)
      local task = assert(app:run(outer))
      assert.equal(7, task.steps.a.results)
      assert.equal(1, #app:tasks { name = "inner" })
    end, { seeds = 200 })
  end)

  it("gives the test the same numbers for the same seed", function()
    local function numbers(seed)
      local all = {}
      testing.simulate(function(_, random)
        for i = 1, 100 do
          all[i] = random(10)
          assert(all[i] >= 1 and all[i] <= 10)
        end
        all[101] = random()
        assert(all[101] >= 0 and all[101] < 1)
        assert(random(5, 6) >= 5)
      end, { seed = seed })
      return table.concat(all, " ")
    end
    assert.equal(numbers(3), numbers(3))
    assert.not_equal(numbers(3), numbers(4))
  end)

  it("leaves the app alone that was open before", function()
    local app = assert(testing.open())
    app:stub(order, "sum", "stubbed")
    testing.simulate(function(other)
      assert.equal(4, assert(other:run(order, { n = 1 })).steps.sum.results)
    end, { seeds = 3 })
    assert.equal("stubbed", assert(app:run(order, { n = 1 })).steps.sum.results)
    app:close()
  end)

  it("refuses options that cannot be", function()
    assert.has_error(function() testing.simulate(function() end, { sedes = 1 }) end,
      "testing.simulate: option 'sedes' is unknown; did you mean 'seeds'?")
    assert.equal("invalid", select(2, testing.simulate(function() end, { seeds = 0 })).code)
    assert.equal("invalid", select(2, testing.simulate(function() end, { seeds = 2, seed = 1 })).code)
  end)
end)
