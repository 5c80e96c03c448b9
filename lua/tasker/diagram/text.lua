--- A graph as text: boxes and arrows where there is room for them, else an indented list.
-- @module tasker.diagram.text

local boxes = require "tasker.diagram.text_boxes"
local edges = require "tasker.diagram.edges"
local look = require "tasker.diagram.look"
local tree = require "tasker.diagram.text_tree"

local text = {}

local COLUMNS = 100
local MOST_BOXES = 60      -- more are easier to read as a list

--- Draws a graph.
-- @tab graph
-- @tab options `columns` (100 unless given), `ascii`
-- @treturn string
function text.draw(graph, options)
  local columns = options.columns or COLUMNS
  local lines = { look.plain(graph.title, options.ascii) }
  if graph.subtitle then
    lines[#lines + 1] = look.plain(graph.subtitle, options.ascii)
  end
  lines[#lines + 1] = ""
  edges.set_strengths(graph)
  local drawn = #graph.nodes <= MOST_BOXES and boxes.draw(graph, options, columns) or tree.draw(graph, options, columns)
  table.move(drawn, 1, #drawn, #lines + 1, lines)
  return table.concat(lines, "\n") .. "\n"
end

return text
