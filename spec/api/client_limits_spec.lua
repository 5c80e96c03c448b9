local assert = require "luassert"
local core = require "tasker.core"
local harness = require "spec.support.harness"
local http = require "tasker.http"
local steps = require "spec.support.client_limits"
local tasker = require "tasker"
local testing = require "tasker.testing"

describe("a client's limits and breaker", function()
  local names = 0
  local answer, sent

  -- Declarations and breakers outlive a test.
  local function new_name()
    names = names + 1
    return "client" .. names
  end

  local function limit(rules)
    local name = new_name()
    tasker.limit(name, rules)
    return name
  end

  local function breaker(fields)
    local all = { name = new_name(), failures = 2, reset = 30 }
    for name, value in pairs(fields or {}) do
      all[name] = value
    end
    return all
  end

  before_each(function()
    answer, sent = { status = 200 }, 0
    http.set_double(function(request)
      sent = sent + 1
      if type(answer) == "function" then
        return answer(request)
      elseif answer.error then
        return nil, http.failure(answer.error, "made to fail")
      end
      return answer
    end)
  end)
  after_each(function()
    http.set_double(nil)
    harness.clean()
  end)

  local function assert_whole(app)
    assert.equal(0, assert(app.engine:check(print)))
  end

  local function state_of(app, name)
    return assert(app:breakers { name = name })[1].state
  end

  describe("in a plain script", function()
    local app

    before_each(function() app = testing.open { clock = "2026-03-01T12:00:00Z" } end)
    after_each(function()
      assert_whole(app)
      app:close()
    end)

    it("opens after failures in a row, and says when to come again", function()
      local client = steps.client { breaker = breaker { name = "opens", reset = 30 } }
      answer = { status = 503 }
      assert.equal("http_503", select(2, client:get "/").code)
      answer = { status = 404 }
      assert.equal("http_404", select(2, client:get "/").code)   -- it works: the row begins anew
      answer = { error = "timeout" }
      assert.equal("timeout", select(2, client:get "/").code)
      answer = { status = 500 }
      assert.equal("http_500", select(2, client:get "/").code)
      assert.equal(4, sent)
      local err = harness.refused("blocked", { "breaker 'opens' is open after 2 failures in a row", "30 s" }, client:get "/")
      assert.same({ true, 30, "opens" }, { err.retryable, err.retry_after, err.details.breaker })
      assert.equal(4, sent)
      local seen = assert(app:breakers { name = "opens" })[1]
      assert.same({ "open", 2, 2, 30.0, "2026-03-01T12:00:30.000000Z", "it answered 500" },
        { seen.state, seen.failures, seen.opens_after, seen.reset, seen.retry_at, seen.why })
    end)

    it("lets one try after the reset: closed when that works, open again when not", function()
      local rules = breaker()
      local client = steps.client { breaker = rules }
      answer = { error = "connect" }
      client:get "/"
      client:get "/"
      app:advance(29.999)
      assert.equal("blocked", select(2, client:get "/").code)
      app:advance(0.001)
      assert.equal("connect", select(2, client:get "/").code)
      assert.equal("open", state_of(app, rules.name))
      assert.equal(30, select(2, client:get "/").retry_after)
      app:advance(30)
      answer = { status = 200 }
      assert.equal(200, assert(client:get "/").status)
      assert.equal("closed", state_of(app, rules.name))
      assert.equal(200, assert(client:get "/").status)
      assert.equal(5, sent)
    end)

    it("does not count what says nothing of the service", function()
      local rules = breaker { failures = 1 }
      local client = steps.client { breaker = rules }
      for _, one in ipairs { { status = 429 }, { status = 400 }, { error = "invalid" }, { error = "too_large" }, { error = "blocked" } } do
        answer = one
        client:get "/"
      end
      assert.equal("closed", state_of(app, rules.name))
      for _, one in ipairs { { error = "dns" }, { error = "tls" }, { error = "protocol" }, { status = 502 } } do
        answer = one
        local other = breaker { failures = 1 }
        steps.client({ breaker = other }):get "/"
        assert.equal("open", state_of(app, other.name))
      end
    end)

    it("is shared by all clients that name it, with the rules that were said last", function()
      local name = new_name()
      answer = { status = 500 }
      steps.client({ breaker = breaker { name = name, failures = 3 } }):get "/"
      tasker.graphql({ url = steps.URL, breaker = breaker { name = name, failures = 2 } }):query "{ a }"
      assert.equal("blocked", select(2, tasker.http.get(steps.URL, { breaker = { name = name, failures = 2 } })).code)
    end)

    it("waits for its limit's slot, and sends when it comes", function()
      local client = steps.client { limits = limit { rate = 1, per = 2, burst = 2 } }
      local at = {}
      answer = function()
        at[#at + 1] = core.now() - tasker.time.parse "2026-03-01T12:00:00Z"
        return { status = 200 }
      end
      for _ = 1, 4 do
        assert(client:get "/")
      end
      assert.same({ 0.0, 0.0, 2.0, 4.0 }, at)
    end)

    it("does not wait longer than the request may take", function()
      local name = limit { rate = 1, per = 60 }
      local client = steps.client { limits = { { name, key = "acme" } }, timeout = 10 }
      assert(client:get "/")
      local err = harness.refused("blocked", { name, "'acme'", "60 s" }, client:get "/")
      assert.same({ true, 60, name }, { err.retryable, err.retry_after, err.details.limit })
      assert.equal(1, sent)
      assert(steps.client({ limits = { { name, key = "other" } }, timeout = 10 }):get "/")
      assert(client:get("/", { timeout = 61 }))
    end)

    it("takes of all limits or of none", function()
      local wide, narrow = limit { rate = 10, per = 1, burst = 10 }, limit { rate = 1, per = 60, burst = 1 }
      local both = steps.client { limits = { { wide, cost = 9 }, narrow }, timeout = 1 }
      assert(both:get "/")
      app:advance(1)
      assert.equal("blocked", select(2, both:get "/").code)
      assert(steps.client({ limits = { { wide, cost = 10 } }, timeout = 0.01 }):get "/")   -- nothing of it was taken
    end)

    it("asks the breaker before the limits: what is broken costs nothing of them", function()
      local name, rules = limit { rate = 1, per = 60, burst = 2 }, breaker { failures = 1, reset = 1 }
      local client = steps.client { limits = name, breaker = rules, timeout = 1 }
      answer = { status = 500 }
      client:get "/"
      for _ = 1, 5 do
        assert.matches("breaker", select(2, client:get "/").message)
      end
      app:advance(1)
      assert.equal("http_500", select(2, client:get "/").code)
    end)

    it("refuses what cannot be, naming the option", function()
      for options, fragment in pairs {
        [{ breaker = {} }] = "option 'breaker': field 'name' is missing",
        [{ breaker = { name = "a b" } }] = "field 'name' must be",
        [{ breaker = { name = "a", failures = 0 } }] = "field 'failures' must be",
        [{ breaker = { name = "a", resets = 3 } }] = "field 'resets' is unknown; did you mean 'reset'?",
        [{ breaker = { name = "a", reset = "soon" } }] = "field 'reset' must be a number",
        [{ limits = "nobody" }] = "names no limit 'nobody'",
        [{ limits = {} }] = "must be a limit's name or a list of limits",
        [{ limits = { { limit { rate = 1 }, cost = 2 } } }] = "more than the limit's burst of 1",
        [{ limits = { { limit { rate = 1 }, key = function() end } } }] = "field 'key' must be a string or a number",
      } do
        local ok, err = pcall(steps.client, options)
        assert.is_false(ok)
        harness.contains("tasker.rest: option '" .. next(options), err)
        harness.contains(fragment, err)
        options.url = steps.URL
        ok, err = pcall(tasker.http.request, options)
        assert.is_false(ok)
        harness.contains("tasker.http: option", err)
      end
    end)
  end)

  it("live in the state where no app is open", function()
    local rules = breaker { failures = 1 }
    answer = { status = 500 }
    local client = steps.client { breaker = rules, limits = limit { rate = 1, per = 60 }, timeout = 1 }
    client:get "/"
    assert.matches("breaker", select(2, client:get "/").message)
  end)

  it("live in the state where the app only reads", function()
    local app, store = harness.open "lmdb"
    assert(app:submit(harness.one_step(function() end)))
    local reader = harness.reopen(store, { read_only = true })
    assert.equal(reader, tasker.app())
    answer = { status = 500 }
    local client = steps.client { breaker = breaker { failures = 1 } }
    client:get "/"
    assert.matches("breaker", select(2, client:get "/").message)
    assert.same({}, assert(reader:breakers()))
  end)

  it("drives the step's retry in a step: it starts again when the breaker lets it", function()
    local app = testing.open { clock = "2026-03-01T12:00:00Z" }
    local rules = breaker { failures = 1, reset = 45 }
    local client = steps.client { breaker = rules }
    answer = { status = 503 }
    client:get "/"
    answer = { status = 200, json = { 7 } }
    local step = harness.outcome(app, function()
      return harness.lua_assert(client:get "/"):json()
    end)
    assert.same({ "complete", 2, { 7 } }, { step.status, step.attempts, step.results })
    assert.equal(tasker.time.parse "2026-03-01T12:00:45Z", tasker.time.parse(step.completed_at))
    assert_whole(app)
    app:close()
  end)

  it("takes a step that runs out of its time while it waits for the answer for a failure, one that is cancelled for none", function()
    local app = harness.open "memory"
    local rules = breaker { failures = 1 }
    local client = steps.client { breaker = rules, limits = limit { concurrency = 1 } }
    answer = function()
      core.sleep(30)
      return { status = 200 }
    end
    local handler = harness.one_step(function() return client:get "/" end, { retry = { limit = 1 } })
    local id = assert(app:submit(handler))
    local cancelling = harness.one_step(function()
      harness.eventually(function() return sent == 1 end)
      return tasker.app():cancel(id, "enough").status
    end)
    assert.equal("complete", assert(app:run(cancelling)).status)
    harness.eventually(function() return assert(app:limits { name = client.common.limits[1].name })[1].running == 0 end)
    assert.equal("closed", state_of(app, rules.name))
    harness.outcome(app, function() return client:get "/" end, { retry = { limit = 1 }, timeout = 0.05 })
    harness.eventually(function() return state_of(app, rules.name) == "open" end)
    assert.equal(0, assert(app:limits { name = client.common.limits[1].name })[1].running)
    assert_whole(app)
  end)

  it("gives a place of a concurrency limit to the next one when it is free, to steps too", function()
    local app = harness.open "memory"
    local name = limit { concurrency = 2 }
    local client = steps.client { limits = name }
    local running, most = 0, 0
    local function enter()
      running = running + 1
      most = math.max(most, running)
      core.sleep(0.002)
      running = running - 1
      return { status = 200 }
    end
    answer = enter
    local list = {}
    local calling = harness.one_step(function() return client:get("/").status end)
    local limited = harness.one_step(function() enter() end, { limits = name })
    for i = 1, 20 do
      list[i] = { i % 2 == 0 and calling or limited }
    end
    assert(app:submit_many(list))
    assert(app:work { until_idle = true })
    assert.equal(20, assert(app:count { status = "complete" }))
    assert.equal(2, most)
    assert_whole(app)
  end)

  describe("over processes of a store", function()
    local app, store

    before_each(function() app, store = harness.open "lmdb" end)

    local function start(what)
      local child = harness.start { harness.process.program(), "spec/support/client_limits.lua", store, what }
      harness.eventually(function() return child:stdout():find "in\n" or not child:running() and error(child:stderr(), 0) end)
      return child
    end

    it("lets one probe try over all of them; one whose process dies is taken over", function()
      local client = steps.client { breaker = steps.breaker }
      answer = { status = 500 }
      client:get "/"
      client:get "/"
      assert.equal("blocked", select(2, client:get "/").code)
      core.sleep(0.2)
      local child = start "probe"
      harness.refused("blocked", "lets one request try", client:get "/")
      child:kill "KILL"
      answer = { status = 200 }
      assert.equal(200, harness.eventually(function() return client:get "/" end).status)
      assert.equal("closed", state_of(app, "shared"))
      assert_whole(app)
    end)

    it("gives back the place of one that was killed", function()
      local client = steps.client { limits = "shared_places", timeout = 0.05 }
      local child = start "hold"
      harness.refused("blocked", { "shared_places", "all 1 places" }, client:get "/")
      child:kill "KILL"
      assert.equal(200, harness.eventually(function() return client:get "/" end).status)
      assert_whole(app)
    end)

    it("sends no more than the limit allows, whoever sends", function()
      local children = {}
      for i = 1, 2 do
        children[i] = harness.start { harness.process.program(), "spec/support/client_limits.lua", store, "go" }
      end
      local times = {}
      for _, child in ipairs(children) do
        harness.eventually(function() return not child:running() end, 20)
        assert.equal(0, child:status(), child:stderr())
        for line in child:stdout():gmatch "[^\n]+" do
          times[#times + 1] = tonumber(line)
        end
      end
      table.sort(times)
      assert.equal(40, #times)
      assert.is_true(times[40] - times[1] > 39 * 0.05 - 0.02, "40 requests at 20 a second took " .. times[40] - times[1])
      assert_whole(app)
    end)
  end)
end)
