--- Which ways through a machine are walked: for each arrow between its states the shortest way there, over it, and on to an end.
--
-- A walk is a combination as tasker.testing.walker plays it, with `choices[state]`, a list of one for each visit; visits beyond
-- it go on towards an end. A choice is `{outcome, to, after}`: `to` is the next step, by name; `after`: the state's limit comes
-- first.
-- @module tasker.testing.machine_walks

local outcomes = require "tasker.testing.outcomes"

local machine_walks = {}

-- ---- The arrows ----

local function limited(step)
  return step.timeout ~= nil and step.timeout ~= false or step.state.after ~= nil
end

-- Of a state with code: each candidate of each outcome.
local function choices_of_code(step)
  local names, list = {}, {}
  for outcome in pairs(step.state.transitions) do
    names[#names + 1] = outcome
  end
  table.sort(names)
  for _, outcome in ipairs(names) do
    for _, transition in ipairs(step.state.transitions[outcome]) do
      list[#list + 1] = { outcome = outcome, to = transition.to }
    end
  end
  return list
end

local NEVER = { signal = "no signal", approval = "no decision" }

-- Of a state that waits: each outcome it has a case for, and that nothing ever comes.
local function choices_of_wait(step)
  local list = {}
  for _, case in ipairs(step.state.cases) do
    list[#list + 1] = { outcome = case.name, to = case.to[1] }
  end
  if NEVER[step.kind] and not limited(step) then
    list[#list + 1] = { outcome = NEVER[step.kind] }
  end
  return list
end

local CHOSEN = { signal = true, approval = true, child = true }

-- Arrows of a step: choices, or for what nobody chooses the steps that follow.
local function arrows_of(handler, step)
  local choices, follow = {}, {}
  if step.state.transitions then
    choices = choices_of_code(step)
  elseif CHOSEN[step.kind] then
    choices = choices_of_wait(step)
  else
    for _, case in ipairs(step.state.cases) do
      table.move(case.to, 1, #case.to, #follow + 1, follow)
    end
  end
  if step.state.after and (step.state.transitions or CHOSEN[step.kind]) then
    local sleep = handler.steps[handler.index_of[step.state.after]]
    choices[#choices + 1] = { outcome = "after", to = sleep.state.cases[1].to[1], after = sleep.sleep }
  elseif step.state.after then
    follow[#follow + 1] = handler.steps[handler.index_of[step.state.after]].state.cases[1].to[1]
  end
  return choices, follow
end

local function graph_of(handler)
  local graph = {}
  for _, step in ipairs(handler.steps) do
    local choices, follow = arrows_of(handler, step)
    graph[step.name] = { name = step.name, step = step, choices = choices, follow = follow }
  end
  return graph
end

-- ---- Ways ----

-- The shortest way from the first state to each: per state its `from`, and the choice that was made there.
local function set_ways(graph, first)
  local queue = { first }
  graph[first].reached = true
  for _, name in ipairs(queue) do   -- grows meanwhile
    local node = graph[name]
    local function reach(to, choice)
      if to and not graph[to].reached then
        graph[to].reached, graph[to].from, graph[to].by = true, node, choice
        queue[#queue + 1] = to
      end
    end
    for _, choice in ipairs(node.choices) do
      reach(choice.to, choice)
    end
    for _, to in ipairs(node.follow) do
      reach(to)
    end
  end
end

-- How far each state is from an end, and the choice there that leads nearer to it.
local function set_ends(handler, graph)
  local into, queue = {}, {}
  for _, node in pairs(graph) do
    for _, choice in ipairs(node.choices) do
      if choice.to then
        into[choice.to] = into[choice.to] or {}
        table.insert(into[choice.to], { node = node, choice = choice })
      end
    end
    for _, to in ipairs(node.follow) do
      into[to] = into[to] or {}
      table.insert(into[to], { node = node })
    end
  end
  for _, step in ipairs(handler.steps) do
    if step.state.final then
      graph[step.name].distance = 0
      queue[#queue + 1] = step.name
    end
  end
  for _, name in ipairs(queue) do   -- grows meanwhile
    local arrows = into[name] or {}
    table.sort(arrows, function(a, b) return handler.index_of[a.node.name] < handler.index_of[b.node.name] end)
    for _, arrow in ipairs(arrows) do
      if not arrow.node.distance then
        arrow.node.distance, arrow.node.onward = graph[name].distance + 1, arrow.choice
        queue[#queue + 1] = arrow.node.name
      end
    end
  end
end

local function way_to(node)
  local way = {}
  while node.from do
    table.insert(way, 1, { name = node.from.name, choice = node.by })
    node = node.from
  end
  return way
end

local function walk_along(way, onward)
  local walk = { choices = {}, path = {}, onward = onward }
  for _, step in ipairs(way) do
    if step.choice then
      walk.choices[step.name] = walk.choices[step.name] or {}
      table.insert(walk.choices[step.name], step.choice)
      walk.path[#walk.path + 1] = step.choice.to and ("%s: %s"):format(step.name, step.choice.outcome)
    end
  end
  return walk
end

--- The walks through a machine.
-- @tab handler
-- @treturn {table,...} walks `{choices, path, onward}`
-- @treturn {[string]=table} states from which no end can be reached: `{path}`, and `first` where a way comes to one of them first
function machine_walks.of(handler)
  local graph = graph_of(handler)
  set_ways(graph, handler.machine.initial)
  set_ends(handler, graph)
  local onward, walks, endless = {}, {}, {}
  for name, node in pairs(graph) do
    onward[name] = node.onward
  end
  walks[1] = graph[handler.machine.initial].distance and { choices = {}, path = {}, onward = onward }
  for _, step in ipairs(handler.steps) do
    local node = graph[step.name]
    if node.reached and not node.distance then
      endless[step.name] = { path = walk_along(way_to(node), onward).path, first = not node.from or node.from.distance ~= nil }
    elseif node.reached then
      for _, choice in ipairs(node.choices) do
        if not choice.to or graph[choice.to].distance then
          local way = way_to(node)
          way[#way + 1] = { name = step.name, choice = choice }
          walks[#walks + 1] = walk_along(way, onward)
        end
      end
    end
  end
  return walks, endless
end

--- What is laid down for a visit.
-- @tab walk
-- @string visit `draft`, `draft[2]`
-- @string state
-- @treturn table|nil a choice; nil where nobody chooses
function machine_walks.choice(walk, visit, state)
  local number = math.tointeger(visit ~= state and visit:match "%[(%d+)%]$" or 1)
  local list = walk.choices[state]
  return list and list[number] or walk.onward[state]
end

--- What a choice is for the walker that serves what waits.
-- @tab|nil choice
-- @tab step
-- @treturn string
function machine_walks.outcome(choice, step)
  if not choice then
    return outcomes.of(step)[1]
  elseif step.kind == "child" and choice.outcome ~= "complete" and choice.outcome ~= "resolved_manually" then
    return "fail"
  end
  return step.kind == "signal" and choice.outcome == step.signal and "signal" or choice.outcome
end

return machine_walks
