--- A graph as JSON, for programs: the same that is drawn, with names for indexes.
-- @module tasker.diagram.json

local core = require "tasker.core"

local json = {}

local array = core.json.array

local function time_text(seconds)
  return seconds and core.time_format(seconds) or nil
end

local function runs_of(node)
  local runs = node.runs and array {}
  for i, run in ipairs(node.runs or {}) do
    runs[i] = { started_at = time_text(run.started), ended_at = time_text(run.ended), outcome = run.outcome }
  end
  return runs
end

local function details_of(node)
  local details = {}
  for _, detail in ipairs(node.details) do
    details[detail.name:gsub(" ", "_")] = detail.text
  end
  return next(details) and details or nil
end

local function node_record(node)
  return {
    name = node.name, kind = node.kind, notes = #node.kind_notes > 0 and node.kind_notes or nil,
    description = node.description, details = details_of(node), count = node.count, members = node.members,
    status = node.status, attempts = node.attempts, visits = node.visits, seconds = node.seconds, started_at = time_text(node.started),
    completed_at = time_text(node.ended), next_attempt_at = time_text(node.next_attempt), waiting_for = node.waiting_for,
    error = node.error, critical = node.critical, runs = runs_of(node), change = node.change,
    changes = node.change_texts and #node.change_texts > 0 and node.change_texts or nil,
  }
end

local function task_record(task)
  return task and { task_id = task.id, status = task.status, started_at = time_text(task.started), completed_at = time_text(task.ended) }
end

--- Writes a graph.
-- @tab graph
-- @treturn string
function json.draw(graph)
  local nodes, edges = array {}, array {}
  for i, node in ipairs(graph.nodes) do
    nodes[i] = node_record(node)
  end
  for i, edge in ipairs(graph.edges) do
    edges[i] = {
      from = graph.nodes[edge.from].name, to = graph.nodes[edge.to].name, label = edge.label, taken = edge.taken,
      critical = edge.critical, change = edge.change,
    }
  end
  return core.json.encode({ title = graph.title, subtitle = graph.subtitle, task = task_record(graph.task), nodes = nodes,
    edges = edges }, { indent = 2 }) .. "\n"
end

return json
