--- A task as people read it: drawn as a tree of steps on a terminal, as plain stable lines elsewhere.
-- @module tasker.cli.support.task_text

local columns = require "tasker.cli.support.columns"
local format = require "tasker.cli.support.format"
local layout = require "tasker.cli.support.layout"
local term = require "tasker.cli.support.term"

local task_text = {}

local COLLAPSE_ABOVE = 40     -- steps; fewer are all drawn
local NAME_COLUMNS = 36       -- of marks and names, before what is said about a step
local DEPENDENCIES_SHOWN = 4

-- Null fields of a record are absent in Lua.
local function without_nulls(record, null)
  for key, value in pairs(record) do
    if value == null then
      record[key] = nil
    end
  end
  return record
end

--- A task's JSON text as a table; null fields of the task and its steps are absent.
-- @string text
-- @treturn table
function task_text.decode(text)
  local json = require("tasker.core").json
  local task = without_nulls(assert(json.decode(text)), json.null)
  for _, step in ipairs(task.steps or {}) do
    without_nulls(step, json.null)
    if step.error then
      without_nulls(step.error, json.null)
    end
  end
  return task
end

--- `shop/order@1.0.0`
function task_text.handler(task)
  return ("%s/%s@%s"):format(task.namespace, task.name, task.version)
end

local function encode(value)
  return term.clean(require("tasker.core").json.encode(value))
end

local function is_empty(value)
  return type(value) == "table" and next(value) == nil
end

--- `card declined (declined)`: the first line, and the code where it says more than "error".
-- @tab err an error of a step
function task_text.error_line(err)
  local message = term.first_line(tostring(err.message or "no message"))
  local code = err.code
  return type(code) == "string" and code ~= "error" and ("%s (%s)"):format(message, term.clean(code)) or message
end

--- What failed, in one line: `step 'charge': card declined`; nil when no step is in error.
-- @tab task
function task_text.failure(task)
  local failed, first = 0, nil
  for _, step in ipairs(task.steps) do
    if step.status == "error" then
      failed, first = failed + 1, first or step
    end
  end
  if not first then
    return nil
  end
  local text = ("step '%s': %s"):format(first.name, first.error and task_text.error_line(first.error) or "no error was kept")
  return failed > 1 and ("%s, and %d more in error"):format(text, failed - 1) or text
end

-- Seconds that a step or task took, or has taken until now.
local function took(record, from, now)
  local started = format.epoch(record[from])
  if not started then
    return nil
  end
  local ended = format.epoch(record.completed_at) or now
  return ended and math.max(ended - started, 0) or nil
end

--- `complete in 1.2 s`, `in progress for 3 s`, `pending`.
-- @tab task
-- @number now
function task_text.summary(task, now)
  local words = format.status(task.status)
  local seconds = took(task, "started_at", now)
  if task.completed_at and seconds then
    return ("%s %s %s"):format(words, task.status == "complete" and "in" or "after", format.duration(seconds))
  elseif seconds and task.status == "in_progress" then
    return ("%s for %s"):format(words, format.age(seconds))
  end
  return words
end

local function approval_note(approval, now)
  local deadline = format.epoch(approval.deadline)
  return ("waits for approval, %d of %d agree%s"):format(approval.approvals, approval.required,
    deadline and ", ends " .. format.relative(deadline, now) or "")
end

-- What a step waits for, in human time.
local function waiting_note(step, now)
  if type(step.approval) == "table" then
    return approval_note(step.approval, now)
  end
  local at = format.epoch(step.next_attempt_at)
  local when = at and " " .. format.relative(at, now) or ""
  if step.waiting_for == "retry" then
    return ("retry%s (attempt %d)"):format(when, step.attempts + 1)
  elseif step.waiting_for == "timer" then
    return "sleeps, goes on" .. when
  elseif step.waiting_for == "child" and step.child_task_id then
    return ("waits for child %s%s"):format(step.child_task_id, when)
  end
  return ("waits for %s%s"):format((step.waiting_for or "something"):gsub("_", " "), when)
end

local STATUS_NOTES = {
  pending = false, complete = false, ready = "ready", error = "in error", cancelled = "cancelled",
  skipped = "skipped", resolved_manually = "resolved manually",
}

local STATUS_NOTES_OF_UNDO = { ready = "ready", in_progress = "running", waiting = "waiting to be retried", error = "failed" }

local function notes_of(screen, step, now)
  local notes = {}
  if step.status == "waiting" then
    notes[1] = waiting_note(step, now)
  elseif step.status == "in_progress" then
    local since = format.epoch(step.last_attempted_at)
    notes[1] = "running" .. (since and " for " .. format.age(math.max(now - since, 0)) or "")
  elseif STATUS_NOTES[step.status] then
    notes[1] = STATUS_NOTES[step.status]
  end
  if step.waiting_for ~= "retry" and (step.attempts > 1 or step.status == "error" and step.attempts == 1) then
    notes[#notes + 1] = format.plural(step.attempts, "attempt")
  end
  if type(step.compensation) == "table" then
    local status = step.compensation.status
    notes[#notes + 1] = status == "complete" and "compensated" or "compensation " .. STATUS_NOTES_OF_UNDO[status]
  end
  local dependencies = step.depends_on
  if #dependencies > 1 then
    local shown = table.concat(dependencies, ", ", 1, math.min(#dependencies, DEPENDENCIES_SHOWN))
    local more = #dependencies - DEPENDENCIES_SHOWN
    notes[#notes + 1] = ("%s %s%s"):format(screen.signs.after, shown, more > 0 and (" and %d more"):format(more) or "")
  end
  return notes
end

local function add_error(screen, lines, below, step, verbose)
  local room = math.max(screen.columns - term.width(below), 20)
  if not verbose then
    lines[#lines + 1] = below .. screen:paint(screen:fit(task_text.error_line(step.error), room), "red")
    return
  end
  local text = tostring(step.error.message or "no message")
  if step.error.code then
    text = text .. ("\n(code %s%s)"):format(step.error.code, step.error.retryable == false and ", not retryable" or "")
  end
  if step.error.details ~= nil then
    text = text .. "\n" .. encode(step.error.details)
  end
  for line in text:gmatch "[^\r\n]+" do
    lines[#lines + 1] = below .. screen:paint(term.clean(line), "red")
  end
  for line in tostring(step.error.traceback or ""):gmatch "[^\r\n]+" do
    lines[#lines + 1] = below .. screen:paint(term.clean(line), "dim")
  end
end

local function name_columns(rows)
  local width = 0
  for _, row in ipairs(rows) do
    if not row.omitted then
      width = math.max(width, term.width(row.prefix) + 2 + #row.step.name)
    end
  end
  return math.min(width, NAME_COLUMNS)
end

local function draw_step(screen, lines, row, width, now, verbose)
  local step = row.step
  local head = screen:paint(row.prefix, "dim") .. screen:mark(step.status) .. " "
    .. screen:paint(step.name, step.status == "pending" and "dim" or nil)
  local notes = notes_of(screen, step, now)
  local seconds = step.status ~= "in_progress" and step.completed_at and took(step, "started_at")
  if seconds then
    table.insert(notes, 1, format.duration(seconds))
  end
  local used = term.width(row.prefix) + 2 + #step.name
  local said = table.concat(notes, " " .. screen.signs.dot .. " ")
  if said ~= "" then
    local padding = (" "):rep(math.max(width - used, 0) + 2)
    said = padding .. screen:paint(screen:fit(said, math.max(screen.columns - math.max(used, width) - 4, 20)), "dim")
  end
  lines[#lines + 1] = "  " .. head .. said
  if step.error and step.status ~= "complete" then
    add_error(screen, lines, "  " .. screen:paint(row.below, "dim"), step, verbose)
  end
end

local function draw_steps(screen, lines, task, now, verbose)
  local rows = layout.rows(task.steps, screen.signs)
  if #rows > COLLAPSE_ABOVE and not verbose then
    rows = layout.collapse(rows)
  end
  local width = name_columns(rows)
  for _, row in ipairs(rows) do
    if row.omitted then
      local text = ("%s %s more %s"):format(screen.signs.ellipsis, format.count(row.omitted), format.status(row.step.status))
      lines[#lines + 1] = "  " .. screen:paint(row.prefix .. text .. " (--verbose shows all)", "dim")
    else
      draw_step(screen, lines, row, width, now, verbose)
    end
  end
end

local function facts_of(task, now)
  local facts = {}
  local function add(name, text)
    facts[#facts + 1] = { name, text }
  end
  if not is_empty(task.context) then
    add("context", encode(task.context))
  end
  local created = format.epoch(task.created_at)
  local by = task.initiator ~= "unknown" and " by " .. term.clean(task.initiator) or ""
  add("created", ("%s (%s)%s"):format(format.local_time(created), format.relative(created, now), by))
  local run_at = format.epoch(task.run_at)
  if run_at and run_at > now then
    add("starts", ("%s (%s)"):format(format.local_time(run_at), format.relative(run_at, now)))
  end
  if task.queue ~= "default" or task.priority ~= 0 then
    add("queue", ("%s, priority %d"):format(task.queue, task.priority))
  end
  if not is_empty(task.tags) then
    add("tags", term.clean(table.concat(task.tags, ", ")))
  end
  if task.parent_task_id then
    add("parent", task.parent_task_id)
  end
  if task.reason ~= "unknown" then
    add("reason", term.clean(task.reason))
  end
  local names = {}
  for name in pairs(task.annotations) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add("note", ("%s = %s"):format(term.clean(name), encode(task.annotations[name])))
  end
  return facts
end

--- The command that most likely comes next, or nil.
-- @tab task from `task_text.decode`
-- @treturn string|nil
function task_text.advice(task)
  local id = task.task_id
  if task.status == "error" then
    return ("tasker-lua retry %s gives its failed steps a fresh set of attempts"):format(id)
  elseif task.status == "paused" then
    return ("tasker-lua resume %s lets it go on"):format(id)
  elseif task.status == "pending" or task.status == "in_progress" then
    for _, step in ipairs(task.steps) do
      if step.status == "in_progress" or step.status == "waiting" then
        return nil
      end
    end
    return not task.run_at and "nothing of it runs; tasker-lua worker FILE works on it" or nil
  end
  return nil
end

local COUNTED = { "complete", "in_progress", "ready", "waiting", "pending", "error", "cancelled", "skipped", "resolved_manually" }

local function counts_line(task)
  local counts, parts = {}, {}
  for _, step in ipairs(task.steps) do
    counts[step.status] = (counts[step.status] or 0) + 1
  end
  for _, status in ipairs(COUNTED) do
    if counts[status] then
      parts[#parts + 1] = ("%s %s"):format(format.count(counts[status]), format.status(status))
    end
  end
  return format.plural(#task.steps, "step") .. ": " .. table.concat(parts, ", ")
end

--- Draws a task for a terminal.
-- @tab screen from `term.out` or `term.err`
-- @tab task from `task_text.decode`
-- @number now epoch seconds
-- @tparam bool|nil verbose whole errors with tracebacks, and every step of a large task
-- @treturn string lines, each ended
function task_text.draw(screen, task, now, verbose)
  local summary = screen:paint(task_text.summary(task, now), term.color_of(task.status))
  local lines = {
    ("%s %s  %s"):format(screen:mark(task.status), screen:paint(task_text.handler(task), "bold"), summary),
    "  " .. screen:paint(task.task_id, "dim"),
  }
  for _, fact in ipairs(facts_of(task, now)) do
    local text = verbose and fact[2] or screen:fit(fact[2], math.max(screen.columns - 12, 20))
    lines[#lines + 1] = ("  %s %s"):format(screen:paint(term.pad(fact[1], 8), "dim"), text)
  end
  lines[#lines + 1] = ""
  draw_steps(screen, lines, task, now, verbose)
  lines[#lines + 1] = ""
  lines[#lines + 1] = "  " .. screen:paint(counts_line(task), "dim")
  return table.concat(lines, "\n") .. "\n"
end

local PLAIN_FIELDS = {
  "task_id", "status", "queue", "priority", "initiator", "source_system", "reason", "run_at", "created_at", "started_at", "completed_at",
}

--- A task as plain lines, `field: value`, then a table of its steps in the order of their definition.
-- @tab task from `task_text.decode`
-- @tparam bool|nil verbose with tracebacks
-- @treturn string lines, each ended
function task_text.plain(task, verbose)
  local lines = { "handler: " .. task_text.handler(task) }
  for _, name in ipairs(PLAIN_FIELDS) do
    if task[name] ~= nil then
      lines[#lines + 1] = ("%s: %s"):format(name, term.clean(tostring(task[name])))
    end
  end
  for _, name in ipairs { "tags", "bypass_steps", "annotations" } do
    if not is_empty(task[name]) then
      lines[#lines + 1] = ("%s: %s"):format(name, encode(task[name]))
    end
  end
  lines[#lines + 1] = "context: " .. encode(task.context)
  lines[#lines + 1] = ""
  local rows = {}
  for i, step in ipairs(task.steps) do
    local seconds = step.completed_at and took(step, "started_at")
    rows[i] = {
      step.name, step.status, tostring(step.attempts), seconds and ("%.6f"):format(seconds) or "-",
      step.waiting_for and ("%s %s"):format(step.waiting_for, step.next_attempt_at or ""):gsub("%s+$", "") or "-",
      #step.depends_on > 0 and table.concat(step.depends_on, ",") or "-",
    }
  end
  local titles = {}
  for i, title in ipairs { "STEP", "STATUS", "ATTEMPTS", "SECONDS", "WAITS_FOR", "DEPENDS_ON" } do
    titles[i] = { title = title }
  end
  local text = table.concat(lines, "\n") .. "\n" .. columns.draw(term.plain, titles, rows)
  lines = {}
  for _, step in ipairs(task.steps) do
    if step.error then
      lines[#lines + 1] = ("error: %s: %s"):format(step.name, task_text.error_line(step.error))
      if verbose and step.error.traceback then
        lines[#lines + 1] = tostring(step.error.traceback):gsub("[^\n]+", function(line) return "  " .. term.clean(line) end)
      end
    end
  end
  return text .. (#lines > 0 and "\n" .. table.concat(lines, "\n") .. "\n" or "")
end

return task_text
