--- What holds of every history, whatever the workflow: looked up in the log and the tasks of an app.
-- @module tasker.testing.invariants

local invariants = {}

local FINAL_EVENTS = { ["task.completed"] = "complete", ["task.failed"] = "error", ["task.cancelled"] = "cancelled",
  ["task.resolved_manually"] = "resolved_manually" }

local function damage_of(app)
  local found
  local count, err = app.engine:check(function(what)
    found = found or what
  end)
  if not count then
    return tostring(err)
  end
  return count > 0 and found or nil
end

local function step_rule(task, event)
  local known = task.steps[event.step]
  if not known then
    known = { attempt = 0 }
    task.steps[event.step] = known
  end
  if event.event == "step.started" then
    if known.done then
      return ("step '%s' was started again after it was complete"):format(event.step)
    elseif task.final then
      return ("step '%s' was started after its task was %s"):format(event.step, task.final)
    elseif event.attempt and event.attempt <= known.attempt then
      return ("step '%s': attempt %d came after attempt %d"):format(event.step, event.attempt, known.attempt)
    end
    known.attempt = event.attempt or known.attempt
  elseif event.event == "step.completed" then
    if known.done then
      return ("step '%s' was completed twice"):format(event.step)
    end
    known.done = true
  end
  return nil
end

local function task_rule(task, event)
  if event.event == "task.retried" then
    task.final = nil
    for _, known in pairs(task.steps) do
      known.done = nil
    end
  elseif FINAL_EVENTS[event.event] then
    task.final = FINAL_EVENTS[event.event]
  end
  return event.step and step_rule(task, event)
end

local function log_rule(app, tasks)
  local seq = 0
  for _, event in ipairs(assert(app:events())) do
    seq = seq + 1
    if event.seq ~= seq then
      return ("the log has event %d where %d should be"):format(event.seq, seq)
    end
    if event.task_id then
      local task = tasks[event.task_id]
      if not task then
        task = { steps = {} }
        tasks[event.task_id] = task
      end
      local broken = task_rule(task, event)
      if broken then
        return ("event %d of task %s: %s"):format(seq, event.task_id, broken)
      end
    end
  end
  return nil
end

local function end_rule(app, tasks, id)
  local task = assert(app:task(id))
  local final = tasks[id].final
  if final and task.status ~= final then
    return ("task %s is %s, but its last event says %s"):format(id, task.status, final)
  elseif final or task.status == "paused" then
    return nil
  end
  for _, step in ipairs(task.steps) do
    if step.status == "ready" or (step.status == "in_progress" and app.driver:active() == 0) then
      return ("task %s: nothing moves any more, but step '%s' is %s"):format(id, step.name, step.status)
    end
  end
  return nil
end

--- Looks an app over that was drained.
-- @param app
-- @treturn string|nil what is wrong
function invariants.broken(app)
  local tasks = {}
  local wrong = damage_of(app) or log_rule(app, tasks)
  if wrong then
    return wrong
  end
  local ids = {}
  for id in pairs(tasks) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  for _, id in ipairs(ids) do
    wrong = end_rule(app, tasks, id)
    if wrong then
      return wrong
    end
  end
  return nil
end

return invariants
