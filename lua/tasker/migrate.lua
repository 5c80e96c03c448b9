--- Moves live tasks of one version of a handler to another: `app:migrate`.
-- @module tasker.migrate

local core = require "tasker.core"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local semver = require "tasker.semver"
local submission = require "tasker.submission"
local suggest = require "tasker.suggest"
local vetoes = require "tasker.vetoes"

local migrate = {}

local json = core.json

local LIVE = { "pending", "in_progress", "paused", "error" }
local PAGE = 1000
local DEFAULT_WAIT_SECONDS = 30
-- Who pauses a task that runs while it is moved, in the log.
local MOVER = "tasker.migrate"

local function not_version(value)
  return not semver.is_valid(value) and "a semantic version" or nil
end

local OPTIONS = {
  handler = { "string|table" }, from = { "string", not_version }, to = { "string", not_version }, steps = { "table" },
  context = { "function" }, dry_run = { "boolean" }, wait = { "number", check.not_seconds }, reason = { "string", check.not_text },
  by = { "string", check.not_text },
}

-- ---- What the two versions are ----

local function full_name(plan, version)
  return ("%s/%s@%s"):format(plan.namespace, plan.name, version)
end

-- The versions as {source, target, from}: definitions with their steps by name.
local function find_versions(engine, given)
  local namespace, name, version = definitions.parse(given.handler)
  if not namespace then
    return nil, name
  end
  local from, err = engine:find_definition(namespace, name, given.from)
  if err then
    return nil, err
  elseif not from then
    return nil, errors.new("not_found", ("the store has no handler %s/%s@%s"):format(namespace, name, given.from))
  end
  local target
  target, err = definitions.plan(engine, namespace, name, given.to or version)
  if not target then
    return nil, err
  end
  local old = {}
  for _, step in ipairs(assert(json.decode(from.json)).steps) do
    old[step.name] = true
  end
  local new = {}
  for _, step in ipairs(target.steps) do
    new[step.name] = true
  end
  return { namespace = namespace, name = name, from = given.from, target = target, old = old, new = new }
end

-- `steps` as the core takes it: pairs of an old name and a new one, "" for what is dropped.
local function read_steps(versions, steps)
  local renames, becomes = {}, {}
  for old in pairs(versions.old) do
    if steps[old] == nil and versions.new[old] then
      becomes[old] = old
    end
  end
  for old, new in pairs(steps) do
    if not versions.old[old] then
      return errors.invalid("app:migrate: option 'steps' names %s, which is no step of %s%s", check.show(old),
        full_name(versions, versions.from), suggest.hint(old, versions.old))
    elseif new ~= false and type(new) ~= "string" then
      return errors.invalid("app:migrate: option 'steps': '%s' becomes %s; it must become a step's name, or false to drop it", old,
        check.show(new))
    elseif new and not versions.new[new] then
      return errors.invalid("app:migrate: option 'steps': '%s' becomes '%s', which is no step of %s%s", old, new,
        full_name(versions, versions.target.version), suggest.hint(new, versions.new))
    elseif new and becomes[new] then
      return errors.invalid("app:migrate: option 'steps': '%s' and '%s' would both become '%s'", old, becomes[new], new)
    end
    if new then
      becomes[new] = old
    end
    renames[#renames + 1] = { old, new or "" }
  end
  table.sort(renames, function(a, b) return a[1] < b[1] end)
  return renames
end

-- ---- One task ----

-- The context that the task is to have: nil when it stays, or nil and why it cannot be.
local function new_context(self, move, id)
  if not move.context then
    return nil
  end
  local task, err = self:task(id)
  if not task then
    return nil, err
  end
  local ok, value, why = pcall(move.context, task.context, task)
  if not ok then
    return nil, errors.new("refused", ("the context function raised: %s"):format(errors.kept(value).message))
  elseif value == nil then
    return nil, why and errors.new("refused", ("the context function: %s"):format(errors.kept(why).message)) or nil
  elseif type(value) ~= "table" then
    return nil, errors.new("refused", ("the context function returned %s, not a table"):format(check.show(value)))
  end
  local text
  text, why = submission.encode_context(move.versions.target, value)
  return text, not text and errors.new("refused", "the new " .. why.message, why.details) or nil
end

local function vetoed(self, move, id)
  if move.dry_run or not vetoes.rules["task.migrate"] then
    return nil
  end
  local veto = vetoes.ask { event = "task.migrate", task = self:task(id), from = move.versions.from, to = move.versions.target.version }
  return veto and errors.new("refused", veto.message)
end

local function ask(self, move, id)
  local context, err = new_context(self, move, id)
  err = err or vetoed(self, move, id)
  if err then
    return nil, err
  end
  return self.engine:migrate {
    id = id, definition = move.versions.target.number, from = move.versions.from, renames = move.renames, context = context,
    dry = move.dry_run, audit = move.audit,
  }
end

local function is_busy(err)
  return type(err.details) == "table" and err.details.busy == true
end

local function refused(entry, err)
  entry.outcome, entry.reason = "refused", err.message
  entry.step = type(err.details) == "table" and type(err.details.step) == "string" and err.details.step or nil
end

-- Was the task paused by a migration that did not come to its end?
local function paused_by_us(engine, id)
  local text = engine:events(0, id, nil, { "task.paused" })
  local events = text and json.decode(text) or {}
  local last = events[#events]
  return last ~= nil and last.data.by == MOVER
end

-- Moves a task whose steps run: it is paused until they have ended. Bounded by the deadline.
local function move_running(self, move, entry, deadline)
  local engine, id = self.engine, entry.task_id
  local audit = json.encode { reason = "its migration", by = MOVER }
  local ours = entry.status == "paused" and paused_by_us(engine, id) or engine:event { type = "pause", id = id, audit = audit }
  local ok, err
  repeat
    ok, err = ask(self, move, id)
    local left = deadline - core.monotonic()
  until ok or not is_busy(err) or left <= 0 or engine:wait_log(left) == nil
  if ours then
    engine:event { type = "resume", id = id, audit = audit }
  end
  return ok, err
end

local function note(report, entry, ok, err)
  if ok then
    entry.outcome = report.dry_run and "moves" or "moved"
  elseif is_busy(err) then
    entry.outcome, entry.reason = report.dry_run and "waits" or "busy", err.message
  else
    refused(entry, err)
  end
  report[entry.outcome] = (report[entry.outcome] or 0) + 1
end

-- ---- All tasks ----

local function live_tasks(self, versions, status)
  local found, cursor = {}, nil
  repeat
    local list
    list, cursor = self:tasks { namespace = versions.namespace, name = versions.name, status = status, limit = PAGE, cursor = cursor }
    if not list then
      return nil, cursor
    end
    for _, task in ipairs(list) do
      if task.version == versions.from then
        found[#found + 1] = { task_id = task.task_id, status = task.status }
      end
    end
  until not cursor
  return found
end

local function move_all(self, move, report)
  local busy = {}
  for _, status in ipairs(LIVE) do
    local list, err = live_tasks(self, move.versions, status)
    if not list then
      return nil, err
    end
    for _, entry in ipairs(list) do
      report.tasks[#report.tasks + 1] = entry
      local ok
      ok, err = ask(self, move, entry.task_id)
      if not ok and err.code ~= "refused" then
        return nil, err
      elseif not ok and is_busy(err) and not report.dry_run then
        busy[#busy + 1] = entry
      else
        if ok and entry.status == "paused" and not report.dry_run and paused_by_us(self.engine, entry.task_id) then
          self.engine:event { type = "resume", id = entry.task_id, audit = json.encode { by = MOVER } }
        end
        note(report, entry, ok, err)
      end
    end
  end
  local deadline = core.monotonic() + move.wait
  for _, entry in ipairs(busy) do
    note(report, entry, move_running(self, move, entry, deadline))
  end
  return report
end

--- Moves the live tasks (pending, in progress, paused, in error) of a version to another one, each in a commit of its own: what was
-- done stays done, what was not begun is judged by the new version. Can be repeated at any time: what was moved is of the new
-- version. With `dry_run` nothing changes.
-- @tab options `handler`; `from`, a version; `to`, a version, the highest unless given; `steps`: what old steps become, `{old =
-- "new"}`, or `false` for one that goes with what came of it; `context`: `function(context, task)` that returns the new context;
-- `dry_run`; `wait`: seconds in which what runs may end (30), for which its task is paused; `reason`, `by`: for the log
-- @treturn table|nil `{handler, from, to, dry_run, tasks = {{task_id, status, outcome, reason, step}}, moves|moved, refused,
-- waits|busy}`; outcome is "moves" or "moved", "refused" with the reason, "waits" (dry: its steps run) or "busy" (they still do)
-- @return err `not_found` or `invalid`
local function migrate_tasks(self, options)
  check.type(options, "table", "app:migrate: options", 2)
  local ok, err = check.options(options, OPTIONS, "app:migrate: option", 2)
  if not ok then
    return nil, err
  end
  if type(options.handler) == "table" and not handler.is_handler(options.handler) or options.handler == nil or options.from == nil then
    error("app:migrate: options 'handler' (a name or what tasker.handler returned) and 'from' (a version) are needed", 2)
  elseif not self.engine then
    return errors.closed(self)
  end
  local versions
  versions, err = find_versions(self.engine, options)
  if not versions then
    return nil, err
  end
  local renames
  renames, err = read_steps(versions, options.steps or {})
  if not renames then
    return nil, err
  end
  local audit = (options.reason or options.by) and json.encode { reason = options.reason, by = options.by } or nil
  local move = { versions = versions, renames = renames, context = options.context, dry_run = options.dry_run, audit = audit,
    wait = options.wait or DEFAULT_WAIT_SECONDS }
  return move_all(self, move, {
    handler = versions.namespace .. "/" .. versions.name, from = versions.from, to = versions.target.version,
    dry_run = options.dry_run == true, tasks = {}, refused = 0,
  })
end

--- Adds its method to the app's.
-- @tab App
function migrate.install(App)
  App.migrate = migrate_tasks
end

return migrate
