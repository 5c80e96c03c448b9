--- `tasker-lua consumers`: who reads the log, and how far each has come.
local columns = require "tasker.cli.support.columns"
local term = require "tasker.cli.support.term"

local function list(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local found, err = app:consumers()
  if not found then
    return ctx.fail(ctx.name, err)
  end
  local rows = {}
  for _, one in ipairs(found) do
    if opts.json then
      ctx.out(require("tasker.core").json.encode(one) .. "\n")
    end
    rows[#rows + 1] = { one.name, tostring(one.seq), tostring(one.lag), one.moved_at or "never",
      table.concat(one.events or { "*" }, " ") }
  end
  if opts.json then
    return 0
  elseif #rows == 0 then
    ctx.err("no consumer reads this store's log\n")
    return 0
  end
  ctx.out(columns.draw(term.out(ctx), {
    { title = "CONSUMER" }, { title = "SEQ" }, { title = "LAG" }, { title = "MOVED" }, { title = "EVENTS", shrink = 12 },
  }, rows))
  return 0
end

local function run(opts, ctx)
  if not opts.action or opts.action == "list" then
    if opts.name then
      return ctx.usage("list takes no name")
    end
    return list(opts, ctx)
  elseif not opts.name then
    return ctx.usage(("%s needs the NAME of a consumer"):format(opts.action))
  elseif opts.action == "rewind" and not opts.seq then
    return ctx.usage("rewind needs the SEQ to go to: 0 is the beginning")
  elseif opts.action == "delete" and opts.seq then
    return ctx.usage("delete takes no SEQ")
  end
  local app = ctx.open()
  local ok, err
  if opts.action == "rewind" then
    ok, err = app:rewind_consumer(opts.name, opts.seq)
  else
    ok, err = app:delete_consumer(opts.name)
  end
  return ok and 0 or ctx.fail(("cannot %s"):format(opts.action), err)
end

return {
  summary = "list the durable consumers of the log, move or forget one",
  group = "look",
  description = [[
SEQ is the event a consumer is done with, LAG how many it wants lie before it. After `rewind NAME SEQ` its next event is the
first after SEQ.]],
  arguments = {
    { name = "action", display = "list|rewind|delete", choices = { "list", "rewind", "delete" }, optional = true,
      help = "what to do; list unless given" },
    { name = "name", optional = true, help = "a consumer" },
    { name = "seq", type = "integer", min = 0, optional = true, help = "of an event; 0 is the beginning" },
  },
  options = { { name = "json", help = "one consumer a line as JSON on stdout" } },
  examples = {
    { "tasker-lua consumers", "names, places and lags" },
    { "tasker-lua consumers rewind billing 0", "let billing see everything again" },
  },
  run = run,
}
