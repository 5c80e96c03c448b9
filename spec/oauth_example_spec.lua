-- The example of a login on another device and a sync by night, as a person would run it, against oidc-provider.
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local process = harness.process
local tasker = require "tasker"

local FILE = "examples/handlers/nightly_sync.lua"
local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

describe("the example nightly_sync", function()
  if not peer.has "oidc-provider" then
    pending("skipped: oidc-provider is not installed (tools/peers does it)")
    return
  end

  after_each(harness.clean)

  it("logs in from the command line once, and syncs with tokens that renew themselves #slow", function()
    local base = ("http://127.0.0.1:%d"):format(peer.start("oidc").http)
    local env = { TASKER_KEY = KEY, TASKER_STORE = harness.temp_dir() .. "/store", ISSUER = base, API = base }
    local function command(...)
      local result = process.run { process.program(), env = env, ... }
      assert.equal(0, result.status, result.stderr)
      return result.stdout
    end
    local login = harness.start { process.program(), FILE, "login", env = env }
    local line = harness.eventually(function() return login:stdout():match "Open %S+ and enter %S+" end)
    local address, code = line:match "Open (%S+) and enter (%S+)"
    assert.equal(base .. "/device", address)
    assert(tasker.http.get(base .. "/browse", { query = { url = address .. "?user_code=" .. code } }))
    harness.eventually(function() return not login:running() end, 20)
    assert.matches("Logged in.\n$", login:stdout())
    command("worker", FILE, "--until-idle")   -- makes the schedule
    assert.matches("nightly_sync", command("schedules"), 1, true)
    for night = 1, 2 do
      command("schedule", "trigger", "default/nightly_sync")
      command("worker", FILE, "--until-idle")
      local task = tasker.json.decode(command("task", "@last", "--json"))
      assert.same({ "complete", { orders = 2, cents = 750 } }, { task.status, task.results.sum }, "night " .. night)
    end
  end)
end)
