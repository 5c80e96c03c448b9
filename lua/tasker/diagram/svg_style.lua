--- What all SVG drawings share: escaping, numbers, colours for light and dark surroundings, marks, titles and legends.
--
-- Nothing has an id and every class is below `.tk`, so that several drawings can stand in one page.
-- @module tasker.diagram.svg_style

local format = require "tasker.cli.support.format"
local look = require "tasker.diagram.look"
local measure = require "tasker.diagram.measure"

local style = {}

style.TEXT, style.NOTE, style.TITLE = 13, 11, 16       -- font sizes
style.MARGIN = 24
style.MARK = 12      -- a mark's width and height

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- A clean text as XML.
-- @string text
-- @treturn string
function style.escape(text)
  return (text:gsub("[&<>\"']", ESCAPES))
end

--- A coordinate, to a tenth.
-- @number value
-- @treturn string
function style.number(value)
  local text = ("%.1f"):format(value):gsub("%.0$", "")
  return text == "-0" and "0" or text
end

-- Drawn in a square of 12; `fill`: not a line but a surface.
local MARKS = {
  complete = { "M1.5 6.5 4.5 9.5 10.5 2.5" },
  resolved_manually = { "M1.5 6 4.5 9 10.5 2M3 11.5H9" },
  error = { "M2.5 2.5 9.5 9.5M9.5 2.5 2.5 9.5" },
  in_progress = { "M3 1.5 10.5 6 3 10.5Z", fill = true },
  ready = { "M3 1.5 10.5 6 3 10.5Z" },
  waiting = { "M6 1A5 5 0 1 1 5.99 1M6 3.2V6L8 7.5" },
  pending = { "M3 6H3.2M6 6H6.2M9 6H9.2" },
  cancelled = { "M6 1A5 5 0 1 1 5.99 1M2.6 2.6 9.4 9.4" },
  skipped = { "M1.5 2.5 6 6 1.5 9.5M6 2.5 10.5 6 6 9.5" },
  added = { "M6 1.5V10.5M1.5 6H10.5" },
  removed = { "M1.5 6H10.5" },
  changed = { "M1 7.5Q3.5 3.5 6 6T11 4.5" },
}

--- The mark of a state or change.
-- @string name
-- @number x left
-- @number y top
-- @treturn string
function style.mark(name, x, y)
  local mark = MARKS[name]
  return ('<path class="%s" transform="translate(%s %s)" d="%s"/>'):format(mark.fill and "f" or "m", style.number(x),
    style.number(y), mark[1])
end

--- A line of text.
-- @string class
-- @number x
-- @number y of its baseline
-- @string text clean
-- @treturn string
function style.text(class, x, y, text)
  return ('<text class="%s" x="%s" y="%s">%s</text>'):format(class, style.number(x), style.number(y), style.escape(text))
end

-- ---- Colours ----

local SURROUNDINGS = {
  light = { paper = "#ffffff", text = "#1f2328", dim = "#59636e", edge = "#6e7781", faint = "#afb8c1", strong = "#1f2328",
    band = "#f6f8fa", grid = "#d8dee4" },
  dark = { paper = "#0d1117", text = "#e6edf3", dim = "#9198a1", edge = "#848d97", faint = "#484f58", strong = "#e6edf3",
    band = "#151b23", grid = "#2a313c" },
}

local COMMON = [[
.tk text{font-family:Helvetica,Arial,"Liberation Sans",sans-serif;font-size:13px}
.tk .t{font-size:16px;font-weight:bold}
.tk .o{font-size:11px}
.tk .c{text-anchor:middle}
.tk .r{text-anchor:end}
.tk .b{font-weight:bold}
.tk .s{stroke-width:1.3}
.tk .k .s{stroke-width:3}
.tk .skipped .s,.tk .removed .s{stroke-dasharray:5 4}
.tk .m{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.tk .e{fill:none;stroke-width:1.3;stroke-linejoin:round}
.tk .e.k{stroke-width:3}
.tk .e.x,.tk .e.removed{stroke-dasharray:5 4}
]]

local function surroundings_css(which)
  local colors = SURROUNDINGS[which]
  return ([[
.tk .p{fill:%s}
.tk text{fill:%s}
.tk .d{fill:%s}
.tk .e{stroke:%s}
.tk .a{fill:%s}
.tk .e.x{stroke:%s}
.tk .a.x{fill:%s}
.tk .e.k{stroke:%s}
.tk .a.k{fill:%s}
.tk .band{fill:%s}
.tk .g{stroke:%s;stroke-width:1}
]]):format(colors.paper, colors.text, colors.dim, colors.edge, colors.edge, colors.faint, colors.faint, colors.strong,
    colors.strong, colors.band, colors.grid)
end

local function state_css(name, which)
  local fill, line, text = table.unpack(look.COLORS[name][which])
  local css = (".tk .%s .s{fill:%s;stroke:%s}\n.tk .%s text{fill:%s}\n.tk .%s .m{stroke:%s}\n.tk .%s .f{fill:%s}\n"):format(
    name, fill, line, name, text, name, line, name, line)
  if look.is_change(name) then
    css = css .. (".tk .e.%s{stroke:%s}\n.tk .a.%s{fill:%s}\n"):format(name, line, name, line)
  end
  return css
end

--- The style sheet for drawings with these states and changes.
-- @tparam {string,...} names keys of look.COLORS
-- @treturn string an element
function style.sheet(names)
  local parts = { "<style>\n", COMMON }
  for _, which in ipairs { "light", "dark" } do
    parts[#parts + 1] = which == "dark" and "@media (prefers-color-scheme:dark){\n" or ""
    parts[#parts + 1] = surroundings_css(which)
    parts[#parts + 1] = state_css("none", which)
    for _, name in ipairs(names) do
      parts[#parts + 1] = state_css(name, which)
    end
  end
  parts[#parts + 1] = "}\n</style>\n"
  return table.concat(parts)
end

-- ---- What stands around a drawing ----

local CHANGES = { "added", "removed", "changed" }

--- The states and changes that a graph has, in the order of legends.
-- @tab graph
-- @treturn {string,...}
function style.present(graph)
  local seen, names = { none = true }, {}
  for _, list in ipairs { graph.nodes, graph.edges } do
    for _, one in ipairs(list) do
      seen[one.change or one.status or "none"] = true
    end
  end
  for _, list in ipairs { look.STATES, CHANGES } do
    for _, name in ipairs(list) do
      if seen[name] then
        names[#names + 1] = name
      end
    end
  end
  return names
end

local function legend_items(graph, names)
  local items = {}
  for _, name in ipairs(names) do
    items[#items + 1] = { name = name, text = format.status(name) }
  end
  local critical, missed = false, false
  for _, edge in ipairs(graph.edges) do
    critical, missed = critical or edge.critical, missed or edge.taken == false
  end
  if critical then
    items[#items + 1] = { line = "e k", text = "critical path" }
  end
  if missed then
    items[#items + 1] = { line = "e x", text = "not taken" }
  end
  return items
end

local LEGEND_LINE = 20

--- The legend of a graph, in as many lines as it needs.
-- @tab graph
-- @tparam {string,...} names of present
-- @number width there is
-- @number x left
-- @number y top
-- @treturn string
-- @treturn number the height it takes
function style.legend(graph, names, width, x, y)
  local items = legend_items(graph, names)
  if #items == 0 then
    return "", 0
  end
  local parts, at_x, at_y = {}, 0, y
  for _, item in ipairs(items) do
    local symbol = item.line and 24 or style.MARK
    local needed = symbol + 6 + measure.width(item.text) * style.NOTE + 18
    if at_x > 0 and at_x + needed > width then
      at_x, at_y = 0, at_y + LEGEND_LINE
    end
    local left = x + at_x
    if item.line then
      parts[#parts + 1] = ('<path class="%s" d="M%s %sh24"/>'):format(item.line, style.number(left), style.number(at_y + 10))
    else
      parts[#parts + 1] = ('<g class="%s">%s</g>'):format(item.name, style.mark(item.name, left, at_y + 4))
    end
    parts[#parts + 1] = style.text("o d", left + symbol + 6, at_y + 14, item.text) .. "\n"
    at_x = at_x + needed
  end
  return table.concat(parts), at_y - y + LEGEND_LINE
end

-- A text in lines that fit, by how wide its characters are on average.
local function fit(text, size, width)
  local needed = measure.width(text) * size
  if needed <= width then
    return { text }
  end
  return measure.wrap(text, math.max(12, math.floor(utf8.len(text) * width / needed * 0.96)))
end

local BOLD = 1.08      -- how much wider than others

--- Title and subtitle.
-- @tab graph
-- @number width there is for them
-- @treturn string
-- @treturn number the height they take
function style.heading(graph, width)
  local x, y = style.MARGIN, style.MARGIN + style.TITLE
  local parts = {}
  for _, line in ipairs(fit(graph.title, style.TITLE * BOLD, width)) do
    parts[#parts + 1] = style.text("t", x, y, line) .. "\n"
    y = y + 20
  end
  for _, line in ipairs(graph.subtitle and fit(graph.subtitle, style.NOTE, width) or {}) do
    parts[#parts + 1] = style.text("o d", x, y, line) .. "\n"
    y = y + 16
  end
  return table.concat(parts), y
end

--- How wide a heading is that need not be broken, at most.
-- @tab graph
-- @treturn number
function style.heading_width(graph)
  local title = measure.width(graph.title) * style.TITLE * BOLD
  local subtitle = graph.subtitle and measure.width(graph.subtitle) * style.NOTE or 0
  return math.min(math.max(title, subtitle), 560)
end

--- A whole document.
-- @tab graph
-- @number width
-- @number height
-- @tparam {string,...} names of present
-- @string description for who cannot see it
-- @tparam {string,...} parts
-- @treturn string
function style.document(graph, width, height, names, description, parts)
  local w, h = math.ceil(width), math.ceil(height)
  return table.concat {
    ('<svg xmlns="http://www.w3.org/2000/svg" class="tk" role="img" width="%d" height="%d" viewBox="0 0 %d %d">\n'):format(w, h, w, h),
    ("<title>%s</title>\n<desc>%s</desc>\n"):format(style.escape(graph.title), style.escape(description)),
    style.sheet(names), ('<rect class="p" width="%d" height="%d"/>\n'):format(w, h), table.concat(parts), "</svg>\n",
  }
end

--- A graph in a sentence or two, for who cannot see it.
-- @tab graph
-- @treturn string
function style.describe(graph)
  local counts, total = {}, 0
  for _, node in ipairs(graph.nodes) do
    local count = node.count or 1
    total = total + count
    local name = look.color_of(node)
    counts[name] = (counts[name] or 0) + count
  end
  local parts = {}
  for _, name in ipairs(style.present(graph)) do
    if counts[name] then
      parts[#parts + 1] = ("%s %s"):format(format.count(counts[name]), format.status(name))
    end
  end
  local text = format.plural(total, "step")
  if #parts > 0 then
    text = text .. ": " .. table.concat(parts, ", ")
  end
  return (graph.subtitle and graph.subtitle .. ". " or "") .. text .. "."
end

return style
