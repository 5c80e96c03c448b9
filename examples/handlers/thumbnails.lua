-- The handler of examples/batch.lua: each worker thread loads it into a Lua state of its own.
local tasker = require "tasker"

tasker.handler {
  namespace = "media", name = "thumbnail",
  steps = {
    { name = "resize", run = function(task) return { width = task.context.width // 4 } end },
  },
}
