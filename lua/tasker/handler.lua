--- Task handlers: the check of a definition, and what it becomes.
-- @module tasker.handler

local core = require "tasker.core"
local approval = require "tasker.approval"
local check = require "tasker.check"
local compensation = require "tasker.compensation"
local failures = require "tasker.failures"
local graph = require "tasker.graph"
local identity = require "tasker.identity"
local limits = require "tasker.limits"
local machine = require "tasker.machine"
local retry = require "tasker.retry"
local schedule_spec = require "tasker.schedule_spec"
local schema = require "tasker.schema"
local secrets = require "tasker.secrets"
local semver = require "tasker.semver"
local step_handlers = require "tasker.step_handlers"
local step_kinds = require "tasker.step_kinds"
local step_view = require "tasker.step_view"
local suggest = require "tasker.suggest"

local handler = {}

local DEFAULT_TIMEOUT_SECONDS = 3600
local MOST_STEPS = core.bounds.steps
local CANONICAL = { canonical = true }

local HANDLER_FIELDS = {
  namespace = "string", name = "string", version = "string", description = "string", context_schema = "table",
  steps = "table", retry = "table", max_parallel = "number", queue = "string", priority = "number",
  identity = "string|table|function", timeout = "number|boolean", chain = "boolean", schedule = "table", compensate = "boolean",
  limits = "string|table",
}

local STEP_FIELDS = {
  name = "string", run = "function", depends_on = "string|table", description = "string", retry = "table",
  timeout = "number|boolean", heartbeat_timeout = "number|boolean", skippable = "boolean", retryable = "boolean",
  inputs = "any", handler = "string", config = "any", dependent_system = "string", queue = "string", on_error = "string",
  results_schema = "table|boolean", inputs_schema = "table|boolean", on_invalid = "string", limits = "string|table",
}

for name, types in pairs(compensation.FIELDS) do
  STEP_FIELDS[name] = types
end
for name, types in pairs(step_kinds.FIELDS) do
  STEP_FIELDS[name] = types
end
for _, name in ipairs(failures.HOOKS) do
  STEP_FIELDS[name], HANDLER_FIELDS[name] = "function", "function"
end

-- ---- Refusing ----

local Refusal = {}

-- What is wrong, where: "handler shop/order@1.0.0: step 'charge': field 'timeout' must be …". Caught by handler.new.
local function refuse(where, format, ...)
  error(setmetatable({ message = ("%s %s"):format(where, format:format(...)) }, Refusal), 0)
end

local function refuse_field(where, field, format, ...)
  refuse(where, "field '%s' %s", field, format:format(...))
end

local function failer(where)
  return function(field, format, ...)
    refuse_field(where, field, format, ...)
  end
end

local function check_fields(given, declared, where)
  for name, value in next, given do
    local types = declared[name]
    if not types then
      refuse(where, "field %s is unknown%s", check.show(name), suggest.hint(name, declared))
    elseif types ~= "any" then
      local wrong = check.wrong_type(value, types)
      if wrong then
        refuse_field(where, name, "%s", wrong)
      end
    end
  end
end

local function check_value(given, name, impossible, where)
  local value = given[name]
  local wanted = value ~= nil and impossible(value)
  if wanted then
    refuse_field(where, name, "must be %s, not %s", wanted, check.show(value))
  end
end

local not_count = check.not_integer(1, 1000000)

local function not_step_name(value)
  return check.not_name(value, check.LONGEST_STEP_NAME)
end

local function not_version(value)
  return not semver.is_valid(value) and ("a semantic version such as 1.2.3, at most %d characters"):format(semver.LONGEST)
    or nil
end

local function not_timeout(value)
  if value == true then
    return "a number of seconds or false"
  end
  return value and check.not_duration(value)
end

-- ---- Steps ----

local function encode_field(value, field, where)
  local text, err = core.encode(value)
  if not text then
    refuse_field(where, field, "cannot be kept as JSON: %s", err.message)
  end
  return text
end

local function compile_schema(given, field, where)
  if given[field] == nil then
    return nil
  end
  encode_field(given[field], field, where)
  local compiled, err = schema.compile(given[field])
  if not compiled then
    refuse_field(where, field, "cannot be used: %s", err.message)
  end
  return compiled
end

-- The step handler that `handler` names, and its configuration as JSON.
local function find_step_handler(given, where)
  local found = step_handlers.find(given.handler)
  if not found then
    refuse_field(where, "handler", "names no step handler %s (tasker.step_handler registers one)%s", check.show(given.handler),
      step_handlers.hint(given.handler))
  end
  local config = given.config == nil and {} or given.config
  local text = encode_field(config, "config", where)
  if found.config_schema then
    local ok, err = found.config_schema:validate(config)
    if not ok then
      refuse_field(where, "config", "is refused by the step handler '%s': %s", given.handler, err.message)
    end
  end
  return found, text
end

-- The function that runs for `handler = "name"`.
local function bind_step_handler(given, where)
  local found, text = find_step_handler(given, where)
  local run = found.run
  return function(task, step)
    return run(task, step, secrets.revive(core.json.decode(text)))
  end
end

-- A step whose handler stands for another kind of step, as that; any other itself.
local function expand_step_handler(given, where)
  local known = given.handler ~= nil and step_handlers.find(given.handler)
  if not known or not known.expand then
    return given
  end
  local found, text = find_step_handler(given, where)
  local config = {}
  for name, value in next, given.config do
    config[name] = value
  end
  config.revive = function()
    return secrets.revive(core.json.decode(text))
  end
  local made = {}
  for name, value in next, given do
    made[name] = value
  end
  made.handler, made.config = nil, nil
  for name, value in next, found.expand(config) do
    if made[name] ~= nil then
      refuse_field(where, name, "stands beside 'config', which has it")
    end
    made[name] = value
  end
  return made
end

local function dependencies_of(given, where)
  local names = given.depends_on
  if names == nil then
    return nil
  elseif type(names) == "string" then
    return { names }
  end
  local wanted = check.not_list_of()(names)
  if wanted then
    refuse_field(where, "depends_on", "must be a name or %s", wanted)
  end
  local seen, list = {}, {}
  for _, name in ipairs(names) do
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  return list
end

local function timeout_of(given, kind)
  if given.timeout == nil then
    return (kind == "run" or kind == "handler") and DEFAULT_TIMEOUT_SECONDS or nil
  end
  return given.timeout or nil
end

local ON_INVALID = { retry = true, fail = true, warn = true }

-- What the step's inputs and results must be.
local function read_schemas(step, given, where)
  step.results_schema, step.results_validator = given.results_schema, compile_schema(given, "results_schema", where)
  step.inputs_schema, step.inputs_validator = given.inputs_schema, compile_schema(given, "inputs_schema", where)
  if step.inputs_validator and given.inputs == nil then
    refuse_field(where, "inputs_schema", "needs 'inputs'")
  elseif given.on_invalid == nil then
    return
  elseif not ON_INVALID[given.on_invalid] then
    refuse_field(where, "on_invalid", "must be \"retry\", \"fail\" or \"warn\", not %s%s", check.show(given.on_invalid),
      suggest.hint(given.on_invalid, ON_INVALID))
  elseif not step.results_validator then
    refuse_field(where, "on_invalid", "needs a 'results_schema': it is about results")
  end
  step.on_invalid = given.on_invalid
end

-- What is said of the step's failures.
local function read_failures(step, given, common)
  step.decide = retry.decider(given.retry, common.retry)
  failures.read(step, given, common)
  step.is_watched = (step.decide or step.on_failure or step.on_exhausted) ~= nil
  step.is_guarded = (step.results_validator or step.on_retry or step.on_recovered) ~= nil
end

local function new_step(as_given, index, common, where)
  check_fields(as_given, STEP_FIELDS, where)
  local given = expand_step_handler(as_given, where)
  local kind = step_kinds.kind_of(given, function(format, ...) refuse(where, format, ...) end)
  check_value(given, "timeout", not_timeout, where)
  check_value(given, "heartbeat_timeout", not_timeout, where)
  check_value(given, "queue", check.not_name, where)
  check_value(given, "description", check.not_text, where)
  check_value(given, "dependent_system", check.not_text, where)
  if given.on_error ~= nil and given.on_error ~= "continue" then
    refuse_field(where, "on_error", "must be \"continue\", not %s", check.show(given.on_error))
  end
  if given.retry ~= nil then
    retry.check(given.retry, failer(where))
  end
  local step = {
    index = index, name = given.name, description = given.description, queue = given.queue,
    dependent_system = given.dependent_system, handler = as_given.handler,
    run = given.run or (given.handler and bind_step_handler(given, where)) or nil,
    timeout = timeout_of(given, kind), heartbeat_timeout = given.heartbeat_timeout or nil,
    skippable = given.skippable == true, retryable = given.retryable ~= false,
    continue = given.on_error == "continue",
    depends_on = dependencies_of(given, where),
  }
  step_kinds.read(step, given, kind, failer(where))
  compensation.read(step, given, common, failer(where))
  step.retry, step.strategy, step.strategy_name = retry.resolve(given.retry, common.retry)
  if as_given.handler then
    step.config = as_given.config == nil and {} or as_given.config
  end
  if type(given.inputs) == "function" then
    step.ask = given.inputs
  elseif given.inputs ~= nil then
    step.inputs, step.inputs_text = given.inputs, encode_field(given.inputs, "inputs", where)
  end
  if given.run or given.handler then
    local own = given.limits == nil and {} or limits.read(given.limits, failer(where))
    step.limits = limits.join(common.read_limits, own, failer(where))
    read_schemas(step, given, where)
    read_failures(step, given, common)
  end
  return step
end

-- Names first: every other message about a step names it.
local function name_steps(given_steps, where)
  if not check.is_list(given_steps) or #given_steps == 0 then
    refuse_field(where, "steps", "must be a list of at least one step")
  elseif #given_steps > MOST_STEPS then
    refuse_field(where, "steps", "has %d steps; a handler has at most %d", #given_steps, MOST_STEPS)
  end
  local index_of = {}
  for i, given in ipairs(given_steps) do
    local at = ("%s step %d:"):format(where, i)
    if type(given) ~= "table" then
      refuse(at, "must be a table, not %s", check.show(given))
    elseif type(given.name) ~= "string" then
      refuse_field(at, "name", given.name == nil and "is missing" or "must be a string, not %s", check.show(given.name))
    end
    check_value(given, "name", not_step_name, at)
    if index_of[given.name] then
      refuse_field(at, "name", "is '%s', as of step %d: names must differ", given.name, index_of[given.name])
    end
    index_of[given.name] = i
  end
  return index_of
end

local function link_steps(steps, index_of, chain, where)
  local function at(step)
    return ("%s step '%s':"):format(where, step.name)
  end
  step_kinds.link_cases(steps, index_of, function(step, field, ...) refuse_field(at(step), field, ...) end)
  for i, step in ipairs(steps) do
    if not step.depends_on then
      step.depends_on = chain and i > 1 and { steps[i - 1].name } or {}
    end
    step.deps = {}
    for k, name in ipairs(step.depends_on) do
      local dependency = index_of[name]
      if not dependency then
        refuse_field(at(step), "depends_on", "names no step: %s%s", check.show(name),
          suggest.hint(name, index_of))
      end
      step.deps[k] = dependency
    end
    table.sort(step.deps)
    step_kinds.check_join_count(step, failer(at(step)))
  end
  step_kinds.check_reachable(steps, function(step, field, ...) refuse_field(at(step), field, ...) end)
  local cycle = graph.find_cycle(steps)
  if cycle then
    refuse_field(("%s step '%s':"):format(where, cycle[1]), "depends_on", "makes a cycle: %s", table.concat(cycle, " -> "))
  end
end

-- ---- Its schedule ----

local function read_schedule(given, self, where)
  local ok, kind, err = pcall(schedule_spec.check, given, schedule_spec.FIELDS, "field", 0)
  if not ok then
    refuse_field(where, "schedule", "is wrong: %s", (tostring(kind):gsub("^[^\n]-:%d+: ", "")))
  elseif not kind then
    refuse_field(where, "schedule", "is wrong: %s", err.message)
  elseif type(given.context) ~= "function" then
    local text = encode_field(given.context or {}, "schedule", where)
    if text:byte(1) ~= 123 then
      refuse_field(where, "schedule", "is wrong: field 'context' must be an object (a table with string keys)")
    end
    local accepted, why = true, nil
    if self.context_validator then
      accepted, why = self.context_validator:validate(given.context or {})
    end
    if not accepted then
      refuse_field(where, "schedule", "is wrong: field 'context': %s", why.message)
    end
  end
  self.schedule, self.schedule_kind = given, kind
end

-- ---- The handler ----

local Handler = { __name = "tasker.handler" }
Handler.__index = Handler

function Handler.__tostring(self)
  return ("%s/%s@%s"):format(self.namespace, self.name, self.version)
end

local function check_names(given)
  local where = "handler:"
  if type(given.name) == "string" then
    where = ("handler %s/%s@%s:"):format(given.namespace or "default", given.name, given.version or "0.1.0")
  end
  check_fields(given, HANDLER_FIELDS, where)
  if given.name == nil then
    refuse_field(where, "name", "is missing")
  end
  check_value(given, "name", check.not_name, where)
  check_value(given, "namespace", check.not_name, where)
  check_value(given, "version", not_version, where)
  return where
end

local function build(given, made)
  local where = check_names(given)
  check_value(given, "max_parallel", not_count, where)
  check_value(given, "priority", check.not_priority, where)
  check_value(given, "queue", check.not_name, where)
  check_value(given, "timeout", not_timeout, where)
  check_value(given, "description", check.not_text, where)
  if given.retry ~= nil then
    retry.check(given.retry, failer(where))
  end
  if given.steps == nil then
    refuse_field(where, "steps", "is missing")
  end
  local self = {
    namespace = given.namespace or "default", name = given.name, version = given.version or "0.1.0",
    description = given.description, context_schema = given.context_schema, queue = given.queue,
    priority = math.tointeger(given.priority), max_parallel = math.tointeger(given.max_parallel),
    timeout = given.timeout or nil,
    identity = identity.normalize(given.identity, failer(where)),
    context_validator = compile_schema(given, "context_schema", where),
    index_of = name_steps(given.steps, where), steps = {},
  }
  local common = setmetatable({ read_limits = given.limits == nil and {} or limits.read(given.limits, failer(where)) },
    { __index = given })
  for i, given_step in ipairs(given.steps) do
    self.steps[i] = new_step(given_step, i, common, ("%s step '%s':"):format(where, given_step.name))
  end
  link_steps(self.steps, self.index_of, given.chain, where)
  if given.schedule then
    read_schedule(given.schedule, self, where)
  end
  self.machine = made
  for _, step in ipairs(made and self.steps or {}) do
    machine.apply(step, made, step_view.go_to)
  end
  self.json = handler.describe(self)
  return setmetatable(self, Handler)
end

local function cases_of(step)
  local cases = {}
  for _, case in ipairs(step.cases) do
    cases[case.name] = case.steps
  end
  return cases
end

local function json_value(text)
  return assert(core.json.decode(text))
end

local function describe_step(step)
  return {
    name = step.name, description = step.description, dependent_system = step.dependent_system, queue = step.queue,
    depends_on = #step.depends_on > 0 and step.depends_on or nil, handler = step.handler, config = step.config,
    skippable = step.skippable or nil, inputs = step.inputs, asks_inputs = step.ask and true or nil,
    kind = step.kind ~= "run" and step.kind or nil, when = step.when and true or nil,
    child = step.child, on_child_error = step.on_child_error, context = step.context_text and json_value(step.context_text) or nil,
    cases = step.cases and cases_of(step) or nil, default = step.default, sleep = step.sleep, signal = step.signal,
    approval = approval.describe(step), compensate = step.compensate and (step.compensate_started and "started" or "complete") or nil,
    state = machine.outline(step),
    join = step.join ~= "all" and (step.join_count or step.join) or nil,
    map = step.map and true or nil, max_parallel = step.max_parallel,
    max_failures = step.max_failures ~= 0 and step.max_failures or nil,
    backoff = step.strategy_name, results_schema = step.results_schema, inputs_schema = step.inputs_schema,
    on_invalid = step.on_invalid, limits = limits.describe(step),
  }
end

--- What the store keeps of a handler besides its graph, as canonical JSON: the same definition gives the same bytes.
-- @tab self
-- @treturn string
function handler.describe(self)
  local steps = {}
  for i, step in ipairs(self.steps) do
    steps[i] = describe_step(step)
  end
  return assert(core.json.encode({
    description = self.description, context_schema = self.context_schema, identity = identity.describe(self.identity),
    priority = self.priority, queue = self.queue, steps = steps,
  }, CANONICAL))
end

--- Checks a definition and makes a handler of it.
-- @tab definition as INTERFACE section 2 says
-- @tab[opt] made what machine.translate said of it besides, where it is a machine
-- @return the handler: `namespace name version description steps …`, tostring `namespace/name@version`; or nil
-- @treturn string|nil what is wrong, naming handler, step and field
function handler.new(definition, made)
  if type(definition) ~= "table" then
    return nil, ("handler: the definition must be a table, not %s"):format(check.show(definition))
  end
  local ok, result = pcall(build, definition, made)
  if ok then
    return result
  elseif getmetatable(result) == Refusal then
    return nil, result.message
  end
  error(result, 0)
end

--- @treturn bool was value made by handler.new?
function handler.is_handler(value)
  return getmetatable(value) == Handler
end

local function core_step(step, index_of)
  local out = {
    name = step.name, deps = step.deps, queue = step.queue, timeout = step.timeout,
    heartbeat_timeout = step.heartbeat_timeout, skippable = step.skippable, retryable = step.retryable,
    continue = step.continue, retry = step.retry,
    -- Fixed inputs are asked for too: so they are kept with the task, as what the step got.
    ask = step_kinds.asks(step) or limits.asks(step), limits = limits.describe(step),
  }
  out.compensates, out.compensate_started = step.compensate ~= nil, step.compensate_started
  step_kinds.describe(out, step)
  if step.state then
    machine.describe(out, step, index_of)
  end
  return out
end

--- The definition as the core takes it.
-- @tab self a handler
-- @string[opt] source hash (hex) of its source
-- @return a definition of the core, or nil
-- @return err
function handler.definition(self, source)
  local steps = {}
  for i, step in ipairs(self.steps) do
    steps[i] = core_step(step, self.index_of)
  end
  return core.definition {
    namespace = self.namespace, name = self.name, version = self.version, queue = self.queue, priority = self.priority,
    initial = self.machine and self.index_of[self.machine.initial],
    max_parallel = self.max_parallel, timeout = self.timeout, json = self.json, source = source, steps = steps,
  }
end

return handler
