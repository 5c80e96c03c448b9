--- `tasker-lua run FILE [HANDLER] [CONTEXT]`: one task from a handler file, from submission to its end.
local args = require "tasker.cli.args"
local files = require "tasker.cli.support.files"
local outcome = require "tasker.cli.support.outcome"
local progress = require "tasker.cli.support.progress"

-- `run FILE '{"a":1}'`: what cannot be a handler's name is the context.
local function sort_arguments(opts, ctx)
  local text = opts.handler
  if opts.context ~= nil or not text or not (text:find "^[{%[@]" or text == "-") then
    return text, opts.context
  end
  local context, why = args.read_json(text)
  if context == nil then
    ctx.usage(("CONTEXT: %s"):format(why))
  end
  return nil, context
end

local function usage_list(ctx, message, names)
  ctx.usage(("%s: %s"):format(message, table.concat(names, ", ")))
end

-- Everything a handler can be called by; of several versions the highest has the name without one. false: not unique.
local function names_of(handlers)
  local compare = require("tasker.core").semver_compare
  local forms = {}
  local function offer(form, handler)
    local other = forms[form]
    if other and (other.namespace ~= handler.namespace or other.name ~= handler.name) then
      forms[form] = false
    elseif other == nil or other and compare(handler.version, other.version) > 0 then
      forms[form] = handler
    end
  end
  for _, handler in ipairs(handlers) do
    for _, name in ipairs { handler.name, handler.namespace .. "/" .. handler.name } do
      offer(name, handler)
      offer(name .. "@" .. handler.version, handler)
    end
  end
  return forms
end

-- The handler that is meant, of what the file defines.
local function choose(ctx, handlers, wanted, file)
  local names = files.names(handlers)
  if not wanted then
    if #handlers > 1 then
      usage_list(ctx, ("%s defines several handlers, name one"):format(file), names)
    end
    return handlers[1]
  end
  local forms = names_of(handlers)
  if forms[wanted] then
    return forms[wanted]
  elseif forms[wanted] == false then
    usage_list(ctx, ("'%s' may mean several handlers of %s, name one"):format(wanted, file), names)
  end
  local known = {}
  for form in pairs(forms) do
    known[#known + 1] = form
  end
  table.sort(known)
  usage_list(ctx, ("%s defines no handler '%s'%s; it defines"):format(file, wanted, args.hint(wanted, known)), names)
end

local DONE = { complete = true, skipped = true, error = true, cancelled = true, resolved_manually = true }

-- Draws how many steps of the task are done, on a terminal.
local function watch_of(ctx, app, id)
  local line = progress.new(ctx, "running", "steps")
  return line, function()
    if line:is_due() then
      local steps = require("tasker.core").json.decode(app.engine:task(id)).steps
      local done = 0
      for _, step in ipairs(steps) do
        done = done + (DONE[step.status] and 1 or 0)
      end
      line:update(done, #steps)
    end
  end
end

local INTERRUPTED = 130

-- Works until the task is final, or the time is over. Returns the seconds waited in vain, or an exit code when it failed.
local function work(opts, ctx, app, id)
  local now = require("tasker.core").now
  local line, watch = watch_of(ctx, app, id)
  local started = now()
  local task, err = app:work_for(id, { watch = watch, until_idle = opts.timeout })
  line:clear()
  if task then
    return nil
  elseif err.code ~= "closed" then
    return nil, ctx.fail(ctx.name, err)
  elseif not opts.timeout then
    return nil, INTERRUPTED
  end
  return now() - started
end

local function run(opts, ctx)
  local wanted, context = sort_arguments(opts, ctx)
  -- stdout is for the results: what the handlers print goes to stderr.
  local undivert = files.divert()
  local handlers, code = files.load(ctx, { opts.file })
  if not handlers then
    return code
  end
  local app = ctx.open { create = true, default = "memory:" }
  local id, err = app:submit(choose(ctx, handlers, wanted, opts.file), context)
  if not id then
    return ctx.fail(ctx.name, err)
  end
  local waited, failed = work(opts, ctx, app, id)
  undivert()
  if failed then
    return failed
  end
  local text = outcome.task_json(app.engine, id)
  if opts.json then
    ctx.out(text .. "\n")
  elseif not waited then
    local json = require("tasker.core").json
    ctx.out(json.encode(json.decode(text).results, ctx.is_tty and { indent = 2 } or nil) .. "\n")
  end
  return outcome.report(ctx, text, waited)
end

return {
  summary = "run a handler from a file and print its results",
  group = "work",
  description = [[
Loads FILE, submits one task, works on it until it is final and prints its results as JSON on stdout. The store is in
memory unless --store or $TASKER_STORE names one. Exit codes: 0 complete or resolved, 3 in error, 4 cancelled,
5 not final within --timeout. What the file prints goes to stderr.]],
  arguments = {
    { name = "file", type = "file", help = "a Lua file that defines handlers with tasker.handler" },
    { name = "handler", optional = true, help = "the one to run, when the file defines several" },
    { name = "context", display = "CONTEXT|@file|-", type = "json", optional = true, help = "a JSON object; - reads it from stdin" },
  },
  options = {
    { name = "timeout", value = "S", type = "duration", help = "at most so long" },
    { name = "json", help = "the whole task instead of its results" },
  },
  examples = {
    { "tasker-lua run order.lua '{\"order_id\":7}'", "run the only handler of the file" },
    { "tasker-lua run order.lua shop/order @order.json --store ./tasker-data", "with the context of a file, in a store on disk" },
  },
  run = run,
}
