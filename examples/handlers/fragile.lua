-- The handler of examples/crash.lua: the first worker that runs `second` kills itself in the middle of it.
local tasker = require "tasker"

tasker.handler {
  namespace = "demo", name = "fragile", chain = true,
  steps = {
    { name = "first", run = function() return "done once" end },
    { name = "second", run = function(_, step)
        if step.attempt == 1 then
          os.execute("kill -9 " .. io.open("/proc/self/stat"):read("n"))
        end
        return ("attempt %d finished it"):format(step.attempt)
      end },
    { name = "third", run = function(task) return task.results.second end },
  },
}
