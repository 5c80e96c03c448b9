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

describe("the ready-made step handlers of webhooks and approvals", function()
  after_each(harness.clean)

  it("webhook sends a signed message, the same at every attempt", function()
    if not peer.has_node then return pending "skipped: Node is not installed" end
    local url, app, secret = peer.start("receiver").url, harness.open "memory", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    local task = assert(app:run(harness.handler { steps = { { name = "tell", handler = "webhook", retry = harness.quick_retry(2), config = {
      url = url .. "/codes/500/204", type = "order.{{context.kind}}", secret = secret, allow_private = true,
      data = { n = "{{context.n}}" } } } } }, { kind = "shipped", n = 7 }))
    assert.equal("complete", task.status, task.steps.tell.error and task.steps.tell.error.message)
    assert.equal(204, task.results.tell.status)
    local log = assert(assert(tasker.http.get(url .. "/log")):json())
    assert.equal(2, #log)
    assert.equal(log[1].body, log[2].body)
    assert.equal(task.results.tell.id, log[1].headers["webhook-id"])
    assert.equal(task.results.tell.id, log[2].headers["webhook-id"])
    local told = assert(tasker.webhook.verify(log[2].headers, log[2].body, secret))
    assert.same({ "order.shipped", { n = 7 } }, { told.type, told.data })
    assert.is_true(math.abs(tasker.time.parse(told.timestamp) - tasker.time.parse(task.created_at)) < 1)
  end)

  it("webhook reaches no private address unless it may", function()
    local app = harness.open "memory"
    local task = assert(app:run(harness.handler { steps = { { name = "tell", handler = "webhook", retry = harness.quick_retry(1),
      config = { url = "http://127.0.0.1:1/", secret = "whsec_AAAA" } } } }))
    assert.equal("blocked", task.steps.tell.error.code)
  end)

  it("approval_request waits for people whom its configuration names, and tells them by a signed message", function()
    if not peer.has_node then return pending "skipped: Node is not installed" end
    local url, app, secret = peer.start("receiver").url, harness.open "memory", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    local id = assert(app:submit(harness.handler { steps = {
      { name = "accept", handler = "approval_request", retry = harness.quick_retry(3), config = {
        approvers = "{{context.boards}}", required = 2, timeout = 3600, on_timeout = "reject",
        form = { type = "object", required = { "sum" } },
        notify = { url = url .. "/codes/503/204", secret = secret, allow_private = true } } },
      { name = "pay", depends_on = "accept", run = function(task) return task.results.accept.decision end },
    } }, { boards = { "ann", "bob" } }))
    assert(app:work { until_idle = 10 })
    assert.same({ "ann", "bob" }, assert(app:task(id)).steps.accept.approval.approvers)
    local log = assert(assert(tasker.http.get(url .. "/log")):json())
    assert.equal(2, #log)
    local told = assert(tasker.webhook.verify(log[2].headers, log[2].body, secret))
    assert.equal("approval.requested", told.type)
    assert.same({ id, "accept", 1 }, { told.data.task_id, told.data.step, told.data.round })
    assert.same({ "ann", "bob" }, told.data.approvers)
    assert.equal("invalid", select(2, app:approve(id, "accept", { by = "ann" })).code)
    for _, name in ipairs(told.data.approvers) do
      assert(app:approve(id, "accept", { by = name, form = { sum = 1 } }))
    end
    assert.equal("approve", assert(app:work_for(id)).results.pay)
  end)

  it("are refused when their configuration cannot be", function()
    for _, case in ipairs { { "webhook", { url = "https://example.org" }, "config" }, { "approval_request", {}, "config" },
      { "approval_request", { approvers = { "a" }, required = 2 }, "approval.required" },
      { "approval_request", { approvers = "a", notify = { url = "https://example.org" } }, "config" } } do
      local ok, why = pcall(harness.handler, { steps = { { name = "ask", handler = case[1], config = case[2] } } })
      assert.is_false(ok)
      assert.matches("step 'ask': field '" .. case[3], why, 1, true)
    end
    local ok, why = pcall(harness.handler, { steps = { { name = "ask", handler = "approval_request", timeout = 5,
      config = { approvers = "a", timeout = 6 } } } })
    assert.is_false(ok)
    assert.matches("field 'timeout' stands beside 'config'", why, 1, true)
  end)
end)
