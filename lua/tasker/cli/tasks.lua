--- `tasker-lua tasks`: the tasks of a store, newest first.
local core = require "tasker.core"
local columns = require "tasker.cli.support.columns"
local format = require "tasker.cli.support.format"
local json_lines = require "tasker.cli.support.json_lines"
local task_text = require "tasker.cli.support.task_text"
local term = require "tasker.cli.support.term"

local WIDE = 100      -- columns of a terminal that has room for whole ids
local PAGE = 500      -- tasks read at once: whole ones may be large

local function make_filter(opts)
  local name, namespace = opts.name, opts.namespace
  if name and not namespace and name:find("/", 1, true) then
    namespace, name = name:match("^(.-)/(.*)$")
  end
  return {
    status = opts.status, name = name, namespace = namespace, tag = opts.tag, parent = opts.parent,
    since = opts.since, ["until"] = opts["until"],
  }
end

local function age(text, now)
  local seconds = format.epoch(text)
  return seconds and format.relative(seconds, now) or ""
end

local function took(task, now)
  local started = format.epoch(task.started_at)
  if not started then
    return ""
  end
  local ended = format.epoch(task.completed_at)
  return ended and format.duration(math.max(ended - started, 0)) or format.age(math.max(now - started, 0))
end

local function draw(ctx, screen, tasks)
  local now = require("tasker.core").now()
  local rows = {}
  for i, task in ipairs(tasks) do
    local id = screen.columns >= WIDE and task.task_id or task.task_id:sub(-12)
    rows[i] = {
      { text = format.status(task.status), color = term.color_of(task.status) }, id, task_text.handler(task),
      age(task.created_at, now), took(task, now), term.clean(table.concat(task.tags, ", ")),
    }
  end
  ctx.out(columns.draw(screen, {
    { title = "STATUS" }, { title = "ID" }, { title = "HANDLER", shrink = 16 }, { title = "CREATED" }, { title = "TOOK", right = true },
    { title = "TAGS", shrink = 4 },
  }, rows))
end

local function plain(ctx, tasks)
  local rows = {}
  for i, task in ipairs(tasks) do
    rows[i] = {
      task.task_id, task.status, task_text.handler(task), task.created_at, task.completed_at or "-",
      #task.tags > 0 and term.clean(table.concat(task.tags, ",")) or "-",
    }
  end
  local titles = {}
  for i, title in ipairs { "TASK_ID", "STATUS", "HANDLER", "CREATED_AT", "COMPLETED_AT", "TAGS" } do
    titles[i] = { title = title }
  end
  ctx.out(columns.draw(term.plain, titles, rows))
end

local function count(ctx, engine, filter)
  local number, err = engine:count(filter)
  if not number then
    return ctx.fail(ctx.name, err)
  end
  ctx.out(("%d\n"):format(number))
  return 0
end

-- Calls visit with the text of each task, newest first; returns how many there were and whether there are more.
local function each(engine, filter, limit, visit)
  local seen, more = 0, true
  while more and seen < limit do
    filter.limit = math.min(PAGE, limit - seen)
    local text
    text, more = engine:tasks(filter)
    if not text then
      error(more, 0)
    end
    filter.cursor = more
    for object in json_lines.objects(text) do
      seen = seen + 1
      visit(object)
    end
  end
  return seen, more
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local filter = make_filter(opts)
  if filter.parent then
    local id, err = app.engine:find_id(filter.parent)
    if not id then
      return ctx.fail(ctx.name, err)
    end
    filter.parent = id
  end
  if opts.count then
    return count(ctx, app.engine, filter)
  end
  filter.steps = opts.json
  local tasks = {}
  local seen, more = each(app.engine, filter, opts.limit, function(object)
    if opts.json then
      ctx.out(object .. "\n")
    else
      tasks[#tasks + 1] = task_text.decode(object)
    end
  end)
  if opts.json then
    return 0
  end
  local screen = term.out(ctx)
  if seen == 0 then
    ctx.err("no such task\n")
  elseif screen.is_tty then
    draw(ctx, screen, tasks)
  else
    plain(ctx, tasks)
  end
  if more then
    ctx.err(("these are the newest %s; --limit N shows more, --count counts\n"):format(format.count(seen)))
  end
  return 0
end

return {
  summary = "list tasks, newest first",
  group = "look",
  arguments = {},
  options = {
    { name = "status", value = "S", help = "only in this status",
      choices = { "pending", "in_progress", "complete", "error", "cancelled", "resolved_manually", "paused" } },
    { name = "name", value = "N", help = "of this handler; also namespace/name" },
    { name = "namespace", value = "N", help = "of this namespace" },
    { name = "tag", value = "T", help = "with this tag" },
    { name = "parent", value = "ID", help = "children of this task" },
    { name = "since", value = "T", type = "time", relative = "ago", help = "created then or later: RFC 3339, epoch seconds or 2h (ago)" },
    { name = "until", value = "T", type = "time", relative = "ago", help = "created before then" },
    { name = "limit", value = "N", type = "integer", min = 1, max = core.bounds.tasks_page, default = 100, help = "at most so many" },
    { name = "count", help = "only how many there are" },
    { name = "json", help = "one task a line as JSON on stdout" },
  },
  examples = {
    { "tasker-lua tasks --status error --since 1d", "what went wrong since yesterday" },
    { "tasker-lua tasks --name shop/order --count", "how many orders there are" },
  },
  run = run,
}
