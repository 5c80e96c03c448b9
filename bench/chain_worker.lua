-- One of the processes of chain.lua: works off the chains of a store.
-- usage: tasker-lua bench/chain_worker.lua STORE
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

support.chain("chain", 10)
local app = assert(tasker.open(arg[1]))
assert(app:work { until_idle = true })
app:close()
