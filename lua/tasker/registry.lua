--- The handlers of this Lua state, by namespace/name and version.
-- @module tasker.registry

local core = require "tasker.core"

local registry = {}

-- By "namespace/name", then by version.
local handlers = {}
-- All, in the order they were first defined.
local order = {}
-- Lists that get what is added meanwhile, innermost last; a `detached` one instead of the registry.
local captures = {}

--- Rises with every change: what was derived from the handlers is stale when it differs.
registry.generation = 0

local function key_of(namespace, name)
  return namespace .. "/" .. name
end

--- Adds a handler, or puts it in the place of the one with the same name and version.
-- @tab handler
function registry.add(handler)
  local capture = captures[#captures]
  if capture then
    capture[#capture + 1] = handler
    if capture.detached then
      return
    end
  end
  local key = key_of(handler.namespace, handler.name)
  local versions = handlers[key]
  if not versions then
    versions = {}
    handlers[key] = versions
  end
  local before = versions[handler.version]
  versions[handler.version] = handler
  if before then
    for i, other in ipairs(order) do
      if other == before then
        order[i] = handler
      end
    end
  else
    order[#order + 1] = handler
  end
  registry.generation = registry.generation + 1
end

--- The handler of that name.
-- @string namespace
-- @string name
-- @string[opt] version the highest one without
-- @treturn table|nil
function registry.find(namespace, name, version)
  local versions = handlers[key_of(namespace, name)]
  if not versions then
    return nil
  elseif version then
    return versions[version]
  end
  local best
  for _, candidate in pairs(versions) do
    if not best or core.semver_compare(candidate.version, best.version) > 0 then
      best = candidate
    end
  end
  return best
end

--- @treturn {table,...} all handlers, oldest first; a copy
function registry.all()
  return table.move(order, 1, #order, 1, {})
end

-- Names of queues, of the generation `queues_of`.
local queues, queues_of = {}, -1

--- Queues that anything of this state may lie in.
-- @tab[opt] more a set of names that are wanted besides
-- @treturn {string,...} sorted
function registry.queues(more)
  if queues_of ~= registry.generation then
    queues, queues_of = { default = true }, registry.generation
    for _, handler in ipairs(order) do
      queues[handler.queue or "default"] = true
      for _, step in ipairs(handler.steps) do
        queues[step.queue or "default"] = true
      end
    end
  end
  local list = {}
  for name in pairs(queues) do
    list[#list + 1] = name
  end
  for name in pairs(more or {}) do
    if not queues[name] then
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

--- @treturn bool is there a handler of that name, in whatever version?
function registry.has(namespace, name)
  return handlers[key_of(namespace, name)] ~= nil
end

--- Begins to note what is added; ends with the matching finish_capture.
-- @bool[opt] detached only note it: the registry stays as it is
-- @treturn table the list that fills
function registry.begin_capture(detached)
  local capture = { detached = detached }
  captures[#captures + 1] = capture
  return capture
end

--- Ends the innermost capture.
function registry.finish_capture()
  captures[#captures] = nil
end

return registry
