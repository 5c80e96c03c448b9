-- The handlers of the crash test. Each step writes a line when it begins and one before it returns; lines of several processes do not
-- mix, because each is one append.
local tasker = require "tasker"

local steps = {}

--- What the log is checked against: dependencies, attempts.
steps.declared = {
  a1 = {}, a2 = { depends_on = { "a1" } }, a3 = { depends_on = { "a2" } }, a4 = { depends_on = { "a3" } },
  b0 = {}, b1 = { depends_on = { "b0" } }, b2 = { depends_on = { "b0" } }, b3 = { depends_on = { "b0" } },
  b9 = { depends_on = { "b1", "b2", "b3" } },
  c1 = { limit = 4 }, c2 = { depends_on = { "c1" } },
  d1 = {}, d2 = { depends_on = { "d1" } },
}

--- @tparam string path of the side file
function steps.define(path)
  local side = assert(io.open(path, "a"))
  side:setvbuf "full"

  local function note(what, task, step)
    assert(side:write(("%s %s %s %d\n"):format(what, task.task_id, step.name, step.attempt)))
    assert(side:flush())
  end

  local function run(task, step)
    note("begin", task, step)
    tasker.sleep(math.random() * 0.02)
    note("end", task, step)
    return { attempt = step.attempt }
  end

  local function shaky(task, step)
    note("begin", task, step)
    if step.attempt <= task.context.failures then
      error("attempt " .. step.attempt .. " fails")
    end
    note("end", task, step)
    return step.attempt
  end

  local function spawn(task, step)
    note("begin", task, step)
    assert(tasker.app():submit("crash/chain", { parent = task.task_id }))
    assert(tasker.app():submit("crash/chain", { parent = task.task_id }))
    note("end", task, step)
  end

  tasker.handler {
    namespace = "crash", name = "chain", chain = true,
    steps = { { name = "a1", run = run }, { name = "a2", run = run }, { name = "a3", run = run }, { name = "a4", run = run } },
  }
  tasker.handler {
    namespace = "crash", name = "fan",
    steps = {
      { name = "b0", run = run }, { name = "b1", depends_on = "b0", run = run }, { name = "b2", depends_on = "b0", run = run },
      { name = "b3", depends_on = "b0", run = run }, { name = "b9", depends_on = { "b1", "b2", "b3" }, run = run },
    },
  }
  tasker.handler {
    namespace = "crash", name = "flaky", retry = { limit = 4, backoff = "fixed", base = 0.02, jitter = "full" },
    steps = { { name = "c1", run = shaky }, { name = "c2", depends_on = "c1", run = run } },
  }
  tasker.handler {
    namespace = "crash", name = "spawn", chain = true, steps = { { name = "d1", run = spawn }, { name = "d2", run = run } },
  }
end

return steps
