--- Two graphs in one: what the drawn one has and the base has not, what it has no more, and what is different.
-- @module tasker.diagram.compare

local format = require "tasker.cli.support.format"

local compare = {}

local FIELDS = { "kind", "description", "queue", "dependent_system", "timeout", "heartbeat_timeout", "retry", "retryable", "skippable",
  "on_error", "handler", "inputs", "config", "when", "cases", "default", "sleep", "signal", "child", "approval", "map", "join" }

local function index_by_name(graph)
  local index_of = {}
  for i, node in ipairs(graph.nodes) do
    index_of[node.name] = i
  end
  return index_of
end

-- name of the dependent -> set of names of its dependencies; the edges themselves by both names.
local function dependencies_of(graph)
  local sets, edges = {}, {}
  for _, node in ipairs(graph.nodes) do
    sets[node.name] = {}
  end
  for _, edge in ipairs(graph.edges) do
    local from, to = graph.nodes[edge.from].name, graph.nodes[edge.to].name
    sets[to][from] = true
    edges[from .. "\0" .. to] = edge
  end
  return sets, edges
end

local function same_set(a, b)
  for name in pairs(a) do
    if not b[name] then
      return false
    end
  end
  for name in pairs(b) do
    if not a[name] then
      return false
    end
  end
  return true
end

local function note(node, name, before, after)
  node.changes[#node.changes + 1] = name
  node.change_texts[#node.change_texts + 1] = ("%s: %s -> %s"):format(name, before or "none", after or "none")
end

local function compare_nodes(node, base, dependencies, base_dependencies)
  node.changes, node.change_texts = {}, {}
  if not same_set(dependencies, base_dependencies) then
    node.changes[#node.changes + 1] = "depends on"
  end
  for _, name in ipairs(FIELDS) do
    local before, after = base.fields[name], node.fields[name]
    if before ~= nil and after ~= nil and before ~= after then
      note(node, name:gsub("_", " "), before, after)
    end
  end
  if node.status and base.status and node.status ~= base.status then
    note(node, "status", format.status(base.status), format.status(node.status))
  end
  if #node.changes > 0 then
    node.change = "changed"
  end
  if node.seconds and base.seconds then
    node.change_texts[#node.change_texts + 1] =
      ("before: %s, now: %s"):format(format.duration(base.seconds), format.duration(node.seconds))
  end
end

local function add_removed(graph, base, index_of)
  for _, node in ipairs(base.nodes) do
    if not index_of[node.name] then
      node.change, node.status, node.critical = "removed", nil, nil
      graph.nodes[#graph.nodes + 1] = node
      index_of[node.name] = #graph.nodes
    end
  end
end

local function compare_edges(graph, base, edges, base_edges, index_of)
  for key, edge in pairs(edges) do
    if not base_edges[key] then
      edge.change = "added"
    end
  end
  for _, edge in ipairs(base.edges) do
    local from, to = base.nodes[edge.from].name, base.nodes[edge.to].name
    if not edges[from .. "\0" .. to] then
      graph.edges[#graph.edges + 1] = { from = index_of[from], to = index_of[to], label = edge.label, change = "removed" }
    end
  end
end

--- Marks in a graph what differs from a base, and adds to it what only the base has.
-- @tab graph
-- @tab base another graph, which is used up
function compare.apply(graph, base)
  local base_index, index_of = index_by_name(base), index_by_name(graph)
  local sets, edges = dependencies_of(graph)
  local base_sets, base_edges = dependencies_of(base)
  for _, node in ipairs(graph.nodes) do
    local other = base_index[node.name]
    if other then
      compare_nodes(node, base.nodes[other], sets[node.name], base_sets[node.name])
    else
      node.change = "added"
    end
  end
  add_removed(graph, base, index_of)
  compare_edges(graph, base, edges, base_edges, index_of)
  graph.compared = true
  local against = base.task and "task " .. base.task.id or base.title
  graph.subtitle = (graph.subtitle and graph.subtitle .. " · " or "") .. "compared with " .. against
end

return compare
