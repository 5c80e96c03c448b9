-- A worker process of the test of limits. usage: tasker-lua spec/crash/limits_worker.lua STORE [until-idle]
require("spec.crash.limits_steps").define()
local app = assert(require("tasker").open(arg[1]))
assert(app:work { until_idle = arg[2] == "until-idle" })
app:close()
