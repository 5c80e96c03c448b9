--- `tasker-lua task ID`: one task, drawn, as text or as JSON.
local args = require "tasker.cli.args"
local task_text = require "tasker.cli.support.task_text"
local term = require "tasker.cli.support.term"

local function encode(ctx, value)
  local json = require("tasker.core").json
  return json.encode(value, ctx.is_tty and { indent = 2 } or nil) .. "\n"
end

-- The results of all steps, or of one.
local function print_results(ctx, text, step_name)
  local json = require("tasker.core").json
  local task = json.decode(text)
  if not step_name then
    ctx.out(encode(ctx, task.results))
    return 0
  end
  local names = {}
  for i, step in ipairs(task.steps) do
    names[i] = step.name
    if step.name == step_name then
      if step.status ~= "complete" and step.status ~= "resolved_manually" then
        return ctx.fail(ctx.name, ("step '%s' has no results: it is %s"):format(step_name, step.status))
      end
      ctx.out(encode(ctx, step.results))
      return 0
    end
  end
  return ctx.fail(ctx.name, ("%s/%s has no step '%s'%s"):format(
    task.namespace, task.name, step_name, args.hint(step_name, names)))
end

local function looks_like_id(text)
  return text == "@last" or text:match("^%x[%x-]+$") ~= nil and #text >= 6
end

local function run(opts, ctx)
  local id_text, step_name = opts.id, opts.step
  if step_name and not opts.results then
    ctx.usage(("unexpected argument '%s'"):format(step_name))
  end
  -- `task --results charge ID` was parsed as ID and STEP in this order.
  if step_name and looks_like_id(step_name) and not looks_like_id(id_text) then
    id_text, step_name = step_name, id_text
  end
  local app = ctx.open { options = { read_only = true } }
  local id, err = app.engine:find_id(id_text)
  local text
  if id then
    text, err = app.engine:task(id, opts.results and "all" or opts.instances)
  end
  if not text then
    return ctx.fail(ctx.name, err)
  elseif opts.results then
    return print_results(ctx, text, step_name)
  elseif opts.json then
    ctx.out(text .. "\n")
    return 0
  end
  local task = task_text.decode(text)
  local screen = term.out(ctx)
  if not screen.is_tty then
    ctx.out(task_text.plain(task, opts.verbose))
    return 0
  end
  ctx.out(task_text.draw(screen, task, require("tasker.core").now(), opts.verbose))
  local advice = task_text.advice(task)
  if advice then
    ctx.out("  " .. screen:paint(advice, "dim") .. "\n")
  end
  return 0
end

return {
  summary = "show one task: its steps, attempts, times and errors",
  group = "look",
  arguments = {
    { name = "id", help = "the task's id, a unique beginning or end of it (6 or more characters), or @last" },
    { name = "step", optional = true, help = "with --results: of this step only" },
  },
  options = {
    { name = "json", help = "the task as one JSON value on stdout" },
    { name = "results", help = "only the results, as JSON: of all steps, or of STEP" },
    { name = "instances", value = "WHICH", choices = { "failed", "all", "none" },
      help = "which instances of mapped steps" },
    { name = "verbose", short = "v", help = "whole errors with tracebacks, and every step of a large task" },
  },
  examples = {
    { "tasker-lua task @last", "the task that was submitted last" },
    { "tasker-lua task 5d6b1c8a --results charge", "what one step returned" },
    { "tasker-lua task @last --json | jq .status", "for programs" },
  },
  run = run,
}
