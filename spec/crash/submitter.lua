-- A process of the crash test that submits, one by one and many at once, and notes what was acknowledged.
-- usage: tasker-lua spec/crash/submitter.lua STORE SIDE_FILE ACKNOWLEDGED_FILE SEED
local steps = require "spec.crash.steps"
local tasker = require "tasker"

steps.define(arg[2])
math.randomseed(tonumber(arg[4]))
local acknowledged = assert(io.open(arg[3], "a"))
acknowledged:setvbuf "full"
local app = assert(tasker.open(arg[1]))

local function request(serial)
  local handlers = { "crash/chain", "crash/fan", "crash/flaky", "crash/spawn" }
  -- Another process with this seed submits the same again: it must stay one task.
  return handlers[math.random(#handlers)], { failures = math.random(0, 3) }, { identity_key = ("%s-%d"):format(arg[4], serial) }
end

local serial = 0
while true do
  local ids = {}
  if math.random(4) == 1 then
    local many = {}
    for i = 1, math.random(2, 12) do
      serial = serial + 1
      many[i] = { request(serial) }
    end
    ids = assert(app:submit_many(many))
  else
    serial = serial + 1
    ids[1] = assert(app:submit(request(serial)))
  end
  for i, id in ipairs(ids) do
    ids[i] = id .. "\n"
  end
  assert(acknowledged:write(table.concat(ids)))
  assert(acknowledged:flush())
  tasker.sleep(0.03)
end
