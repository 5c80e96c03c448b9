local assert = require "luassert"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("limits in front of steps", function()
  local app
  local names = 0

  local function open()
    app = assert(testing.open { clock = "2026-03-01T12:00:00Z" })
    return app
  end

  -- A limit of a new name: declarations outlive a test.
  local function limit(rules)
    names = names + 1
    local name = "limit" .. names
    tasker.limit(name, rules)
    return name
  end

  local function define(name, limits, run)
    return tasker.handler { namespace = "limits", name = name, steps = { { name = "s", limits = limits, run = run or function() end } } }
  end

  local function submit(handler, count, context)
    local list = {}
    for i = 1, count do
      list[i] = { handler, context and context(i) or {} }
    end
    return assert(app:submit_many(list))
  end

  -- When steps started, in seconds since the clock's beginning, in order.
  local function starts()
    local list = {}
    for _, event in ipairs(assert(app:events {})) do
      if event.event == "step.started" then
        list[#list + 1] = tasker.time.parse(event.at) - tasker.time.parse "2026-03-01T12:00:00Z"
      end
    end
    table.sort(list)
    return list
  end

  local function assert_whole()
    assert.equal(0, assert(app.engine:check(print)))
    for _, one in ipairs(assert(app:limits())) do
      assert.equal(0, one.running)
      assert.equal(0, one.waiting)
    end
  end

  before_each(open)

  after_each(function()
    app:close()
  end)

  it("let a burst start at once and then one at each interval", function()
    local handler = define("burst", limit { rate = 2, per = 1, burst = 3 })
    submit(handler, 6)
    app:drain()
    assert.same({ 0, 0, 0, 0.5, 1, 1.5 }, starts())
    assert_whole()
  end)

  it("tell a step that waits when its slot comes, in the order in which they came", function()
    local handler = define("slots", limit { rate = 1, per = 10 })
    local ids = submit(handler, 3)
    app:advance(0)
    local waiting = assert(app:task(ids[3])).steps.s
    assert.equal("waiting", waiting.status)
    assert.equal("rate_limit", waiting.waiting_for)
    assert.equal("2026-03-01T12:00:20.000000Z", waiting.next_attempt_at)
    assert.equal(0, waiting.attempts)
    local told = assert(app:events { task_id = ids[2] })
    assert.equal("step.waiting", told[2].event)
    assert.same({ waiting_for = "rate_limit", limit = "limit" .. names, until_ = nil, ["until"] = "2026-03-01T12:00:10.000000Z" },
      told[2].data)
    app:drain()
    assert.same({ 0, 10, 20 }, starts())
    assert_whole()
  end)

  it("count each key for itself, a number as its text", function()
    local handler = define("keys", { { limit { rate = 1, per = 1 }, key = function(task) return task.context.tenant end } })
    submit(handler, 6, function(i) return { tenant = i % 3 } end)
    app:drain()
    assert.same({ 0, 0, 0, 1, 1, 1 }, starts())
    assert_whole()
  end)

  it("charge what a step costs", function()
    local name = limit { rate = 10, per = 1, burst = 10 }
    local handler = define("cost", { { name, cost = 5 } })
    submit(handler, 4)
    app:drain()
    assert.same({ 0, 0, 0.5, 1 }, starts())
  end)

  it("charge what a step says that it really cost", function()
    local name = limit { rate = 1, per = 1, burst = 10 }
    local dear = define("dear", { { name, cost = 10 } }, function(_, step)
      step:cost(name, 7)
      step:cost(name, 2)
    end)
    submit(dear, 2)
    app:drain()
    assert.same({ 0, 2 }, starts())
    assert_whole()
  end)

  it("take all limits of a step or none", function()
    local both, slow = limit { rate = 1, per = 1 }, limit { rate = 1, per = 100, burst = 1 }
    local needs_both = define("both", { both, slow })
    local needs_one = define("one", both)
    submit(needs_both, 3)
    app:advance(0)
    app:advance(5)
    local id = submit(needs_one, 1)[1]
    app:advance(0)
    assert.equal("complete", assert(app:task(id)).status)
    app:drain()
    assert.same({ 0, 5, 100, 200 }, starts())
    assert_whole()
  end)

  it("never let more run at once than may, and let those that wait go in their order", function()
    local running, most, order = 0, 0, {}
    local handler = define("places", limit { concurrency = 2 }, function(task)
      order[#order + 1] = task.context.i
      running = running + 1
      most = math.max(most, running)
      tasker.sleep(1)
      running = running - 1
    end)
    submit(handler, 7, function(i) return { i = i } end)
    app:drain()
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6, 7 }, order)
    assert.same({ 0, 0, 1, 1, 2, 2, 3 }, starts())
    assert_whole()
  end)

  it("give a place back when a step fails, and pass again before its next attempt", function()
    local name = limit { concurrency = 1 }
    local handler = tasker.handler { namespace = "limits", name = "fails", steps = { { name = "s", limits = name,
      retry = { limit = 2, backoff = "fixed", base = 1, jitter = "none" },
      run = function(task, step)
        return (step.attempt == 2 or not task.context.fails) or error "no"
      end } } }
    local first = assert(app:submit(handler, { fails = true }))
    local second = assert(app:submit(handler, {}))
    app:drain()
    assert.equal(2, assert(app:task(first)).steps.s.attempts)
    assert.equal("complete", assert(app:task(second)).status)
    assert_whole()
  end)

  it("give places back when what waits is cancelled, resolved or paused", function()
    local name = limit { rate = 1, per = 10 }
    local handler = define("given_back", name)
    local ids = submit(handler, 5)
    app:advance(0)
    assert(app:cancel(ids[2]))
    assert(app:resolve(ids[3], "s", 1))
    assert(app:pause(ids[4]))
    app:drain()
    assert.same({ 0, 10 }, starts())
    assert(app:resume(ids[4]))
    app:drain()
    assert.equal("complete", assert(app:task(ids[4])).status)
    assert_whole()
  end)

  it("belong to every step that runs when the handler names them", function()
    local name = limit { rate = 1, per = 1 }
    local handler = tasker.handler { namespace = "limits", name = "whole", limits = name, steps = {
      { name = "a", run = function() end }, { name = "b", run = function() end }, { name = "c", sleep = 0.5 } } }
    assert(app:submit(handler))
    app:drain()
    assert.same({ 0, 1 }, starts())
  end)

  it("follow new rules at once, also for what waits already", function()
    local name = limit { rate = 1, per = 3600 }
    local handler = define("faster", name)
    submit(handler, 4)
    app:advance(0)
    assert.is_true(app:set_limit(name, { per = 1 }))
    app:drain()
    assert.same({ 0, 1, 2, 3 }, starts())
    assert_whole()
  end)

  it("let more run at once when more may, and forget a limit that is taken away", function()
    local name = limit { concurrency = 1 }
    local running, most = 0, 0
    local handler = define("wider", name, function(task)
      running = running + 1
      most = math.max(most, running)
      if task.context.i == 1 then
        assert(tasker.app():set_limit(name, { concurrency = 3 }))
      end
      tasker.sleep(1)
      running = running - 1
    end)
    submit(handler, 4, function(i) return { i = i } end)
    app:drain()
    assert.equal(3, most)
    assert(app:set_limit(name, { concurrency = false, rate = 100 }))
    assert.same({ 0, 0, 0, 1 }, starts())
    assert_whole()
  end)

  it("keep rules set at run time when a file says what it said before", function()
    local name = limit { rate = 1, per = 10 }
    define("kept1", name)
    app:drain()
    assert(app:run("limits/kept1"))
    assert(app:set_limit(name, { rate = 7 }))
    define("kept2", name)
    assert(app:run("limits/kept2"))
    assert.equal(7, assert(app:limits { name = name })[1].rate)
    tasker.limit(name, { rate = 2, per = 10 })
    define("kept3", name)
    assert(app:run("limits/kept3"))
    assert.equal(2, assert(app:limits { name = name })[1].rate)
  end)

  it("are listed with what is used of them", function()
    local name = limit { rate = 1, per = 10, burst = 2, concurrency = 5 }
    local handler = define("listed", { { name, key = function(task) return task.context.k end } })
    submit(handler, 4, function(i) return { k = i < 4 and "many" or "few" } end)
    app:advance(0)
    local one = assert(app:limits { name = name, keys = 10 })[1]
    table.sort(one.keys, function(a, b) return a.key < b.key end)
    assert.same({ name = name, rate = 1, per = 10, burst = 2, concurrency = 5, keys_in_use = 2, running = 0, waiting = 1, keys = {
      { key = "few", running = 0, waiting = 0, free_at = "2026-03-01T12:00:10.000000Z" },
      { key = "many", running = 0, waiting = 1, free_at = "2026-03-01T12:00:20.000000Z" },
    } }, one)
    assert.is_nil(assert(app:limits { name = name })[1].keys)
    local none, err = app:limits { name = "nobody" }
    assert.is_nil(none)
    assert.equal("not_found", err.code)
  end)

  it("hold back the elements of a map, which wait as one", function()
    local name, places = limit { rate = 1, per = 1, burst = 2 }, limit { concurrency = 3 }
    local handler = tasker.handler { namespace = "limits", name = "map", steps = { { name = "each",
      map = function() return { 1, 2, 3, 4, 5 } end, limits = { { name, key = function() return "k" end }, places },
      run = function(_, step) return step.item * 2 end } } }
    local id = assert(app:submit(handler))
    app:advance(0)
    assert.equal("in_progress", assert(app:task(id)).steps.each.status)
    assert.equal(1, assert(app:limits { name = name })[1].waiting)
    app:drain()
    assert.same({ 2, 4, 6, 8, 10 }, assert(app:task(id)).results.each)
    assert.same({ 0, 0, 0, 1, 2, 3 }, starts())   -- the first is the map's own
    assert_whole()
  end)

  it("let a map that waits for them be cancelled, and its elements", function()
    local name = limit { rate = 1, per = 10 }
    local handler = tasker.handler { namespace = "limits", name = "map_cancel", steps = { { name = "each",
      map = function() return { 1, 2, 3 } end, limits = name, run = function(_, step) return step.item end } } }
    local first, second = assert(app:submit(handler)), assert(app:submit(handler))
    app:advance(0)
    assert(app:cancel(first))
    assert(app:cancel(second, nil, { step = "each[2]" }))
    app:drain()
    assert.equal("cancelled", assert(app:task(first)).status)
    assert.equal("error", assert(app:task(second)).status)
    assert_whole()
  end)

  it("are asked anew of what waits when its task moves to another version", function()
    local slow, fast = limit { rate = 1, per = 3600 }, limit { rate = 1, per = 10 }
    local function version(number, name)
      tasker.handler { namespace = "limits", name = "moves", version = number, steps = { { name = "s", run = function() end,
        limits = { { name, key = function(task) return task.context.k end } } } } }
    end
    version("1.0.0", slow)
    submit("limits/moves@1.0.0", 3, function() return { k = "one" } end)
    app:advance(0)
    version("2.0.0", fast)
    assert(app:migrate { handler = "limits/moves", from = "1.0.0", to = "2.0.0" })
    app:drain()
    assert.same({ 0, 0, 10 }, starts())
    assert_whole()
  end)

  it("put a step in error when its key cannot be one", function()
    local name = limit { rate = 1 }
    for _, value in ipairs { "", ("x"):rep(257), {}, true, "\255" } do
      local handler = define("bad_key", { { name, key = function() return value end } })
      local task = assert(app:run(handler))
      assert.equal("error", task.status)
      assert.matches("the key of limit '" .. name .. "' must be", task.steps.s.error.message)
      assert.equal(0, task.steps.s.attempts)
    end
    local task = assert(app:run(define("raises", { { name, key = function() error "no key" end } })))
    assert.matches("no key", task.steps.s.error.message)
  end)

  it("refuse what cannot be when it is said, naming what and where", function()
    local function refuses(text, ...)
      local ok, why = pcall(...)
      assert.is_false(ok)
      assert.matches(text, why, 1, true)
    end
    refuses("tasker.limit 'x': field 'rate' must be a number above 0", tasker.limit, "x", { rate = 0 })
    refuses("tasker.limit 'x': field 'concurrency' must be an integer from 1", tasker.limit, "x", { concurrency = 0 })
    refuses("tasker.limit 'x': field 'burst' must be an integer from 1", tasker.limit, "x", { rate = 1, burst = 0.5 })
    refuses("tasker.limit 'x': needs a 'rate' or a 'concurrency'", tasker.limit, "x", {})
    refuses("tasker.limit 'x': field 'burst' needs a 'rate'", tasker.limit, "x", { concurrency = 1, burst = 2 })
    refuses("tasker.limit 'x': field 'rat' is unknown; did you mean 'rate'?", tasker.limit, "x", { rat = 1 })
    refuses("tasker.limit: the name must be", tasker.limit, "a b", { rate = 1 })
    local name, places = limit { rate = 1, burst = 2 }, limit { concurrency = 1 }
    local at = "handler limits/bad@0.1.0: step 's': field 'limits' "
    refuses(at .. "names no limit 'nobody'", define, "bad", "nobody")
    refuses(at .. ("names '%s' twice"):format(name), define, "bad", { name, name })
    refuses(at .. ("limit '%s': field 'cost' is 3, more than the limit's burst of 2"):format(name), define, "bad",
      { { name, cost = 3 } })
    refuses(at .. ("limit '%s': field 'cost' must be an integer"):format(name), define, "bad", { { name, cost = 0 } })
    refuses(at .. ("limit '%s': field 'cost' is of its rate"):format(places), define, "bad", { { places, cost = 1 } })
    refuses(at .. ("limit '%s': field 'key' must be a function"):format(name), define, "bad", { { name, key = "k" } })
    refuses(at .. ("limit '%s': field 'kost' is unknown"):format(name), define, "bad", { { name, kost = 1 } })
    refuses("field 'limits' is not for a step with 'sleep'", tasker.handler,
      { name = "bad", steps = { { name = "s", sleep = 1, limits = name } } })
  end)

  it("answer an error when rules set at run time cannot be", function()
    local name = limit { rate = 1 }
    assert(app:run(define("set", name)))
    for _, case in ipairs { { "nobody", { rate = 1 }, "not_found" }, { name, { rate = false }, "invalid" },
      { name, { burst = 0 }, "invalid" }, { name, {}, "invalid" }, { "a b", { rate = 1 }, "invalid" },
      { name, { rate = -1 }, "invalid" } } do
      local ok, err = app:set_limit(case[1], case[2])
      assert.is_nil(ok)
      assert.equal(case[3], err.code)
    end
  end)
end)
