local harness = require "spec.support.harness"
local tasker = require "tasker"

describe("approvals on the command line,", function()
  local dir, store, id

  local function run(...)
    local result = harness.process.run { harness.process.program(), "--store", store, ... }
    return result
  end

  before_each(function()
    dir = harness.temp_dir()
    store = dir .. "/store"
    local app = harness.reopen(store)
    local handler = harness.handler { steps = {
      { name = "accept", approval = { approvers = { "ann", "bob" }, required = 2, form = { type = "object" } } },
    } }
    id = assert(app:submit(handler, {}))
    assert(app:work { until_idle = true })
  end)
  after_each(harness.clean)

  it("the inbox says what waits for whom, as text and as JSON", function()
    local result = run("approvals")
    assert.equal(0, result.status)
    harness.contains(id, result.stdout)
    harness.contains("ann, bob", result.stdout)
    local item = assert(tasker.json.decode(run("approvals", "--by", "bob", "--json").stdout))
    assert.equal("accept", item.step)
    assert.same({ type = "object" }, item.form)
    result = run("approvals", "--by", "zoe")
    assert.equal(0, result.status)
    assert.equal("", result.stdout)
  end)

  it("people approve, reject, delegate and ask for changes", function()
    local result = run("approve", id, "accept", "--by", "ann", "--delegate", "zoe")
    assert.equal(0, result.status)
    result = run("approve", id, "accept", "--by", "zoe", "--comment", "fine", "--form", '{"a":1}')
    assert.equal(0, result.status)
    result = run("approve", id, "accept", "--by", "zoe")
    assert.equal(1, result.status)
    harness.contains("already", result.stderr)
    result = run("approve", id, "accept", "--by", "bob", "--form", "5")
    assert.equal(1, result.status)
    result = run("reject", id, "accept", "--by", "bob", "--changes", "--comment", "shorter", "--json")
    assert.equal(0, result.status)
    local task = assert(tasker.json.decode(result.stdout))
    assert.equal("changes_requested", task.errors.accept.code)
    assert.equal("shorter", task.errors.accept.details.decisions[3].comment)
  end)

  it("who decides must be said", function()
    local result = run("reject", id, "accept")
    assert.equal(2, result.status)
    harness.contains("--by", result.stderr)
  end)
end)
