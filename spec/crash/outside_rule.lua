-- Failures that a file decides about, from wherever an earlier run was killed: usage as spec/support/every_commit.lua says. The file
-- and the sign that the customer was asked lie beside the store.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"
local rules, asked = arg[1] .. ".rules", arg[1] .. ".asked"

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function decide(failure)
  local file <close> = assert(io.open(rules))
  return tasker.json.decode(file:read "a")[failure.error.code]
end

tasker.handler {
  name = "charge", retry = { limit = 3, backoff = "none", decide = decide },
  steps = {
    { name = "discount", run = function() error { code = "closed", message = "no answer" } end },
    { name = "charge", depends_on = "discount", run = function(task)
        local file = io.open(asked)
        if not file then
          error { code = "limit", message = "too much" }
        end
        file:close()
        return 100 - task.results.discount
      end },
  },
}

write(rules, '{"closed":{"results":10},"limit":{"park":"ask the customer"}}')
local app = assert(tasker.open(arg[1]))
local id = assert(app:submit("charge", {}, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
write(asked, "yes")
local ok, err = app:retry(id, { step = "charge" })
assert(ok or err.code == "refused", tostring(err))
local task = assert(app:work_for(id))
print(task.status, task.results.charge)
app:close()
