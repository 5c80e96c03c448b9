--- A task over time as lines of text.
-- @module tasker.diagram.text_gantt

local gantt = require "tasker.diagram.gantt"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local term = require "tasker.cli.support.term"

local text_gantt = {}

local COLUMNS = 100
local LEAST_CHART, LONGEST_NAME, LONGEST_NOTE = 20, 28, 36

local SIGNS = {
  unicode = { full = "█", failed = "▒", thin = "┄", ellipsis = "…" },
  ascii = { full = "#", failed = "%", thin = ".", ellipsis = "..." },
}

local function draw_bars(row, chart, width, signs)
  local cells = {}
  local scale = width / (chart.last - chart.first)
  for _, bar in ipairs(row.bars) do
    local from = math.min(math.floor((bar.from - chart.first) * scale), width - 1)
    local to = math.max(math.ceil((bar.to - chart.first) * scale), from + 1)
    local sign = bar.thin and signs.thin or bar.state == "error" and signs.failed or signs.full
    for i = from + 1, math.min(to, width) do
      -- What ran is not hidden by a wait that is shorter than a column.
      if not bar.thin or not cells[i] then
        cells[i] = sign
      end
    end
  end
  for i = 1, width do
    cells[i] = cells[i] or " "
  end
  return table.concat(cells)
end

local function draw_axis(chart, width)
  local line, used = {}, 0
  local scale = width / (chart.last - chart.first)
  for _, tick in ipairs(gantt.ticks(chart, math.max(width // 12, 2))) do
    local at = math.floor(tick.at * scale + 0.5)
    local text = "|" .. tick.text
    if at >= used and at + #text <= width then
      line[#line + 1] = (" "):rep(at - used) .. text
      used = at + #text
    end
  end
  return table.concat(line)
end

local function labels_of(graph, rows, options)
  local ellipsis = options.ascii and SIGNS.ascii.ellipsis or SIGNS.unicode.ellipsis
  local names, notes, name_width, note_width = {}, {}, 0, 0
  for i, row in ipairs(rows) do
    local node = row.node
    local name = look.sign(node, options.ascii) .. " " .. look.plain(measure.cut(node.name, LONGEST_NAME, ellipsis), options.ascii)
    if node.count then
      name = name .. " " .. look.plain(look.count_label(node), options.ascii)
    end
    local note = table.concat(look.execution_notes(node, graph.task.day), ", ")
    names[i], notes[i] = name, measure.cut(note, LONGEST_NOTE, ellipsis)
    name_width, note_width = math.max(name_width, term.width(name)), math.max(note_width, term.width(notes[i]))
  end
  return names, notes, name_width, note_width
end

--- Draws the chart.
-- @tab graph of a task
-- @tab options `columns` (100 unless given), `ascii`
-- @treturn string
function text_gantt.draw(graph, options)
  local chart = gantt.chart(graph)
  local signs = options.ascii and SIGNS.ascii or SIGNS.unicode
  local names, notes, name_width, note_width = labels_of(graph, chart.rows, options)
  local width = math.max((options.columns or COLUMNS) - name_width - note_width - 4, LEAST_CHART)
  local lines = { look.plain(graph.title, options.ascii), look.plain(graph.subtitle, options.ascii), "" }
  lines[#lines + 1] = (" "):rep(name_width + 2) .. draw_axis(chart, width)
  for i, row in ipairs(chart.rows) do
    local line = term.pad(names[i], name_width) .. "  " .. draw_bars(row, chart, width, signs) .. "  " .. notes[i]
    lines[#lines + 1] = line:match("^(.-) *$")
  end
  return table.concat(lines, "\n") .. "\n"
end

return text_gantt
