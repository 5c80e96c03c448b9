--- Credentials that requests carry. An auth is a table with `authorize(self, request, headers)`, which adds them to a request about to be
-- sent, and perhaps `renew(self, request, headers)`, which gets others after a 401 than those that were sent, and says whether it did; or
-- nil, err.
-- @module tasker.auth

local base64 = require "tasker.base64"
local check = require "tasker.check"

local auth = {}

local Auth = { __name = "tasker.auth" }
Auth.__index = Auth

function Auth:__tostring()
  return "tasker.auth (" .. self.kind .. ")"
end

--- The text of a secret that may be a placeholder (tasker.secret): read at each use.
-- @param value a string, or a value with a method `read`
-- @treturn string|nil
-- @return err
function auth.reveal(value)
  if type(value) == "string" then
    return value
  end
  return value:read()
end

--- What is wrong with a value where a secret is wanted; nil: nothing.
-- @param value
-- @treturn string|nil
function auth.not_secret(value)
  if type(value) == "string" or type(value) == "table" and type(value.read) == "function" then
    return nil
  end
  return ("must be a string or a secret, not %s"):format(check.show(value))
end

local function check_secret(value, what)
  local wrong = auth.not_secret(value)
  if wrong then
    error(("%s %s"):format(what, wrong), 3)
  end
end

local function set(headers, name, value)
  headers[name:lower()] = { { name, value } }
end

local function new(kind, fields)
  fields.kind = kind
  return setmetatable(fields, Auth)
end

--- User and password (RFC 7617).
-- @string user
-- @param password a string or a secret
-- @return the auth
function auth.basic(user, password)
  check.type(user, "string", "tasker.auth.basic: the user", 2)
  check_secret(password, "tasker.auth.basic: the password")
  if user:find(":", 1, true) then
    error("tasker.auth.basic: a user's name has no colon", 2)
  end
  return new("basic", { authorize = function(_, _, headers)
    local text, err = auth.reveal(password)
    if not text then
      return nil, err
    end
    set(headers, "Authorization", "Basic " .. base64.encode(user .. ":" .. text))
    return true
  end })
end

--- A bearer token (RFC 6750).
-- @param token a string or a secret
-- @return the auth
function auth.bearer(token)
  check_secret(token, "tasker.auth.bearer: the token")
  return new("bearer", { authorize = function(_, _, headers)
    local text, err = auth.reveal(token)
    if not text then
      return nil, err
    end
    set(headers, "Authorization", "Bearer " .. text)
    return true
  end })
end

--- A key in a header of its own, or in the query.
-- @param key a string or a secret
-- @tab[opt] options `header` ("X-API-Key") or `query`, the name of a parameter
-- @return the auth
function auth.api_key(key, options)
  check_secret(key, "tasker.auth.api_key: the key")
  options = options or {}
  check.options(options, { header = { "string" }, query = { "string" } }, "tasker.auth.api_key: option", 2)
  local url = require "tasker.url"
  return new("api_key", { authorize = function(_, request, headers)
    local text, err = auth.reveal(key)
    if not text then
      return nil, err
    elseif options.query then
      request.url = url.with_query(request.url, url.encode(options.query) .. "=" .. url.encode(text))
    else
      set(headers, options.header or "X-API-Key", text)
    end
    return true
  end })
end

return auth
