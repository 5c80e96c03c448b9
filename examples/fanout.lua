-- Fan-out and join: after `split` the parts run at once; `sum` waits for all of them.
local tasker = require "tasker"

local steps = { { name = "split", run = function() return { 1, 2, 3, 4, 5, 6, 7, 8 } end } }
local parts = {}
for i = 1, 8 do
  parts[i] = "square_" .. i
  steps[#steps + 1] = { name = parts[i], depends_on = "split", run = function(task)
    tasker.sleep(0.05) -- the others go on meanwhile
    return task.results.split[i] ^ 2 // 1
  end }
end
steps[#steps + 1] = { name = "sum", depends_on = parts, run = function(task)
  local sum = 0
  for _, name in ipairs(parts) do sum = sum + task.results[name] end
  return sum
end }
tasker.handler { name = "fanout", steps = steps }

local app = assert(tasker.open("memory:"))
local started = tasker.now()
local task = assert(app:run("fanout"))
print("sum of squares", math.tointeger(task.results.sum))
print("eight sleeps of 0.05 s took less than 0.3 s", tasker.now() - started < 0.3)
app:close()
