-- A worker is killed in the middle of a step; another one takes over. The first step is not run again.
--   tasker-lua examples/crash.lua
local tasker = require "tasker"

local folder = os.tmpname()
os.remove(folder)
local lua, handlers = arg[-1], "examples/handlers/fragile.lua"
local function run(command) return (os.execute(("%s %s 2>/dev/null"):format(lua, command))) end

print("submitted", run(("submit demo/fragile --file %s --store %s >/dev/null"):format(handlers, folder)))
print("the first worker ended well", run(("worker %s --store %s --until-idle"):format(handlers, folder)) or false)
print("the second worker ended well", run(("worker %s --store %s --until-idle"):format(handlers, folder)))

local app = assert(tasker.open(folder))
local task = app:tasks { limit = 1 }[1]
task = app:task(task.task_id)
print(task.status, task.results.third)
for _, step in ipairs(task.steps) do print(step.name, step.status, step.attempts) end
app:close()
os.execute("rm -rf '" .. folder .. "'")
