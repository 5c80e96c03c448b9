-- The limits and the handler of the test of limits over processes that are killed.
local tasker = require "tasker"

-- A quarter of a second of burst: so long a pause, as after a kill, is made up for.
local rate = tonumber(os.getenv "TASKER_RATE") or 200
local steps = { RATE = rate, BURST = rate // 4, PLACES = 16, KEYS = 8 }

function steps.define()
  tasker.limit("paced", { rate = steps.RATE, per = 1, burst = steps.BURST })
  tasker.limit("places", { concurrency = steps.PLACES })
  return tasker.handler { namespace = "crash", name = "paced", steps = {
    { name = "s", limits = { "paced", { "places", key = function(task) return task.context.key end } }, retry = { lost_limit = 1000 },
      run = function() end },
  } }
end

return steps
