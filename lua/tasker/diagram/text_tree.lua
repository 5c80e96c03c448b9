--- A graph as an indented list: what follows alone stands below, what runs side by side branches off.
-- @module tasker.diagram.text_tree

local layers = require "tasker.diagram.layers"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"
local term = require "tasker.cli.support.term"
local tree_layout = require "tasker.cli.support.layout"

local tree = {}

local NAME_COLUMNS = 40
local DEPENDENCIES_SHOWN = 4

local SIGNS = {
  unicode = { branch = "├─ ", last = "└─ ", pipe = "│  ", gap = "   " },
  ascii = { branch = "|- ", last = "`- ", pipe = "|  ", gap = "   " },
}

local function shown(names, separator)
  local count = math.min(#names, DEPENDENCIES_SHOWN)
  local text = table.concat(names, separator, 1, count)
  return count < #names and ("%s and %d more"):format(text, #names - count) or text
end

-- Nodes as the layout of trees wants its steps, with what their edges say.
local function steps_of(graph)
  local back = layers.find_back_edges(#graph.nodes, graph.edges)
  local steps = {}
  for i, node in ipairs(graph.nodes) do
    steps[i] = { name = i, node = node, depends_on = {}, from = {}, labels = {}, back = {} }
  end
  for e, edge in ipairs(graph.edges) do
    local from, to = steps[edge.from], steps[edge.to]
    if back[e] or edge.from == edge.to then
      table.insert(from.back, (edge.label and edge.label .. ": " or "") .. to.node.name)
    else
      table.insert(to.depends_on, edge.from)
      table.insert(to.from, from.node.name)
      to.labels[#to.labels + 1] = edge.label
    end
  end
  return steps
end

local function notes_of(step, day, some_critical)
  local notes = {}
  if #step.labels > 0 then
    notes[1] = "[" .. table.concat(step.labels, ", ") .. "]"
  end
  for _, note in ipairs(look.notes(step.node, day, true)) do
    notes[#notes + 1] = note
  end
  if step.node.critical and some_critical then
    notes[#notes + 1] = "critical"
  end
  if #step.depends_on > 1 then
    notes[#notes + 1] = "← " .. shown(step.from, ", ")
  end
  if #step.back > 0 then
    notes[#notes + 1] = "→ " .. shown(step.back, ", ")
  end
  return table.concat(notes, " · ")
end

-- Whether the critical path is worth telling: not when it is everything.
local function has_choice(graph)
  for _, node in ipairs(graph.nodes) do
    if not node.critical then
      return true
    end
  end
  return false
end

local function head_of(row, options)
  local node = row.step.node
  local sign = look.sign(node, options.ascii)
  local name = (node.count and look.count_label(node) .. " " or "") .. node.name
  return row.prefix .. (sign and sign .. " " or "") .. look.plain(name, options.ascii)
end

--- Draws a graph as a list.
-- @tab graph
-- @tab options `ascii`
-- @int columns there are
-- @treturn {string,...} lines
function tree.draw(graph, options, columns)
  local day, some_critical = graph.task and graph.task.day, has_choice(graph)
  local rows = tree_layout.rows(steps_of(graph), options.ascii and SIGNS.ascii or SIGNS.unicode)
  local heads, width = {}, 0
  for i, row in ipairs(rows) do
    heads[i] = head_of(row, options)
    width = math.max(width, term.width(heads[i]))
  end
  width = math.min(width, NAME_COLUMNS)
  local lines = {}
  for i, row in ipairs(rows) do
    local note = look.plain(notes_of(row.step, day, some_critical), options.ascii)
    local used = math.max(width, term.width(heads[i])) + 2
    note = measure.cut(note, math.max(columns - used, 24), options.ascii and "..." or nil)
    lines[#lines + 1] = note == "" and heads[i] or term.pad(heads[i], used) .. note
    if look.has_error(row.step.node) then
      local text = row.below .. look.plain(row.step.node.error, options.ascii)
      lines[#lines + 1] = measure.cut(text, columns, options.ascii and "..." or nil)
    end
  end
  return lines
end

return tree
