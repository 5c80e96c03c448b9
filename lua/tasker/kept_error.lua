--- What is kept of a failed attempt, as the store takes it: valid UTF-8, of a bounded size.
-- @module tasker.kept_error

local core = require "tasker.core"
local redaction = require "tasker.redaction"

local kept_error = {}

local json_encode, redact = core.json.encode, redaction.redact

-- Of the whole: its parts are cut so that it fits.
local LONGEST_ERROR = core.bounds.error

--- Bytes that are no UTF-8 become U+FFFD; longer texts are cut.
-- @string text
-- @int longest in bytes
-- @treturn string
function kept_error.clean(text, longest)
  if #text > longest then
    text = text:sub(1, longest) .. " (cut)"
  end
  local parts, from = {}, 1
  while true do
    local _, bad = utf8.len(text, from)
    if not bad then
      break
    end
    parts[#parts + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
  if from == 1 then
    return text
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts)
end

-- What is kept of details: all of it, or its fields as texts where they cannot be JSON.
local function clean_details(details)
  if details == nil or json_encode(details) then
    return details
  end
  local kept = {}
  for key, value in pairs(details) do
    if type(key) == "string" then
      kept[kept_error.clean(key, 256)] = json_encode(value) and value or kept_error.clean(tostring(value), 1024)
    end
  end
  return kept
end

--- The JSON of what is kept of a failure, in at most 64 KiB.
-- @tab kept as of errors.kept; its texts are made ready in place
-- @treturn string
function kept_error.encode(kept)
  local longest = LONGEST_ERROR
  local message, traceback, details = kept.message, kept.traceback, clean_details(kept.details)
  while true do
    kept.message = kept_error.clean(message, longest)
    kept.traceback = traceback and kept_error.clean(traceback, longest)
    kept.details = details
    kept.code = kept_error.clean(kept.code, 128)
    local text = json_encode(kept)
    text = text and redact(text)
    if text and #text <= LONGEST_ERROR then
      return text
    end
    -- Details stay beside a text that is cut, unless most of it is theirs; escapes may have made it longer than its parts.
    local said = details and json_encode(details) or ""
    if #said > LONGEST_ERROR // 2 or details and said == "" then
      details = nil
    else
      longest = longest // 2
    end
  end
end

return kept_error
