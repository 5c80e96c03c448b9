-- Month ends at nine in the morning of New York, in winter and in summer: a year of a schedule, under a clock of its own.
local tasker = require "tasker"
local testing = require "tasker.testing"

tasker.handler {
  namespace = "books", name = "close",
  steps = { { name = "report", run = function(task)
    local context = task.context
    print(("%s  closes the days from %s on"):format(task.scheduled_at:sub(1, 16), context.since))
  end } },
}

local app = assert(testing.open { clock = "2026-01-01T00:00:00Z" })
assert(app:schedule {
  name = "month-end", handler = "books/close",
  cron = "0 9 LW * *", timezone = "America/New_York",          -- the last weekday of the month
  overlap = "buffer_all",
  context = function(occurrence)                              -- asked for each occurrence, before its task is there
    return { since = (occurrence.previous_scheduled_at or "2026-01-01"):sub(1, 10) }
  end,
})

print("planned, in UTC: " .. table.concat(app:preview_schedule("month-end", { count = 3 }), " "):gsub(":00%.000000Z", ""))
assert(app:advance_to "2026-06-01T00:00:00Z")

-- A night in which the zone's clock jumps from two to three: half past two fires at the first instant after it, once.
assert(app:schedule { name = "nightly", handler = "books/close", cron = "30 2 * * *", timezone = "Europe/Berlin", paused = true })
for _, at in ipairs(app:preview_schedule("nightly", { after = "2027-03-27T00:00:00Z", count = 3 })) do
  print("nightly: " .. at:sub(1, 16))
end

local info = app:schedule_info "month-end"
print(("made %d, next %s"):format(info.made, info.next_at:sub(1, 10)))
