--- A task over time as SVG.
-- @module tasker.diagram.svg_gantt

local gantt = require "tasker.diagram.gantt"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local style = require "tasker.diagram.svg_style"

local svg_gantt = {}

local ROW, BAR, THIN = 24, 14, 3
local CHART = 640               -- width of the part with the bars
local TICKS = 8
local LONGEST_NAME = 40
local AXIS = 26
local GAP = 14

local function rectangle(class, x, y, width, height, radius)
  return ('<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="%s"/>'):format(class, style.number(x), style.number(y),
    style.number(width), style.number(height), style.number(radius))
end

local function widest(rows, text_of, size)
  local width = 0
  for _, row in ipairs(rows) do
    width = math.max(width, measure.width(text_of(row)) * size)
  end
  return width
end

local function name_of(row)
  local text = measure.cut(row.node.name, LONGEST_NAME)
  return row.node.count and look.count_label(row.node) .. " " .. text or text
end

local function note_of(row)
  return row.note
end

local function draw_bar(bar, scale, y, critical)
  local x = scale(bar.from)
  local width = math.max(scale(bar.to) - x, bar.thin and 0 or 2)
  local height = bar.thin and THIN or BAR
  return ('<g class="%s%s">%s</g>'):format(bar.state, critical and not bar.thin and " k" or "",
    rectangle(bar.thin and "f" or "s", x, y + (ROW - height) / 2, width, height, math.min(height / 2, 3)))
end

local function draw_row(row, y, columns, scale, day)
  local node = row.node
  local parts = { ('<g class="%s"><title>%s</title>'):format(look.color_of(node),
    style.escape(table.concat(look.tooltip(node, day), "\n"))) }
  parts[#parts + 1] = style.mark(look.color_of(node), columns.mark, y + (ROW - style.MARK) / 2)
  parts[#parts + 1] = "</g>"
  parts[#parts + 1] = style.text(node.critical and "b" or "n", columns.name, y + 16, name_of(row))
  for _, bar in ipairs(row.bars) do
    parts[#parts + 1] = draw_bar(bar, scale, y, node.critical)
  end
  if row.note ~= "" then
    parts[#parts + 1] = style.text("o d", columns.note, y + 16, row.note)
  end
  parts[#parts + 1] = "\n"
  return table.concat(parts)
end

local function draw_axis(chart, top, bottom, scale)
  local parts = {}
  for _, tick in ipairs(gantt.ticks(chart, TICKS)) do
    local x = scale(chart.first + tick.at)
    parts[#parts + 1] = ('<path class="e g" d="M%s %sV%s"/>'):format(style.number(x), style.number(top - 6), style.number(bottom))
    parts[#parts + 1] = style.text("o d c", x, top - 11, tick.text) .. "\n"
  end
  return table.concat(parts)
end

local function prepare(graph)
  local chart = gantt.chart(graph)
  for _, row in ipairs(chart.rows) do
    row.note = table.concat(look.execution_notes(row.node, graph.task.day), " · ")
  end
  local columns = { mark = style.MARGIN, name = style.MARGIN + style.MARK + 8 }
  columns.chart = columns.name + widest(chart.rows, name_of, style.TEXT * 1.08) + GAP
  columns.note = columns.chart + CHART + GAP
  columns.right = columns.note + widest(chart.rows, note_of, style.NOTE)
  return chart, columns
end

-- As a graph to style.present and style.legend: what attempts came to is shown too.
local function shown_states(graph, chart)
  local shown = { nodes = table.move(graph.nodes, 1, #graph.nodes, 1, {}), edges = {} }
  for _, row in ipairs(chart.rows) do
    for _, bar in ipairs(row.bars) do
      table.insert(shown.nodes, { status = bar.state })
    end
  end
  return shown
end

--- Draws the chart.
-- @tab graph of a task
-- @treturn string
function svg_gantt.draw(graph)
  local chart, columns = prepare(graph)
  local function scale(seconds)
    return columns.chart + (seconds - chart.first) / (chart.last - chart.first) * CHART
  end
  local heading, top = style.heading(graph, columns.right - style.MARGIN)
  top = top + AXIS
  local bottom = top + ROW * #chart.rows
  local parts = { heading }
  for i = 1, #chart.rows, 2 do
    parts[#parts + 1] = rectangle("band", style.MARGIN - 8, top + (i - 1) * ROW, columns.right - style.MARGIN + 16, ROW, 4) .. "\n"
  end
  parts[#parts + 1] = draw_axis(chart, top, bottom, scale)
  for i, row in ipairs(chart.rows) do
    parts[#parts + 1] = draw_row(row, top + (i - 1) * ROW, columns, scale, graph.task.day)
  end
  local shown = shown_states(graph, chart)
  local names = style.present(shown)
  local legend, legend_height = style.legend(shown, names, columns.right - style.MARGIN, style.MARGIN, bottom + 12)
  parts[#parts + 1] = legend
  local height = bottom + legend_height + style.MARGIN + 12
  return style.document(graph, columns.right + style.MARGIN, height, names, style.describe(graph), parts)
end

return svg_gantt
