--- How work ends: by app:stop, by signals, by time, by cancel; and what it gives back.
local harness = require "spec.support.harness"
local tasker = require "tasker"

local process = harness.process

local function own_pid()
  return process.read_file("/proc/self/stat"):match "^%d+"
end

describe("app:stop in a step", function()
  after_each(harness.clean)

  it("returns at once, the step may finish, nothing new starts", function()
    local app = harness.open "memory"
    local stopped_in
    local stopping = app:submit(harness.one_step(function()
      local before = tasker.now()
      app:stop()
      stopped_in = tasker.now() - before
      tasker.sleep(0.05)
      return "finished"
    end), nil, { priority = 1 })
    local next_one = app:submit(harness.one_step(function() return 1 end))
    assert.is_true(app:work { concurrency = 1 })
    assert.is_true(stopped_in < 0.05)
    assert.equal("finished", app:task(stopping).results.only)
    assert.equal("ready", app:task(next_one).steps.only.status)
    assert.equal(0, app:task(next_one).steps.only.attempts)
    assert.is_true(app:work { until_idle = true })
    assert.equal("complete", app:task(next_one).status)
  end)

  it("ends work with threads", function()
    local app = harness.open "memory"
    local file = process.write_file(harness.temp_dir() .. "/stop.lua", [[
      local tasker = require "tasker"
      tasker.handler { name = "stopper", steps = { { name = "a", run = function() tasker.app():stop() return "done" end } } }
    ]])
    assert(app:work { files = { file }, until_idle = true })
    local id = app:submit "stopper"
    assert.is_true(app:work { files = { file }, threads = 3 })
    assert.equal("done", app:task(id).results.a)
  end)
end)

describe("the watch of work", function()
  after_each(harness.clean)

  for _, threads in ipairs { 0, 2 } do
    it(("sees the log grow and may stop the work, threads = %d"):format(threads), function()
      local app = harness.open "memory"
      local file = process.write_file(harness.temp_dir() .. "/watched.lua", [[
        require("tasker").handler { name = "watched", steps = { { name = "a", run = function() return 1 end } } }
      ]])
      if threads == 0 then
        dofile(file)
      else
        assert(app:work { files = { file }, until_idle = true })
      end
      local id = app:submit "watched"
      local calls = 0
      assert.is_true(app:work {
        threads = threads > 0 and threads or nil, files = threads > 0 and { file } or nil, watch_interval = 0.01,
        watch = function()
          calls = calls + 1
          if app:task(id).status == "complete" then
            app:stop()
          end
        end,
      })
      assert.equal("complete", app:task(id).status)
      assert.is_true(calls > 0)
    end)
  end
end)

describe("work in a step", function()
  after_each(harness.clean)

  it("raises", function()
    local app = harness.open "memory"
    local step = harness.outcome(app, function() app:work { until_idle = true } end, { retry = { limit = 1 } })
    harness.contains("app:work cannot be called", step.error.message)
  end)

  it("does not let its app be closed", function()
    local app = harness.open "memory"
    local step = harness.outcome(app, function()
      local ok, err = app.engine:close()
      return { ok == nil, err.code }
    end)
    assert.same({ true, "refused" }, step.results)
  end)
end)

describe("SIGTERM", function()
  after_each(harness.clean)

  it("lets what runs finish in the calling state, gives back what waits to start", function()
    local app = harness.open "memory"
    local ids = {}
    local handler = harness.one_step(function()
      os.execute("kill -TERM " .. own_pid())
      tasker.sleep(0.1)
      return "finished"
    end)
    for n = 1, 3 do
      ids[n] = app:submit(handler)
    end
    assert.is_true(app:work { concurrency = 1 })
    assert.equal("finished", app:task(ids[1]).results.only)
    assert.equal("ready", app:task(ids[2]).steps.only.status)
    assert.equal("pending", app:task(ids[3]).status)
  end)

  local function start(body, signal_twice)
    local app, url = harness.open "lmdb"
    local script = process.write_file(harness.temp_dir() .. "/work.lua", ([[
      local tasker = require "tasker"
      local app = assert(tasker.open(arg[1]))
      tasker.handler { name = "endless", steps = { { name = "a", timeout = false, run = function(task, step) %s end } } }
      local id = app:submit "endless"
      print(app:work {})
      print(app:task(id).steps.a.status)
      print(#app:events { after = 0, task_id = id })
    ]]):format(body))
    local child = harness.start { process.program(), script, url }
    harness.eventually(function() return #harness.events_of(app, "step.started") > 0 end, 20, "it runs")
    local before = tasker.now()
    child:kill "TERM"
    if signal_twice then
      harness.eventually(function()
        child:kill "TERM"
        return not child:running()
      end, 5, "it has ended")
    end
    harness.eventually(function() return not child:running() end, 20, "it has ended")
    return child, tasker.now() - before, app
  end

  it("gives back a step that waits, within 20 s #slow", function()
    local child, took = start "tasker.sleep(600)"
    assert.equal(0, child:status(), child:stderr())
    harness.contains("true\nready", child:stdout())
    assert.is_true(took > 5 and took < 20)
  end)

  it("gives back a step that loops and catches everything, within 20 s #slow", function()
    local child, took, app = start "while true do pcall(function() while true do end end) end"
    assert.equal(0, child:status(), child:stderr())
    harness.contains("true\nready", child:stdout())
    assert.is_true(took < 20)
    assert.equal(0, #harness.events_of(app, "step.failed"))
  end)

  it("ends the process when it comes twice", function()
    local child = start("tasker.sleep(600)", true)
    assert.equal(128 + 15, child:status())
  end)

  it("is as before once work has returned", function()
    local script = process.write_file(harness.temp_dir() .. "/after.lua", [[
      local tasker = require "tasker"
      local app = assert(tasker.open "memory:")
      tasker.handler { name = "one", steps = { { name = "a", run = function() return 1 end } } }
      app:run("one")
      os.execute("kill -TERM " .. io.open("/proc/self/stat"):read "n")
      print "still here"
    ]])
    local result = process.run { process.program(), script }
    assert.equal(128 + 15, result.status)
    assert.equal("", result.stdout)
  end)
end)

describe("until_idle = seconds", function()
  after_each(harness.clean)

  it("returns true at its cap, and gives back what runs longer", function()
    local app = harness.open "memory"
    local id = app:submit(harness.one_step(function() tasker.sleep(60) end))
    local before = tasker.now()
    assert.is_true(app:work { until_idle = 0.1 })
    assert.is_true(tasker.now() - before < 5)
    assert.equal("ready", app:task(id).steps.only.status)
    assert.equal(0, #harness.events_of(app, "step.failed"))
  end)
end)

describe("cancel", function()
  after_each(harness.clean)

  it("closes a step that waits, and its outcome does not count", function()
    local app = harness.open "memory"
    local closed, went_on
    local id = app:submit(harness.one_step(function()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      tasker.sleep(30)
      went_on = true
      return guard
    end))
    app:submit(harness.one_step(function()
      tasker.sleep(0.05)
      app:cancel(id, "enough")
    end))
    local before = tasker.now()
    assert(app:work { until_idle = true })
    assert.is_true(tasker.now() - before < 10)
    assert.equal("cancelled", app:task(id).status)
    assert.is_true(closed)
    assert.is_nil(went_on)
  end)
end)

describe("a thousand steps that sleep", function()
  after_each(harness.clean)

  it("take about the time of one", function()
    local app = harness.open "memory"
    local handler, list = harness.one_step(function() tasker.sleep(0.5) end), {}
    for n = 1, 1000 do
      list[n] = { handler }
    end
    assert(app:submit_many(list))
    local before = tasker.now()
    assert(app:work { until_idle = true, concurrency = 1000 })
    assert.equal(1000, app.engine:count { status = "complete" })
    assert.is_true(tasker.now() - before < 10)
  end)
end)

describe("an app's calls in a step", function()
  after_each(harness.clean)

  it("wait for another task while other steps run", function()
    local app = harness.open "memory"
    local child = harness.one_step(function()
      tasker.sleep(0.05)
      return "child"
    end)
    local step = harness.outcome(app, function()
      local id = app:submit(child)
      return app:wait(id, 10).results.only
    end)
    assert.equal("child", step.results)
  end)

  it("give up waiting in time", function()
    local app = harness.open "memory"
    local step = harness.outcome(app, function()
      local id = app:submit(harness.one_step(function() return 1 end), nil, { delay = 3600 })
      local task, err = app:wait(id, 0.05)
      app:cancel(id)
      return { task == nil, err.code }
    end)
    assert.same({ true, "timeout" }, step.results)
  end)
end)

describe("an idle worker", function()
  after_each(harness.clean)

  it("does not wake up #slow", function()
    local _, url = harness.open "lmdb"
    local script = process.write_file(harness.temp_dir() .. "/idle.lua", [[
      local tasker = require "tasker"
      local app = assert(tasker.open(arg[1]))
      tasker.handler { name = "one", steps = { { name = "a", run = function() return 1 end } } }
      assert(app:work {})
    ]])
    local child = harness.start { process.program(), script, url }
    local function switches()
      local sum, threads = 0, 0
      for status in io.popen(("cat /proc/%d/task/*/status"):format(child.pid)):lines() do
        local count = status:match "^voluntary_ctxt_switches:%s*(%d+)"
        if count then
          sum, threads = sum + tonumber(count), threads + 1
        end
      end
      return sum, threads
    end
    harness.eventually(function() return select(2, switches()) >= 3 end, 10, "its threads run")
    tasker.sleep(1)
    local before = switches()
    tasker.sleep(4)
    assert.is_true(switches() - before < 4)
  end)
end)
