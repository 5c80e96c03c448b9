--- `tasker-lua events`: the log of a store.
local format = require "tasker.cli.support.format"
local json_lines = require "tasker.cli.support.json_lines"
local task_text = require "tasker.cli.support.task_text"
local term = require "tasker.cli.support.term"

-- Events read at once: bounds memory whatever the length of the log. A task's history is walked back to its beginning
-- for every page, so it is read whole.
local PAGE = 1000

local COLORS = {
  completed = "green", failed = "red", cancelled = "magenta", retry_scheduled = "yellow", waiting = "blue", paused = "blue",
}

local function data_of(event)
  local json = require("tasker.core").json
  return next(event.data or {}) ~= nil and term.clean(json.encode(event.data)) or ""
end

local function step_of(event)
  local step = type(event.step) == "string" and event.step or ""
  if type(event.attempt) == "number" and event.attempt > 0 and step ~= "" then
    return ("%s (%d)"):format(step, event.attempt)
  end
  return step
end

-- What is said of a schedule is of no task.
local function id_of(event)
  return type(event.task_id) == "string" and event.task_id or nil
end

local function plain_line(event)
  local fields = { tostring(event.seq), event.at, event.event, id_of(event) or "-", step_of(event), data_of(event) }
  return (table.concat(fields, "  "):gsub("%s+$", "")) .. "\n"
end

-- For a terminal: in local time, without the date of today, cut to its width.
local function drawn_line(screen, event, today)
  local at = format.epoch(event.at)
  local time = format.local_time(at)
  if time:sub(1, #today) == today then
    time = time:sub(#today + 2)
  end
  local head = ("%8d  %s.%03d  %s  "):format(event.seq, time, math.floor(at % 1 * 1000), (id_of(event) or (" "):rep(12)):sub(-12))
  local err = type(event.data) == "table" and event.data.error
  local said = type(err) == "table" and task_text.error_line(err) or data_of(event)
  local rest = ("%-20s %-12s  %s"):format(event.event, step_of(event), said):gsub("%s+$", "")
  rest = screen:fit(rest, math.max(screen.columns - #head, 20))
  return screen:paint(head, "dim") .. screen:paint(rest, COLORS[event.event:match("%.(.*)$")]) .. "\n"
end

local function line_of(screen, text)
  local event = require("tasker.core").json.decode(text)
  if screen.is_tty then
    return drawn_line(screen, event, os.date "%Y-%m-%d")
  end
  return plain_line(event)
end

local function print_page(ctx, screen, opts, text)
  local count = 0
  for object in json_lines.objects(text) do
    count = count + 1
    ctx.out(opts.json and object .. "\n" or line_of(screen, object))
  end
  return count
end

local function run(opts, ctx)
  -- A follower has to be known to the others, so that they wake it.
  local app = ctx.open { options = { read_only = not opts.follow } }
  local engine = app.engine
  local id, err
  if opts.task then
    id, err = engine:find_id(opts.task)
    if not id then
      return ctx.fail(ctx.name, err)
    end
  end
  if opts.follow then
    -- From here on each commit is told: none falls between a read and a wait.
    engine:wait_log(0)
  end
  local screen = term.out(ctx)
  local after, left = opts.after, opts.limit or math.huge
  while left > 0 do
    local limit = math.tointeger(math.min(id and math.maxinteger or PAGE, left))
    local text, last = engine:events(after, id, limit)
    if not text then
      return ctx.fail(ctx.name, last)
    end
    local count = print_page(ctx, screen, opts, text)
    after, left = last, left - count
    if count < limit then
      if not opts.follow or left <= 0 then
        break
      end
      io.stdout:flush()
      local grown, why = engine:wait_log()
      if grown == nil then
        return ctx.fail(ctx.name, why)
      end
    end
  end
  return 0
end

return {
  summary = "print the log of what happened",
  group = "look",
  description = [[
One event a line, oldest first. --follow goes on with what happens from then on, until interrupted.]],
  arguments = {},
  options = {
    { name = "after", value = "SEQ", type = "integer", min = 0, default = 0, help = "only events with a greater number" },
    { name = "task", value = "ID", help = "only of this task" },
    { name = "limit", value = "N", type = "integer", min = 0, help = "at most so many (all)" },
    { name = "follow", short = "f", help = "wait for more" },
    { name = "json", help = "one event a line as JSON on stdout" },
  },
  examples = {
    { "tasker-lua events --task @last", "the history of the last task" },
    { "tasker-lua events --follow --json", "everything, as it happens, for programs" },
  },
  run = run,
}
