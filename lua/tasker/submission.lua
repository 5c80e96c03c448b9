--- One submission: its options checked, its context validated, its identity computed; what engine:submit takes.
-- @module tasker.submission

local core = require "tasker.core"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local identity = require "tasker.identity"
local registry = require "tasker.registry"
local semver = require "tasker.semver"
local step_view = require "tasker.step_view"
local time = require "tasker.time"
local vetoes = require "tasker.vetoes"

local submission = {}

local MOST_ANNOTATIONS, MOST_TAGS = core.bounds.annotations, core.bounds.tags

local function not_version(value)
  return not semver.is_valid(value) and "a semantic version such as 1.2.3" or nil
end

local function not_annotations(value)
  local count = 0
  for name in next, value do
    if type(name) ~= "string" or check.not_name(name, check.LONGEST_STEP_NAME) then
      return ("a table with names of %s"):format(check.not_name("", check.LONGEST_STEP_NAME))
    end
    count = count + 1
  end
  if count > MOST_ANNOTATIONS then
    return ("a table of at most %d annotations"):format(MOST_ANNOTATIONS)
  end
  return nil
end

local OPTIONS = {
  namespace = { "string", check.not_name },
  version = { "string", not_version },
  tags = { "table", check.not_list_of(check.not_key, MOST_TAGS) },
  initiator = { "string", check.not_text },
  source_system = { "string", check.not_text },
  reason = { "string", check.not_text },
  bypass_steps = { "table", check.not_list_of() },
  priority = { "number", check.not_priority },
  queue = { "string", check.not_name },
  requested_at = { "number|string", time.not_time },
  run_at = { "number|string", time.not_time },
  delay = { "number", check.not_seconds },
  identity_key = { "string", check.not_key },
  annotations = { "table", not_annotations },
}

local NO_OPTIONS = {}

-- A plan by the names given in the options and the handler's own.
local function find_plan(app, reference, options)
  local namespace, name, version = definitions.parse(reference)
  if not namespace then
    return nil, name
  end
  if options.namespace then
    if type(reference) == "string" and reference:find("/", 1, true) and options.namespace ~= namespace then
      return errors.invalid("option 'namespace' is '%s', but the handler is '%s'", options.namespace, reference)
    end
    namespace = options.namespace
  end
  if options.version then
    if version and options.version ~= version then
      return errors.invalid("option 'version' is '%s', but the handler is '%s'", options.version, tostring(reference))
    end
    version = options.version
  end
  local key = ("%s/%s@%s"):format(namespace, name, version or "")
  local plan, err = app.plans[key], nil
  if not plan then
    plan, err = definitions.plan(app.engine, namespace, name, version)
    app.plans[key] = plan
  end
  return plan, err
end

--- Forgets plans that are stale: something was defined since, in this state or by any process. Before each submission.
-- @tab app
function submission.refresh(app)
  local generation = app.engine:generation()
  if generation ~= app.generation or registry.generation ~= app.registry_generation then
    app.plans, app.generation, app.registry_generation = {}, generation, registry.generation
  end
end

local function plan_for(app, reference, options)
  if options.namespace or options.version then
    return find_plan(app, reference, options)
  end
  local plan, err = app.plans[reference], nil
  if not plan then
    plan, err = find_plan(app, reference, options)
    app.plans[reference] = plan
  end
  return plan, err
end

--- A context as it is kept.
-- @tab plan
-- @param context
-- @treturn string|nil its JSON
-- @return what it stands for, or the err `invalid`
function submission.encode_context(plan, context)
  if context == nil then
    context = {}
  elseif type(context) ~= "table" then
    return errors.invalid("context must be a table with string keys or nil, not %s", check.show(context))
  end
  local text, err = core.encode(context)
  if not text then
    return nil, errors.new("invalid", "context: " .. err.message, err.details)
  elseif text:byte(1) ~= 123 then
    return errors.invalid("context must be an object (a table with string keys), not %s",
      text == "null" and "null" or "a list")
  end
  if not plan.validator then
    return text, context
  end
  local empty
  empty, err = plan.validator:empty_lists(context, text)
  if not empty then
    return nil, errors.new("invalid", ("context of %s/%s@%s: %s"):format(plan.namespace, plan.name, plan.version,
      err.message), err.details)
  end
  if empty > 0 then
    -- An empty table stands where the schema wants a list: a copy is marked, the caller's table is left alone.
    text, context = plan.validator:conform(text)
  end
  return text, context
end

local function encode_annotations(annotations)
  local names, list = {}, {}
  for name in pairs(annotations) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local text, err = core.encode(annotations[name])
    if not text then
      return errors.invalid("option 'annotations': '%s': %s", name, err.message)
    end
    list[i] = { name, text }
  end
  return list
end

local function add_options(entry, plan, options, engine)
  local err
  entry.initiator, entry.source_system, entry.reason = options.initiator, options.source_system, options.reason
  entry.priority, entry.queue = math.tointeger(options.priority) or plan.priority, options.queue or plan.queue
  if options.tags and #options.tags > 0 then
    entry.tags = core.encode(options.tags, true)
  end
  if options.bypass_steps and #options.bypass_steps > 0 then
    entry.bypass, err = definitions.bypass(plan, options.bypass_steps)
    if not entry.bypass then
      return nil, err
    end
    entry.bypass_steps = core.encode(options.bypass_steps, true)
  end
  if options.run_at and options.delay then
    return errors.invalid("options 'run_at' and 'delay' exclude each other")
  end
  entry.requested_at, entry.run_at = time.seconds(options.requested_at), time.seconds(options.run_at)
  if options.delay then
    entry.run_at = engine:now() + options.delay
  end
  if options.annotations then
    entry.annotations, err = encode_annotations(options.annotations)
    if not entry.annotations then
      return nil, err
    end
  end
  return true
end

-- What an identity strategy gets.
local function new_request(plan, context, options)
  return {
    namespace = plan.namespace, name = plan.name, version = plan.version, context = context,
    initiator = options.initiator or "unknown", source_system = options.source_system or "unknown",
    reason = options.reason or "unknown", bypass_steps = options.bypass_steps or {}, tags = options.tags or {},
    priority = options.priority,
  }
end

-- The key of the n-th submission of the attempt that runs now: a retry of it makes no second task.
local function step_key(run)
  run.submits = (run.submits or 0) + 1
  return ("%s:%s:submit:%d"):format(run.task_id, step_view.name(run), run.submits)
end

local function add_identity(entry, plan, context, options)
  local key = options.identity_key
  local run = core.run()
  if not key and run then
    entry.identity = identity.of_key(plan.namespace, plan.name, step_key(run))
    return true
  end
  local spec = plan.identity
  if key then
    entry.identity = identity.of_key(plan.namespace, plan.name, key)
  elseif spec.strategy ~= "guid" then
    local err
    entry.identity, err = identity.of_request(spec, new_request(plan, context, options))
    if not entry.identity then
      return nil, err
    end
  end
  if entry.identity then
    entry.window, entry.reject = spec.window, spec.reject
  end
  return true
end

--- What a child is made of.
-- @tab app `{engine, plans, …}`
-- @param reference a handler's name
-- @param context
-- @treturn int|nil the number of the definition
-- @return the context as JSON, or the err
function submission.child(app, reference, context)
  submission.refresh(app)
  local plan, err = plan_for(app, reference, NO_OPTIONS)
  if not plan then
    return nil, err
  end
  local text, why = submission.encode_context(plan, context)
  if not text then
    return nil, why
  end
  return plan.number, text
end

--- Builds an entry for engine:submit.
-- @tab app `{engine, plans, …}`
-- @param reference a handler or its name
-- @param context
-- @tab[opt] options
-- @string what "app:submit", for messages
-- @int level as in error, counted from the caller, for what raises
-- @treturn table|nil
-- @return err
function submission.build(app, reference, context, options, what, level)
  if type(reference) ~= "string" and not handler.is_handler(reference) then
    error(("%s: the handler must be a name or what tasker.handler returned, not %s"):format(what, check.show(reference)),
      level + 1)
  end
  local ok, err
  if options ~= nil then
    check.type(options, "table", what .. ": options", level + 1)
    ok, err = check.options(options, OPTIONS, what .. ": option", level + 1)
    if not ok then
      return nil, err
    end
  end
  local plan
  plan, err = plan_for(app, reference, options or NO_OPTIONS)
  if not plan then
    return nil, err
  end
  local text, value = submission.encode_context(plan, context)
  if not text then
    return nil, value
  end
  local entry = { definition = plan.number, context = text, priority = plan.priority, queue = plan.queue }
  if options then
    ok, err = add_options(entry, plan, options, app.engine)
    if not ok then
      return nil, err
    end
  end
  ok, err = add_identity(entry, plan, value, options or NO_OPTIONS)
  if not ok then
    return nil, err
  end
  if vetoes.rules["task.submit"] then
    local refused = vetoes.submission(new_request(plan, value, options or NO_OPTIONS))
    if refused then
      return nil, refused
    end
  end
  return entry
end

return submission
