--- What a diagram shows of a machine: its states, and the arrows between them with the outcomes that lead along them. The small
-- steps that machines are made of besides (`review.after`, `review.on.reject`) are arrows, not nodes.
-- @module tasker.diagram.states

local format = require "tasker.cli.support.format"

local states = {}

--- @tparam {table,...} steps as a definition has them
-- @treturn bool
function states.are(steps)
  for _, step in ipairs(steps) do
    if type(step.state) == "table" then
      return true
    end
  end
  return false
end

-- Steps that are an arrow's, by name: the sleep beside a state, and what decides for a state that has no code.
local function helpers_of(steps)
  local helpers = {}
  for _, step in ipairs(steps) do
    local state = step.state or {}
    if state.after then
      helpers[state.after] = true
    end
    if state.decides then
      helpers[step.name] = true
    end
  end
  return helpers
end

local function after_text(step)
  return type(step.sleep) == "number" and "after " .. format.age(step.sleep) or "after"
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function is_in(list, name)
  for _, one in ipairs(list or {}) do
    if one == name then
      return true
    end
  end
  return false
end

-- Arrows of one step: from a state, along what its outcomes are called, over helpers to the next states.
local function follow(arrows, from, step, by_name, helpers, label, helper)
  local state = step.state or {}
  for _, outcome in ipairs(sorted_keys(state.on)) do
    local guarded = state.guarded and state.guarded[outcome]
    for _, target in ipairs(state.on[outcome]) do
      local text = (label or outcome) .. (is_in(guarded, target) and " [guard]" or "")
      if helpers[target] and by_name[target] then
        follow(arrows, from, by_name[target], by_name, helpers, label or outcome, target)
      else
        arrows[#arrows + 1] = { from = from, to = target, label = text, helper = helper }
      end
    end
  end
  if state.after and by_name[state.after] then
    local sleep = by_name[state.after]
    follow(arrows, from, sleep, by_name, helpers, after_text(sleep), state.after)
  end
end

--- The arrows between the states.
-- @tparam {table,...} steps as a definition has them
-- @treturn {table,...} `{from, to, label, helper}` by names; `helper`: the step that is complete when this arrow was taken
function states.arrows(steps)
  local by_name, helpers, arrows = {}, helpers_of(steps), {}
  for _, step in ipairs(steps) do
    by_name[step.name] = step
  end
  for _, step in ipairs(steps) do
    if step.state and not helpers[step.name] then
      follow(arrows, step.name, step, by_name, helpers)
    end
  end
  return arrows
end

-- Visits by state, in the order of the visits.
local function visits_of(records, names)
  local visits = {}
  for _, record in ipairs(records) do
    local name = names[record.name] and record.name or record.name:match("^(.*)%[%d+%]$")
    visits[name] = visits[name] or {}
    table.insert(visits[name], record)
  end
  return visits
end

--- What is drawn of a machine: its states alone, and of a task how often each was visited and what became of the last visit.
-- @tparam {table,...} steps as a definition has them
-- @tparam {table,...}|nil records of a task's steps, in their order
-- @treturn {table,...} states; those of a task have `record` and `visits`
-- @treturn {[string]=string} status by the name of each helper of a task: "complete" where it was, ever
function states.drawn(steps, records)
  local helpers, names, drawn, ended = helpers_of(steps), {}, {}, {}
  for _, step in ipairs(steps) do
    names[step.name] = true
  end
  local visits = records and visits_of(records, names)
  for i, step in ipairs(steps) do
    local list = visits and visits[step.name]
    if not helpers[step.name] then
      drawn[#drawn + 1] = setmetatable({ record = list and list[#list], initial = i == 1,
        visits = list and list[1].status ~= "skipped" and list[1].status ~= "pending" and #list or 0 }, { __index = step })
    elseif list then
      for _, record in ipairs(list) do
        ended[step.name] = record.status == "complete" and "complete" or ended[step.name] or record.status
      end
    end
  end
  return drawn, ended
end

--- Was an arrow taken, as far as that is known: an arrow between states that were visited is, unless a step of its own says no.
-- @tab arrow
-- @tab from node, to node, with `visits`
-- @tparam {[string]=string} ended as states.drawn gives it
-- @treturn bool
function states.was_taken(arrow, from, to, ended)
  local needed = arrow.from == arrow.to and 2 or 1
  return from.visits >= needed and to.visits >= needed and (not arrow.helper or ended[arrow.helper] == "complete")
end

return states
