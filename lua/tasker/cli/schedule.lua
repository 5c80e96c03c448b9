--- `tasker-lua schedule`: makes and steers what makes tasks by the clock.
local args = require "tasker.cli.args"
local files = require "tasker.cli.support.files"
local schedule_text = require "tasker.cli.support.schedule_text"
local steer = require "tasker.cli.support.steer"

local function in_our_words(err)
  return (err.message:gsub("^app:[%l_]+: field ", ""):gsub("replace = true", "--replace"):gsub("'([%l_]+)'", function(name)
    return ({ every = "--every", cron = "--cron", at = "--at", rrule = "--rrule", timezone = "--timezone" })[name]
  end))
end

-- Prints the schedule, in one line for people.
local function show(ctx, opts, app, name, verb)
  local text, err = app.engine:schedule(name)
  if not text then
    return ctx.fail(ctx.name, err)
  elseif opts.json then
    ctx.out(text .. "\n")
    return 0
  end
  local schedule = require("tasker.core").json.decode(text)
  if schedule.paused then
    ctx.out(("%s is paused\n"):format(name))
    return 0
  end
  ctx.out(("%s %s: %s, next %s\n"):format(name, verb, schedule_text.when(schedule), schedule_text.next_of(schedule)))
  return 0
end

-- What the options say of a schedule.
local function spec_of(opts)
  local dst = (opts.dst_gap or opts.dst_overlap) and { gap = opts.dst_gap, overlap = opts.dst_overlap } or nil
  return {
    cron = opts.cron, every = opts.every, at = opts.at, rrule = opts.rrule, timezone = opts.timezone, overlap = opts.overlap,
    catch_up = opts.catch_up, jitter = opts.jitter, starts = opts.starts, ends = opts.ends, count = opts.count, dst = dst,
    replace = opts.replace, paused = opts.paused, tags = #opts.tag > 0 and opts.tag or nil, priority = opts.priority,
    queue = opts.queue, reason = opts.reason,
  }
end

local actions = {}

function actions.add(opts, ctx)
  local handler, context = opts.rest[1], opts.rest[2]
  if not handler or #opts.rest > 2 then
    ctx.usage("add takes NAME HANDLER [CONTEXT]")
  end
  local given = spec_of(opts)
  given.name, given.handler = opts.name, handler
  if context then
    local value, why = args.read_json(context)
    if value == nil then
      ctx.usage(("CONTEXT: %s"):format(why))
    elseif type(value) ~= "table" then
      ctx.usage("CONTEXT must be a JSON object")
    end
    given.context = value
  end
  if #opts.file > 0 then
    local handlers, code = files.load(ctx, opts.file)
    if not handlers then
      return code
    end
  end
  local app = ctx.open { create = #opts.file > 0, announce = true }
  if #opts.file > 0 then
    local numbers, why = require("tasker.loader").register(app.engine, true)
    if not numbers then
      return ctx.fail(ctx.name, why)
    end
  end
  local schedule, created = app:schedule(given)
  if not schedule then
    return ctx.fail(ctx.name, in_our_words(created))
  end
  return show(ctx, opts, app, opts.name, created and "added" or "kept up to date")
end

local function no_more(opts, ctx)
  if #opts.rest > 0 then
    ctx.usage(("%s takes a NAME and nothing more"):format(opts.action))
  end
end

local function steering(method, verb)
  return function(opts, ctx)
    no_more(opts, ctx)
    local app = ctx.open()
    local ok, err = app[method](app, opts.name, steer.reason(opts))
    if not ok then
      return ctx.fail(ctx.name, err)
    end
    return show(ctx, opts, app, opts.name, verb)
  end
end

actions.pause = steering("pause_schedule", "paused")
actions.resume = steering("resume_schedule", "resumed")

function actions.delete(opts, ctx)
  no_more(opts, ctx)
  local ok, err = ctx.open():delete_schedule(opts.name, steer.reason(opts))
  if not ok then
    return ctx.fail(ctx.name, err)
  end
  ctx.out(opts.json and ('{"name":"%s","deleted":true}\n'):format(opts.name) or ("%s deleted\n"):format(opts.name))
  return 0
end

function actions.trigger(opts, ctx)
  no_more(opts, ctx)
  local id, err = ctx.open():trigger_schedule(opts.name)
  if not id then
    return ctx.fail(ctx.name, err)
  end
  ctx.out(opts.json and ('{"task_id":"%s"}\n'):format(id) or id .. "\n")
  return 0
end

function actions.backfill(opts, ctx)
  if #opts.rest ~= 2 then
    ctx.usage("backfill takes NAME FROM TO")
  end
  local now, times = require("tasker.core").now(), {}
  for i, text in ipairs(opts.rest) do
    times[i] = args.parse_time(text, "ago", now)
    if not times[i] then
      ctx.usage(("'%s' is no time: RFC 3339, epoch seconds, or a duration such as 2d (ago)"):format(text))
    end
  end
  local count, err = ctx.open():backfill_schedule(opts.name, times[1], times[2])
  if not count then
    return ctx.fail(ctx.name, err)
  end
  ctx.out(opts.json and ('{"name":"%s","occurrences":%d}\n'):format(opts.name, count)
    or ("%s: %d occurrence%s\n"):format(opts.name, count, count == 1 and "" or "s"))
  return 0
end

-- Times of what the options say, without any store.
local function preview_of_options(opts, ctx)
  local spec, schedule_spec = spec_of(opts), require "tasker.schedule_spec"
  spec.replace, spec.paused, spec.count = nil, nil, nil
  local kind, err = schedule_spec.check(spec, schedule_spec.FIELDS, "field", 1)
  local cron, after = require "tasker.cron", opts.after or require("tasker.core").now()
  local options = { timezone = opts.timezone, after = after, count = opts.count or 10, dst = spec.dst }
  local times
  if kind == "cron" then
    times, err = cron.next(opts.cron, options)
  elseif kind == "rrule" then
    options.starts = opts.starts
    times, err = cron.next_by_rule(opts.rrule, options)
  elseif kind then
    ctx.usage("preview takes a NAME, --cron or --rrule")
  end
  return times, err and in_our_words(err), opts.timezone or "UTC"
end

local function preview_of_name(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local found, err = app:schedule_info(opts.name)
  if not found then
    return nil, err
  end
  local times
  times, err = app:preview_schedule(opts.name, { count = opts.count, after = opts.after })
  return times, err, found.timezone
end

function actions.preview(opts, ctx)
  no_more(opts, ctx)
  if opts.name and (opts.cron or opts.rrule) then
    ctx.usage("preview takes a NAME or --cron or --rrule, not both")
  end
  local times, err, timezone = (opts.name and preview_of_name or preview_of_options)(opts, ctx)
  if not times then
    return ctx.fail(ctx.name, err)
  end
  for _, at in ipairs(times) do
    ctx.out(opts.json and ('"%s"\n'):format(at) or schedule_text.time(at, timezone) .. "\n")
  end
  return 0
end

local function run(opts, ctx)
  if not opts.name and opts.action ~= "preview" then
    ctx.usage(("%s needs the NAME of a schedule"):format(opts.action))
  end
  return actions[opts.action](opts, ctx)
end

return {
  summary = "make, pause, resume, trigger, backfill, delete or preview a schedule",
  group = "steer",
  description = [[
`add NAME HANDLER [CONTEXT]` makes a schedule, with --cron, --every, --at or --rrule. `pause`, `resume` and `delete` take its
NAME. `trigger NAME` makes a task now, whatever runs, and prints its id. `backfill NAME FROM TO` makes the tasks of a time
that is over, FROM inclusive, TO exclusive. `preview NAME` shows the next times; without a NAME and without a store those of
--cron or --rrule.

Occurrences become tasks while a worker runs; those missed by at most --catch-up still do when one starts again.]],
  arguments = {
    { name = "action", choices = { "add", "pause", "resume", "trigger", "backfill", "delete", "preview" },
      help = "what to do" },
    { name = "name", optional = true, help = "the schedule" },
    { name = "rest", display = "HANDLER [CONTEXT]|FROM TO", many = true, optional = true,
      help = "add: the handler, and its context as JSON, @file or -; backfill: two times" },
  },
  options = {
    { name = "cron", value = "E", help = "when: five fields, or six with seconds first, or @daily …" },
    { name = "every", value = "S", type = "duration", help = "when: every so long, like 15m" },
    { name = "at", value = "T", type = "time", relative = "ahead", help = "when: once, at a time" },
    { name = "rrule", value = "R", help = "when: a rule of RFC 5545" },
    { name = "timezone", value = "Z", help = "the zone whose clock counts, like Europe/Berlin (UTC)" },
    { name = "overlap", value = "HOW", choices = { "skip", "buffer_one", "buffer_all", "cancel_other", "allow" },
      help = "while its last task runs (skip)" },
    { name = "catch-up", value = "S", type = "duration", help = "missed by at most so long, it still fires (1d)" },
    { name = "jitter", value = "S", type = "duration", help = "fire up to so much later" },
    { name = "starts", value = "T", type = "time", relative = "ahead", help = "not before then" },
    { name = "ends", value = "T", type = "time", relative = "ahead", help = "not after then" },
    { name = "count", value = "N", type = "integer", min = 1, max = 100000,
      help = "add: at most so many occurrences; preview: so many times (10)" },
    { name = "dst-gap", value = "HOW", choices = { "shift", "skip" }, help = "a time that the zone skips (shift)" },
    { name = "dst-overlap", value = "HOW", choices = { "first", "last", "both" }, help = "a time that the zone repeats (first)" },
    { name = "after", value = "T", type = "time", relative = "ahead", help = "preview: times after then (now)" },
    { name = "replace", help = "add: in the place of one of that name" },
    { name = "paused", help = "add: do not begin yet" },
    { name = "file", value = "FILE", many = true, type = "file", help = "add: load a handler file and register its handlers first" },
    { name = "tag", value = "T", many = true, help = "add: give its tasks a tag" },
    { name = "priority", value = "N", type = "integer", help = "add: of its tasks" },
    { name = "queue", value = "Q", help = "add: of its tasks" },
    { name = "reason", value = "TEXT", help = "why; kept in the log, of add with its tasks" },
    { name = "by", value = "WHO", help = "who does it; kept in the log" },
    { name = "json", help = "JSON on stdout" },
  },
  examples = {
    { "tasker-lua schedule add nightly shop/report '{\"kind\":\"daily\"}' --cron '0 2 * * *' --timezone Europe/Berlin",
      "a task every night at two" },
    { "tasker-lua schedule preview --cron '0 9 L * *' --timezone America/New_York", "when would that be" },
    { "tasker-lua schedule backfill nightly 7d 1d", "make up for a week" },
  },
  run = run,
}
