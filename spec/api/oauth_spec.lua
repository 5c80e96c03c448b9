-- Tokens in a store, shared by processes: one request for all, kept before it is used, parked for all, and nowhere to be read.
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local process = harness.process
local tasker = require "tasker"

local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
local CANARY = "q7Zk2vXw9"
local SECRET = "client-secret-" .. CANARY

describe("tasker.oauth in several processes", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local base, folder, store

  before_each(function()
    base = ("http://127.0.0.1:%d"):format(peer.start("oauth", CANARY).http)
    folder = harness.temp_dir()
    store = folder .. "/store"
  end)
  after_each(harness.clean)

  local function seen()
    return assert(tasker.http.get(base .. "/seen")):json()
  end

  local function set(query)
    assert(tasker.http.get(base .. "/set?" .. query))
  end

  local ENDPOINTS = { authorization_code = "authorize_url = base .. '/authorize',", device_code = "device_url = base .. '/device'," }

  -- A program with the store open as `app`, and `auth` with a grant; `ready(name)` goes on when the test says go.
  local function program(grant, more, code)
    return ([[
      local tasker = require "tasker"
      local base, folder = %q, %q
      local app = assert(tasker.open(%q))
      local auth = tasker.oauth { token_url = base .. "/token", client_id = "me", client_secret = %q, name = "shop",
        grant = %q, %s %s }
      local function ready(name)
        assert(io.open(folder .. "/ready-" .. name, "w")):close()
        while true do
          local file = io.open(folder .. "/go")
          if file then return file:close() end
          tasker.sleep(0.005)
        end
      end
      %s]]):format(base, folder, store, SECRET, grant, ENDPOINTS[grant] or "", more, code)
  end

  local function start(grant, more, code)
    return harness.start { process.program(), "-", stdin = program(grant, more, code), env = { TASKER_KEY = KEY } }
  end

  local function run(grant, more, code)
    local result = process.run { process.program(), "-", stdin = program(grant, more, code), env = { TASKER_KEY = KEY }, timeout = 50 }
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  -- 20 requests at once in each of the processes, all begun when the last one is ready; what the API said, each once.
  local CROWD = 8
  local function crowd()
    os.remove(folder .. "/go")
    local children = {}
    for i = 1, CROWD do
      os.remove(folder .. "/ready-" .. i)
      children[i] = start("client_credentials", "", ([[
        local queue = "q%d"
        tasker.handler { name = "crowd" .. queue, queue = queue, steps = { { name = "each", retry = { limit = 1 },
          map = function() local list = {} for n = 1, 20 do list[n] = n end return list end,
          run = function()
            local client = tasker.rest { base_url = base, auth = auth }
            return assert(client:get("/api")):json().token
          end } } }
        assert(app:submit("crowd" .. queue))
        ready(%d)
        assert(app:work { until_idle = 40, queues = { queue } })
        local list = app:tasks { name = "crowd" .. queue }
        print(tasker.json.encode(app:task(list[1].task_id).results.each))]]):format(i, i))
    end
    for i = 1, CROWD do
      harness.eventually(function() return process.read_file(folder .. "/ready-" .. i) end, 30)
    end
    process.write_file(folder .. "/go", "")
    local tokens = {}
    for _, child in ipairs(children) do
      harness.eventually(function() return not child:running() end, 50)
      assert.equal(0, child:status(), child:stderr())
      local list = tasker.json.decode(child:stdout())
      assert.equal(20, #list)
      for _, token in ipairs(list) do
        tokens[token] = (tokens[token] or 0) + 1
      end
    end
    return tokens
  end

  it("asks for one token at expiry, and for one after 401s, whatever the number of those who want it #slow", function()
    set "expires_in=1&delay=200"
    run("client_credentials", "", "assert(auth:token())")
    set "expires_in=3600"
    harness.eventually(function()
      return run("client_credentials", "", "local sealed = require('tasker.secrets').get(app.engine, 'oauth:shop') " ..
        "print(tasker.json.decode(sealed).expires_at < tasker.now())") == "true\n"
    end)
    assert.same({ ["2"] = CROWD * 20 }, crowd())
    assert.same({ 2, 0 }, { seen().token, seen().refused })
    tasker.http.get(base .. "/forget")
    assert.same({ ["3"] = CROWD * 20 }, crowd())
    assert.equal(3, seen().token)
  end)

  it("goes on at once when the one who asks is killed", function()
    set "delay=30000"
    local first = start("client_credentials", "", "auth:token()")
    harness.eventually(function() return seen().token == 1 end)
    local second = start("client_credentials", "", "print(auth:token())")
    set "delay=0"
    local began = tasker.now()
    tasker.sleep(0.3)
    assert.is_true(second:running())
    assert.equal(1, seen().token)
    first:kill "KILL"
    harness.eventually(function() return not second:running() end, 20)
    assert.matches("^at%-2%-", second:stdout())
    assert.is_true(tasker.now() - began < 15)
  end)

  it("goes on at once when the step that asks is cancelled", function()
    set "delay=30000"
    assert.matches("^at%-2%-", run("client_credentials", "", [[
      tasker.handler { name = "asks", steps = {
        { name = "slow", timeout = 0.3, retry = { limit = 1 }, on_error = "continue", run = function() return auth:token() end },
        { name = "next", depends_on = "slow", join = "all_done", run = function()
          tasker.http.get(base .. "/set?delay=0")
          return (assert(auth:token()))
        end } } }
      print(assert(app:run("asks")).results.next)]]))
  end)

  it("commits a rotated refresh token before it uses what came with it", function()
    local grant, options = "refresh_token", 'refresh_token = "first-' .. CANARY .. '"'
    for round = 1, 3 do
      set "expires_in=0&kill=0"
      local child = start(grant, options, [[
        ready "one"
        tasker.http.get(base .. "/api", { auth = auth, timeout = 20 })]])
      set("kill=" .. child.pid)
      process.write_file(folder .. "/go", "")
      harness.eventually(function() return not child:running() end, 20)
      assert.equal(137, child:status(), child:stderr())
      assert.equal(round, seen().token)
    end
    set "kill=0"
    assert.matches("^at%-4%-", run(grant, options, "print((assert(auth:token())))"))
    assert.same({ "first-" .. CANARY, "rt-1-" .. CANARY, "rt-2-" .. CANARY, "rt-3-" .. CANARY }, seen().sent)
  end)

  it("ends a login in another process than the one that began it", function()
    local state = run("authorization_code", 'redirect_uri = "https://app/cb"', "print(select(2, assert(auth:authorize_url())))")
    state = state:match "%S+"
    assert(tasker.http.get(base .. "/code?code=good"))
    local ends = ("print(auth:exchange('good', %q))"):format(state)
    assert.matches("^at%-1%-", run("authorization_code", 'redirect_uri = "https://app/cb"', ends))
    assert.matches("^nil\toauth 'shop': the state is none", run("authorization_code", 'redirect_uri = "https://app/cb"', ends))
    assert.matches("^at%-1%-", run("authorization_code", 'redirect_uri = "https://app/cb"', "print(auth:token())"))
    assert.equal(1, seen().token)
  end)

  it("parks a connection for all, says so in the log once, and serves again after a login", function()
    assert.matches("^at%-1%-", run("device_code", "", "print((assert(assert(auth:device()):wait())))"))
    set "deny=invalid_grant&description=gone"
    tasker.http.get(base .. "/forget")
    local fails = "local r, err = tasker.http.get(base .. '/api', { auth = auth }) print(r, err.code, err.retryable)"
    local before = seen().token
    for _ = 1, 3 do
      assert.equal("nil\tinvalid_grant\tfalse\n", run("device_code", "", fails))
    end
    assert.equal(before + 1, seen().token)
    local events = process.run { process.program(), "events", "--json", "--store", store }.stdout
    local event = tasker.json.decode(events:match "[^\n]+")
    assert.same({ "connection.parked", tasker.null, "shop", "invalid_grant" }, { event.event, event.task_id, event.data.connection,
      event.data.code })
    assert.equal(1, select(2, events:gsub("connection.parked", "")))
    assert.equal(0, process.run({ process.program(), "check", "--store", store }).status)
    set "deny=&description="
    assert.matches("^at%-2%-", run("device_code", "", "assert(assert(auth:device()):wait()) print((assert(auth:token())))"))
  end)

  it("tells who follows the log in another process that a connection was parked", function()
    set "deny=invalid_grant"
    local follower = start("client_credentials", "", [[
      ready "follower"
      app:follow({ after = 0 }, function(event)
        print(event.event, event.data.connection)
        return event.event ~= "connection.parked"
      end)]])
    harness.eventually(function() return process.read_file(folder .. "/ready-follower") end)
    process.write_file(folder .. "/go", "")
    run("client_credentials", "", "auth:token()")
    harness.eventually(function() return not follower:running() end)
    assert.equal("connection.parked\tshop\n", follower:stdout())
  end)

  it("keeps tokens in memory without a key, and fails where the key is none", function()
    local code = "print(auth:token())"
    local result = process.run { process.program(), "-", stdin = program("client_credentials", "", code) }
    assert.matches("^at%-1%-", result.stdout)
    assert.is_nil(process.read_file(store .. "/data.mdb"):find(CANARY, 1, true))
    result = process.run { process.program(), "-", stdin = program("client_credentials", "", code), env = { TASKER_KEY = "short" } }
    assert.matches("^nil\t.*TASKER_KEY", result.stdout)
    assert.equal(1, seen().token)
  end)

  -- The canary as it is, in base64 at each of the three places where it may begin, and in hexadecimal.
  local function forms_of(text)
    local base64 = require "tasker.base64"
    local hex = text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    local forms = { text, hex, hex:upper() }
    for shift = 0, 2 do
      local encoded = base64.encode(("."):rep(shift) .. text)
      forms[#forms + 1] = encoded:sub(shift == 0 and 1 or 5, -5)
    end
    return forms
  end

  it("leaves no secret, token or code in the store, logs, events, errors or --json output", function()
    assert(tasker.http.get(base .. "/code?code=code-" .. CANARY))
    set("description=no+" .. SECRET)
    process.write_file(folder .. "/handler.lua", ([[
      local tasker = require "tasker"
      local base = %q
      local function made(more)
        local options = { token_url = base .. "/token", client_id = "me", client_secret = tasker.secret "client" }
        for name, value in pairs(more) do options[name] = value end
        return tasker.oauth(options)
      end
      tasker.handler { name = "leaks", retry = { limit = 1 }, steps = {
        { name = "code", on_error = "continue", run = function(_, step)
          local auth = made { grant = "authorization_code", authorize_url = base .. "/authorize", name = "code" }
          local _, state = assert(auth:authorize_url())
          local token = assert(auth:exchange(os.getenv "CODE", state))
          step:log("info", "token " .. token, { token = token })
          tasker.http.get(base .. "/forget")
          local auth_header = "Bearer " .. assert(auth:token())
          error({ message = "denied " .. auth_header, code = "denied", token = require("tasker.base64").encode(token) })
        end },
        { name = "device", depends_on = "code", join = "all_done", on_error = "continue", run = function()
          local auth = made { grant = "device_code", device_url = base .. "/device", name = "device" }
          local device = assert(auth:device())
          assert(device:wait())
          error("the device " .. device.device_code .. " has " .. auth:token())
        end },
        { name = "refused", depends_on = "device", join = "all_done", run = function()
          tasker.http.get(base .. "/set?deny=invalid_client")
          local client = tasker.rest { base_url = base, auth = made { grant = "client_credentials", name = "refused" } }
          return client:get("/api")
        end } } }]]):format(base))
    local function tool(argv)
      table.insert(argv, 1, process.program())
      argv.env = { TASKER_KEY = KEY, TASKER_STORE = store, CODE = "code-" .. CANARY }
      return process.run(argv)
    end
    assert.equal(0, tool({ "secret", "set", "client", stdin = SECRET }).status)
    local ran = tool { "run", folder .. "/handler.lua", "--store", store }
    assert.equal(3, ran.status, ran.stderr)
    local events = tool { "events", "--json" }.stdout
    assert.matches("denied Bearer [secret token of code]", events, 1, true)
    assert.matches("the device [secret device_code of device] has [secret token of device]", events, 1, true)
    assert.matches("invalid_client (no [secret client", events, 1, true)
    local task = tool { "task", "@last", "--json" }
    local texts = { ran.stdout, ran.stderr, events, task.stdout, tool({ "tasks", "--json" }).stdout, tool({ "secret", "list" }).stdout,
      process.read_file(store .. "/data.mdb"), tool({ "stats" }).stdout }
    for i, text in ipairs(texts) do
      for _, form in ipairs(forms_of(CANARY)) do
        assert.is_nil(text:find(form, 1, true), ("text %d has %s"):format(i, form))
      end
    end
  end)
end)
