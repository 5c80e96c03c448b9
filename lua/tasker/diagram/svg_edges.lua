--- Edges of an SVG drawing. Between two layers an edge swings from one place to the other, along a layer it goes straight:
-- so none ever goes through a node. What comes from one node and looks the same is one path.
-- @module tasker.diagram.svg_edges

local measure = require "tasker.diagram.measure"
local style = require "tasker.diagram.svg_style"

local edges = {}

local ARROW, HALF_ARROW = 8, 4
local ASIDE = 14
local LANE_GAP, MOST_LANES = 9, 40

local CLASSES = { [0] = "x", [1] = "", [2] = "k" }

local function class_of(strength, change)
  return change or CLASSES[strength]
end

--- The room that labels take: each on a layer of its own.
-- @tab graph
-- @treturn table width by edge
function edges.label_widths(graph)
  local widths = {}
  for e, edge in ipairs(graph.edges) do
    if edge.label then
      widths[e] = measure.width(edge.label) * style.NOTE + 12
    end
  end
  return widths
end

edges.LABEL_HEIGHT = 16

-- `frame` turns places of the layout into places of the drawing: frame.point(x, y).
local function move(frame, x, y)
  return "M" .. frame.point(x, y)
end

local function line(frame, x, y)
  return "L" .. frame.point(x, y)
end

local function swing(frame, x1, y1, x2, y2)
  local middle = (y1 + y2) / 2
  return ("C%s %s %s"):format(frame.point(x1, middle), frame.point(x2, middle), frame.point(x2, y2))
end

-- The tip at a node's upper or lower side.
local function arrow(frame, class, x, y, upwards)
  local back = upwards and y + ARROW or y - ARROW
  return ('<path class="%s" d="M%sL%sL%sZ"/>\n'):format(class == "" and "a" or "a " .. class, frame.point(x, y),
    frame.point(x - HALF_ARROW, back), frame.point(x + HALF_ARROW, back))
end

-- Where edges leave and enter vertices: nodes at their sides, dummies at their layer's.
local function ends_of(layout, size, v, lower)
  local r = layout.rank[v]
  if v > layout.node_count then
    return layout.bottom[r]
  end
  local middle = (layout.top[r] + layout.bottom[r]) / 2
  return lower and middle + size.heights[v] / 2 or middle - size.heights[v] / 2 - size.rises[v]
end

-- Tips by the segments that have one.
local function find_tips(layout, graph)
  local at_start, at_end = {}, {}
  for e in ipairs(graph.edges) do
    local segments = layout.ends[e]
    if segments and layout.reversed[e] then
      at_start[segments.first] = true
    elseif segments then
      at_end[segments.last] = true
    end
  end
  return at_start, at_end
end

-- Where across a segment meets a vertex: what goes up stands beside what goes down.
local function place_of(layout, size, segment, v)
  if segment.reversed and v <= layout.node_count then
    return layout.x[v] + math.min(ASIDE, size.widths[v] / 5)
  end
  return layout.x[v]
end

local function segment_path(frame, layout, size, segment, starts, stops)
  local r = layout.rank[segment.from]
  local x1, x2 = place_of(layout, size, segment, segment.from), place_of(layout, size, segment, segment.to)
  local y1 = ends_of(layout, size, segment.from, true) + (starts and ARROW - 1 or 0)
  local y2 = ends_of(layout, size, segment.to, false) - (stops and ARROW - 1 or 0)
  if math.abs(x1 - x2) < 0.05 then
    return move(frame, x1, y1) .. line(frame, x2, y2)
  end
  local below, above = math.max(y1, layout.bottom[r]), math.min(y2, layout.top[r + 1])
  return table.concat {
    move(frame, x1, y1), below > y1 and line(frame, x1, below) or "", swing(frame, x1, below, x2, above),
    y2 > above and line(frame, x2, y2) or "",
  }
end

-- Paths of one net by class, weakest first in the whole drawing.
local function collect(frame, layout, size, graph, changes)
  local at_start, at_end = find_tips(layout, graph)
  local paths, groups, tips = {}, {}, {}
  for _, segment in ipairs(layout.segments) do
    local class = class_of(segment.strength, changes[segment.net])
    local key = segment.net .. class
    local group = groups[key]
    if not group then
      group = { class = class, strength = segment.strength, order = #paths }
      groups[key] = group
      paths[#paths + 1] = group
    end
    local starts, stops = at_start[segment], at_end[segment]
    group[#group + 1] = segment_path(frame, layout, size, segment, starts, stops)
    if starts or stops then
      local v = starts and segment.from or segment.to
      tips[#tips + 1] = { class = class, strength = segment.strength, order = #tips, side = starts and -v or v,
        text = arrow(frame, class, place_of(layout, size, segment, v), ends_of(layout, size, v, starts), starts) }
    end
  end
  return paths, tips
end

local function weaker_first(a, b)
  if a.strength ~= b.strength then
    return a.strength < b.strength
  end
  return a.order < b.order
end

local function path(class, data)
  return ('<path class="%s" d="%s"/>\n'):format(class == "" and "e" or "e " .. class, data)
end

local function changes_of(layout, graph)
  local changes = {}
  for e, edge in ipairs(graph.edges) do
    if layout.ends[e] then
      changes[layout.ends[e].first.net] = edge.change
    end
  end
  return changes
end

local function draw_labels(frame, layout, graph, parts)
  for e, edge in ipairs(graph.edges) do
    local v = layout.label_vertex[e]
    if v then
      local r = layout.rank[v]
      local x, y = frame.place(layout.x[v], (layout.top[r] + layout.bottom[r]) / 2)
      local width = measure.width(edge.label) * style.NOTE + 8
      parts[#parts + 1] = ('<rect class="p" x="%s" y="%s" width="%s" height="%d"/>'):format(style.number(x - width / 2),
        style.number(y - 8), style.number(width), edges.LABEL_HEIGHT)
      parts[#parts + 1] = style.text("o c", x, y + 4, edge.label) .. "\n"
    end
  end
end

-- An arrow from a node to itself, on its far side.
local function draw_loops(frame, layout, widths, graph, parts)
  for _, e in ipairs(layout.loops) do
    local v = graph.edges[e].from
    local r = layout.rank[v]
    local y = (layout.top[r] + layout.bottom[r]) / 2
    local x = layout.x[v] + widths[v] / 2
    parts[#parts + 1] = path("", move(frame, x, y - 7) .. ("C%s %s %s"):format(frame.point(x + 24, y - 18),
      frame.point(x + 24, y + 16), frame.point(x + 7, y + 8)))
    parts[#parts + 1] = ('<path class="a" d="M%sL%sL%sZ"/>\n'):format(frame.point(x, y + 6), frame.point(x + 9, y + 4),
      frame.point(x + 7, y + 12))
  end
end

--- The room beside the drawing that edges which are too long for it take.
-- @tab layout
-- @treturn number
function edges.lanes_width(layout)
  local count = math.min(#layout.lanes, MOST_LANES)
  return count > 0 and (count + 1) * LANE_GAP or 0
end

-- Out below the source, beside the drawing, in above the target.
local function draw_lanes(frame, layout, size, graph, parts)
  for i, e in ipairs(layout.lanes) do
    local edge = graph.edges[e]
    local from, to = edge.from, edge.to
    local lane = -LANE_GAP * (1 + (i - 1) % MOST_LANES)
    local class = class_of(edge.strength, edge.change)
    local x1, x2 = layout.x[from], layout.x[to]
    local out, back = layout.bottom[layout.rank[from]] + 8, layout.top[layout.rank[to]] - 14
    local tip = ends_of(layout, size, to, false)
    parts[#parts + 1] = path(class, table.concat {
      move(frame, x1, ends_of(layout, size, from, true)), line(frame, x1, out), line(frame, lane, out),
      line(frame, lane, back), line(frame, x2, back), line(frame, x2, tip - ARROW + 1),
    })
    parts[#parts + 1] = arrow(frame, class, x2, tip)
  end
end

--- Draws all edges.
-- @tab frame of the drawing
-- @tab layout stacked
-- @tab size `widths`, `heights` and `rises` of nodes as they are drawn, as the layout sees them
-- @tab graph
-- @tparam {string,...} parts get what is drawn
function edges.draw(frame, layout, size, graph, parts)
  local paths, tips = collect(frame, layout, size, graph, changes_of(layout, graph))
  table.sort(paths, weaker_first)
  table.sort(tips, weaker_first)
  draw_lanes(frame, layout, size, graph, parts)
  for _, group in ipairs(paths) do
    parts[#parts + 1] = path(group.class, table.concat(group))
  end
  local strongest = {}
  for _, tip in ipairs(tips) do
    strongest[tip.side] = tip
  end
  for _, tip in ipairs(tips) do
    if strongest[tip.side] == tip then
      parts[#parts + 1] = tip.text
    end
  end
  draw_loops(frame, layout, size.widths, graph, parts)
  draw_labels(frame, layout, graph, parts)
end

return edges
