-- What cannot be is refused in one sentence that names it, without a traceback: returned with its code, or raised
-- where it is the caller's mistake.
local assert = require "luassert"
local harness = require "spec.support.harness"
local tasker = require "tasker"

local http = tasker.http
local HERE = "http://127.0.0.1:1/"

local function returns(code, fragment, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code, err.message)
  harness.contains(fragment, err.message)
  assert.is_nil(err.message:find "stack traceback" or err.message:find "\n" or err.message:find "attempt to")
end

local function raises(fragment, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  harness.contains(fragment, tostring(err))
  assert.is_nil(tostring(err):find "attempt to" or tostring(err):find "\n")
end

describe("bad input of what talks to the world", function()
  local app

  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("is refused: addresses", function()
    for _, address in ipairs { "", "example.com", "ftp://x/", "http://", "http://a b/", "http://x:99999/", "http://x:0/", "http://[::1",
      "http://x:abc/", "http:///path" } do
      returns("invalid", "option 'url' is '" .. address .. "'", http.get(address))
    end
    raises("the url must be a string, not 7", http.get, 7)
    raises("option 'base_url' is nil", tasker.rest, {})
    raises("option 'url' is nil", tasker.graphql, {})
    returns("invalid", "wants params.id", tasker.rest({ base_url = HERE }):get "/{id}")
  end)

  it("is refused: options of a request", function()
    local function nothing() end
    for fragment, options in pairs {
      ["'timeout' must be"] = { timeout = -1 }, ["'a b' is no name of a header"] = { headers = { ["a b"] = "x" } },
      ["header 'a' must be a text"] = { headers = { a = nothing } }, ["query has 'a'"] = { query = { a = nothing } },
      ["$.f"] = { json = { f = nothing } }, ["part 1 must be a table"] = { multipart = { 1 } },
      ["the type of part 1 must be a text, not 7"] = { multipart = { { name = "a", value = "b", type = 7 } } },
      ["the filename of part 1"] = { multipart = { { name = "a", value = "b", filename = {} } } },
    } do
      returns("invalid", fragment, http.post(HERE, options))
    end
    raises("option 'auth' must be one of tasker.auth", http.get, HERE, { auth = {} })
    raises("option 'tiemout' is unknown; did you mean 'timeout'?", http.get, HERE, { tiemout = 1 })
  end)

  it("is refused: schemas that are none", function()
    for _, schema in ipairs { { type = "nothing" }, { type = 7 }, { pattern = "[" }, { ["$ref"] = "#/nowhere" }, { minimum = "x" },
      { items = 5 },
      { required = "a" }, { enum = 7 }, { properties = { 1 } }, "x" } do
      returns("invalid", type(schema) == "table" and " at #" or "a schema must be", tasker.schema.compile(schema))
    end
    returns("invalid", "the mode must be", tasker.schema.compatible({}, {}, "sideways"))
  end)

  it("is refused: secrets without a key, and of a wrong type", function()
    local child = harness.process.run { harness.process.program(), "-e", [[
      local app = require("tasker").open "memory:"
      print(select(2, app:set_secret("a", "b")).code)
    ]], env = { TASKER_KEY = "", TASKER_KEY_FILE = "", TASKER_KEY_COMMAND = "" } }
    assert.same({ 0, "refused\n" }, { child.status, child.stdout }, child.stderr)
    raises("the value must be a string, not 7", app.set_secret, app, "a", 7)
    returns("not_found", "no secret 'nope'", http.get(HERE, { auth = tasker.auth.bearer(tasker.secret "nope") }))
    raises("the token must be a string or a secret", tasker.auth.bearer, 7)
  end)

  it("is refused: signatures", function()
    returns("refused", "the header webhook-id is missing", tasker.webhook.verify({}, "x", "whsec_AAAA"))
    returns("refused", "no headers or no body", tasker.webhook.verify(nil, nil, nil))
    returns("invalid", "whsec_", tasker.webhook.sign("x", "!!!"))
  end)
end)
