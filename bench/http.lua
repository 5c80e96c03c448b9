-- Requests of steps, 64 at a time on one thread, to a server on loopback; beside a bare loop on curl's multi interface in the same run.
-- usage: tasker-lua bench/http.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local CONCURRENT = 64
local REQUESTS = arg[1] == "--quick" and 2560 or 32000
local ROUNDS = arg[1] == "--quick" and 1 or 3

local program = support.floor_program:gsub("floor$", "http_floor")

-- The server is ended by the end of what it writes to, or by us.
local function start_server()
  local log = os.tmpname()
  local pid = support.spawn(program .. " serve", log)
  local port
  support.await("the server", 10, function()
    local file <close> = io.open(log)
    port = file and file:read "n"
    return port
  end)
  os.remove(log)
  return pid, ("http://127.0.0.1:%d/orders/7"):format(port)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local pid, url = start_server()

local client = tasker.rest { base_url = url }

local function define(name, each, request)
  return tasker.handler { name = name, steps = { { name = "ask", map = function()
    local list = {}
    for i = 1, REQUESTS // each do
      list[i] = i
    end
    return list
  end, run = function()
    for _ = 1, each do
      request()
    end
    return true
  end } } }
end

local function measure(name, each, request)
  local handler = define(name, each, request)
  local app = assert(tasker.open((support.new_store())))
  assert(app:submit(handler))
  local started = support.now()
  assert(app:work { concurrency = CONCURRENT, until_idle = true })
  local seconds = support.now() - started
  assert(app:count { status = "complete" } == 1)
  app:close()
  return REQUESTS / seconds
end

local function plain()
  assert(assert(tasker.http.get(url)).status == 200)
end

local function decoded()
  assert(assert(client:get ""):json().order_id == 7)
end

local floors, rates, rests, singles = {}, {}, {}, {}
for round = 1, ROUNDS do
  floors[round] = assert(tasker.json.decode(support.capture(("%s load %s %d %d"):format(program, url, REQUESTS,
    CONCURRENT)))).requests_per_second
  rates[round] = measure("http" .. round, REQUESTS // CONCURRENT, plain)
  rests[round] = measure("rest" .. round, REQUESTS // CONCURRENT, decoded)
  singles[round] = measure("single" .. round, 1, plain)
end
os.execute("kill " .. pid)

local floor = median(floors)
local function report(name, list, target)
  local rate = median(list)
  support.report { name = name, value = rate, unit = "req/s", floor = floor, ratio = rate / floor, target = target,
    better = target and "more", note = "floor: a bare loop on curl's multi interface" }
end
report("http: 64 steps, GETs one after the other", rates, 0.7)
report("rest: the same, answers decoded", rests)
report("http: a step of its own for each GET", singles)
support.clean()
