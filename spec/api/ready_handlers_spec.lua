local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

describe("a ready-made step handler", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local base, app
  setup(function() base = ("http://127.0.0.1:%d"):format(peer.start("rest").http) end)
  teardown(harness.clean)
  before_each(function() app = tasker.open "memory:" end)
  after_each(function() app:close() end)

  local function run(steps, context)
    return assert(app:run(harness.handler { steps = steps }, context))
  end

  it("rest sends what the task's values make of its configuration", function()
    local task = run({
      { name = "first", run = function() return { id = 5, list = { "a", "b" } } end },
      { name = "send", depends_on = "first", handler = "rest", config = { base_url = base, method = "POST", path = "/echo/{id}",
        params = { id = "{{results.first.id}}" }, query = { for_ = "task {{task_id}}" }, headers = { ["X-Own"] = "{{context.who}}!" },
        auth = { bearer = "t" },
        json = { list = "{{results.first.list}}", second = "{{results.first.list.2}}", n = "{{results.first.id}}" } } },
    }, { who = "ann" })
    assert.equal("complete", task.status, task.steps.send.error and task.steps.send.error.message)
    local results = task.results.send
    local got = results.body
    assert.equal(200, results.status)
    assert.same({ "POST", "/echo/5", "?for_=task%20" .. task.task_id, "ann!", "Bearer t" },
      { got.method, got.path, got.query, got.headers["x-own"], got.headers.authorization })
    assert.same({ list = { "a", "b" }, second = "b", n = 5 }, tasker.json.decode(got.body))
    assert.equal(task.task_id .. ":send", got.headers["idempotency-key"])
  end)

  it("rest fails as the answer says", function()
    local function outcome(config)
      return run({ { name = "send", handler = "rest", config = config, retry = harness.quick_retry(2) } }).steps.send
    end
    local step = outcome { url = base, path = "/status/404" }
    assert.same({ "http_404", 1 }, { step.error.code, step.attempts })
    step = outcome { url = base, path = "/status/500" }
    assert.same({ "http_500", 2 }, { step.error.code, step.attempts })
    step = outcome { url = base, path = "/{{context.nowhere}}" }
    assert.same({ "invalid", 1 }, { step.error.code, step.attempts })
    assert.matches("there is no context.nowhere", step.error.message)
  end)

  it("is refused when its configuration cannot be", function()
    for _, case in ipairs { { "rest", {} }, { "rest", { url = base, mehtod = "GET" } }, { "graphql", { url = base } },
      { "graphql", { url = base, query = "{a}", mutation = "{b}" } } } do
      local ok, why = pcall(harness.handler, { steps = { { name = "send", handler = case[1], config = case[2] } } })
      assert.is_false(ok)
      assert.matches("step 'send': field 'config' is refused by the step handler '" .. case[1], why, 1, true)
    end
    local ok, why = pcall(harness.handler, { steps = { { name = "send", handler = "rset" } } })
    assert.is_false(ok)
    assert.matches("did you mean 'rest'?", why, 1, true)
  end)
end)
