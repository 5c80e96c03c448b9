--- `tasker-lua limit set`: changes rules of a limit at run time.
local limit_text = require "tasker.cli.support.limit_text"

local function number_or_none(text, name, ctx)
  if text == nil then
    return nil
  elseif text == "none" then
    return false
  end
  return tonumber(text) or ctx.usage(("--%s must be a number or none, not '%s'"):format(name, text))
end

local function run(opts, ctx)
  local rules = { rate = number_or_none(opts.rate, "rate", ctx), per = opts.per, burst = opts.burst,
    concurrency = number_or_none(opts.concurrency, "concurrency", ctx) }
  if next(rules) == nil then
    ctx.usage("set needs at least one of --rate, --per, --burst and --concurrency")
  end
  local app = ctx.open()
  local ok, err = app:set_limit(opts.name, rules)
  if not ok then
    return ctx.fail(ctx.name, err)
  end
  local text
  text, err = app.engine:limits(opts.name)
  if not text then
    return ctx.fail(ctx.name, err)
  elseif opts.json then
    ctx.out(text:sub(2, -2) .. "\n")
    return 0
  end
  local limit = app:limits({ name = opts.name })[1]
  ctx.out(("%s: %s, burst %s, at once %s\n"):format(limit.name, limit_text.rate(limit), limit.burst or "-", limit.concurrency or "-"))
  return 0
end

return {
  summary = "change a limit at run time, for every process",
  description = "Rules that are not given stay as they are. They hold until a file that declares other ones is loaded; one that declares "
    .. "what it declared before leaves them alone.",
  group = "steer",
  arguments = {
    { name = "action", display = "set", choices = { "set" }, help = "what to do" },
    { name = "name", help = "the limit's name" },
  },
  options = {
    { name = "rate", value = "N", help = "units each --per; none: no rate" },
    { name = "per", value = "S", type = "duration", help = "the time of the rate" },
    { name = "burst", value = "N", type = "integer", min = 1, help = "units at once" },
    { name = "concurrency", value = "N", help = "steps at once; none: as many as like" },
    { name = "json", help = "the limit as JSON on stdout" },
  },
  examples = { { "tasker-lua limit set stripe --rate 50", "slow down" }, { "tasker-lua limit set pool --concurrency 20", "widen" } },
  run = run,
}
