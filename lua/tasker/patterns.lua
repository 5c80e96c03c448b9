--- Patterns of names, as in `step.*`: `*` stands for any part of a name.
-- @module tasker.patterns

local check = require "tasker.check"
local suggest = require "tasker.suggest"

local patterns = {}

local function matcher(pattern)
  local escaped = pattern:gsub("%p", "%%%0"):gsub("%%%*", ".*")
  return "^" .. escaped .. "$"
end

local function add(found, pattern, names)
  local wanted, some = matcher(pattern), false
  for _, name in ipairs(names) do
    if name:find(wanted) then
      found[name], some = true, true
    end
  end
  return some
end

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name] = true
  end
  return set
end

--- The names that a pattern, or one of a list of patterns, means.
-- @tparam string|{string,...} given
-- @tparam {string,...} names all there are
-- @treturn {string,...}|nil those meant, in the order of `names`
-- @treturn string|nil what is wrong: "must be …" or "'x' means nothing …"
function patterns.expand(given, names)
  local list = type(given) == "string" and { given } or given
  local wanted = type(list) ~= "table" and "a pattern or a list of patterns" or check.not_list_of()(list)
    or (#list == 0 and "a list of at least one pattern") or nil
  if wanted then
    return nil, ("must be %s, not %s"):format(wanted, check.show(given))
  end
  local found = {}
  for _, pattern in ipairs(list) do
    if not add(found, pattern, names) then
      return nil, ("%s is none of %s%s"):format(check.show(pattern), table.concat(names, " "),
        suggest.hint(pattern, set_of(names)))
    end
  end
  local meant = {}
  for _, name in ipairs(names) do
    if found[name] then
      meant[#meant + 1] = name
    end
  end
  return meant
end

return patterns
