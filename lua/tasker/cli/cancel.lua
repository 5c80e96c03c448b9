--- `tasker-lua cancel`: ends tasks, or one step, before their time.
local steer = require "tasker.cli.support.steer"

return {
  summary = "cancel tasks, or one step of them",
  group = "steer",
  description = [[
What runs is interrupted and its outcome ignored. A cancelled step counts for its dependents and its task like an error.]],
  arguments = { steer.ids },
  options = steer.with { { name = "step", value = "NAME", help = "only this step" } },
  examples = { { "tasker-lua cancel 5d6b1c8a --reason 'ordered twice' --by ann", "cancel one task and say why" } },
  run = function(opts, ctx)
    local app = ctx.open()
    return steer.each(ctx, app, opts, function(id)
      return app:cancel(id, steer.reason(opts), { step = opts.step })
    end)
  end,
}
