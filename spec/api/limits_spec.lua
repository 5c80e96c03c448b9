local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

describe("beyond its limit", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("a context is invalid: 1 MiB", function()
    local handler = harness.one_step(nothing)
    local room = 1024 * 1024 - #'{"x":""}'
    assert.is_truthy(app:submit(handler, { x = ("x"):rep(room) }))
    local err = harness.refused("invalid", "context", app:submit(handler, { x = ("x"):rep(room + 1) }))
    harness.names_limit(err.message, "1 MiB", 1048576)
  end)

  it("a context is invalid: nested 128 deep", function()
    local function nested(depth)
      local value = {}
      for _ = 2, depth do
        value = { x = value }
      end
      return value
    end
    local handler = harness.one_step(nothing)
    assert.is_truthy(app:submit(handler, nested(128)))
    harness.refused("invalid", { "context", "128" }, app:submit(handler, nested(129)))
  end)

  it("annotations are invalid: 64 a task", function()
    local handler = harness.one_step(nothing)
    local many = {}
    for i = 1, 64 do
      many["k" .. i] = i
    end
    assert.is_truthy(app:submit(handler, {}, { annotations = many }))
    many.k65 = 65
    harness.refused("invalid", { "annotations", "64" }, app:submit(handler, {}, { annotations = many }))
  end)

  it("submit_many is invalid: 10,000 entries", function()
    local handler = harness.one_step(nothing)
    local entries = {}
    for n = 1, 10001 do
      entries[n] = { handler, { n = n } }
    end
    harness.names_limit(harness.refused("invalid", {}, app:submit_many(entries)).message, 10000)
    entries[10001] = nil
    assert.equal(10000, #assert(app:submit_many(entries)))
  end)

  it("submit_many is invalid: 16 MiB", function()
    local handler = harness.one_step(nothing)
    local entries = {}
    for n = 1, 17 do
      entries[n] = { handler, { x = ("x"):rep(1024 * 1024 - 100) } }
    end
    harness.names_limit(harness.refused("invalid", {}, app:submit_many(entries)).message, "16 MiB", 16777216)
  end)

  it("a list of tasks is invalid: 100,000", function()
    harness.names_limit(harness.refused("invalid", "limit", app:tasks { limit = 100001 }).message, 100000)
    assert.same({}, app:tasks { limit = 100000 })
  end)

  it("results of resolve are invalid: 1 MiB", function()
    local id = app:submit(harness.one_step(nothing))
    local err = harness.refused("invalid", {}, app:resolve(id, "only", ("x"):rep(1024 * 1024)))
    harness.names_limit(err.message, "1 MiB", 1048576)
    assert.equal("ready", app:task(id).steps.only.status)
  end)

  it("what decode and encode of tasker.json take is not bounded by what the store takes", function()
    local text = ("["):rep(1000) .. ("]"):rep(1000)
    assert.equal(text, tasker.json.encode(assert(tasker.json.decode(text))))
  end)
end)

describe("at its limit", function()
  after_each(harness.clean)

  it("a task of 10,000 steps runs", function()
    local app = harness.open "memory"
    local steps, count = {}, 0
    for i = 1, 10000 do
      steps[i] = { name = "s" .. i, run = function() count = count + 1 end }
    end
    local task = app:run(harness.handler { steps = steps })
    assert.equal("complete", task.status)
    assert.equal(10000, count)
    assert.equal(10000, #task.steps)
  end)

  it("a step may depend on 9,999 others", function()
    local app = harness.open "lmdb"
    local steps, names = {}, {}
    for i = 1, 9999 do
      names[i] = "s" .. i
      steps[i] = { name = names[i], run = nothing }
    end
    steps[10000] = { name = "join", depends_on = names, run = function(task) return task.results.s9999 == nil end }
    local task = app:run(harness.handler { steps = steps })
    assert.equal("complete", task.status)
    assert.is_true(task.results.join)
  end)
end)
