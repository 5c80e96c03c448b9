--- Is a text well-formed XML? As much of it as drawings use.
local xml = {}

local NAMED = { amp = true, lt = true, gt = true, quot = true, apos = true }

local function check_text(text)
  assert(not text:find "<", "a bare < in a text")
  for name in text:gmatch "&([^;]*;?)" do
    local entity = name:match "^(.-);$"
    assert(entity and (NAMED[entity] or entity:match "^#%d+$"), "no such entity: &" .. name)
  end
  assert(not text:find "[%z\1-\8\11\12\14-\31]", "a control character")
end

local function check_attributes(text)
  local rest = text
  while rest:match "%S" do
    local value, after = rest:match '^%s+[%a][%w:_-]*="([^"<]*)"(.*)$'
    assert(value, "bad attributes: " .. text)
    check_text(value)
    rest = after
  end
end

--- Raises unless the text is well-formed; returns how many elements of each name there are.
function xml.check(text)
  assert(utf8.len(text), "no UTF-8")
  local open, counts, position = {}, {}, 1
  while true do
    local from, to, closing, name, attributes, empty = text:find("<(/?)([%a][%w:_-]*)([^<>]-)(/?)>", position)
    check_text(text:sub(position, (from or #text + 1) - 1))
    if not from then
      break
    elseif closing == "/" then
      assert(table.remove(open) == name, "not open: " .. name)
    else
      counts[name] = (counts[name] or 0) + 1
      check_attributes(attributes)
      if empty == "" then
        open[#open + 1] = name
      end
    end
    position = to + 1
  end
  assert(#open == 0, "not closed: " .. tostring(open[#open]))
  return counts
end

return xml
