-- A worker process of the crash test.
-- usage: tasker-lua spec/crash/worker.lua STORE SIDE_FILE [until-idle]
local steps = require "spec.crash.steps"
local tasker = require "tasker"

steps.define(arg[2])
local app = assert(tasker.open(arg[1]))
assert(app:work { concurrency = 24, until_idle = arg[3] == "until-idle" })
app:close()
