--- Values of a task in data: `{{context.order_id}}` in any text of a configuration. For step handlers that take no functions.
-- @module tasker.template

local core = require "tasker.core"
local errors = require "tasker.errors"

local template = {}

-- What a path may begin with, and where it is found.
local ROOTS = {
  context = "task", results = "task", errors = "task", task_id = "task", namespace = "task", name = "task", version = "task",
  tags = "task", initiator = "task", source_system = "task", reason = "task", parent_task_id = "task", scheduled_at = "task",
  inputs = "step", item = "step", index = "step", attempt = "step", round = "step", approvers = "step", idempotency_key = "step",
}

local function find(path, task, step)
  local value, walked
  for name in path:gmatch("[^.]+") do
    if not walked then
      local owner = ROOTS[name]
      if not owner then
        return nil, ("'%s' begins with none of context, results, errors, inputs, item, index, task_id …"):format(path)
      end
      value = (owner == "task" and task or step)[name]
    elseif type(value) ~= "table" then
      return nil, ("'%s': %s is no table"):format(path, walked)
    else
      local index = math.tointeger(tonumber(name))
      local inner = value[name]
      value = inner == nil and index and value[index] or inner
    end
    walked = walked and walked .. "." .. name or name
    if value == nil then
      return nil, ("'%s': there is no %s"):format(path, walked)
    end
  end
  return value
end

local function fail(why)
  error(errors.permanent(("config: {{%s}}"):format(why), { code = "invalid" }), 0)
end

local function as_text(value)
  if type(value) == "string" then
    return value
  elseif type(value) == "table" or value == core.json.null then
    return assert(core.json.encode(value))
  elseif math.type(value) == "float" and value == math.floor(value) and math.abs(value) < 2 ^ 53 then
    return ("%d"):format(value)
  end
  return tostring(value)
end

local function fill_text(text, task, step)
  local whole = text:match("^{{%s*([%w_.-]+)%s*}}$")
  if whole then
    local value, why = find(whole, task, step)
    if value == nil then
      fail(why)
    end
    return value
  end
  return (text:gsub("{{%s*([^{}]-)%s*}}", function(path)
    local value, why = find(path, task, step)
    if value == nil then
      fail(why)
    end
    return as_text(value)
  end))
end

--- A copy of a configuration with every `{{path}}` filled in: alone in a text the value itself, else its text. Raises a permanent
-- `invalid` where a path leads nowhere.
-- @param config
-- @tab task
-- @tab step
-- @return the copy
function template.fill(config, task, step)
  if type(config) == "string" then
    return fill_text(config, task, step)
  elseif type(config) ~= "table" then
    return config
  end
  local copy = setmetatable({}, getmetatable(config))
  for key, value in pairs(config) do
    copy[key] = template.fill(value, task, step)
  end
  return copy
end

return template
