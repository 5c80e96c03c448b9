--- How limits are written for people.
-- @module tasker.cli.support.limit_text

local limit_text = {}

limit_text.TITLES = {
  { title = "LIMIT" }, { title = "RATE" }, { title = "BURST", right = true }, { title = "AT ONCE", right = true },
  { title = "RUNNING", right = true }, { title = "WAITING", right = true }, { title = "KEYS", right = true },
}

--- `100 per 1s`, or `-`.
-- @tab limit as app:limits gives it
-- @treturn string
function limit_text.rate(limit)
  return limit.rate and ("%g per %gs"):format(limit.rate, limit.per) or "-"
end

--- @tab limit
-- @treturn {string,...}
function limit_text.row(limit)
  return { limit.name, limit_text.rate(limit), tostring(limit.burst or "-"), tostring(limit.concurrency or "-"),
    tostring(limit.running), tostring(limit.waiting), tostring(limit.keys_in_use) }
end

return limit_text
