--- Notifications of approvals: what tells the people who are asked, once a round.
-- @module tasker.notification

local notification = {}

local function missing()
  error({ message = "this code of the step has no 'notify'", retryable = false }, 0)
end

local function tell(definition)
  return function(task, view)
    local value, err = definition.notify(task, view)
    if value == nil then
      return nil, err
    end
    return true
  end
end

--- The approval's step with what notifies for its code; what that returns is kept nowhere. Hooks are for steps that run.
-- @tab definition of the step
-- @treturn table
function notification.of(definition)
  return setmetatable({ run = definition.notify and tell(definition) or missing, is_watched = false, is_guarded = false },
    { __index = definition })
end

return notification
