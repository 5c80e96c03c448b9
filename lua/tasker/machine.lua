--- State machines: their check, and their translation onto steps. Every state becomes a step without dependencies; where a visit
-- of it leads is told by its code (a state with `run` or `handler`), or stands in the graph (all others).
-- @module tasker.machine

local check = require "tasker.check"
local errors = require "tasker.errors"
local suggest = require "tasker.suggest"

local machine = {}

local MOST_STATES = 256   -- TK_LIMIT_STATES

local KINDS = { "run", "handler", "signal", "sleep", "approval", "child" }

-- Fields of a state that are not its step's.
local OWN = { on = "table", after = "table", entry = "function", exit = "function", final = "boolean|string", states = "table",
  initial = "string", parallel = "boolean", history = "boolean" }

local STEP_FIELDS_REFUSED = { name = true, depends_on = true, when = true, switch = true, map = true, join = true, cases = true,
  default = true, on_error = true, skippable = true, limits = true, compensate = true, compensate_on = true }

local Refusal = {}

local function refuse(m, path, format, ...)
  local where = path and (" state '%s':"):format(path) or ""
  error(setmetatable({ message = ("handler %s/%s@%s:%s %s"):format(m.namespace, m.name, m.version, where, format:format(...)) },
    Refusal), 0)
end

local function refuse_field(m, path, field, format, ...)
  refuse(m, path, "field '%s' " .. format, field, ...)
end

-- ---- Reading ----

-- A list of candidates {target, guard, action} of an outcome.
local function candidates_of(m, path, field, given)
  local list = given
  if type(given) == "string" then
    list = { { target = given } }
  elseif type(given) ~= "table" then
    refuse_field(m, path, field, "must lead to a state's name or to tables of target, guard and action, not %s", check.show(given))
  elseif given.target ~= nil or not check.is_list(given) then
    list = { given }
  end
  local candidates = {}
  for i, one in ipairs(list) do
    one = type(one) == "string" and { target = one } or one
    if type(one) ~= "table" or type(one.target) ~= "string" then
      refuse_field(m, path, field, "has an entry without a 'target'")
    end
    for key, value in pairs(one) do
      if key ~= "target" and key ~= "guard" and key ~= "action" then
        refuse_field(m, path, field, "has an entry with %s; there are target, guard and action", check.show(key))
      elseif key ~= "target" and type(value) ~= "function" then
        refuse_field(m, path, field, "has a '%s' that is no function", key)
      end
    end
    candidates[i] = { target = one.target, guard = one.guard, action = one.action }
  end
  if #candidates == 0 then
    refuse_field(m, path, field, "must lead somewhere")
  end
  return candidates
end

local function read_after(m, node)
  local seconds, target = next(node.given.after)
  if seconds == nil or next(node.given.after, seconds) ~= nil then
    refuse_field(m, node.path, "after", "must have one time: whichever is later is never reached")
  end
  local wanted = type(seconds) ~= "number" and "seconds" or check.not_duration(seconds)
  if wanted then
    refuse_field(m, node.path, "after", "must be by %s, not %s", wanted, check.show(seconds))
  end
  node.after, node.after_to = seconds, candidates_of(m, node.path, "after", target)
end

local function kind_of(m, node)
  local found
  for _, kind in ipairs(KINDS) do
    if node.given[kind] ~= nil then
      if found then
        refuse(m, node.path, "has both '%s' and '%s'; a state has one", found, kind)
      end
      found = kind
    end
  end
  return found
end

local function check_fields(m, node)
  for field, types in pairs(OWN) do
    local value = node.given[field]
    local wrong = value ~= nil and check.wrong_type(value, types)
    if wrong then
      refuse_field(m, node.path, field, "%s", wrong)
    end
  end
  for field in pairs(node.given) do
    if STEP_FIELDS_REFUSED[field] then
      refuse_field(m, node.path, field, "is not for a state")
    end
  end
end

local function check_leaf(m, node)
  local given, kind = node.given, node.kind
  if given.final ~= nil and given.final ~= true and given.final ~= "error" and given.final ~= false then
    refuse_field(m, node.path, "final", "must be true or \"error\", not %s", check.show(given.final))
  elseif (given.final or given.history) and (kind or given.on or given.after) then
    refuse(m, node.path, "is %s, so it has neither a kind nor 'on' nor 'after'", given.final and "final" or "a history")
  elseif (given.entry or given.exit) and kind ~= "run" and kind ~= "handler" then
    refuse_field(m, node.path, given.entry and "entry" or "exit", "is for a state with 'run' or 'handler'")
  elseif given.initial ~= nil or given.parallel then
    refuse_field(m, node.path, given.parallel and "parallel" or "initial", "is for a state with 'states'")
  elseif type(given.retry) == "table" and given.retry.decide then
    refuse_field(m, node.path, "retry", "cannot have a 'decide': a state's outcome decides")
  end
end

local read_states

local function read_node(m, parent, name, given)
  local path = parent.path and parent.path .. "." .. name or name
  if type(name) ~= "string" or check.not_name(name, check.LONGEST_STEP_NAME) or name:find(".", 1, true) then
    refuse_field(m, parent.path, "states", "has a state %s; a state has a name without a dot", check.show(name))
  elseif type(given) ~= "table" then
    refuse(m, path, "must be a table, not %s", check.show(given))
  end
  local node = { path = path, name = name, parent = parent, given = given, on = {}, children = {}, order = {} }
  check_fields(m, node)
  node.kind = kind_of(m, node)
  for outcome, to in pairs(given.on or {}) do
    if type(outcome) ~= "string" or check.not_name(outcome, check.LONGEST_STEP_NAME) then
      refuse_field(m, path, "on", "has an outcome %s; an outcome is a name", check.show(outcome))
    end
    node.on[outcome] = candidates_of(m, path, "on", to)
  end
  if given.after then
    read_after(m, node)
  end
  m.nodes[#m.nodes + 1] = node
  m.by_path[path] = node
  if not given.states then
    check_leaf(m, node)
    return node
  elseif node.kind or given.final or given.after or given.entry or given.exit then
    refuse(m, path, "has 'states', so it has no kind, 'final', 'after', 'entry' or 'exit' of its own")
  end
  read_states(m, node, given)
  return node
end

function read_states(m, node, given)
  if next(given.states) == nil then
    refuse_field(m, node.path, "states", "must have at least one state")
  end
  for name in pairs(given.states) do
    node.order[#node.order + 1] = name
  end
  table.sort(node.order, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(node.order) do
    node.children[name] = read_node(m, node, name, given.states[name])
  end
  if given.parallel then
    if given.initial ~= nil then
      refuse_field(m, node.path, "initial", "is not for a parallel state: all of its states begin")
    end
    for _, name in ipairs(node.order) do
      if not node.children[name].given.states then
        refuse(m, node.children[name].path, "must have 'states': it is a part of a parallel state")
      end
    end
  elseif given.initial == nil then
    refuse_field(m, node.path, "initial", "is missing")
  elseif not node.children[given.initial] then
    refuse_field(m, node.path, "initial", "names no state: %s%s", check.show(given.initial), suggest.hint(given.initial, node.children))
  end
end

-- ---- Where targets lead ----

-- The state that a name means for a state: beside it, around it, or by its whole path.
local function find(m, node, field, name)
  local at = node.parent
  while at do
    local path = at.path and at.path .. "." .. name or name
    if m.by_path[path] then
      return m.by_path[path]
    end
    at = at.parent
  end
  return refuse_field(m, node.path, field, "leads to no state: %s%s", check.show(name), suggest.hint(name, m.by_path))
end

local function region_of(node)
  while node.parent do
    if node.parent.given.parallel then
      return node
    end
    node = node.parent
  end
  return nil
end

-- The name of the step that entering a state begins with.
local function entrance(node)
  while node.given.states and not node.given.parallel and not node.given.history do
    node = node.children[node.given.initial]
  end
  return node.path
end

local function mark(m, node)
  if node.seen then
    return
  end
  node.seen = true
  m.stack[#m.stack + 1] = node
end

-- The step of a target, which is then one that is reached.
local function reach(m, node, field, name)
  local to = find(m, node, field, name)
  if region_of(to) ~= region_of(node) and not (node.given.parallel and region_of(to) == region_of(node.parent)) then
    refuse_field(m, node.path, field, "leads to '%s', into or out of a part of a parallel state", to.path)
  end
  mark(m, to)
  return entrance(to)
end

-- ---- Steps ----

local function add_step(m, step, info)
  m.steps[#m.steps + 1] = step
  m.info[step.name] = info
  if #m.steps > MOST_STATES then
    refuse_field(m, nil, "states", "are too many: the machine becomes more than %d steps", MOST_STATES)
  end
end

local function add_pass(m, name, info)
  info.pass = true
  add_step(m, { name = name, sleep = 1 }, info)   -- what it sleeps is never used: machine.apply makes it what it is
end

-- The candidates of an outcome, those of the state itself before those around it; nil: nobody knows it.
local function known(node, outcome)
  local all
  while node and node.path do
    for _, candidate in ipairs(node.on[outcome] or {}) do
      all = all or {}
      all[#all + 1] = { candidate = candidate, node = node }
    end
    if node.parent and node.parent.given.parallel then
      break
    end
    node = node.parent
  end
  return all
end

local function resolve(m, entries, field)
  local list = {}
  for i, entry in ipairs(entries) do
    list[i] = { to = reach(m, entry.node, field, entry.candidate.target), guard = entry.candidate.guard, action = entry.candidate.action }
  end
  return list
end

-- Outcomes of a state and of those around it that its code may name.
local function all_outcomes(node)
  local outcomes = {}
  while node and node.path do
    for outcome in pairs(node.on) do
      outcomes[outcome] = true
    end
    if node.parent and node.parent.given.parallel then
      break
    end
    node = node.parent
  end
  return outcomes
end

local function cases_of(transitions)
  local names, cases = {}, {}
  for name in pairs(transitions) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    cases[i] = { name = name, to = { transitions[name][1].to } }
  end
  return cases
end

-- A step that runs what guards and actions say, where a state has no code of its own.
local function add_decider(m, name, node, outcome, transitions)
  add_step(m, { name = name, run = function() return outcome end },
    { state = node, decides = true, transitions = { [outcome] = transitions }, cases = { { name = outcome, to = { transitions[1].to } } } })
  return name
end

-- The step that an outcome leads to which the engine knows by itself.
local function static(m, node, outcome, field, entries)
  entries = entries or known(node, outcome)
  if not entries then
    refuse_field(m, node.path, "on", "lacks the outcome '%s'", outcome)
  end
  local transitions = resolve(m, entries, field or "on")
  if #transitions == 1 and not transitions[1].guard and not transitions[1].action then
    return transitions[1].to
  end
  return add_decider(m, node.path .. ".on." .. outcome, node, outcome, transitions)
end

local function own_fields(node)
  local step = { name = node.path }
  for field, value in pairs(node.given) do
    if not OWN[field] then
      step[field] = value
    end
  end
  return step
end

-- Outcomes that a waiting state can have: how the engine tells them.
local function waiting_outcomes(m, node)
  local given = node.given
  if node.kind == "signal" then
    return given.timeout and { given.signal, "timeout" } or { given.signal }
  elseif node.kind == "sleep" then
    return { "done" }
  end
  local outcomes, all = { "approve", "reject" }, all_outcomes(node)
  if node.kind == "child" then
    return all.error and { "complete", "resolved_manually", "error", "cancelled" } or { "complete", "resolved_manually" }
  elseif not all.reject then
    refuse_field(m, node.path, "on", "lacks the outcome 'reject'")
  end
  outcomes[3] = all.changes and "changes" or nil
  return outcomes
end

-- The outcome of `on` that an end of a child is taken for where it is not named there.
local function said_as(node, outcome)
  local otherwise = node.kind == "child" and (outcome == "resolved_manually" and "complete" or outcome == "cancelled" and "error")
  return otherwise and not all_outcomes(node)[outcome] and otherwise or outcome
end

local function add_waiting(m, node)
  local step, cases = own_fields(node), {}
  if node.kind == "signal" and step.timeout then
    step.on_timeout = "complete"
  elseif node.kind == "approval" then
    step.on_reject = "complete"
  elseif node.kind == "child" and all_outcomes(node).error then
    step.on_child_error = "ignore"   -- `on` says what follows
  end
  for i, outcome in ipairs(waiting_outcomes(m, node)) do
    cases[i] = { name = outcome, to = { static(m, node, said_as(node, outcome)) } }
  end
  for outcome in pairs(node.on) do
    local possible = false
    for _, case in ipairs(cases) do
      possible = possible or case.name == outcome
    end
    if not possible then
      refuse_field(m, node.path, "on", "has the outcome '%s', which a state with '%s' never has", outcome, node.kind)
    end
  end
  add_step(m, step, { cases = cases })
end

local function add_running(m, node)
  local transitions = {}
  for outcome in pairs(all_outcomes(node)) do
    transitions[outcome] = resolve(m, known(node, outcome), "on")
  end
  if next(transitions) == nil and not node.after then
    refuse(m, node.path, "is a dead end: it has neither 'on' nor 'after', and is not final")
  end
  local step = own_fields(node)
  add_step(m, step, { state = node, transitions = transitions, cases = cases_of(transitions) })
end

local function add_after(m, node)
  local entries = {}
  for i, candidate in ipairs(node.after_to) do
    entries[i] = { candidate = candidate, node = node }
  end
  local to = static(m, node, "after", "after", entries)
  local alone = not node.kind
  local name = alone and node.path or node.path .. ".after"
  add_step(m, { name = name, sleep = node.after }, { cases = { { name = alone and "done" or "after", to = { to } } } })
  if not alone then
    m.info[node.path].after = name
  end
end

local function leaves(node, list)
  list = list or {}
  for _, name in ipairs(node.order) do
    local child = node.children[name]
    if child.given.states then
      leaves(child, list)
    elseif not child.given.history and not child.given.final then
      list[#list + 1] = child.path
    end
  end
  return list
end

local function add_history(m, node, compound)
  local initial = compound.children[compound.given.initial]
  mark(m, initial)
  add_pass(m, node.path, { history = true, cases = {
    { name = "last", to = leaves(compound) }, { name = "first", to = { entrance(initial) } } } })
end

local function add_parallel(m, node)
  local begins = {}
  for i, name in ipairs(node.order) do
    mark(m, node.children[name])
    begins[i] = entrance(node.children[name])
  end
  add_pass(m, node.path, { cases = { { name = "begin", to = begins } } })
  add_pass(m, node.path .. ".done", { join_count = #begins, cases = { { name = "done", to = { static(m, node, "done") } } } })
end

local function add_final(m, node)
  local parent = node.parent
  if not parent.path then
    add_pass(m, node.path, { final = node.given.final == "error" and "error" or true, cases = {} })
  elseif parent.parent.given.parallel then
    add_pass(m, node.path, { cases = { { name = "done", to = { parent.parent.path .. ".done" } } } })
  else
    add_pass(m, node.path, { cases = { { name = "done", to = { static(m, parent, "done") } } } })
  end
end

local function add_node(m, node)
  if node.given.states then
    if node.given.parallel then
      add_parallel(m, node)
    else
      mark(m, node.children[node.given.initial])
      if node.given.history then
        add_history(m, node, node)
      end
    end
    return
  elseif node.given.final then
    add_final(m, node)
    return
  elseif node.given.history then
    add_history(m, node, node.parent)
    return
  elseif node.kind == "run" or node.kind == "handler" then
    add_running(m, node)
  elseif node.kind then
    add_waiting(m, node)
  elseif not node.after then
    refuse(m, node.path, "is a dead end: it has no run, handler, signal, sleep, approval or child, no 'after', and is not final")
  end
  if node.after then
    add_after(m, node)
  end
end

-- Where the guards of a state's outcomes may lead, by their names.
local function cases_of_all(info)
  local names, all = {}, {}
  for name in pairs(info.transitions or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, transition in ipairs(info.transitions[name]) do
      all[#all + 1] = transition.to
    end
  end
  return all
end

-- The steps as they are come to from the first; so their order is the same whatever the order of the tables' keys.
local function in_order(m, first)
  local steps, list, seen = {}, {}, {}
  for _, step in ipairs(m.steps) do
    steps[step.name] = step
  end
  local function add(name)
    if name and not seen[name] then
      seen[name] = true
      list[#list + 1] = steps[name]
    end
  end
  add(first)
  for _, step in ipairs(list) do   -- grows meanwhile
    local info = m.info[step.name]
    for _, case in ipairs(info.cases) do
      for _, name in ipairs(case.to) do
        add(name)
      end
    end
    for _, case in ipairs(cases_of_all(info)) do
      add(case)
    end
    add(info.after)
  end
  return list
end

local HANDLER_FIELDS = { "namespace", "name", "version", "description", "context_schema", "retry", "queue", "priority", "identity",
  "timeout", "schedule", "on_failure", "on_retry", "on_exhausted", "on_recovered" }

local function translate(given)
  local m = { namespace = given.namespace or "default", name = given.name, version = given.version or "0.1.0", nodes = {}, by_path = {},
    steps = {}, info = {}, stack = {} }
  local known_fields = { states = true, initial = true }
  for _, field in ipairs(HANDLER_FIELDS) do
    known_fields[field] = true
  end
  for field in pairs(given) do
    if not known_fields[field] then
      refuse(m, nil, "field %s is unknown%s", check.show(field), suggest.hint(tostring(field), known_fields))
    end
  end
  if type(given.retry) == "table" and given.retry.decide then
    refuse_field(m, nil, "retry", "cannot have a 'decide': a state's outcome decides")
  end
  local wrong = given.states == nil and "is missing" or check.wrong_type(given.states, "table")
  if wrong then
    refuse_field(m, nil, "states", "%s", wrong)
  end
  local root = { given = { states = given.states, initial = given.initial }, on = {}, children = {}, order = {} }
  read_states(m, root, root.given)
  local first = root.children[given.initial]
  mark(m, first)
  while #m.stack > 0 do
    add_node(m, table.remove(m.stack))
  end
  for _, node in ipairs(m.nodes) do
    if not node.seen then
      refuse(m, node.path, "cannot be reached: nothing leads to it")
    end
  end
  local definition = { steps = in_order(m, entrance(first)) }
  for _, field in ipairs(HANDLER_FIELDS) do
    definition[field] = given[field]
  end
  return definition, { initial = entrance(first), info = m.info }
end

--- The definition of a handler that a machine becomes.
-- @tab given as INTERFACE section 8 says
-- @treturn table|nil the definition, for handler.new
-- @return what handler.new needs to know of it besides, or what is wrong
function machine.translate(given)
  if type(given) ~= "table" then
    return nil, ("machine: the definition must be a table, not %s"):format(check.show(given))
  elseif type(given.name) ~= "string" then
    return nil, "machine: field 'name' " .. (given.name == nil and "is missing" or "must be a string")
  end
  local ok, definition, info = pcall(translate, given)
  if ok then
    return definition, info
  elseif getmetatable(definition) == Refusal then
    return nil, definition.message
  end
  return error(definition, 0)
end

-- ---- What runs in a visit ----

local function unknown(info, outcome)
  local names = {}
  for name in pairs(info.transitions) do
    names[#names + 1] = name
  end
  table.sort(names)
  error(errors.permanent(("state '%s' does not know the outcome %s; it knows %s"):format(info.state.path, check.show(outcome),
    #names > 0 and table.concat(names, ", ") or "none"), { code = "unknown_outcome" }), 0)
end

local function choose(info, task, change)
  local transitions = info.transitions[change.outcome]
  if not transitions then
    return unknown(info, change.outcome)
  end
  for _, transition in ipairs(transitions) do
    change.to = transition.to
    if not transition.guard or transition.guard(task, change) then
      return transition
    end
  end
  return error(errors.permanent(("state '%s': no guard of the outcome '%s' lets it go on"):format(info.state.path, change.outcome),
    { code = "guarded" }), 0)
end

local function visit(info, run, go_to)
  local given = info.state.given
  return function(task, step)
    if given.entry then
      given.entry(task, step)
    end
    local outcome, results = run(task, step)
    if given.handler then
      if outcome == nil and results ~= nil then
        return nil, results
      end
      outcome, results = "done", outcome
    elseif outcome == nil and results ~= nil then
      return nil, results
    elseif errors.snoozed(outcome) or errors.is_failure(outcome) then
      return outcome
    end
    outcome = outcome == nil and "done" or outcome
    if type(outcome) ~= "string" then
      return unknown(info, outcome)
    end
    local change = { outcome = outcome, results = results, from = info.state.path, step = step }
    local transition = choose(info, task, change)
    if given.exit then
      given.exit(task, step)
    end
    if transition.action then
      transition.action(task, change)
    end
    go_to(step, transition.to)
    return results
  end
end

--- Makes a step of the handler a state of the machine: what runs is a visit around its code, `visit(code)`.
-- @tab step
-- @tab made what translate said besides the definition
-- @func go_to gets the view of the step and the name of the next
function machine.apply(step, made, go_to)
  local info = made.info[step.name]
  step.state = info
  if info.pass then
    step.kind, step.sleep = "pass", nil
  elseif info.transitions then
    step.code = step.run
    step.visit = function(run) return visit(info, run, go_to) end
    step.run = step.visit(step.code)
  end
end

--- What the core's definition says of a state.
-- @tab out a step of the core's definition
-- @tab step
-- @tparam {[string]=int} index_of
function machine.describe(out, step, index_of)
  local info = step.state
  out.cases = {}
  for i, case in ipairs(info.cases) do
    local steps = {}
    for k, name in ipairs(case.to) do
      steps[k] = index_of[name]
    end
    out.cases[i] = { name = case.name, steps = steps }
  end
  out.after = info.after and index_of[info.after]
  out.final, out.final_error, out.history = info.final == true, info.final == "error", info.history
  out.join_count = info.join_count
end

--- What the store keeps of a state: where its outcomes may lead, in the order of the guards.
-- @tab step
-- @treturn table|nil
function machine.outline(step)
  local info = step.state
  if not info then
    return nil
  end
  local on, guarded = {}, {}
  for _, case in ipairs(info.cases) do
    on[case.name] = case.to
  end
  for outcome, transitions in pairs(info.transitions or {}) do
    on[outcome] = {}
    for i, transition in ipairs(transitions) do
      on[outcome][i] = transition.to
      if transition.guard then
        guarded[outcome] = guarded[outcome] or {}
        table.insert(guarded[outcome], transition.to)
      end
    end
  end
  return { on = next(on) and on or nil, guarded = next(guarded) and guarded or nil, after = info.after, final = info.final,
    history = info.history, decides = info.decides }
end

return machine
