--- What a step's code sees: `task` and `step`. Both are values, read from the store when first touched; writing to them
-- changes nothing outside.
-- @module tasker.step_view

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local graph = require "tasker.graph"
local redaction = require "tasker.redaction"
local suggest = require "tasker.suggest"
local task_view = require "tasker.task_view"

local step_view = {}

local encode = core.encode
local decode = core.json.decode
local null = core.json.null

-- The key under which a view holds its run: no name that a user could meet.
local RUN = setmetatable({}, { __tostring = function() return "tasker" end })

-- ---- Plans: what is the same for all attempts of one definition ----

--- The plan of a definition: its steps in its own order, with the handler's code.
-- @tab handler
-- @tparam[opt] {string,...} names of the definition's steps where they are not the handler's
-- @tparam[opt] table deps by step, indexes
-- @treturn table
function step_view.plan(handler, names, deps)
  local plan = { handler = handler, steps = handler.steps, index_of = handler.index_of, ancestors = {}, kept = 0 }
  if names then
    plan.steps, plan.index_of = {}, {}
    for i, name in ipairs(names) do
      local code = handler.steps[handler.index_of[name]]
      plan.steps[i] = setmetatable({ index = i, deps = deps[i] }, { __index = code })
      plan.index_of[name] = i
    end
  end
  return plan
end

-- What the engine keeps as a text, as a value, which may be false.
local function value_of(text)
  local value, err = decode(text)
  if value == nil then
    error(err, 0)
  end
  return value
end

-- A payload of a step as a value; null and nothing are nil.
local function payload(run, index, which)
  local text, err = run.engine:payload(run.task_no, index, which)
  if not text then
    if err then
      error(err, 0)
    end
    return nil
  end
  local value = value_of(text)
  if value == null then
    return nil
  end
  return value
end

--- How the step or instance of a run is called: `charge`, `each[3]`, `charge:compensate`, `accept:notify[1]`.
-- @tab run
-- @treturn string
function step_view.name(run)
  local name = run.plan.steps[run.template].name
  if run.compensates then
    return name .. ":compensate"
  elseif run.round then
    name = name .. ":notify"
  end
  return run.ordinal and ("%s[%d]"):format(name, run.ordinal) or name
end

--- Tells where a visit of a machine's state leads.
-- @tab view `step` of the visit
-- @string name of the next state's step
function step_view.go_to(view, name)
  local run = rawget(view, RUN)
  run.next_state = run.plan.index_of[name]
end

-- ---- results and errors ----

local function index_of_dependency(run, name, which)
  local plan = run.plan
  local own = plan.steps[run.template].name
  local index = plan.index_of[name]
  if not index then
    error(("step '%s': task.%s has no %s: it is no step of %s%s"):format(own, which, check.show(name),
      tostring(plan.handler), suggest.hint(name, plan.index_of)), 3)
  elseif not (run.compensates or plan.handler.machine) and not graph.depends(plan, run.template, index) then
    error(("step '%s': task.%s.%s cannot be read: '%s' does not depend on '%s' (depends_on names what it does)"):format(own,
      which, name, own, name), 3)
  end
  return index
end

-- A reader of one payload of the steps that this one depends on; `finish` gets each value once.
local function reader(which, singular, finish)
  local Reader = { __name = "tasker." .. which }

  function Reader.__index(self, name)
    local run = self[RUN]
    local value = payload(run, index_of_dependency(run, name, which), singular)
    if finish and value then
      finish(value)
    end
    rawset(self, name, value)
    return value
  end

  function Reader.__pairs(self)
    local run = self[RUN]
    local all = {}
    local all_steps = run.compensates or run.plan.handler.machine
    for index in pairs(all_steps and run.plan.steps or graph.ancestors(run.plan, run.template)) do
      local name = run.plan.steps[index].name
      all[name] = self[name]
    end
    return next, all, nil
  end

  return Reader
end

local Results = reader("results", "results")
local Errors = reader("errors", "error", task_view.number_elements)

-- ---- task ----

local function info(run)
  local found = run.info
  if not found then
    local text, err = run.engine:info(run.task_no)
    if not text then
      error(err, 0)
    end
    found = task_view.record(text)
    run.info = found
  end
  return found
end

local fields = {}

function fields.task_id(run) return run.task_id end
function fields.namespace(run) return run.plan.handler.namespace end
function fields.name(run) return run.plan.handler.name end
function fields.version(run) return run.plan.handler.version end
function fields.priority(run) return run.priority end
function fields.attempt_of_task(run) return run.task_attempt end
function fields.results(run) return setmetatable({ [RUN] = run }, Results) end
function fields.errors(run) return setmetatable({ [RUN] = run }, Errors) end

function fields.context(run)
  local text, err = run.engine:context(run.task_no)
  if not text then
    error(err, 0)
  end
  return value_of(text)
end

for _, name in ipairs { "tags", "initiator", "source_system", "reason", "parent_task_id", "schedule", "scheduled_at",
  "previous_scheduled_at", "late_by" } do
  fields[name] = function(run) return info(run)[name] end
end

local function all_fields(self)
  local all = {}
  for name in pairs(fields) do
    all[name] = self[name]
  end
  for name, value in next, self do
    if name ~= RUN then
      all[name] = value
    end
  end
  return next, all, nil
end

local Task = { __name = "tasker.task", __pairs = all_fields }

function Task.__index(self, name)
  local field = fields[name]
  if not field then
    return nil
  end
  local value = field(self[RUN])
  rawset(self, name, value)
  return value
end

--- `task` of an attempt.
-- @tab run with `plan`
-- @treturn table
function step_view.task(run)
  return setmetatable({ [RUN] = run }, Task)
end

-- ---- step ----

local methods = {}

local function run_of(self, method)
  local run = type(self) == "table" and rawget(self, RUN)
  if not run then
    error(("step:%s is a method: call it with a colon"):format(method), 3)
  end
  return run
end

--- Says that the attempt is alive and how far it is; a later attempt finds it as `step.progress`.
-- @param[opt] progress any JSON value
-- @return true
function methods:heartbeat(progress)
  local run = run_of(self, "heartbeat")
  local text, err = encode(progress)
  if not text then
    error("step:heartbeat: progress: " .. err.message, 2)
  end
  run.engine:heartbeat(run, text)
  return true
end

-- Whether the task may have an annotation of that name: a step hears no answer of what it writes.
local function has_room(run, name)
  local names = run.annotated
  if not names then
    local text, err = run.engine:annotations(run.task_no)
    if not text then
      error(err, 0)
    end
    names = { count = 0, known = {} }
    for known in pairs(decode(text)) do
      names.known[known], names.count = true, names.count + 1
    end
    run.annotated = names
  end
  if not names.known[name] then
    if names.count >= core.bounds.annotations then
      return false
    end
    names.known[name], names.count = true, names.count + 1
  end
  return true
end

--- Annotates the task. Raises `invalid` for more annotations than a task may have.
-- @string name
-- @param[opt] value any JSON value
-- @return true
function methods:annotate(name, value)
  local run = run_of(self, "annotate")
  check.type(name, "string", "step:annotate: the name", 2)
  local wanted = check.not_name(name, check.LONGEST_STEP_NAME)
  if wanted then
    error(("step:annotate: the name must be %s, not %s"):format(wanted, check.show(name)), 2)
  end
  local text, err = encode(value)
  if not text then
    error("step:annotate: the value: " .. err.message, 2)
  end
  if not has_room(run, name) then
    error(errors.new("invalid", ("step:annotate: a task has at most %d annotations"):format(core.bounds.annotations)), 0)
  end
  run.engine:annotate_step(run, name, text)
  return true
end

local not_units = check.not_integer(0, 1000000000)

local LEVELS = { debug = true, info = true, warn = true, error = true }

--- Writes to the log.
-- @string level "debug", "info", "warn" or "error"
-- @string message
-- @tab[opt] fields
-- @return true
function methods:log(level, message, details)
  local run = run_of(self, "log")
  if not LEVELS[level] then
    error(("step:log: the level must be \"debug\", \"info\", \"warn\" or \"error\", not %s"):format(check.show(level)), 2)
  end
  check.type(message, "string", "step:log: the message", 2)
  check.type(details, "table|nil", "step:log: fields", 2)
  local text, err = encode({ level = level, message = message, fields = details })
  if not text then
    error("step:log: " .. err.message, 2)
  end
  run.engine:log_step(run, redaction.redact(text))
  return true
end

--- Says what the attempt really cost in units of a limit's rate, in place of the `cost` that was charged at its start; the last
-- word counts.
-- @string name the limit's
-- @int units 0 or more
-- @return true
function methods:cost(name, units)
  local run = run_of(self, "cost")
  check.type(name, "string", "step:cost: the limit's name", 2)
  check.type(units, "number", "step:cost: the units", 2)
  local wanted = not_units(units)
  if wanted then
    error(("step:cost: the units must be %s, not %s"):format(wanted, check.show(units)), 2)
  end
  for index, limit in ipairs(run.plan.steps[run.template].limits or {}) do
    if limit.name == name then
      local costs = run.costs or {}
      run.costs = costs
      local charged = costs[index] or limit.cost
      costs[index] = math.tointeger(units)
      run.engine:cost_step(run, index, costs[index] - charged)
      return true
    end
  end
  error(("step:cost: the step has no limit %s"):format(check.show(name)), 2)
end

local step_fields = {}

--- The same at every attempt of a step, and at no other.
-- @tab run
-- @treturn string
function step_view.idempotency_key(run)
  return run.task_id .. ":" .. step_view.name(run)
end

step_fields.idempotency_key = step_view.idempotency_key

function step_fields.retry_limit(run)
  return run.plan.steps[run.template].retry.limit
end

function step_fields.inputs(run)
  if run.has_inputs then
    -- Elements share those of their map, notifications those of their approval.
    return payload(run, (run.items or run.round) and run.template or run.step, "inputs")
  end
  return nil
end

-- Of a compensation: what the step that it undoes returned.
function step_fields.results(run)
  return run.compensates and payload(run, run.template, "results") or nil
end

function step_fields.progress(run)
  if run.has_progress then
    return payload(run, run.step, "progress")
  end
  return nil
end

-- Of a notification: which round of its approval it is about, 1 at the start and one more with each escalation.
function step_fields.round(run)
  return run.round
end

-- Of a notification: who is asked now and has not decided yet; nil where the approval is over.
function step_fields.approvers(run)
  if not run.round then
    return nil
  end
  local text, err = run.engine:approvals { id = run.task_id }
  if not text then
    error(err, 0)
  end
  local name = run.plan.steps[run.template].name
  for _, item in ipairs(task_view.records(text)) do
    if (item.step:match("^(.*)%[%d+%]$") or item.step) == name then
      local decided, open = {}, {}
      for _, vote in ipairs(item.decisions) do
        decided[vote.by] = true
      end
      for _, who in ipairs(item.approvers) do
        open[#open + 1] = not decided[who] and who or nil
      end
      return open
    end
  end
  return nil
end

function step_fields.item(run)
  if not run.items then
    return nil
  end
  local text, err = run.engine:item(run.items, run.ordinal)
  if not text then
    error(err, 0)
  end
  return value_of(text)
end

function step_fields.index(run)
  return run.items and run.ordinal
end

local Step = { __name = "tasker.step" }

function Step.__index(self, name)
  local method = methods[name]
  if method then
    return method
  end
  local field = step_fields[name]
  if not field then
    return nil
  end
  local value = field(self[RUN])
  rawset(self, name, value)
  return value
end

function Step.__pairs(self)
  local all = {}
  for name in pairs(step_fields) do
    all[name] = self[name]
  end
  for name, value in next, self do
    if name ~= RUN then
      all[name] = value
    end
  end
  return next, all, nil
end

--- `step` of an attempt.
-- @tab run
-- @tab definition the step's
-- @treturn table
function step_view.step(run, definition)
  local is_own = run.ordinal and not (run.compensates or run.round)
  local name = is_own and step_view.name(run) or definition.name
  return setmetatable({ name = name, attempt = run.attempt, [RUN] = run }, Step)
end

return step_view
