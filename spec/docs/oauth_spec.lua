-- What docs/OAUTH.md shows runs, with answers in the place of a server.
local process = require "spec.support.process"
local tasker = require "tasker"
local testing = require "tasker.testing"

local blocks = {}
for block in process.read_file("docs/OAUTH.md"):gmatch "```lua\n(.-)```" do
  blocks[#blocks + 1] = block
end

describe("docs/OAUTH.md", function()
  local app, printed

  before_each(function()
    app, printed = assert(testing.open()), {}
    testing.http {
      ["GET https://login.example.com/.well-known/oauth-authorization-server"] = { json = { issuer = "https://login.example.com",
        token_endpoint = "https://login.example.com/token", authorization_endpoint = "https://login.example.com/authorize",
        device_authorization_endpoint = "https://login.example.com/device" } },
      ["POST https://login.example.com/token"] = { json = { access_token = "a-token", token_type = "Bearer" } },
      ["POST https://login.example.com/device"] = { json = { device_code = "d", user_code = "AB", interval = 1,
        verification_uri = "https://login.example.com/d" } },
      ["GET https://api.example.com/invoices"] = function(request)
        return { json = { request.headers.authorization or request.headers.Authorization } }
      end,
    }
  end)
  after_each(function() app:close() end)

  local function run(block, more)
    local env = setmetatable(more or {}, { __index = _G })
    env.tasker = setmetatable({ secret = function() return "a-secret" end }, { __index = tasker })
    env.print = function(text) printed[#printed + 1] = text end
    assert(load(block, "docs/OAUTH.md", "t", env))()
  end

  local function login(grant)
    return tasker.oauth { grant = grant, issuer = "https://login.example.com", client_id = "me" }
  end

  it("has a handler whose requests carry the token", function()
    run(blocks[1])
    assert.same({ "Bearer a-token" }, app:run("invoices").results.fetch)
  end)

  it("has a login by code", function()
    local auth = login "authorization_code"
    local begin, finish = blocks[2]:match "^(.-)\n(assert.*)$"
    run(begin:gsub("local url", "url"):gsub("url, state", "url, state", 1), { auth = auth })
    local _, state = auth:authorize_url()
    run(finish, { auth = auth, code = "c", state = state, iss = "https://login.example.com" })
    assert.equal("a-token", (auth:token()))
  end)

  it("has a login on another device", function()
    local auth = login "device_code"
    local sleep = require("tasker.core").sleep
    require("tasker.core").sleep = function() end
    local ok, why = pcall(run, blocks[3], { auth = auth })
    require("tasker.core").sleep = sleep
    assert(ok, why)
    assert.same({ "Open https://login.example.com/d and enter AB" }, printed)
    assert.equal("a-token", (auth:token()))
  end)
end)
