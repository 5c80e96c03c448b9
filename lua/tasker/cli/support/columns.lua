--- Tables: on a terminal fitted to its width, elsewhere plain columns two blanks apart.
-- @module tasker.cli.support.columns

local term = require "tasker.cli.support.term"

local columns = {}

local function width_of(rows, declarations, index)
  local width = term.width(declarations[index].title)
  for _, row in ipairs(rows) do
    width = math.max(width, term.width(row[index].text or row[index]))
  end
  return width
end

-- Takes what is too much for the terminal from the columns that may shrink, the last ones first.
local function shrink(widths, declarations, room)
  local total = 2 * (#widths - 1)
  for _, width in ipairs(widths) do
    total = total + width
  end
  for index = #widths, 1, -1 do
    if total > room and declarations[index].shrink then
      local least = math.min(widths[index], declarations[index].shrink)
      local cut = math.min(total - room, widths[index] - least)
      widths[index] = widths[index] - cut
      total = total - cut
    end
  end
end

--- Draws rows under titles.
-- @tab screen from `term.out`
-- @tparam {table,...} declarations `{ title = "STATUS", right = bool, shrink = least width on a terminal }`
-- @tparam {table,...} rows of cells: a text, or `{ text =, color = }`
-- @treturn string lines, each ended
function columns.draw(screen, declarations, rows)
  local widths, lines = {}, {}
  for index = 1, #declarations do
    widths[index] = width_of(rows, declarations, index)
  end
  if screen.is_tty then
    shrink(widths, declarations, screen.columns)
  end
  local function add(row, color)
    local cells = {}
    for index, declaration in ipairs(declarations) do
      local cell = row[index]
      local text = cell.text or cell
      if screen.is_tty then
        text = screen:fit(text, widths[index])
      end
      local padding = ""
      if declaration.right or index < #declarations then
        padding = (" "):rep(widths[index] - term.width(text))
      end
      text = screen:paint(text, color or cell.color)
      cells[index] = declaration.right and padding .. text or text .. padding
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  local titles = {}
  for index, declaration in ipairs(declarations) do
    titles[index] = { text = declaration.title }
  end
  add(titles, "dim")
  for _, row in ipairs(rows) do
    add(row)
  end
  return table.concat(lines, "\n") .. "\n"
end

return columns
