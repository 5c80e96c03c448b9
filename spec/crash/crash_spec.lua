-- Worker and submitter processes die at any moment, 200 times, or are stopped for long; what was promised holds.
local Fold = require "spec.support.fold"
local process = require "spec.support.process"
local steps = require "spec.crash.steps"
local tasker = require "tasker"

local KILLS = 200

describe("processes that are killed #slow", function()
  local seed = tonumber(os.getenv "TASKER_SEED") or 1
  local dir, store, side, acknowledged

  setup(function()
    dir = process.temp_dir()
    store, side, acknowledged = dir .. "/store", dir .. "/side", dir .. "/acknowledged"
  end)
  teardown(function() process.remove_dir(dir) end)

  local function start_worker(...)
    return process.start { process.program(), "spec/crash/worker.lua", store, side, ... }
  end

  -- Some have a seed that an earlier one had: they submit again what it submitted.
  local function start_submitter()
    return process.start { process.program(), "spec/crash/submitter.lua", store, side, acknowledged, tostring(math.random(60)) }
  end

  -- Whatever a process says before it is killed is a defect: a refused commit, a failed assertion, a traceback. (The shell that
  -- started it tells that it was killed.)
  local function bury(child)
    child:kill "KILL"
    local said = child:stderr():gsub("Killed\n", "")
    child:close()
    assert.equal("", said)
  end

  local function kill_at_random()
    local children = { start_worker(), start_worker(), start_worker(), start_submitter() }
    local stopped, continue_at
    for kill = 1, KILLS do
      tasker.sleep(0.02 + math.random() * 0.13)
      local victim = math.random(#children)
      assert.is_true(children[victim]:running(), children[victim]:stderr())
      -- Now and then one is stopped before, for longer than anybody's patience, in the middle of whatever it does.
      if not stopped and kill % 20 == 10 then
        stopped, continue_at = children[victim], tasker.now() + 3
        stopped:kill "STOP"
        victim = victim % #children + 1
      end
      if stopped and tasker.now() >= continue_at then
        stopped:kill "CONT"
        stopped = nil
      end
      if children[victim] ~= stopped then
        bury(children[victim])
        children[victim] = victim == 4 and start_submitter() or start_worker()
      end
    end
    for _, child in ipairs(children) do
      child:kill "CONT"
      bury(child)
    end
  end

  local function lines(path)
    local list = {}
    for line in io.lines(path) do
      list[#list + 1] = line
    end
    return list
  end

  -- The side file in order: no run after the completion, each attempt once, dependencies first.
  local function check_side(fold)
    local begun, ended = {}, {}
    for _, line in ipairs(lines(side)) do
      local what, task, step, attempt = line:match "^(%a+) (%S+) (%S+) (%d+)$"
      assert.truthy(what, "a torn line: " .. line)
      local key = task .. " " .. step
      if what == "end" then
        ended[key] = true
      else
        assert.is_nil(begun[key .. " " .. attempt], key .. " ran the same attempt twice")
        begun[key .. " " .. attempt] = true
        assert.is_true(tonumber(attempt) <= fold:started(task, step), key .. " ran an attempt that was never started")
        for _, before in ipairs(steps.declared[step].depends_on or {}) do
          assert.truthy(ended[task .. " " .. before], key .. " ran before " .. before)
        end
      end
    end
  end

  local function check_log(app)
    local fold, after = Fold.new(steps.declared), 0
    while true do
      local events = assert(app:events { after = after, limit = 10000 })
      for _, event in ipairs(events) do
        assert.is_nil(fold:add(event))
      end
      if #events == 0 then
        return fold
      end
      after = events[#events].seq
    end
  end

  -- Each is complete and as the log says; none twice, neither of a submitter nor of a step that ran more than once.
  local function check_tasks(app, fold)
    local tasks, identities, children, spawned, cursor = {}, {}, {}, 0, nil
    repeat
      local page
      page, cursor = assert(app:tasks { limit = 1000, cursor = cursor })
      for _, summary in ipairs(page) do
        local task = assert(app:task(summary.task_id))
        assert.equal("complete", task.status, "task " .. task.task_id)
        assert.is_nil(fold:compare(task))
        assert.is_nil(identities[task.identity_hash], "submitted twice: " .. task.task_id)
        tasks[task.task_id], identities[task.identity_hash] = task, true
        spawned = spawned + (task.name == "spawn" and 1 or 0)
        children[#children + 1] = task.context.parent
      end
    until not cursor
    assert.equal(2 * spawned, #children)
    return tasks
  end

  it("lose no acknowledged task, leave none stuck, run no completed step again, and damage nothing", function()
    math.randomseed(seed)
    kill_at_random()
    local last = start_worker "until-idle"
    assert(os.execute(("timeout 120 tail -s 0.05 --pid=%d -f /dev/null"):format(last.pid)), "the last worker does not become idle")
    local said = last:stderr()
    last:close()
    assert.equal("", said)

    local app = assert(tasker.open(store))
    local fold = check_log(app)
    check_side(fold)
    local tasks = check_tasks(app, fold)
    local count = 0
    for _, id in ipairs(lines(acknowledged)) do
      assert.truthy(tasks[id], "acknowledged and lost: " .. id)
      count = count + 1
    end
    assert.is_true(count > KILLS, "there was hardly any load: " .. count .. " tasks")
    app:close()
  end)

  it("leave a store that checks clean, with its reader slots free", function()
    local result = process.run { process.program(), "check", "--store", store }
    assert.equal(0, result.status, result.stdout .. result.stderr)
    local stats = process.run { process.program(), "stats", "--json", "--store", store }
    assert.equal(0, stats.status, stats.stderr)
    local readers = tasker.json.decode(stats.stdout).store.readers
    assert.is_true(readers <= 2, "reader slots in use: " .. tostring(readers))
  end)

  it("leave a file that is not larger than its content asks for", function()
    local function size()
      return #assert(process.read_file(store .. "/data.mdb"))
    end
    local before = size()
    local result = process.run { process.program(), "compact", "--store", store }
    assert.equal(0, result.status, result.stderr)
    assert.is_true(before < 2 * size() + (4 << 20), ("%d bytes, compact %d"):format(before, size()))
    local check = process.run { process.program(), "check", "--store", store }
    assert.equal(0, check.status, check.stdout .. check.stderr)
  end)
end)
