--- Answers that are no success, as errors: which may be retried, and when (RFC 9110 section 10.2.3, the RateLimit header fields).
-- @module tasker.http_errors

local core = require "tasker.core"
local errors = require "tasker.errors"

local http_errors = {}

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- Seconds since the epoch of an HTTP date (RFC 9110 section 5.6.7: the preferred form, and the two obsolete ones).
local function parse_date(text)
  local day, month, year, clock = text:match("^%a+, (%d%d?)[ -](%a%a%a)[ -](%d+) (%d%d:%d%d:%d%d)")
  if not day then
    month, day, clock, year = text:match("^%a%a%a (%a%a%a)%s+(%d%d?) (%d%d:%d%d:%d%d) (%d%d%d%d)$")
  end
  month = month and MONTHS[month]
  if not month then
    return nil
  end
  year = tonumber(year)
  if year < 100 then
    year = year + (year < 70 and 2000 or 1900)
  end
  return core.time_parse(("%04d-%02d-%02dT%sZ"):format(year, month, tonumber(day), clock))
end

local function retry_after(text)
  local seconds = tonumber(text:match("^%s*(%d+%.?%d*)%s*$"))
  if seconds then
    return seconds
  end
  local at = parse_date(text)
  return at and math.max(0, at - core.now())
end

-- A reset is a number of seconds, or, when it is far too great for that, a time.
local function reset_in(text)
  local value = text and tonumber(text:match("^%s*(%d+%.?%d*)"))
  if not value then
    return nil
  end
  return value > 100000000 and math.max(0, value - core.now()) or value
end

-- When nothing is left: the seconds until the limit is renewed.
local function limit_reset(headers)
  local field = headers["ratelimit"]
  if field then
    local left = tonumber(field:match("remaining%s*=%s*(%d+)") or field:match(";%s*r%s*=%s*(%d+)"))
    local reset = field:match("reset%s*=%s*(%d+)") or field:match(";%s*t%s*=%s*(%d+)")
    return left == 0 and reset_in(reset) or nil
  end
  for _, prefix in ipairs { "ratelimit-", "x-ratelimit-", "x-rate-limit-" } do
    local left = headers[prefix .. "remaining"]
    if left and tonumber(left) == 0 then
      return reset_in(headers[prefix .. "reset"])
    end
  end
  return nil
end

--- Seconds to wait that an answer names; nil: none.
-- @tab headers of a response
-- @treturn number|nil
function http_errors.wait_of(headers)
  local after = headers["retry-after"]
  local seconds = after and retry_after(after) or limit_reset(headers)
  return seconds and math.min(seconds, errors.LONGEST_SECONDS)
end

local RETRYABLE = { [408] = true, [425] = true, [429] = true }

local REASONS = { [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [406] = "Not Acceptable", [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
  [412] = "Precondition Failed", [413] = "Content Too Large", [415] = "Unsupported Media Type", [422] = "Unprocessable Content",
  [425] = "Too Early", [428] = "Precondition Required", [429] = "Too Many Requests", [500] = "Internal Server Error",
  [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout" }

local LONGEST_BODY = 16 * 1024

--- The err of an answer that is none: `http_404` with `status`, `body`, `retryable`, and `retry_after` where it names one.
-- @string what "GET /orders/7"
-- @tab response
-- @return the err
function http_errors.of(what, response)
  local status = response.status
  local wait = http_errors.wait_of(response.headers)
  -- A 403 with nothing left of a limit is a 429 by another name.
  local retryable = RETRYABLE[status] or status >= 500 or status == 403 and wait ~= nil and response.headers["retry-after"] == nil
  local reason = REASONS[status]
  local err = errors.new(("http_%d"):format(status), ("%s: %d%s"):format(what, status, reason and " " .. reason or ""))
  err.status, err.retryable = status, retryable
  err.body = #response.body > LONGEST_BODY and response.body:sub(1, LONGEST_BODY) .. " (cut)" or response.body
  err.retry_after = retryable and wait or nil
  return err
end

return http_errors
