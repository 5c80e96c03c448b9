--- One attempt of a step: what its code sees, and what comes of it. The worker calls `run` in a fiber.
-- @module tasker.step

local core = require "tasker.core"
local approval = require "tasker.approval"
local backoff = require "tasker.backoff"
local children = require "tasker.children"
local compensation = require "tasker.compensation"
local errors = require "tasker.errors"
local failures = require "tasker.failures"
local kept_error = require "tasker.kept_error"
local limits = require "tasker.limits"
local map = require "tasker.map"
local notification = require "tasker.notification"
local step_kinds = require "tasker.step_kinds"
local step_view = require "tasker.step_view"
local time = require "tasker.time"
local vetoes = require "tasker.vetoes"

local step = {}

local encode = core.encode
local json = core.json
local snoozed, is_failure = errors.snoozed, errors.is_failure
local rules = vetoes.rules

-- engine -> definition number -> plan, or a function that makes it when it is first needed.
local bound = setmetatable({}, { __mode = "k" })
-- engine -> what makes another plan of each: tests look in there.
local interceptors = setmetatable({}, { __mode = "k" })

--- Tells which code runs the steps of a definition in a store.
-- @param engine
-- @int number the definition's number there
-- @param plan a plan of step_view, or a function that returns one (or nil and why not), called when it is first needed
function step.bind(engine, number, plan)
  local plans = bound[engine]
  if not plans then
    plans = {}
    bound[engine] = plans
  end
  local intercept = interceptors[engine]
  if intercept and type(plan) == "function" then
    local make = plan
    plan = function()
      local made, why = make()
      return made and intercept(made), why
    end
  elseif intercept then
    plan = intercept(plan)
  end
  plans[number] = plan
end

--- From now on plans bound in a store are what `intercept` makes of them.
-- @param engine
-- @func intercept gets a plan, returns one
function step.intercept(engine, intercept)
  interceptors[engine] = intercept
end

--- Another engine on the same store runs the same code.
-- @param engine the one that has it
-- @param other
function step.share(engine, other)
  bound[other] = bound[engine]
end

-- The plan of a definition that nobody bound here because every worker has its code; nil: it is none.
local function built_in(run)
  local stored, err = run.engine:definition(run.definition)
  local plan = stored and require("tasker.webhook_delivery").plan(stored)
  if not plan then
    return nil, err
  end
  step.bind(run.engine, run.definition, plan)
  return bound[run.engine][run.definition]
end

-- The plan of a run, made if need be; or nil and why there is none.
local function plan_of(run)
  local plans = bound[run.engine]
  local plan, why = plans and plans[run.definition], nil
  if not plan then
    plan, why = built_in(run)
  end
  if type(plan) == "function" then
    plan, why = plan()
    plans[run.definition] = plan
  end
  if not plan then
    return nil, errors.new("unsupported", ("the code of this step cannot be loaded: %s"):format(tostring(why)))
  end
  return plan
end

-- ---- Failures ----

local Raised = {}

-- The part of a traceback below the user's code is the engine's own.
local function own_part(traceback)
  return traceback and (traceback:gsub("\n%s*%[C%]: in function 'xpcall'.*$", ""))
end

local function on_error(value)
  return setmetatable({ value = value, traceback = own_part(debug.traceback(nil, 2)) }, Raised)
end

-- Seconds by the step's own strategy, where there will be another attempt.
local function ask_strategy(run, definition, kept, view)
  if not definition.strategy or not kept.retryable or run.failures + 1 >= definition.retry.limit then
    return nil
  end
  local seconds, why = backoff.ask(definition.strategy, run.attempt, kept, view)
  if not seconds then
    failures.warn(run, why .. "; the default delays apply")
  end
  return seconds
end

-- The outcome of a failure that nobody decided, or that is to be retried after `after` seconds.
local function policy(run, definition, view, kept, after)
  local delay = after or ask_strategy(run, definition, kept, view)
  return "failed", kept_error.encode(kept), kept.retryable, delay
end

-- As policy, where the step's own code wants to know or to decide.
local function watched(run, definition, view, kept, after)
  local text = kept_error.encode(kept)
  local failure = failures.new(run, definition, run.attempt, text)
  failures.tell(run, definition, "on_failure", failure)
  local what, value = failures.decide(run, definition, failure)
  if what == "skip" or what == "results" or what == "park" then
    return failures.outcome(what, value, text)
  elseif what == "retry_after" then
    kept.retryable, after = definition.retryable, value
  elseif what == "fail" then
    kept.retryable = false
  end
  if not kept.retryable or run.failures + 1 >= definition.retry.limit then
    failures.tell(run, definition, "on_exhausted", failure)
  end
  return policy(run, definition, view, kept, after)
end

local function fail(run, definition, view, raised, traceback)
  local kept, after = errors.kept(raised, traceback)
  if not definition.retryable then
    kept.retryable = false
  end
  return (definition.is_watched and watched or policy)(run, definition, view, kept, after)
end

-- ---- Outcomes ----

-- What run returned, apart from plain results.
local function outcome(run, definition, view, value, err)
  if value == nil then
    local kind = type(err)
    if kind == "table" or kind == "string" then
      local seconds = snoozed(err)
      if seconds then
        return "snooze", seconds
      end
      return fail(run, definition, view, err)
    end
    return "done", "null"
  end
  local seconds = snoozed(value)
  if seconds then
    return "snooze", seconds
  elseif is_failure(value) then
    return fail(run, definition, view, value)
  end
  local text, why = encode(value)
  if not text then
    return fail(run, definition, view, { code = "error", message = "results: " .. why.message, details = why.details })
  end
  return "done", text
end

-- When a function-valued sleep ends, in epoch seconds.
local function sleep_until(value)
  if type(value) == "number" and value >= 0 and value < math.huge then
    return core.now() + value
  end
  local at = type(value) == "string" and time.parse(value)
  return at or error({ message = ("sleep: %s is no number of seconds and no RFC 3339 time"):format(tostring(value)) }, 0)
end

-- What only Lua can tell before a step starts: "answer" and inputs, then false (skip it), a branch and its name, a time, or 1 and an
-- approval's plan, or nothing and the keys of its limits; "list", inputs, how many elements a map has, and
-- those keys with its pages behind them; or "child", its context and its definition.
local function tell(run, definition, task)
  local is_element = run.items ~= nil
  if definition.when and not is_element and not definition.when(task) then
    return "answer", nil, false
  elseif definition.child and (is_element or not definition.map) then
    local view = step_view.step(run, definition)
    view.attempt = run.failures + 1   -- the one to come
    return "child", children.ask(run.engine, definition, task, view)
  end
  local inputs = definition.inputs_text
  if definition.ask then
    local why
    inputs, why = encode(definition.ask(task))
    if not inputs then
      error({ message = "inputs: " .. why.message }, 0)
    end
  end
  if definition.inputs_validator then
    local why
    inputs, why = definition.inputs_validator:conform(inputs)
    if not inputs then
      error({ code = "invalid", message = "inputs: " .. why.message, details = why.details }, 0)
    end
  end
  if definition.approval then
    return "answer", inputs, 1, approval.plan(definition, task, run.plan.steps, inputs)
  elseif definition.map then
    local count, pages = map.pages(definition.map(task))
    return "list", inputs, count, limits.asks(definition) and limits.keys(definition, task) .. pages or pages
  elseif definition.switch then
    local index, name = step_kinds.branch(definition, definition.switch(task))
    if not index then
      error({ message = name }, 0)
    end
    return "answer", inputs, index, json.encode(name)
  elseif definition.sleep_function then
    return "answer", inputs, sleep_until(definition.sleep_function(task))
  elseif limits.asks(definition) then
    return "answer", inputs, nil, limits.keys(definition, task)
  end
  return "answer", inputs
end

local function answer(run, definition)
  local ok, word, inputs, what, name = xpcall(tell, on_error, run, definition, step_view.task(run))
  if ok then
    return word, inputs, what, name
  end
  local kept = getmetatable(word) == Raised and errors.kept(word.value, word.traceback) or errors.kept(word)
  kept.retryable = false
  local text = kept_error.encode(kept)
  if definition.is_watched then
    local failure = failures.new(run, definition, run.attempt, text)
    failures.tell(run, definition, "on_failure", failure)
    failures.tell(run, definition, "on_exhausted", failure)
  end
  return "ask_failed", text
end

-- ---- Attempts ----

-- The outcome of the step's code.
local function call(run, definition, view)
  local ok, value, err = xpcall(definition.run, on_error, step_view.task(run), view)
  if ok then
    if type(value) == "table" and getmetatable(value) == nil then
      local text = encode(value)
      if text then
        return "done", text
      end
    end
    return outcome(run, definition, view, value, err)
  elseif getmetatable(value) == Raised then
    local seconds = snoozed(value.value)
    if seconds then
      return "snooze", seconds
    end
    return fail(run, definition, view, value.value, value.traceback)
  end
  -- Raised without the message handler: out of memory, or an error in the handler itself.
  return fail(run, definition, view, value)
end

-- The outcome of an attempt that returned results, by what they must be.
local function conform(run, definition, view, text)
  local kept, err = definition.results_validator:conform(text)
  if kept then
    return "done", kept
  elseif definition.on_invalid == "warn" then
    failures.warn(run, "results: " .. err.message, err.details)
    return "done", text
  end
  return fail(run, definition, view, { code = "invalid", message = "results: " .. err.message, details = err.details,
    retryable = definition.on_invalid == "retry" })
end

-- The failure that the step had last, in an earlier attempt; nil: none, or it cannot be read for `err`.
local function earlier_failure(run, definition)
  if run.attempt == 1 or not (definition.on_retry or definition.on_recovered) then
    return nil
  end
  local text, err = run.engine:payload(run.task_no, run.step, "error")
  return text and failures.new(run, definition, run.attempt - 1, text), err
end

-- The veto of a verb of steps, as what is raised; `results`: their JSON, of a completion.
local function vetoed(run, verb, from, to, results)
  if not rules[verb] then
    return nil
  end
  return vetoes.ask { event = verb, task = step_view.task(run), step = step_view.name(run), from = from, to = to,
    results = results and json.decode(results) }
end

-- As call, with what comes before and after it.
local function guarded(run, definition, view)
  local veto = vetoed(run, "step.start", "ready", "in_progress")
  if veto then
    return fail(run, definition, view, veto)
  end
  local failure, why = earlier_failure(run, definition)
  if why then
    return fail(run, definition, view, why)
  elseif failure then
    failures.tell(run, definition, "on_retry", failure)
  end
  local word, text, error_text, audit = call(run, definition, view)
  if word == "done" and not error_text and definition.results_validator then
    word, text, error_text, audit = conform(run, definition, view, text)
  end
  veto = word == "done" and not error_text and vetoed(run, "step.complete", "in_progress", "complete", text)
  if veto then
    return fail(run, definition, view, veto)
  end
  if failure and word == "done" and not error_text then
    failures.tell(run, definition, "on_recovered", failure)
  end
  return word, text, error_text, audit
end

--- Runs one attempt, or answers one ask.
-- @tab run as the worker gives it; this function adds `plan`
-- @return "done", results | "failed", error, retryable, delay | "snooze", seconds | "answer", "list" or "child", … | "ask_failed",
-- error; where
-- retry.decide said so: "done", results, error, data of the log | "skip" or "park", error, data of the log
function step.run(run)
  local plan = bound[run.engine] and bound[run.engine][run.definition]
  if type(plan) ~= "table" then
    local why
    plan, why = plan_of(run)
    if not plan then
      return run.attempt == 0 and "ask_failed" or "failed", kept_error.encode(errors.kept(why)), true
    end
  end
  run.plan = plan
  local definition = plan.steps[run.template]
  if run.compensates or run.round then
    definition = (run.round and notification or compensation).of(definition)
    return call(run, definition, step_view.step(run, definition))
  elseif run.attempt == 0 then
    return answer(run, definition)
  end
  local plain = not (definition.is_guarded or rules["step.start"] or rules["step.complete"])
  if not definition.state then
    return (plain and call or guarded)(run, definition, step_view.step(run, definition))
  end
  local word, text, extra, more = (plain and call or guarded)(run, definition, step_view.step(run, definition))
  return word, text, word == "done" and run.next_state or extra, more
end

--- What comes of an attempt that was ended from outside.
-- @tab run
-- @string code "timeout" …
-- @string message
-- @tparam ?string traceback where it was ended
-- @return as run
function step.interrupted(run, code, message, traceback)
  run.plan = plan_of(run)
  if run.attempt == 0 or not run.plan then
    local text = kept_error.encode(errors.kept({ code = code, message = message, retryable = run.attempt > 0 }))
    return run.attempt == 0 and "ask_failed" or "failed", text, true
  end
  local definition = run.plan.steps[run.template]
  if run.compensates or run.round then
    definition = (run.round and notification or compensation).of(definition)
  end
  return fail(run, definition, step_view.step(run, definition), { code = code, message = message }, own_part(traceback))
end

return step
