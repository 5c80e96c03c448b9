--- Reads the log from its start and says where it breaks a promise; and whether its fold is what the store says of a task.
--
--     local fold = Fold.new(declared)          -- what the handlers say of their steps, whose names are all different
--     for each event: problem = fold:add(event)
--     problem = fold:compare(task)             -- a task as `app:task` gives it, with all its steps
-- @module spec.support.fold

local Fold = {}
Fold.__index = Fold

local DONE = { complete = true, skipped = true, resolved_manually = true }
local FINAL = { complete = true, skipped = true, resolved_manually = true, cancelled = true, error = true }

--- @tparam ?table declared by step name: `{ depends_on = { names }, limit = n }`
function Fold.new(declared)
  return setmetatable({ declared = declared or {}, seq = 0, tasks = {}, count = 0 }, Fold)
end

local function step_of(task, name)
  local step = task.steps[name]
  if not step then
    step = { status = "pending", attempts = 0, failures = 0 }
    task.steps[name] = step
  end
  return step
end

--- Whether a step of a task was completed so far.
function Fold:completed(task_id, step)
  local task = self.tasks[task_id]
  return task ~= nil and task.steps[step] ~= nil and task.steps[step].status == "complete"
end

--- The highest attempt of a step that was started so far.
function Fold:started(task_id, step)
  local task = self.tasks[task_id]
  return task and task.steps[step] and task.steps[step].attempts or 0
end

local STEP = {}

STEP["step.started"] = function(self, task, step, event)
  if FINAL[step.status] then
    return "started although it is " .. step.status
  elseif step.status == "in_progress" then
    return "started while it runs"
  elseif event.attempt ~= step.attempts + 1 then
    return ("attempt %d after %d"):format(event.attempt, step.attempts)
  end
  local declared = self.declared[event.step]
  for _, name in ipairs(declared and declared.depends_on or {}) do
    if not DONE[step_of(task, name).status] then
      return ("started before %s was done"):format(name)
    end
  end
  step.status, step.attempts = "in_progress", event.attempt
end

STEP["step.completed"] = function(_, _, step, event)
  if step.status ~= "in_progress" or event.attempt ~= step.attempts then
    return ("attempt %s completed while it is %s in attempt %d"):format(event.attempt, step.status, step.attempts)
  end
  step.status = "complete"
end

STEP["step.failed"] = function(self, _, step, event)
  if step.status ~= "in_progress" or event.attempt ~= step.attempts then
    return ("attempt %s failed while it is %s in attempt %d"):format(event.attempt, step.status, step.attempts)
  end
  if event.data.error and event.data.error.code == "lost" then
    step.status = "lost"
    return nil
  end
  local declared = self.declared[event.step]
  step.failures, step.status = step.failures + 1, "error"
  if declared and declared.limit and step.failures > declared.limit then
    return ("%d failed attempts, the limit is %d"):format(step.failures, declared.limit)
  end
end

STEP["step.retry_scheduled"] = function(_, _, step)
  if step.status ~= "error" and step.status ~= "lost" then
    return "a retry was scheduled while it is " .. step.status
  end
  step.status = "waiting"
end

STEP["step.waiting"] = function(_, _, step) step.status = "waiting" end
STEP["step.released"] = function(_, _, step) step.status = "ready" end
STEP["step.skipped"] = function(_, _, step) step.status = "skipped" end
STEP["step.cancelled"] = function(_, _, step) step.status = "cancelled" end
STEP["step.resolved_manually"] = function(_, _, step) step.status = "resolved_manually" end

local TASK = {
  ["task.started"] = "in_progress", ["task.completed"] = "complete", ["task.failed"] = "error", ["task.cancelled"] = "cancelled",
  ["task.paused"] = "paused", ["task.resumed"] = "in_progress", ["task.retried"] = "in_progress",
  ["task.resolved_manually"] = "resolved_manually",
}
local ENDED = { complete = true, cancelled = true, resolved_manually = true }

--- Takes the next event. Returns nil, or in one sentence what is wrong with it.
function Fold:add(event)
  if event.seq ~= self.seq + 1 then
    return ("event %d follows event %d"):format(event.seq, self.seq)
  end
  self.seq = event.seq
  local task = self.tasks[event.task_id]
  local problem
  if event.event == "task.created" then
    problem = task and "created twice"
    self.tasks[event.task_id] = { status = "pending", steps = {} }
    self.count = self.count + 1
  elseif not task then
    problem = "not created before"
  elseif ENDED[task.status] then
    problem = "its task is " .. task.status
  elseif STEP[event.event] then
    problem = STEP[event.event](self, task, step_of(task, event.step), event)
  elseif TASK[event.event] then
    task.status = TASK[event.event]
  end
  return problem and ("event %d, %s of %s %s: %s"):format(event.seq, event.event, event.task_id, event.step or "", problem)
end

-- What the store may say where the fold says the left: a step without events can be ready or not.
local SAME = {
  pending = { pending = true, ready = true },
  lost = { ready = true, error = true, pending = true },
  waiting = { waiting = true, ready = true },
  ready = { ready = true },
}

--- Compares a task of the store with what the log says of it. Returns nil, or the first difference in one sentence.
function Fold:compare(task)
  local folded = self.tasks[task.task_id]
  if not folded then
    return ("the log does not know task %s"):format(task.task_id)
  elseif folded.status ~= task.status and not (folded.status == "in_progress" and task.status == "pending") then
    return ("task %s is %s, in the log %s"):format(task.task_id, task.status, folded.status)
  end
  for _, step in ipairs(task.steps) do
    local known = folded.steps[step.name] or { status = "pending", attempts = 0 }
    local same = SAME[known.status]
    if known.attempts ~= step.attempts then
      return ("step %s of %s has %d attempts, in the log %d"):format(step.name, task.task_id, step.attempts, known.attempts)
    elseif known.status ~= step.status and not (same and same[step.status]) then
      return ("step %s of %s is %s, in the log %s"):format(step.name, task.task_id, step.status, known.status)
    end
  end
  return nil
end

return Fold
