--- `tasker-lua signal`: tells a task something that a step of it waits for.
local steer = require "tasker.cli.support.steer"

return {
  summary = "send a signal to a task",
  group = "steer",
  description = [[
The step that waits for the signal NAME is complete, with PAYLOAD (null unless given) for its results.
A signal that comes before its step waits is kept for it.]],
  arguments = {
    { name = "id", help = "the task's id, a unique beginning or end of it, or @last" },
    { name = "name", help = "the signal's name" },
    { name = "payload", display = "PAYLOAD|@file|-", type = "json", optional = true, help = "any JSON value; - reads it from stdin" },
  },
  options = { { name = "json", help = "the task as one JSON value a line on stdout" } },
  examples = { { "tasker-lua signal @last payment '{\"amount\":12}'", "tell the task of a payment" } },
  run = function(opts, ctx)
    local app = ctx.open()
    return steer.one(ctx, app, opts, opts.id, function(id)
      return app:signal(id, opts.name, opts.payload)
    end)
  end,
}
