--- Sleeping, wherever the caller is: a step parks, a plain script blocks, a test's clock moves.
-- @module tasker.sleep

local core = require "tasker.core"
local client = require "tasker.client"

--- @number seconds at least 0
-- @return true or nothing, or nil
-- @return err where a test's clock cannot be moved
return function(seconds)
  local app = not core.in_fiber() and client.current()
  if app and app.advance then
    return app:advance(seconds)
  end
  core.sleep(seconds)
  return true
end
