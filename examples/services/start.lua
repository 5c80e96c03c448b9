--- Starts the services that the examples call: `local base <close> = require("examples.services.start")()`, its tostring is
-- their address.
local tasker = require "tasker"

local Services = {}
Services.__index = Services

function Services:__tostring()
  return self.address
end

function Services:__close()
  tasker.http.post(self.address .. "/quit")
  self.pipe:close()
end

return function()
  local pipe = assert(io.popen "exec node examples/services/services.mjs")
  local port = assert(pipe:read "n", "the services of this example need node")
  return setmetatable({ pipe = pipe, address = ("http://127.0.0.1:%d"):format(port) }, Services)
end
