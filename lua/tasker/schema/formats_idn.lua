--- Host names: RFC 1123, and internationalised ones (IDNA 2008: RFC 5890 to 5893) by the properties that matter.
--
-- Which code points are allowed comes from their general category, less what has a compatibility form, plus the exceptions
-- of RFC 5892. Directions and joining types are those of the scripts.
-- @module tasker.schema.formats_idn

local core = require "tasker.core"

local formats_idn = {}

-- ---- Punycode (RFC 3492) ----

local BASE, T_MIN, T_MAX, SKEW, DAMP, BIAS, FIRST = 36, 1, 26, 38, 700, 72, 128

local function adapt(delta, count, is_first)
  delta = (is_first and delta // DAMP or delta // 2)
  delta = delta + delta // count
  local k = 0
  while delta > (BASE - T_MIN) * T_MAX // 2 do
    delta, k = delta // (BASE - T_MIN), k + BASE
  end
  return k + (BASE - T_MIN + 1) * delta // (delta + SKEW)
end

local function threshold(k, bias)
  return math.max(T_MIN, math.min(T_MAX, k - bias))
end

local function digit_of(byte)
  if not byte then
    return nil
  elseif byte >= 48 and byte <= 57 then
    return byte - 22
  end
  byte = byte | 32
  return byte >= 97 and byte <= 122 and byte - 97 or nil
end

-- Code points of what stands behind "xn--", or nil.
local function decode(text)
  local plain, tail = text:match("^(.*)%-(.*)$")
  local codes = { (plain or ""):byte(1, -1) }
  tail = tail or text
  local n, i, bias, at = FIRST, 0, BIAS, 1
  while at <= #tail do
    local before, weight, k = i, 1, BASE
    while true do
      local digit = digit_of(tail:byte(at))
      if not digit or i > 0x7FFFFFFF then
        return nil
      end
      at, i = at + 1, i + digit * weight
      local t = threshold(k, bias)
      if digit < t then
        break
      end
      weight, k = weight * (BASE - t), k + BASE
    end
    local count = #codes + 1
    bias = adapt(i - before, count, before == 0)
    n, i = n + i // count, i % count
    if n > 0x10FFFF or (n >= 0xD800 and n <= 0xDFFF) then
      return nil
    end
    table.insert(codes, i + 1, n)
    i = i + 1
  end
  return codes
end

local function letter(digit)
  return string.char(digit < 26 and digit + 97 or digit + 22)
end

local function append_number(out, q, bias)
  local k = BASE
  while true do
    local t = threshold(k, bias)
    if q < t then
      out[#out + 1] = letter(q)
      return
    end
    out[#out + 1] = letter(t + (q - t) % (BASE - t))
    q, k = (q - t) // (BASE - t), k + BASE
  end
end

-- What stands behind "xn--" for code points.
local function encode(codes)
  local out = {}
  for _, code in ipairs(codes) do
    if code < FIRST then
      out[#out + 1] = string.char(code)
    end
  end
  local basic, done = #out, #out
  if basic > 0 then
    out[#out + 1] = "-"
  end
  local n, delta, bias = FIRST, 0, BIAS
  while done < #codes do
    local least = math.huge
    for _, code in ipairs(codes) do
      least = code >= n and code < least and code or least
    end
    delta, n = delta + (least - n) * (done + 1), least
    for _, code in ipairs(codes) do
      if code < n then
        delta = delta + 1
      elseif code == n then
        append_number(out, delta, bias)
        bias = adapt(delta, done + 1, done == basic)
        delta, done = 0, done + 1
      end
    end
    delta, n = delta + 1, n + 1
  end
  return table.concat(out)
end

-- ---- Code points ----

local function set_of(...)
  local set = {}
  for _, code in ipairs { ... } do
    set[code] = true
  end
  return set
end

local PVALID = set_of(0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007)
local DISALLOWED = set_of(0x640, 0x7FA, 0x302E, 0x302F, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303B)
local VIRAMAS = set_of(0x94D, 0x9CD, 0xA4D, 0xACD, 0xB4D, 0xBCD, 0xC4D, 0xCCD, 0xD3B, 0xD3C, 0xD4D, 0xDCA, 0xE3A, 0xEBA, 0xF84,
  0x1039, 0x103A, 0x1714, 0x1734, 0x17D2, 0x1A60, 0x1B44, 0x1BAA, 0x1BAB, 0x1BF2, 0x1BF3, 0x2D7F, 0xA806, 0xA8C4, 0xA953,
  0xA9C0, 0xAAF6, 0xABED, 0x10A3F, 0x11046, 0x1107F, 0x110B9, 0x11133, 0x11134, 0x111C0, 0x11235, 0x112EA, 0x1134D)

-- What is unstable under normalisation and case folding, or an old jamo: first, last.
local UNSTABLE = { { 0xAA, 0xAA }, { 0xBA, 0xBA }, { 0x149, 0x149 }, { 0x17F, 0x17F }, { 0x1C4, 0x1CC }, { 0x1F1, 0x1F3 },
  { 0x2B0, 0x2B8 }, { 0x2E0, 0x2E4 }, { 0x340, 0x345 }, { 0x34F, 0x34F }, { 0x37A, 0x37A }, { 0x3D0, 0x3D6 }, { 0x3F0, 0x3F5 },
  { 0x675, 0x678 }, { 0x958, 0x95F }, { 0xE33, 0xE33 }, { 0xEB3, 0xEB3 }, { 0x1100, 0x11FF }, { 0x1D2C, 0x1D6A },
  { 0x1E9A, 0x1E9B }, { 0x2071, 0x209C }, { 0x2100, 0x214F }, { 0x3131, 0x318E }, { 0x3200, 0x33FF }, { 0xA960, 0xA97C },
  { 0xD7B0, 0xD7FB }, { 0xF900, 0xFA0D }, { 0xFA30, 0xFAFF }, { 0xFB00, 0xFDFF }, { 0xFE70, 0xFEFC }, { 0xFF00, 0xFFEF },
  { 0x1D400, 0x1D7FF }, { 0x1EE00, 0x1EEFF }, { 0x2F800, 0x2FA1D } }

local classes

-- Functions of one character, compiled when first needed.
local function class(name)
  if not classes then
    classes = {}
    for key, written in pairs { allowed = "^[\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}-]$", mark = "^\\p{M}$", greek = "^\\p{Greek}$",
      hebrew = "^\\p{Hebrew}$", japanese = "^[\\p{Hiragana}\\p{Katakana}\\p{Han}]$",
      joining = "^[\\p{Arabic}\\p{Syriac}\\p{Nko}\\p{Mongolian}]$" } do
      classes[key] = core.regex(written)
    end
  end
  return classes[name]
end

local function is_in(code, name)
  return code ~= nil and class(name)(utf8.char(code)) == true
end

local function is_unstable(code)
  for _, range in ipairs(UNSTABLE) do
    if code >= range[1] and code <= range[2] then
      return true
    end
  end
  return false
end

local function has_any(codes, test)
  for _, code in ipairs(codes) do
    if test(code) then
      return true
    end
  end
  return false
end

local function is_arabic_digit(code) return code >= 0x660 and code <= 0x669 end
local function is_extended_digit(code) return code >= 0x6F0 and code <= 0x6F9 end

-- Code points that are allowed in some places only (RFC 5892, appendix A).
local contextual = {
  [0x200C] = function(codes, i)
    return VIRAMAS[codes[i - 1]] or (is_in(codes[i - 1], "joining") and is_in(codes[i + 1], "joining"))
  end,
  [0x200D] = function(codes, i) return VIRAMAS[codes[i - 1]] end,
  [0xB7] = function(codes, i) return codes[i - 1] == 0x6C and codes[i + 1] == 0x6C end,
  [0x375] = function(codes, i) return is_in(codes[i + 1], "greek") end,
  [0x5F3] = function(codes, i) return is_in(codes[i - 1], "hebrew") end,
  [0x5F4] = function(codes, i) return is_in(codes[i - 1], "hebrew") end,
  [0x30FB] = function(codes) return has_any(codes, function(code) return code ~= 0x30FB and is_in(code, "japanese") end) end,
}

local function is_allowed(codes, i)
  local code = codes[i]
  local context = contextual[code]
  if context then
    return context(codes, i)
  elseif is_arabic_digit(code) then
    return not has_any(codes, is_extended_digit)
  elseif is_extended_digit(code) then
    return not has_any(codes, is_arabic_digit)
  end
  return PVALID[code] or (not DISALLOWED[code] and is_in(code, "allowed") and not is_unstable(code))
end

-- ---- Directions (RFC 5893) ----

local function direction(code)
  if (code >= 48 and code <= 57) or is_extended_digit(code) then
    return "EN"
  elseif is_arabic_digit(code) then
    return "AN"
  elseif code == 45 or code == 0xB7 or code == 0x30FB or code == 0x200C or code == 0x200D then
    return "ON"
  elseif is_in(code, "mark") then
    return "NSM"
  elseif (code >= 0x590 and code <= 0x8FF) or (code >= 0xFB1D and code <= 0xFDFF) or (code >= 0xFE70 and code <= 0xFEFC) or
    (code >= 0x10800 and code <= 0x10FFF) or (code >= 0x1E800 and code <= 0x1EFFF) then
    return "R"
  end
  return "L"
end

local function is_right(code)
  local found = direction(code)
  return found == "R" or found == "AN"
end

-- The rule for a label of a name in which something is written from right to left.
local function follows_bidi(codes)
  local first, seen, last = direction(codes[1]), {}, nil
  for _, code in ipairs(codes) do
    local found = direction(code)
    seen[found] = true
    last = found ~= "NSM" and found or last
  end
  if first == "R" then
    return not seen.L and last ~= "ON" and not (seen.EN and seen.AN)
  end
  return first == "L" and not seen.R and not seen.AN and last ~= "ON"
end

-- ---- Labels ----

local function codes_of(text)
  local codes = {}
  for _, code in utf8.codes(text) do
    codes[#codes + 1] = code
  end
  return codes
end

local function is_unicode_label(codes)
  if codes[1] == 45 or codes[#codes] == 45 or (codes[3] == 45 and codes[4] == 45) or is_in(codes[1], "mark") then
    return false
  end
  for i = 1, #codes do
    if not is_allowed(codes, i) then
      return false
    end
  end
  return true
end

-- Code points of a label, or nil when it is none.
local function read_label(text, international)
  if text == "" then
    return nil
  elseif not text:find("[\x80-\xff]") then
    if #text > 63 or not text:match("^[%w-]+$") or text:match("^%-") or text:match("%-$") then
      return nil
    end
    local tail = text:lower():match("^xn%-%-(.*)$")
    if not tail then
      return (text:sub(3, 4) ~= "--" or not international) and { text:lower():byte(1, -1) } or nil
    end
    local codes = decode(tail)
    return codes and has_any(codes, function(code) return code >= FIRST end) and encode(codes) == tail and
      is_unicode_label(codes) and codes or nil
  end
  local codes = international and codes_of(text)
  if not codes then
    return nil
  end
  for i, code in ipairs(codes) do
    codes[i] = code >= 65 and code <= 90 and code + 32 or code
  end
  return is_unicode_label(codes) and #encode(codes) <= 59 and codes or nil
end

--- Is a text a host name?
-- @string text
-- @bool international may it have characters beyond ASCII?
-- @treturn bool
function formats_idn.is_hostname(text, international)
  if not utf8.len(text) then
    return false
  elseif international then
    text = text:gsub("\u{3002}", "."):gsub("\u{FF0E}", "."):gsub("\u{FF61}", ".")
  end
  local labels, length, is_bidi = {}, -1, false
  for label in (text .. "."):gmatch("([^.]*)%.") do
    local codes = read_label(label, international)
    if not codes then
      return false
    end
    labels[#labels + 1] = codes
    length = length + 1 + (has_any(codes, function(code) return code >= FIRST end) and #encode(codes) + 4 or #codes)
    is_bidi = is_bidi or has_any(codes, is_right)
  end
  for _, codes in ipairs(labels) do
    if is_bidi and not follows_bidi(codes) then
      return false
    end
  end
  return length <= 253
end

return formats_idn
