local core = require "tasker.core"
local tasker = require "tasker"
local handler = require "tasker.handler"
local step = require "tasker.step"
local step_view = require "tasker.step_view"

local json = core.json

-- An engine as far as a step needs one: payloads by "which:index", and what was written to it.
local function new_engine(given)
  local engine = { reads = {}, written = {} }
  local function read(name)
    engine.reads[#engine.reads + 1] = name
    return given[name]
  end
  function engine.context() return read "context" end
  function engine.info() return read "info" end
  function engine.annotations() return given.annotations or "{}" end
  function engine.payload(_, _, index, which) return read(which .. ":" .. index) end
  for _, name in ipairs { "heartbeat", "log_step" } do
    engine[name] = function(_, _, text)
      engine.written[#engine.written + 1] = name .. " " .. text
      return true
    end
  end
  function engine.annotate_step(_, _, name, text)
    engine.written[#engine.written + 1] = "annotate " .. name .. " " .. text
    return true
  end
  return engine
end

-- Runs one step of a handler; returns what step.run does, and the engine.
local function attempt(steps, index, given, fields)
  local made = assert(handler.new { namespace = "shop", name = "order", version = "1.0.0", steps = steps })
  local engine = new_engine(given or {})
  step.bind(engine, 1, step_view.plan(made))
  local run = { engine = engine, task_no = 1, task_id = "T", definition = 1, step = index, template = index, attempt = 1, failures = 0,
    task_attempt = 1, priority = 5, has_inputs = false, has_progress = false }
  for name, value in pairs(fields or {}) do
    run[name] = value
  end
  return { step.run(run) }, engine, run
end

local function attempt_one(run, fields, given)
  return attempt({ { name = "a", run = run, retry = fields and fields.retry } }, 1, given, fields and fields.run)
end

describe("the outcome of a step", function()
  it("is its value as JSON", function()
    assert.same({ "done", '{"a":1}' }, (attempt_one(function() return { a = 1 } end)))
    assert.same({ "done", "[]" }, (attempt_one(function() return tasker.array {} end)))
    assert.same({ "done", "5" }, (attempt_one(function() return 5 end)))
    assert.same({ "done", "false" }, (attempt_one(function() return false end)))
  end)

  it("is null for nothing, nil and null", function()
    assert.same({ "done", "null" }, (attempt_one(function() end)))
    assert.same({ "done", "null" }, (attempt_one(function() return nil end)))
    assert.same({ "done", "null" }, (attempt_one(function() return tasker.null end)))
  end)

  it("is a failure when it raises, with the traceback of the user's code only", function()
    local got = attempt_one(function() error("boom") end)
    assert.equal("failed", got[1])
    assert.is_true(got[3])
    local kept = json.decode(got[2])
    assert.truthy(kept.message:find("boom", 1, true))
    assert.equal("error", kept.code)
    assert.is_true(kept.retryable)
    assert.truthy(kept.traceback:find("step_spec.lua", 1, true))
    assert.falsy(kept.traceback:find("xpcall", 1, true))
  end)

  it("is a failure when it returns nil and an err", function()
    local got = attempt_one(function() return nil, { code = "http_503", message = "busy", retry_after = 7 } end)
    assert.same({ "failed", 7 }, { got[1], got[4] })
    assert.equal("http_503", json.decode(got[2]).code)
    assert.equal("failed", attempt_one(function() return io.open("/nonexistent/file") end)[1])
  end)

  it("is not retried when the error is permanent", function()
    local got = attempt_one(function() error(tasker.permanent("declined", { code = "declined" })) end)
    assert.same({ "failed", false }, { got[1], got[3] })
    assert.equal("declined", json.decode(got[2]).code)
    assert.is_false(json.decode(got[2]).retryable)
  end)

  it("is retried after what retry_after says", function()
    local got = attempt_one(function() error(tasker.retry_after(30, "busy")) end)
    assert.same({ "failed", true, 30 }, { got[1], got[3], got[4] })
  end)

  it("is a snooze, returned or raised", function()
    assert.same({ "snooze", 30 }, (attempt_one(function() return tasker.snooze(30) end)))
    assert.same({ "snooze", 0 }, (attempt_one(function() error(tasker.snooze(0)) end)))
  end)

  it("is a failure that says where, for what JSON cannot hold", function()
    local got = attempt_one(function() return { list = { 1, { f = print } } } end)
    assert.equal("failed", got[1])
    assert.truthy(json.decode(got[2]).message:find("list[2].f", 1, true))
    for _, value in ipairs { 0 / 0, "\xff", { [3] = 1 }, { 1, a = 1 } } do
      assert.equal("failed", attempt_one(function() return value end)[1])
    end
    local cycle = {}
    cycle.cycle = cycle
    assert.equal("failed", attempt_one(function() return cycle end)[1])
  end)

  it("is a failure that names the limit, for results over one mebibyte", function()
    local got = attempt_one(function() return ("x"):rep(1024 * 1024) end)
    assert.equal("failed", got[1])
    assert.truthy(json.decode(got[2]).message:find("1048576", 1, true))
  end)

  it("keeps of an error at most 64 KiB, valid UTF-8", function()
    for _, text in ipairs { ("x"):rep(1000000), ("\xff"):rep(1000000), ("\1"):rep(1000000), "a\xffb" } do
      local got = attempt_one(function() error({ message = text, code = "big", blob = text, f = print }) end)
      assert.is_true(#got[2] <= 65536)
      local kept = assert(json.decode(got[2]))
      assert.equal("big", kept.code)
    end
    local kept = json.decode(attempt_one(function() error({ message = "a\xffb", f = print, n = 1 }) end)[2])
    assert.equal("a\u{FFFD}b", kept.message)
    assert.equal(1, kept.details.n)
    assert.is_string(kept.details.f)
  end)
end)

describe("a custom strategy", function()
  local function failing(strategy, fields)
    return attempt_one(function() error("boom") end, { retry = { limit = 3, backoff = strategy }, run = fields })
  end

  it("gives the delay of the next attempt", function()
    local got = failing(function(n, err, view)
      assert(err.message:find("boom") and view.name == "a" and view.retry_limit == 3)
      return n * 10
    end, { attempt = 2, failures = 1 })
    assert.equal(20, got[4])
  end)

  it("is not asked when there is no next attempt", function()
    local asked = false
    local got = failing(function() asked = true return 1 end, { attempt = 3, failures = 2 })
    assert.same({ "failed", false }, { got[1], asked })
  end)

  it("that fails leaves the default, and the log says so", function()
    local got, engine = failing(function() return "soon" end)
    assert.is_nil(got[4])
    assert.truthy(engine.written[1]:find("strategy", 1, true))
  end)

  it("can be registered by name", function()
    tasker.backoff("step-spec", function() return 4 end)
    assert.equal(4, failing("step-spec")[4])
  end)
end)

describe("what a step sees of its task", function()
  local steps = {
    { name = "reserve", run = print },
    { name = "charge", run = print, depends_on = "reserve" },
    { name = "other", run = print },
    { name = "ship", depends_on = "charge", run = function(task, view) return _G.look(task, view) end },
  }
  local given = {
    context = '{"order_id":7,"note":null}', info = '{"tags":["vip"],"initiator":"ann","source_system":"unknown","reason":"r",'
      .. '"parent_task_id":null}',
    ["results:1"] = '{"reserved":1}', ["results:2"] = "null", ["error:1"] = '{"message":"late"}',
  }

  local function look(fn, fields)
    rawset(_G, "look", fn)
    local got, engine = attempt(steps, 4, given, fields)
    rawset(_G, "look", nil)
    return got, engine
  end

  it("is the task's fields", function()
    local got = look(function(task)
      return { task.task_id, task.namespace, task.name, task.version, task.context.order_id, task.tags[1], task.initiator,
        task.source_system, task.reason, task.priority, task.attempt_of_task, task.parent_task_id == nil,
        task.schedule == nil, task.context.note == tasker.null }
    end)
    assert.same({ "T", "shop", "order", "1.0.0", 7, "vip", "ann", "unknown", "r", 5, 1, true, true, true }, json.decode(got[2]))
  end)

  it("is read only when touched, and once", function()
    local _, engine = look(function() end)
    assert.same({}, engine.reads)
    _, engine = look(function(task) return task.context.order_id + task.context.order_id end)
    assert.same({ "context" }, engine.reads)
  end)

  it("is the results of what it depends on, directly or not; null reads as nil", function()
    local got = look(function(task) return { task.results.reserve.reserved, task.results.charge == nil, task.errors.reserve.message } end)
    assert.same({ 1, true, "late" }, json.decode(got[2]))
    got = look(function(task)
      local names = {}
      for name in pairs(task.results) do names[#names + 1] = name end
      return names
    end)
    assert.same({ "reserve" }, json.decode(got[2]))
  end)

  it("refuses the results of others, naming both, at the line that reads them", function()
    local kept = json.decode(look(function(task) return task.results.other end)[2])
    assert.truthy(kept.message:find("'ship'", 1, true) and kept.message:find("'other'", 1, true))
    assert.truthy(kept.message:find("^[^:]*step_spec.lua:%d+:"), kept.message)
    kept = json.decode(look(function(task) return task.results.reserv end)[2])
    assert.truthy(kept.message:find("did you mean 'reserve'", 1, true), kept.message)
    kept = json.decode(look(function(task) return task.errors.ship end)[2])
    assert.truthy(kept.message:find("'ship'", 1, true))
  end)

  it("is a value: writing to it changes nothing outside", function()
    local _, engine = look(function(task)
      task.context.order_id = 8
      task.results.reserve.reserved = 2
      task.name = "x"
      return task.name
    end)
    assert.same({}, engine.written)
  end)
end)

describe("what a step sees of itself", function()
  it("is name, attempt, limit, key, inputs and progress", function()
    local got = attempt({ { name = "a", run = function(_, view)
      return { view.name, view.attempt, view.retry_limit, view.idempotency_key, view.inputs == nil, view.progress }
    end } }, 1, { ["progress:1"] = '"half"' }, { attempt = 2, has_progress = true })
    assert.same({ "a", 2, 3, "T:a", true, "half" }, json.decode(got[2]))
  end)

  it("has the inputs that were asked for", function()
    local steps = { { name = "a", inputs = function(task) return { twice = task.context.n * 2 } end,
      run = function(_, view) return view.inputs.twice end } }
    local context = { context = '{"n":4}' }
    assert.same({ "answer", '{"twice":8}' }, (attempt(steps, 1, context, { attempt = 0 })))
    assert.same({ "done", "8" }, (attempt(steps, 1, { ["inputs:1"] = '{"twice":8}' }, { has_inputs = true })))
    local fixed = { { name = "a", inputs = { n = { 1 } }, run = print } }
    assert.same({ "answer", '{"n":[1]}' }, (attempt(fixed, 1, {}, { attempt = 0 })))
  end)

  it("fails to ask when the inputs raise or cannot be JSON", function()
    for _, inputs in ipairs { function() error("boom") end, function() return print end } do
      local got = attempt({ { name = "a", run = print, inputs = inputs } }, 1, {}, { attempt = 0 })
      assert.equal("ask_failed", got[1])
      assert.is_false(json.decode(got[2]).retryable)
    end
  end)

  it("can say how far it is, annotate and log", function()
    local got, engine = attempt_one(function(_, view)
      assert(view:heartbeat { at = 5 })
      assert(view:annotate("carrier", "dhl"))
      assert(view:log("info", "half way", { n = 1 }))
    end)
    assert.equal("done", got[1], got[2])
    assert.same({ 'heartbeat {"at":5}', 'annotate carrier "dhl"',
      'log_step {"fields":{"n":1},"level":"info","message":"half way"}' }, engine.written)
  end)

  it("raises invalid for an annotation too many, and takes a new value of one that is there", function()
    local many = {}
    for i = 1, 63 do
      many["k" .. i] = i
    end
    local got, engine = attempt_one(function(_, view)
      view:annotate("k1", "again")
      view:annotate("k64", 1)
      view:annotate("k65", 1)
    end, nil, { annotations = json.encode(many) })
    local kept = json.decode(got[2])
    assert.same({ "invalid", "step:annotate: a task has at most 64 annotations" }, { kept.code, kept.message })
    assert.same({ 'annotate k1 "again"', "annotate k64 1" }, engine.written)
  end)

  it("refuses misuse of its methods", function()
    for _, misuse in ipairs { function(_, view) view.heartbeat(5) end, function(_, view) view:log("loud", "x") end,
      function(_, view) view:annotate("a b", 1) end, function(_, view) view:heartbeat(print) end } do
      assert.equal("failed", attempt_one(misuse)[1])
    end
  end)
end)

describe("an attempt ended from outside", function()
  it("failed with the code it is told, retryable", function()
    local _, _, run = attempt_one(function() end)
    local got = { step.interrupted(run, "timeout", "no answer within 5 s") }
    assert.same({ "failed", true }, { got[1], got[3] })
    assert.same({ code = "timeout", message = "no answer within 5 s", retryable = true }, json.decode(got[2]))
  end)
end)
