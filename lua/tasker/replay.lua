--- Replay: runs code against what a task at its end recorded, and tells where it would have gone another way. Nothing of it is
-- committed: apps refuse to write meanwhile, `tasker.sleep` does not wait. What a step does beyond the store it does again.
-- @module tasker.replay

local core = require "tasker.core"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local failures = require "tasker.failures"
local handler = require "tasker.handler"
local registry = require "tasker.registry"
local step = require "tasker.step"
local step_kinds = require "tasker.step_kinds"
local step_view = require "tasker.step_view"

local replay = {}

local json = core.json
local null = json.null

local ENDS = { complete = true, error = true, cancelled = true, resolved_manually = true }

-- ---- Comparing ----

local function pointer(path, key)
  if type(key) == "number" then
    return path .. "/" .. key - 1
  end
  return path .. "/" .. key:gsub("~", "~0"):gsub("/", "~1")
end

local function keys_of(a, b)
  local keys, seen = {}, {}
  for _, values in ipairs { a, b } do
    for key in next, values do
      if not seen[key] then
        seen[key] = true
        keys[#keys + 1] = key
      end
    end
  end
  table.sort(keys, function(x, y)
    return type(x) == type(y) and x < y or type(x) == "number" and type(y) ~= "number"
  end)
  return keys
end

-- Where two JSON values first differ: a JSON Pointer and both; nil when they do not.
local function difference(a, b, path)
  if a == b then
    return nil
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return path, a, b
  end
  for _, key in ipairs(keys_of(a, b)) do
    local where, x, y = difference(a[key], b[key], pointer(path, key))
    if where then
      return where, x, y
    end
  end
  if next(a) == nil and next(b) == nil and json.encode(a) ~= json.encode(b) then
    return path, a, b
  end
  return nil
end

-- ---- The recording, as the engine that a step reads from ----

local Recorded = {}
Recorded.__index = Recorded

function Recorded:payload(_, index, which)
  local recorded = self.by_name[self.plan.steps[index].name]
  local value = recorded and recorded[which]
  if value == nil or (value == null and which ~= "results") then
    return nil
  end
  return json.encode(value)
end

function Recorded:info()
  return json.encode(self.record)
end

function Recorded:context()
  return json.encode(self.record.context)
end

function Recorded:annotations()
  return json.encode(self.record.annotations)
end

function Recorded:item(_, ordinal)
  return json.encode(self.items[ordinal])
end

function Recorded.heartbeat() end
function Recorded.annotate_step() end
function Recorded.log_step() end

local function read_recording(engine, id)
  local text, err = engine:task(id, "all")
  if not text then
    return nil, err
  end
  local record = json.decode(text)
  if not ENDS[record.status] then
    return nil, errors.new("refused", ("task %s is %s: only a task at its end can be replayed"):format(id, record.status))
  end
  local recording = setmetatable({ record = record, by_name = {}, order = {} }, Recorded)
  for i, recorded in ipairs(record.steps) do
    recorded.place = i
    recording.by_name[recorded.name] = recorded
    if not recorded.name:find("[", 1, true) then
      recording.order[#recording.order + 1] = recorded
    end
  end
  local function ended(recorded)
    return recorded.completed_at == null and "~" or recorded.completed_at
  end
  table.sort(recording.order, function(a, b)
    return ended(a) < ended(b) or ended(a) == ended(b) and a.place < b.place
  end)
  return recording
end

-- ---- One step ----

local function new_run(recording, index, attempt, recorded)
  local run = {
    engine = recording, task_no = 0, task_id = recording.record.task_id, definition = 1, step = index, template = index,
    attempt = attempt, failures = math.max(attempt - 1, 0), task_attempt = recording.record.attempt_of_task,
    priority = recording.record.priority, has_inputs = recorded and recorded.inputs ~= null,
    has_progress = recorded and recorded.progress ~= null,
  }
  for _, hook in ipairs(failures.HOOKS) do
    run[hook] = true   -- told already: hooks are for effects
  end
  return run
end

local function message_of(text)
  local kept = json.decode(text)
  return ("%s: %s"):format(kept.code, kept.message)
end

-- Compares what an attempt brings with what was recorded.
local function compare_run(recorded, note, word, text)
  if recorded.status == "error" then
    if word == "done" then
      note { kind = "completes", recorded = recorded.error, now = json.decode(text), message = "it failed, and would complete now" }
    end
  elseif word == "failed" or word == "park" or word == "skip" then
    note { kind = "fails", recorded = recorded.results, message = "it was complete, and would fail now: " .. message_of(text) }
  elseif word == "snooze" then
    note { kind = "snoozes", recorded = recorded.results, message = "it was complete, and would snooze now" }
  else
    local path, was, now = difference(recorded.results, json.decode(text), "")
    if path then
      note { kind = "results", path = path, recorded = was, now = now,
        message = ("its results differ at '%s': %s was recorded, now it is %s"):format(path, was == nil and "nothing" or
        json.encode(was), now == nil and "nothing" or json.encode(now)) }
    end
  end
end

local function run_elements(recording, index, recorded, pages, note)
  recording.items = {}
  for line in pages:gmatch("[^\n]+") do
    for _, item in ipairs(json.decode(line)) do
      recording.items[#recording.items + 1] = item
    end
  end
  if recorded.instances and #recording.items ~= recorded.instances then
    note { kind = "elements", recorded = recorded.instances, now = #recording.items,
      message = ("it had %d elements, and would have %d now"):format(recorded.instances, #recording.items) }
    return
  end
  for n = 1, #recording.items do
    local element = recording.by_name[("%s[%d]"):format(recorded.name, n)]
    if element and (element.status == "complete" or element.status == "error") then
      local run = new_run(recording, index, math.max(element.attempts, 1), recorded)
      run.ordinal, run.items = n, 1
      compare_run(element, function(divergence)
        divergence.step = element.name
        note(divergence)
      end, step.run(run))
    end
  end
end

-- Compares the answer of an ask; true: the step's attempt is to be compared too.
local function compare_answer(definition, recorded, note, word, inputs, what, name)
  if word == "ask_failed" then
    if recorded.status ~= "error" then
      note { kind = "fails", message = "it was complete, and would fail now: " .. message_of(inputs) }
    end
    return false
  elseif what == false then
    note { kind = "skipped", recorded = recorded.results, message = "it ran, and would be skipped now" }
    return false
  end
  local path, was, now = difference(recorded.inputs, json.decode(inputs or "null"), "")
  if path then
    note { kind = "inputs", path = path, recorded = was, now = now, message = ("its inputs differ at '%s'"):format(path) }
  end
  if definition.switch and json.encode(recorded.results) ~= name then
    note { kind = "branch", recorded = recorded.results, now = json.decode(name),
      message = ("it took the branch %s, and would take %s now"):format(json.encode(recorded.results), name) }
  end
  return not definition.switch
end

-- A step that was skipped because its own `when` said so, as far as the recording tells.
local function was_refused(recording, definition)
  if not definition.when then
    return false
  end
  for _, other in ipairs(recording.plan.steps) do
    for _, case in ipairs(other.cases or {}) do
      for _, name in ipairs(case.steps) do
        if name == definition.name then
          return false
        end
      end
    end
  end
  for _, name in ipairs(recording.record.bypass_steps) do
    if name == definition.name then
      return false
    end
  end
  for _, name in ipairs(definition.depends_on) do
    local dependency = recording.by_name[name]
    if not dependency or dependency.status ~= "complete" then
      return false
    end
  end
  return true
end

local function replay_skipped(recording, definition, note)
  if not was_refused(recording, definition) then
    return false
  end
  local word, text, what = step.run(new_run(recording, definition.index, 0))
  if word == "ask_failed" then
    note { kind = "fails", message = "it was skipped, and would fail now: " .. message_of(text) }
  elseif what ~= false then
    note { kind = "runs", message = "it was skipped, and would run now" }
  end
  return true
end

local function replay_ended(recording, definition, recorded, note)
  local index = definition.index
  if definition.approval or definition.sleep_function then
    return false
  elseif step_kinds.asks(definition) then
    local word, inputs, what, name = step.run(new_run(recording, index, 0))
    if not compare_answer(definition, recorded, note, word, inputs, what, name) then
      return true
    elseif word == "list" then
      run_elements(recording, index, recorded, name, note)
      return true
    end
  end
  if definition.run and recorded.attempts > 0 then
    compare_run(recorded, note, step.run(new_run(recording, index, recorded.attempts, recorded)))
    return true
  end
  return false
end

-- True: something of the step was compared.
local function replay_step(recording, recorded, note)
  local index = recording.plan.index_of[recorded.name]
  local definition = index and recording.plan.steps[index]
  if not definition then
    if recorded.status ~= "pending" and recorded.status ~= "cancelled" then
      note { kind = "missing", recorded = recorded.results, message = ("it was %s, and the code has no such step"):format(recorded.status) }
    end
    return true
  elseif recorded.status == "skipped" then
    return replay_skipped(recording, definition, note)
  elseif recorded.status == "complete" or recorded.status == "error" then
    return replay_ended(recording, definition, recorded, note)
  end
  return false
end

-- ---- The whole task ----

local function replay_all(recording, report)
  local name
  local function note(divergence)
    divergence.step = divergence.step or name
    report.divergences[#report.divergences + 1] = divergence
  end
  for _, recorded in ipairs(recording.order) do
    name = recorded.name
    report.compared = report.compared + (replay_step(recording, recorded, note) and 1 or 0)
  end
  for _, definition in ipairs(recording.plan.steps) do
    name = definition.name
    if not recording.by_name[name] then
      note { kind = "new", message = "it is new: nothing of it was recorded" }
    end
  end
  report.divergence = report.divergences[1]
end

-- Calls fn while nothing can be written and nothing waits.
local function without_effects(fn, ...)
  local restore = require("tasker.client").guard("nothing is committed while a task is replayed")
  local sleep = core.sleep
  core.sleep = function() end
  local ok, why = pcall(fn, ...)
  core.sleep = sleep
  restore()
  if not ok then
    error(why, 0)
  end
end

local OPTIONS = { handler = { "string|table" }, file = { "string", check.not_key } }

local function best_of(handlers, namespace, name)
  local best
  for _, one in ipairs(handlers) do
    local same = one.namespace == namespace and one.name == name
    if same and (not best or core.semver_compare(one.version, best.version) > 0) then
      best = one
    end
  end
  return best
end

-- The code to replay with.
local function find_code(options, record)
  local where = ("%s/%s"):format(record.namespace, record.name)
  if options.file then
    local handlers, err = require("tasker.loader").load_apart(options.file)
    if not handlers then
      return nil, err
    end
    local best = best_of(handlers, record.namespace, record.name)
    return best, not best and errors.new("not_found", ("%s defines no handler %s"):format(options.file, where)) or nil
  elseif type(options.handler) == "table" then
    return options.handler
  end
  local namespace, name, version = definitions.parse(options.handler or where)
  if not namespace then
    return nil, name
  end
  local found = registry.find(namespace, name, version)
  return found, not found and errors.new("not_found", ("no handler '%s' is defined here"):format(options.handler or where)) or nil
end

--- Runs code against the recorded inputs and results of a task at its end: each step sees what it saw then, and what it brings is
-- compared with what it brought.
-- @string id
-- @tab[opt] options `handler` (what tasker.handler returned, or its name) or `file`; else the handler of that name in this state
-- @treturn table|nil `{task_id, recorded, code, compared, divergences = {{step, kind, path, recorded, now, message}, …}, divergence}`:
-- `divergence` is the first one, nil when there is none
-- @return err `refused` when the task is not at its end, `not_found`, `invalid`
local function replay_task(self, id, options)
  check.type(id, "string", "app:replay: the id", 2)
  check.type(options, "table|nil", "app:replay: options", 2)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "app:replay: option", 2)
  if not ok then
    return nil, err
  elseif options.handler and options.file then
    return errors.invalid("app:replay: options 'handler' and 'file' exclude each other")
  elseif type(options.handler) == "table" and not handler.is_handler(options.handler) then
    error("app:replay: option 'handler' must be a name or what tasker.handler returned", 2)
  elseif core.run() then
    error("app:replay cannot be called inside a step", 2)
  elseif not self.engine then
    return errors.closed(self)
  end
  local recording, code
  recording, err = read_recording(self.engine, id)
  if not recording then
    return nil, err
  end
  code, err = find_code(options, recording.record)
  if not code then
    return nil, err
  end
  recording.plan = step_view.plan(code)
  step.bind(recording, 1, recording.plan)
  local record = recording.record
  local report = { task_id = record.task_id, recorded = ("%s/%s@%s"):format(record.namespace, record.name, record.version),
    code = tostring(code), compared = 0, divergences = {} }
  without_effects(replay_all, recording, report)
  return report
end

--- Adds its method to the app's.
-- @tab App
function replay.install(App)
  App.replay = replay_task
end

return replay
