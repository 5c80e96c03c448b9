-- The worker of million.lua: prints the times at which each tenth of the tasks was done, as a JSON list of eleven.
-- usage: tasker-lua bench/million_worker.lua STORE COUNT
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"

local count, done, times = tonumber(arg[2]), 0, {}
tasker.handler {
  name = "single", chain = true,
  steps = {
    { name = "s1", run = function()
        if done % (count // 10) == 0 then
          times[#times + 1] = tasker.now()
        end
        done = done + 1
        return { charged = 12, x = 1 }
      end },
  },
}
local app = assert(tasker.open(arg[1]))
assert(app:work { until_idle = true })
times[#times + 1] = tasker.now()
app:close()
print(tasker.json.encode(times))
