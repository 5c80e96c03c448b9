--- `tasker-lua pause`: starts no more steps of tasks until they are resumed.
local steer = require "tasker.cli.support.steer"

return {
  summary = "pause tasks: what runs finishes, nothing new starts",
  group = "steer",
  arguments = { steer.ids },
  options = steer.with {},
  examples = { { "tasker-lua pause @last", "hold the last task" } },
  run = function(opts, ctx)
    local app = ctx.open()
    return steer.each(ctx, app, opts, function(id)
      return app:pause(id, steer.reason(opts))
    end)
  end,
}
