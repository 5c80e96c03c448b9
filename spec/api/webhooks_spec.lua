-- Webhooks, against a receiver on loopback. Keys come from the environment, so programs of their own do the work.
local core = require "tasker.core"
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local tasker = require "tasker"

local json = core.json
local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

local PRELUDE = [[
local tasker = require "tasker"
local app = assert(tasker.open(%q))
local url = %q
local function tell(value) print(tasker.json.encode(value)) end
local function hook(fields)
  fields.name, fields.allow_private = fields.name or "w", fields.allow_private ~= false
  fields.url = url .. (fields.path or "/")
  fields.path = nil
  return assert(app:webhook(fields))
end
tasker.handler { name = "h", steps = { { name = "a", run = function() return 1 end } } }
local function work() assert(app:work { until_idle = 20 }) end
local QUICK = { limit = 5, backoff = "none" }
]]

describe("a webhook", function()
  local folder, store
  before_each(function()
    folder = process.temp_dir()
    store = folder .. "/store"
  end)
  after_each(function()
    harness.clean()
    process.remove_dir(folder)
  end)

  -- Runs Lua with `app` open; gives what it tells.
  local function run(code, url, env)
    local result = process.run { process.program(), "-", stdin = PRELUDE:format(store, url or "http://127.0.0.1:1") .. code,
      env = env or { TASKER_KEY = KEY }, timeout = 60 }
    assert.equal(0, result.status, result.stderr)
    local told = {}
    for line in result.stdout:gmatch "[^\n]+" do
      told[#told + 1] = json.decode(line)
    end
    return table.unpack(told)
  end

  local function received(url)
    return assert(assert(tasker.http.get(url .. "/log")):json())
  end

  describe("that is reached", function()
    local url
    before_each(function() url = peer.has_node and peer.start("receiver").url end)

    local function it_delivers(name, test)
      it(name, function()
        if not url then return pending "skipped: Node is not installed" end
        test()
      end)
    end

    it_delivers("gets each event it wants once, signed, and lists show its deliveries only when asked", function()
      local made, lists, deliveries, events = run([[
        tell(hook { events = { "task.completed", "task.created" } })
        app:submit("h", { n = 1 })
        app:submit("h", { n = 2 })
        work()
        tell { #app:tasks(), #app:tasks { internal = true }, #app:consumers() }
        tell(app:webhook_deliveries "w")
        local wanted = {}
        for _, event in ipairs(app:events()) do
          local id = event.task_id and app:task(event.task_id).namespace
          if id ~= "tasker" and (event.event == "task.created" or event.event == "task.completed") then wanted[#wanted + 1] = event end
        end
        tell(wanted)
      ]], url)
      assert.matches("^whsec_", made.secret)
      assert.same({ 2, 7, 0 }, lists)
      assert.equal(4, #deliveries)
      local log, by_seq = received(url), {}
      assert.equal(4, #log)
      for _, one in ipairs(log) do
        local payload = assert(tasker.webhook.verify(one.headers, one.body, made.secret))
        assert.equal(payload.data.event, payload.type)
        assert.equal(payload.data.at, payload.timestamp)
        assert.is_nil(by_seq[payload.data.seq])
        by_seq[payload.data.seq] = payload.data
      end
      for i, event in ipairs(events) do
        assert.same(event, by_seq[event.seq])
        local one = deliveries[#deliveries + 1 - i]
        assert.same({ event.seq, "complete", 1, 204, event.event },
          { one.event_seq, one.status, one.attempts, one.response_status, one.type })
      end
    end)

    it_delivers("is tried again with one id and one body, when the answer says so or else by its policy", function()
      local made, deliveries, task = run([[
        tell(hook { path = "/codes/500/301/404/204", events = "task.completed", retry = QUICK })
        hook { name = "later", path = "/codes/503/204?after=0", events = "task.completed", retry = { limit = 2, backoff = { 600 } } }
        app:submit("h")
        work()
        tell(app:webhook_deliveries "w")
        tell(app:webhook_deliveries "later")
      ]], url)
      assert.same({ "complete", 4, 204 }, { deliveries[1].status, deliveries[1].attempts, deliveries[1].response_status })
      assert.same({ "complete", 2 }, { task[1].status, task[1].attempts })
      local ids, bodies = {}, {}
      for _, one in ipairs(received(url)) do
        if one.path:find "301" then
          assert(tasker.webhook.verify(one.headers, one.body, made.secret))
          ids[one.headers["webhook-id"]], bodies[one.body] = true, true
        end
        assert.are_not.equal("/moved", one.path)
      end
      assert.equal(deliveries[1].message_id, (next(ids)))
      assert.is_nil(next(ids, (next(ids))))
      assert.is_nil(next(bodies, (next(bodies))))
    end)

    it_delivers("is in error after the last attempt, with the answer, and can be replayed", function()
      local failed, again, replayed, list = run([[
        hook { path = "/codes/500/500/204", events = "task.completed", retry = { limit = 2, backoff = "none" } }
        app:submit("h")
        work()
        tell(app:webhook_deliveries "w")
        local id = app:webhook_deliveries("w")[1].id
        assert(app:replay_delivery(id) == id)
        work()
        tell(app:webhook_deliveries "w")
        local second = assert(app:replay_delivery(id))
        assert(second ~= id)
        work()
        tell(app:webhook_deliveries("w", { limit = 1 }))
        tell { app:replay_delivery(app:submit("h")) or "none" }
      ]], url)
      assert.same({ "error", 2, 500, "http_500" },
        { failed[1].status, failed[1].attempts, failed[1].response_status, failed[1].error.code })
      assert.same({ "complete", 3, 204 }, { again[1].status, again[1].attempts, again[1].response_status })
      assert.equal("complete", replayed[1].status)
      assert.equal(again[1].message_id, replayed[1].message_id)
      assert.same({ "none" }, list)
      assert.equal(4, #received(url))
    end)

    it_delivers("is switched off by 410, and tells nothing until it is switched on", function()
      local off, on, deliveries = run([[
        hook { path = "/codes/410", events = "task.completed" }
        app:submit("h")
        work()
        app:submit("h")
        work()
        tell(app:webhooks()[1])
        assert(app:enable_webhook "w")
        tell(app:webhooks()[1])
        work()
        tell(app:webhook_deliveries "w")
      ]], url)
      assert.is_true(off.disabled)
      assert.is_false(on.disabled)
      assert.equal(1, #deliveries)
      assert.same({ "error", 1, 410 }, { deliveries[1].status, deliveries[1].attempts, deliveries[1].response_status })
    end)

    it_delivers("that is ordered is told of one event after the other, whatever fails", function()
      run([[
        hook { path = "/codes/500/503/204", events = { "task.*", "step.*" }, ordered = true, retry = QUICK }
        for i = 1, 3 do app:submit("h") end
        work()
        tell {}
      ]], url)
      local last, counts = 0, {}
      for _, one in ipairs(received(url)) do
        local seq = json.decode(one.body).data.seq
        counts[seq] = (counts[seq] or 0) + 1
        assert.is_true(seq >= last)
        assert.is_true(seq == last or last == 0 or counts[last] == 3)
        last = seq
      end
      local count = 0
      for _, n in pairs(counts) do
        assert.equal(3, n)
        count = count + 1
      end
      assert.equal(15, count)
    end)

    it_delivers("signs with the old secret too for a while after a rotation", function()
      local first, second, third = run([[
        tell(hook { events = "task.completed" })
        tell(assert(app:rotate_webhook "w"))
        app:submit("h")
        work()
        tell(assert(app:rotate_webhook("w", { grace = 0, secret = "whsk_" .. ("A"):rep(42) .. "E=" })))
        app:submit("h")
        work()
      ]], url)
      local log = received(url)
      for _, secret in ipairs { first.secret, second.secret } do
        assert(tasker.webhook.verify(log[1].headers, log[1].body, secret))
        assert.is_nil(tasker.webhook.verify(log[2].headers, log[2].body, secret))
      end
      assert.matches("^whpk_", third.public_key)
      assert(tasker.webhook.verify(log[2].headers, log[2].body, third.public_key))
    end)

    it_delivers("can be tested, and is gone when it is deleted", function()
      local deliveries, left, err = run([[
        hook { events = "schedule.*" }
        local id = assert(app:test_webhook "w")
        work()
        local list = app:webhook_deliveries "w"
        assert(list[1].id == id)
        tell(list)
        assert(app:delete_webhook "w")
        app:submit("h")
        work()
        tell(app:webhooks())
        tell { select(2, app:delete_webhook "w").code, select(2, app:test_webhook "w").code, select(2, app:rotate_webhook "w").code }
        assert(app.engine:check(error, function() end))
      ]], url)
      assert.same({ "complete", "webhook.test" }, { deliveries[1].status, deliveries[1].type })
      assert.same({}, left)
      assert.same({ "not_found", "not_found", "not_found" }, err)
      local log = received(url)
      assert.equal(1, #log)
      assert.same({ webhook = "w" }, json.decode(log[1].body).data)
    end)

    it_delivers("is noticed by workers that were there before it, whatever handlers they have", function()
      process.write_file(folder .. "/other.lua", "require('tasker').handler { name = 'other', steps = { { name = 'x', run = print } } }")
      local worker = harness.start { process.program(), "worker", folder .. "/other.lua", "--store", store, env = { TASKER_KEY = KEY } }
      harness.eventually(function()
        local app = tasker.open(store, { read_only = true })
        local there = app and #assert(app.engine:definitions()) > 0
        return app and app:close() and there
      end)
      run([[
        hook { events = "task.created" }
        app:submit("h")
      ]], url)
      harness.eventually(function() return #received(url) == 1 end, 20)
      assert.is_true(worker:running())
    end)
  end)

  it("refuses private addresses when it is made, however they are written, and names that lead to them when it delivers", function()
    local refused, deliveries = run [[
      local refused = {}
      for _, host in ipairs { "127.0.0.1", "10.1.2.3", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "169.254.169.254", "[::1]",
        "[::ffff:10.0.0.1]", "192.168.1.1.", "[fe80::1]", "0", "127.0.1" } do
        local made, err = app:webhook { name = "w", url = "http://" .. host .. "/x" }
        refused[#refused + 1] = made and host or err.code
      end
      tell(refused)
      assert(app:webhook { name = "name", url = "http://localhost:1/", events = "task.completed" })
      app:submit("h")
      work()
      tell(app:webhook_deliveries "name")
    ]]
    for _, code in ipairs(refused) do
      assert.equal("blocked", code)
    end
    assert.equal(13, #refused)
    assert.same({ "error", "blocked", 1 }, { deliveries[1].status, deliveries[1].error.code, deliveries[1].attempts })
  end)

  it("needs a key, and keeps its secret nowhere in plain", function()
    local refused = run("local _, err = app:webhook { name = 'w', url = 'https://example.org' }; tell { err.code, err.message }", nil,
      { TASKER_KEY = "" })
    assert.equal("refused", refused[1])
    assert.matches("TASKER_KEY", refused[2])
    local made = run [[tell(hook { events = "task.created" }); app:submit("h"); app:submit("h")]]
    local secret = made.secret:sub(7)
    for file in io.popen("find " .. process.quote(store) .. " -type f"):lines() do
      local bytes = process.read_file(file)
      assert.is_nil(bytes:find(secret, 1, true), file)
      assert.is_nil(bytes:find(tasker.secret and secret:sub(1, 20) or secret, 1, true), file)
    end
  end)

  it("names what it is given wrong", function()
    local told = run [[
      local list = {}
      local function try(fields)
        fields.name = fields.name or "w"
        fields.url = fields.url or "https://example.org/x"
        local ok, made, err = pcall(app.webhook, app, fields)
        list[#list + 1] = ok and (made and "made" or err.code .. ": " .. err.message) or made
      end
      try { name = "a b" }
      try { url = "ftp://example.org" }
      try { url = "https://ann:secret@example.org" }
      try { events = { "task.compleeted" } }
      try { secret = "whpk_" .. ("A"):rep(43) .. "=" }
      try { secret = "no base64!" }
      try { retry = { limt = 3 } }
      try { retry = { backoff = function() end } }
      try { headers = { ["Webhook-Id"] = "x" } }
      try { evnts = {} }
      assert(app:webhook { name = "w", url = "https://example.org/x" })
      try {}
      try { replace = true, events = "task.*" }
      list[#list + 1] = app:webhooks()[1].events[1]
      tell(list)
    ]]
    local wanted = { "name", "url", "without credentials", "events", "only verifies", "secret", "retry.limt", "must be data", "headers",
      "evnts", "conflict", "made", "task.*" }
    for i, part in ipairs(wanted) do
      harness.contains(part, told[i])
    end
  end)
end)
