--- A graph as SVG: a layered drawing, with a tooltip for each node, titles, a legend, for light and dark surroundings.
-- @module tasker.diagram.svg

local layout = require "tasker.diagram.layout"
local edges = require "tasker.diagram.svg_edges"
local strengths = require "tasker.diagram.edges"
local nodes = require "tasker.diagram.svg_nodes"
local style = require "tasker.diagram.svg_style"

local svg = {}

local NODE_GAP, EDGE_GAP = 22, 14
local CHANNEL, MOST_CHANNEL = 38, 130
local ARROW_ROOM = 14     -- of a channel, before an edge that swings far looks flat

local function loops_of(graph)
  local loops = {}
  for _, edge in ipairs(graph.edges) do
    if edge.from == edge.to then
      loops[edge.from] = edge.label or true
    end
  end
  return loops
end

-- Boxes of all nodes, and their sizes as the layout sees them: across and along its layers.
local function measure_nodes(graph, sideways)
  local loops, day = loops_of(graph), graph.task and graph.task.day
  local boxes, size = {}, { across = {}, along = {}, widths = {}, heights = {}, rises = {} }
  for i, node in ipairs(graph.nodes) do
    local box = nodes.box(node, day, loops[i])
    boxes[i] = box
    local across, along = box.outer_width, box.outer_height
    size.widths[i], size.heights[i], size.rises[i] = box.width, box.height, box.rise
    if sideways then
      across, along = along, across
      size.widths[i], size.heights[i], size.rises[i] = box.height, box.width, 0
    end
    size.across[i], size.along[i] = across, along
  end
  return boxes, size
end

-- The farther edges swing, the more room they need to do it.
local function channel_height(placed)
  return function(_, segments)
    local farthest = 0
    for _, segment in ipairs(segments) do
      farthest = math.max(farthest, math.abs(placed.x[segment.from] - placed.x[segment.to]))
    end
    return math.min(CHANNEL + ARROW_ROOM * math.floor(farthest / 120), MOST_CHANNEL)
  end
end

local function lay_out(graph, size, sideways)
  strengths.set_strengths(graph)
  local labels = edges.label_widths(graph)
  local across = {}
  for e, width in pairs(labels) do
    across[e] = sideways and edges.LABEL_HEIGHT or width
  end
  local placed = layout.arrange(#graph.nodes, graph.edges,
    { width = size.across, label_width = across, node_gap = NODE_GAP, edge_gap = EDGE_GAP })
  local along = table.move(size.along, 1, #size.along, 1, {})
  for e, v in pairs(placed.label_vertex) do
    along[v] = sideways and labels[e] or edges.LABEL_HEIGHT
  end
  return layout.stack(placed, along, channel_height(placed))
end

-- Turns places of the layout into places of the drawing, moved by (left, top).
local function new_frame(sideways, left, top)
  local frame = {}
  function frame.place(x, y)
    if sideways then
      return y + left, x + top
    end
    return x + left, y + top
  end
  function frame.point(x, y)
    local px, py = frame.place(x, y)
    return style.number(px) .. " " .. style.number(py)
  end
  return frame
end

--- Draws a graph.
-- @tab graph
-- @tab options `direction`: "down" (default) or "right"
-- @treturn string
function svg.draw(graph, options)
  local sideways = options.direction == "right"
  local boxes, size = measure_nodes(graph, sideways)
  local placed = lay_out(graph, size, sideways)
  local lanes = edges.lanes_width(placed)
  local width, height = placed.total_width + lanes, placed.total_height
  if sideways then
    width, height = height, width
  end
  local inner = math.max(width, style.heading_width(graph))
  local heading, top = style.heading(graph, inner)
  local left = style.MARGIN + (inner - width) / 2
  local frame = new_frame(sideways, left + (sideways and 0 or lanes), top + (sideways and lanes or 0))
  local parts = { heading }
  edges.draw(frame, placed, size, graph, parts)
  local day = graph.task and graph.task.day
  for i, node in ipairs(graph.nodes) do
    local r = placed.rank[i]
    local x, y = frame.place(placed.x[i], (placed.top[r] + placed.bottom[r]) / 2)
    parts[#parts + 1] = nodes.draw(node, boxes[i], x, y, day)
  end
  local names = style.present(graph)
  local legend, legend_height = style.legend(graph, names, inner, style.MARGIN, top + height + 14)
  parts[#parts + 1] = legend
  return style.document(graph, inner + 2 * style.MARGIN, top + height + style.MARGIN + (legend_height > 0 and legend_height + 6 or 0),
    names, style.describe(graph), parts)
end

return svg
