--- The layered layout that all drawings share: who stands in which layer, where across it, and how high the layers are.
--
-- `x` is the place across the layers and `y` the one along them, whichever way the drawing goes.
-- @module tasker.diagram.layout

local layers = require "tasker.diagram.layers"
local order = require "tasker.diagram.order"
local position = require "tasker.diagram.position"

local layout = {}

local function add_neighbours(graph)
  graph.up, graph.down = {}, {}
  for v = 1, graph.count do
    graph.up[v], graph.down[v] = {}, {}
  end
  for _, segment in ipairs(graph.segments) do
    table.insert(graph.up[segment.to], segment.from)
    table.insert(graph.down[segment.from], segment.to)
  end
end

local function sort_neighbours(graph, place)
  local function before(a, b)
    return place[a] < place[b]
  end
  for v = 1, graph.count do
    table.sort(graph.up[v], before)
    table.sort(graph.down[v], before)
  end
end

--- Lays a graph out across its layers.
-- @int count of nodes
-- @tparam {table,...} edges `{from, to, label, change, strength}`
-- @tab size `width[v]` of nodes, `label_width[e]` of edges with a label, `node_gap` between nodes, `edge_gap` between others
-- @treturn table what tasker.diagram.layers makes, and `x[v]` of each vertex's middle, from 0 on, `width[v]`, `total_width`
function layout.arrange(count, edges, size)
  local graph = layers.build(count, edges)
  add_neighbours(graph)
  local place = order.apply(graph)
  sort_neighbours(graph, place)
  local width = {}
  for v = 1, graph.count do
    width[v] = v <= count and size.width[v] or 0
  end
  for e, v in pairs(graph.label_vertex) do
    width[v] = size.label_width[e]
  end
  local function distance(v, w)
    local gap = v <= count and w <= count and size.node_gap or size.edge_gap
    return (width[v] + width[w]) / 2 + gap
  end
  local x = position.apply(graph, place, distance)
  local low, high = math.huge, -math.huge
  for v = 1, graph.count do
    low, high = math.min(low, x[v] - width[v] / 2), math.max(high, x[v] + width[v] / 2)
  end
  for v = 1, graph.count do
    x[v] = x[v] - low
  end
  graph.x, graph.width, graph.total_width = x, width, high - low
  return graph
end

--- Puts the layers below each other.
-- @tab graph of arrange
-- @tab height of each node, then of each vertex with a label; none: 0
-- @func channel `channel(r, segments)`: the height between layers r and r + 1
-- @treturn table the graph with `top[r]`, `bottom[r]` and `total_height`
function layout.stack(graph, height, channel)
  local between = {}
  for r in ipairs(graph.layers) do
    between[r] = {}
  end
  for _, segment in ipairs(graph.segments) do
    table.insert(between[graph.rank[segment.from]], segment)
  end
  local y = 0
  graph.top, graph.bottom, graph.between = {}, {}, between
  for r, layer in ipairs(graph.layers) do
    local highest = 0
    for _, v in ipairs(layer) do
      highest = math.max(highest, height[v] or 0)
    end
    graph.top[r], graph.bottom[r] = y, y + highest
    y = y + highest + (r < #graph.layers and channel(r, between[r]) or 0)
  end
  graph.total_height = y
  return graph
end

return layout
