-- Three worker processes that die at any moment never exceed a limit, and use nearly all of it. The whole of it, when the machine has
-- nothing else to do: TASKER_RATE=1000 TASKER_GRANTS=100000.
local process = require "spec.support.process"
local steps = require "spec.crash.limits_steps"
local tasker = require "tasker"

local GRANTS = tonumber(os.getenv "TASKER_GRANTS") or 1000

describe("limits over processes that are killed #slow", function()
  local dir, store

  setup(function()
    dir = process.temp_dir()
    store = dir .. "/store"
  end)
  teardown(function() process.remove_dir(dir) end)

  local function start_worker(...)
    return process.start { process.program(), "spec/crash/limits_worker.lua", store, ... }
  end

  local function submit(app)
    local handler, key_of, list = steps.define(), {}, {}
    for i = 1, GRANTS do
      list[#list + 1] = { handler, { key = i % steps.KEYS } }
      if #list == 10000 or i == GRANTS then
        for k, id in ipairs(assert(app:submit_many(list))) do
          key_of[id] = list[k][2].key
        end
        list = {}
      end
    end
    return key_of
  end

  local function kill_until_done(app)
    local children = { start_worker(), start_worker(), start_worker() }
    while assert(app:count { status = "complete" }) < GRANTS do
      tasker.sleep(0.1 + math.random() * 0.4)
      local victim = math.random(#children)
      children[victim]:kill "KILL"
      children[victim]:close()
      children[victim] = start_worker()
    end
    for _, child in ipairs(children) do
      child:kill "KILL"
      child:close()
    end
  end

  local function each_event(app, visit)
    local after = 0
    repeat
      local events, last = assert(app:events { after = after, limit = 10000 })
      for _, event in ipairs(events) do
        visit(event)
      end
      after = last
    until #events == 0
  end

  it("exceed no window, and use at least 0.97 of the rate", function()
    local app = assert(tasker.open(store))
    local key_of = submit(app)
    kill_until_done(app)
    -- In microseconds: when what was started is paid off (GCRA), as the limit says of each start.
    local unit, paid_off, first, last, grants = 1000000 // steps.RATE, 0, nil, nil, 0
    local running, at_key, seen_at = {}, {}, nil
    each_event(app, function(event)
      if event.at ~= seen_at then   -- of one turn the log tells task by task: looked at when the time goes on
        for key, count in pairs(at_key) do
          assert.is_true(count <= steps.PLACES, ("%d steps of key %s ran at once"):format(count, key))
        end
        seen_at = event.at
      end
      local id, key = event.task_id, key_of[event.task_id]
      if running[id] and event.event:find "^step%." then
        running[id], at_key[key] = nil, at_key[key] - 1
      end
      if event.event ~= "step.started" then
        return
      end
      local now = math.floor(tasker.time.parse(event.at) * 1000000 + 0.5)
      assert.is_true(now >= paid_off - (steps.BURST - 1) * unit, "a window exceeds burst + rate * t at " .. event.at)
      paid_off = math.max(paid_off, now) + unit
      first, last, grants = first or now, math.max(last or now, now), grants + 1
      running[id], at_key[key] = true, (at_key[key] or 0) + 1
    end)
    assert.is_true(grants >= GRANTS)
    if GRANTS > 1000 then
      io.stderr:write(("%d grants in %.3f s: %.4f of the rate\n"):format(grants, (last - first) / 1000000,
        (grants - steps.BURST) * unit / (last - first)))
    end
    assert.is_true((grants - steps.BURST) * unit >= 0.97 * (last - first),
      ("%d grants in %.3f s use less than 0.97 of the rate"):format(grants, (last - first) / 1000000))
    assert.equal(0, assert(app.engine:check(print)))
    app:close()
  end)
end)
