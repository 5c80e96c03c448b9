-- Dead letters: what the service refuses for good (422) is not tried again but parked, with the reason, until a person
-- repairs it; the others go on. The repair is an annotation that the step reads at its next attempt; what cannot be repaired
-- is settled by hand.
local tasker = require "tasker"

local services <close> = require("examples.services.start")()
local client = tasker.rest { base_url = tostring(services), retry = false }

local function park(failure)
  local details = failure.error.details
  return details and details.status == 422 and { park = tasker.json.decode(details.body).error } or nil
end

tasker.handler {
  namespace = "letters", name = "send",
  steps = {
    { name = "send", retry = { limit = 3, decide = park }, run = function(task)
        local repaired = tasker.app():task(task.task_id).annotations.email
        local response, err = client:post("/import", { json = { email = repaired or task.context.email } })
        return response and response:json().email, err
      end },
  },
}

local app = assert(tasker.open("memory:"))
local ids = {}
for i, email in ipairs { "ann@example.com", "bob.example.com", "nobody" } do
  ids[i] = assert(app:submit("letters/send", { email = email }))
end

local function show(title)
  assert(app:work { until_idle = true })
  print(title)
  for _, id in ipairs(ids) do
    local step = app:task(id).steps.send
    print("", step.status, step.results or step.error and step.error.message)
  end
end

show "sent, and the dead letters:"
assert(app:annotate(ids[2], "email", "bob@example.com"))
assert(app:retry(ids[2], { step = "send" }))
assert(app:resolve(ids[3], "send", "sent by post", { reason = "has no address", by = "ann" }))
show "after the repair:"
app:close()
