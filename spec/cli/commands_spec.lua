-- Every command as a program sees it: what stands on stdout and stderr, and the exit code.
local process = require "spec.support.process"
local core = require "tasker.core"

local json = core.json

local ORDER = [[
local tasker = require "tasker"
print("loading order.lua")
tasker.handler {
  namespace = "shop", name = "order", version = "1.0.0",
  context_schema = { type = "object", properties = { order_id = { type = "integer" } } },
  steps = {
    { name = "reserve", run = function(task) print("reserving"); return { reserved = task.context.order_id } end },
    { name = "charge", depends_on = "reserve", run = function() return { charged = true } end },
    { name = "ship", depends_on = "charge", skippable = true, run = function() return { shipped = true } end },
  },
}
]]

local FAILING = [[
local tasker = require "tasker"
tasker.handler {
  namespace = "shop", name = "failing",
  steps = {
    { name = "fine", run = function() return 1 end },
    { name = "broken", depends_on = "fine", run = function() error(tasker.permanent("card declined", { code = "declined" })) end },
    { name = "after", depends_on = "broken", run = function() return 2 end },
  },
}
]]

local TWO = [[
local tasker = require "tasker"
tasker.handler { name = "first", steps = { { name = "only", run = function() return "one" end } } }
tasker.handler { name = "second", steps = { { name = "only", run = function(task) return task.context end } } }
]]

local SLOW = [[
local tasker = require "tasker"
tasker.handler { name = "slow", steps = { { name = "only", run = function() tasker.sleep(60) end } } }
]]

describe("the command line", function()
  local dir

  before_each(function()
    dir = process.temp_dir()
    process.write_file(dir .. "/order.lua", ORDER)
    process.write_file(dir .. "/failing.lua", FAILING)
    process.write_file(dir .. "/two.lua", TWO)
    process.write_file(dir .. "/slow.lua", SLOW)
  end)

  after_each(function()
    process.remove_dir(dir)
  end)

  -- Runs the program to its end: by one shell, since this file does so some two hundred times.
  local function cli(...)
    local words = { process.quote(process.program()) }
    for i, word in ipairs { ... } do
      words[i + 1] = process.quote(word)
    end
    local _, how, status = os.execute(("cd %s; LC_ALL=C.UTF-8 TZ=UTC TASKER_STORE= exec timeout 60 %s >.out 2>.err </dev/null"):format(
      dir, table.concat(words, " ")))
    return {
      status = how == "signal" and 128 + status or status,
      stdout = process.read_file(dir .. "/.out"), stderr = process.read_file(dir .. "/.err"),
    }
  end

  local function ok(...)
    local result = cli(...)
    assert.equal(0, result.status, result.stderr)
    return result
  end

  -- Refused with this exit code and one line on stderr that has these fragments.
  local function refused(status, fragments, ...)
    local result = cli(...)
    assert.equal(status, result.status, result.stdout .. result.stderr)
    for _, fragment in ipairs(fragments) do
      assert.is_truthy(result.stderr:find(fragment, 1, true), ("%q is not in: %s"):format(fragment, result.stderr))
    end
    assert.is_nil(result.stderr:find("traceback", 1, true), result.stderr)
    return result
  end

  local function lines_of(text)
    local list = {}
    for line in text:gmatch "[^\n]+" do
      list[#list + 1] = line
    end
    return list
  end

  -- Waits until fn returns something true; a child that ended too early is told.
  local function eventually(fn, child)
    local deadline = core.now() + 20
    while not fn() do
      if core.now() > deadline then
        error("not within 20 s" .. (child and ": " .. child:stdout() .. child:stderr() or ""), 2)
      end
      core.sleep(0.01)
    end
  end

  -- Ends a program with a signal; returns its exit code and what it said.
  local function stop(child, signal)
    if signal then
      child:kill(signal)
    end
    eventually(function() return not child:running() end, child)
    local status, text = child:status(), child:stderr()
    child:close()
    return status, text
  end

  -- In the background; a shell has what it starts there ignore SIGINT.
  local function start(...)
    local env = { LC_ALL = "C.UTF-8", TASKER_STORE = "" }
    return process.start { "env", "--default-signal=INT", process.program(), cwd = dir, env = env, ... }
  end

  -- Every line of stdout is a JSON value.
  local function values_of(text)
    local list = {}
    for i, line in ipairs(lines_of(text)) do
      list[i] = assert(json.decode(line))
    end
    return list
  end

  local function submit(...)
    return (ok("submit", ...).stdout:gsub("\n", ""))
  end

  -- A finished order in ./tasker-data.
  local function finished_order()
    local id = submit("shop/order", '{"order_id":7}', "--file", "order.lua", "--tag", "vip", "--annotate", "n=5")
    ok("worker", "order.lua", "--until-idle")
    return id
  end

  local function failed_task()
    local id = submit("shop/failing", "--file", "failing.lua")
    ok("worker", "failing.lua", "--until-idle")
    return id
  end

  describe("run", function()
    it("prints the results alone on stdout, what the file prints on stderr", function()
      local result = ok("run", "order.lua", "shop/order", '{"order_id":7}')
      local value = assert(json.decode(result.stdout))
      assert.same({ reserved = 7 }, value.reserve)
      assert.same({ shipped = true }, value.ship)
      assert.is_truthy(result.stderr:find("loading order.lua", 1, true))
      assert.is_truthy(result.stderr:find("reserving", 1, true))
    end)

    it("takes the only handler, with a context in its place", function()
      assert.same({ reserved = 9 }, json.decode(ok("run", "order.lua", '{"order_id":9}').stdout).reserve)
    end)

    it("reads the context from a file and from stdin", function()
      process.write_file(dir .. "/context.json", '{"order_id":11}')
      assert.same({ reserved = 11 }, json.decode(ok("run", "order.lua", "order", "@context.json").stdout).reserve)
      local piped = process.run { process.program(), "run", "order.lua", "-", cwd = dir, stdin = '{"order_id":12}' }
      assert.same({ reserved = 12 }, json.decode(piped.stdout).reserve)
    end)

    it("lists the handlers of a file that has several", function()
      refused(2, { "default/first@0.1.0", "default/second@0.1.0" }, "run", "two.lua")
      refused(2, { "no handler 'secnd'", "did you mean 'second'" }, "run", "two.lua", "secnd")
      assert.same({ only = { a = 1 } }, json.decode(ok("run", "two.lua", "second", '{"a":1}').stdout))
    end)

    it("prints the whole task with --json", function()
      local task = json.decode(ok("run", "order.lua", "--json").stdout)
      assert.equal("complete", task.status)
      assert.equal(3, #task.steps)
    end)

    it("exits with 3 and says which step failed", function()
      local result = refused(3, { "tasker-lua: run: ", "step 'broken': card declined (declined)" }, "run", "failing.lua")
      assert.same({ fine = 1 }, json.decode(result.stdout))
    end)

    it("exits with 5 when the time is over", function()
      refused(5, { "is not final after" }, "run", "slow.lua", "--timeout", "0.2")
    end)

    it("keeps nothing on disk unless a store is named", function()
      ok("run", "order.lua")
      assert.is_nil(process.read_file(dir .. "/tasker-data/data.mdb"))
      ok("run", "order.lua", "--store", "here")
      assert.equal("1\n", ok("tasks", "--count", "--store", "here").stdout)
    end)

    it("says what is wrong with a file", function()
      process.write_file(dir .. "/broken.lua", "return {")
      process.write_file(dir .. "/empty.lua", "return 1")
      process.write_file(dir .. "/opens.lua", 'require("tasker").open("memory:")')
      refused(1, { "broken.lua" }, "run", "broken.lua")
      refused(1, { "no handler is defined in empty.lua" }, "run", "empty.lua")
      refused(1, { "opens.lua" }, "run", "opens.lua")
      refused(1, { "missing.lua" }, "run", "missing.lua")
    end)
  end)

  describe("submit", function()
    it("prints the id alone and the store's path on stderr", function()
      local result = ok("submit", "shop/order", '{"order_id":7}', "--file", "order.lua")
      assert.is_truthy(result.stdout:match "^%x+%-%x+%-%x+%-%x+%-%x+\n$")
      assert.is_truthy(result.stderr:find(dir .. "/tasker-data", 1, true))
    end)

    it("prints one JSON value and nothing else with --json", function()
      local result = ok("submit", "shop/order", "--file", "order.lua", "--json")
      local values = values_of(result.stdout)
      assert.equal(1, #values)
      assert.equal(true, values[1].created)
      assert.equal(36, #values[1].task_id)
      assert.is_truthy(result.stderr:find("loading order.lua", 1, true))
    end)

    it("hands every option on", function()
      ok("submit", "shop/order", "--file", "order.lua", "--json", "--tag", "a", "--tag", "b", "--priority", "5", "--queue", "mail",
        "--initiator", "ann", "--source-system", "crm", "--reason", "why not", "--bypass", "ship", "--annotate", "n=5",
        "--annotate", "tier=gold", "--run-at", "2h")
      local task = json.decode(ok("task", "@last", "--json").stdout)
      assert.same({ "a", "b" }, task.tags)
      assert.same({ 5, "mail", "ann", "crm", "why not" },
        { task.priority, task.queue, task.initiator, task.source_system, task.reason })
      assert.same({ "ship" }, task.bypass_steps)
      assert.same({ n = 5, tier = "gold" }, task.annotations)
      assert.is_string(task.run_at)
    end)

    it("makes one task for one identity key", function()
      ok("submit", "shop/order", "--file", "order.lua", "--json", "--identity-key", "k")
      local first = json.decode(ok("submit", "shop/order", "--json", "--identity-key", "k").stdout)
      assert.is_false(first.created)
      local again = ok("submit", "shop/order", "--identity-key", "k")
      assert.equal(first.task_id .. "\n", again.stdout)
      assert.is_truthy(again.stderr:find("submitted before", 1, true))
    end)

    it("keeps what handler files print off stdout", function()
      process.write_file(dir .. "/loud.lua", [[
        local tasker = require "tasker"
        print("print") io.write("write\n") io.stdout:write("stdout\n")
        tasker.handler { name = "loud", identity = function() print("identity") return "one" end,
          steps = { { name = "only", run = function() io.write("step\n") return 1 end } } }]])
      local result = ok("submit", "loud", "--file", "loud.lua")
      assert.is_truthy(result.stdout:match "^[%x-]+\n$", result.stdout)
      for _, text in ipairs { "print\n", "write\n", "stdout\n", "identity\n" } do
        assert.is_truthy(result.stderr:find(text, 1, true), result.stderr)
      end
      assert.equal('{"only":1}\n', ok("run", "loud.lua").stdout)
    end)

    it("refuses what cannot be and says what would be right", function()
      refused(1, { "there is no store at " .. dir .. "/tasker-data" }, "submit", "shop/order")
      ok("submit", "shop/order", "--file", "order.lua", "--json")
      refused(1, { "submit: no handler 'shop/ordr' in the store; did you mean 'shop/order'? (--file" }, "submit", "shop/ordr")
      refused(1, { "did you mean 'shop/order'" }, "submit", "order")
      refused(1, { "has version 1.0.0" }, "submit", "shop/order@2.0.0")
      refused(1, { "/order_id" }, "submit", "shop/order", '{"order_id":"x"}')
      refused(1, { "charge" }, "submit", "shop/order", "--bypass", "charge")
      refused(1, { "nope" }, "submit", "shop/order", "--bypass", "nope")
      refused(1, { "context" }, "submit", "shop/order", "[1]")
      refused(2, { "CONTEXT" }, "submit", "shop/order", "{")
      refused(2, { "--tga", "did you mean '--tag'" }, "submit", "shop/order", "--tga", "x")
      refused(2, { "--priority must be an integer" }, "submit", "shop/order", "--priority", "high")
      refused(2, { "--delay", "--run-at" }, "submit", "shop/order", "--delay", "5", "--run-at", "5m")
      refused(2, { "--annotate must be NAME=VALUE" }, "submit", "shop/order", "--annotate", "x")
      refused(2, { "submit: --queue must be" }, "submit", "shop/order", "--queue", "a/b")
      refused(2, { "submit: --tag must be" }, "submit", "shop/order", "--tag", "")
      refused(2, { "--priority must be from" }, "submit", "shop/order", "--priority", "99999999999")
      refused(2, { "worker: --queue must be" }, "worker", "order.lua", "--queue", "")
      refused(2, { "--timeout needs --wait" }, "submit", "shop/order", "--timeout", "1")
      refused(2, { "HANDLER is missing" }, "submit")
      assert.equal("1\n", ok("tasks", "--count").stdout)
    end)
  end)

  describe("submit --wait", function()
    -- Runs a worker in the background while fn runs.
    local function with_worker(file, fn)
      submit("shop/order", "--file", "order.lua", "--json", "--run-at", "1h")     -- makes the store
      local worker = start("worker", file)
      local done, err = pcall(fn)
      local status, text = stop(worker, "TERM")
      assert(done, err)
      assert.equal(0, status, text)
      return text
    end

    it("exits with 0 and gives the task when it is complete", function()
      with_worker("order.lua", function()
        local values = values_of(ok("submit", "shop/order", "--file", "order.lua", "--wait", "--json").stdout)
        assert.equal(2, #values)
        assert.equal("complete", values[2].status)
        assert.equal(values[1].task_id, values[2].task_id)
      end)
    end)

    it("exits with 3 when it ends in error, which the worker tells too", function()
      local told = with_worker("failing.lua", function()
        refused(3, { "ended in error: step 'broken': card declined" }, "submit", "shop/failing", "--file", "failing.lua", "--wait")
      end)
      assert.is_truthy(told:find("step 'broken': card declined", 1, true), told)
    end)

    it("exits with 4 when it is cancelled", function()
      local id = submit("slow", "--file", "slow.lua", "--identity-key", "k")
      local waiting = start("submit", "slow", "--identity-key", "k", "--wait")
      eventually(function() return waiting:stdout() ~= "" end, waiting)
      ok("cancel", id)
      assert.equal(4, (stop(waiting)))
    end)

    it("exits with 5 when it is not final in time, and hints how to start a worker #slow", function()
      local result = refused(5, { "tasker-lua worker order.lua --store " .. dir .. "/tasker-data", "is not final after" },
        "submit", "shop/order", "--file", "order.lua", "--wait", "--timeout", "2.5", "--json")
      local values = values_of(result.stdout)
      assert.equal("pending", values[2].status)
    end)
  end)

  describe("worker", function()
    it("says where the store is, what it works on and what it did", function()
      submit("shop/order", "--file", "order.lua", "--json")
      local result = ok("worker", "order.lua", "failing.lua", "--until-idle", "--threads", "2")
      assert.is_truthy(result.stderr:find("store " .. dir .. "/tasker-data", 1, true), result.stderr)
      assert.is_truthy(result.stderr:find("working on shop/failing@0.1.0, shop/order@1.0.0 with 2 threads", 1, true), result.stderr)
      assert.is_truthy(result.stderr:find("1 complete", 1, true), result.stderr)
    end)

    it("tells attempts that failed when asked", function()
      submit("shop/failing", "--file", "failing.lua")
      local quiet_told = "step 'broken' failed, attempt 1: card declined (declined)"
      local result = ok("worker", "failing.lua", "--until-idle", "--verbose")
      assert.is_truthy(result.stderr:find(quiet_told, 1, true), result.stderr)
      assert.is_truthy(result.stderr:find("ended in error: step 'broken'", 1, true), result.stderr)
    end)

    it("refuses what it cannot load or be", function()
      process.write_file(dir .. "/broken.lua", "return {")
      refused(1, { "broken.lua" }, "worker", "broken.lua")
      refused(1, { "missing.lua" }, "worker", "missing.lua")
      refused(2, { "FILE" }, "worker")
      refused(2, { "--threads must be" }, "worker", "order.lua", "--threads", "0")
      refused(2, { "--memory must be a size" }, "worker", "order.lua", "--memory", "lots")
      assert.is_nil(process.read_file(dir .. "/tasker-data/data.mdb"))
    end)
  end)

  describe("task", function()
    it("is plain text when stdout is no terminal", function()
      local id = finished_order()
      local text = ok("task", id).stdout
      for _, fragment in ipairs { "handler: shop/order@1.0.0\n", "task_id: " .. id, "status: complete\n", 'tags: ["vip"]',
        'annotations: {"n":5}', 'context: {"order_id":7}', "STEP", "reserve  complete  1" } do
        assert.is_truthy(text:find(fragment, 1, true), fragment .. " is not in: " .. text)
      end
      assert.is_nil(text:find("\27", 1, true))
    end)

    it("finds a task by a part of its id and by @last", function()
      local id = finished_order()
      for _, part in ipairs { id:sub(-8), id:sub(1, 13), "@last", id:upper() } do
        assert.equal(id, json.decode(ok("task", part, "--json").stdout).task_id)
      end
      refused(1, { "ffffffff" }, "task", "ffffffff")
      refused(1, { "abc" }, "task", "abc")
    end)

    it("gives results alone", function()
      local id = finished_order()
      assert.same({ reserved = 7 }, json.decode(ok("task", id, "--results").stdout).reserve)
      assert.equal('{"charged":true}\n', ok("task", id, "--results", "charge").stdout)
      assert.equal('{"charged":true}\n', ok("task", "--results", "charge", id).stdout)
      refused(1, { "no step 'chrge'; did you mean 'charge'" }, "task", id, "--results", "chrge")
      refused(2, { "unexpected argument 'charge'" }, "task", id, "charge")
    end)

    it("says that a step has no results yet", function()
      submit("shop/order", "--file", "order.lua", "--json")
      refused(1, { "step 'charge' has no results: it is pending" }, "task", "@last", "--results", "charge")
    end)

    it("tells what failed, with the traceback when asked", function()
      process.write_file(dir .. "/raises.lua", [[
        require("tasker").handler { name = "raises", retry = { limit = 1 },
          steps = { { name = "only", run = function() error("boom\nand more") end } } }]])
      submit("raises", "--file", "raises.lua")
      ok("worker", "raises.lua", "--until-idle")
      local text = ok("task", "@last").stdout
      assert.is_truthy(text:find("error: only: ", 1, true), text)
      assert.is_nil(text:find("traceback", 1, true), text)
      assert.is_truthy(ok("task", "@last", "--verbose").stdout:find("traceback", 1, true))
    end)
  end)

  describe("tasks", function()
    it("lists the newest first, filtered", function()
      local done = finished_order()
      local open = submit("shop/failing", "--file", "failing.lua")
      local all = lines_of(ok("tasks").stdout)
      assert.equal(3, #all)
      assert.is_truthy(all[2]:find(open, 1, true))
      assert.is_truthy(all[3]:find(done, 1, true))
      assert.equal(1, #values_of(ok("tasks", "--status", "complete", "--json").stdout))
      assert.equal(done, values_of(ok("tasks", "--tag", "vip", "--json").stdout)[1].task_id)
      assert.equal(open, values_of(ok("tasks", "--name", "shop/failing", "--json").stdout)[1].task_id)
      assert.equal(2, #values_of(ok("tasks", "--since", "1h", "--json").stdout))
      assert.equal("", ok("tasks", "--until", "1h", "--json").stdout)
      assert.equal(1, #values_of(ok("tasks", "--limit", "1", "--json").stdout))
      assert.equal("1\n", ok("tasks", "--status", "pending", "--count").stdout)
      assert.equal("2\n", ok("tasks", "--count").stdout)
    end)

    it("refuses a status that does not exist", function()
      finished_order()
      refused(2, { "--status must be one of", "did you mean 'complete'" }, "tasks", "--status", "compleet")
      refused(2, { "--since" }, "tasks", "--since", "yesterday")
      refused(2, { "--limit" }, "tasks", "--limit", "0")
    end)
  end)

  describe("events", function()
    it("prints the log, whole or of one task, as lines or JSON", function()
      local id = finished_order()
      local all = values_of(ok("events", "--json").stdout)
      for i, event in ipairs(all) do
        assert.equal(i, event.seq)
      end
      assert.equal("task.created", all[1].event)
      assert.equal(id, all[1].task_id)
      assert.equal("task.completed", all[#all].event)
      assert.equal(#all, #lines_of(ok("events").stdout))
      assert.equal(#all - 2, #values_of(ok("events", "--json", "--after", "2").stdout))
      assert.equal(3, #values_of(ok("events", "--json", "--limit", "3").stdout))
      submit("shop/order")
      assert.equal(#all, #values_of(ok("events", "--json", "--task", id).stdout))
    end)

    it("ends quietly when its reader has seen enough", function()
      finished_order()
      local result = process.run { "bash", "-c", '"$0" events | true; echo ${PIPESTATUS[0]}', process.program(), cwd = dir }
      assert.is_truthy(result.stdout == "141\n" or result.stdout == "0\n", result.stdout)
      assert.equal("", result.stderr)
    end)

    it("follows what happens, also by other processes", function()
      finished_order()
      local follower = start("events", "--follow", "--json")
      local first = #values_of(ok("events", "--json").stdout)
      eventually(function() return #lines_of(follower:stdout()) == first end, follower)
      submit("shop/order")
      eventually(function() return #lines_of(follower:stdout()) == first + 1 end, follower)
      local status, text = stop(follower, "INT")
      assert.equal(130, status)
      assert.equal("", text)
    end)
  end)

  describe("steering", function()
    it("pauses, resumes and cancels, and says what became of each task", function()
      local id = submit("shop/order", "--file", "order.lua")
      assert.equal(id .. " paused\n", ok("pause", id, "--reason", "wait", "--by", "ann").stdout)
      assert.equal(id .. " pending\n", ok("resume", id).stdout)
      local task = json.decode(ok("cancel", id, "--reason", "twice", "--by", "ann", "--json").stdout)
      assert.equal("cancelled", task.status)
      local last = values_of(ok("events", "--json").stdout)
      assert.same({ reason = "twice", by = "ann" }, last[#last].data)
    end)

    it("goes on after a task that cannot be steered", function()
      local id = submit("shop/order", "--file", "order.lua")
      local result = refused(1, { "ffffffff" }, "pause", "ffffffff", id)
      assert.equal(id .. " paused\n", result.stdout)
    end)

    it("names both states when it refuses", function()
      local id = finished_order()
      refused(1, { "complete", "cancelled" }, "cancel", id)
      refused(1, { "complete" }, "retry", id)
    end)

    it("retries failed steps", function()
      local id = failed_task()
      assert.equal(id .. " ", ok("retry", id, "--reason", "limit raised").stdout:sub(1, #id + 1))
      local task = json.decode(ok("task", id, "--json").stdout)
      assert.is_truthy(task.status == "pending" or task.status == "in_progress", task.status)
      assert.equal("complete", task.steps[1].status)
    end)

    it("settles a step with results of a person, whose dependents go on", function()
      local id = failed_task()
      local result = ok("resolve", id, "broken", '{"charged":true}', "--reason", "by bank", "--by", "ann")
      assert.is_truthy(result.stdout:find(id .. " broken: resolved manually", 1, true), result.stdout)
      ok("worker", "failing.lua", "--until-idle")
      local task = json.decode(ok("task", id, "--json").stdout)
      assert.equal("complete", task.status)
      assert.same({ charged = true }, task.results.broken)
    end)

    it("settles a whole task only when told so", function()
      local id = failed_task()
      refused(2, { "STEP is missing (or --whole-task)" }, "resolve", id)
      assert.equal(id .. " resolved manually\n", ok("resolve", id, "--whole-task").stdout)
      assert.equal(0, cli("task", id).status)
    end)

    it("cancels one step", function()
      local id = submit("shop/order", "--file", "order.lua")
      local result = ok("cancel", id, "--step", "ship")
      assert.is_truthy(result.stdout:find(id .. " ship: cancelled", 1, true), result.stdout)
      refused(1, { "nope" }, "cancel", id, "--step", "nope")
    end)
  end)

  describe("handlers and stats", function()
    it("tell what the store knows", function()
      finished_order()
      local handlers = values_of(ok("handlers", "--json").stdout)
      assert.equal(1, #handlers)
      assert.same({ "reserve", "charge", "ship" }, handlers[1].steps)
      assert.is_truthy(ok("handlers").stdout:find("shop/order  1.0.0    latest", 1, true))
      local stats = values_of(ok("stats", "--json").stdout)[1]
      assert.equal(1, stats.tasks.complete)
      assert.equal(3, stats.steps.complete)
      assert.is_true(stats.store.bytes > 0)
      assert.is_true(stats.events.last_seq > 0)
      assert.is_truthy(ok("stats").stdout:find("1: 1 complete", 1, true))
    end)
  end)

  describe("keeping the store", function()
    it("finds no damage in a sound one", function()
      finished_order()
      assert.is_truthy(ok("check").stdout:match "^%d+ records checked, no damage\n$")
      local values = values_of(ok("check", "--json").stdout)
      assert.equal(0, values[#values].damages)
    end)

    it("says so when pages are damaged, and does not crash", function()
      finished_order()
      local path = dir .. "/tasker-data/data.mdb"
      local bytes = process.read_file(path)
      process.write_file(path, bytes:sub(1, 8192) .. ("\xa5"):rep(#bytes - 8192))
      local result = cli("check")
      assert.equal(1, result.status, result.stdout .. result.stderr)
      assert.is_truthy(result.stderr:find "^tasker%-lua: check: ", result.stderr)
    end)

    it("copies it into an empty folder that opens as a store", function()
      local id = finished_order()
      process.write_file(dir .. "/full", "")
      ok("backup", "copy", "--json")
      assert.equal("complete", json.decode(ok("task", id, "--json", "--store", "copy").stdout).status)
      ok("check", "--store", "copy")
      refused(1, { "backup" }, "backup", "copy")
      refused(1, { "backup" }, "backup", "full")
    end)

    it("rewrites it small when nobody has it open", function()
      local id = finished_order()
      local sizes = values_of(ok("compact", "--json").stdout)[1]
      assert.is_true(sizes.after <= sizes.before)
      assert.equal("complete", json.decode(ok("task", id, "--json").stdout).status)
      local worker = start("worker", "order.lua")
      eventually(function() return worker:stderr():find("working on", 1, true) end, worker)
      refused(1, { "compact" }, "compact")
      assert.equal(0, (stop(worker, "TERM")))
    end)

    it("makes no store by looking", function()
      for _, words in ipairs { { "task", "@last" }, { "tasks" }, { "events" }, { "handlers" }, { "stats" }, { "check" }, { "compact" },
        { "backup", "copy" }, { "cancel", "@last" }, { "pause", "@last" }, { "resume", "@last" }, { "retry", "@last" },
        { "resolve", "@last", "a" }, { "submit", "a" } } do
        refused(1, { ("tasker-lua: %s: there is no store at %s/tasker-data"):format(words[1], dir) }, table.unpack(words))
      end
      assert.is_nil(os.rename(dir .. "/tasker-data", dir .. "/moved"))
    end)
  end)

  describe("on a terminal", function()
    local function terminal(columns, words, env)
      local inner = ("stty cols %d; %s %s"):format(columns, process.quote(process.program()), words)
      return process.run { "script", "-qec", inner, "/dev/null", cwd = dir,
        env = env or { LC_ALL = "C.UTF-8", TERM = "xterm", TZ = "UTC" } }
    end

    it("draws a task as a tree of marked steps", function()
      finished_order()
      local result = terminal(100, "task @last")
      assert.equal(0, result.status)
      local text = result.stdout:gsub("\27%[[%d;]*m", "")
      for _, fragment in ipairs { "✓ shop/order@1.0.0  complete in ", "✓ reserve", "✓ ship", "3 steps: 3 complete" } do
        assert.is_truthy(text:find(fragment, 1, true), fragment .. " is not in: " .. text)
      end
      assert.is_truthy(result.stdout:find("\27[32m", 1, true))
    end)

    it("has no colours with NO_COLOR and no signs beyond ASCII in the C locale", function()
      finished_order()
      local text = terminal(100, "task @last", { LC_ALL = "C", TERM = "xterm", NO_COLOR = "1" }).stdout
      assert.is_nil(text:find "[\27\128-\255]", text)
      assert.is_truthy(text:find("+ reserve", 1, true))
    end)

    it("shows how far a run is when it takes longer than a second, and takes the line away #slow", function()
      process.write_file(dir .. "/steps.lua", [[
        local tasker = require "tasker"
        tasker.handler { name = "steps", chain = true, steps = {
          { name = "a", run = function() tasker.sleep(1.2) end }, { name = "b", run = function() tasker.sleep(0.3) end } } }]])
      local text = terminal(100, "run steps.lua").stdout
      assert.is_truthy(text:find("running  ████████░░░░░░░░  50 %  1 of 2 steps\r\27[K", 1, true), text)
      assert.is_nil(process.run { process.program(), "run", "steps.lua", cwd = dir }.stderr:find("running", 1, true))
    end)

    it("fits tables to its width", function()
      for _ = 1, 3 do
        submit("shop/order", "--file", "order.lua", "--json", "--tag", ("t"):rep(60))
      end
      local text = terminal(70, "tasks").stdout:gsub("\27%[[%d;]*m", ""):gsub("\r", "")
      for _, line in ipairs(lines_of(text)) do
        assert.is_true(utf8.len(line) <= 70, line)
      end
    end)
  end)
end)
