--- `tasker-lua migrate`: moves live tasks to another version of their handler.
local columns = require "tasker.cli.support.columns"
local files = require "tasker.cli.support.files"
local term = require "tasker.cli.support.term"

local function read_steps(opts, ctx)
  local steps = {}
  for _, text in ipairs(opts.map) do
    local old, new = text:match("^([^=]+)=([^=]+)$")
    if not old then
      return ctx.usage(("--map must be OLD=NEW, two names of steps, not '%s'"):format(text))
    end
    steps[old] = new
  end
  for _, name in ipairs(opts.drop) do
    steps[name] = false
  end
  return steps
end

local function show(ctx, report)
  local rows = {}
  for _, entry in ipairs(report.tasks) do
    rows[#rows + 1] = { entry.task_id, entry.status, entry.outcome, entry.reason or "" }
  end
  if #rows > 0 then
    ctx.out(columns.draw(term.out(ctx), {
      { title = "TASK" }, { title = "STATUS" }, { title = "OUTCOME" }, { title = "", shrink = 20 },
    }, rows))
  end
  local parts = {}
  for _, name in ipairs { "moves", "moved", "waits", "busy", "refused" } do
    if (report[name] or 0) > 0 then
      parts[#parts + 1] = ("%d %s"):format(report[name], name)
    end
  end
  ctx.err(("%s from %s to %s%s: %s\n"):format(report.handler, report.from, report.to, report.dry_run and ", dry run" or "",
    #parts > 0 and table.concat(parts, ", ") or "no live task is of that version"))
end

-- The client names its options; here they are called by what was typed.
local function in_our_words(message)
  return (message:gsub("^app:migrate: option 'steps':? ?", "--map: "):gsub("^app:migrate: option '(%a+)'", "--%1"))
end

local function run(opts, ctx)
  local steps = read_steps(opts, ctx)
  if type(steps) ~= "table" then
    return steps
  end
  if #opts.file > 0 then
    local undivert = files.divert()
    local handlers, code = files.load(ctx, opts.file)
    if not handlers then
      return code
    end
    undivert()
  end
  local app = ctx.open()
  local report, err = app:migrate {
    handler = opts.handler, from = opts.from, to = opts.to, steps = steps, dry_run = opts.dry_run, wait = opts.wait,
    reason = opts.reason, by = opts.by,
  }
  if not report then
    return ctx.fail(ctx.name, in_our_words(err.message))
  end
  if opts.json then
    for _, entry in ipairs(report.tasks) do
      ctx.out(require("tasker.core").json.encode(entry) .. "\n")
    end
  else
    show(ctx, report)
  end
  return (report.refused > 0 or report.busy) and 1 or 0
end

return {
  summary = "move live tasks to another version of their handler",
  group = "steer",
  description = [[
Each task moves in a commit of its own; what was done stays done, what was not begun is judged by the new version. A step keeps
its name unless --map says otherwise. A task whose steps run is paused until they have ended, at most --wait seconds. What cannot
map is refused and named, the rest moves; repeat it as often as you like. `--dry-run` changes nothing. Ends with 1 when a task was
refused or is still busy.]],
  arguments = { { name = "handler", help = "namespace/name" } },
  options = {
    { name = "from", value = "V", help = "the version whose tasks are to move" },
    { name = "to", value = "V", help = "where to: the highest version unless given" },
    { name = "map", value = "OLD=NEW", many = true, help = "what a step is called in the new version" },
    { name = "drop", value = "STEP", many = true, help = "a step that goes, with what came of it" },
    { name = "file", value = "FILE", type = "file", many = true, help = "load and register the new version first" },
    { name = "dry-run", help = "only say what would happen to each task" },
    { name = "wait", value = "S", type = "duration", help = "how long what runs may take to end; 30 s unless given" },
    { name = "reason", value = "TEXT", help = "why; kept in the log" },
    { name = "by", value = "WHO", help = "who does it; kept in the log" },
    { name = "json", help = "one task a line as JSON on stdout" },
  },
  examples = {
    { "tasker-lua migrate shop/order --from 1.0.0 --to 2.0.0 --map charge=pay --dry-run", "what would happen to each live task" },
    { "tasker-lua migrate shop/order --from 1.0.0 --file orders.lua --map charge=pay --drop audit", "to the version in a file" },
  },
  run = function(opts, ctx)
    if not opts.from then
      return ctx.usage("migrate needs --from V, the version whose tasks are to move")
    end
    return run(opts, ctx)
  end,
}
