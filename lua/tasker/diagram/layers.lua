--- From a graph to layers: cycles broken, each vertex on a layer below those it comes from, long edges cut into pieces that
-- go from one layer to the next.
--
-- The result, `net` being all edges of one source that are drawn as one trunk with branches:
--
-- * `count`: vertices 1..count, the first `node_count` of which are the nodes; the others, dummies, are bends of edges
-- * `layers[r]`: list of vertices; `rank[v]`
-- * `segments`: `{from, to, net, strength, reversed}`, each from a layer to the next one; `strength` is the greatest of the edges
--   that go through it
-- * `ends[e]`: `{first, last}` segments of an edge; `reversed[e]`: it is drawn upwards
-- * `label_vertex[e]`: the dummy that has the edge's label
-- * `loops`, `lanes`: indexes of edges that are no segments: from a node to itself, and too long ones where there are too many
-- @module tasker.diagram.layers

local layers = {}

-- Bends that a drawing may have: beyond, the longest edges go beside it.
local MOST_DUMMIES = 30000

local function outgoing(count, edges)
  local out = {}
  for v = 1, count do
    out[v] = {}
  end
  for e, edge in ipairs(edges) do
    table.insert(out[edge.from], e)
  end
  return out
end

--- Edges back to a vertex on the way from a root: turned around, there is no cycle.
-- @int count of nodes
-- @tparam {table,...} edges `{from, to}`
-- @treturn table a set of indexes
function layers.find_back_edges(count, edges)
  local out = outgoing(count, edges)
  local reversed, state, next_out = {}, {}, {}
  for root = 1, count do
    local stack = not state[root] and { root } or {}
    state[root] = state[root] or "open"
    while #stack > 0 do
      local v = stack[#stack]
      next_out[v] = (next_out[v] or 0) + 1
      local e = out[v][next_out[v]]
      if not e then
        state[v] = "done"
        stack[#stack] = nil
      else
        local to = edges[e].to
        if not state[to] then
          state[to] = "open"
          stack[#stack + 1] = to
        elseif state[to] == "open" and to ~= v then
          reversed[e] = true
        end
      end
    end
  end
  return reversed
end

-- The longest way from a root, an edge with a label counting for two: its label has a layer of its own.
local function rank_by_longest_path(count, links)
  local out, missing, rank, queue = outgoing(count, links), {}, {}, {}
  for v = 1, count do
    missing[v], rank[v] = 0, 1
  end
  for _, link in ipairs(links) do
    missing[link.to] = missing[link.to] + 1
  end
  for v = 1, count do
    if missing[v] == 0 then
      queue[#queue + 1] = v
    end
  end
  local at = 1
  while queue[at] do
    for _, l in ipairs(out[queue[at]]) do
      local link = links[l]
      rank[link.to] = math.max(rank[link.to], rank[link.from] + (link.label and 2 or 1))
      missing[link.to] = missing[link.to] - 1
      if missing[link.to] == 0 then
        queue[#queue + 1] = link.to
      end
    end
    at = at + 1
  end
  return rank
end

-- Edges that are drawn as one as far as they go together.
local function nets_of(links)
  local nets, by_key = {}, {}
  for _, link in ipairs(links) do
    local key = link.label and "e" .. link.edge or link.from .. (link.change or "") .. (link.reversed and "r" or "")
    local net = by_key[key]
    if not net then
      net = { from = link.from, index = #nets + 1, reversed = link.reversed, links = {} }
      by_key[key] = net
      nets[net.index] = net
    end
    table.insert(net.links, link)
  end
  return nets
end

-- Takes the longest links out until the bends are few enough; returns those that stay.
local function send_long_ones_aside(nets, rank, result)
  local function span_of(net)
    local span = 1
    for _, link in ipairs(net.links) do
      span = math.max(span, rank[link.to] - rank[link.from])
    end
    return span
  end
  local bends = 0
  for _, net in ipairs(nets) do
    net.span = span_of(net)
    bends = bends + net.span - 1
  end
  if bends <= MOST_DUMMIES then
    return
  end
  local longest = table.move(nets, 1, #nets, 1, {})
  table.sort(longest, function(a, b) return a.span > b.span or a.span == b.span and a.index < b.index end)
  for _, net in ipairs(longest) do
    if bends <= MOST_DUMMIES then
      break
    end
    local kept = {}
    for _, link in ipairs(net.links) do
      if rank[link.to] - rank[link.from] == 1 then
        kept[#kept + 1] = link
      else
        result.lanes[#result.lanes + 1] = link.edge
      end
    end
    bends = bends - net.span + 1
    net.links = kept
  end
  table.sort(result.lanes)
end

local function add_segment(result, from, to, net, strength)
  local segment = { from = from, to = to, net = net.index, strength = strength, reversed = net.reversed }
  table.insert(result.segments, segment)
  return segment
end

local function add_dummy(result, rank)
  local v = result.count + 1
  result.count = v
  result.rank[v] = rank
  return v
end

-- The part that the links of a net have in common, down to above the deepest of their ends.
local function add_trunk(result, net)
  local rank, v = result.rank, net.from
  local trunk, bottom = {}, rank[v] + 1
  for _, link in ipairs(net.links) do
    bottom = math.max(bottom, rank[link.to])
  end
  for r = rank[v] + 1, bottom - 1 do
    local segment = add_segment(result, v, add_dummy(result, r), net, 0)
    trunk[r], v = segment, segment.to
  end
  return trunk, bottom
end

-- Cuts the links of a net into segments; a segment of the trunk is as strong as the strongest link that goes through it.
local function cut(result, net)
  local rank = result.rank
  local top = rank[net.from]
  local trunk, bottom = add_trunk(result, net)
  for _, link in ipairs(net.links) do
    local above = trunk[rank[link.to] - 1]
    local last = add_segment(result, above and above.to or net.from, link.to, net, link.strength)
    if above then
      above.strength = math.max(above.strength, link.strength)
    end
    result.ends[link.edge] = { first = above and trunk[top + 1] or last, last = last }
    if link.label then
      result.label_vertex[link.edge] = trunk[top + (rank[link.to] - top) // 2].to
    end
  end
  for r = bottom - 2, top + 1, -1 do
    trunk[r].strength = math.max(trunk[r].strength, trunk[r + 1].strength)
  end
end

--- Makes layers.
-- @int count of nodes
-- @tparam {table,...} edges `{from, to, label, change, strength}`
-- @treturn table
function layers.build(count, edges)
  local reversed = layers.find_back_edges(count, edges)
  local result = { node_count = count, count = count, segments = {}, ends = {}, reversed = reversed, label_vertex = {},
    loops = {}, lanes = {}, layers = {} }
  local links = {}
  for e, edge in ipairs(edges) do
    if edge.from == edge.to then
      result.loops[#result.loops + 1] = e
    else
      local from, to = edge.from, edge.to
      if reversed[e] then
        from, to = to, from
      end
      links[#links + 1] = { from = from, to = to, edge = e, label = edge.label, change = edge.change,
        strength = edge.strength or 1, reversed = reversed[e] }
    end
  end
  result.rank = rank_by_longest_path(count, links)
  local nets = nets_of(links)
  send_long_ones_aside(nets, result.rank, result)
  for _, net in ipairs(nets) do
    cut(result, net)
  end
  for v = 1, result.count do
    local r = result.rank[v]
    for missing = #result.layers + 1, r do
      result.layers[missing] = {}
    end
    table.insert(result.layers[r], v)
  end
  return result
end

return layers
