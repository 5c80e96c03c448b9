--- `tasker-lua diagram HANDLER|ID`: a handler or a task, drawn.
local known = require "tasker.cli.support.known"
local files = require "tasker.cli.support.files"
local term = require "tasker.cli.support.term"

local FORMATS = { "text", "mermaid", "dot", "svg", "json", "gantt" }

-- Formats by the ends of file names.
local ENDINGS = { svg = "svg", dot = "dot", gv = "dot", mmd = "mermaid", mermaid = "mermaid", json = "json", txt = "text" }

local function looks_like_id(text)
  return text == "@last" or text:match("^%x[%x-]+$") ~= nil and #text >= 6
end

-- The app, opened when it is first needed.
local function opener(ctx)
  local app
  return function()
    app = app or ctx.open { options = { read_only = true } }
    return app
  end
end

-- A task with its events and its definition.
local function find_task(app, text)
  local id, err = app.engine:find_id(text)
  local task, events
  if id then
    task, err = app:task(id)
  end
  if task then
    events, err = app:events { task_id = id }
  end
  if not events then
    return nil, err
  end
  local definition = app.engine:find_definition(task.namespace, task.name, task.version)
  return task, nil, { events = events, definition = definition }
end

-- One of the handlers of the files that were loaded, else one of the store, else a task.
local function find(text, handlers, open)
  local definitions, registry = require "tasker.definitions", require "tasker.registry"
  local namespace, name, version = definitions.parse(text)
  if not namespace and not looks_like_id(text) then
    return nil, name
  end
  local own = namespace and #handlers > 0 and registry.find(namespace, name, version)
  if own then
    return own
  elseif #handlers > 0 and not looks_like_id(text) then
    return nil, ("the files define no handler '%s'; they define %s"):format(text, table.concat(files.names(handlers), ", "))
  end
  local app = open()
  local stored, err
  if namespace then
    stored, err = app.engine:find_definition(namespace, name, version)
  end
  if stored then
    return stored
  elseif looks_like_id(text) then
    return find_task(app, text)
  end
  return nil, err or known.no_handler(app.engine, text, "in the store")
end

local function choose_only(ctx, handlers)
  if #handlers == 0 then
    ctx.usage "HANDLER|ID is missing"
  elseif #handlers > 1 then
    ctx.usage("the files define several handlers, name one: " .. table.concat(files.names(handlers), ", "))
  end
  return handlers[1]
end

local function format_of(opts, ctx)
  if opts.format then
    return opts.format
  end
  local ending = opts.output and opts.output:match("%.(%w+)$")
  if ending and not ENDINGS[ending] then
    ctx.usage(("--output: '.%s' says no format; --format does"):format(ending))
  end
  return ending and ENDINGS[ending] or "text"
end

local function write(opts, ctx, text)
  if not opts.output then
    ctx.out(text)
    return 0
  end
  local file, why = io.open(opts.output, "wb")
  local ok = file and file:write(text)
  if not (file and file:close() and ok) then
    return ctx.fail(ctx.name, why or ("%s cannot be written"):format(opts.output))
  end
  return 0
end

local function load_files(opts, ctx)
  if #opts.file == 0 then
    return {}
  end
  local undivert = files.divert()
  local handlers, code = files.load(ctx, opts.file)
  undivert()
  return handlers, code
end

local function options_of(opts, ctx, found)
  local screen = term.out(ctx)
  return {
    format = format_of(opts, ctx), gantt = opts.gantt, direction = opts.direction, events = found and found.events,
    definition = found and found.definition, fold = opts.fold, now = require("tasker.core").now(),
    columns = screen.is_tty and math.max(screen.columns - 1, 20) or nil, ascii = not screen.unicode,
  }
end

local function run(opts, ctx)
  local handlers, code = load_files(opts, ctx)
  if not handlers then
    return code
  end
  local open = opener(ctx)
  local subject, err, found
  if opts.subject then
    subject, err, found = find(opts.subject, handlers, open)
  else
    subject = choose_only(ctx, handlers)
  end
  if not subject then
    return ctx.fail(ctx.name, err)
  end
  local options = options_of(opts, ctx, found)
  if opts.compare then
    options.compare, err = find(opts.compare, handlers, open)
    if not options.compare then
      return ctx.fail(ctx.name, err)
    end
  end
  local text
  text, err = require("tasker.diagram").draw(subject, options)
  if not text then
    return ctx.fail(ctx.name, err)
  end
  return write(opts, ctx, text)
end

return {
  summary = "draw a handler or a task",
  group = "look",
  description = [[
Draws the steps of a handler, or of a task with what became of them: states, times, attempts, branches not taken, and in
bold the critical path. HANDLER is looked for in the files of --file, else in the store. With --compare what is not in the
other one is marked as added, what is only there as removed, what differs as changed.]],
  arguments = {
    { name = "subject", display = "HANDLER|ID", optional = true,
      help = "namespace/name[@version], or a task's id (a unique part of it, @last); not needed when --file defines one handler" },
  },
  options = {
    { name = "format", value = "F", choices = FORMATS,
      help = "text unless --output says another; gantt is a task over time as svg" },
    { name = "output", short = "o", value = "FILE", type = "file", help = "write there; its ending says the format" },
    { name = "file", value = "FILE", many = true, type = "file", help = "load this handler file" },
    { name = "gantt", help = "a task over time: as text, mermaid or svg" },
    { name = "compare", value = "HANDLER|ID", help = "mark what differs from this one" },
    { name = "direction", value = "D", choices = { "down", "right" }, help = "where the edges go (default down)" },
    { name = "fold", negatable = true, help = "draw many alike steps as one (all formats but json do)" },
  },
  examples = {
    { "tasker-lua diagram --file order.lua", "the only handler of a file, as text" },
    { "tasker-lua diagram @last -o task.svg", "the task that was submitted last, as a picture" },
    { "tasker-lua diagram @last --gantt", "where its time went" },
    { "tasker-lua diagram shop/order@2.0.0 --compare shop/order@1.0.0 -o new.svg", "what a version changed" },
  },
  run = run,
}
