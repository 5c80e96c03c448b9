-- A saga: when a step fails for good or the task is cancelled, what was done is undone, the last step first.
local tasker = require "tasker"

local function booking(what, fails)
  return {
    name = what,
    run = function(task)
      if fails and task.context[fails] then error(tasker.permanent(what .. " is not to be had")) end
      print("", "book", what)
      return { number = what .. "-1" }
    end,
    compensate = function(_, step) -- may run more than once: step.idempotency_key is the same each time
      print("", "undo", step.results.number)
      if what == "car" and step.attempt == 1 then error "the car rental is busy" end
    end,
  }
end

tasker.handler {
  namespace = "travel", name = "trip", chain = true, retry = { limit = 3, backoff = "none" },
  steps = { booking "flight", booking "car", booking("hotel", "full"), { name = "pay", signal = "payment", timeout = 3600 } },
}

local app = assert(tasker.open("memory:"))
local function show(title, task)
  print(title, task.status)
  for _, step in ipairs(task.steps) do
    local undone = step.compensation
    print("", step.name, step.status, undone and ("undone in %d attempts"):format(undone.attempts) or "-")
  end
end

show("no hotel", assert(app:run("travel/trip", { full = true })))

local id = assert(app:submit("travel/trip", {}))
assert(app:work { until_idle = true })
print("cancelled", assert(app:cancel(id, { reason = "ill", by = "ann" })).status)
assert(app:work { until_idle = true })
local task = assert(app:task(id))
show("ill", task)
local events = app:events { task_id = id }
print("last event", events[#events].event, events[#events].data.reason)
app:close()
