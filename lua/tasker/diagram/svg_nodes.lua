--- Nodes of an SVG drawing: how large they are, and how each is drawn.
-- @module tasker.diagram.svg_nodes

local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local style = require "tasker.diagram.svg_style"

local nodes = {}

local NAME_CHARACTERS = 32      -- longer names go on in the next line
local NAME_LINE, NOTE_LINE = 17, 14
local PADDING_Y = 9
local STACK = 4                 -- how far the sheets of a stack stand apart
local LOOP = 26                 -- room for an arrow from a node to itself

-- Room left and right of the text by shape; `slope`: and that part of the height.
local SHAPES = {
  box = { padding = 13 }, double = { padding = 19 }, round = { padding = 17 }, slanted = { padding = 22 },
  flag = { padding = 22 }, diamond = { padding = 10, slope = 0.5 }, final = { padding = 17 },
}

--- What a node's box has in it, and its size.
-- @tab node
-- @string[opt] day the date that need not be said
-- @param[opt] loop label of the arrow to itself, or true
-- @treturn table `{lines = {{text, class, height}}, mark, width, height, rise, outer_width, outer_height}`; a stack rises
-- above its box
function nodes.box(node, day, loop)
  local lines, widest = {}, 0
  local function add(text, size, class, height)
    lines[#lines + 1] = { text = text, class = class, height = height }
    widest = math.max(widest, measure.width(text) * size * (class == "b" and 1.08 or 1))
  end
  if node.count then
    add(look.count_label(node), style.TEXT, "b", NAME_LINE)
  end
  for _, line in ipairs(measure.wrap(node.name, NAME_CHARACTERS)) do
    add(line, style.TEXT, "n", NAME_LINE)
  end
  for _, note in ipairs(look.notes(node, day)) do
    add(note, style.NOTE, "o", NOTE_LINE)
  end
  if type(loop) == "string" then
    add(look.loop_note(loop), style.NOTE, "o", NOTE_LINE)
  end
  local height = 2 * PADDING_Y
  for _, line in ipairs(lines) do
    height = height + line.height
  end
  local shape = SHAPES[look.shape_of(node)]
  local mark = node.change or node.status
  local padding = shape.padding + (shape.slope or 0) * height
  local box = { lines = lines, mark = mark, padding = padding, height = height,
    width = math.max(44, widest + 2 * padding + (mark and style.MARK + 8 or 0)) }
  local sheets = node.count and 2 * STACK or 0
  box.rise = sheets
  box.outer_width = box.width + 2 * sheets + (loop and 2 * LOOP or 0)
  box.outer_height = box.height + 2 * sheets
  return box
end

local function polygon(points)
  local parts = {}
  for i = 1, #points, 2 do
    parts[#parts + 1] = style.number(points[i]) .. " " .. style.number(points[i + 1])
  end
  return '<path class="s" d="M' .. table.concat(parts, "L") .. 'Z"/>'
end

local function rectangle(x, y, width, height, radius)
  return ('<rect class="s" x="%s" y="%s" width="%s" height="%s" rx="%s"/>'):format(style.number(x), style.number(y),
    style.number(width), style.number(height), style.number(radius))
end

-- Each draws its outline from its left, top, right and bottom.
local outline = {}

function outline.box(l, t, r, b)
  return rectangle(l, t, r - l, b - t, 6)
end

function outline.double(l, t, r, b)
  return rectangle(l, t, r - l, b - t, 3)
    .. ('<path class="s" d="M%s %sV%sM%s %sV%s"/>'):format(style.number(l + 6), style.number(t), style.number(b),
      style.number(r - 6), style.number(t), style.number(b))
end

function outline.round(l, t, r, b)
  return rectangle(l, t, r - l, b - t, math.min(20, (b - t) / 2))
end

function outline.final(l, t, r, b)
  return outline.round(l, t, r, b) .. rectangle(l + 3, t + 3, r - l - 6, b - t - 6, math.min(17, (b - t) / 2 - 3))
end

function outline.slanted(l, t, r, b)
  return polygon { l + 12, t, r, t, r - 12, b, l, b }
end

function outline.flag(l, t, r, b)
  return polygon { l, t, r, t, r, b, l, b, l + 11, (t + b) / 2 }
end

function outline.diamond(l, t, r, b)
  local slope = (b - t) / 2
  return polygon { l + slope, t, r - slope, t, r, (t + b) / 2, r - slope, b, l + slope, b, l, (t + b) / 2 }
end

local function classes_of(node)
  local class = look.color_of(node)
  return node.critical and class .. " k" or class
end

--- Draws a node.
-- @tab node
-- @tab box of nodes.box
-- @number x of its middle
-- @number y of its middle
-- @string[opt] day the date that need not be said
-- @treturn string
function nodes.draw(node, box, x, y, day)
  local draw = outline[look.shape_of(node)]
  local l, t = x - box.width / 2, y - box.height / 2
  local r, b = l + box.width, t + box.height
  local parts = { ('<g class="%s"><title>%s</title>'):format(classes_of(node),
    style.escape(table.concat(look.tooltip(node, day), "\n"))) }
  for sheet = node.count and 2 or 0, 1, -1 do
    local shift = sheet * STACK
    parts[#parts + 1] = draw(l + shift, t - shift, r + shift, b - shift)
  end
  parts[#parts + 1] = draw(l, t, r, b)
  local at, text_x, anchor = t + PADDING_Y, x, " c"
  if box.mark then
    parts[#parts + 1] = style.mark(box.mark, l + box.padding, at + 3)
    text_x, anchor = l + box.padding + style.MARK + 8, ""
  end
  for _, line in ipairs(box.lines) do
    parts[#parts + 1] = style.text(line.class .. anchor, text_x, at + line.height - 4, line.text)
    at = at + line.height
  end
  parts[#parts + 1] = "</g>\n"
  return table.concat(parts)
end

return nodes
