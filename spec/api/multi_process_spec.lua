local harness = require "spec.support.harness"
local tasker = require "tasker"

local process = harness.process
local it_ends_loops = harness.it_ends_loops(it, pending)

--- A handler file whose steps write what they do, a line each, to the file that $TRACE names.
local handlers = [[
local tasker = require "tasker"
local function trace(task, step, what)
  local file <close> = assert(io.open(os.getenv "TRACE", "a"))
  file:write(("%s %s %d %s\n"):format(task.task_id, step.name, step.attempt, what))
end
tasker.handler { namespace = "mp", name = "chain", chain = true, steps = {
  { name = "a", run = function(task, step) trace(task, step, "ran") return { n = task.context.n } end },
  { name = "b", run = function(task, step) trace(task, step, "ran") return { n = task.results.a.n + 1 } end },
  { name = "c", run = function(task, step) trace(task, step, "ran") return { n = task.results.b.n + 1 } end },
} }
tasker.handler { namespace = "mp", name = "slow", steps = {
  { name = "a", retry = { limit = 1 }, run = function(task, step)
      trace(task, step, "started")
      if step.attempt == 1 then tasker.sleep(60) end
      return { attempt = step.attempt }
    end },
} }
tasker.handler { namespace = "mp", name = "stubborn", steps = {
  { name = "a", retry = { limit = 1 }, run = function(task, step)
      trace(task, step, "started")
      if step.attempt == 1 then while true do end end
      return { attempt = step.attempt }
    end, timeout = false },
} }
]]

describe("several processes on one store", function()
  local dir, file, trace, app, url
  before_each(function()
    dir = harness.temp_dir()
    file = process.write_file(dir .. "/handlers.lua", handlers)
    trace = process.write_file(dir .. "/trace", "")
    app, url = harness.open "lmdb"
  end)
  after_each(harness.clean)

  local function worker(...)
    return harness.start { process.program(), "worker", file, "--store", url, ..., env = { TRACE = trace } }
  end

  --- Until a worker has put the handlers into the store.
  local function defined(name)
    return harness.eventually(function() return app:submit("mp/" .. name, {}, { delay = 3600, identity_key = "probe" }) end, 20,
      "the handlers are defined")
  end

  local function traced()
    return process.read_file(trace)
  end

  it("work each step once, in order, whoever submits", function()
    worker()
    worker()
    defined "chain"
    local ids = {}
    for n = 1, 100 do
      ids[n] = assert(app:submit("mp/chain", { n = n }))
    end
    for n, id in ipairs(ids) do
      local task = assert(app:wait(id, 30))
      assert.equal("complete", task.status)
      assert.equal(n + 2, task.results.c.n)
    end
    local seen, count = {}, 0
    for id, name in traced():gmatch "(%S+) (%S+) 1 ran\n" do
      assert.is_nil(seen[id .. name])
      seen[id .. name] = true
      count = count + 1
    end
    assert.equal(300, count)
  end)

  it("make one task of one identity, whatever the number of processes", function()
    local script = process.write_file(dir .. "/submit.lua", [[
      local tasker = require "tasker"
      local handler = tasker.handler { name = "once", identity = "hash", steps = { { name = "a", run = function() end } } }
      local app = assert(tasker.open(arg[1]))
      local created = 0
      for n = 1, 200 do
        local _, new = assert(app:submit(handler, { n = n }))
        if new then created = created + 1 end
      end
      print(created)
      app:close()
    ]])
    local children = {}
    for n = 1, 3 do
      children[n] = harness.start { process.program(), script, url }
    end
    local created = 0
    for _, child in ipairs(children) do
      harness.eventually(function() return not child:running() end, 30, "the submitter has ended")
      assert.equal(0, child:status(), child:stderr())
      created = created + tonumber(child:stdout())
    end
    assert.equal(200, created)
    assert.equal(200, #app:tasks { limit = 1000 })
  end)

  it("see each other's commits at once", function()
    local script = process.write_file(dir .. "/observe.lua", [[
      local app = assert(require("tasker").open(arg[1]))
      print(#app:tasks {})
      app:close()
    ]])
    assert(app:submit(harness.one_step(function() end)))
    assert.equal("1\n", process.run({ process.program(), script, url }).stdout)
  end)

  it("take over what a killed one held, within a second, as lost and not counted", function()
    local first = worker()
    defined "slow"
    local id = assert(app:submit "mp/slow")
    harness.eventually(function() return traced():find(id .. " a 1 started", 1, true) end, 20, "the first attempt has started")
    worker()
    first:kill "KILL"
    local killed = tasker.now()
    local task = assert(app:wait(id, 20))
    assert.equal("complete", task.status)
    assert.equal(2, task.steps.a.attempts)
    assert.same({ attempt = 2 }, task.results.a)
    local failed = harness.events_of(app, "step.failed", id)
    assert.equal(1, #failed)
    assert.equal("lost", failed[1].data.error.code)
    local started = harness.events_of(app, "step.started", id)
    assert.is_true(tasker.time.parse(started[2].at) - killed < 5)
  end)

  it("get back what a terminated one could not finish, without a failure #slow", function()
    local first = worker()
    defined "slow"
    local id = assert(app:submit "mp/slow")
    harness.eventually(function() return traced():find(id .. " a 1 started", 1, true) end, 20, "the first attempt has started")
    first:kill "TERM"
    harness.eventually(function() return not first:running() end, 20, "the worker has ended")
    assert.equal(0, first:status(), first:stderr())
    assert.equal("ready", app:task(id).steps.a.status)
    assert.same({}, harness.events_of(app, "step.failed", id))
    worker()
    local task = assert(app:wait(id, 20))
    assert.equal("complete", task.status)
    assert.equal(2, task.steps.a.attempts)
  end)

  it_ends_loops("can cancel what another one runs, also Lua that loops", function()
    worker()
    defined "stubborn"
    local id = assert(app:submit "mp/stubborn")
    harness.eventually(function() return traced():find(id .. " a 1 started", 1, true) end, 20, "it loops")
    assert.equal("cancelled", assert(app:cancel(id, "enough")).status)
    local after = assert(app:submit("mp/chain", { n = 1 }))
    assert.equal("complete", assert(app:wait(after, 20)).status)
    assert.equal("cancelled", app:task(id).steps.a.status)
  end)

  it("go on after one was stopped and continued: what it did meanwhile is fenced", function()
    local first = worker()
    defined "slow"
    local id = assert(app:submit "mp/slow")
    harness.eventually(function() return traced():find(id .. " a 1 started", 1, true) end, 20, "the first attempt has started")
    first:kill "STOP"
    assert(app:cancel(id))
    first:kill "CONT"
    local after = assert(app:submit("mp/chain", { n = 1 }))
    assert.equal("complete", assert(app:wait(after, 20)).status)
    assert.equal("cancelled", app:task(id).status)
  end)

  it("follow what others do", function()
    worker()
    defined "chain"
    local after = #app:events()
    local id = assert(app:submit("mp/chain", { n = 1 }))
    local names = {}
    app:follow({ after = after }, function(event)
      if event.task_id == id then names[#names + 1] = event.event end
      return event.event ~= "task.completed"
    end)
    assert.equal("task.created", names[1])
    assert.equal("task.completed", names[#names])
  end)
end)

describe("one process that opens a store twice", function()
  after_each(harness.clean)

  it("has one environment underneath, and each app closes for itself", function()
    local first, url = harness.open "lmdb"
    local second = harness.reopen(url)
    local id = first:submit(harness.one_step(function() return 1 end))
    assert.equal(id, second:task(id).task_id)
    first:close()
    assert.equal("pending", second:task(id).status)
    second:work { until_idle = true }
    assert.equal("complete", second:task(id).status)
    second:close()
    assert.equal("complete", harness.reopen(url):task(id).status)
  end)

  it("keeps what was acknowledged when it is opened again", function()
    local app, url = harness.open "lmdb"
    local handler = harness.one_step(function() return "kept" end)
    local done, open = app:run(handler).task_id, app:submit(handler)
    app:close()
    app = harness.reopen(url)
    assert.equal("kept", app:task(done).results.only)
    app:work { until_idle = true }
    assert.equal("complete", app:task(open).status)
  end)

  it("has memory stores that share nothing", function()
    local one, two = harness.open "memory", harness.open "memory"
    one:submit(harness.one_step(function() end))
    assert.equal(1, #one:tasks {})
    assert.equal(0, #two:tasks {})
  end)
end)
