-- What faults_spec.lua runs while the disk fails. Each line on stdout is the JSON of what a call answered.
-- usage: tasker-lua spec/faults/scenario.lua NAME STORE
local tasker = require "tasker"

local function say(what)
  print(tasker.json.encode(what))
  io.stdout:flush()
end

local function arm()
  os.getenv "TASKER_FAULTS_ARM"
end

local handler = tasker.handler {
  namespace = "faults", name = "pair", chain = true, retry = { backoff = "none" },
  steps = {
    { name = "first", run = function(task, step)
        say { ran = { task = task.task_id, step = step.name, attempt = step.attempt } }
        return ("x"):rep(3000)
      end },
    { name = "second", run = function(task, step)
        say { ran = { task = task.task_id, step = step.name, attempt = step.attempt } }
      end },
  },
}

local scenarios = {}

function scenarios.submit(store)
  local app = assert(tasker.open(store))
  assert(app:submit(handler, {}, { identity_key = "before" }))
  arm()
  for i = 1, 12 do
    local id, err = app:submit(handler, { text = ("x"):rep(6000) }, { identity_key = "key-" .. i })
    err = not id and err or {}
    say { key = "key-" .. i, id = id, code = err.code, message = err.message, unknown = (err.details or {}).unknown }
  end
  app:close()
end

function scenarios.work(store)
  local app = assert(tasker.open(store))
  for i = 1, 20 do
    assert(app:submit(handler, {}, { identity_key = "key-" .. i }))
  end
  arm()
  local ok, err = app:work { until_idle = 20, concurrency = 4 }
  say { worked = ok, code = err and err.code, message = err and err.message }
  app:close()
end

-- Everything that is open is done; how often steps ran is told.
function scenarios.finish(store)
  local app = assert(tasker.open(store))
  assert(app:work { until_idle = 20 })
  for _, task in ipairs(assert(app:tasks { limit = 1000 })) do
    say { id = task.task_id, status = task.status }
  end
  app:close()
end

-- Submits until the disk is full, and on; then works.
function scenarios.fill(store)
  local app = assert(tasker.open(store))
  local refused = 0
  for i = 1, 300 do
    local id, err = app:submit(handler, { text = ("x"):rep(6000) }, { identity_key = "key-" .. i })
    say { id = id, code = not id and err.code or nil, message = not id and err.message or nil }
    refused = refused + (id and 0 or 1)
    if refused == 4 then
      break
    end
  end
  local ok, err = app:work { until_idle = 2 }
  say { worked = ok, code = err and err.code }
  app:close()
end

-- Writes until the map has grown several times.
function scenarios.grow(store)
  local app = assert(tasker.open(store, { map_size = 1 << 20 }))
  for i = 1, 40 do
    local many = {}
    for k = 1, 20 do
      many[k] = { handler, { number = i, text = ("x"):rep(8000) } }
    end
    assert(app:submit_many(many))
  end
  app:close()
end

scenarios[arg[1]](arg[2])
