local harness = require "spec.support.harness"
local tasker = require "tasker"

local function one_step()
  return harness.handler { steps = { { name = "only", run = function() end } } }
end

for _, kind in ipairs(harness.kinds) do
  describe("tasker.on, on " .. kind .. ",", function()
    local app, ends

    before_each(function()
      app = harness.open(kind)
      ends = {}
    end)
    after_each(function()
      for _, unsubscribe in ipairs(ends) do
        unsubscribe()
      end
      harness.clean()
    end)

    local function on(pattern, fn)
      ends[#ends + 1] = tasker.on(pattern, fn)
      return ends[#ends]
    end

    local function collect(pattern)
      local seen = {}
      return seen, on(pattern, function(event) seen[#seen + 1] = event.event end)
    end

    it("tells what is committed while this state works, in order", function()
      local all, steps, done = collect "*", collect "step.*", collect "task.completed"
      app:run(one_step(), {})
      assert.same({ "task.created", "task.started", "step.started", "step.completed", "task.completed" }, all)
      assert.same({ "step.started", "step.completed" }, steps)
      assert.same({ "task.completed" }, done)
    end)

    it("gives the event as app:events does", function()
      local seen = {}
      on("*", function(event) seen[#seen + 1] = event end)
      app:run(one_step(), {})
      assert.same(app:events {}, seen)
    end)

    it("takes a list of patterns", function()
      local seen = collect { "task.created", "*.completed" }
      app:run(one_step(), {})
      assert.same({ "task.created", "step.completed", "task.completed" }, seen)
    end)

    it("tells nothing that was committed before", function()
      app:run(one_step(), {})
      local seen = collect "*"
      app:work { until_idle = true }
      assert.same({}, seen)
    end)

    it("tells nothing more after the function it returned was called", function()
      local seen, off = collect "*"
      app:run(one_step(), {})
      local count = #seen
      off()
      off()
      app:run(one_step(), {})
      assert.equal(count, #seen)
    end)

    it("can end itself, and subscribe another, in the middle", function()
      local seen, later, off = 0, {}, nil
      off = on("task.*", function()
        seen = seen + 1
        off()
        on("*", function(event) later[#later + 1] = event.event end)
      end)
      app:run(one_step(), {})
      assert.equal(1, seen)
      assert.equal("task.completed", later[#later])
    end)

    it("goes on after a function that raises", function()
      on("task.created", function() error("on purpose") end)
      local seen = collect "*"
      assert.equal("complete", app:run(one_step(), {}).status)
      assert.equal("task.completed", seen[#seen])
    end)

    it("may change tasks from a function", function()
      local handler = one_step()
      local second
      on("task.completed", function(event)
        if not second then second = app:submit(handler, { after = event.task_id }) end
      end)
      app:run(handler, {})
      app:work { until_idle = true }
      assert.equal("complete", app:task(second).status)
    end)

    it("tells of what steps subscribe to while they run", function()
      local seen = {}
      local handler = harness.handler { chain = true, steps = {
        { name = "asks", run = function() on("step.*", function(event) seen[#seen + 1] = event.step .. " " .. event.event end) end },
        { name = "more", run = function() end },
      } }
      app:run(handler, {})
      assert.same({ "asks step.completed", "more step.started", "more step.completed" }, seen)
    end)

    it("is served before wait returns", function()
      local seen = collect "*"
      local id = app:submit(one_step(), {})
      local task, err = app:wait(id, 0)
      assert.is_nil(task)
      assert.equal("timeout", err.code)
      assert.same({ "task.created" }, seen)
      app:work { until_idle = true }
      local count = #seen
      assert.equal("complete", app:wait(id, 1).status)
      assert.equal(count, #seen)
    end)

    it("is served while following", function()
      local seen = collect "task.completed"
      app:run(one_step(), {})
      local off = collect "step.*"
      local id = app:submit(one_step(), {})
      app:follow({ after = app:events {}[1].seq }, function(event) return event.task_id ~= id end)
      app:work { until_idle = true }
      assert.equal(2, #seen)
      assert.same({ "step.started", "step.completed" }, off)
    end)

    it("refuses a pattern that means nothing, and what is no function", function()
      assert.error_matches(function() tasker.on("step.finished", print) end, "tasker.on: the pattern 'step.finished' is none of")
      assert.error_matches(function() tasker.on("step.complete", print) end, "did you mean 'step.completed'")
      assert.error_matches(function() tasker.on(1, print) end, "must be a pattern or a list of patterns")
      assert.error_matches(function() tasker.on({}, print) end, "at least one pattern")
      assert.error_matches(function() tasker.on("*") end, "tasker.on: the function must be a function")
    end)
  end)
end

describe("tasker.on in a worker's own threads", function()
  after_each(harness.clean)

  it("serves the file that subscribes and the state that waits", function()
    local dir = harness.temp_dir()
    harness.process.write_file(dir .. "/steps.lua", [[
      local tasker = require "tasker"
      tasker.on("task.completed", function(event)
        local file = assert(io.open(os.getenv("TK_SEEN") or ("]] .. dir .. [[/seen"), "a"))
        file:write(event.task_id, "\n")
        file:close()
      end)
      tasker.handler { name = "subscribes", steps = { { name = "a", run = function() end } } }
    ]])
    local app = harness.open "lmdb"
    local seen = {}
    local off = tasker.on("task.completed", function(event) seen[#seen + 1] = event.task_id end)
    assert(app:work { until_idle = true, files = { dir .. "/steps.lua" } })
    local ids = {}
    for n = 1, 3 do ids[n] = app:submit("subscribes", {}) end
    assert(app:work { until_idle = true, files = { dir .. "/steps.lua" } })
    off()
    table.sort(seen)
    assert.same(ids, seen)
    local told = {}
    for line in io.lines(dir .. "/seen") do told[#told + 1] = line end
    table.sort(told)
    assert.same(ids, told)
  end)

  it("tells of what another process commits", function()
    local app, url = harness.open "lmdb"
    local seen = {}
    local off = tasker.on("task.created", function(event) seen[#seen + 1] = event.task_id end)
    local id = app:submit(harness.handler { name = "elsewhere", steps = { { name = "a", run = function() end } } }, {})
    harness.process.run { harness.process.program(), "-e", ([[
      local tasker = require "tasker"
      tasker.handler { name = "elsewhere", steps = { { name = "a", run = function() end } } }
      local app = assert(tasker.open("%s"))
      app:submit("elsewhere", {})
      app:work { until_idle = true }
    ]]):format(url) }
    assert.equal("complete", app:wait(id, 10).status)
    app:work { until_idle = true }
    off()
    assert.equal(2, #seen)
  end)
end)
