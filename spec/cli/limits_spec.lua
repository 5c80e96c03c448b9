-- `limits` and `limit set` as a program sees them.
local harness = require "spec.support.harness"
local process = require "spec.support.process"
local json = require("tasker.core").json

local FILE = [[
local tasker = require "tasker"
tasker.limit("stripe", { rate = 2, per = 3600, burst = 2 })
tasker.handler { namespace = "shop", name = "pay", steps = {
  { name = "charge", limits = { { "stripe", key = function(task) return task.context.tenant end } }, run = function() end },
} }
]]

describe("tasker-lua limits", function()
  local dir

  local function run(...)
    return process.run { process.program(), cwd = dir, env = { TASKER_STORE = dir .. "/tasker-data" }, ... }
  end

  local function done(...)
    local result = run(...)
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  before_each(function()
    dir = harness.temp_dir()
    process.write_file(dir .. "/h.lua", FILE)
    done("submit", "shop/pay", '{"tenant":"acme"}', "--file", "h.lua")
  end)
  after_each(harness.clean)

  it("lists what is declared and what is used", function()
    done("worker", "h.lua", "--until-idle")
    local listed = json.decode(done("limits", "--json", "--keys", "5"))
    assert.equal("stripe", listed.name)
    assert.equal(2, listed.rate)
    assert.equal("acme", listed.keys[1].key)
    assert.matches("stripe%s+2 per 3600s%s+2%s+%-%s+0%s+0%s+1\n", done("limits"))
    assert.matches("\n  acme%s+0%s+0", done("limits", "stripe", "--keys", "5"))
    local none = run("limits", "nobody")
    assert.equal(1, none.status)
    assert.matches("no limit 'nobody' is declared", none.stderr)
  end)

  it("changes rules, which a worker that loads the same file leaves alone", function()
    assert.equal("stripe: 50 per 3600s, burst 2, at once 3\n", done("limit", "set", "stripe", "--rate", "50", "--concurrency", "3"))
    done("worker", "h.lua", "--until-idle")
    local listed = json.decode(done("limit", "set", "stripe", "--concurrency", "none", "--per", "1m", "--json"))
    assert.equal(50, listed.rate)
    assert.equal(60, listed.per)
    assert.equal(json.null, listed.concurrency)
    assert.equal(1, run("limit", "set", "stripe", "--rate", "none").status)
    assert.equal(1, run("limit", "set", "nobody", "--rate", "1").status)
    assert.equal(2, run("limit", "set", "stripe").status)
    assert.equal(2, run("limit", "set", "stripe", "--rate", "many").status)
  end)
end)
