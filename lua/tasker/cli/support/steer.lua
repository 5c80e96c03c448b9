--- What cancel, pause, resume and retry have in common: some ids, one verb, a line or a JSON value for each task.
-- @module tasker.cli.support.steer

local format = require "tasker.cli.support.format"
local task_text = require "tasker.cli.support.task_text"

local steer = {}

--- Options that every steering command takes.
steer.options = {
  { name = "reason", value = "TEXT", help = "why; kept in the log" },
  { name = "by", value = "WHO", help = "who does it; kept in the log" },
  { name = "json", help = "the task as one JSON value a line on stdout" },
}

--- The id argument of the commands that take several.
steer.ids = { name = "id", many = true, help = "tasks: ids, unique beginnings or ends of them (6 or more characters), or @last" }

--- The reason as `app:` methods take it, or nil.
function steer.reason(opts)
  if not opts.reason and not opts.by then
    return nil
  end
  return { reason = opts.reason, by = opts.by }
end

--- Does something to one task and says what became of it.
-- @tab ctx the command's context
-- @tab app
-- @tab opts
-- @string text the id as it was typed
-- @tparam function act gets the id; returns something true, or nil and an err
-- @treturn int the exit code
function steer.one(ctx, app, opts, text, act)
  local id, err = app.engine:find_id(text)
  local done = id
  if id then
    done, err = act(id)
  end
  local json
  if done then
    json, err = app.engine:task(id)
  end
  if not json then
    return ctx.fail(ctx.name, err)
  end
  if opts.json then
    ctx.out(json .. "\n")
    return 0
  end
  local task = task_text.decode(json)
  for _, step in ipairs(opts.step and task.steps or {}) do
    if step.name == opts.step then
      ctx.out(("%s %s: %s, the task is %s\n"):format(id, step.name, format.status(step.status), format.status(task.status)))
      return 0
    end
  end
  ctx.out(("%s %s\n"):format(id, format.status(task.status)))
  return 0
end

--- Does something to each task; goes on after one that cannot be done.
-- @treturn int the exit code: 1 when any could not be done
function steer.each(ctx, app, opts, act)
  local code = 0
  for _, text in ipairs(opts.id) do
    code = math.max(code, steer.one(ctx, app, opts, text, act))
  end
  return code
end

--- The declared options of a command: its own before the common ones.
function steer.with(own)
  return table.move(steer.options, 1, #steer.options, #own + 1, own)
end

return steer
