--- Where the vertices of ordered layers stand across them, after Brandes and Köpf: straight long edges, short others.
--
-- Each vertex is aligned with a median neighbour, four times: from above and from below, preferring the left and the right.
-- What is aligned is a block; blocks are put as close as their widths allow. The middle of the four places is taken.
-- @module tasker.diagram.position

local position = {}

-- Segments that cross one between two dummies: a long edge stays straight, the other gives way.
local function find_conflicts(graph, place)
  local conflicts, node_count = {}, graph.node_count
  local function inner_above(v)
    local w = v > node_count and graph.up[v][1]
    return w and w > node_count and w or nil
  end
  for r = 2, #graph.layers do
    local layer, above = graph.layers[r], graph.layers[r - 1]
    local low, scanned = 0, 1
    for i, v in ipairs(layer) do
      local inner = inner_above(v)
      if inner or i == #layer then
        local high = inner and place[inner] or #above + 1
        for k = scanned, i do
          for _, w in ipairs(graph.up[layer[k]]) do
            local at = place[w]
            local is_inner = w > node_count and layer[k] > node_count
            if not is_inner and (at < low or at > high) then
              conflicts[w * 16777216 + layer[k]] = true
            end
          end
        end
        low, scanned = high, i + 1
      end
    end
  end
  return conflicts
end

-- root[v]: the first vertex of the block that v is in.
local function align(layers, neighbours, place, conflicts, mirrored)
  local root = {}
  for _, layer in ipairs(layers) do
    for _, v in ipairs(layer) do
      root[v] = v
    end
  end
  for _, layer in ipairs(layers) do
    local taken = -math.huge
    for _, v in ipairs(layer) do
      local near = neighbours[v]
      local middle = (#near + 1) / 2
      for i = math.floor(middle), math.ceil(middle) do
        local w = near[mirrored and #near + 1 - i or i]
        if w and root[v] == v and place[w] > taken
          and not (conflicts[w * 16777216 + v] or conflicts[v * 16777216 + w]) then
          root[v], taken = root[w], place[w]
        end
      end
    end
  end
  return root
end

-- Right neighbours of each block with the distance to be kept, as {block, distance, block, distance …}, and left ones alike.
local function block_graph(layers, root, distance)
  local right, left, blocks = {}, {}, {}
  for _, layer in ipairs(layers) do
    for _, v in ipairs(layer) do
      if root[v] == v then
        right[v], left[v] = {}, {}
        blocks[#blocks + 1] = v
      end
    end
    for i = 2, #layer do
      local a, b, wanted = root[layer[i - 1]], root[layer[i]], distance(layer[i - 1], layer[i])
      local right_of, left_of = right[a], left[b]
      right_of[#right_of + 1], right_of[#right_of + 2] = b, wanted
      left_of[#left_of + 1], left_of[#left_of + 2] = a, wanted
    end
  end
  return blocks, right, left
end

-- Blocks, those to the left of others first.
local function sort_blocks(blocks, right, left)
  local missing, sorted = {}, {}
  for _, v in ipairs(blocks) do
    missing[v] = #left[v] // 2
    if missing[v] == 0 then
      sorted[#sorted + 1] = v
    end
  end
  local at = 1
  while sorted[at] do
    local right_of = right[sorted[at]]
    for i = 1, #right_of, 2 do
      local b = right_of[i]
      missing[b] = missing[b] - 1
      if missing[b] == 0 then
        sorted[#sorted + 1] = b
      end
    end
    at = at + 1
  end
  return sorted
end

-- As far left as can be, then each block as far right as its right neighbours let it.
local function compact(layers, root, distance)
  local blocks, right, left = block_graph(layers, root, distance)
  local sorted = sort_blocks(blocks, right, left)
  local x = {}
  for _, v in ipairs(sorted) do
    local least, left_of = 0, left[v]
    for i = 1, #left_of, 2 do
      least = math.max(least, x[left_of[i]] + left_of[i + 1])
    end
    x[v] = least
  end
  for at = #sorted, 1, -1 do
    local v = sorted[at]
    local most, right_of = math.huge, right[v]
    for i = 1, #right_of, 2 do
      most = math.min(most, x[right_of[i]] - right_of[i + 1])
    end
    if most < math.huge then
      x[v] = math.max(x[v], most)
    end
  end
  return x
end

local function reversed_list(list)
  local other = {}
  for i = #list, 1, -1 do
    other[#other + 1] = list[i]
  end
  return other
end

local function mirror(layers, place)
  local mirrored_layers, mirrored_place = {}, {}
  for r, layer in ipairs(layers) do
    mirrored_layers[r] = reversed_list(layer)
  end
  for v, at in ipairs(place) do
    mirrored_place[v] = -at
  end
  return mirrored_layers, mirrored_place
end

-- x of each vertex for one of the four preferences, and how far it reaches.
local function place_once(graph, place, conflicts, distance, from_below, mirrored)
  local layers, places, sign = graph.layers, place, 1
  if mirrored then
    layers, places = mirror(layers, place)
    sign = -1
  end
  local neighbours = graph.up
  if from_below then
    layers, neighbours = reversed_list(layers), graph.down
  end
  local root = align(layers, neighbours, places, conflicts, mirrored)
  local block_x = compact(layers, root, distance)
  local x, low, high = {}, math.huge, -math.huge
  for v = 1, graph.count do
    x[v] = sign * block_x[root[v]]
    low, high = math.min(low, x[v]), math.max(high, x[v])
  end
  return { x = x, low = low, high = high, mirrored = mirrored }
end

-- All moved to where the narrowest one is: by its left or its right end, as they prefer.
local function line_up(layouts)
  local narrowest = layouts[1]
  for _, one in ipairs(layouts) do
    if one.high - one.low < narrowest.high - narrowest.low then
      narrowest = one
    end
  end
  for _, one in ipairs(layouts) do
    one.shift = one.mirrored and narrowest.high - one.high or narrowest.low - one.low
  end
end

--- Places the vertices.
-- @tab graph of tasker.diagram.layers, ordered, with `up` and `down` sorted by place
-- @tab place of each vertex in its layer
-- @func distance `distance(v, w)` that the middles of neighbours in a layer must keep
-- @treturn table x of the middle of each vertex
function position.apply(graph, place, distance)
  local conflicts = find_conflicts(graph, place)
  local layouts = {}
  for _, from_below in ipairs { false, true } do
    for _, mirrored in ipairs { false, true } do
      layouts[#layouts + 1] = place_once(graph, place, conflicts, distance, from_below, mirrored)
    end
  end
  line_up(layouts)
  local x, four = {}, {}
  for v = 1, graph.count do
    for i, one in ipairs(layouts) do
      four[i] = one.x[v] + one.shift
    end
    table.sort(four)
    x[v] = (four[2] + four[3]) / 2
  end
  return x
end

return position
