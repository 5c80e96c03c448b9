-- A new store, a handler of one step, its first task complete: what startup.lua measures.
-- usage: tasker-lua bench/first_task.lua STORE
local tasker = require "tasker"

tasker.handler { name = "hello", steps = { { name = "greet", run = function() return "hello" end } } }
local app = assert(tasker.open(arg[1]))
assert(app:run("hello").status == "complete")
app:close()
