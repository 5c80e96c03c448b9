-- The JSON codec on a document of 236 bytes, as a step's context is one; beside lua-cjson where that is installed.
-- usage: tasker-lua bench/json.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local json = require("tasker").json
local support = require "support"

local text = '{"task_id":"0191b8a0-7c3e-7a10-9b1e-3f6d8c2a1b4c","namespace":"shop","name":"order","context":{"order_id":7,'
  .. '"items":[{"sku":"A-1","qty":2,"price":9.99},{"sku":"B-22","qty":1,"price":120.5}],"express":true},"tags":["vip","eu"],"n":3.25}'
local runs, rounds = arg[1] == "--quick" and 2000 or 200000, arg[1] == "--quick" and 2 or 7

-- Microseconds a call: the best of the rounds, since the machine can only make it slower.
local function time(call, argument)
  local best = math.huge
  for _ = 1, rounds do
    local started = os.clock()
    for _ = 1, runs do
      call(argument)
    end
    best = math.min(best, (os.clock() - started) * 1e6 / runs)
  end
  return best
end

local found, cjson = pcall(require, "cjson")
local function compare(name, target, ours, theirs, argument)
  support.report {
    name = ("JSON: %s %d bytes"):format(name, #text), value = time(ours, argument), unit = "us", target = target, better = "less",
    note = found and ("lua-cjson %.2f us"):format(time(theirs, argument)) or nil,
  }
end

compare("encode", 2.2, json.encode, found and cjson.encode, json.decode(text))
compare("decode", 2.5, json.decode, found and cjson.decode, text)
