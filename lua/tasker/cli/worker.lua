--- `tasker-lua worker FILE...`: works on the tasks of a store until it is stopped.
local core = require "tasker.core"
local files = require "tasker.cli.support.files"
local format = require "tasker.cli.support.format"
local progress = require "tasker.cli.support.progress"
local task_text = require "tasker.cli.support.task_text"

local FINAL = { "complete", "resolved_manually", "error", "cancelled" }
local MAX_TOLD = 20       -- failures told in one look at the log; a flood of them is counted

local function final_counts(engine)
  local counts, total = {}, 0
  for _, status in ipairs(FINAL) do
    counts[status] = engine:count { status = status }
    total = total + counts[status]
  end
  return counts, total
end

local function tell_failure(ctx, engine, event, verbose)
  if event.event == "step.failed" then
    local err = event.data.error
    ctx.err(("tasker-lua: task %s: step '%s' failed, attempt %d: %s\n"):format(
      event.task_id, event.step, event.attempt, err and task_text.error_line(err) or "no error was kept"))
    if verbose and err and type(err.traceback) == "string" then
      ctx.err("    " .. err.traceback:gsub("\n", "\n    ") .. "\n")
    end
    return
  end
  local json = engine:task(event.task_id)
  local task = json and task_text.decode(json)
  ctx.err(("tasker-lua: task %s (%s) ended in error: %s\n"):format(
    event.task_id, task and task_text.handler(task) or "?", task and task_text.failure(task) or "no step says why"))
end

-- Looks at what happened since the last look: tells failures, draws progress.
local function make_watch(ctx, engine, opts, before)
  local json = require("tasker.core").json
  local line = progress.new(ctx, "working", "tasks")
  local names = opts.verbose and { "task.failed", "step.failed" } or { "task.failed" }
  local seen = engine:last_seq()
  return function()
    local text, last = engine:events(seen, nil, MAX_TOLD + 1, names)
    local events = json.decode(text)
    for i = 1, math.min(#events, MAX_TOLD) do
      line:clear()
      tell_failure(ctx, engine, events[i], opts.verbose)
    end
    if #events > MAX_TOLD then
      ctx.err("tasker-lua: more failures than can be told here; tasker-lua tasks --status error lists them\n")
      last = engine:last_seq()
    end
    seen = last
    if opts.until_idle and line:is_due() then
      local _, total = final_counts(engine)
      line:update(total - before.total, engine:count {} - before.total)
    end
  end, line
end

local function say_end(ctx, engine, before, seconds)
  local counts = final_counts(engine)
  local parts = {}
  for _, status in ipairs(FINAL) do
    local number = counts[status] - before.counts[status]
    if number > 0 then
      parts[#parts + 1] = ("%s %s"):format(format.count(number), format.status(status))
    end
  end
  ctx.err(("tasker-lua: stopped after %s; tasks that ended meanwhile: %s\n"):format(
    format.age(seconds), #parts > 0 and table.concat(parts, ", ") or "none"))
end

local function work_options(opts, ctx)
  local memory
  if opts.memory then
    memory = format.parse_bytes(opts.memory)
    if not memory or memory < 1 << 20 then
      ctx.usage(("--memory must be a size of at least 1M, like 64M or 1G, not '%s'"):format(opts.memory))
    end
  end
  return {
    threads = opts.threads, concurrency = opts.concurrency, queues = #opts.queue > 0 and opts.queue or nil,
    until_idle = opts.until_idle, files = opts.file, memory = memory,
  }
end

local function run(opts, ctx)
  local options = work_options(opts, ctx)
  local handlers, code = files.survey(ctx, opts.file)
  if not handlers then
    return code
  end
  local app = ctx.open { create = true, announce = true }
  local names = files.names(handlers)
  local announced = ("tasker-lua: working on %s with %s%s\n"):format(
    table.concat(names, ", "), format.plural(opts.threads, "thread"), opts.until_idle and "" or "; Ctrl-C stops, a second one at once")
  local counts, total = final_counts(app.engine)
  local before, started = { counts = counts, total = total }, core.now()
  local watch, line = make_watch(ctx, app.engine, opts, before)
  -- Who reads that it works may end it: the first look comes when signals are caught.
  options.watch = function()
    if announced then
      ctx.err(announced)
      announced = nil
    end
    watch()
  end
  local ok, err = app:work(options)
  line:clear()
  if not ok then
    return ctx.fail(ctx.name, err)
  end
  say_end(ctx, app.engine, before, core.now() - started)
  return 0
end

return {
  summary = "work on the tasks of a store",
  group = "work",
  description = [[
Loads each FILE in every thread, tells the store about the handlers that they define, and runs their steps until it is
stopped: SIGINT or SIGTERM lets what runs finish or gives it back, a second one ends at once.]],
  arguments = { { name = "file", many = true, type = "file", help = "Lua files that define handlers" } },
  options = {
    { name = "threads", value = "N", type = "integer", min = 1, max = core.bounds.threads, default = 1,
      help = "threads, each with a Lua state of its own" },
    { name = "concurrency", value = "N", type = "integer", min = 1, max = core.bounds.concurrency,
      help = "steps at once in each thread (512)" },
    { name = "queue", value = "NAME", many = true, type = "name", help = "take steps of this queue (default)" },
    { name = "until-idle", help = "end when nothing can move without something from outside" },
    { name = "memory", value = "SIZE", help = "at most so much for the Lua state of each thread, like 256M" },
    { name = "verbose", short = "v", help = "also tell attempts that failed and will be retried, with tracebacks" },
  },
  examples = {
    { "tasker-lua worker order.lua mail.lua --threads 4 --store ./tasker-data", "work until stopped" },
    { "tasker-lua worker order.lua --until-idle", "work off what there is, then end" },
  },
  run = run,
}
