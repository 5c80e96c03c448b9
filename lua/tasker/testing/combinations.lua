--- Which combinations of outcomes are walked: all of them where there are few, else the telling ones first.
-- @module tasker.testing.combinations

local graph = require "tasker.graph"
local outcomes = require "tasker.testing.outcomes"
local random = require "tasker.testing.random"

local combinations = {}

-- Steps of a handler with what may come of them, where that is not one thing only.
local function points_of(handler)
  local points = {}
  for _, step in ipairs(handler.steps) do
    local list = outcomes.of(step)
    if #list > 1 then
      points[#points + 1] = { name = step.name, list = list }
    end
  end
  return points
end

local function total_of(points, most)
  local total = 1
  for _, point in ipairs(points) do
    total = total * #point.list
    if total > most then
      return math.huge
    end
  end
  return total
end

local function key_of(points, combination)
  local parts = {}
  for i, point in ipairs(points) do
    parts[i] = combination[point.name] or point.list[1]
  end
  return table.concat(parts, "\0")
end

-- Keeps what is new.
local function collector(points, most)
  local list, seen = {}, {}
  return list, function(combination)
    local key = key_of(points, combination)
    if not seen[key] and #list < most then
      seen[key] = true
      list[#list + 1] = combination
    end
    return #list < most
  end
end

local function with(combination, name, outcome)
  local copy = {}
  for step, other in pairs(combination) do
    copy[step] = other
  end
  copy[name] = outcome
  return copy
end

-- Calls add with `base` and `count` more points set otherwise than they are meant to go.
local function deviate(points, base, from, count, add)
  if count == 0 then
    return add(base)
  end
  for i = from, #points do
    for k = 2, #points[i].list do
      if not deviate(points, with(base, points[i].name, points[i].list[k]), i + 1, count - 1, add) then
        return false
      end
    end
  end
  return true
end

-- For a step, the cases of the switches before it that lead to it, where they are not the first.
local function towards(handler, index)
  local combination = {}
  local before = graph.ancestors({ steps = handler.steps, ancestors = {}, kept = 0 }, index)
  for at in pairs(before) do
    local switch = handler.steps[at]
    for _, case in ipairs(switch.cases or {}) do
      for _, inside in ipairs(case.indexes) do
        if inside == index or before[inside] then
          combination[switch.name] = combination[switch.name] or "case " .. case.name
        end
      end
    end
  end
  return combination
end

--- Combinations to walk, those with the fewest deviations first.
-- @tab handler
-- @int most how many
-- @treturn {table,...} each outcomes by the step's name
-- @treturn bool are these all there are
function combinations.of(handler, most)
  local points = points_of(handler)
  local total = total_of(points, most)
  local list, add = collector(points, most)
  if total <= most then
    for count = 0, #points do
      deviate(points, {}, 1, count, add)
    end
    return list, true
  end
  add {}
  for index = 1, #handler.steps do
    add(towards(handler, index))
  end
  for count = 1, 2 do
    deviate(points, {}, 1, count, add)
  end
  local source, tries = random.new(1), 0
  while #list < most and tries < 2 * most do
    tries = tries + 1
    local combination = {}
    for _, point in ipairs(points) do
      combination[point.name] = point.list[source(#point.list)]
    end
    add(combination)
  end
  return list, false
end

return combinations
