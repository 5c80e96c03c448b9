-- Two versions of one handler at once. A task stays on the one it was submitted with, until somebody moves it: first in a dry run,
-- which names what cannot map. Then new code is tried on what a finished task recorded.
local tasker = require "tasker"

local function order(version, first, ship)
  tasker.handler {
    namespace = "shop", name = "order", version = version, chain = true,
    steps = {
      { name = first, run = function(task) return { amount = task.context.amount } end },
      { name = "paid", signal = "paid", timeout = 86400 },
      { name = "ship", run = ship },
    },
  }
end

order("1.0.0", "charge", function() return "by post" end)
order("2.0.0", "pay", function(task) return ("by courier, for %d"):format(task.results.pay.amount) end)

local app = assert(tasker.open("memory:"))
local old = assert(app:submit("shop/order@1.0.0", { amount = 10 }))
local stays = assert(app:submit("shop/order@1.0.0", { amount = 20 }))
local new = assert(app:submit("shop/order", { amount = 30 }))   -- the highest version
assert(app:work { until_idle = true })
assert(app:signal(stays, "paid"))
assert(app:work { until_idle = true })
print("the old one", app:task(stays).version, app:task(stays).results.ship)

local function migrate(options)
  options.handler, options.from, options.to = "shop/order", "1.0.0", "2.0.0"
  local report = assert(app:migrate(options))
  for _, task in ipairs(report.tasks) do
    print(task.outcome, task.reason and task.reason:match("migrated: (.*)") or "")
  end
end

migrate { dry_run = true }
migrate { dry_run = true, steps = { charge = "pay" } }
migrate { steps = { charge = "pay" }, by = "ann" }
for _, id in ipairs { old, new } do
  assert(app:signal(id, "paid"))
end
assert(app:work { until_idle = true })
for _, id in ipairs { old, new } do
  local task = app:task(id)
  print(task.status, task.version, task.results.ship)
end

order("2.1.0", "pay", function(task) return ("by drone, for %d"):format(task.results.pay.amount) end)
local divergence = assert(app:replay(new)).divergence
print(divergence.step, divergence.recorded, "->", divergence.now)
app:close()
