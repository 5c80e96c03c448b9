--- Regular expressions of ECMA-262 (with its flag u), written for PCRE2.
--
-- What the two read alike is passed on; `\s . \v \u{…} \p{Letter} [] [^]` and their like are spelled out; what only PCRE2 knows
-- (verbs, inline flags, possessive quantifiers, POSIX classes) is refused or taken literally, as ECMA-262 does.
-- @module tasker.schema.pattern

local core = require "tasker.core"

local pattern = {}

-- White space and line ends, and all the others.
local SPACE = [[\x09-\x0d\x20\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]]
local NO_SPACE = [[\x00-\x08\x0e-\x1f\x21-\x9f\xa1-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}]] ..
  [[\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}]]
local DOT = "[^\\n\\r\\x{2028}\\x{2029}]"

-- Long names of general categories; PCRE2 knows the short ones.
local CATEGORIES = {
  Letter = "L", Cased_Letter = "L&", LC = "L&", Uppercase_Letter = "Lu", Lowercase_Letter = "Ll", Titlecase_Letter = "Lt",
  Modifier_Letter = "Lm", Other_Letter = "Lo", Mark = "M", Combining_Mark = "M", Nonspacing_Mark = "Mn",
  Spacing_Mark = "Mc", Enclosing_Mark = "Me", Number = "N", Decimal_Number = "Nd", digit = "Nd", Letter_Number = "Nl",
  Other_Number = "No", Punctuation = "P", punct = "P", Connector_Punctuation = "Pc", Dash_Punctuation = "Pd",
  Open_Punctuation = "Ps", Close_Punctuation = "Pe", Initial_Punctuation = "Pi", Final_Punctuation = "Pf",
  Other_Punctuation = "Po", Symbol = "S", Math_Symbol = "Sm", Currency_Symbol = "Sc", Modifier_Symbol = "Sk",
  Other_Symbol = "So", Separator = "Z", Space_Separator = "Zs", Line_Separator = "Zl", Paragraph_Separator = "Zp",
  Other = "C", Control = "Cc", cntrl = "Cc", Format = "Cf", Surrogate = "Cs", Private_Use = "Co", Unassigned = "Cn",
}

local SIMPLE = { t = "\\t", n = "\\n", r = "\\r", f = "\\f", v = "\\x0b" }

local function refuse(what, at)
  error({ refused = ("no regular expression: %s at character %d"):format(what, at) }, 0)
end

local function literal(code)
  return ("\\x{%x}"):format(code)
end

-- `\u…` whose `u` is at `at`: the code point and where it ends.
local function unicode(text, at)
  local braced, after = text:match("^{(%x+)}()", at + 1)
  if braced then
    local code = #braced <= 8 and tonumber(braced, 16)
    if not code or code > 0x10FFFF then
      refuse("a code point above 10FFFF", at)
    end
    return code, after
  end
  local high = text:match("^%x%x%x%x", at + 1)
  if not high then
    refuse("\\u without four hexadecimal digits", at)
  end
  local code = tonumber(high, 16)
  local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", at + 5)
  if low then
    return 0x10000 + (code - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00, at + 11
  end
  return code, at + 5
end

local function property(text, at)
  local letter = text:sub(at, at)
  local name, after = text:match("^{([%w_=]+)}()", at + 1)
  if not name then
    refuse("\\" .. letter .. " without a property in braces", at)
  end
  local key, value = name:match("^([^=]+)=(.+)$")
  if key and not (key == "gc" or key == "General_Category" or key:match("^sc") or key:match("^Script")) then
    refuse("an unknown property " .. name, at)
  end
  value = value or name
  if value == "ASCII" then
    return letter == "p" and "\\x00-\\x7f" or "\\x80-\\x{10ffff}", after, true
  end
  return ("\\%s{%s}"):format(letter, CATEGORIES[value] or value), after
end

-- An escape whose `\` is at `at`: what PCRE2 reads, where it ends, whether it is the inside of a class.
local function escape(text, at, in_class)
  local c = text:sub(at + 1, at + 1)
  if c == "" then
    refuse("\\ at the end", at)
  elseif SIMPLE[c] then
    return SIMPLE[c], at + 2
  elseif c:match("[dDwW]") then
    return "\\" .. c, at + 2
  elseif c == "s" or c == "S" then
    return c == "s" and SPACE or NO_SPACE, at + 2, true
  elseif c == "p" or c == "P" then
    return property(text, at + 1)
  elseif c == "u" then
    local code, after = unicode(text, at + 1)
    -- Half a pair is no character of a text.
    if code >= 0xD800 and code <= 0xDFFF then
      refuse("half a surrogate pair", at)
    end
    return literal(code), after
  elseif c == "x" then
    local hex = text:match("^%x%x", at + 2) or refuse("\\x without two hexadecimal digits", at)
    return literal(tonumber(hex, 16)), at + 4
  elseif c == "c" then
    local letter = text:match("^%a", at + 2) or refuse("\\c without a letter", at)
    return literal(letter:byte() & 31), at + 3
  elseif c == "0" then
    return "\\x00", at + 2
  elseif c == "b" then
    return in_class and "\\x08" or "\\b", at + 2
  elseif c:match("%w") and in_class then
    refuse("an unknown escape \\" .. c, at)
  elseif c == "B" then
    return "\\B", at + 2
  elseif c == "k" then
    local name, after = text:match("^<([%w_]+)>()", at + 2)
    if not name then
      refuse("\\k without a name", at)
    end
    return ("\\k<%s>"):format(name), after
  elseif c:match("%d") then
    local number, after = text:match("^(%d+)()", at + 1)
    return ("\\g{%s}"):format(number), after
  elseif c:match("%a") then
    refuse("an unknown escape \\" .. c, at)
  elseif c:byte() < 0x80 then
    return "\\" .. c, at + 2
  end
  return "", at + 1
end

-- A class whose `[` is at `at`.
local function class(text, at)
  local negated, from = text:match("^%[(%^?)()", at)
  if text:sub(from, from) == "]" then
    return negated == "" and "(?!)" or "(?s:.)", from + 1
  end
  local out = { "[" .. negated }
  local i = from
  while true do
    local c = text:sub(i, i)
    if c == "" then
      refuse("a class that does not end", at)
    elseif c == "]" then
      out[#out + 1] = "]"
      return table.concat(out), i + 1
    elseif c == "\\" then
      out[#out + 1], i = escape(text, i, true)
    else
      out[#out + 1], i = (c == "[" or c == "^") and "\\" .. c or c, i + 1
    end
  end
end

local GROUPS = { "^%(%?:()", "^%(%?=()", "^%(%?!()", "^%(%?<=()", "^%(%?<!()", "^%(%?<[%a_][%w_]*>()" }

local function group(text, at)
  local after = at + 1
  if text:sub(after, after) == "?" then
    local found
    for _, form in ipairs(GROUPS) do
      found = found or text:match(form, at)
    end
    after = found or refuse("an unknown group (?" .. text:sub(at + 2, at + 2), at)
  elseif text:sub(after, after) == "*" then
    refuse("nothing to repeat", after)
  end
  return text:sub(at, after - 1), after
end

-- What repeats stands at `at`: the quantifier and where it ends, or nil when that is a plain `{`.
local function quantifier(text, at)
  local mark, after = text:match("^([*+?]%??)()", at)
  if not mark then
    mark, after = text:match("^({%d+}%??)()", at)
  end
  if not mark then
    mark, after = text:match("^({%d+,%d*}%??)()", at)
  end
  if mark and text:match("^[*+?]", after) then
    refuse("nothing to repeat", after)
  end
  return mark, after
end

local translators = {
  ["\\"] = function(text, at)
    local written, after, inside = escape(text, at, false)
    return inside and "[" .. written .. "]" or written, after
  end,
  ["["] = class,
  ["("] = group,
  ["."] = function(_, at) return DOT, at + 1 end,
  ["]"] = function(_, at) return "\\]", at + 1 end,
  ["}"] = function(_, at) return "\\}", at + 1 end,
}
for mark in ("*+?{"):gmatch(".") do
  translators[mark] = function(text, at)
    local written, after = quantifier(text, at)
    if written then
      return written, after
    end
    return "\\{", at + 1
  end
end

local function translate(text)
  local out, i = {}, 1
  while i <= #text do
    local plain, after = text:match("^([^\\%[%](.{}*+?]+)()", i)
    if plain then
      out[#out + 1], i = plain, after
    else
      out[#out + 1], i = translators[text:sub(i, i)](text, i)
    end
  end
  return table.concat(out)
end

--- Writes a pattern of ECMA-262 for PCRE2.
-- @string text
-- @treturn string|nil
-- @treturn ?string why it is none
function pattern.translate(text)
  local ok, result = pcall(translate, text)
  if ok then
    return result
  elseif type(result) == "table" then
    return nil, result.refused
  end
  error(result, 0)
end

--- Compiles a pattern of ECMA-262.
-- @string text
-- @return a function of a text: does it match? nil and why not when that takes too long; or nil
-- @treturn ?string why it cannot be compiled
function pattern.compile(text)
  local written, why = pattern.translate(text)
  if not written then
    return nil, why
  end
  local matches, err = core.regex(written)
  if not matches then
    return nil, tostring(err)
  end
  return matches
end

return pattern
