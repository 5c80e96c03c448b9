--- What names a handler: `name`, `namespace/name`, either with `@version`, or a handler itself.
-- @module tasker.reference

local check = require "tasker.check"
local errors = require "tasker.errors"
local semver = require "tasker.semver"

local reference = {}

--- The parts of a reference.
-- @param given a string or a handler
-- @treturn string|nil namespace
-- @return name, or the err
-- @treturn string|nil version
function reference.parse(given)
  if type(given) == "table" then
    return given.namespace, given.name, given.version
  end
  local path, version = given:match("^([^@]*)@(.*)$")
  path = path or given
  local namespace, name = path:match("^([^/]*)/(.*)$")
  if not namespace then
    namespace, name = "default", path
  end
  if check.not_name(namespace) or check.not_name(name) then
    return errors.invalid("%s is no handler: it must be name or namespace/name, either with @version", check.show(given))
  elseif version and not semver.is_valid(version) then
    return errors.invalid("%s is no handler: %s is no semantic version", check.show(given), check.show(version))
  end
  return namespace, name, version
end

return reference
