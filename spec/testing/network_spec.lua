local assert = require "luassert"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("testing.http", function()
  local app

  local function define(name, run, more)
    local step = { name = "call", run = run }
    for field, value in pairs(more or {}) do
      step[field] = value
    end
    return tasker.handler { namespace = "network", name = name, steps = { step } }
  end

  before_each(function() app = assert(testing.open()) end)
  after_each(function() app:close() end)

  it("answers in the place of the network", function()
    testing.http {
      ["GET https://api.example.com/orders/7"] = { status = 200, json = { id = 7 } },
      ["POST https://api.example.com/orders"] = { status = 201, headers = { Location = "/orders/8" }, body = "made" },
    }
    local handler = define("calls", function(_, step)
      local got = assert(tasker.http.get("https://api.example.com/orders/7", { query = { full = "yes" } }))
      local made = assert(tasker.http.post("https://api.example.com/orders", { json = { sku = "x" } }))
      return { id = got:json().id, status = made.status, location = made.headers.location, body = made.body, key = step.idempotency_key }
    end)
    local task = assert(app:run(handler))
    local results = task.steps.call.results
    assert.same({ id = 7, status = 201, location = "/orders/8", body = "made", key = results.key }, results)
    local requests = testing.requests()
    assert.equal(2, #requests)
    assert.equal("https://api.example.com/orders/7?full=yes", requests[1].url)
    assert.same({ sku = "x" }, requests[2].json)
    assert.equal(results.key, requests[2].headers["Idempotency-Key"])
  end)

  it("drives the step's retry by what is answered", function()
    app:http { ["GET https://api.example.com/x"] = { { status = 503 }, { error = "timeout" }, { status = 200, json = { ok = true } } } }
    local client = tasker.rest { base_url = "https://api.example.com" }
    -- luassert's assert would raise another error than the one it gets.
    local handler = define("retried", function()
      local response, err = client:get "/x"
      return response and response:json(), err
    end, { retry = { limit = 5 } })
    local task = assert(app:run(handler))
    assert.equal("complete", task.status)
    local calls = app:calls(handler, "call")
    assert.equal("http_503", calls[1].error.code)
    assert.equal("timeout", calls[2].error.code)
    assert.equal(3, #calls)
  end)

  it("takes functions, any method, and addresses with a gap; the more exact one goes first", function()
    app:http {
      ["* https://a.example/*"] = function(request) return { body = request.method .. " any" } end,
      ["GET https://a.example/x/*/z"] = { body = "gap" },
      ["GET https://a.example/x/y/z"] = { body = "exact" },
      ["GET https://a.example/q?a=1"] = { body = "query" },
    }
    local function body(method, path) return assert(tasker.http.request { method = method, url = "https://a.example" .. path }).body end
    assert.equal("exact", body("GET", "/x/y/z"))
    assert.equal("gap", body("GET", "/x/1/z"))
    assert.equal("DELETE any", body("DELETE", "/x/y/z"))
    assert.equal("query", body("GET", "/q?a=1"))
    assert.equal("GET any", body("GET", "/q?a=2"))
  end)

  it("lets nothing else out", function()
    app:http { ["GET https://a.example/x"] = {} }
    local response, err = tasker.http.get "https://b.example/"
    assert.is_nil(response)
    assert.equal("blocked", err.code)
    assert.equal("no answer to GET https://b.example/: testing.http names those that there are", err.message)
  end)

  it("ends with the app", function()
    app:http { ["GET http://127.0.0.1:1/x"] = { body = "double" } }
    assert.equal("double", assert(tasker.http.get "http://127.0.0.1:1/x").body)
    app:close()
    local _, err = tasker.http.get "http://127.0.0.1:1/x"
    assert.equal("connect", err.code)
    app = assert(testing.open())
  end)

  it("refuses keys and answers that cannot be", function()
    assert.has_error(function() testing.http { ["https://a.example"] = {} } end)
    assert.has_error(function() testing.http { ["GET https://a.example"] = { stauts = 1 } } end)
    assert.has_error(function() testing.http { ["GET https://a.example"] = 7 } end)
  end)
end)

describe("a step under testing", function()
  it("waits for the network and for programs in real time, while the clock stands", function()
    local app = assert(testing.open())
    local before = tasker.now()
    local handler = tasker.handler { namespace = "network", name = "real", steps = { { name = "a", retry = { limit = 1 }, run = function()
      local _, err = tasker.http.get "http://127.0.0.1:1/"
      local done = assert(tasker.exec { "echo", "hello" })
      return { err.code, done.stdout }
    end } } }
    local task = assert(app:run(handler))
    assert.same({ "connect", "hello\n" }, task.steps.a.results)
    assert.equal(before, tasker.now())
    testing.simulate(function(simulated)
      local one = assert(simulated:run(handler))
      assert(one.status == "complete" or one.steps.a.error.code == "lost", tostring(one.status))
    end, { seeds = 10 })
    app:close()
  end)
end)
