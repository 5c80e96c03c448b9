--- `handler = "graphql"`: one query or mutation, from data alone.
local graphql = require "tasker.graphql"
local rest_handler = require "tasker.handlers.rest"
local template = require "tasker.template"

local text = { type = "string" }

local function run(task, step, config)
  local document = config.query or config.mutation
  config.query, config.mutation = config.query and true, config.mutation and true
  config = template.fill(config, task, step)
  local client = graphql.new { url = config.url, headers = config.headers, timeout = config.timeout,
    auth = rest_handler.auth_of(config.auth), allow_private = config.allow_private }
  local ask = config.mutation and client.mutate or client.query
  return ask(client, document, config.variables, { operation = config.operation, persisted = config.persisted })
end

return {
  -- The braces of a document are its own: what varies goes into variables.
  config_schema = { type = "object", required = { "url" }, additionalProperties = false, properties = {
    url = text, query = text, mutation = text, variables = { type = { "object", "string" } }, operation = text,
    persisted = { type = "boolean" }, headers = { type = "object", additionalProperties = text }, auth = rest_handler.credentials,
    timeout = { type = "number", exclusiveMinimum = 0 }, allow_private = { type = "boolean" },
  }, oneOf = { { required = { "query" } }, { required = { "mutation" } } } },
  run = run,
}
