--- Diagrams of workflows: of a definition, or of a task with what became of its steps. The same input gives the same bytes.
-- @module tasker.diagram

local check = require "tasker.check"
local errors = require "tasker.errors"
local time = require "tasker.time"

local diagram = {}

-- Module of each format, and what of charts over time it can draw.
local FORMATS = {
  mermaid = { graph = "tasker.diagram.mermaid", gantt = "tasker.diagram.mermaid_gantt" },
  dot = { graph = "tasker.diagram.dot" },
  svg = { graph = "tasker.diagram.svg", gantt = "tasker.diagram.svg_gantt" },
  text = { graph = "tasker.diagram.text", gantt = "tasker.diagram.text_gantt" },
  json = { graph = "tasker.diagram.json" },
}

--- The formats, for who offers a choice.
diagram.formats = { "mermaid", "dot", "svg", "text", "json" }

local DIRECTIONS = { down = true, right = true }

local function not_format(value)
  return not FORMATS[value] and value ~= "gantt" and "one of mermaid, dot, svg, text, json, gantt" or nil
end

local function not_direction(value)
  return not DIRECTIONS[value] and "\"down\" or \"right\"" or nil
end

local not_count = check.not_integer(1, 1000000)

local function not_fold(value)
  return type(value) == "number" and not_count(value) or nil
end

local OPTIONS = {
  format = { "string", not_format },
  gantt = { "boolean" },
  compare = { "table|string" },
  definition = { "table" },
  events = { "table" },
  fold = { "boolean|number", not_fold },
  direction = { "string", not_direction },
  now = { "number|string", time.not_time },
  columns = { "number", not_count },
  ascii = { "boolean" },
}

-- ---- What is meant ----

local function is_task(value)
  return type(value.task_id) == "string"
end

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

-- A handler by name: this state's, else the one in the store of the current app; or a task of that store by its id.
local function find(name)
  local client, definitions, registry = require "tasker.client", require "tasker.definitions", require "tasker.registry"
  local app = client.current()
  if name:match(UUID) and app then
    return app:task(name)
  end
  local namespace, handler_name, version = definitions.parse(name)
  if not namespace then
    return nil, handler_name
  end
  local found = registry.find(namespace, handler_name, version)
  local err
  if not found and app and app.engine then
    found, err = app.engine:find_definition(namespace, handler_name, version)
  end
  if not found and (not err or err.code == "closed") then
    err = errors.new("not_found", ("no handler '%s' is defined"):format(name))
  end
  return found, err
end

-- The definition of a task: the one given, if it is of that handler, else this state's.
local function definition_of(task, given)
  if given and given.namespace == task.namespace and given.name == task.name and given.version == task.version then
    return given
  elseif type(task.namespace) == "string" and type(task.name) == "string" and type(task.version) == "string" then
    return require("tasker.registry").find(task.namespace, task.name, task.version)
  end
  return nil
end

-- The neutral graph of a handler, a definition, a task, or a name.
local function graph_of(subject, options)
  local err
  if type(subject) == "string" then
    subject, err = find(subject)
    if not subject then
      return nil, err
    end
  end
  local source = require "tasker.diagram.source"
  if not is_task(subject) then
    return source.definition(subject)
  end
  local graph
  graph, err = source.task(subject, definition_of(subject, options.definition), options.gantt or options.format == "gantt")
  if graph then
    require("tasker.diagram.overlay").apply(graph, options.events, time.seconds(options.now))
  end
  return graph, err
end

-- ---- Drawing ----

local function renderer_of(options)
  local format, gantt = options.format or "mermaid", options.gantt
  if format == "gantt" then
    format, gantt = "svg", true
  end
  local module = FORMATS[format][gantt and "gantt" or "graph"]
  if not module then
    return errors.invalid("tasker.diagram: a chart over time can be svg, mermaid or text, not %s", format)
  end
  return require(module), nil, format, gantt
end

local function apply_fold(graph, options, format)
  local most = options.fold
  if most == nil then
    -- What programs read is whole.
    most = format ~= "json"
  end
  if most then
    local fold = require "tasker.diagram.fold"
    fold.apply(graph, most == true and fold.DEFAULT or math.tointeger(most))
  end
end

--- Draws a handler or a task.
--
-- Options: `format` ("mermaid" unless given, "dot", "svg", "text", "json"; "gantt" is a chart over time in SVG); `gantt =
-- true`: a task over time, as svg, mermaid or text; `compare`: another handler or task, what the drawn one has and that one
-- has not is marked as added, and so on; `fold`: so many alike siblings (12) are still drawn one by one, `false` draws all;
-- `direction`: "down" or "right"; `events`: the task's events, for each attempt's times; `now`: running steps are drawn as
-- they are then; `definition`: the task's handler or stored definition, where it is not defined in this state; of text also
-- `columns` (100) and `ascii`.
-- @param subject a handler, its name, a task as app:task gives it, or a task's id
-- @tab[opt] options
-- @treturn string|nil
-- @return err
function diagram.draw(subject, options)
  check.type(subject, "table|string", "tasker.diagram: what to draw", 2)
  check.type(options, "table|nil", "tasker.diagram: options", 2)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "tasker.diagram: option", 2)
  if not ok then
    return nil, err
  end
  local renderer, why, format, gantt = renderer_of(options)
  if not renderer then
    return nil, why
  end
  local graph
  graph, err = graph_of(subject, options)
  if not graph then
    return nil, err
  elseif gantt and not graph.task then
    return errors.invalid("tasker.diagram: a chart over time is of a task; %s is a handler", graph.title)
  end
  if options.compare then
    local base
    base, err = graph_of(options.compare, { now = options.now, definition = options.definition })
    if not base then
      return nil, err
    end
    require("tasker.diagram.compare").apply(graph, base)
  end
  apply_fold(graph, options, format)
  return renderer.draw(graph, options)
end

return diagram
