--- The order of vertices within their layers, so that few edges cross: barycenters, downwards and upwards in turn.
-- @module tasker.diagram.order

local order = {}

-- What sorting and counting may cost, in vertices and segments looked at.
local MOST_WORK = 1500000
local MOST_SWEEPS, LEAST_SWEEPS = 24, 2
local PATIENCE = 6      -- sweeps without an improvement

-- Depth first from the first layer on, so that what hangs together stands together.
local function initial(graph)
  local seen, layers = {}, {}
  for r in ipairs(graph.layers) do
    layers[r] = {}
  end
  for _, layer in ipairs(graph.layers) do
    for _, root in ipairs(layer) do
      local stack = { root }
      while #stack > 0 do
        local v = table.remove(stack)
        if not seen[v] then
          seen[v] = true
          table.insert(layers[graph.rank[v]], v)
          local below = graph.down[v]
          for i = #below, 1, -1 do
            stack[#stack + 1] = below[i]
          end
        end
      end
    end
  end
  return layers
end

local function set_positions(layers, position)
  for _, layer in ipairs(layers) do
    for i, v in ipairs(layer) do
      position[v] = i
    end
  end
end

-- Sorts a layer by where the neighbours in the one before are; a vertex without any stays where it is.
local function sort_layer(layer, neighbours, position, scale, later_first)
  local center = {}
  for i, v in ipairs(layer) do
    local sum, near = 0, neighbours[v]
    for _, w in ipairs(near) do
      sum = sum + position[w]
    end
    center[v] = #near > 0 and sum / #near or (i - 0.5) * scale + 0.5
  end
  table.sort(layer, function(a, b)
    local center_a, center_b = center[a], center[b]
    if center_a ~= center_b then
      return center_a < center_b
    elseif later_first then
      return position[a] > position[b]
    end
    return position[a] < position[b]
  end)
  for i, v in ipairs(layer) do
    position[v] = i
  end
end

-- Crossings between a layer and the one below it: inversions of the ends below, counted in a tree of sums.
local function crossings_below(layer, down, position, size)
  local first = 1
  while first < size do
    first = first * 2
  end
  local sums, count, inserted = {}, 0, 0
  for i = 1, 2 * first do
    sums[i] = 0
  end
  for _, v in ipairs(layer) do
    local ends = {}
    for i, w in ipairs(down[v]) do
      ends[i] = position[w]
    end
    table.sort(ends)
    for _, e in ipairs(ends) do
      local at = first + e - 1
      local node = at
      while node > 1 do
        if node % 2 == 0 then
          count = count + sums[node + 1]
        end
        node = node // 2
      end
      while at >= 1 do
        sums[at] = sums[at] + 1
        at = at // 2
      end
      inserted = inserted + 1
    end
  end
  return count
end

--- Edges that cross in an order.
-- @tab graph with `down`
-- @tab layers
-- @tab position of each vertex in its layer
-- @treturn int
function order.crossings(graph, layers, position)
  local count = 0
  for r = 1, #layers - 1 do
    count = count + crossings_below(layers[r], graph.down, position, #layers[r + 1])
  end
  return count
end

local function sweep(graph, layers, position, downwards, later_first)
  local first, last, step, neighbours = 2, #layers, 1, graph.up
  if not downwards then
    first, last, step, neighbours = #layers - 1, 1, -1, graph.down
  end
  for r = first, last, step do
    local before = layers[r - step]
    sort_layer(layers[r], neighbours, position, #before / #layers[r], later_first)
  end
end

local function copy(layers)
  local list = {}
  for r, layer in ipairs(layers) do
    list[r] = table.move(layer, 1, #layer, 1, {})
  end
  return list
end

--- Puts the vertices of each layer in order.
-- @tab graph of tasker.diagram.layers, with `up` and `down` (neighbours of each vertex); its `layers` are replaced
-- @treturn table position of each vertex in its layer
function order.apply(graph)
  local position = {}
  local layers = initial(graph)
  set_positions(layers, position)
  local best, least = copy(layers), order.crossings(graph, layers, position)
  local most = MOST_WORK // (graph.count + 4 * #graph.segments + 1)
  most = math.max(LEAST_SWEEPS, math.min(MOST_SWEEPS, most))
  local idle = 0
  for i = 1, most do
    if least == 0 or idle >= PATIENCE then
      break
    end
    sweep(graph, layers, position, i % 2 == 1, i % 4 >= 2)
    local count = order.crossings(graph, layers, position)
    idle = idle + 1
    if count < least then
      best, least, idle = copy(layers), count, 0
    end
  end
  graph.layers = best
  set_positions(best, position)
  return position
end

return order
