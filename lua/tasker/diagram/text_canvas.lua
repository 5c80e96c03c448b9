--- A drawing in characters: texts, boxes and lines that join where they meet.
-- @module tasker.diagram.text_canvas

local term = require "tasker.cli.support.term"

local canvas = {}
canvas.__index = canvas

local NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8

-- Lines by the directions they have in a cell: light, heavy, dashed.
local LIGHT = { [1] = "│", [2] = "─", [3] = "└", [4] = "│", [5] = "│", [6] = "┌", [7] = "├", [8] = "─", [9] = "┘", [10] = "─",
  [11] = "┴", [12] = "┐", [13] = "┤", [14] = "┬", [15] = "┼" }
local HEAVY = { [1] = "┃", [2] = "━", [3] = "┗", [4] = "┃", [5] = "┃", [6] = "┏", [7] = "┣", [8] = "━", [9] = "┛", [10] = "━",
  [11] = "┻", [12] = "┓", [13] = "┫", [14] = "┳", [15] = "╋" }
local DASHED = setmetatable({ [5] = "┆", [10] = "┄" }, { __index = LIGHT })
local ASCII = setmetatable({ [1] = "|", [4] = "|", [5] = "|", [2] = "-", [8] = "-", [10] = "-" }, { __index = function() return "+" end })
local ASCII_HEAVY = setmetatable({ [1] = "#", [4] = "#", [5] = "#", [2] = "=", [8] = "=", [10] = "=" }, { __index = ASCII })
local ASCII_DASHED = setmetatable({ [5] = ":", [10] = "." }, { __index = ASCII })

local UNICODE_SETS = { [0] = DASHED, LIGHT, HEAVY }
local ASCII_SETS = { [0] = ASCII_DASHED, ASCII, ASCII_HEAVY }

local ARROWS = { unicode = { down = "▼", up = "▲" }, ascii = { down = "v", up = "^" } }

--- An empty drawing.
-- @bool ascii
-- @return the canvas
function canvas.new(ascii)
  return setmetatable({ ascii = ascii, rows = {}, height = 0 }, canvas)
end

local function cell_at(self, x, y)
  local row = self.rows[y]
  if not row then
    row = { width = 0 }
    self.rows[y] = row
    self.height = math.max(self.height, y)
  end
  local cell = row[x]
  if not cell then
    cell = {}
    row[x] = cell
    row.width = math.max(row.width, x)
  end
  return cell
end

local function add(self, x, y, direction, strength, net)
  local cell = cell_at(self, x, y)
  local lines = cell.lines or {}
  cell.lines = lines
  -- Of nets that cross, each keeps its own directions.
  lines[net] = (lines[net] or 0) | direction
  cell.strength = math.max(cell.strength or 0, strength)
end

--- A vertical line, both ends included.
-- @int x
-- @int y1
-- @int y2 at least y1
-- @int strength 0 dashed, 1 light, 2 heavy
-- @param net lines of the same net join, others cross
function canvas:vertical(x, y1, y2, strength, net)
  for y = y1, y2 do
    add(self, x, y, (y > y1 and NORTH or 0) | (y < y2 and SOUTH or 0), strength, net)
  end
end

--- A horizontal line, both ends included.
function canvas:horizontal(y, x1, x2, strength, net)
  local left, right = math.min(x1, x2), math.max(x1, x2)
  for x = left, right do
    add(self, x, y, (x > left and WEST or 0) | (x < right and EAST or 0), strength, net)
  end
end

--- The tip of an arrow.
function canvas:arrow(x, y, upwards)
  local signs = self.ascii and ARROWS.ascii or ARROWS.unicode
  cell_at(self, x, y).text = upwards and signs.up or signs.down
end

--- A text.
-- @int x of its first character
-- @int y
-- @string text clean
function canvas:text(x, y, text)
  for _, code in utf8.codes(text) do
    local character = utf8.char(code)
    local width = term.width(character)
    if width == 0 then
      local before = cell_at(self, x - 1, y)
      before.text = (before.text or "") .. character
    else
      cell_at(self, x, y).text = character
      if width == 2 then
        cell_at(self, x + 1, y).text = ""
      end
      x = x + width
    end
  end
end

--- A box; what is below it is gone.
-- @int x left
-- @int y top
-- @int width
-- @int height
-- @int strength of its sides
function canvas:box(x, y, width, height, strength)
  local right, bottom = x + width - 1, y + height - 1
  for cy = y, bottom do
    for cx = x, right do
      local cell = cell_at(self, cx, cy)
      cell.lines, cell.text, cell.strength = nil, " ", nil
    end
  end
  local sides = { [y] = EAST | WEST, [bottom] = EAST | WEST }
  for cy = y, bottom do
    for cx = x, right, sides[cy] and 1 or math.max(width - 1, 1) do
      local mask = sides[cy] or NORTH | SOUTH
      if cx == x or cx == right then
        mask = (cy > y and NORTH or 0) | (cy < bottom and SOUTH or 0)
          | (sides[cy] and (cx == x and EAST or WEST) or 0)
      end
      local cell = cell_at(self, cx, cy)
      cell.text, cell.lines, cell.strength = nil, { box = mask }, strength
    end
  end
end

-- Nets that only cross do not join: the vertical one goes over the other.
local function mask_of(cell)
  local all, vertical, crossing = 0, 0, true
  for _, mask in pairs(cell.lines) do
    all = all | mask
    if mask & ~(NORTH | SOUTH) == 0 then
      vertical = vertical | mask
    elseif mask & ~(EAST | WEST) ~= 0 then
      crossing = false
    end
  end
  return crossing and vertical ~= 0 and vertical or all
end

local function glyph(self, cell)
  if not cell then
    return " "
  elseif cell.text then
    return cell.text
  end
  local set = (self.ascii and ASCII_SETS or UNICODE_SETS)[cell.strength]
  return set[mask_of(cell)] or " "
end

--- The lines of the drawing.
-- @treturn {string,...} without spaces at their ends
function canvas:lines()
  local lines = {}
  for y = 1, self.height do
    local row, parts = self.rows[y] or { width = 0 }, {}
    for x = 1, row.width do
      parts[x] = glyph(self, row[x])
    end
    lines[y] = table.concat(parts):match("^(.-) *$")
  end
  return lines
end

return canvas
