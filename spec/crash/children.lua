-- A parent with a hundred children, ten at once, that is cancelled half-way, from wherever an earlier run was killed: usage as
-- spec/support/every_commit.lua says.
local tasker = require "tasker"

local _ = os.getenv "TASKER_FAULTS_ARM"

local app, parent
tasker.handler { name = "letter", retry = { backoff = "none" }, steps = {
  { name = "write", run = function(task)
      if task.context.number == 50 then
        local ok, err = app:cancel(parent, { reason = "the address was wrong", by = "ann" })
        assert(ok or err.code == "refused", tostring(err))
      end
    end },
  { name = "post", depends_on = "write", run = function() return true end },
} }
tasker.handler { name = "campaign", steps = {
  { name = "each", child = "letter", max_parallel = 10, map = function()
      local list = {}
      for i = 1, 100 do
        list[i] = i
      end
      return list
    end, context = function(_, step) return { number = step.item } end },
} }

app = assert(tasker.open(arg[1]))
parent = assert(app:submit("campaign", {}, { identity_key = "the only one" }))
assert(app:work { until_idle = true })
local tree = assert(app:tree(parent))
local open = 0
for _, letter in ipairs(tree.children) do
  open = open + ((letter.status == "complete" or letter.status == "cancelled") and 0 or 1)
end
print(tree.status, open, tree.tasks.complete >= 40, #tree.children < 70)
app:close()
