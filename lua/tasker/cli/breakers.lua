--- `tasker-lua breakers`: which services are taken for broken, and since when.
local columns = require "tasker.cli.support.columns"
local json_lines = require "tasker.cli.support.json_lines"
local term = require "tasker.cli.support.term"

local TITLES = { { title = "BREAKER" }, { title = "STATE" }, { title = "FAILURES" }, { title = "SINCE" }, { title = "NEXT TRY" },
  { title = "WHY" } }

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  if opts.json then
    local text, err = app.engine:breakers(opts.name)
    if not text then
      return ctx.fail(ctx.name, err)
    end
    for object in json_lines.objects(text) do
      ctx.out(object .. "\n")
    end
    return 0
  end
  local list, err = app:breakers { name = opts.name }
  if not list then
    return ctx.fail(ctx.name, err)
  elseif #list == 0 then
    ctx.err("no breaker is known; the option 'breaker' of a client makes one\n")
    return 0
  end
  local rows = {}
  for i, one in ipairs(list) do
    rows[i] = { one.name, one.state, ("%d of %d"):format(one.failures, one.opens_after), one.since or "",
      one.state == "open" and one.retry_at or "", one.why or "" }
  end
  ctx.out(columns.draw(term.out(ctx), TITLES, rows))
  return 0
end

return {
  summary = "list the breakers of clients and the services that they take for broken",
  group = "look",
  arguments = { { name = "name", optional = true, help = "only this breaker" } },
  options = { { name = "json", help = "one breaker a line as JSON on stdout" } },
  examples = { { "tasker-lua breakers", "what is closed, open, half open" }, { "tasker-lua breakers payments --json", "for programs" } },
  run = run,
}
