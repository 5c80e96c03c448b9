--- `tasker-lua limits`: what steps must not exceed, and how much of it is used.
local columns = require "tasker.cli.support.columns"
local json_lines = require "tasker.cli.support.json_lines"
local limit_text = require "tasker.cli.support.limit_text"
local term = require "tasker.cli.support.term"

-- Keys listed for `--keys` without a number, and at most.
local MOST_KEYS = 100000

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  if opts.json then
    local text, err = app.engine:limits(opts.name, opts.keys)
    if not text then
      return ctx.fail(ctx.name, err)
    end
    for object in json_lines.objects(text) do
      ctx.out(object .. "\n")
    end
    return 0
  end
  local list, err = app:limits { name = opts.name, keys = opts.keys }
  if not list then
    return ctx.fail(ctx.name, err)
  elseif #list == 0 then
    ctx.err("no limit is declared; tasker.limit does it, in a file that names it in front of a step\n")
    return 0
  end
  local rows = {}
  for _, limit in ipairs(list) do
    rows[#rows + 1] = limit_text.row(limit)
    for _, key in ipairs(limit.keys or {}) do
      rows[#rows + 1] = { "  " .. (key.key or "(no key)"), "", "", "", tostring(key.running), tostring(key.waiting), "" }
    end
  end
  ctx.out(columns.draw(term.out(ctx), limit_text.TITLES, rows))
  return 0
end

return {
  summary = "list the limits and how much of each is used",
  group = "look",
  arguments = { { name = "name", optional = true, help = "only this limit" } },
  options = {
    { name = "keys", value = "N", type = "integer", min = 1, max = MOST_KEYS, help = "list at most N keys of each that are in use" },
    { name = "json", help = "one limit a line as JSON on stdout" },
  },
  examples = { { "tasker-lua limits", "what runs and what waits" }, { "tasker-lua limits tenant --keys 20", "by key" } },
  run = run,
}
