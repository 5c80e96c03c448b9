-- Two occurrences with asked contexts, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.handler { name = "report", steps = { { name = "write", run = function(task) return task.context.at end } } }

local app = assert(tasker.open(arg[1]))
local function finished()
  local tasks = app:tasks { status = "complete" }
  return #tasks == 2 and tasks
end
assert(app:schedule { name = "twice", handler = "report", every = 0.01, count = 2, overlap = "buffer_all", replace = true,
  context = function(occurrence) return { at = occurrence.scheduled_at } end })
while not finished() do
  assert(app:work { until_idle = true })
  tasker.sleep(0.002)
end
local times = {}
for i, task in ipairs(finished()) do
  assert(app:task(task.task_id).results.write == task.scheduled_at)
  times[i] = tasker.time.parse(task.scheduled_at)
end
print(math.abs(times[1] - times[2] - 0.01) < 0.0001 and "one interval apart", app:schedule_info("twice").made)
app:close()
