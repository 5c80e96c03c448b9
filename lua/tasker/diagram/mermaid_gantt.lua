--- A task over time as a Mermaid chart.
-- @module tasker.diagram.mermaid_gantt

local gantt = require "tasker.diagram.gantt"
local look = require "tasker.diagram.look"
local mermaid = require "tasker.diagram.mermaid"

local mermaid_gantt = {}

local TAGS = { complete = "done", resolved_manually = "done", in_progress = "active", waiting = "active", error = "crit" }

local function milliseconds(seconds)
  return math.floor(seconds * 1000 + 0.5)
end

local function line_of(row)
  local node, first = row.node, row.bars[1]
  local last = row.bars[#row.bars]
  local from = milliseconds(first.state == "pending" and first.to or first.from)
  local to = math.max(milliseconds(last.to), from + 1)
  local name = mermaid.plain(node.name, " "):gsub(",", " ")
  local tag = TAGS[node.status] and TAGS[node.status] .. ", " or ""
  if node.count then
    name = look.count_label(node) .. " " .. name
  end
  return ("  %s %s :%ss%d, %d, %d"):format(look.sign(node), name, tag, row.index, from, to)
end

--- Draws the chart; steps that never started are not in it.
-- @tab graph of a task
-- @treturn string
function mermaid_gantt.draw(graph)
  local chart = gantt.chart(graph)
  local lines = { "gantt", "  title " .. mermaid.plain(graph.title, " "), "  dateFormat x",
    "  axisFormat " .. (chart.last - chart.first < 10 and "%S.%L" or "%H:%M:%S") }
  for _, row in ipairs(chart.rows) do
    if #row.bars > 0 then
      lines[#lines + 1] = line_of(row)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return mermaid_gantt
