--- `tasker-lua resume`: lets paused tasks go on.
local steer = require "tasker.cli.support.steer"

return {
  summary = "let paused tasks go on",
  group = "steer",
  arguments = { steer.ids },
  options = steer.with {},
  examples = { { "tasker-lua resume @last", "let the last task go on" } },
  run = function(opts, ctx)
    local app = ctx.open()
    return steer.each(ctx, app, opts, function(id)
      return app:resume(id, steer.reason(opts))
    end)
  end,
}
