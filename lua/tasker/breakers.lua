--- The breakers of a store, for people. What passes them is in tasker.admission.
-- @module tasker.breakers

local check = require "tasker.check"
local errors = require "tasker.errors"
local task_view = require "tasker.task_view"

local breakers = {}

local OPTIONS = { name = { "string", check.not_name } }

--- The breakers of the store.
-- @tab[opt] options `name`: only this one
-- @treturn {table,...}|nil `{name, state, failures, opens_after, reset, since, retry_at, why}`: `state` is closed, open or half_open;
-- `opens_after` failures in a row open it for `reset` seconds
-- @return err
local function list_breakers(self, options)
  check.type(options, "table|nil", "app:breakers: options", 2)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "app:breakers: option", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text
  text, err = self.engine:breakers(options.name)
  if not text then
    return nil, err
  end
  return task_view.records(text)
end

--- Adds `breakers` to the app's methods.
-- @tab App
function breakers.install(App)
  App.breakers = list_breakers
end

return breakers
