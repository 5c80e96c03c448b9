-- Somebody logs in once, on whatever device has a browser; from then on a sync runs each night with tokens that renew themselves.
--   export TASKER_KEY_FILE=key ISSUER=https://login.example.com API=https://api.example.com
--   tasker-lua examples/handlers/nightly_sync.lua login
--   tasker-lua worker examples/handlers/nightly_sync.lua
local tasker = require "tasker"

local auth = tasker.oauth { name = "orders", grant = "device_code", issuer = os.getenv "ISSUER" or "https://login.example.com",
  client_id = "cli", scope = "openid offline_access" }
local api = tasker.rest { base_url = os.getenv "API" or "https://api.example.com", auth = auth }

tasker.handler { name = "nightly_sync", chain = true, schedule = { cron = "0 2 * * *", timezone = "Europe/Berlin" }, steps = {
  { name = "fetch", retry = { limit = 10, base = 60, cap = 3600 }, run = function(task)
      local since = task.previous_scheduled_at or "1970-01-01T00:00:00Z"
      local response, err = api:get("/orders", { query = { since = since } })
      return response and response:json(), err
    end },
  { name = "sum", run = function(task)
      local cents = 0
      for _, order in ipairs(task.results.fetch) do cents = cents + order.cents end
      return { orders = #task.results.fetch, cents = cents }
    end },
} }

if arg and arg[1] == "login" then
  local app = assert(tasker.open()) -- where the tokens will be kept, sealed
  local device = assert(auth:device())
  print(("Open %s and enter %s"):format(device.verification_uri, device.user_code))
  io.stdout:flush()
  assert(device:wait())
  print "Logged in."
  app:close()
end
