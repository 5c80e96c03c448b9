-- What alloc_spec.lua runs while one allocation fails. Lines on stdout are acknowledged task ids.
-- usage: tasker-lua spec/alloc/scenario.lua NAME STORE
local tasker = require "tasker"

local function arm()
  os.getenv "TASKER_ALLOC_ARM"
end

local function run(task, step)
  return { step = step.name, text = task.context.text }
end

local handler = tasker.handler {
  namespace = "alloc", name = "pair", chain = true, retry = { limit = 2, backoff = "none" },
  steps = {
    { name = "first", run = run },
    { name = "second", run = function(task, step)
        if step.attempt == 1 then
          error "the first attempt fails"
        end
        return run(task, step)
      end },
  },
}

local function submit(app, count)
  for i = 1, count do
    print((assert(app:submit(handler, { text = ("x"):rep(100 * i) }, { tags = { "a", "b" }, identity_key = "key-" .. i }))))
    io.stdout:flush()
  end
end

local scenarios = {}

-- Makes the store that the others start from.
function scenarios.prepare(store)
  local app = assert(tasker.open(store))
  submit(app, 4)
  app:close()
end

-- Leaves work that a dead process held.
function scenarios.die(store)
  tasker.handler {
    namespace = "alloc", name = "deadly", steps = { { name = "only", run = function(_, step)
      if step.attempt == 1 then
        os.execute "kill -9 $PPID"
      end
      return step.attempt
    end } },
  }
  local app = assert(tasker.open(store))
  print((assert(app:submit "alloc/deadly")))
  io.stdout:flush()
  assert(app:work { until_idle = 2 })
  app:close()
end

function scenarios.open(store)
  arm()
  local app = assert(tasker.open(store))
  app:close()
end

function scenarios.submit(store)
  local app = assert(tasker.open(store))
  arm()
  submit(app, 6)
  assert(app:submit_many { { handler, { text = "one" } }, { handler, { text = "two" } } })
  app:close()
end

function scenarios.turn(store)
  local app = assert(tasker.open(store))
  arm()
  assert(app:work { until_idle = 2 })
  app:close()
end

function scenarios.recovery(store)
  scenarios.turn(store)
end

function scenarios.read(store)
  local app = assert(tasker.open(store))
  arm()
  for _, task in ipairs(assert(app:tasks {})) do
    assert(app:task(task.task_id))
  end
  assert(app:events { after = 0 })
  app:close()
end

function scenarios.json()
  arm()
  local list = {}
  for i = 1, 50 do
    list[i] = { number = i, float = i / 3, text = ("é\n\"%d\""):format(i), list = { i, { i } }, empty = tasker.array {} }
  end
  local text = assert(tasker.json.encode(list, { indent = 2 }))
  assert(#assert(tasker.json.decode(text)) == 50)
end

scenarios[arg[1]](arg[2])
