--- `tasker-lua reject`: a person says no to a step that waits for approval, or asks for changes.
local decide = require "tasker.cli.support.decide"

return {
  summary = "reject a step that waits for approval",
  group = "steer",
  description = [[
When too few are left who could agree, the step is in error with code rejected (or complete, with on_reject = "complete").
With --changes the approval ends at once, with code changes_requested; `retry ID --step STEP` asks everybody anew.]],
  arguments = decide.arguments,
  options = decide.options { { name = "changes", help = "ask for changes" } },
  examples = {
    { "tasker-lua reject @last accept --by bob --comment 'too dear'", "say no and why" },
    { "tasker-lua reject @last accept --by bob --changes --comment 'shorter, please'", "ask for changes" },
  },
  run = function(opts, ctx)
    return decide.run(opts, ctx, opts.changes and "changes" or "reject")
  end,
}
