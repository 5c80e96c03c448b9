local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

local http = tasker.http

describe("tasker.http", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local server, base, app

  setup(function()
    local dir = peer.certificates()
    server = peer.start("rest", dir)
    server.dir = dir
    base = ("http://127.0.0.1:%d"):format(server.http)
  end)
  teardown(harness.clean)
  before_each(function() app = tasker.open "memory:" end)
  after_each(function() app:close() end)

  local function echoed(response, err)
    assert(response, err)
    assert.equal(200, response.status)
    return assert(response:json())
  end

  local function fails(code, response, err)
    assert.is_nil(response)
    assert.equal(code, err.code, err.message)
    return err
  end

  it("gets, with query, headers, and the answer's parts", function()
    local response = assert(http.get(base .. "/echo?x=1", { query = { b = { "one", "two" }, a = "ä &" }, headers = { ["X-Own"] = "5" } }))
    local got = echoed(response)
    assert.same({ "GET", "/echo", "?x=1&a=%C3%A4%20%26&b=one&b=two", "5" }, { got.method, got.path, got.query, got.headers["x-own"] })
    assert.equal("application/json", response.headers["Content-Type"])
    assert.equal(response.headers["content-type"], response.headers["CONTENT-TYPE"])
    assert.is_true(response.time > 0 and response.url:find("/echo?x=1", 1, true) ~= nil)
    assert.matches("^tasker/", got.headers["user-agent"])
  end)

  it("reads secrets where their placeholders stand in headers, queries and forms, and sends nothing without them", function()
    local secret = { read = function() return "s3cret" end }
    local got = echoed(http.post(base .. "/echo", { headers = { ["X-Token"] = secret, ["X-Own"] = "5" }, query = { key = secret },
      form = { token = secret, a = 1 } }))
    assert.same({ "s3cret", "5", "?key=s3cret", "a=1&token=s3cret" },
      { got.headers["x-token"], got.headers["x-own"], got.query, got.body })
    local missing = { read = function() return nil, { code = "not_found", message = "no secret" } end }
    fails("not_found", http.get(base .. "/echo", { headers = { ["X-Token"] = missing } }))
    fails("invalid", http.get(base .. "/echo", { headers = { ["X-Token"] = { token = "x" } } }))
    fails("invalid", http.get(base .. "/echo", { query = { a = { b = 1 } } }))
  end)

  it("sends JSON, forms, bytes and multipart", function()
    local got = echoed(http.post(base .. "/echo", { json = { n = 1, list = tasker.array {} } }))
    assert.same({ '{"list":[],"n":1}', "application/json" }, { got.body, got.headers["content-type"] })
    got = echoed(http.put(base .. "/echo", { form = { a = "1 2", b = true } }))
    assert.same({ "PUT", "a=1%202&b=true", "application/x-www-form-urlencoded" }, { got.method, got.body, got.headers["content-type"] })
    got = echoed(http.patch(base .. "/echo", { body = "a\0b" }))
    assert.same({ "a\0b", "3", nil }, { got.body, got.headers["content-length"], got.headers["content-type"] })
    got = echoed(http.post(base .. "/echo", { multipart = { { name = "x", value = "1" },
      { name = "f", filename = 'a"b.txt', type = "text/plain", body = "text" } } }))
    assert.matches('name="x"\r\n\r\n1\r\n', got.body, 1, true)
    assert.matches('filename="a%22b.txt"\r\nContent-Type: text/plain\r\n\r\ntext\r\n', got.body, 1, true)
    assert.equal("DELETE", echoed(http.delete(base .. "/echo")).method)
    assert.same({ "POST", "", "0" }, { "POST", echoed(http.post(base .. "/echo")).body,
      echoed(http.post(base .. "/echo")).headers["content-length"] })
    assert.equal("", assert(http.head(base .. "/echo")).body)
  end)

  it("gives whatever status came", function()
    assert.equal(503, assert(http.get(base .. "/status/503")).status)
    assert.equal(404, assert(http.get(base .. "/nowhere")).status)
  end)

  it("unpacks what came packed, and joins headers that came twice", function()
    assert.equal(1000, #assert(assert(http.get(base .. "/gzip")):json()).packed)
    local response = assert(http.get(base .. "/headers"))
    assert.same({ "Yes", "a=1\nb=2" }, { response.headers["x-mixed-case"], response.headers["Set-Cookie"] })
  end)

  it("tells by code what went wrong, and whether trying again may help", function()
    assert.is_true(fails("timeout", http.get(base .. "/silent", { timeout = 0.2 })).retryable)
    assert.is_true(fails("connect", http.get "http://127.0.0.1:1/").retryable)
    assert.is_true(fails("dns", http.get "http://no-such-host.invalid/").retryable)
    fails("protocol", http.get(base .. "/cut"))
    fails("protocol", http.get(base .. "/reset"))
    fails("protocol", http.get(base .. "/badgzip"))
    assert.is_false(fails("too_large", http.get(base .. "/huge?bytes=100000", { max_body = 1000 })).retryable)
    fails("tls", http.get(("https://127.0.0.1:%d/echo"):format(server.http)))
  end)

  it("refuses what cannot be sent, naming it", function()
    for _, address in ipairs { "ftp://x/", "http://", "http://a b/", "nothing", "http://x:99999/", "file:///etc/passwd", "http://x/\n" } do
      fails("invalid", http.get(address))
    end
    fails("invalid", http.get(base, { headers = { ["X-A"] = "1\r\nX-B: 2" } }))
    fails("invalid", http.get(base, { headers = { ["a b"] = "1" } }))
    fails("invalid", http.get(base, { timeout = -1 }))
    fails("invalid", http.get(base, { query = { x = print } }))
    fails("invalid", http.post(base, { json = { print } }))
    fails("invalid", http.get(base, { sink = "/nowhere/at/all" }))
    assert.has_error(function() http.get(base, { tiemout = 1 }) end, "tasker.http: option 'tiemout' is unknown; did you mean 'timeout'?")
    assert.has_error(function() http.get(base, { body = "", json = {} }) end, "tasker.http: options 'json' and 'body' exclude each other")
    assert.has_error(function() http.get(base, { timeout = "1" }) end)
    assert.has_error(function() http.request {} end, "tasker.http: option 'url' is missing")
  end)

  it("follows redirects as RFC 9110 says, and no more than it may", function()
    local function to(target, status) return { query = { to = target, status = status } } end
    assert.equal("/echo", echoed(http.get(base .. "/redirect", to "/echo")).path)
    assert.equal("/echo", echoed(http.get(base .. "/redirect/deep/er", to "../../echo")).path)
    local function post(status)
      local options = to("/echo", status)
      options.json = { x = 1 }
      return echoed(http.post(base .. "/redirect", options))
    end
    assert.same({ "GET", "" }, { post(302).method, post(303).body })
    assert.same({ "POST", '{"x":1}' }, { post(307).method, post(308).body })
    fails("protocol", http.get(base .. "/loop"))
    fails("protocol", http.get(base .. "/loop", { follow = 3 }))
    assert.equal(302, assert(http.get(base .. "/loop", { follow = false })).status)
    fails("protocol", http.get(base .. "/redirect", to "ftp://x/"))
  end)

  it("keeps credentials from another host when redirected", function()
    local options = { headers = { Authorization = "Bearer x", Cookie = "a=1", ["X-Own"] = "1" } }
    options.query = { to = ("http://localhost:%d/echo"):format(server.http) }
    local got = echoed(http.get(base .. "/redirect", options))
    assert.same({ nil, nil, "1" }, { got.headers.authorization, got.headers.cookie, got.headers["x-own"] })
    options.query = { to = "/echo" }
    assert.equal("Bearer x", echoed(http.get(base .. "/redirect", options)).headers.authorization)
  end)

  it("streams into a function piece by piece, and into a file", function()
    local bytes, pieces = 0, 0
    local response = assert(http.get(base .. "/huge?bytes=5000000", { sink = function(piece)
      bytes, pieces = bytes + #piece, pieces + 1
    end }))
    assert.same({ 5000000, "", true }, { bytes, response.body, pieces > 3 })
    local path = harness.temp_dir() .. "/body"
    assert(http.get(base .. "/huge?bytes=100000", { sink = path }))
    assert.equal(100000, #harness.process.read_file(path))
    assert.has_error(function() http.get(base .. "/huge?bytes=5000000", { sink = function() error("enough", 0) end }) end, "enough")
  end)

  it("verifies TLS against the authority it is given, and speaks HTTP/2 where the server does", function()
    if not server.https then return pending "skipped: openssl is not installed" end
    local address = ("https://localhost:%d/echo"):format(server.https)
    fails("tls", http.get(address))
    local ca = harness.process.read_file(server.dir .. "/ca.pem")
    assert.equal("2.0", echoed(http.get(address, { tls = { ca = ca } })).version)
    assert.equal("2.0", echoed(http.get(address, { tls = { ca = server.dir .. "/ca.pem" } })).version)
    assert.equal("2.0", echoed(http.get(address, { tls = { verify = false } })).version)
    fails("tls", http.get(("https://127.0.0.1:%d/echo"):format(server.https), { tls = { ca = ca } }))
  end)

  it("reaches no private address when it may not, also not by a redirect, another spelling or a connection that is there", function()
    assert(http.get(base .. "/echo"))
    for _, host in ipairs { "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1" } do
      fails("blocked", http.get(("http://%s:%d/echo"):format(host, server.http), { allow_private = false, timeout = 2 }))
    end
    local before = assert(assert(http.get(base .. "/stats")):json()).requests
    assert.equal(before + 1, assert(assert(http.get(base .. "/stats")):json()).requests)
  end)

  describe("in a step", function()
    it("lets the other steps go on, and takes as long as the slowest", function()
      local steps = {}
      for i = 1, 100 do
        steps[i] = { name = "s" .. i, run = function() return assert(http.get(base .. "/slow?ms=500")).status end }
      end
      local started = tasker.now()
      local task = assert(app:run(harness.handler { steps = steps }))
      assert.equal("complete", task.status)
      assert.equal(200, task.results.s100)
      assert.is_true(tasker.now() - started < 10, "a hundred requests took longer than ten of them one after the other")
    end)

    it("gives the first request that changes something the step's key, the next ones key:2 …, the same in each attempt", function()
      local keys = {}
      local task = assert(app:run(harness.one_step(function(_, step)
        local got = {}
        for i, send in ipairs { http.post, http.get, http.patch } do
          got[i] = echoed(send(base .. "/echo")).headers["idempotency-key"] or "none"
        end
        got[4] = echoed(http.post(base .. "/echo", { idempotency_key = false })).headers["idempotency-key"] or "none"
        got[5] = echoed(http.post(base .. "/echo", { idempotency_key = "own" })).headers["idempotency-key"]
        keys[step.attempt] = got
        if step.attempt == 1 then error "again" end
      end, { retry = harness.quick_retry() })))
      local key = task.task_id .. ":only"
      assert.same({ key, "none", key .. ":2", "none", "own" }, keys[1])
      assert.same(keys[1], keys[2])
    end)

    it("names the task in traceparent", function()
      local task = assert(app:run(harness.one_step(function() return echoed(http.get(base .. "/echo")).headers.traceparent end)))
      assert.matches("^00%-" .. task.task_id:gsub("-", "") .. "%-%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%-01$", task.results.only)
    end)

    it("is ended by the step's timeout, and the connection is closed", function()
      local outcome = harness.outcome(app, function() http.get(base .. "/silent") end, { timeout = 0.3, retry = { limit = 1 } })
      assert.same({ "error", "timeout" }, { outcome.status, outcome.error.code })
    end)

    it("works inside the user's own coroutines, and says where it cannot", function()
      local outcome = harness.outcome(app, function()
        local next_status = coroutine.wrap(function() coroutine.yield(assert(http.get(base .. "/echo")).status) end)
        return next_status()
      end)
      assert.equal(200, outcome.results)
      outcome = harness.outcome(app, function()
        return (("x"):gsub("x", function() return http.get(base .. "/echo").status end))
      end, { retry = { limit = 1 } })
      assert.matches("inside a C callback", outcome.error.message)
    end)

    it("drives the retry when its failure is returned", function()
      local outcome = harness.outcome(app, function(_, step)
        if step.attempt == 2 then return "fine" end
        return http.get "http://127.0.0.1:1/"
      end, { retry = harness.quick_retry() })
      assert.same({ "fine", 2 }, { outcome.results, outcome.attempts })
      outcome = harness.outcome(app, function() return http.get "nothing" end, { retry = harness.quick_retry() })
      assert.same({ "error", "invalid", 1 }, { outcome.status, outcome.error.code, outcome.attempts })
    end)
  end)

  it("reuses connections", function()
    local before = assert(assert(http.get(base .. "/stats")):json()).sockets
    for _ = 1, 50 do
      assert(http.get(base .. "/echo"))
    end
    assert.equal(before, assert(assert(http.get(base .. "/stats")):json()).sockets)
  end)
end)
