--- `tasker-lua approve`: a person says yes to a step that waits for approval, or lets somebody else decide.
local decide = require "tasker.cli.support.decide"

return {
  summary = "approve a step that waits for it",
  group = "steer",
  description = [[
Only those who are asked may decide, each once. With --delegate NAME that person is asked instead.]],
  arguments = decide.arguments,
  options = decide.options { { name = "delegate", value = "NAME", help = "pass the decision on" } },
  examples = {
    { "tasker-lua approve @last accept --by ann --comment 'fine'", "say yes" },
    { "tasker-lua approve 5d6b1c8a accept --by ann --form '{\"limit\":500}'", "with a form" },
    { "tasker-lua approve 5d6b1c8a accept --by ann --delegate eve", "let eve decide" },
  },
  run = function(opts, ctx)
    return decide.run(opts, ctx, opts.delegate and "delegate" or "approve")
  end,
}
