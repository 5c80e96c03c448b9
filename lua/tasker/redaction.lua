--- Secrets that were read or set in this Lua state, blotted out of texts that are kept: errors and logs.
-- @module tasker.redaction

local redaction = {}

-- Shorter ones would blot out what is no secret.
local SHORTEST = 6
local MOST = 1000

-- What to look for, and what stands for it; the longest first.
local forms = {}
local known = {}

local function add_form(text, name, value)
  if #text >= SHORTEST and not known[text] then
    known[text] = true
    forms[#forms + 1] = { text, ("[secret %s]"):format(name), of = value }
  end
end

--- Remembers a secret, as it is and as it stands in JSON, base64, hexadecimal and URLs.
-- @string name
-- @string value
function redaction.add(name, value)
  if known[value] or #forms > MOST then
    return
  end
  local encoded = require("tasker.core").json.encode(value)
  local base64 = require("tasker.base64").encode(value):gsub("=+$", "")
  local hex = value:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  add_form(value, name, value)
  add_form(encoded and encoded:sub(2, -2) or value, name, value)
  -- The last character of base64 may depend on what follows.
  add_form(base64:sub(1, #base64 - (#value % 3 == 0 and 0 or 1)), name, value)
  add_form(hex, name, value)
  add_form(hex:upper(), name, value)
  add_form((value:gsub("[^%w_.~-]", function(c) return ("%%%02X"):format(c:byte()) end)), name, value)
  table.sort(forms, function(a, b) return #a[1] > #b[1] end)
end

--- Forgets a secret that is none any more.
-- @string value
function redaction.forget(value)
  local kept = {}
  for _, form in ipairs(forms) do
    if form.of ~= value then
      kept[#kept + 1] = form
    else
      known[form[1]] = nil
    end
  end
  forms = kept
end

--- The text without secrets.
-- @string text
-- @treturn string
function redaction.redact(text)
  for i = 1, #forms do
    local form = forms[i]
    local from, to = text:find(form[1], 1, true)
    while from do
      text = text:sub(1, from - 1) .. form[2] .. text:sub(to + 1)
      from, to = text:find(form[1], from + #form[2], true)
    end
  end
  return text
end

return redaction
