--- `tasker-lua resolve`: a person settles a step, or a whole task.
local steer = require "tasker.cli.support.steer"

return {
  summary = "settle a step by hand, with results of your own",
  group = "steer",
  description = [[
The step becomes resolved_manually and its dependents go on, with RESULTS (null unless given) for its results.
With --whole-task and no STEP the task itself is settled: a task in error counts as done.]],
  arguments = {
    { name = "id", help = "the task's id, a unique beginning or end of it, or @last" },
    { name = "step", optional = true, help = "the step to settle" },
    { name = "results", display = "RESULTS|@file|-", type = "json", optional = true, help = "any JSON value; - reads it from stdin" },
  },
  options = steer.with { { name = "whole-task", help = "settle the task, not a step of it" } },
  examples = {
    { "tasker-lua resolve @last charge '{\"charged\":true}' --reason 'paid by bank' --by ann", "settle one step" },
    { "tasker-lua resolve 5d6b1c8a --whole-task --reason obsolete", "settle a task in error" },
  },
  run = function(opts, ctx)
    if opts.whole_task and opts.step then
      ctx.usage("--whole-task and STEP cannot be given together")
    elseif not opts.whole_task and not opts.step then
      ctx.usage("STEP is missing (or --whole-task)")
    end
    local app = ctx.open()
    return steer.one(ctx, app, opts, opts.id, function(id)
      return app:resolve(id, opts.step, opts.results, steer.reason(opts))
    end)
  end,
}
