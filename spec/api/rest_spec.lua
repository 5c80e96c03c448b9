local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

describe("tasker.rest", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local base, app, client
  local serial = 0

  setup(function()
    base = ("http://127.0.0.1:%d"):format(peer.start("rest").http)
  end)
  teardown(harness.clean)
  before_each(function()
    app = tasker.open "memory:"
    client = tasker.rest { base_url = base .. "/", headers = { ["X-Common"] = "1", ["X-Own"] = "client" } }
  end)
  after_each(function() app:close() end)

  -- A key under which the peer counts, of this test alone.
  local function new_key()
    serial = serial + 1
    return tasker.json.encode(serial) .. os.tmpname()
  end

  it("expands templates of paths, and says which variable is missing", function()
    local got = client:get("/echo/{id}/{+rest}", { params = { id = "a b/c", rest = "x/y z" }, query = { q = 1 } }):json()
    assert.same({ "/echo/a%20b%2Fc/x/y%20z", "?q=1" }, { got.path, got.query })
    assert.equal("/echo/7", client:get("echo/{id}", { params = { id = 7.0 } }):json().path)
    local response, err = client:get("/echo/{id}")
    assert.is_nil(response)
    assert.same({ "invalid", false }, { err.code, err.retryable })
    assert.matches("params.id", err.message, 1, true)
  end)

  it("sends what all requests of the client have, and what one has instead", function()
    local got = client:post("/echo", { json = { 1 }, headers = { ["x-own"] = "request" } }):json()
    assert.same({ "1", "request", "[1]" }, { got.headers["x-common"], got.headers["x-own"], got.body })
  end)

  it("takes answers of 2xx only, and tells the others apart", function()
    assert.equal(204, assert(client:get "/status/204").status)
    for status, retryable in pairs { [400] = false, [401] = false, [404] = false, [409] = false, [422] = false, [408] = true,
      [425] = true, [500] = true, [502] = true, [504] = true } do
      local response, err = tasker.rest { base_url = base, retry = false }:get("/status/" .. status)
      assert.is_nil(response)
      assert.same({ "http_" .. status, status, retryable }, { err.code, err.status, err.retryable })
      assert.equal(('{"status":"/status/%d"}'):format(status), err.body)
    end
    assert.matches("^GET /status/404: 404 Not Found$", select(2, client:get "/status/404").message)
  end)

  it("reads Retry-After in seconds and as a date", function()
    local once = tasker.rest { base_url = base, retry = false }
    assert.equal(1, select(2, once:get("/busy", { query = { key = new_key() } })).retry_after)
    local after = select(2, once:get("/busy", { query = { key = new_key(), form = "date", status = 503 } })).retry_after
    assert.is_true(after > 0 and after <= 2, tostring(after))
  end)

  it("reads the headers of rate limits", function()
    local http_errors = require "tasker.http_errors"
    local soon = tostring(math.floor(tasker.now() + 60))
    for _, case in ipairs {
      { { ["ratelimit"] = "limit=10, remaining=0, reset=7" }, 7 }, { { ["ratelimit"] = '"default";r=0;t=9' }, 9 },
      { { ["ratelimit-remaining"] = "0", ["ratelimit-reset"] = "5" }, 5 },
      { { ["x-ratelimit-remaining"] = "3", ["x-ratelimit-reset"] = "5" } },
      { { ["retry-after"] = "Fri, 31 Dec 1999 23:59:59 GMT" }, 0 }, { { ["retry-after"] = "soon" } }, { {} },
    } do
      assert.equal(case[2], http_errors.wait_of(case[1]))
    end
    local wait = http_errors.wait_of { ["x-ratelimit-remaining"] = "0", ["x-ratelimit-reset"] = soon }
    assert.is_true(wait > 50 and wait <= 60)
  end)

  it("tries again by itself in a plain script, as long as the answer asks for", function()
    local started = tasker.now()
    assert.equal(3, client:get("/busy", { query = { key = new_key() } }):json().count)
    assert.is_true(tasker.now() - started >= 2)
  end)

  it("does not repeat what may have been done, unless it has a key", function()
    local flaky = tasker.rest { base_url = base, retry = { limit = 3, base = 0.01, jitter = "none" } }
    local before = client:get("/stats"):json().requests
    assert.is_nil((flaky:post "/status/500"))
    assert.equal(before + 2, client:get("/stats"):json().requests)
    assert.is_nil((flaky:post("/status/500", { idempotency_key = "k" })))
    assert.equal(before + 6, client:get("/stats"):json().requests)
  end)

  it("leaves retries to the step's policy in a step: its answer's time is the step's", function()
    local key = new_key()
    local outcome = harness.outcome(app, function()
      return client:get("/busy", { query = { key = key } })
    end, { retry = { limit = 5, backoff = "fixed", base = 30 } })
    assert.same({ "complete", 3 }, { outcome.status, outcome.attempts })
    outcome = harness.outcome(app, function() return client:get "/status/404" end, { retry = harness.quick_retry() })
    assert.same({ "error", "http_404", 1 }, { outcome.status, outcome.error.code, outcome.attempts })
    assert.equal(404, outcome.error.details.status)
  end)

  it("carries credentials: basic, bearer, keys", function()
    local function seen(auth, path)
      local got = tasker.rest { base_url = base, auth = auth }:get(path or "/echo"):json()
      return got.headers.authorization, got.headers["x-api-key"], got.query
    end
    assert.equal("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", (seen(tasker.auth.basic("Aladdin", "open sesame"))))
    assert.equal("Bearer t", (seen(tasker.auth.bearer "t")))
    assert.equal("k", select(2, seen(tasker.auth.api_key "k")))
    assert.equal("?key=k%20k", select(3, seen(tasker.auth.api_key("k k", { query = "key" }))))
    assert.has_error(function() tasker.auth.bearer(5) end, "tasker.auth.bearer: the token must be a string or a secret, not 5")
  end)

  describe("pages", function()
    local function ids(options)
      local got = {}
      for item, cursor in client:paginate("/pages", options) do
        got[#got + 1] = item.id
        got.cursor = cursor
      end
      return got
    end

    it("by link, cursor and number", function()
      assert.same({ 1, 2, 3, 4, 5, 6, 7, cursor = base .. "/pages?page=3" }, ids { by = "link", items = "data.items" })
      assert.same({ 1, 2, 3, 4, 5, 6, 7, cursor = "3" }, ids { by = "cursor", items = "data.items", cursor = "meta.next" })
      assert.same({ 1, 2, 3, 4, 5, 6, 7, cursor = 3 }, ids { by = "page", items = "data.items" })
    end)

    it("from a cursor on", function()
      assert.same({ 4, 5, 6, 7, cursor = "3" }, ids { by = "cursor", items = "data.items", cursor = "meta.next", from = "2" })
      assert.same({ 7, cursor = base .. "/pages?page=3" }, ids { by = "link", items = "data.items", from = base .. "/pages?page=3" })
    end)

    it("raise what goes wrong", function()
      assert.has_error(function() ids { by = "side" } end)
      local ok, err = pcall(ids, { by = "link", items = "nowhere" })
      assert.same({ false, "protocol" }, { ok, err.code })
      ok, err = pcall(function() for _ in client:paginate "/status/404" do error "an item" end end)
      assert.same({ false, "http_404" }, { ok, err.code })
    end)
  end)

  it("refuses what it does not know", function()
    assert.has_error(function() tasker.rest { base_url = "nothing" } end)
    assert.has_error(function() tasker.rest { base_url = base, tiemout = 1 } end,
      "tasker.rest: option 'tiemout' is unknown; did you mean 'timeout'?")
    assert.has_error(function() client:get("/", { jsn = 1 }) end, "tasker.rest: option 'jsn' is unknown; did you mean 'json'?")
  end)
end)
