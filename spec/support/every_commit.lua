--- Kills a program at each of its commits, just before it and just after it, and lets it begin again.
local assert = require "luassert"
local process = require "spec.support.process"
local tasker = require "tasker"

local build = os.getenv "TASKER_BUILD" or "build"

local every_commit = {}

-- A key for what seals.
local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

local function run(script, store, faults)
  local env = { TASKER_KEY = KEY }
  if faults then
    env.LD_PRELOAD, env.TASKER_FAULTS, env.ASAN_OPTIONS = build .. "/shim/faults.so", faults, "verify_asan_link_order=0"
  end
  return process.run { process.program(), script, store, timeout = 60, env = env }
end

-- One run that is killed at the n-th commit, and one that finishes what it began; nil when there is no n-th commit.
local function once(script, store, when, n)
  local killed = run(script, store, ("%s:%d:KILL"):format(when, n))
  if killed.status == 0 then
    return nil
  end
  assert.equal(137, killed.status, killed.stderr)
  local result = run(script, store)
  assert.equal(0, result.status, result.stderr)
  return result.stdout
end

--- Runs a script, `script STORE`, killed at each commit; it must do its work with the store as it finds it, and arm the faults
-- (os.getenv "TASKER_FAULTS_ARM").
-- @string script
-- @func check gets what the script printed in the end, an app on the store, where it was killed, and the store
-- @treturn int how many times it was killed
function every_commit.run(script, check)
  local kills = 0
  for _, when in ipairs { "meta", "done_meta" } do
    for n = 1, 1000 do
      local dir = process.temp_dir()
      local stdout = once(script, dir .. "/store", when, n)
      if stdout then
        kills = kills + 1
        local app = assert(tasker.open(dir .. "/store"))
        local damage
        assert(app.engine:check(function(text) damage = damage or text end, function() end))
        assert.is_nil(damage)
        check(stdout, app, ("killed at %s %d"):format(when, n), dir .. "/store")
        app:close()
      end
      process.remove_dir(dir)
      if not stdout then
        break
      end
    end
  end
  return kills
end

return every_commit
