--- `tasker-lua tree ID`: a task and all below it.
local format = require "tasker.cli.support.format"
local task_text = require "tasker.cli.support.task_text"
local term = require "tasker.cli.support.term"

local ALIKE_SHOWN = 3       -- children in one state, one after the other, before "and so many more"
local ALIKE_LEAST = 6

-- `shop/ship@1.0.0  in progress for 3 s · 4 of 9 steps  0197…`
local function describe(screen, task, now)
  local done, all = 0, 0
  for status, count in pairs(task.steps) do
    all = all + count
    if status == "complete" or status == "skipped" or status == "resolved_manually" then
      done = done + count
    end
  end
  local words = task_text.summary(task, now)
  if task.status ~= "complete" then
    words = ("%s %s %d of %s"):format(words, screen.signs.dot, done, format.plural(all, "step"))
  end
  return ("%s %s  %s  %s"):format(screen:mark(task.status), task_text.handler(task), words, screen:paint(task.task_id, "dim"))
end

-- Where the run of children in the state of the i-th ends.
local function run_end(children, i)
  local last = i
  while children[last + 1] and children[last + 1].status == children[i].status do
    last = last + 1
  end
  return last
end

local draw_below

local function draw_task(screen, lines, task, head, below, now)
  local step = task.step and screen:paint(term.clean(task.step) .. " ", "dim") or ""
  lines[#lines + 1] = head .. step .. describe(screen, task, now)
  draw_below(screen, lines, task, below, now)
end

function draw_below(screen, lines, task, below, now)
  local children, i = task.children, 1
  while i <= #children do
    local last = run_end(children, i)
    local shown = last - i + 1 < ALIKE_LEAST and last or i + ALIKE_SHOWN - 1
    for k = i, shown do
      local ends = k == #children
      draw_task(screen, lines, children[k], below .. (ends and screen.signs.last or screen.signs.branch),
        below .. (ends and screen.signs.gap or screen.signs.pipe), now)
    end
    if shown < last then
      local ends = last == #children
      lines[#lines + 1] = below .. (ends and screen.signs.last or screen.signs.branch) .. screen:paint(("%s %s more %s"):format(
        screen.signs.ellipsis, format.count(last - shown), format.status(children[i].status)), "dim")
    end
    i = last + 1
  end
end

local function counts(task)
  local parts, all = {}, 0
  for status, count in pairs(task.tasks) do
    parts[#parts + 1] = ("%s %s"):format(format.count(count), format.status(status))
    all = all + count
  end
  table.sort(parts)
  return ("%s: %s"):format(format.plural(all, "task"), table.concat(parts, ", "))
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local id, err = app.engine:find_id(opts.id)
  local text
  if id then
    text, err = app.engine:tree(id)
  end
  if not text then
    return ctx.fail(ctx.name, err)
  elseif opts.json then
    ctx.out(text .. "\n")
    return 0
  end
  local screen, lines = term.out(ctx), {}
  local task = require("tasker.task_view").tree(text)
  draw_task(screen, lines, task, "", "", require("tasker.core").now())
  lines[#lines + 1] = counts(task)
  ctx.out(table.concat(lines, "\n") .. "\n")
  return 0
end

return {
  summary = "show a task and all below it",
  group = "look",
  description = [[
Children are the tasks that steps with `child` wait for; those of a step that has a newer child are listed by
`tasker-lua tasks --parent ID`. Of many children in one state some are drawn; --json has all.]],
  arguments = { { name = "id", value = "ID", help = "the id, a unique beginning or end of it, or @last" } },
  options = { { name = "json", help = "as one JSON object on stdout" } },
  examples = { { "tasker-lua tree @last", "the newest task and its children" } },
  run = run,
}
