-- The handler that the worker process of idle.lua and latency.lua runs: it tells when it started.
local tasker = require "tasker"

tasker.handler {
  name = "clock",
  steps = { { name = "read", run = function() return { at = tasker.now() } end } },
}
