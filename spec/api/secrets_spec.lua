-- Secrets: sealed in the store, read at use, blotted out of what is kept. Keys come from the environment, so programs of their own
-- do the work.
local core = require "tasker.core"
local json = core.json
local harness = require "spec.support.harness"
local process = require "spec.support.process"
local tasker = require "tasker"

local KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
local OTHER = "/////////////////////////////////////////w8="
local VALUE = "canary-7Qm2x/\"é\\zz"

local function bytes(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

describe("sealing", function()
  local key = ("k"):rep(32)

  it("opens what a known answer says (GCM's test case 14)", function()
    local sealed = bytes(("00"):rep(12) .. "cea7403d4d606b6e074ec5d3baf39d18" .. "d0d1c8a799996bf0265b98b5d48ab919")
    assert.equal(("\0"):rep(16), core.unseal(("\0"):rep(32), "", sealed))
  end)

  it("gives back any text, under another nonce each time", function()
    for _, text in ipairs { "", "a", ("long "):rep(10000), "\0\xff" } do
      local first, second = core.seal(key, "name", text), core.seal(key, "name", text)
      assert.are_not.equal(first, second)
      assert.equal(text, core.unseal(key, "name", first))
      assert.equal(text, core.unseal(key, "name", second))
    end
  end)

  it("opens nothing that was changed, is another's or cut", function()
    local sealed = core.seal(key, "name", "text")
    for i = 1, #sealed do
      local changed = sealed:sub(1, i - 1) .. string.char(sealed:byte(i) ~ 1) .. sealed:sub(i + 1)
      local text, err = core.unseal(key, "name", changed)
      assert.is_nil(text)
      assert.equal("corrupt", err.code)
      assert.is_nil(core.unseal(key, "name", sealed:sub(1, i - 1)))
    end
    assert.is_nil(core.unseal(key, "other", sealed))
    assert.is_nil(core.unseal(("x"):rep(32), "name", sealed))
  end)
end)

describe("a secret", function()
  local folder, store
  before_each(function()
    folder = process.temp_dir()
    store = folder .. "/store"
  end)
  after_each(function() process.remove_dir(folder) end)

  -- Runs Lua with `app` open; gives what it prints.
  local function run(code, env)
    local script = ("local tasker = require 'tasker'; local app = assert(tasker.open(%q))\n"):format(store) .. code
    local result = process.run { process.program(), "-", stdin = script, env = env or { TASKER_KEY = KEY } }
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  local function set(name, value, env)
    return run(("local ok, err = app:set_secret(%q, %q); print(ok, err and err.code, err)"):format(name, value), env)
  end

  local function get(name, env)
    return run(("local text, err = app:get_secret(%q); print(text, err and err.code, err)"):format(name), env)
  end

  it("is read as it was set, in other programs too, and changed", function()
    assert.equal("true\tnil\tnil\n", set("token", VALUE))
    assert.equal(VALUE .. "\tnil\tnil\n", get "token")
    set("token", "another")
    assert.equal("another\tnil\tnil\n", get "token")
    assert.matches("nil\tnot_found\t", get "absent", 1, true)
  end)

  it("needs a key, and is never kept without one", function()
    for _, result in ipairs { set("token", VALUE, {}), set("token", VALUE, { TASKER_KEY = "short" }),
      set("token", VALUE, { TASKER_KEY_COMMAND = "false" }) } do
      assert.matches("^nil\t", result)
    end
    assert.matches("refused", set("token", VALUE, {}), 1, true)
    assert.is_nil(process.read_file(store .. "/data.mdb"):find("canary", 1, true))
  end)

  it("is refused under another key, which writes nothing", function()
    set("token", VALUE)
    local other = { TASKER_KEY = OTHER }
    assert.matches("nil\trefused\t.*sealed by another key", get("token", other))
    assert.matches("nil\trefused\t", set("token", "new", other), 1, true)
    assert.matches("nil\trefused\t", set("second", "new", other), 1, true)
    assert.matches("nil\trefused\t", run(("print((function() local ok, err = app:rotate_secret(%q) return ok, err.code, err end)())")
      :format(OTHER), other), 1, true)
    assert.equal(VALUE .. "\tnil\tnil\n", get "token")
    assert.equal("1\n", run "print(#app:secrets())")
  end)

  it("takes its key from a file that is the user's alone, or from a command", function()
    local path = folder .. "/key"
    process.write_file(path, KEY .. "\n")
    os.execute("chmod 644 " .. process.quote(path))
    assert.matches("nil\trefused\tothers may read the key file", set("token", VALUE, { TASKER_KEY_FILE = path }), 1, true)
    os.execute("chmod 600 " .. process.quote(path))
    assert.matches("^true", set("token", VALUE, { TASKER_KEY_FILE = path }))
    assert.equal(VALUE .. "\tnil\tnil\n", get("token", { TASKER_KEY_COMMAND = "cat " .. process.quote(path) }))
    assert.matches("nil\tio\t", get("token", { TASKER_KEY_FILE = folder .. "/absent" }), 1, true)
  end)

  it("is sealed by a new key when it is rotated, also while programs run that find both", function()
    set("token", VALUE)
    set("second", "value")
    run(("assert(app:rotate_secret(%q)); assert(app:get_secret 'token' == %q); assert(app:set_secret('third', 'x'))")
      :format(OTHER, VALUE))
    assert.matches("nil\trefused\t", get "token", 1, true)
    assert.equal(VALUE .. "\tnil\tnil\n", get("token", { TASKER_KEY = OTHER }))
    assert.equal("value\tnil\tnil\n", get("second", { TASKER_KEY = KEY .. " " .. OTHER }))
    assert.matches("^true", set("fourth", "y", { TASKER_KEY = KEY .. " " .. OTHER }))
    assert.equal("y\tnil\tnil\n", get("fourth", { TASKER_KEY = OTHER }))
    local path = folder .. "/keys"
    process.write_file(path, OTHER)
    os.execute("chmod 600 " .. process.quote(path))
    -- The file changes while the program runs: the new key first, the old one still there.
    process.write_file(folder .. "/new", KEY)
    local both = ("printf '%s %s' > %s"):format(KEY, OTHER, path)
    local rotate = ("TASKER_KEY=%s %s secret rotate --new-key-file %s/new --store %s"):format(OTHER, process.program(), folder, store)
    assert.equal("true\ttrue\n", run(([[
      local before = app:get_secret("token") == %q
      assert(os.execute(%q) and os.execute(%q))
      print(before, app:get_secret("token") == %q)]]):format(VALUE, both, rotate, VALUE), { TASKER_KEY_FILE = path }))
  end)

  it("is changed by one of several who change it at once, and the others are told", function()
    process.write_file(folder .. "/count.lua", [[
      local tasker = require "tasker"
      local secrets = require "tasker.secrets"
      local function count()
        local engine = tasker.app().engine
        while true do
          local text, sealed = secrets.get(engine, "count")
          local ok, err = secrets.put(engine, "count", tostring((tonumber(text) or 0) + 1), text and sealed or false)
          if ok then return true end
          assert(err.code == "conflict", err.message)
        end
      end
      tasker.handler { name = "count", steps = { { name = "each", max_parallel = 10, map = function()
        local list = {}
        for i = 1, 40 do list[i] = i end
        return list
      end, run = count } } }]])
    local env = { TASKER_KEY = KEY, TASKER_STORE = store }
    for _ = 1, 3 do
      assert.equal(0, process.run({ process.program(), "submit", "count", "--file", folder .. "/count.lua", env = env }).status)
    end
    local workers = {}
    for i = 1, 3 do
      workers[i] = process.start { process.program(), "worker", folder .. "/count.lua", "--until-idle", env = env }
    end
    for _, worker in ipairs(workers) do
      harness.eventually(function() return not worker:running() end, 30)
      assert.equal(0, worker:status(), worker:stderr())
      worker:close()
    end
    assert.equal("120\tnil\tnil\n", get "count")
  end)

  it("is forgotten when it is deleted", function()
    set("token", VALUE)
    assert.equal("true\n", run "print(app:delete_secret 'token')")
    assert.matches("not_found", get "token", 1, true)
    assert.matches("not_found", run "print(select(2, app:delete_secret 'token').code)", 1, true)
  end)

  it("is in no byte of the store, no log, error or event of a step that lets it slip", function()
    set("token", VALUE)
    process.write_file(folder .. "/handler.lua", [[
      local tasker = require "tasker"
      local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
      tasker.handler { name = "slips", retry = { limit = 1 }, steps = { { name = "a", run = function(_, step)
        local text = assert(tasker.secret("token"):read())
        step:log("info", "token " .. text, { token = text })
        error({ message = "denied " .. text, code = "denied", token = text, basic = require("tasker.base64").encode(text),
          hex = hex(text) })
      end } } }]])
    local result = process.run { process.program(), "run", folder .. "/handler.lua", "--store", store, env = { TASKER_KEY = KEY } }
    assert.equal(3, result.status)
    local events = process.run { process.program(), "events", "--json", "--store", store }.stdout
    assert.matches("denied [secret token]", events, 1, true)
    local hex = VALUE:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    for _, text in ipairs { result.stdout, result.stderr, events, process.read_file(store .. "/data.mdb") } do
      for _, form in ipairs { "canary-7Qm2x", hex, require("tasker.base64").encode(VALUE):sub(1, -5) } do
        assert.is_nil(text:find(form, 1, true))
      end
    end
  end)
end)

describe("a core dump", function()
  it("is not written by who has read a key or uses OAuth, unless it is asked for", function()
    local folder = process.temp_dir()
    finally(function() process.remove_dir(folder) end)
    -- Whether a program that dies so leaves a core in its folder.
    local function dumps(code, env)
      os.execute("rm -f " .. folder .. "/core*")
      process.write_file(folder .. "/dies.lua", code .. "\nrequire 'tasker.core' os.execute 'kill -ABRT $PPID'")
      local result = process.run { "sh", "-c", ("ulimit -c unlimited; exec %s dies.lua"):format(process.quote(process.program())),
        cwd = folder, env = env }
      assert.equal(134, result.status, result.stderr)
      return os.execute(("ls %s/core* >/dev/null 2>&1"):format(folder)) == true
    end
    if not dumps("", {}) then
      pending("skipped: this system writes core dumps elsewhere")
      return
    end
    local reads = ("assert(assert(require('tasker').open(%q)):set_secret('token', 'canary-value'))"):format(folder .. "/store")
    assert.is_false(dumps(reads, { TASKER_KEY = KEY }))
    assert.is_false(dumps("auth = require('tasker').oauth { grant = 'client_credentials', token_url = 'https://x/', client_id = 'me', " ..
      "client_secret = 'canary-value' }", {}))
    assert.is_true(dumps(reads, { TASKER_KEY = KEY, TASKER_CORE_DUMPS = "1" }))
  end)
end)

describe("a placeholder", function()
  it("names its secret and survives being kept as JSON", function()
    local placeholder = tasker.secret "token"
    assert.equal("tasker.secret (token)", tostring(placeholder))
    assert.equal('{"$secret":"token"}', json.encode(placeholder))
    local revived = require("tasker.secrets").revive(json.decode(json.encode { auth = { placeholder }, other = { a = 1 } }))
    assert.equal("tasker.secret (token)", tostring(revived.auth[1]))
    assert.is_nil(getmetatable(revived.other))
  end)

  it("refuses a name that cannot be", function()
    for _, name in ipairs { "", "a b", 5 } do
      assert.is_false((pcall(tasker.secret, name)))
    end
  end)
end)

describe("tasker-lua secret", function()
  local folder
  before_each(function() folder = process.temp_dir() end)
  after_each(function() process.remove_dir(folder) end)

  local function run(argv)
    table.insert(argv, 1, process.program())
    argv.cwd, argv.env = folder, argv.env or { TASKER_KEY = KEY, TASKER_STORE = folder .. "/store" }
    return process.run(argv)
  end

  it("sets from stdin or the command line, lists names, deletes; never prints what it keeps", function()
    assert.equal(0, run({ "secret", "set", "token", stdin = VALUE .. "\n" }).status)
    assert.equal(0, run({ "secret", "set", "second", VALUE }).status)
    local listed = run { "secret", "list", "--json" }.stdout
    assert.is_nil(listed:find("canary", 1, true))
    assert.equal("second", json.decode(listed:match("[^\n]+")).name)
    assert.matches("token", run { "secret", "list" }.stdout, 1, true)
    assert.equal(0, run({ "secret", "delete", "second" }).status)
    assert.equal(1, run({ "secret", "delete", "second" }).status)
    assert.equal(VALUE .. "\n", run({ "-e", "print(require('tasker').open():get_secret('token'))" }).stdout:gsub("\tnil", ""))
  end)

  it("makes keys that work, refuses with 1 what cannot be and with 2 what was typed wrong", function()
    local key = run { "secret", "key" }.stdout:gsub("\n", "")
    local env = { TASKER_KEY = key, TASKER_STORE = folder .. "/store" }
    assert.equal(0, run({ "secret", "set", "token", "value", env = env }).status)
    assert.equal(1, run({ "secret", "set", "token", "value" }).status)
    assert.equal(1, run({ "secret", "rotate", stdin = "no key", env = env }).status)
    assert.equal(0, run({ "secret", "rotate", stdin = KEY .. "\n", env = env }).status)
    assert.equal(0, run({ "secret", "set", "token", "value" }).status)
    for _, words in ipairs { { "secret", "set" }, { "secret", "list", "x" }, { "secret", "show" }, { "secret", "delete", "a", "b" } } do
      assert.equal(2, run(words).status)
    end
  end)

  it("check warns of what looks like a secret in a kept source, and of nothing else", function()
    process.write_file(folder .. "/handler.lua", [[
      local password = "hunter2hunter2"
      local token = require("tasker").secret("token")
      local note = { secret = "see the vault", api_key = "$API_KEY_1" }
      require("tasker").handler { name = "leaky", steps = { { name = "a", run = function() return password and token and note end } } }]])
    assert.equal(0, run({ "submit", "leaky", "--file", "handler.lua" }).status)
    local result = run { "check" }
    assert.equal(0, result.status)
    local _, count = result.stderr:gsub("warning: ", "")
    assert.equal(1, count, result.stderr)
    assert.matches("default/leaky@0.1.0 looks as if it held a secret, the value of 'password' (about line 1)", result.stderr, 1, true)
  end)
end)
