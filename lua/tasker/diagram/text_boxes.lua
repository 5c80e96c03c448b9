--- A small graph as boxes with lines between them, in characters.
-- @module tasker.diagram.text_boxes

local canvas = require "tasker.diagram.text_canvas"
local layout = require "tasker.diagram.layout"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local term = require "tasker.cli.support.term"

local boxes = {}

local NODE_GAP, EDGE_GAP = 4, 3
local ASIDE = 2
local NAME_COLUMNS = 32

-- ---- Boxes ----

local function box_of(node, day, options, loop)
  local sign = look.sign(node, options.ascii)
  local lines = measure.wrap(node.name, NAME_COLUMNS)
  lines[1] = (sign and sign .. " " or "") .. (node.count and look.count_label(node) .. " " or "") .. lines[1]
  for _, note in ipairs(look.notes(node, day)) do
    lines[#lines + 1] = note
  end
  if loop then
    lines[#lines + 1] = look.loop_note(loop)
  end
  local width = 3
  for i, line in ipairs(lines) do
    lines[i] = look.plain(line, options.ascii)
    width = math.max(width, term.width(lines[i]))
  end
  -- An odd width has a middle.
  width = width + 4
  return { lines = lines, width = width % 2 == 1 and width or width + 1, height = #lines + 2, strength = node.critical and 2 or 1 }
end

local function draw_box(drawing, box, x, y)
  local left = x - box.width // 2
  drawing:box(left, y, box.width, box.height, box.strength)
  for i, line in ipairs(box.lines) do
    drawing:text(left + (box.width - term.width(line)) // 2, y + i, line)
  end
end

-- ---- Lines: each vertex has one row of a channel for all that leaves it ----

-- What goes up stands beside what goes down.
local function column_of(placed, segment, v)
  return placed.column[v] + (segment.reversed and v <= placed.node_count and ASIDE or 0)
end

-- Places where a segment leaves and enters; a jog of a column or two is not worth a row where a box is wide enough.
local function ends_of(placed, segment)
  local from, to = column_of(placed, segment, segment.from), column_of(placed, segment, segment.to)
  if math.abs(from - to) <= 1 then
    if segment.to <= placed.node_count then
      return from, from
    elseif segment.from <= placed.node_count then
      return to, to
    end
  end
  return from, to
end

local function bundles_of(placed, segments)
  local bundles, by_vertex = {}, {}
  for _, segment in ipairs(segments) do
    local from, to = ends_of(placed, segment)
    local key = segment.from * 4096 + from
    local bundle = by_vertex[key]
    if not bundle then
      bundle = { from = from, vertex = segment.from, net = segment.from + (segment.reversed and 0.5 or 0), left = from,
        right = from, targets = {}, segments = {} }
      by_vertex[key] = bundle
      bundles[#bundles + 1] = bundle
    end
    bundle.left, bundle.right = math.min(bundle.left, to), math.max(bundle.right, to)
    table.insert(bundle.targets, to)
    table.insert(bundle.segments, segment)
  end
  return bundles
end

-- What comes from a place must turn off above what goes on to the same place; nil when that goes round in a circle.
local function sort_bundles(bundles)
  local at_place, below, missing = {}, {}, {}
  for _, bundle in ipairs(bundles) do
    if bundle.left < bundle.right then
      at_place[bundle.from] = bundle
    end
    below[bundle], missing[bundle] = {}, 0
  end
  for _, bundle in ipairs(bundles) do
    for _, place in ipairs(bundle.targets) do
      local above = at_place[place]
      if above and above ~= bundle and bundle.left < bundle.right then
        table.insert(below[above], bundle)
        missing[bundle] = missing[bundle] + 1
      end
    end
  end
  local sorted = {}
  for _, bundle in ipairs(bundles) do
    if missing[bundle] == 0 then
      sorted[#sorted + 1] = bundle
    end
  end
  local at = 1
  while sorted[at] do
    for _, bundle in ipairs(below[sorted[at]]) do
      missing[bundle] = missing[bundle] - 1
      if missing[bundle] == 0 then
        sorted[#sorted + 1] = bundle
      end
    end
    at = at + 1
  end
  return #sorted == #bundles and sorted or nil, below
end

-- A straight line down that something else's way would hide in.
local function is_blocked(bundles)
  local straight = {}
  for _, bundle in ipairs(bundles) do
    if bundle.left == bundle.right then
      straight[bundle.from] = bundle.segments[1].to
    end
  end
  for _, bundle in ipairs(bundles) do
    for i, place in ipairs(bundle.targets) do
      local to = straight[place]
      if to and to ~= bundle.segments[i].to then
        return true
      end
    end
  end
  return false
end

local function only_target(bundle)
  return #bundle.targets == 1 and bundle.segments[1].to or nil
end

-- Ways to one and the same vertex may share a row: they join anyway.
local function is_free(row, bundle)
  for _, other in ipairs(row) do
    if bundle.left <= other.right + 1 and other.left <= bundle.right + 1
      and not (only_target(bundle) and only_target(bundle) == only_target(other)) then
      return false
    end
  end
  return true
end

-- Gives each bundle a row of the channel, the first that is free from `least` on.
local function assign_rows(bundles)
  local sorted, below = sort_bundles(bundles)
  if not sorted or is_blocked(bundles) then
    return nil
  end
  local rows = {}
  for _, bundle in ipairs(sorted) do
    if bundle.left < bundle.right then
      local row = bundle.least or 1
      while not is_free(rows[row] or {}, bundle) do
        row = row + 1
      end
      rows[row] = rows[row] or {}
      table.insert(rows[row], bundle)
      bundle.row = row
      for _, other in ipairs(below[bundle]) do
        other.least = math.max(other.least or 1, row + 1)
      end
    end
  end
  return #rows
end

-- ---- The whole drawing ----

local function place_columns(placed)
  placed.column = {}
  for v = 1, placed.count do
    placed.column[v] = math.floor(placed.x[v] + 0.5) + 1
  end
end

local function has_upward(placed, segments)
  for _, segment in ipairs(segments) do
    if placed.upward[segment] then
      return true
    end
  end
  return false
end

local function draw_channel(drawing, placed, r, bottoms)
  local first, last = placed.bottom[r] + 1, placed.top[r + 1]
  for _, bundle in ipairs(placed.bundles[r]) do
    local turn = bundle.row and first + placed.shift[r] + bundle.row - 1 or last
    local strongest = 0
    for i, segment in ipairs(bundle.segments) do
      local to, strength = bundle.targets[i], segment.strength
      strongest = math.max(strongest, strength)
      drawing:horizontal(turn, bundle.from, to, strength, bundle.net)
      drawing:vertical(to, turn, last, strength, bundle.net)
      if segment.to > placed.node_count then
        drawing:vertical(to, last, math.max(placed.bottom[r + 1], last), strength, segment.to)
      end
    end
    -- From the row above on, which a box covers: so that the line comes from there.
    drawing:vertical(bundle.from, (bottoms[bundle.vertex] or first) - 1, turn, strongest, bundle.net)
  end
end

local function draw_arrows(drawing, placed, r)
  for _, bundle in ipairs(placed.bundles[r]) do
    for i, segment in ipairs(bundle.segments) do
      if placed.upward[segment] then
        drawing:arrow(bundle.from, placed.bottom[r] + 1, true)
      elseif placed.downward[segment] then
        drawing:arrow(bundle.targets[i], placed.top[r + 1], false)
      end
    end
  end
end

local function draw_labels(drawing, placed, graph, options)
  for e, edge in ipairs(graph.edges) do
    local v = placed.label_vertex[e]
    if v then
      local text = look.plain(edge.label, options.ascii)
      drawing:text(placed.column[v] - term.width(text) // 2, placed.top[placed.rank[v]] + 1, text)
    end
  end
end

local function find_tips(placed, graph)
  placed.upward, placed.downward = {}, {}
  for e in ipairs(graph.edges) do
    local ends = placed.ends[e]
    if ends and placed.reversed[e] then
      placed.upward[ends.first] = true
    elseif ends then
      placed.downward[ends.last] = true
    end
  end
end

-- The layout, its rows and bundles; nil when there is no room or the lines would be ambiguous.
local function lay_out(graph, list, columns)
  local widths, heights, label_widths = {}, {}, {}
  for i, box in ipairs(list) do
    widths[i], heights[i] = box.width, box.height
  end
  for e, edge in ipairs(graph.edges) do
    label_widths[e] = edge.label and term.width(edge.label) + 1
  end
  local placed = layout.arrange(#list, graph.edges,
    { width = widths, label_width = label_widths, node_gap = NODE_GAP, edge_gap = EDGE_GAP })
  if placed.total_width > columns or #placed.lanes > 0 then
    return nil
  end
  place_columns(placed)
  find_tips(placed, graph)
  for _, v in pairs(placed.label_vertex) do
    heights[v] = 1
  end
  placed.bundles, placed.shift = {}, {}
  local fits = true
  layout.stack(placed, heights, function(r, segments)
    placed.bundles[r] = bundles_of(placed, segments)
    local rows = assign_rows(placed.bundles[r])
    fits = fits and rows ~= nil
    placed.shift[r] = has_upward(placed, segments) and 1 or 0
    return math.max(rows or 0, 1) + 1 + placed.shift[r]
  end)
  return fits and placed or nil
end

--- Draws a graph as boxes.
-- @tab graph whose edges have `strength`
-- @tab options `ascii`
-- @int columns there are
-- @treturn {string,...}|nil lines; nil when it cannot be drawn so
function boxes.draw(graph, options, columns)
  local day, list, loops = graph.task and graph.task.day, {}, {}
  for _, edge in ipairs(graph.edges) do
    loops[edge.from] = loops[edge.from] or edge.from == edge.to and (edge.label or true)
  end
  for i, node in ipairs(graph.nodes) do
    list[i] = box_of(node, day, options, loops[i])
  end
  local placed = lay_out(graph, list, columns)
  if not placed then
    return nil
  end
  local drawing, bottoms = canvas.new(options.ascii), {}
  for i, box in ipairs(list) do
    bottoms[i] = placed.top[placed.rank[i]] + box.height + 1
  end
  for r = 1, #placed.layers - 1 do
    draw_channel(drawing, placed, r, bottoms)
  end
  draw_labels(drawing, placed, graph, options)
  for r = 1, #placed.layers - 1 do
    draw_arrows(drawing, placed, r)
  end
  for i, box in ipairs(list) do
    draw_box(drawing, box, placed.column[i], placed.top[placed.rank[i]] + 1)
  end
  return drawing:lines()
end

return boxes
