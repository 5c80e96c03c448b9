--- Questions about the graph of steps.
-- @module tasker.graph

local graph = {}

-- Steps that remain when all whose dependencies are gone have been taken away: those on cycles and behind them.
local function remaining(steps)
  local waits_for, dependents, ready = {}, {}, {}
  for i, step in ipairs(steps) do
    waits_for[i] = #step.deps
    for _, dependency in ipairs(step.deps) do
      dependents[dependency] = dependents[dependency] or {}
      table.insert(dependents[dependency], i)
    end
    if #step.deps == 0 then
      ready[#ready + 1] = i
    end
  end
  while #ready > 0 do
    local done = table.remove(ready)
    waits_for[done] = nil
    for _, dependent in ipairs(dependents[done] or {}) do
      waits_for[dependent] = waits_for[dependent] - 1
      if waits_for[dependent] == 0 then
        ready[#ready + 1] = dependent
      end
    end
  end
  return waits_for
end

--- A cycle, if there is one.
-- @tparam {table,...} steps with `name` and `deps` (indexes)
-- @treturn {string,...}|nil names along the dependencies, the first again at the end
function graph.find_cycle(steps)
  local left = remaining(steps)
  local at = next(left)
  if not at then
    return nil
  end
  for i in pairs(left) do
    at = math.min(at, i)
  end
  -- Each of them depends on another of them: following that leads into a cycle.
  local position, path = {}, {}
  while not position[at] do
    path[#path + 1] = at
    position[at] = #path
    for _, dependency in ipairs(steps[at].deps) do
      if left[dependency] then
        at = dependency
        break
      end
    end
  end
  local names = {}
  for i = position[at], #path do
    names[#names + 1] = steps[path[i]].name
  end
  names[#names + 1] = steps[at].name
  return names
end

-- Entries of all sets kept by one plan: reading everything everywhere must not cost memory without bound.
local MOST_KEPT = 1000000

--- Does a step depend on another, directly or not?
-- @tab plan `steps` (with `deps`), and `ancestors`, `kept`, which this function maintains
-- @int index
-- @int other
-- @treturn bool
function graph.depends(plan, index, other)
  local deps = plan.steps[index].deps
  if #deps <= 8 then
    for i = 1, #deps do
      if deps[i] == other then
        return true
      end
    end
  end
  return graph.ancestors(plan, index)[other] == true
end

--- All steps that a step depends on.
-- @tab plan as in depends
-- @int index
-- @treturn table a set of indexes
function graph.ancestors(plan, index)
  local found = plan.ancestors[index]
  if found then
    return found
  end
  found = {}
  local stack, count = { index }, 0
  while #stack > 0 do
    for _, dependency in ipairs(plan.steps[table.remove(stack)].deps) do
      if not found[dependency] then
        found[dependency] = true
        count = count + 1
        stack[#stack + 1] = dependency
      end
    end
  end
  if plan.kept + count > MOST_KEPT then
    plan.ancestors, plan.kept = {}, 0
  end
  plan.ancestors[index] = found
  plan.kept = plan.kept + count
  return found
end

return graph
