--- `tasker-lua approvals`: what waits for people.
local columns = require "tasker.cli.support.columns"
local format = require "tasker.cli.support.format"
local term = require "tasker.cli.support.term"

-- Who has not decided yet.
local function open_names(item)
  local decided = {}
  for _, vote in ipairs(item.decisions) do
    decided[vote.by] = true
  end
  local names = {}
  for _, name in ipairs(item.approvers) do
    if not decided[name] then
      names[#names + 1] = term.clean(name)
    end
  end
  return table.concat(names, ", ")
end

local function relative(text, now)
  local seconds = format.epoch(text)
  return seconds and format.relative(seconds, now) or "-"
end

local function draw(ctx, list)
  local screen, now, rows = term.out(ctx), require("tasker.core").now(), {}
  for i, item in ipairs(list) do
    rows[i] = {
      item.task_id, ("%s/%s"):format(item.namespace, item.name), item.step, ("%d of %d"):format(item.approvals, item.required),
      open_names(item), relative(item.opened_at, now), relative(item.deadline, now),
    }
  end
  ctx.out(columns.draw(screen, {
    { title = "TASK" }, { title = "HANDLER", shrink = 12 }, { title = "STEP", shrink = 8 }, { title = "AGREE" },
    { title = "WAITS FOR", shrink = 10 }, { title = "SINCE" }, { title = "UNTIL" },
  }, rows))
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local list, err = app:approvals { by = opts.by, limit = opts.limit }
  if not list then
    return ctx.fail(ctx.name, err)
  elseif opts.json then
    local json = require("tasker.core").json
    for _, item in ipairs(list) do
      ctx.out(json.encode(item) .. "\n")
    end
  elseif #list > 0 then
    draw(ctx, list)
  else
    ctx.err("nothing waits for approval" .. (opts.by and (" by %s"):format(term.clean(opts.by)) or "") .. "\n")
  end
  return 0
end

return {
  summary = "list what waits for approval",
  group = "look",
  arguments = {},
  options = {
    { name = "by", value = "NAME", help = "only what NAME is asked and has not decided" },
    { name = "limit", value = "N", type = "integer", min = 1, max = 100000, help = "at most so many" },
    { name = "json", help = "one approval a line as JSON on stdout" },
  },
  examples = { { "tasker-lua approvals --by ann", "what waits for ann" } },
  run = run,
}
