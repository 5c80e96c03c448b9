--- `handler = "approval_request"`: a step that waits for people, from data alone. It becomes an `approval`; whoever is asked is told by a
-- signed message, where `notify` says where.
local template = require "tasker.template"
local webhook_handler = require "tasker.handlers.webhook"

local text = { type = "string" }
local people = { type = { "string", "array" }, items = text }

-- Names as they are, or the function that reads them from the task.
local function approvers(given)
  local list = type(given) == "string" and { given } or given
  for _, name in ipairs(list) do
    if name:find("{{", 1, true) then
      return function(task)
        return template.fill(given, task, {})
      end
    end
  end
  return list
end

local function notifier(config)
  if not config.notify then
    return nil
  end
  return function(task, step)
    local message = {}
    for name, value in pairs(config.revive().notify) do
      message[name] = value
    end
    message.type = message.type or "approval.requested"
    if message.data == nil then
      message.data = { task_id = task.task_id, handler = task.namespace .. "/" .. task.name, step = step.name, round = step.round,
        approvers = step.approvers, context = task.context, inputs = step.inputs }
    end
    return webhook_handler.run(task, step, message)
  end
end

-- The fields of a step that the configuration stands for. `config.revive()` gives the configuration with its secrets, for an attempt.
local function expand(config)
  local escalate
  for i, one in ipairs(config.escalate or {}) do
    escalate = escalate or {}
    escalate[i] = { after = one.after, approvers = approvers(one.approvers) }
  end
  return {
    approval = { approvers = approvers(config.approvers), required = config.required, form = config.form, escalate = escalate,
      no_self_approval = config.no_self_approval, veto = config.veto },
    timeout = config.timeout, on_timeout = config.on_timeout, on_reject = config.on_reject, notify = notifier(config),
  }
end

return {
  config_schema = { type = "object", required = { "approvers" }, additionalProperties = false, properties = {
    approvers = people, required = { type = { "integer", "string" } }, form = { type = { "object", "boolean" } },
    escalate = { type = "array", items = { type = "object", required = { "after", "approvers" }, additionalProperties = false,
      properties = { after = { type = "number", exclusiveMinimum = 0 }, approvers = people } } },
    no_self_approval = { type = "boolean" }, veto = { type = { "boolean", "string", "array" } },
    timeout = { type = "number", exclusiveMinimum = 0 }, on_timeout = { enum = { "approve", "reject", "fail" } },
    on_reject = { enum = { "fail", "complete" } }, notify = webhook_handler.config_schema,
  } },
  expand = expand,
}
