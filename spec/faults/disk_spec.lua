-- A disk that is full or fails: the caller is told, nothing that was acknowledged is lost, and the next process finds a whole store.
local Fold = require "spec.support.fold"
local process = require "spec.support.process"
local tasker = require "tasker"

local build = os.getenv "TASKER_BUILD" or "build"

describe("a disk that fails", function()
  local dir, store

  before_each(function()
    dir = process.temp_dir()
    store = dir .. "/store"
  end)
  after_each(function() process.remove_dir(dir) end)

  -- The lines that a scenario printed, and how it ended.
  local function run(name, faults)
    local result = process.run {
      process.program(), "spec/faults/scenario.lua", name, store, timeout = 60,
      env = faults and { LD_PRELOAD = build .. "/shim/faults.so", TASKER_FAULTS = faults, ASAN_OPTIONS = "verify_asan_link_order=0" },
    }
    local said = {}
    for line in result.stdout:gmatch "[^\n]+" do
      said[#said + 1] = assert(tasker.json.decode(line))
    end
    return said, result
  end

  local function check()
    local app = assert(tasker.open(store))
    local damage
    assert(app.engine:check(function(text) damage = damage or text end, function() end))
    assert.is_nil(damage)
    local fold = Fold.new { first = {}, second = { depends_on = { "first" } } }
    for _, event in ipairs(assert(app:events { after = 0 })) do
      assert.is_nil(fold:add(event))
    end
    app:close()
    return fold
  end

  -- Answers of submissions while calls fail: each is an id or one of the codes; what has an id is there afterwards, and what may
  -- have been committed becomes one task when it is submitted again.
  local function submit_through(faults, codes)
    local said, result = run("submit", faults)
    assert.equal(0, result.status, result.stderr)
    assert.equal(12, #said)
    local failed, unknown = 0, 0
    for _, answer in ipairs(said) do
      if not answer.id then
        assert.truthy(codes[answer.code], ("%s: %s"):format(answer.code, answer.message))
        assert.is_true(#answer.message > 10 and not answer.message:find "\n", answer.message)
        failed = failed + 1
        unknown = unknown + (answer.unknown and 1 or 0)
      end
    end
    assert.is_true(failed > 0, "no call failed")
    local fold = check()
    for _, answer in ipairs(said) do
      assert.is_true(answer.id == nil or fold.tasks[answer.id] ~= nil, "acknowledged and lost: " .. tostring(answer.id))
    end
    for i, answer in ipairs(run "submit") do
      assert.truthy(answer.id)
      assert.is_true(said[i].id == nil or said[i].id == answer.id, "submitted again it is another task")
    end
    assert.equal(13, check().count)
    return unknown
  end

  it("says full when it is full, and goes on when there is room again #slow", function()
    submit_through("pages:3:ENOSPC:4", { full = true })
  end)

  it("says full as long as it is full #slow", function()
    submit_through("pages:2:ENOSPC:0", { full = true })
  end)

  it("says io when pages cannot be written", function()
    submit_through("pages:3:EIO", { io = true, closed = true })
  end)

  it("says io when a sync fails, and that the outcome is unknown", function()
    assert.is_true(submit_through("sync:2:EIO", { io = true, closed = true }) > 0)
  end)

  it("says io when the commit's last write fails, and that the outcome is unknown", function()
    assert.is_true(submit_through("meta:2:EIO", { io = true, closed = true }) > 0)
    process.remove_dir(dir)
    process.run { "mkdir", dir }
    assert.is_true(submit_through("done_meta:2:EIO", { io = true, closed = true }) > 0)
  end)

  it("fails for good: every call says so, and what was acknowledged before is there", function()
    submit_through("sync:3:EIO:0", { io = true, closed = true })
  end)

  for _, faults in ipairs { "sync:4:EIO", "meta:4:EIO", "done_meta:4:EIO", "done_sync:3:EIO", "pages:9:ENOSPC:2", "pages:9:EIO" } do
    it("does not make a completed step run again: " .. faults .. " #slow", function()
      local said = run("work", faults)
      local last = said[#said]
      assert.equal(faults:find "ENOSPC" and "done" or "io", last.code or last.worked and "done")
      local fold = check()
      local again = run "finish"
      local statuses = {}
      for _, line in ipairs(again) do
        if line.ran then
          assert.is_false(fold:completed(line.ran.task, line.ran.step), "it was complete")
          assert.is_true(line.ran.attempt > fold:started(line.ran.task, line.ran.step), "an attempt that was started before")
        else
          statuses[#statuses + 1] = line.status
        end
      end
      for _, line in ipairs(said) do
        if line.ran then
          assert.is_true(fold:started(line.ran.task, line.ran.step) >= line.ran.attempt, "it ran before its start was committed")
        end
      end
      assert.equal(20, #statuses)
      assert.equal(("complete"):rep(20), table.concat(statuses))
      check()
    end)
  end
end)

describe("a disk that fills up", function()
  local dir

  setup(function() dir = process.temp_dir() end)
  teardown(function() process.remove_dir(dir) end)

  -- A file system of its own, of 1 MiB, that is enlarged and used again.
  local SCRIPT = [[
    mount -t tmpfs -o size=1m tmpfs %s || exit 77
    %s spec/faults/scenario.lua fill %s/store || exit 3
    %s check --store %s/store >&2 || exit 4
    mount -o remount,size=32m %s || exit 5
    %s spec/faults/scenario.lua finish %s/store || exit 6
    %s check --store %s/store >&2]]

  it("is told as full, keeps what was acknowledged, and is worked off when there is room #slow", function()
    local program = process.program()
    local script = SCRIPT:format(dir, program, dir, program, dir, dir, program, dir, program, dir)
    local result = process.run { "unshare", "-Urm", "sh", "-c", script, timeout = 120 }
    if result.status == 77 or result.stderr:find "^unshare: " then
      pending "this machine lets nobody mount a file system of his own"
      return
    end
    assert.equal(0, result.status, result.stderr)
    local acknowledged, full, complete = {}, 0, {}
    for line in result.stdout:gmatch "[^\n]+" do
      local said = assert(tasker.json.decode(line))
      if said.status then
        complete[said.id] = said.status == "complete"
      elseif said.id then
        acknowledged[#acknowledged + 1] = said.id
      elseif said.code then
        assert.equal("full", said.code, said.message)
        full = full + 1
      end
    end
    assert.is_true(full >= 4 and #acknowledged > 20)
    for _, id in ipairs(acknowledged) do
      assert.is_true(complete[id], "acknowledged and not complete: " .. id)
    end
  end)
end)

describe("a store that outgrows its map", function()
  local dir

  setup(function() dir = process.temp_dir() end)
  teardown(function() process.remove_dir(dir) end)

  it("grows by itself, under the feet of other processes too", function()
    local store = dir .. "/store"
    local app = assert(tasker.open(store, { map_size = 1 << 20 }))
    local handler = tasker.handler { name = "small", steps = { { name = "only", run = function() end } } }
    assert(app:submit(handler))
    local result = process.run { process.program(), "spec/faults/scenario.lua", "grow", store }
    assert.equal("", result.stderr)
    local id = assert(app:submit(handler))
    assert.equal("pending", assert(app:task(id)).status)
    assert.equal(802, #assert(app:tasks { limit = 1000 }))
    assert(app:work { until_idle = true })
    assert.equal("complete", assert(app:task(id)).status)
    app:close()
  end)
end)
