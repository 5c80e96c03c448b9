--- `tasker-lua handlers`: what the store knows.
local columns = require "tasker.cli.support.columns"
local json_lines = require "tasker.cli.support.json_lines"
local term = require "tasker.cli.support.term"

-- Its steps on one line, cut after some where there are thousands.
local function steps_of(handler)
  local shown = math.min(#handler.steps, 20)
  local text = table.concat(handler.steps, " ", 1, shown)
  return shown < #handler.steps and ("%s and %d more"):format(text, #handler.steps - shown) or text
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local text, err = app.engine:handlers()
  if not text then
    return ctx.fail(ctx.name, err)
  end
  local screen = term.out(ctx)
  local rows = {}
  for object in json_lines.objects(text) do
    if opts.json then
      ctx.out(object .. "\n")
    else
      local handler = require("tasker.core").json.decode(object)
      rows[#rows + 1] = {
        ("%s/%s"):format(handler.namespace, handler.name), handler.version, handler.latest and "latest" or "",
        handler.source and "kept" or "graph only", tostring(handler.live), steps_of(handler),
      }
    end
  end
  if #rows > 0 then
    ctx.out(columns.draw(screen, {
      { title = "HANDLER" }, { title = "VERSION" }, { title = "" }, { title = "SOURCE" }, { title = "LIVE" },
      { title = "STEPS", shrink = 12 },
    }, rows))
  elseif not opts.json then
    ctx.err("the store knows no handler yet; tasker-lua worker FILE or submit --file FILE tells it\n")
  end
  return 0
end

return {
  summary = "list the handlers that the store knows",
  group = "look",
  description = "LIVE counts the tasks of a version that are pending, in progress or paused: what still runs where.",
  arguments = {},
  options = { { name = "json", help = "one handler a line as JSON on stdout" } },
  examples = { { "tasker-lua handlers", "names, versions and steps" } },
  run = run,
}
