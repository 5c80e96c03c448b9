--- `tasker-lua replay`: runs a file's code against what a task recorded.
local files = require "tasker.cli.support.files"

local function show(value)
  if value == nil then
    return "nothing"
  end
  local text = require("tasker.core").json.encode(value)
  return #text > 200 and text:sub(1, 197) .. "..." or text
end

local function tell(ctx, divergence)
  ctx.out(("step '%s': %s\n"):format(divergence.step, divergence.message))
  if divergence.path then
    ctx.out(("  at       %s\n  recorded %s\n  now      %s\n"):format(divergence.path == "" and "(the whole)" or divergence.path,
      show(divergence.recorded), show(divergence.now)))
  end
end

return {
  summary = "run new code against a task's recording and show the first divergence",
  group = "look",
  description = [[
Each step of FILE's handler sees the context, results and inputs that were recorded, and what it brings is compared with what was
recorded. Nothing is committed; what a step does beyond the store (requests, files) it does again. Ends with 1 when the code would
have gone another way.]],
  arguments = { { name = "id", help = "a task at its end: its id, a unique beginning or end of it, or @last" } },
  options = {
    { name = "file", value = "FILE", type = "file", help = "the code" },
    { name = "all", help = "every divergence, not only the first" },
    { name = "json", help = "one divergence a line as JSON on stdout" },
  },
  examples = { { "tasker-lua replay @last --file orders.lua", "would the changed file have done the same?" } },
  run = function(opts, ctx)
    if not opts.file then
      return ctx.usage("replay needs --file FILE, the code to run")
    end
    local app = ctx.open { options = { read_only = true } }
    local id, err = app.engine:find_id(opts.id)
    local report
    if id then
      local undivert = files.divert()
      report, err = app:replay(id, { file = opts.file })
      undivert()
    end
    if not report then
      return ctx.fail(ctx.name, err)
    end
    for i, divergence in ipairs(report.divergences) do
      if i == 1 or opts.all then
        if opts.json then
          ctx.out(require("tasker.core").json.encode(divergence) .. "\n")
        else
          tell(ctx, divergence)
        end
      end
    end
    ctx.err(("%s against %s: %d steps compared, %d divergences\n"):format(report.code, report.recorded, report.compared,
      #report.divergences))
    return report.divergence and 1 or 0
  end,
}
