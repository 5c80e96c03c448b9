--- What is to be drawn, as one neutral graph: from a handler, from a definition as a store keeps it, or from a task.
--
-- A graph is `{title, subtitle, nodes, edges, task}`:
--
-- * `nodes`, in the order of the definition: `{name, kind, kind_notes, description, details = {{name, text}}, fields}`; of a
--   task also `status attempts started ended last_attempted next_attempt waiting_for error` (times in seconds since the
--   epoch). Others add to them: tasker.diagram.overlay `seconds critical`, compare `change changes change_texts`, fold `count members`.
-- * `edges`: `{from, to, label}` with indexes of nodes, from a step to the one that depends on it; no two have the same ends.
--   overlay adds `taken` (false: never) and `critical`, compare `change`.
-- * `task`: `{id, status, started, ended, day}` of a task.
--
-- Kinds of nodes are data: renderers ask tasker.diagram.look what a kind looks like.
-- @module tasker.diagram.source

local core = require "tasker.core"
local errors = require "tasker.errors"
local format = require "tasker.cli.support.format"
local handler = require "tasker.handler"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local states = require "tasker.diagram.states"
local suggest = require "tasker.suggest"

local source = {}

local null = core.json.null

-- JSON null and what is absent are one.
local function known(value)
  if value == null then
    return nil
  end
  return value
end

local function text_of(value)
  value = known(value)
  return type(value) == "string" and value ~= "" and measure.clean(value) or nil
end

local function seconds_of(value)
  return type(value) == "string" and core.time_parse(value) or type(value) == "number" and value or nil
end

-- ---- Fields of steps: what a tooltip tells, and what two versions may differ in ----

local CANONICAL = { canonical = true }

-- Functions inside are not there to be shown.
local function json_text(value)
  local text = core.json.encode(value, CANONICAL)
  return text and measure.clean(text) or "given by a function"
end

local function retry_text(step)
  local retry = step.retry
  local backoff = retry.backoff
  if backoff == "custom" then
    backoff = step.strategy_name or "a function"
  elseif backoff == "list" then
    backoff = table.concat(retry.list, ", ") .. " s"
  end
  local jitter = retry.jitter == "fraction" and retry.fraction or retry.jitter
  return ("%s, %s, base %g s, factor %g, cap %g s, jitter %s"):format(format.plural(retry.limit, "attempt"), backoff,
    retry.base, retry.factor, retry.cap, jitter)
end

local function timeout_text(seconds)
  return seconds and ("%g s"):format(seconds) or "none"
end

-- Kinds that run code of their own: they have retries.
local RUNS = { run = true, handler = true }

-- What a kind of step has besides its name, as a definition keeps it.
local KIND_FIELDS = { "when", "cases", "default", "sleep", "signal", "child", "approval", "map", "join" }

-- `false`: known to be absent; nil: not known. Only what both versions know is compared.
local function fields_of(described, made, kind)
  local inputs = known(described.inputs)
  local fields = {
    kind = kind,
    description = text_of(described.description) or false,
    queue = text_of(described.queue) or false,
    dependent_system = text_of(described.dependent_system) or false,
    handler = text_of(described.handler) or false,
    config = known(described.config) ~= nil and json_text(described.config) or false,
    skippable = known(described.skippable) == true and "yes" or false,
    inputs = described.asks_inputs == true and "given by a function" or inputs ~= nil and json_text(inputs) or false,
  }
  for _, name in ipairs(KIND_FIELDS) do
    local value = known(described[name])
    fields[name] = value ~= nil and json_text(value) or false
  end
  if made then
    fields.timeout = timeout_text(made.timeout)
    fields.on_error = made.continue and "continue" or "fail"
    if RUNS[kind] then
      fields.heartbeat_timeout = timeout_text(made.heartbeat_timeout)
      fields.retry = retry_text(made)
      fields.retryable = made.retryable and "yes" or "no"
    end
  end
  return fields
end

-- In the order in which they are told; what goes without saying is not.
local TOLD = { "queue", "dependent_system", "timeout", "heartbeat_timeout", "retry", "retryable", "skippable", "on_error",
  "inputs", "config" }
local DEFAULT_RETRY = "3 attempts, exponential, base 1 s, factor 2, cap 300 s, jitter full"

-- `3600 s` and `none`: of steps that run code, and of those that wait.
local USUAL = { timeout = { ["3600 s"] = true, none = true }, heartbeat_timeout = { none = true }, retryable = { yes = true },
  on_error = { fail = true }, retry = { [DEFAULT_RETRY] = true } }
local LONGEST_DETAIL = 160

local function details_of(fields)
  local details = {}
  for _, name in ipairs(TOLD) do
    local text = fields[name]
    if text and not (USUAL[name] and USUAL[name][text]) then
      details[#details + 1] = { name = name:gsub("_", " "), text = measure.cut(text, LONGEST_DETAIL) }
    end
  end
  return details
end

-- ---- Definitions ----

local KINDS = { "handler", "child", "sleep", "signal", "approval", "switch" }

local function kind_of(described)
  if described.kind == "pass" then
    return described.state and described.state.final and "final" or "state"
  elseif type(described.kind) == "string" then
    return described.kind
  end
  for _, kind in ipairs(KINDS) do
    if known(described[kind]) ~= nil then
      return kind
    end
  end
  return "run"
end

local function names_of(value)
  value = known(value)
  if type(value) == "string" then
    return { value }
  end
  return value or {}
end

-- `undefined`: of a task whose definition is not known, or does not have this step.
local function new_node(described, made, undefined)
  local kind = kind_of(described)
  local fields = undefined and {} or fields_of(described, made, kind)
  return {
    name = measure.clean(described.name), kind = kind, kind_notes = look.kind_notes(kind, described),
    description = fields.description or nil, fields = fields, details = details_of(fields),
  }
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- Adds an edge, or a label to the one that is there.
local function add_edge(graph, seen, from, to, label)
  local key = from * 1048576 + to
  local edge = seen[key]
  if not edge then
    edge = { from = from, to = to }
    seen[key] = edge
    graph.edges[#graph.edges + 1] = edge
  end
  if label then
    edge.label = edge.label and edge.label .. ", " .. label or label
  end
  return edge
end

local function no_such_step(title, step, field, name, index_of)
  return nil, errors.new("invalid", ("diagram: %s: step '%s': field '%s' names no step: '%s'%s"):format(title,
    measure.clean(step.name), field, measure.clean(name), suggest.hint(name, index_of)))
end

-- Edges along dependencies, then those that a switch gives its cases (a task may be one of another version than what is
-- known of its handler).
local function link(graph, steps, index_of)
  local seen = {}
  for i, step in ipairs(steps) do
    for _, name in ipairs(names_of(step.depends_on)) do
      if not index_of[name] then
        return no_such_step(graph.title, step, "depends_on", name, index_of)
      end
      add_edge(graph, seen, index_of[name], i)
    end
  end
  for i, step in ipairs(steps) do
    local cases = type(step.cases) == "table" and step.cases or {}
    for _, case in ipairs(sorted_keys(cases)) do
      local label = measure.clean(case) .. (step.default == case and " (default)" or "")
      for _, name in ipairs(names_of(cases[case])) do
        if index_of[name] then
          add_edge(graph, seen, i, index_of[name], label)
        elseif not graph.task then
          return no_such_step(graph.title, step, "cases", name, index_of)
        end
      end
    end
  end
  return graph
end

local function full_name(record)
  return measure.clean(("%s/%s@%s"):format(known(record.namespace) or "default", known(record.name) or "unnamed",
    known(record.version) or "0.1.0"))
end

local function check_steps(record, title)
  if type(record.steps) ~= "table" or #record.steps == 0 then
    return nil, errors.new("invalid", ("diagram: %s has no steps"):format(title))
  end
  local index_of = {}
  for i, step in ipairs(record.steps) do
    if type(step) ~= "table" or type(step.name) ~= "string" then
      return nil, errors.new("invalid", ("diagram: %s: step %d has no name"):format(title, i))
    elseif index_of[step.name] then
      return nil, errors.new("invalid", ("diagram: %s: step %d is '%s', as step %d"):format(title, i,
        measure.clean(step.name), index_of[step.name]))
    end
    index_of[step.name] = i
  end
  return index_of
end

-- What is described of a definition, and the steps of the handler object where it is one.
local function described_of(definition)
  if handler.is_handler(definition) then
    return assert(core.json.decode(definition.json)), definition.steps
  elseif type(definition.json) == "string" then
    return assert(core.json.decode(definition.json))
  end
  return definition
end

local function error_text(err)
  err = known(err)
  if type(err) ~= "table" then
    return nil
  end
  local message = tostring(known(err.message) or "no message")
  local text = measure.clean(message:match("[^\r\n]*%S[^\r\n]*") or message)
  local code = known(err.code)
  return type(code) == "string" and code ~= "error" and ("%s (%s)"):format(text, measure.clean(code)) or text
end

local function add_execution(node, step)
  node.status = known(step.status) or "pending"
  node.attempts = known(step.attempts)
  node.started, node.ended = seconds_of(step.started_at), seconds_of(step.completed_at)
  node.last_attempted, node.next_attempt = seconds_of(step.last_attempted_at), seconds_of(step.next_attempt_at)
  node.waiting_for = text_of(step.waiting_for)
  node.error = error_text(step.error)
end

-- States that run code look like states.
local STATES = { run = "state", handler = "state" }

-- Of a machine: the nodes of its states alone, and the arrows between them.
local function keep_states(graph, steps, records)
  local nodes, index_of, seen, by_name = {}, {}, {}, {}
  for _, node in ipairs(graph.nodes) do
    by_name[node.name] = node
  end
  local drawn, ended = states.drawn(steps, records)
  for i, state in ipairs(drawn) do
    local node = by_name[measure.clean(state.name)]
    nodes[i], index_of[state.name] = node, i
    node.visits = records and state.visits
    node.kind = STATES[node.kind] or node.kind
    if state.initial then
      table.insert(node.kind_notes, 1, "initial")
    end
    if state.record then
      add_execution(node, state.record)
    end
  end
  graph.nodes, graph.machine = nodes, true
  for _, arrow in ipairs(states.arrows(steps)) do
    local from, to = index_of[arrow.from], index_of[arrow.to]
    if from and to then
      local edge = add_edge(graph, seen, from, to, arrow.label and measure.clean(arrow.label))
      if records then
        edge.taken = edge.taken or states.was_taken(arrow, nodes[from], nodes[to], ended)
      end
    end
  end
  return graph
end

local LONGEST_SUBTITLE = 100

--- The graph of a definition.
-- @tab definition a handler, a stored definition (`{namespace, name, version, json}`), or one decoded (`{name, steps}`)
-- @treturn table|nil
-- @return err `invalid`
function source.definition(definition)
  local described, made = described_of(definition)
  local title = full_name(definition)
  local index_of, err = check_steps(described, title)
  if not index_of then
    return nil, err
  end
  local description = text_of(described.description)
  local graph = { title = title, nodes = {}, edges = {},
    subtitle = description and measure.cut(description, LONGEST_SUBTITLE) }
  for i, step in ipairs(described.steps) do
    graph.nodes[i] = new_node(step, made and made[i])
  end
  if states.are(described.steps) then
    return keep_states(graph, described.steps)
  end
  return link(graph, described.steps, index_of)
end

-- ---- Tasks ----

local function task_subtitle(task)
  local text = ("task %s · %s"):format(task.id, format.status(task.status))
  if task.started and task.ended then
    text = ("%s after %s"):format(text, format.duration(math.max(task.ended - task.started, 0)))
  end
  return text
end

-- The steps of a task with what its definition tells of them.
local function enrich(steps, definition)
  local by_name, made_of = {}, {}
  if definition then
    local described, made = described_of(definition)
    for i, step in ipairs(type(described.steps) == "table" and described.steps or {}) do
      by_name[step.name], made_of[step.name] = step, made and made[i]
    end
  end
  local enriched = {}
  for i, step in ipairs(steps) do
    local merged = {}
    for key, value in pairs(by_name[step.name] or {}) do
      merged[key] = value
    end
    merged.name, merged.depends_on = step.name, step.depends_on
    merged.instances, merged.failed = known(step.instances), known(step.failed)
    merged.made, merged.undefined = made_of[step.name], by_name[step.name] == nil
    enriched[i] = merged
  end
  return enriched
end

local function defined(steps)
  local list = {}
  for _, step in ipairs(steps) do
    list[#list + 1] = not step.undefined and step or nil
  end
  return list
end

-- The steps without the elements of maps: a map is one node, whatever the length of its list.
local function without_elements(steps)
  local maps, kept = {}, {}
  for _, step in ipairs(steps) do
    local map = type(step.name) == "string" and step.name:match("^(.*)%[%d+%]$")
    if known(step.instances) then
      maps[step.name] = true
    end
    if not maps[map] then
      kept[#kept + 1] = step
    end
  end
  return kept
end

--- The graph of a task.
-- @tab task as app:task gives it
-- @tab[opt] definition of its handler, as for source.definition: kinds of steps and labels come from it
-- @bool[opt] by_visit of a machine each visit is a node, and there are no arrows
-- @treturn table|nil
-- @return err `invalid`
function source.task(task, definition, by_visit)
  local title = full_name(task)
  local index_of, err = check_steps(task, title)
  if not index_of then
    return nil, err
  end
  local kept = without_elements(task.steps)
  index_of = check_steps({ steps = kept }, title)
  local execution = {
    id = measure.clean(task.task_id), status = known(task.status) or "pending", started = seconds_of(task.started_at),
    ended = seconds_of(task.completed_at), day = (text_of(task.started_at) or text_of(task.created_at) or ""):match("^%d+-%d+-%d+"),
  }
  local graph = { title = title, subtitle = task_subtitle(execution), nodes = {}, edges = {}, task = execution }
  local steps = enrich(kept, definition)
  for i, step in ipairs(steps) do
    local node = new_node(step, step.made, step.undefined)
    add_execution(node, kept[i])
    graph.nodes[i] = node
  end
  if not by_visit and states.are(steps) then
    return keep_states(graph, defined(steps), kept)
  end
  return link(graph, steps, index_of)
end

return source
