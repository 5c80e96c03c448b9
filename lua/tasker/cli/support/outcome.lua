--- How a task that is waited for ended: its exit code and its one line.
-- @module tasker.cli.support.outcome

local format = require "tasker.cli.support.format"
local task_text = require "tasker.cli.support.task_text"
local term = require "tasker.cli.support.term"

local outcome = {}

local EXIT_CODES = { complete = 0, resolved_manually = 0, error = 3, cancelled = 4 }

--- The exit code for a task that was not final in time.
outcome.TIMEOUT = 5

local HINT_AFTER = 2      -- seconds without a worker

--- The task's JSON text; ends the command with 1 when it cannot be read.
-- @tab engine
-- @string id
-- @treturn string
function outcome.task_json(engine, id)
  local text, err = engine:task(id)
  if not text then
    error(err, 0)
  end
  return text
end

-- Whether no step of it runs or will start by itself: then somebody has to start a worker.
local function is_stranded(task, now)
  if task.status ~= "pending" and task.status ~= "in_progress" then
    return false
  end
  local run_at = format.epoch(task.run_at)
  if run_at and run_at > now then
    return false
  end
  for _, step in ipairs(task.steps) do
    if step.status == "in_progress" or step.status == "waiting" then
      return false
    end
  end
  return true
end

local function quoted(text)
  return text:find("[^%w_@%%+=:,./-]") and "'" .. text:gsub("'", "'\\''") .. "'" or text
end

local function hint(ctx, engine, id, files)
  local task = task_text.decode(outcome.task_json(engine, id))
  if not is_stranded(task, require("tasker.core").now()) then
    return false
  end
  local words = { "tasker-lua", "worker" }
  for _, file in ipairs(#files > 0 and files or { "FILE" }) do
    words[#words + 1] = quoted(file)
  end
  if task.queue ~= "default" then
    words[#words + 1] = "--queue " .. task.queue
  end
  words[#words + 1] = "--store " .. quoted(ctx.store_path())
  ctx.err(("tasker-lua: no worker has taken %s yet; start one: %s\n"):format(task_text.handler(task), table.concat(words, " ")))
  return true
end

--- Waits until a task is final.
-- @tab ctx the command's context
-- @tab engine
-- @string id
-- @tparam number|nil seconds at most; nil: forever
-- @tparam {string,...} files handler files for the hint how to start a worker
-- @treturn bool whether it is final
function outcome.wait(ctx, engine, id, seconds, files)
  local now = require("tasker.core").now
  local deadline = seconds and now() + seconds
  local hinted = false
  while true do
    local left = deadline and math.max(deadline - now(), 0)
    local slice = hinted and left or math.min(left or HINT_AFTER, HINT_AFTER)
    local status, err = engine:wait(id, slice)
    if status then
      return true
    elseif err.code ~= "timeout" then
      error(err, 0)
    elseif deadline and now() >= deadline then
      return false
    elseif not hinted then
      hinted = hint(ctx, engine, id, files)
    end
  end
end

--- Says on stderr how a task ended (drawn on a terminal, else a line when it did not go well); returns the exit code.
-- @tab ctx the command's context
-- @string json the task's
-- @tparam number|nil waited the seconds after which waiting was given up, when it is not final
-- @tparam bool|nil quiet says nothing of a task that went well
-- @treturn int
function outcome.report(ctx, json, waited, quiet)
  local task = task_text.decode(json)
  local screen = term.err(ctx)
  local code = EXIT_CODES[task.status] or outcome.TIMEOUT
  if screen.is_tty and not (quiet and code == 0) then
    ctx.err(task_text.draw(screen, task, require("tasker.core").now()))
  end
  if code == outcome.TIMEOUT then
    ctx.fail(ctx.name, ("task %s is not final%s: it is %s"):format(
      task.task_id, waited and " after " .. format.age(waited) or "", format.status(task.status)))
  elseif code == 3 then
    ctx.fail(ctx.name, ("task %s ended in error: %s"):format(task.task_id, task_text.failure(task) or "no step says why"))
  elseif code == 4 then
    ctx.fail(ctx.name, ("task %s was cancelled"):format(task.task_id))
  end
  return code
end

return outcome
