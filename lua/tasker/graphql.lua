--- GraphQL clients over HTTP (the GraphQL specification, October 2021; GraphQL over HTTP).
-- @module tasker.graphql

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local http = require "tasker.http"
local http_errors = require "tasker.http_errors"

local graphql = {}

local json = core.json

local Client = { __name = "tasker.graphql" }
Client.__index = Client

function Client:__tostring()
  return "tasker.graphql (" .. self.url .. ")"
end

local FIELDS = {
  url = { "string" }, headers = { "table" }, auth = { "table" }, timeout = { "number|boolean" },
  connect_timeout = { "number|boolean" }, max_body = { "number|boolean" }, allow_private = { "boolean" },
  tls = { "table" }, persisted = { "boolean" }, limits = { "string|table" }, breaker = { "table" },
}

--- Makes a client.
-- @tab options `url`; `headers`, `auth`, `timeout`, `connect_timeout`, `max_body`, `allow_private`, `tls`, `limits`, `breaker` as
-- tasker.http; `persisted`: send
-- the hashes of documents, and the documents only to a server that does not know them
-- @return the client: `query mutate paginate`
function graphql.new(options)
  check.type(options, "table", "tasker.graphql: the options", 2)
  check.options(options, FIELDS, "tasker.graphql: option", 2)
  local ok, why = require("tasker.url").parse(options.url or "")
  if not ok then
    error(("tasker.graphql: option 'url' is %s: %s"):format(check.show(options.url), why), 2)
  end
  local self = { request = {} }
  for name, value in pairs(options) do
    self.request[name] = value
  end
  self.request.limits, self.request.breaker = http.read_admission(options, "tasker.graphql", 2)
  self.url, self.persisted, self.request.persisted = options.url, options.persisted, nil
  return setmetatable(self, Client)
end

-- Codes of errors that the same document gets again.
local PERMANENT = { GRAPHQL_PARSE_FAILED = true, GRAPHQL_VALIDATION_FAILED = true, BAD_USER_INPUT = true, BAD_REQUEST = true,
  UNAUTHENTICATED = true, FORBIDDEN = true, OPERATION_RESOLUTION_FAILURE = true }

local function code_of(err)
  return type(err) == "table" and type(err.extensions) == "table" and err.extensions.code or nil
end

-- The err of an answer with `errors`; `data` may be there in part.
local function failure(answer, response)
  local first = answer.errors[1]
  local message = type(first) == "table" and type(first.message) == "string" and first.message or "the server names no error"
  local more = #answer.errors > 1 and (" (and %d more)"):format(#answer.errors - 1) or ""
  local err = errors.new("graphql", message .. more)
  err.errors, err.status = answer.errors, response.status
  err.data = answer.data ~= json.null and answer.data or nil
  err.retryable = not (response.status // 100 == 4 and response.status ~= 429)
  for _, one in ipairs(answer.errors) do
    err.retryable = err.retryable and not PERMANENT[code_of(one)]
  end
  err.retry_after = err.retryable and http_errors.wait_of(response.headers) or nil
  return err
end

local function read_answer(response)
  local answer = json.decode(response.body)
  local is_answer = type(answer) == "table" and (type(answer.errors) == "table" or answer.data ~= nil)
  if not is_answer then
    if response.status // 100 ~= 2 then
      return nil, http_errors.of("POST " .. response.url, response)
    end
    return nil, http.failure("protocol", "the answer of " .. response.url .. " is no GraphQL response")
  elseif type(answer.errors) == "table" and #answer.errors > 0 then
    return nil, failure(answer, response)
  end
  return answer.data ~= json.null and answer.data or nil
end

local function post(self, body, key)
  local request = {}
  for name, value in pairs(self.request) do
    request[name] = value
  end
  request.headers = { Accept = "application/graphql-response+json, application/json" }
  for name, value in pairs(self.request.headers or {}) do
    request.headers[name] = value
  end
  request.method, request.json, request.idempotency_key = "POST", body, key
  local response, err = http.request(request)
  if not response then
    return nil, err
  end
  return read_answer(response)
end

local function is_unknown(err)
  for _, one in ipairs(err and err.errors or {}) do
    if code_of(one) == "PERSISTED_QUERY_NOT_FOUND" or one.message == "PersistedQueryNotFound" then
      return true
    end
  end
  return false
end

local QUERY_OPTIONS = { persisted = { "boolean" }, operation = { "string" }, idempotency_key = { "string|boolean" } }

local function ask(self, document, variables, options, changes)
  check.type(document, "string", "tasker.graphql: the document", 3)
  check.type(variables, "table|nil", "tasker.graphql: the variables", 3)
  options = options or {}
  check.options(options, QUERY_OPTIONS, "tasker.graphql: option", 3)
  local body = { query = document, variables = variables, operationName = options.operation }
  local key = options.idempotency_key
  -- Reading twice does no harm, and takes no number from those that do.
  key = http.idempotency_key(core.run(), changes and "POST" or "GET", key) or false
  local persisted = options.persisted
  if persisted == nil then
    persisted = self.persisted
  end
  if not persisted then
    return post(self, body, key)
  end
  body.extensions = { persistedQuery = { version = 1, sha256Hash = core.sha256(document) } }
  body.query = nil
  local data, err = post(self, body, key)
  if data == nil and is_unknown(err) then
    body.query = document
    return post(self, body, key)
  end
  return data, err
end

--- Asks.
-- @string document
-- @tab[opt] variables
-- @tab[opt] options `operation` (its name, where the document has several), `persisted`
-- @return data, or nil
-- @return err of code `graphql` with `errors` and what there is of `data`; or one of tasker.rest
function Client:query(document, variables, options)
  return ask(self, document, variables, options, false)
end

--- Changes something: as query, with the step's idempotency key.
function Client:mutate(document, variables, options)
  return ask(self, document, variables, options, true)
end

local function connection_at(data, path)
  local value = data
  for name in path:gmatch("[^.]+") do
    value = type(value) == "table" and value[name] or nil
  end
  if type(value) ~= "table" or type(value.pageInfo) ~= "table" then
    error(errors.new("protocol", ("tasker.graphql: the answer has no connection with pageInfo at %s"):format(path)), 0)
  end
  return value
end

local function nodes_of(connection)
  if type(connection.nodes) == "table" then
    return connection.nodes
  end
  local nodes = {}
  for i, edge in ipairs(type(connection.edges) == "table" and connection.edges or {}) do
    nodes[i] = edge.node
  end
  return nodes
end

--- Iterates over the nodes of a Relay connection, all pages: `for node, cursor in client:paginate(document, {}, "repository.issues") do`.
-- The document takes `$after` and asks for `pageInfo { hasNextPage endCursor }`. Raises what goes wrong.
-- @string document
-- @tab[opt] variables `after` begins there
-- @string path of the connection in the data
-- @treturn function of the nodes; each comes with the cursor before its page, from which it would come again
function Client:paginate(document, variables, path)
  check.type(path, "string", "tasker.graphql: the path of the connection", 2)
  local all = {}
  for name, value in pairs(variables or {}) do
    all[name] = value
  end
  local nodes, at, more = {}, 0, true
  local place
  local following = all.after
  return function()
    while true do
      at = at + 1
      if nodes[at] ~= nil then
        return nodes[at], place
      elseif not more then
        return nil
      end
      place, all.after = following, following
      local data, err = ask(self, document, all, nil, false)
      if data == nil then
        error(err or errors.new("protocol", "tasker.graphql: the answer has no data"), 0)
      end
      local connection = connection_at(data, path)
      nodes, at = nodes_of(connection), 0
      following = connection.pageInfo.endCursor
      more = connection.pageInfo.hasNextPage == true and following ~= nil and following ~= json.null and following ~= place
    end
  end
end

return graphql
