-- A saga that fails at its third step, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says. What is
-- undone is written beside the store.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"
local side = assert(io.open(arg[1] .. ".undone", "a"))

local function undo(_, step)
  assert(side:write(step.name, " ", step.results, "\n"))
  assert(side:flush())
end

tasker.handler {
  name = "trip", chain = true, retry = { backoff = "none" },
  steps = {
    { name = "flight", run = function() return "flight-1" end, compensate = undo },
    { name = "car", run = function() return "car-1" end, compensate = function(task, step)
        undo(task, step)
        if step.attempt == 1 then error "busy" end
      end },
    { name = "hotel", run = function() error(tasker.permanent "full") end, compensate = undo },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("trip", {}, { identity_key = "the only one" }))
local task = assert(app:work_for(id))
local shown = {}
for _, step in ipairs(task.steps) do
  shown[#shown + 1] = ("%s=%s/%s"):format(step.name, step.status, step.compensation and step.compensation.status or "-")
end
print(task.status, table.concat(shown, " "))
app:close()
