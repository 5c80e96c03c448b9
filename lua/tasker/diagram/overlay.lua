--- What an execution says about its graph: how long steps took, which edges were never taken, what made the task last.
-- @module tasker.diagram.overlay

local core = require "tasker.core"

local overlay = {}

local OPEN = { in_progress = true, waiting = true, ready = true }

local function add_seconds(node, now)
  if not node.started then
    return
  end
  local ended = node.ended or node.status == "in_progress" and now
  -- To the microsecond, which is what the times are.
  node.seconds = ended and math.max(math.floor((ended - node.started) * 1000000 + 0.5) / 1000000, 0) or nil
end

-- Nothing of it ever ran.
local function was_missed(node)
  return node.status == "skipped" or node.status == "cancelled" and not node.started
end

local ENDS = { ["step.completed"] = "complete", ["step.failed"] = "error", ["step.cancelled"] = "cancelled" }

-- The times of each attempt: `runs = {{started, ended, outcome}}`; without events nothing is known of them.
local function add_attempts(graph, events)
  local by_name = {}
  for _, node in ipairs(graph.nodes) do
    by_name[node.name] = node
  end
  for _, event in ipairs(events) do
    local node = by_name[event.step]
    if node and (event.task_id == nil or event.task_id == graph.task.id) then
      local runs, at = node.runs or {}, core.time_parse(event.at)
      local last = runs[#runs]
      if event.event == "step.started" then
        node.runs = runs
        runs[#runs + 1] = { started = at }
      elseif last and not last.ended and (ENDS[event.event] or event.event == "step.waiting") then
        last.ended, last.outcome = at, ENDS[event.event] or "waiting"
      end
    end
  end
end

-- When a step let its dependents go on; what still goes on comes after all that is done.
local function finish_of(node)
  return node.ended or OPEN[node.status] and math.huge or nil
end

-- Of several the one that finished last; among equals the one that started first, then the first.
local function later(nodes, a, b)
  local finish_a, finish_b = finish_of(nodes[a]), finish_of(nodes[b])
  if not finish_b then
    return a
  elseif not finish_a or finish_b > finish_a then
    return b
  elseif finish_b == finish_a and (nodes[b].started or math.huge) < (nodes[a].started or math.huge) then
    return b
  end
  return a
end

local function last_to_finish(nodes)
  local last
  for i, node in ipairs(nodes) do
    if finish_of(node) and not was_missed(node) then
      last = last and later(nodes, last, i) or i
    end
  end
  return last
end

local function last_before(nodes, edges)
  local last
  for _, edge in ipairs(edges) do
    if finish_of(nodes[edge.from]) and (not last or later(nodes, last.from, edge.from) == edge.from) then
      last = edge
    end
  end
  return last
end

-- Backwards from what finished last, each time to the dependency that was waited for longest. What was skipped took no
-- time: the path leads through it, but it is no part of it.
local function mark_critical(graph, into)
  local nodes, seen = graph.nodes, {}
  local at = last_to_finish(nodes)
  while at and not seen[at] do
    seen[at] = true
    nodes[at].critical = not was_missed(nodes[at]) or nil
    local edge = last_before(nodes, into[at])
    if edge then
      edge.critical = edge.taken or nil
    end
    at = edge and edge.from
  end
end

--- Marks nodes and edges of a task's graph.
-- @tab graph
-- @tparam {table,...}|nil events of the task: they tell when each attempt began and ended
-- @number[opt] now seconds since the epoch: running steps are drawn as they are then
function overlay.apply(graph, events, now)
  local into = {}
  graph.task.now = not graph.task.ended and now or nil
  for i, node in ipairs(graph.nodes) do
    into[i] = {}
    add_seconds(node, now)
  end
  if graph.machine then
    return   -- its arrows are marked already, and of a task that is in one state at a time the whole way is critical
  end
  add_attempts(graph, events or {})
  for _, edge in ipairs(graph.edges) do
    local from, to = graph.nodes[edge.from], graph.nodes[edge.to]
    edge.taken = not (was_missed(from) or was_missed(to))
    table.insert(into[edge.to], edge)
  end
  mark_critical(graph, into)
end

return overlay
