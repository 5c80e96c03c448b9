--- What a step's own coroutines see of a worker that parks, ends and closes them.
local harness = require "spec.support.harness"
local tasker = require "tasker"

local once = { limit = 1 }

describe("a coroutine inside a step that waits", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("cannot be resumed, closed or seen as suspended by another step", function()
    local shared
    local waiting = app:submit(harness.one_step(function()
      shared = coroutine.create(function()
        tasker.sleep(0.1)
        return "mine"
      end)
      return { select(2, coroutine.resume(shared)) }
    end))
    local other = app:submit(harness.one_step(function()
      while not shared do
        tasker.sleep(0.001)
      end
      local resumed, why = coroutine.resume(shared)
      local closed, close_why = pcall(coroutine.close, shared)
      return { resumed, why, closed, close_why, coroutine.status(shared) }
    end))
    assert(app:work { until_idle = true })
    assert.same({ "mine" }, app:task(waiting).results.only)
    assert.same({ false, "cannot resume non-suspended coroutine", false, "cannot close a normal coroutine", "normal" },
      app:task(other).results.only)
  end)

  it("goes on where it was when ten levels of coroutines wait", function()
    local function nest(depth)
      if depth == 0 then
        tasker.sleep(0.002)
        return 0
      end
      local value = coroutine.wrap(function() return nest(depth - 1) end)()
      tasker.sleep(0.001)
      return value + 1
    end
    local step = harness.outcome(app, function() return nest(10) end)
    assert.equal(10, step.results)
  end)

  it("passes errors with their text and value as Lua does", function()
    local step = harness.outcome(app, function()
      local ok, err = coroutine.resume(coroutine.create(function()
        tasker.sleep(0.001)
        error({ code = "mine" })
      end))
      local wrapped, text = pcall(coroutine.wrap(function()
        tasker.sleep(0.001)
        error("plain", 0)
      end))
      return { ok, err.code, wrapped, (text:gsub("^.*: ", "")) }
    end, { retry = once })
    assert.same({ false, "mine", false, "plain" }, step.results)
  end)

  it("is closed innermost first when the attempt is ended", function()
    local order = {}
    local function guard(name)
      return setmetatable({}, { __close = function() order[#order + 1] = name end })
    end
    local step = harness.outcome(app, function()
      local outer <close> = guard "step"
      coroutine.wrap(function()
        local middle <close> = guard "outer"
        coroutine.wrap(function()
          local inner <close> = guard "inner"
          tasker.sleep(30)
          return inner
        end)()
        return middle
      end)()
      return outer
    end, { timeout = 0.05, retry = once })
    assert.equal("timeout", step.error.code)
    assert.same({ "inner", "outer", "step" }, order)
  end)

  it("says where the attempt was ended", function()
    local function wait_here()
      tasker.sleep(30)
    end
    local step = harness.outcome(app, function()
      coroutine.wrap(wait_here)()
    end, { timeout = 0.05, retry = once })
    harness.contains("coroutines_spec.lua:88: in function", step.error.traceback)
  end)
end)

describe("in a C callback", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  local function says_so(fn)
    local step = harness.outcome(app, fn, { retry = once })
    assert.equal("error", step.status)
    harness.contains("C callback", step.error.message)
  end

  it("waiting raises and says so: string.gsub", function()
    says_so(function() return ("abc"):gsub(".", function() tasker.sleep(0.001) end) end)
  end)

  it("waiting raises and says so: table.sort", function()
    says_so(function()
      table.sort({ 3, 2, 1 }, function(a, b)
        tasker.sleep(0.001)
        return a < b
      end)
    end)
  end)

  it("waiting raises and says so: a coroutine that string.gsub resumes", function()
    says_so(function() return ("abc"):gsub(".", coroutine.wrap(function() tasker.sleep(0.001) end)) end)
  end)

  it("a loop is ended by the timeout all the same", function()
    for _, callback in ipairs {
      function() while true do end end,
      coroutine.wrap(function() while true do end end),
    } do
      local step = harness.outcome(app, function()
        while true do
          pcall(string.gsub, "abc", ".", callback)
        end
      end, { timeout = 0.05, retry = once })
      assert.equal("timeout", step.error.code)
    end
  end)
end)

describe("coroutine.yield in the step itself", function()
  after_each(harness.clean)

  it("is refused as outside of any coroutine", function()
    local step = harness.outcome(harness.open "memory", function() coroutine.yield(1) end, { retry = once })
    harness.contains("outside a coroutine", step.error.message)
  end)
end)

describe("in plain code", function()
  it("the coroutine functions are as they were", function()
    local co = coroutine.create(function(a, ...)
      local b = coroutine.yield(a + 1, select("#", ...))
      error("end " .. b)
    end)
    assert.same({ true, 2, 2 }, { coroutine.resume(co, 1, nil, nil) })
    assert.equal("suspended", coroutine.status(co))
    local ok, why = coroutine.resume(co, "x")
    assert.is_false(ok)
    harness.contains("end x", why)
    assert.equal("dead", coroutine.status(co))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    local sum = 0
    for n in coroutine.wrap(function() for n = 1, 4 do coroutine.yield(n) end end) do
      sum = sum + n
    end
    assert.equal(10, sum)
    assert.is_true(coroutine.close(coroutine.create(print)))
    assert.is_false(pcall(coroutine.resume, 1))
    assert.is_false(pcall(coroutine.wrap, 1))
  end)
end)
