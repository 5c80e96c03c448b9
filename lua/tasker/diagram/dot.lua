--- A graph in DOT, the language of Graphviz.
-- @module tasker.diagram.dot

local look = require "tasker.diagram.look"

local dot = {}

-- Attributes by shape.
local SHAPES = {
  box = "", double = ", peripheries=2", round = ", shape=ellipse", diamond = ", shape=diamond", slanted = ", shape=parallelogram",
  flag = ", shape=cds", final = ", shape=ellipse, peripheries=2",
}

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- Lines, each centred; `\n` here is DOT's.
local function quote_lines(lines)
  local quoted = {}
  for i, line in ipairs(lines) do
    quoted[i] = line:gsub('[\\"]', "\\%0")
  end
  return '"' .. table.concat(quoted, "\\n") .. '"'
end

local function label_of(node, day)
  local sign, first = look.sign(node), node.name
  if node.count then
    first = look.count_label(node) .. " " .. first
  end
  local lines = { sign and sign .. " " .. first or first }
  for _, note in ipairs(look.notes(node, day)) do
    lines[#lines + 1] = note
  end
  return quote_lines(lines)
end

local function node_line(i, node, day)
  local color = look.color_of(node)
  local fill, line, text = table.unpack(look.COLORS[color].light)
  local dashed = color == "skipped" or color == "removed"
  return ('  s%d [label=%s, tooltip=%s, fillcolor="%s", color="%s", fontcolor="%s"%s%s%s];'):format(i, label_of(node, day),
    quote_lines(look.tooltip(node, day)), fill, line, text, SHAPES[look.shape_of(node)],
    node.critical and ", penwidth=3" or "", dashed and ', style="rounded,filled,dashed"' or "")
end

local function edge_line(edge)
  local attributes = {}
  if edge.label then
    attributes[#attributes + 1] = "label=" .. quote(edge.label)
  end
  if edge.critical then
    attributes[#attributes + 1] = 'penwidth=3, color="#1f2328"'
  elseif edge.change then
    attributes[#attributes + 1] = ('color="%s"'):format(look.COLORS[edge.change].light[2])
  end
  if edge.taken == false or edge.change == "removed" then
    attributes[#attributes + 1] = "style=dashed"
  end
  local text = #attributes > 0 and " [" .. table.concat(attributes, ", ") .. "]" or ""
  return ("  s%d -> s%d%s;"):format(edge.from, edge.to, text)
end

--- Draws a graph.
-- @tab graph
-- @tab options `direction`: "down" (default) or "right"
-- @treturn string
function dot.draw(graph, options)
  local heading = graph.subtitle and { graph.title, graph.subtitle } or { graph.title }
  local lines = {
    "digraph " .. quote(graph.title) .. " {",
    ('  graph [label=%s, labelloc=t, rankdir=%s, fontname="Helvetica", fontsize=14];'):format(quote_lines(heading),
      options.direction == "right" and "LR" or "TB"),
    '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, margin="0.16,0.08"];',
    '  edge [color="#6e7781", fontname="Helvetica", fontsize=10, arrowsize=0.7];',
  }
  local day = graph.task and graph.task.day
  for i, node in ipairs(graph.nodes) do
    lines[#lines + 1] = node_line(i, node, day)
  end
  for _, edge in ipairs(graph.edges) do
    lines[#lines + 1] = edge_line(edge)
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

return dot
