--- Semantic versions (semver.org 2.0.0).
-- @module tasker.semver

local semver = {}

semver.LONGEST = 64

-- Dot-separated identifiers of letters, digits and hyphens; numbers without leading zeros where `numeric`.
local function are_identifiers(text, numeric)
  for identifier in (text .. "."):gmatch("([^.]*)%.") do
    if not identifier:match("^[%w-]+$") or (numeric and identifier:match("^0%d+$")) then
      return false
    end
  end
  return true
end

local function is_core(text)
  local major, minor, patch = text:match("^(%d+)%.(%d+)%.(%d+)$")
  if not major then
    return false
  end
  for _, number in ipairs { major, minor, patch } do
    if number:match("^0%d") or #number > 15 then
      return false
    end
  end
  return true
end

--- Is this a semantic version such as `1.2.3-rc.1+build`?
-- @param text
-- @treturn bool
function semver.is_valid(text)
  if type(text) ~= "string" or #text > semver.LONGEST then
    return false
  end
  local rest, build = text:match("^([^+]*)%+(.*)$")
  if rest and not are_identifiers(build, false) then
    return false
  end
  rest = rest or text
  local core, pre = rest:match("^([^-]*)%-(.*)$")
  if core and not are_identifiers(pre, true) then
    return false
  end
  return is_core(core or rest)
end

return semver
