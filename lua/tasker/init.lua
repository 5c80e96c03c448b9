--- Durable workflows: `local tasker = require "tasker"`.
-- @module tasker

local core = require "tasker.core"
local backoff = require "tasker.backoff"
local check = require "tasker.check"
local client = require "tasker.client"
local cron = require "tasker.cron"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local limits = require "tasker.limits"
local machine = require "tasker.machine"
local registry = require "tasker.registry"
local schema = require "tasker.schema"
local secrets = require "tasker.secrets"
local sleep = require "tasker.sleep"
local step_handlers = require "tasker.step_handlers"
local subscriptions = require "tasker.subscriptions"
local time = require "tasker.time"
local vetoes = require "tasker.vetoes"

local tasker = {}

--- The version of this program.
tasker.version = core.version

--- Defines a task handler; raises when it cannot work, naming the handler, the step and the field.
-- @tab definition
-- @return the handler (tostring: `namespace/name@version`)
function tasker.handler(definition)
  local made, why = handler.new(definition)
  if not made then
    error(why, 2)
  end
  registry.add(made)
  return made
end

--- Defines a state machine as a handler; raises when it cannot work, naming the handler, the state and the field.
-- @tab definition
-- @return the handler (tostring: `namespace/name@version`)
function tasker.machine(definition)
  local translated, why = machine.translate(definition)
  local made
  if translated then
    made, why = handler.new(translated, why)
  end
  if not made then
    error(why, 2)
  end
  registry.add(made)
  return made
end

tasker.open = client.open
tasker.app = client.current

--- Sleeps; inside a step the others go on meanwhile.
-- @number seconds
function tasker.sleep(seconds)
  check.type(seconds, "number", "tasker.sleep: seconds", 2)
  seconds = math.min(seconds, errors.LONGEST_SECONDS)
  if check.not_seconds(seconds) then
    error(("tasker.sleep: seconds must be a number of at least 0, not %s"):format(seconds), 2)
  end
  local ok, err = sleep(seconds)
  if not ok then
    error(err, 2)
  end
end

--- Seconds since the epoch, with fraction.
-- @treturn number
tasker.now = core.now

--- Times as RFC 3339 texts: `parse(text)`, `format(seconds)`.
tasker.time = { parse = time.parse, format = time.format }

--- Cron expressions: `next(expression, {timezone, after, count, dst})`; recurrence rules: `next_by_rule(rule, options)`.
tasker.cron = { next = cron.next, next_by_rule = cron.next_by_rule }

--- The codec: `encode(value, {indent, canonical})`, `decode(text)`.
tasker.json = core.json
--- Marks a table as an array, so that it is `[]` when empty.
tasker.array = core.json.array
--- JSON null.
tasker.null = core.json.null

--- JSON Schema: `compile(schema, {draft, formats, loader, strict})`, `infer(samples)`, `compatible(old, new, mode)`.
tasker.schema = { compile = schema.compile, infer = schema.infer, compatible = schema.compatible }

--- A placeholder for a secret, read at each use.
tasker.secret = secrets.placeholder

tasker.permanent = errors.permanent
tasker.retry_after = errors.retry_after
tasker.snooze = errors.snooze
tasker.backoff = backoff.register
tasker.on = subscriptions.on
tasker.before = vetoes.before
tasker.step_handler = step_handlers.register
tasker.limit = limits.declare
tasker.diagram = require("tasker.diagram").draw

-- What many programs do not use is loaded when it is first named.
local LATER = { auth = "tasker.auth", exec = "tasker.exec", http = "tasker.http", webhook = "tasker.webhook" }
-- And what makes one thing is a function.
local MAKERS = { graphql = "tasker.graphql", oauth = "tasker.oauth", rest = "tasker.rest" }

return setmetatable(tasker, { __index = function(self, name)
  local module = LATER[name]
  if module then
    self[name] = require(module)
  elseif MAKERS[name] then
    self[name] = require(MAKERS[name]).new
  end
  return rawget(self, name)
end })
