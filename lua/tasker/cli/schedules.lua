--- `tasker-lua schedules`: what makes tasks by the clock.
local columns = require "tasker.cli.support.columns"
local json_lines = require "tasker.cli.support.json_lines"
local schedule_text = require "tasker.cli.support.schedule_text"
local term = require "tasker.cli.support.term"

-- Schedules read at once: bounds memory however many there are.
local PAGE = 1000

local function each(engine, visit)
  local after
  repeat
    local text, err = engine:schedules(after, PAGE)
    if not text then
      return nil, err
    end
    local count = 0
    for object in json_lines.objects(text) do
      count = count + 1
      after = visit(object)
    end
  until count < PAGE
  return true
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local decode = require("tasker.core").json.decode
  local rows = {}
  local ok, err = each(app.engine, function(object)
    local schedule = decode(object)
    if opts.json then
      ctx.out(object .. "\n")
    else
      rows[#rows + 1] = schedule_text.row(schedule)
    end
    return schedule.name
  end)
  if not ok then
    return ctx.fail(ctx.name, err)
  elseif #rows > 0 then
    ctx.out(columns.draw(term.out(ctx), schedule_text.TITLES, rows))
  elseif not opts.json then
    ctx.err("there is no schedule; tasker-lua schedule add makes one, so does the 'schedule' of a handler\n")
  end
  return 0
end

return {
  summary = "list the schedules",
  group = "look",
  arguments = {},
  options = { { name = "json", help = "one schedule a line as JSON on stdout" } },
  examples = { { "tasker-lua schedules", "when what comes next" } },
  run = run,
}
