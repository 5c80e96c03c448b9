-- A power cut at any moment loses nothing that was acknowledged: the writes of a run are recorded, the states that a disk may be left
-- in are rebuilt, and each is opened.
local process = require "spec.support.process"
local tasker = require "tasker"

local build = os.getenv "TASKER_BUILD" or "build"

describe("a power cut #slow", function()
  local dir
  local recordings = {}

  setup(function() dir = process.temp_dir() end)
  teardown(function() process.remove_dir(dir) end)

  -- Where sanitizers are built in they must come before the recorder.
  local function record(durability)
    if recordings[durability] then
      return recordings[durability]
    end
    local store, log = ("%s/%s"):format(dir, durability), ("%s/%s.log"):format(dir, durability)
    local result = process.run {
      process.program(), "spec/power/workload.lua", store, log, durability, timeout = 120,
      env = {
        LD_PRELOAD = build .. "/shim/power.so", TASKER_POWER_DIR = store, TASKER_POWER_LOG = log,
        ASAN_OPTIONS = "verify_asan_link_order=0",
      },
    }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    recordings[durability] = { store = store, log = log }
    return recordings[durability]
  end

  local function verify(durability, count, fault)
    local recording = record(durability)
    local scratch = ("%s/cut-%s-%s"):format(dir, durability, fault or "none")
    assert(os.execute("mkdir " .. process.quote(scratch)))
    local result = process.run {
      process.program(), "spec/power/verify.lua", recording.log, recording.store, scratch, tostring(count),
      os.getenv "TASKER_SEED" or "1", durability, fault, timeout = 600,
    }
    local last = result.stdout:match "([^\n]+)\n$"
    return last and tasker.json.decode(last) or {}, result
  end

  it("leaves every acknowledged task, start and completion in each of 2,000 states, and no damage", function()
    local summary, result = verify("sync", 2100)
    assert.equal(0, result.status, result.stderr)
    assert.equal(0, summary.bad, result.stdout)
    assert.is_true(summary.states >= 2000, result.stdout)
  end)

  it("may cost a relaxed store its last moments, but damages nothing and leaves a beginning of its log", function()
    local summary, result = verify("relaxed", 500)
    assert.equal(0, result.status, result.stderr)
    assert.equal(0, summary.bad, result.stdout)
    assert.is_true(summary.states >= 400, result.stdout)
  end)

  for _, fault in ipairs { "unsynced_pages", "unsynced_meta", "unsynced_name", "unsynced_directory" } do
    it("would be found out if it were not so: " .. fault, function()
      local summary, result = verify("sync", 500, fault)
      -- Damaged pages may well end the process that opens them.
      assert.is_true(result.status ~= 0 or summary.bad > 0, result.stdout)
    end)
  end
end)
