--- Texts in diagrams: made safe to draw, measured and broken into lines without a font at hand.
-- @module tasker.diagram.measure

local term = require "tasker.cli.support.term"

local measure = {}

-- Advances of U+0020 to U+007E in thousandths of the font size: those of Helvetica and of what stands in for it.
local ADVANCES = {
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
  556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
  667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
  556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}
local OTHER_ADVANCE = 620     -- of a character beyond ASCII, by the columns it takes on a terminal
local WIDE_ADVANCE = 1000
-- Other fonts run wider; a text may be a little narrower than its room but never wider.
local MARGIN = 1.12

local function replace_bad_bytes(text)
  local parts, from = {}, 1
  local length, bad = utf8.len(text, from)
  while not length do
    parts[#parts + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
    length, bad = utf8.len(text, from)
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts)
end

--- A text as one line that every format can hold: no control characters, valid UTF-8, no noncharacters.
-- @param text
-- @treturn string
function measure.clean(text)
  text = tostring(text)
  if not text:find("[\1-\31\127-\255]") and not text:find("\0", 1, true) then
    return text
  end
  text = replace_bad_bytes(text)
  text = text:gsub("\r?\n", " "):gsub("\239\191[\190\191]", "\u{FFFD}")
  return term.clean(text)
end

--- Width of a text in units of the font size.
-- @string text clean
-- @treturn number
function measure.width(text)
  local sum = 0
  if not text:find("[\128-\255]") then
    for i = 1, #text do
      sum = sum + ADVANCES[text:byte(i) - 31]
    end
    return sum * MARGIN / 1000
  end
  for _, code in utf8.codes(text) do
    local columns = code >= 127 and term.width(utf8.char(code))
    sum = sum + (not columns and ADVANCES[code - 31] or columns == 2 and WIDE_ADVANCE or columns == 1 and OTHER_ADVANCE or 0)
  end
  return sum * MARGIN / 1000
end

--- A text cut to so many characters, with an ellipsis where something was cut.
-- @string text clean
-- @int count
-- @string[opt] ellipsis
-- @treturn string
function measure.cut(text, count, ellipsis)
  if #text <= count or utf8.len(text) <= count then
    return text
  end
  ellipsis = ellipsis or "…"
  return text:sub(1, utf8.offset(text, math.max(count - utf8.len(ellipsis), 0) + 1) - 1) .. ellipsis
end

-- The last place up to `count` characters after which a text may be broken, in bytes.
local function break_position(text, count)
  local limit = utf8.offset(text, count + 1) - 1
  local position = limit
  while position > limit // 2 do
    if text:find("^[ _./:,-]", position) then
      return position
    end
    position = position - 1
  end
  return limit
end

--- Breaks a text into lines of at most so many characters, where it can behind one of ` _./:,-`.
-- @string text clean
-- @int count
-- @treturn {string,...} at least one
function measure.wrap(text, count)
  local lines = {}
  while utf8.len(text) > count do
    local position = break_position(text, count)
    lines[#lines + 1] = text:sub(1, position):match("^(.-) *$")
    text = text:sub(position + 1)
  end
  lines[#lines + 1] = text
  return lines
end

return measure
