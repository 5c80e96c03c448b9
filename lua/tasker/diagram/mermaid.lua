--- A graph as a Mermaid flowchart.
-- @module tasker.diagram.mermaid

local look = require "tasker.diagram.look"

local mermaid = {}

-- What stands around a label by shape.
local BRACKETS = {
  box = { "[", "]" }, double = { "[[", "]]" }, round = { "([", "])" }, diamond = { "{", "}" }, slanted = { "[/", "/]" },
  flag = { ">", "]" }, final = { "(((", ")))" },
}

local ENTITIES = { ['"'] = "#quot;", ["#"] = "#35;", ["<"] = "#lt;", [">"] = "#gt;", ["&"] = "#amp;", [";"] = "#59;", ["`"] = "#96;",
  ["\\"] = "#92;" }

--- A clean text for a quoted label.
-- @string text
-- @treturn string
function mermaid.escape(text)
  return (text:gsub("[\"#<>&;`\\]", ENTITIES))
end

--- A text for the front matter, which is YAML.
-- @string text clean
-- @treturn string
function mermaid.yaml(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

--- A text where Mermaid knows no escapes.
-- @string text clean
-- @string instead what stands for the characters that mean something
-- @treturn string
function mermaid.plain(text, instead)
  return (text:gsub("[:;#%%{}\"<>`\\]", instead))
end

local function label_of(node, day)
  local lines = {}
  local sign = look.sign(node)
  local first = mermaid.escape(node.name)
  if node.count then
    first = look.count_label(node) .. " " .. first
  end
  lines[1] = sign and sign .. " " .. first or first
  for _, note in ipairs(look.notes(node, day)) do
    lines[#lines + 1] = mermaid.escape(note)
  end
  return table.concat(lines, "<br/>")
end

local ARROWS = { "-.->", "-->", "==>" }

local function arrow_of(edge)
  return ARROWS[(edge.critical and 3) or (edge.taken == false or edge.change == "removed") and 1 or 2]
end

-- Classes with the ids of their nodes, in the order of their first ones.
local function add_classes(lines, graph)
  local order, members, critical = {}, {}, {}
  for i, node in ipairs(graph.nodes) do
    local name = look.color_of(node)
    if name ~= "none" then
      if not members[name] then
        members[name] = {}
        order[#order + 1] = name
      end
      table.insert(members[name], "s" .. i)
    end
    if node.critical then
      critical[#critical + 1] = "s" .. i
    end
  end
  for _, name in ipairs(order) do
    local fill, line, text = table.unpack(look.COLORS[name].light)
    local dashed = (name == "skipped" or name == "removed") and ",stroke-dasharray:5 4" or ""
    lines[#lines + 1] = ("  classDef %s fill:%s,stroke:%s,color:%s%s"):format(name, fill, line, text, dashed)
    lines[#lines + 1] = ("  class %s %s"):format(table.concat(members[name], ","), name)
  end
  if #critical > 0 then
    lines[#lines + 1] = "  classDef critical stroke-width:3px"
    lines[#lines + 1] = ("  class %s critical"):format(table.concat(critical, ","))
  end
end

local function add_edge_styles(lines, graph)
  local changed = { added = {}, removed = {} }
  for e, edge in ipairs(graph.edges) do
    local list = changed[edge.change]
    if list then
      list[#list + 1] = tostring(e - 1)
    end
  end
  for _, name in ipairs { "added", "removed" } do
    if #changed[name] > 0 then
      lines[#lines + 1] = ("  linkStyle %s stroke:%s"):format(table.concat(changed[name], ","), look.COLORS[name].light[2])
    end
  end
end

--- Draws a graph.
-- @tab graph
-- @tab options `direction`: "down" (default) or "right"
-- @treturn string
function mermaid.draw(graph, options)
  local lines = { "---", "title: " .. mermaid.yaml(graph.title), "---", options.direction == "right" and "flowchart LR" or "flowchart TD" }
  if graph.subtitle then
    lines[#lines + 1] = "  accDescr: " .. mermaid.plain(graph.subtitle, " ")
  end
  local day = graph.task and graph.task.day
  for i, node in ipairs(graph.nodes) do
    local brackets = BRACKETS[look.shape_of(node)]
    lines[#lines + 1] = ('  s%d%s"%s"%s'):format(i, brackets[1], label_of(node, day), brackets[2])
  end
  for _, edge in ipairs(graph.edges) do
    local label = edge.label and ('|"%s"|'):format(mermaid.escape(edge.label)) or ""
    lines[#lines + 1] = ("  s%d %s%s s%d"):format(edge.from, arrow_of(edge), label, edge.to)
  end
  add_classes(lines, graph)
  add_edge_styles(lines, graph)
  return table.concat(lines, "\n") .. "\n"
end

return mermaid
