-- The example of webhooks: a push to GitHub starts a task, and a signed message tells when it has ended. Real servers on loopback.
local core = require "tasker.core"
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local tasker = require "tasker"

local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
local SECRET = "what both sides know"

local function signature(body)
  return "sha256=" .. core.hmac_sha256(SECRET, body):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
end

describe("the example of webhooks", function()
  local folder
  before_each(function() folder = process.temp_dir() end)
  after_each(function()
    harness.clean()
    process.remove_dir(folder)
  end)

  it("makes one task of a push, whoever sends it twice, and tells of its end", function()
    if not peer.has_node then return pending "skipped: Node is not installed" end
    local store, receiver = folder .. "/store", peer.start("receiver").url
    local function cli(...)
      local argv = { process.program(), ... }
      argv.env = { TASKER_KEY = KEY, TASKER_STORE = store }
      local result = process.run(argv)
      assert.equal(0, result.status, result.stderr)
      return (result.stdout:gsub("\n$", ""))
    end
    cli("submit", "ci/deploy", '{"repository":"a/b","commit":"0000000"}', "--file", "examples/handlers/deploy.lua")
    local secret = cli("webhook", "add", "done", receiver, "--event", "task.completed", "--allow-private")
    local child = harness.start { "node", "spec/peers/incoming.mjs", process.program(), "examples/handlers/receive.lua", store,
      env = { GITHUB_SECRET = SECRET } }
    local line = harness.eventually(function() return child:stdout():match "^(.-)\n" end, 30)
    local url = assert(tasker.json.decode(line)).url
    local body = '{"after":"4f2a9c1d","repository":{"full_name":"ann/shop"}}'
    local function push(signed)
      return assert(tasker.http.post(url .. "/github", { body = body, headers = { ["X-GitHub-Event"] = "push",
        ["X-GitHub-Delivery"] = "72d3162e", ["X-Hub-Signature-256"] = signed } })).status
    end
    assert.equal(401, push("sha256=" .. ("0"):rep(64)))
    assert.equal(202, push(signature(body)))
    assert.equal(200, push(signature(body)))
    cli("worker", "examples/handlers/deploy.lua", "--until-idle")
    local log = assert(assert(tasker.http.get(receiver .. "/log")):json())
    assert.equal(2, #log)   -- the task that was submitted by hand ended too
    local told = {}
    for _, one in ipairs(log) do
      told[assert(tasker.webhook.verify(one.headers, one.body, secret)).data.task_id] = true
    end
    local app = harness.reopen(store)
    local tasks = assert(app:tasks { tag = "push" })
    assert.equal(1, #tasks)
    assert.is_true(told[tasks[1].task_id])
    assert.equal("ann/shop:4f2a9c1", app:task(tasks[1].task_id).results.roll_out.running)
  end)

  it("is steered from the command line", function()
    local store = folder .. "/store"
    local function cli(...)
      local argv = { process.program(), "webhook", ... }
      argv.env = { TASKER_KEY = KEY, TASKER_STORE = store }
      return process.run(argv)
    end
    local added = cli("add", "w", "https://example.org/x", "--event", "task.*", "--json")
    assert.equal(0, added.status, added.stderr)
    assert.matches("^whsec_", tasker.json.decode(added.stdout).secret)
    local again = cli("add", "w", "https://example.org/x")
    assert.equal(1, again.status)
    assert.matches("there is a webhook 'w' already (--replace changes it)", again.stderr, 1, true)
    assert.matches("w%s+on%s+task%.%*%s+https://example.org/x", cli("list").stdout)
    assert.matches("^whsec_%S+\n$", cli("rotate", "w").stdout)
    local id = cli("test", "w").stdout:match "^(%S+)\n$"
    local listed = tasker.json.decode(cli("deliveries", "w", "--json").stdout)
    assert.same({ id, "webhook.test", "pending" }, { listed.id, listed.type, listed.status })
    assert.matches("under way", cli("replay", id).stderr, 1, true)
    assert.equal("w disabled\n", cli("disable", "w").stdout)
    assert.equal("w enabled\n", cli("enable", "w").stdout)
    assert.equal("w deleted\n", cli("delete", "w").stdout)
    assert.equal("", cli("list").stdout)
    assert.equal(1, cli("delete", "w").status)
    for _, wrong in ipairs { { "add", "w" }, { "add" }, { "list", "w" }, { "rotate" }, { "replay" }, { "test", "w", "x" } } do
      assert.equal(2, cli(table.unpack(wrong)).status, table.concat(wrong, " "))
    end
    assert.matches("--allow%-private", cli("add", "p", "http://127.0.0.1/").stderr)
  end)
end)
