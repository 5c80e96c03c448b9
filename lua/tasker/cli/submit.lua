--- `tasker-lua submit`: a task for the workers of a store.
local check = require "tasker.check"
local files = require "tasker.cli.support.files"
local known = require "tasker.cli.support.known"
local outcome = require "tasker.cli.support.outcome"

-- The value of `--annotate K=V`: JSON where it is JSON, else the text.
local function annotation_value(text)
  local value = require("tasker.core").json.decode(text)
  return value == nil and text or value
end

local function parse_annotations(ctx, list)
  local annotations = {}
  for _, text in ipairs(list) do
    local name, value = text:match("^([%w_.-]+)=(.*)$")
    if not name then
      ctx.usage(("--annotate must be NAME=VALUE with a name of A-Z a-z 0-9 _ . -, not '%s'"):format(text))
    end
    annotations[name] = annotation_value(value)
  end
  return next(annotations) and annotations or nil
end

local function some(list)
  return #list > 0 and list or nil
end

local function submit_options(opts, ctx)
  return {
    namespace = opts.namespace, version = opts.version, tags = some(opts.tag), initiator = opts.initiator,
    source_system = opts.source_system, reason = opts.reason, bypass_steps = some(opts.bypass), priority = opts.priority,
    queue = opts.queue, run_at = opts.run_at, delay = opts.delay, identity_key = opts.identity_key,
    annotations = parse_annotations(ctx, opts.annotate),
  }
end

local FLAGS = { tags = "tag", bypass_steps = "bypass", annotations = "annotate" }

-- The client names its options; here they are called by what was typed.
local function in_our_words(message)
  local text = message:gsub("^app:submit: ", ""):gsub("option '([%l_]+)'", function(name)
    return "--" .. (FLAGS[name] or name:gsub("_", "-"))
  end)
  return text
end

local function refuse(ctx, app, opts, err)
  if err.code ~= "not_found" then
    return ctx.fail(ctx.name, in_our_words(err.message))
  end
  local wanted = opts.handler
  if opts.namespace and not wanted:find("/", 1, true) then
    wanted = opts.namespace .. "/" .. wanted
  end
  if opts.version and not wanted:find("@", 1, true) then
    wanted = wanted .. "@" .. opts.version
  end
  return ctx.fail(ctx.name, known.no_handler(app.engine, wanted, "in the store") .. " (--file FILE loads and registers one first)")
end

local function print_id(ctx, opts, id, created)
  if opts.json then
    ctx.out(('{"task_id":"%s","created":%s}\n'):format(id, created))
  else
    ctx.out(id .. "\n")
    if not created then
      ctx.err("tasker-lua: this was submitted before; the id is that of the first task\n")
    end
  end
  io.stdout:flush()
end

local function run(opts, ctx)
  if opts.timeout and not opts.wait then
    ctx.usage("--timeout needs --wait")
  end
  local options = submit_options(opts, ctx)
  -- stdout is for the id: what handler files print goes to stderr.
  local undivert = files.divert()
  if #opts.file > 0 then
    local handlers, code = files.load(ctx, opts.file)
    if not handlers then
      return code
    end
  end
  local app = ctx.open { create = #opts.file > 0, announce = true }
  if #opts.file > 0 then
    local numbers, err = require("tasker.loader").register(app.engine, true)
    if not numbers then
      return ctx.fail(ctx.name, err)
    end
  end
  local id, created = app:submit(opts.handler, opts.context, options)
  undivert()
  if not id then
    return refuse(ctx, app, opts, created)
  end
  print_id(ctx, opts, id, created)
  if not opts.wait then
    return 0
  end
  local final = outcome.wait(ctx, app.engine, id, opts.timeout, opts.file)
  local json = outcome.task_json(app.engine, id)
  if opts.json then
    ctx.out(json .. "\n")
  end
  return outcome.report(ctx, json, not final and opts.timeout or nil)
end

return {
  summary = "submit a task",
  group = "work",
  description = [[
The store must know the handler: a worker that has loaded its file has told it, and --file does so here.
Prints the task's id. With --wait the exit code tells how the task ended: 0 complete or resolved, 3 in error,
4 cancelled, 5 not final within --timeout.]],
  arguments = {
    { name = "handler", help = "name, namespace/name, or either with @version (the highest version without)" },
    { name = "context", display = "CONTEXT|@file|-", type = "json", optional = true, help = "a JSON object; - reads it from stdin" },
  },
  options = {
    { name = "file", value = "FILE", many = true, type = "file", help = "load a handler file and register its handlers first" },
    { name = "tag", value = "T", many = true, type = "key", help = "give the task a tag" },
    { name = "priority", value = "N", type = "integer", min = -check.LARGEST_PRIORITY - 1, max = check.LARGEST_PRIORITY,
      help = "greater ones start first (0)" },
    { name = "run-at", value = "T", type = "time", relative = "ahead", help = "not before then: RFC 3339, epoch seconds or 5m" },
    { name = "delay", value = "S", type = "duration", excludes = { "run-at" }, help = "not before so much time has passed" },
    { name = "identity-key", value = "K", type = "key", help = "one task only for all submissions with this key" },
    { name = "wait", help = "wait until the task is final" },
    { name = "timeout", value = "S", type = "duration", help = "with --wait: at most so long" },
    { name = "json", help = "{\"task_id\":…,\"created\":…} on stdout, with --wait followed by the task" },
    { name = "namespace", value = "N", type = "name", help = "of the handler, when its name has none" },
    { name = "version", value = "V", help = "of the handler, when its name has none" },
    { name = "queue", value = "Q", type = "name", help = "put its steps into this queue" },
    { name = "initiator", value = "I", help = "who wants it (unknown)" },
    { name = "source-system", value = "S", help = "where it comes from (unknown)" },
    { name = "reason", value = "R", help = "why (unknown)" },
    { name = "bypass", value = "STEP", many = true, help = "skip this step, which must be skippable" },
    { name = "annotate", value = "K=V", many = true, help = "note something on the task; V is JSON or a text" },
  },
  examples = {
    { "tasker-lua submit shop/order '{\"order_id\":7}' --tag vip", "submit a task and print its id" },
    { "tasker-lua submit shop/order @order.json --file order.lua --wait", "register the handler first, wait for the end" },
    { "tasker-lua submit report --run-at 2h --identity-key report-2026-01", "in two hours, and only once" },
  },
  run = run,
}
