--- What a terminal can show: colours, marks, lines, and how wide a text is. Falls back to ASCII where the locale is not
-- UTF-8 and to plain text where colours are not wanted (NO_COLOR, TERM=dumb) or the output is no terminal.
-- @module tasker.cli.support.term

local term = {}
term.__index = term

local COLORS = { red = "31", green = "32", yellow = "33", blue = "34", magenta = "35", cyan = "36", dim = "2", bold = "1" }

-- mark, its ASCII form, colour; tasks and steps share the names.
local MARKS = {
  complete = { "✓", "+", "green" },
  error = { "✗", "x", "red" },
  in_progress = { "●", ">", "yellow" },
  ready = { "○", "o", "cyan" },
  waiting = { "◌", "~", "blue" },
  pending = { "·", ".", "dim" },
  paused = { "‖", "=", "blue" },
  cancelled = { "⊘", "-", "magenta" },
  skipped = { "↷", "/", "dim" },
  resolved_manually = { "✓", "*", "magenta" },
}

local UNICODE = {
  branch = "├─ ", last = "└─ ", pipe = "│  ", gap = "   ", after = "←", dot = "·", ellipsis = "…", full = "█", empty = "░",
}
local ASCII = {
  branch = "|- ", last = "`- ", pipe = "|  ", gap = "   ", after = "<-", dot = "-", ellipsis = "...", full = "#", empty = ".",
}

local function locale_is_utf8()
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value:lower():gsub("-", ""):find("utf8", 1, true) ~= nil
    end
  end
  return false
end

local function colors_wanted()
  return (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
end

local function make(is_tty, columns)
  local unicode = locale_is_utf8()
  return setmetatable({
    is_tty = is_tty,
    color = is_tty and colors_wanted(),
    cursor = is_tty and os.getenv "TERM" ~= "dumb",
    unicode = unicode,
    signs = unicode and UNICODE or ASCII,
    columns = columns or 80,
  }, term)
end

--- No terminal, whatever stdout is: no colours, nothing cut.
term.plain = setmetatable({ is_tty = false, color = false, cursor = false, unicode = false, signs = ASCII, columns = 80 }, term)

--- The terminal (or not) behind stdout.
-- @tab ctx the command's context
function term.out(ctx)
  return make(ctx.is_tty, ctx.columns())
end

--- The terminal (or not) behind stderr.
-- @tab ctx the command's context
function term.err(ctx)
  return make(ctx.err_is_tty, ctx.columns())
end

--- The text in a colour, or as it is.
-- @string text
-- @string color red, green, yellow, blue, magenta, cyan, dim or bold; nil: none
function term:paint(text, color)
  if not self.color or not color or text == "" then
    return text
  end
  return "\27[" .. COLORS[color] .. "m" .. text .. "\27[0m"
end

--- The mark of a status, one column wide.
-- @string status of a task or step
function term:mark(status)
  local mark = MARKS[status]
  if not mark then
    return "?"
  end
  return self:paint(self.unicode and mark[1] or mark[2], mark[3])
end

--- The colour that goes with a status.
function term.color_of(status)
  return MARKS[status] and MARKS[status][3]
end

local function is_wide(code)
  return code >= 0x1100 and (code <= 0x115F or code >= 0x2E80 and code <= 0xA4CF or code >= 0xAC00 and code <= 0xD7A3
    or code >= 0xF900 and code <= 0xFAFF or code >= 0xFE30 and code <= 0xFE6F or code >= 0xFF00 and code <= 0xFF60
    or code >= 0x1F300 and code <= 0x1FAFF or code >= 0x20000 and code <= 0x3FFFD)
end

local function is_combining(code)
  return code >= 0x300 and code <= 0x36F or code >= 0x200B and code <= 0x200F or code >= 0xFE00 and code <= 0xFE0F
end

local function width_of_code(code)
  return is_combining(code) and 0 or is_wide(code) and 2 or 1
end

--- Columns that a text without escape sequences takes.
-- @string text
-- @treturn int
function term.width(text)
  if not text:find("[\128-\255]") or not utf8.len(text) then
    return #text
  end
  local width = 0
  for _, code in utf8.codes(text) do
    width = width + width_of_code(code)
  end
  return width
end

--- The text cut to so many columns, with an ellipsis where something was cut.
-- @string text without escape sequences
-- @int columns
-- @treturn string
function term:fit(text, columns)
  if term.width(text) <= columns then
    return text
  end
  local sign = self.signs.ellipsis
  local room = math.max(columns - term.width(sign), 0)
  if not utf8.len(text) then
    return text:sub(1, room) .. sign
  end
  local width = 0
  for position, code in utf8.codes(text) do
    width = width + width_of_code(code)
    if width > room then
      return text:sub(1, position - 1) .. sign
    end
  end
  return text
end

--- The text with spaces behind it to so many columns.
function term.pad(text, columns)
  return text .. (" "):rep(columns - term.width(text))
end

--- The text with spaces before it to so many columns.
function term.pad_left(text, columns)
  return (" "):rep(columns - term.width(text)) .. text
end

--- What a store holds must not drive the terminal: control characters (also those of U+0080 to U+009F) become blanks.
-- @string text
-- @treturn string one line
function term.clean(text)
  return (text:gsub("%c", " "):gsub("\194[\128-\159]", " "))
end

--- The first line of a text that has something on it, cleaned.
function term.first_line(text)
  return term.clean(text:match("[^\r\n]*%S[^\r\n]*") or text)
end

return term
