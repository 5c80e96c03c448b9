-- What a process of the spec of limits and breakers does, against answers that need no network.
-- usage: tasker-lua spec/support/client_limits.lua STORE probe|hold|go
local core = require "tasker.core"
local http = require "tasker.http"
local tasker = require "tasker"

local steps = { URL = "https://api.example.com/" }

tasker.limit("shared_places", { concurrency = 1 })
tasker.limit("shared_pace", { rate = 20, per = 1, burst = 1 })

--- The client that all processes have.
-- @tab[opt] fields besides
function steps.client(fields)
  local all = { base_url = steps.URL, retry = false, timeout = 5 }
  for name, value in pairs(fields or {}) do
    all[name] = value
  end
  return tasker.rest(all)
end

steps.breaker = { name = "shared", failures = 2, reset = 0.2 }

if arg and arg[0] and arg[0]:find "client_limits" then
  local store, what = arg[1], arg[2]
  local app = assert(tasker.open(store))
  io.stdout:setvbuf "no"
  local function hang()
    print "in"
    core.sleep(60)
  end
  if what == "probe" then
    http.set_double(hang)
    steps.client({ breaker = steps.breaker }):get "/"
  elseif what == "hold" then
    http.set_double(hang)
    steps.client({ limits = "shared_places" }):get "/"
  else
    http.set_double(function() return { status = 200, json = core.now() } end)
    local client = steps.client { limits = "shared_pace", timeout = 30 }
    for _ = 1, 20 do
      print(assert(client:get "/").body)
    end
  end
  app:close()
end

return steps
