--- Base64 (RFC 4648): the standard alphabet, and the one for URLs.
-- @module tasker.base64

local base64 = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local DIGITS = {}
for i = 1, #ALPHABET do
  DIGITS[ALPHABET:byte(i)] = i - 1
end
DIGITS[("-"):byte()], DIGITS[("_"):byte()] = 62, 63

--- @string bytes
-- @treturn string with padding
function base64.encode(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for place = 0, 3 do
      local index = (n >> (18 - 6 * place) & 63) + 1
      out[#out + 1] = (place == 2 and not b or place == 3 and not c) and "=" or ALPHABET:sub(index, index)
    end
  end
  return table.concat(out)
end

--- For URLs and file names (section 5), without padding.
-- @string bytes
-- @treturn string
function base64.encode_url(bytes)
  return (base64.encode(bytes):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

--- Reads both alphabets, with padding or without.
-- @string text
-- @treturn string|nil nil: it is no base64
function base64.decode(text)
  local body, padding = text:match("^([%w+/_-]*)(=?=?)$")
  if not body or #body % 4 == 1 or padding ~= "" and (#body + #padding) % 4 ~= 0 then
    return nil
  end
  local out, bits, count = {}, 0, 0
  for i = 1, #body do
    bits, count = (bits << 6 | DIGITS[body:byte(i)]) & 0xFFFF, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(bits >> count & 0xFF)
    end
  end
  return table.concat(out)
end

return base64
