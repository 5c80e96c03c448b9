--- Kinds of steps and their joins: which fields each has, what they must be, and what the core is told of them.
-- @module tasker.step_kinds

local approval = require "tasker.approval"
local check = require "tasker.check"
local children = require "tasker.children"
local map = require "tasker.map"

local step_kinds = {}

--- Fields that say what a step is: it has exactly one of them.
step_kinds.KINDS = { "run", "handler", "child", "sleep", "signal", "approval", "switch" }

--- Types of the fields of this module.
step_kinds.FIELDS = {
  when = "function", switch = "function", cases = "table", default = "string",
  sleep = "number|function", signal = "string", approval = "table", on_reject = "string", on_timeout = "string", join = "string|number",
  notify = "function",
  child = "string|table", context = "function|table", on_child_error = "string",
}

for name, types in pairs(map.FIELDS) do
  step_kinds.FIELDS[name] = types
end

-- Fields that belong to some kinds only.
local ONLY_FOR = {
  config = { handler = true }, heartbeat_timeout = { run = true, handler = true },
  retry = { run = true, handler = true, child = true, approval = true }, map = { run = true, handler = true, child = true },
  cases = { switch = true }, default = { switch = true }, on_timeout = { signal = true, approval = true },
  on_reject = { approval = true }, notify = { approval = true },
  inputs = { run = true, handler = true, approval = true },
  timeout = { run = true, handler = true, signal = true, approval = true, child = true },
  context = { child = true }, on_child_error = { child = true },
  limits = { run = true, handler = true },
}
for _, name in ipairs { "compensate", "compensate_on" } do
  ONLY_FOR[name] = { run = true, handler = true, signal = true, approval = true, child = true }
end
for _, name in ipairs { "results_schema", "inputs_schema", "on_invalid", "on_failure", "on_retry", "on_exhausted",
  "on_recovered" } do
  ONLY_FOR[name] = { run = true, handler = true }
end

--- The one kind of a step.
-- @tab given the definition of the step
-- @func refuse gets a format and its arguments
-- @treturn string
function step_kinds.kind_of(given, refuse)
  local found
  for _, kind in ipairs(step_kinds.KINDS) do
    if given[kind] ~= nil then
      if found then
        refuse("has both '%s' and '%s'; a step has exactly one", found, kind)
      end
      found = kind
    end
  end
  if not found then
    refuse("has no 'run': a step needs one of %s", table.concat(step_kinds.KINDS, ", "))
  end
  for field, kinds in pairs(ONLY_FOR) do
    if given[field] ~= nil and not kinds[found] then
      refuse("field '%s' is not for a step with '%s'", field, found)
    end
  end
  return found
end

local function check_cases(given, fail)
  if given.cases == nil then
    fail("cases", "is missing: a switch names its branches there")
  elseif next(given.cases) == nil then
    fail("cases", "must have at least one branch")
  end
  local cases = {}
  for name, steps in pairs(given.cases) do
    if type(name) ~= "string" or check.not_name(name, check.LONGEST_STEP_NAME) then
      fail("cases", "has a branch %s; a branch is a name", check.show(name))
    end
    local list = type(steps) == "string" and { steps } or steps
    local wanted = check.not_list_of()(list)
    if wanted then
      fail("cases", "branch '%s' must be a step's name or %s", name, wanted)
    end
    cases[#cases + 1] = { name = name, steps = list }
  end
  table.sort(cases, function(a, b) return a.name < b.name end)
  if given.default ~= nil and given.cases[given.default] == nil then
    fail("default", "names no branch: %s", check.show(given.default))
  end
  return cases
end

local function check_join(given, fail)
  local join = given.join
  if join == nil or join == "all" then
    return "all"
  elseif join == "all_done" then
    return "all_done"
  elseif join == "any" then
    return "count", 1
  end
  local count = math.tointeger(join)
  if not count or count < 1 then
    fail("join", "must be \"all\", \"any\", \"all_done\" or a number of dependencies, not %s", check.show(join))
  end
  return "count", count
end

--- Checks the fields of this module and puts what they say into the step.
-- @tab step gets what map.read and children.read say, and `kind when switch cases default sleep sleep_function signal approval
-- timeout_completes join join_count`
-- @tab given the definition of the step
-- @string kind
-- @func fail gets a field, a format and its arguments
function step_kinds.read(step, given, kind, fail)
  step.kind = kind == "handler" and "run" or kind
  step.when = given.when
  step.join, step.join_count = check_join(given, fail)
  map.read(step, given, fail)
  if kind == "switch" then
    step.switch, step.cases, step.default = given.switch, check_cases(given, fail), given.default
  elseif kind == "child" then
    children.read(step, given, fail)
  elseif kind == "sleep" then
    if type(given.sleep) == "function" then
      step.sleep_function = given.sleep
    else
      local wanted = check.not_duration(given.sleep)
      if wanted then
        fail("sleep", "must be %s or a function, not %s", wanted, check.show(given.sleep))
      end
      step.sleep = given.sleep
    end
  elseif kind == "signal" then
    local wanted = check.not_name(given.signal)
    if wanted then
      fail("signal", "must be %s, not %s", wanted, check.show(given.signal))
    elseif given.on_timeout ~= nil and given.on_timeout ~= "fail" and given.on_timeout ~= "complete" then
      fail("on_timeout", "must be \"fail\" or \"complete\", not %s", check.show(given.on_timeout))
    elseif given.on_timeout ~= nil and not given.timeout then
      fail("on_timeout", "needs a 'timeout'")
    end
    step.signal, step.timeout_completes = given.signal, given.on_timeout == "complete"
  elseif kind == "approval" then
    approval.read(step, given, fail)
  end
end

--- Steps in cases depend on their switch by themselves.
-- @tparam {table,...} steps
-- @tparam {[string]=int} index_of
-- @func fail gets the step, a field, a format and its arguments
function step_kinds.link_cases(steps, index_of, fail)
  for _, step in ipairs(steps) do
    for _, case in ipairs(step.cases or {}) do
      case.indexes = {}
      for i, name in ipairs(case.steps) do
        local index = index_of[name]
        if not index then
          fail(step, "cases", "branch '%s' names no step: %s", case.name, check.show(name))
        end
        case.indexes[i] = index
        local depends_on = steps[index].depends_on or {}
        local known = false
        for _, other in ipairs(depends_on) do
          known = known or other == step.name
        end
        if not known then
          depends_on[#depends_on + 1] = step.name
        end
        steps[index].depends_on = depends_on
      end
    end
  end
end

--- Refuses a join that its dependencies can never meet.
-- @tab step with `deps`
-- @func fail gets a field, a format and its arguments
function step_kinds.check_join_count(step, fail)
  if step.join ~= "all" and #step.deps == 0 then
    fail("join", "needs dependencies: the step has none")
  elseif step.join_count and step.join_count > #step.deps then
    fail("join", "is %d, but the step has %s", step.join_count,
      #step.deps == 1 and "one dependency" or #step.deps .. " dependencies")
  end
end

-- How many of a step's dependencies can be complete at once: of those that are cases of one switch only those of one branch. One that
-- can be bypassed counts as complete in any branch.
local function most_complete(steps, step)
  local is_dep, most = {}, #step.deps
  for _, dep in ipairs(step.deps) do
    is_dep[dep] = not steps[dep].skippable
  end
  for _, switch in ipairs(steps) do
    local seen, all, best = {}, 0, 0
    for _, case in ipairs(switch.cases or {}) do
      local count = 0
      for _, index in ipairs(case.indexes) do
        count = count + (is_dep[index] and 1 or 0)
        all = all + (is_dep[index] and not seen[index] and 1 or 0)
        seen[index] = true
      end
      best = math.max(best, count)
    end
    most = most - all + best
  end
  return most
end

--- Refuses a step that is never reached: its join asks for more than the branches of a switch let complete.
-- @tparam {table,...} steps whose cases and dependencies are linked
-- @func fail gets a step, a field, a format and its arguments
function step_kinds.check_reachable(steps, fail)
  for _, step in ipairs(steps) do
    local most = (step.join_count or 0) > 1 and most_complete(steps, step)
    if most and step.join_count > most then
      fail(step, "join", "is %d, but only %d of its dependencies, in branches that exclude each other, can be complete: "
        .. "it is never reached", step.join_count, most)
    end
  end
end

--- Must a worker that has the code be asked before the step starts?
-- @treturn bool
function step_kinds.asks(step)
  return (step.approval or step.child or step.when or step.map or step.switch or step.sleep_function or step.ask
    or step.inputs_text) ~= nil
end

--- What the core's definition says of a step's kind and join.
-- @tab out a step of the core's definition
-- @tab step
function step_kinds.describe(out, step)
  out.kind, out.join, out.join_count = step.kind, step.join, step.join_count
  out.sleep, out.signal, out.timeout_completes = step.sleep, step.signal, step.timeout_completes
  out.timeout_rejects, out.reject_completes, out.notifies = step.timeout_rejects, step.reject_completes, step.notify ~= nil
  map.describe(out, step)
  out.child, out.on_child_error = step.child, step.on_child_error
  if step.cases then
    out.cases = {}
    for i, case in ipairs(step.cases) do
      out.cases[i] = { name = case.name, steps = case.indexes }
    end
  end
end

--- The branch that a switch takes.
-- @tab step
-- @param name what its function returned
-- @treturn int|nil index of the case
-- @treturn string the case's name, or what is wrong
function step_kinds.branch(step, name)
  local names, default = {}, nil
  for i, case in ipairs(step.cases) do
    if case.name == name then
      return i, name
    elseif case.name == step.default then
      default = i
    end
    names[i] = case.name
  end
  if default then
    return default, step.default
  end
  return nil, ("switch: there is no branch %s; there are %s"):format(check.show(name), table.concat(names, ", "))
end

return step_kinds
