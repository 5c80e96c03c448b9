local harness = require "spec.support.harness"
local tasker = require "tasker"

local HERE = "^spec/api/misplaced_calls_spec%.lua:%d+: "

describe("a call in the wrong place is told with the place in the user's own code", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  local function error_of(run)
    local task = assert(app:run(harness.one_step(run, { retry = { limit = 1 } })))
    return task.steps[1].error.message
  end

  it("sleeping inside a C callback", function()
    local message = error_of(function()
      table.sort({ 3, 1, 2 }, function(a, b)
        tasker.sleep(0.001)
        return a < b
      end)
    end)
    assert.matches(HERE .. "cannot wait inside a C callback", message)
  end)

  it("the step value of an attempt that is over", function()
    local kept
    error_of(function(_, step) kept = step; error "first" end)
    assert.matches(HERE .. "this step is over", error_of(function() kept:log("info", "late") end))
    assert.matches(HERE .. "this step is over", error_of(function() kept:heartbeat(1) end))
    assert.matches(HERE .. "this step is over", error_of(function() kept:annotate("late", 1) end))
  end)
end)

describe("annotations of a step", function()
  after_each(harness.clean)

  it("raise invalid beyond the limit, and keep what was there", function()
    local app = harness.open "memory"
    local task = assert(app:run(harness.one_step(function(_, step)
      for i = 1, 65 do
        step:annotate("k" .. i, i)
      end
    end, { retry = { limit = 1 } })))
    assert.equal("invalid", task.steps[1].error.code)
    assert.equal(64, task.annotations.k64)
    assert.is_nil(task.annotations.k65)
  end)

  it("are refused or told in the log, never lost in silence, when two steps race for the last place", function()
    local app = harness.open "memory"
    local many = {}
    for i = 1, 63 do
      many["k" .. i] = i
    end
    local function racer(name)
      return { name = name, retry = { limit = 1 }, run = function(_, step) step:annotate(name, true) end }
    end
    local id = assert(app:submit(harness.handler { steps = { racer "a", racer "b" } }, {}, { annotations = many }))
    assert(app:work { until_idle = true })
    local task, told = app:task(id), 0
    for _, event in ipairs(app:events { task_id = id }) do
      local refused = event.event == "step.failed" and event.data.error.code == "invalid"
      told = told + (refused and 1 or 0) + (event.event == "step.logged" and event.data.name and 1 or 0)
    end
    assert.equal(1, told)
    assert.is_true((task.annotations.a ~= nil) ~= (task.annotations.b ~= nil))
  end)
end)
