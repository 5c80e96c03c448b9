local assert = require "luassert"
local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

local http = tasker.http

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- Descriptors that are open, and resident memory in KiB, of this process.
local function usage()
  collectgarbage()
  collectgarbage()
  local pipe <close> = io.popen(("ls /proc/%s/fd | wc -l"):format(read("/proc/self/stat"):match "^%d+"))
  return pipe:read "n", tonumber(read("/proc/self/status"):match "VmRSS:%s+(%d+)")
end

describe("many requests", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local base, app

  setup(function() base = ("http://127.0.0.1:%d"):format(peer.start("rest").http) end)
  teardown(harness.clean)
  before_each(function() app = tasker.open "memory:" end)
  after_each(function() app:close() end)

  local function stats()
    return assert(http.get(base .. "/stats")):json()
  end

  -- One step for each element, all at once in this thread.
  local function each(count, run)
    local list = {}
    for i = 1, count do
      list[i] = i
    end
    local task = assert(app:run(harness.handler { steps = { { name = "each", map = function() return list end, run = run } } }))
    assert.equal("complete", task.status)
  end

  it("at once from the steps of one thread take about as long as the slowest", function()
    each(200, function() return http.get(base .. "/status/200").status end)   -- connections are there
    local started = tasker.now()
    each(200, function(_, step)
      return assert(http.get(base .. "/slow", { query = { ms = step.item == 200 and 500 or 400 } })).status
    end)
    local took = tasker.now() - started
    assert.is_true(took >= 0.5 and took < 1.5, ("200 requests of 0.5 s at most took %.2f s"):format(took))
  end)

  it("through one worker reuse connections and leave nothing behind: 20,000 of them #slow", function()
    local function load(name, count)
      return { name = name, map = function()
        local list = {}
        for i = 1, 50 do
          list[i] = i
        end
        return list
      end, run = function()
        for _ = 1, count / 50 do
          assert(http.get(base .. "/status/200").status == 200)
        end
        return true
      end }
    end
    local function look(name)
      return { name = name, run = function()
        local sockets = stats().sockets
        local fds, memory = usage()
        return { sockets = sockets, fds = fds, memory = memory }
      end }
    end
    local task = assert(app:run(harness.handler { chain = true, steps = { load("warm", 2000), look "before", load("load", 20000),
      look "after" } }))
    local before, after = task.steps.before.results, task.steps.after.results
    assert.equal("complete", task.status)
    assert.equal(before.sockets, after.sockets)
    assert.is_true(after.fds <= before.fds, ("%d descriptors became %d"):format(before.fds, after.fds))
    assert.is_true(after.memory - before.memory < 2048, ("memory grew by %d KiB"):format(after.memory - before.memory))
  end)
end)
