--- Many alike steps as one: siblings that depend on the same steps and that the same steps depend on.
-- @module tasker.diagram.fold

local fold = {}

--- So many siblings are still drawn one by one.
fold.DEFAULT = 12

-- What somebody looks for stays visible where there is little of it.
local SHOWN_ALONE = { error = 3, in_progress = 3, waiting = 3 }

local function labelled(index, label)
  return label and index .. ":" .. label or tostring(index)
end

-- Per node a text that alike ones share.
local function keys_of(graph)
  local from, to = {}, {}
  for i in ipairs(graph.nodes) do
    from[i], to[i] = {}, {}
  end
  for _, edge in ipairs(graph.edges) do
    local change = edge.change or ""
    table.insert(from[edge.to], labelled(edge.from, edge.label) .. change)
    table.insert(to[edge.from], labelled(edge.to, edge.label) .. change)
  end
  local keys = {}
  for i, node in ipairs(graph.nodes) do
    table.sort(from[i])
    table.sort(to[i])
    keys[i] = table.concat({ node.kind, node.change or "", table.concat(node.kind_notes, "\1"), table.concat(from[i], " "),
      table.concat(to[i], " ") }, "\0")
  end
  return keys
end

-- Lists of indexes by key, in the order of their first ones.
local function group(indexes, key_of)
  local groups, by_key = {}, {}
  for _, i in ipairs(indexes) do
    local key = key_of(i)
    if not by_key[key] then
      by_key[key] = {}
      groups[#groups + 1] = by_key[key]
    end
    table.insert(by_key[key], i)
  end
  return groups
end

local function extreme(a, b, pick)
  return a and b and pick(a, b) or a or b
end

local function stack(graph, members)
  local nodes = graph.nodes
  local first, last = nodes[members[1]], nodes[members[#members]]
  local stacked = {
    name = first.name .. " … " .. last.name, kind = first.kind, kind_notes = first.kind_notes, change = first.change,
    status = first.status, waiting_for = first.waiting_for, error = first.error, details = {}, fields = {},
    count = #members, members = {}, index = members[1],
  }
  for position, i in ipairs(members) do
    local node = nodes[i]
    stacked.members[position] = node.name
    stacked.critical = stacked.critical or node.critical
    stacked.attempts = extreme(stacked.attempts, node.attempts, math.max)
    stacked.seconds = extreme(stacked.seconds, node.seconds, math.max)
    stacked.started = extreme(stacked.started, node.started, math.min)
    stacked.ended = extreme(stacked.ended, node.ended, math.max)
  end
  return stacked
end

-- The nodes that stand for a group of alike ones: stacks by status, and those that are shown alone.
local function split(graph, members, stacks, stack_of)
  local parts = group(members, function(i) return graph.nodes[i].status or "" end)
  for _, part in ipairs(parts) do
    local alone = SHOWN_ALONE[graph.nodes[part[1]].status] or 1
    if #part > alone then
      local stacked = stack(graph, part)
      stacks[#stacks + 1] = stacked
      for _, i in ipairs(part) do
        stack_of[i] = stacked
      end
    end
  end
end

-- The graph with each node in a stack replaced by it.
local function rebuild(graph, stack_of)
  local nodes, index_of = {}, {}
  for i, node in ipairs(graph.nodes) do
    local stacked = stack_of[i]
    if not stacked or stacked.index == i then
      nodes[#nodes + 1] = stacked or node
      index_of[stacked or node] = #nodes
    end
  end
  local edges, seen = {}, {}
  for _, edge in ipairs(graph.edges) do
    local from = index_of[stack_of[edge.from] or graph.nodes[edge.from]]
    local to = index_of[stack_of[edge.to] or graph.nodes[edge.to]]
    local key = from * 1048576 + to
    local kept = seen[key]
    if not kept then
      kept = { from = from, to = to, label = edge.label, change = edge.change, taken = edge.taken, critical = edge.critical }
      seen[key] = kept
      edges[#edges + 1] = kept
    else
      kept.taken = kept.taken or edge.taken
      kept.critical = kept.critical or edge.critical
    end
  end
  graph.nodes, graph.edges = nodes, edges
end

--- Folds what is alike.
-- @tab graph
-- @int most so many siblings are left as they are
function fold.apply(graph, most)
  local keys = keys_of(graph)
  local all = {}
  for i in ipairs(graph.nodes) do
    all[i] = i
  end
  local stacks, stack_of = {}, {}
  for _, members in ipairs(group(all, function(i) return keys[i] end)) do
    if #members > most then
      split(graph, members, stacks, stack_of)
    end
  end
  if #stacks > 0 then
    rebuild(graph, stack_of)
  end
end

return fold
