--- Takes the elements out of a JSON array's text without decoding them, so that numbers and key order stay as they are.
-- @module tasker.cli.support.json_lines

local json_lines = {}

-- The position after the string that begins at `position` (a quote).
local function skip_string(text, position)
  position = position + 1
  while true do
    local at = text:find('["\\]', position)
    if text:byte(at) == 34 then
      return at + 1
    end
    position = at + 2
  end
end

--- Iterates over the objects of an array.
-- @string text valid JSON: an array of objects that begins with its bracket
-- @treturn function gives each object's text
function json_lines.objects(text)
  local position, depth = 2, 0
  return function()
    local start
    while true do
      local at = text:find('["{}%[%]]', position)
      if not at then
        return nil
      end
      local byte = text:byte(at)
      if byte == 34 then
        position = skip_string(text, at)
      else
        position = at + 1
        if byte == 123 or byte == 91 then
          if depth == 0 then
            start = at
          end
          depth = depth + 1
        else
          depth = depth - 1
          if depth < 0 then
            return nil
          elseif depth == 0 then
            return text:sub(start, at)
          end
        end
      end
    end
  end
end

return json_lines
