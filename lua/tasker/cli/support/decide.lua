--- What approve and reject have in common.
-- @module tasker.cli.support.decide

local steer = require "tasker.cli.support.steer"

local decide = {}

decide.arguments = {
  { name = "id", help = "the task's id, a unique beginning or end of it, or @last" },
  { name = "step", help = "the step that waits for approval" },
}

--- The options of a command: its own among the common ones.
function decide.options(own)
  local options = {
    { name = "by", value = "NAME", help = "who decides: one of the approvers" },
    { name = "comment", value = "TEXT", help = "kept with the decision" },
    { name = "form", value = "JSON", type = "json", help = "the form as the step asks for it" },
    { name = "shown-hash", value = "HASH", help = "what was shown: refused when that is not what is asked now" },
  }
  table.move(own, 1, #own, #options + 1, options)
  options[#options + 1] = { name = "json", help = "the task as one JSON value a line on stdout" }
  return options
end

--- Decides and says what became of it.
-- @tab opts
-- @tab ctx
-- @string decision
-- @treturn int the exit code
function decide.run(opts, ctx, decision)
  if not opts.by then
    ctx.usage("--by NAME is missing: who decides?")
  end
  local app = ctx.open()
  return steer.one(ctx, app, opts, opts.id, function(id)
    return app:approve(id, opts.step, {
      by = opts.by, decision = decision, comment = opts.comment, form = opts.form, to = opts.delegate, shown_hash = opts.shown_hash,
    })
  end)
end

return decide
