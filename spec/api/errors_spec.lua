local harness = require "spec.support.harness"
local tasker = require "tasker"

local unknown = "00000000-0000-7000-8000-000000000000"
local function nothing() end

describe("what may happen answers nil, err:", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("an unknown task is not_found and is named", function()
    harness.refused("not_found", unknown, app:task(unknown))
    harness.refused("not_found", unknown, app:wait(unknown, 0.01))
    harness.refused("not_found", unknown, app:events { after = 0, task_id = unknown })
  end)

  it("a store that is none is corrupt or io, and is named", function()
    local dir = harness.temp_dir()
    harness.process.write_file(dir .. "/data.mdb", ("not a store "):rep(1000))
    local opened, err = tasker.open(dir)
    assert.is_nil(opened)
    assert.is_truthy(err.code == "corrupt" or err.code == "io")
    harness.contains(dir, err.message)
  end)

  it("a path that cannot be a directory is io", function()
    local dir = harness.temp_dir()
    harness.process.write_file(dir .. "/file", "x")
    local opened, err = tasker.open(dir .. "/file/store")
    assert.is_nil(opened)
    assert.equal("io", err.code)
  end)

  it("a url of an unknown kind is invalid or unsupported, and is named", function()
    local opened, err = tasker.open "oracle:x"
    assert.is_nil(opened)
    assert.is_truthy(err.code == "invalid" or err.code == "unsupported")
    harness.contains("oracle", err.message)
  end)

  it("a store that is not there is not_found when it is opened to read", function()
    local dir = harness.temp_dir() .. "/nothing"
    harness.refused("not_found", dir, tasker.open(dir, { read_only = true }))
    assert.is_nil(io.open(dir .. "/data.mdb"))
  end)

  it("writing to a store opened to read is refused", function()
    local handler = harness.one_step(nothing)
    local first, url = harness.open "lmdb"
    local id = assert(first:submit(handler))
    first:close()
    local reader = harness.reopen(url, { read_only = true })
    assert.equal("pending", reader:task(id).status)
    harness.refused("refused", "read", reader:submit(handler))
    harness.refused("refused", "read", reader:cancel(id))
    assert.equal(1, #reader:tasks {})
  end)

  it("a store that this process has open to read is a conflict when it is opened to write", function()
    local first, url = harness.open "lmdb"
    assert(first:submit(harness.one_step(nothing)))
    first:close()
    local reader = harness.reopen(url, { read_only = true })
    harness.refused("conflict", "read", tasker.open(url))
    reader:close()
    assert.is_truthy(harness.reopen(url):submit(harness.one_step(nothing)))
  end)

  it("an app that was opened to read is one, also when another one writes", function()
    local writer, url = harness.open "lmdb"
    local id = assert(writer:submit(harness.one_step(nothing)))
    local reader = harness.reopen(url, { read_only = true })
    harness.refused("refused", "read", reader:cancel(id))
    assert.equal("cancelled", writer:cancel(id).status)
    assert.equal("cancelled", reader:task(id).status)
  end)

  it("an unknown durability is invalid", function()
    harness.refused("invalid", { "durability", "maybe" }, tasker.open("memory:", { durability = "maybe" }))
  end)

  it("waiting longer than one wants is a timeout", function()
    local id = app:submit(harness.one_step(nothing))
    local before = tasker.now()
    harness.refused("timeout", "pending", app:wait(id, 0.05))
    assert.is_true(tasker.now() - before < 5)
  end)

  it("an app that was closed answers closed", function()
    local id = app:submit(harness.one_step(nothing))
    app:close()
    app:close()
    harness.refused("closed", {}, app:task(id))
    harness.refused("closed", {}, app:submit(harness.one_step(nothing)))
    harness.refused("closed", {}, app:tasks {})
    harness.refused("closed", {}, app:events { after = 0 })
    harness.refused("closed", {}, app:work { until_idle = true })
  end)

  it("more threads without files are invalid", function()
    harness.refused("invalid", { "threads", "files" }, app:work { threads = 2, until_idle = true })
  end)

  it("a concurrency or a number of threads that cannot be is invalid", function()
    harness.refused("invalid", "concurrency", app:work { concurrency = 0, until_idle = true })
    harness.refused("invalid", "concurrency", app:work { concurrency = 1.5, until_idle = true })
    harness.refused("invalid", "threads", app:work { threads = 0, until_idle = true })
  end)

  it("an unknown status is invalid and is named", function()
    harness.refused("invalid", { "status", "finished" }, app:tasks { status = "finished" })
    harness.refused("invalid", "limit", app:tasks { limit = 1.5 })
    harness.refused("invalid", "since", app:tasks { since = "last week" })
  end)

  it("an instances that is none is invalid", function()
    local id = app:submit(harness.one_step(nothing))
    harness.refused("invalid", "instances", app:task(id, { instances = "most" }))
  end)
end)

describe("misuse raises and names the field:", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("wrong types and unknown options of open", function()
    harness.raises("url", tasker.open, 42)
    harness.raises("durabilty", tasker.open, "memory:", { durabilty = "sync" })
    harness.raises("map_size", tasker.open, "memory:", { map_size = "big" })
    harness.raises("read_only", tasker.open, "memory:", { read_only = 1 })
  end)

  it("wrong types and unknown options of work", function()
    harness.raises("thread", app.work, app, { thread = 1 })
    harness.raises("threads", app.work, app, { threads = "two" })
    harness.raises("concurrency", app.work, app, { concurrency = "many" })
    harness.raises("files", app.work, app, { files = "file.lua" })
    harness.raises("queues", app.work, app, { queues = "default" })
    harness.raises("until_idle", app.work, app, { until_idle = "yes" })
  end)

  it("wrong types and unknown filters of tasks and events", function()
    harness.raises("state", app.tasks, app, { state = "complete" })
    harness.raises("status", app.tasks, app, { status = 5 })
    harness.raises("limit", app.tasks, app, { limit = "ten" })
    harness.raises("tag", app.tasks, app, { tag = { "a" } })
    harness.raises("from", app.events, app, { from = 1 })
    harness.raises("after", app.events, app, { after = "start" })
  end)

  it("wrong types of ids and functions", function()
    harness.raises("id", app.task, app, 42)
    harness.raises("id", app.cancel, app)
    harness.raises("function", app.follow, app, { after = 0 })
    harness.raises("backoff", tasker.backoff, 1, nothing)
    harness.raises("function", tasker.backoff, "name", "exponential")
    harness.raises("seconds", tasker.sleep, "long")
    harness.raises("seconds", tasker.snooze, "long")
  end)

  it("app:work inside a step", function()
    local task = app:run(harness.one_step(function() tasker.app():work { until_idle = true } end, { retry = { limit = 1 } }))
    assert.equal("error", task.status)
    harness.contains("work", task.errors.only.message)
  end)

  it("methods called with a dot", function()
    assert.is_false((pcall(app.submit, "shop/order", {})))
  end)
end)

describe("an err", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("prints as its message, and assert shows it", function()
    local _, err = app:task(unknown)
    harness.contains(unknown, tostring(err))
    local ok, raised = pcall(function() return harness.lua_assert(app:task(unknown)) end)
    assert.is_false(ok)
    assert.equal("not_found", raised.code)
  end)
end)

describe("tasker.json", function()
  after_each(harness.clean)

  it("answers nil and the position for what is no JSON", function()
    for _, text in ipairs { "", "{", "[1,]", "{\"a\" 1}", "nul", "01", "1 2", "'a'", "[\"\xff\"]", "\"\\x\"" } do
      local value, err = tasker.json.decode(text)
      assert.is_nil(value)
      assert.is_truthy(tostring(err):find "%d", text)
    end
  end)

  it("indents and sorts when asked to", function()
    local value = { b = 1, a = { 1, 2 }, c = {} }
    assert.equal('{"a":[1,2],"b":1,"c":{}}', tasker.json.encode(value, { canonical = true }))
    local indented = tasker.json.encode({ a = { 1 } }, { indent = 2 })
    assert.same({ a = { 1 } }, tasker.json.decode(indented))
    assert.is_truthy(indented:find "\n  ")
  end)
end)

describe("times", function()
  it("are parsed from RFC 3339 and formatted to it", function()
    assert.equal(0, tasker.time.parse "1970-01-01T00:00:00Z")
    assert.equal(1600000000.25, tasker.time.parse "2020-09-13T14:26:40.25+02:00")
    assert.equal("2020-09-13T12:26:40.250000Z", tasker.time.format(1600000000.25))
    assert.is_nil((tasker.time.parse "2020-13-01T00:00:00Z"))
    assert.is_nil((tasker.time.parse "tomorrow"))
    assert.is_true(math.abs(tasker.now() - os.time()) < 2)
  end)
end)
