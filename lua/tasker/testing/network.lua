--- Answers in the place of the network, for tests.
-- @module tasker.testing.network

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local http = require "tasker.http"

local network = {}

local Network = {}
Network.__index = Network

local ANSWER_FIELDS = { status = { "number", check.not_integer(100, 599) }, headers = { "table" }, body = { "string" },
  json = { "table|string|number|boolean|userdata" }, error = { "string|table" } }

-- A Lua pattern of an address in which `*` stands for anything.
local function pattern_of(address)
  return "^" .. address:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
end

local function check_answer(answer, what)
  check.type(answer, "table|function", what, 4)
  if type(answer) == "function" then
    return
  elseif #answer > 0 then
    for i, one in ipairs(answer) do
      check_answer(one, ("%s[%d]"):format(what, i))
    end
    return
  end
  local ok, err = check.options(answer, ANSWER_FIELDS, what .. ": field", 4)
  if not ok then
    error(err.message, 4)
  end
end

local function new_rule(key, answer)
  check.type(key, "string", "testing.http: the key", 3)
  local method, address = key:match "^(%S+)%s+(%S+)$"
  if not method then
    error(("testing.http: the key %s must be a method and an address, as in \"GET https://example.com/x\""):format(check.show(key)), 3)
  end
  check_answer(answer, ("testing.http: the answer to '%s'"):format(key))
  return { key = key, method = method, pattern = pattern_of(address), literal = not address:find("*", 1, true), length = #address,
    whole = address:find("?", 1, true) ~= nil, answer = answer, calls = 0 }
end

-- Literal addresses before patterns, longer ones before shorter ones.
local function before(a, b)
  if a.literal ~= b.literal then
    return a.literal
  elseif a.length ~= b.length then
    return a.length > b.length
  end
  return a.key < b.key
end

local function find(self, method, address)
  local bare = address:match "^[^?#]*"
  for _, rule in ipairs(self.rules) do
    if (rule.method == method or rule.method == "*") and (rule.whole and address or bare):match(rule.pattern) then
      return rule
    end
  end
  return nil
end

-- The answer to the n-th request; the last of a list stays.
local function take(rule, request)
  rule.calls = rule.calls + 1
  local answer = rule.answer
  if type(answer) == "table" and #answer > 0 then
    answer = answer[math.min(rule.calls, #answer)]
  end
  if type(answer) == "function" then
    return answer(request)
  elseif answer.error then
    return nil, type(answer.error) == "table" and answer.error
      or http.failure(answer.error, ("%s %s: made to fail by a test"):format(request.method, request.url))
  end
  return answer
end

local function answer_of(self, request)
  local kind = request.headers["content-type"]
  if request.body and kind and kind:find("json", 1, true) then
    request.json = core.json.decode(request.body)
  end
  self.requests[#self.requests + 1] = request
  local rule = find(self, request.method, request.url)
  if not rule then
    return nil, errors.permanent(("no answer to %s %s: testing.http names those that there are"):format(request.method, request.url),
      { code = "blocked" })
  end
  return take(rule, request)
end

--- @treturn table no answers, no requests
function network.new()
  return setmetatable({ rules = {}, requests = {} }, Network)
end

--- Adds answers; from now on nothing goes to the network.
-- @tab answers by "METHOD address"
function Network:add(answers)
  check.type(answers, "table", "testing.http: the answers", 3)
  for key, answer in pairs(answers) do
    local rule = new_rule(key, answer)
    for i = #self.rules, 1, -1 do
      if self.rules[i].key == key then
        table.remove(self.rules, i)
      end
    end
    self.rules[#self.rules + 1] = rule
  end
  table.sort(self.rules, before)
  http.set_double(function(request) return answer_of(self, request) end)
  network.current = self
end

--- The network is back, unless another one took its place.
function Network:clear()
  self.rules = {}
  if network.current == self then
    network.current = nil
    http.set_double(nil)
  end
end

return network
