--- What is known of handlers, for errors that say what would be right.
-- @module tasker.cli.support.known

local args = require "tasker.cli.args"

local known = {}

local function add_once(list, seen, name)
  if not seen[name] then
    seen[name] = true
    list[#list + 1] = name
  end
end

--- Why a handler was not found, in a sentence: what was meant, or what there is.
-- @tab engine
-- @string wanted `shop/ordr`, `order@2`
-- @string where `in the store`
-- @treturn string
function known.no_handler(engine, wanted, where)
  local names, versions, seen = {}, {}, {}
  local base = wanted:gsub("@.*", "")
  for _, definition in ipairs(engine:definitions() or {}) do
    local full = ("%s/%s"):format(definition.namespace, definition.name)
    if full == base or definition.namespace == "default" and definition.name == base then
      add_once(versions, seen, definition.version)
    end
    add_once(names, seen, full)
    if definition.namespace == "default" then
      add_once(names, seen, definition.name)
    end
  end
  if #versions > 0 then
    table.sort(versions)
    return ("no handler '%s' %s; '%s' has version %s"):format(wanted, where, base, table.concat(versions, ", "))
  end
  table.sort(names)
  local meant = args.suggest(base, names)
  if not meant and not base:find("/", 1, true) then
    -- The namespace was forgotten.
    for _, name in ipairs(names) do
      if name:match("/(.*)$") == base then
        meant = name
      end
    end
  end
  return ("no handler '%s' %s%s"):format(wanted, where, meant and ("; did you mean '%s'?"):format(meant) or "")
end

return known
