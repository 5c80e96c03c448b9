--- `tasker-lua retry`: gives failed steps a fresh set of attempts.
local steer = require "tasker.cli.support.steer"

return {
  summary = "give the failed steps of tasks a fresh set of attempts",
  group = "steer",
  arguments = { steer.ids },
  options = steer.with { { name = "step", value = "NAME", help = "only this step" } },
  examples = {
    { "tasker-lua retry @last", "try the failed steps of the last task again" },
    { "tasker-lua tasks --status error --json | jq -r .task_id | xargs tasker-lua retry", "all that failed" },
  },
  run = function(opts, ctx)
    local app = ctx.open()
    return steer.each(ctx, app, opts, function(id)
      return app:retry(id, { step = opts.step, reason = steer.reason(opts) })
    end)
  end,
}
