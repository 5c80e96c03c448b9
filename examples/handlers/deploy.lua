-- What a push to GitHub starts: examples/handlers/receive.lua submits it, and a webhook of the store tells when it has ended.
local tasker = require "tasker"

tasker.handler {
  namespace = "ci", name = "deploy",
  context_schema = { type = "object", required = { "repository", "commit" } },
  steps = {
    { name = "build", run = function(task) return { image = task.context.repository .. ":" .. task.context.commit:sub(1, 7) } end },
    { name = "roll_out", depends_on = "build", run = function(task) return { running = task.results.build.image } end },
  },
}
