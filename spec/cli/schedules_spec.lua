-- `schedule` and `schedules` as a program sees them.
local harness = require "spec.support.harness"
local process = require "spec.support.process"
local json = require("tasker.core").json

local FILE = [[
local tasker = require "tasker"
tasker.handler {
  namespace = "shop", name = "report",
  context_schema = { type = "object", properties = { n = { type = "integer" } } },
  steps = { { name = "write", run = function(task) return { task.scheduled_at } end } },
}
]]

describe("tasker-lua schedule", function()
  local dir

  local function run(...)
    return process.run { process.program(), cwd = dir, env = { TZ = "UTC", TASKER_STORE = dir .. "/tasker-data" }, ... }
  end

  local function done(...)
    local result = run(...)
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  before_each(function()
    dir = harness.temp_dir()
    process.write_file(dir .. "/h.lua", FILE)
  end)
  after_each(harness.clean)

  local function add(...)
    return done("schedule", "add", "nightly", "shop/report", "{\"n\":1}", "--file", "h.lua", ...)
  end

  it("adds, lists, pauses, resumes, triggers, backfills and deletes", function()
    assert.matches("^nightly added: 0 2 %* %* %*, next %d", add("--cron", "0 2 * * *", "--timezone", "Europe/Berlin"))
    local listed = json.decode(done("schedules", "--json"))
    assert.same({ "nightly", "shop/report", 1, "Europe/Berlin", false },
      { listed.name, listed.handler, listed.context.n, listed.timezone, listed.paused })
    assert.matches("nightly%s+shop/report%s+0 2 %* %* %*%s+Europe/Berlin", done("schedules"))
    assert.equal("nightly is paused\n", done("schedule", "pause", "nightly", "--reason", "audit", "--by", "ann"))
    assert.matches("paused", done("schedules"))
    assert.is_false(json.decode(done("schedule", "resume", "nightly", "--json")).paused)
    local id = done("schedule", "trigger", "nightly"):match("^(%S+)\n$")
    local task = json.decode(done("task", id, "--json"))
    assert.same({ "nightly", 1 }, { task.schedule, task.context.n })
    assert.equal("nightly: 3 occurrences\n", done("schedule", "backfill", "nightly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"))
    done("worker", "h.lua", "--until-idle")
    assert.equal("4\n", done("tasks", "--count", "--status", "complete"))
    assert.equal("nightly deleted\n", done("schedule", "delete", "nightly"))
    assert.equal("", done("schedules", "--json"))
    local events = done("events")
    assert.matches("schedule%.paused  %-    {\"by\":\"ann\",\"reason\":\"audit\",\"schedule\":\"nightly\"}", events)
    assert.matches("no damage", done("check"))
  end)

  it("shows the next times of one, in UTC and its zone, and of any expression without a store", function()
    add("--cron", "0 9 L * *", "--timezone", "America/New_York")
    local wanted = "2026-02-28T14:00:00.000000Z  2026-02-28 09:00:00 -05:00\n2026-03-31T13:00:00.000000Z  2026-03-31 09:00:00 -04:00\n"
    assert.equal(wanted, done("schedule", "preview", "nightly", "--count", "2", "--after", "2026-02-01T00:00:00Z"))
    os.remove(dir .. "/h.lua")
    process.remove_dir(dir .. "/tasker-data")
    assert.equal(wanted, done("schedule", "preview", "--cron", "0 9 L * *", "--timezone", "America/New_York", "--count", "2", "--after",
      "2026-02-01T00:00:00Z"))
    assert.equal("\"2026-02-02T00:00:00.000000Z\"\n", done("schedule", "preview", "--cron", "@daily", "--count", "1", "--after",
      "2026-02-01T00:00:00Z", "--json"))
    assert.is_nil(io.open(dir .. "/tasker-data/data.mdb"))
  end)

  it("refuses what cannot be in one line, with exit code 1, or 2 for its own words", function()
    add("--every", "1h")
    local function refused(status, fragment, ...)
      local result = run("schedule", ...)
      assert.same({ status, "" }, { result.status, result.stdout }, result.stderr)
      harness.contains(fragment, result.stderr)
      assert.equal(1, select(2, result.stderr:gsub("\n", "")))
    end
    refused(1, "there is a schedule nightly already", "add", "nightly", "shop/report", "--every", "2h")
    refused(1, "no handler 'shop/nope'", "add", "x", "shop/nope", "--every", "2h")
    refused(1, "--cron: cron expression '61 * * * *': minute 61", "add", "x", "shop/report", "--cron", "61 * * * *")
    refused(1, "--timezone", "add", "x", "shop/report", "--cron", "@daily", "--timezone", "Mars/Base")
    refused(1, "--cron and --every exclude each other", "add", "x", "shop/report", "--cron", "@daily", "--every", "5")
    refused(1, "missing", "add", "x", "shop/report")
    refused(1, "context", "add", "x", "shop/report", "{\"n\":\"one\"}", "--every", "5")
    refused(1, "there is no schedule 'y'", "pause", "y")
    refused(2, "ACTION must be one of", "frob", "x")
    refused(2, "needs the NAME", "pause")
    refused(2, "add takes NAME HANDLER", "add", "x")
    refused(2, "backfill takes NAME FROM TO", "backfill", "nightly", "1d")
    refused(2, "nothing more", "delete", "nightly", "now")
    refused(2, "is no time", "backfill", "nightly", "yesterday", "now")
  end)
end)
