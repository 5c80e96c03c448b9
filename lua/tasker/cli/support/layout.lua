--- Lays the steps of a task out as a tree: what follows alone stands below, what runs side by side branches off, and a
-- step that joins branches stands again where they began.
--
--     a               The parent of a step is its immediate dominator: the last step that every way to it passes. So a
--     |- b            join (c) is no child of one of the branches that it joins. A single child goes on at the same
--     |- b2           depth; among several, the one join goes on and the others are branches.
--     c   <- b, b2
--
-- @module tasker.cli.support.layout

local layout = {}

local MAX_DEPTH = 12      -- deeper branches are drawn without further indentation
local RUN_SHOWN = 3       -- of a long run of alike steps, before "and so many more"
local RUN_LEAST = 9

-- Steps in an order in which dependencies come first, else as they were defined.
local function order(steps, by_name)
  local missing, dependents, ready = {}, {}, {}
  for i, step in ipairs(steps) do
    missing[i] = 0
    for _, name in ipairs(step.depends_on) do
      local dependency = by_name[name]   -- always there: a definition with an unknown dependency is refused
      missing[i] = missing[i] + 1
      dependents[dependency] = dependents[dependency] or {}
      table.insert(dependents[dependency], i)
    end
    if missing[i] == 0 then
      ready[#ready + 1] = i
    end
  end
  local next_ready = 1
  while ready[next_ready] do
    for _, i in ipairs(dependents[ready[next_ready]] or {}) do
      missing[i] = missing[i] - 1
      if missing[i] == 0 then
        ready[#ready + 1] = i
      end
    end
    next_ready = next_ready + 1
  end
  return ready
end

-- children[0] are the roots.
local function dominator_tree(steps, by_name, sequence)
  local parent, depth, children = { [0] = 0 }, { [0] = 0 }, { [0] = {} }
  for _, i in ipairs(sequence) do
    local found
    for _, name in ipairs(steps[i].depends_on) do
      local other = by_name[name]
      found = found or other
      while found ~= other do
        if depth[found] >= depth[other] then
          found = parent[found]
        else
          other = parent[other]
        end
      end
    end
    found = found or 0
    parent[i], depth[i], children[i] = found, depth[found] + 1, {}
    table.insert(children[found], i)
  end
  return children
end

-- The child that goes on at the parent's depth, if there is one, and the branches.
local function split(steps, children)
  if #children <= 1 then
    return children[1], {}
  end
  local joins, at = 0, nil
  for position, i in ipairs(children) do
    if #steps[i].depends_on > 1 then
      joins, at = joins + 1, position
    end
  end
  -- With several joins only one that stands last can go on below the others.
  if joins == 0 or joins > 1 and at ~= #children then
    return nil, children
  end
  local branches = table.move(children, 1, #children, 1, {})
  return table.remove(branches, at), branches
end

local function emit(state, node, line_prefix, below_prefix, depth)
  local signs, steps = state.signs, state.steps
  while node do
    local trunk, branches = split(steps, state.children[node])
    if node ~= 0 then
      state.rows[#state.rows + 1] = {
        step = steps[node], prefix = line_prefix,
        below = below_prefix .. (#branches > 0 and signs.pipe or signs.gap),
      }
      line_prefix = below_prefix
    end
    local deeper = depth < MAX_DEPTH
    for position, branch in ipairs(branches) do
      local ends = position == #branches and not trunk
      emit(state, branch, below_prefix .. (deeper and (ends and signs.last or signs.branch) or ""),
        below_prefix .. (deeper and (ends and signs.gap or signs.pipe) or ""), depth + 1)
    end
    node = trunk
  end
end

--- The rows in which to draw the steps.
-- @tparam {table,...} steps with `name` and `depends_on`; acyclic
-- @tab signs of a terminal
-- @treturn {table,...} `{ step =, prefix = text before its mark, below = text before lines that belong to it }`
function layout.rows(steps, signs)
  local by_name = {}
  for i, step in ipairs(steps) do
    by_name[step.name] = i
  end
  local children = dominator_tree(steps, by_name, order(steps, by_name))
  local state = { steps = steps, signs = signs, children = children, rows = {} }
  emit(state, 0, "", "", 0)
  return state.rows
end

local function alike(a, b)
  return a.step.status == b.step.status and #a.below == #b.below and a.step.error == b.step.error
end

--- Cuts long runs of alike rows down to their first ones.
-- @tparam {table,...} rows
-- @treturn {table,...} rows; in place of those left out one `{ prefix =, below =, omitted = count, step = the first of them }`
function layout.collapse(rows)
  local kept, first = {}, 1
  while first <= #rows do
    local last = first
    while last < #rows and alike(rows[first], rows[last + 1]) do
      last = last + 1
    end
    local count = last - first + 1
    local shown = count >= RUN_LEAST and RUN_SHOWN or count
    table.move(rows, first, first + shown - 1, #kept + 1, kept)
    if shown < count then
      local omitted = rows[first + shown]
      kept[#kept + 1] = { prefix = rows[last].prefix, below = omitted.below, omitted = count - shown, step = omitted.step }
    end
    first = last + 1
  end
  return kept
end

return layout
