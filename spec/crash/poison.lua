-- A batch whose poison row is parked and resolved, from wherever an earlier run was killed: usage as spec/support/every_commit.lua
-- says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

tasker.handler {
  name = "import", retry = { backoff = "none", decide = function(failure)
    if failure.error.code == "poison" then
      return { park = "look at it" }
    end
  end },
  steps = {
    { name = "row", map = function() return { 1, "?", 3 } end, run = function(_, step)
      return math.type(step.item) and step.item or error(tasker.permanent("no number", { code = "poison" }))
    end },
    { name = "total", depends_on = "row", run = function(task)
      local rows = task.results.row
      return rows[1] + rows[2] + rows[3]
    end },
  },
}

local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("import", {}, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
local ok, err = app:resolve(id, "row[2]", 2, { by = "ann" })
assert(ok or err.code == "refused", tostring(err))
local task = assert(app:work_for(id))
print(task.status, task.results.total)
app:close()
