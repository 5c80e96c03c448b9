--- What looks like a secret in the sources of handlers, which the store keeps as they are.
-- @module tasker.secret_scan

local secret_scan = {}

-- Pattern, what it is. A line is told of once.
local SIGNS = {
  { "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-", "a private key" },
  { "%f[%w]AKIA[%u%d]+%f[^%u%d]", "an AWS access key", 20 },
  { "%f[%w]gh[pousr]_%w+", "a GitHub token", 36 },
  { "%f[%w]github_pat_[%w_]+", "a GitHub token", 40 },
  { "%f[%w]xox[abprs]%-[%w-]+", "a Slack token", 20 },
  { "%f[%w][sr]k_live_%w+", "a Stripe key", 20 },
  { "%f[%w]whsec_[%w+/=]+", "a webhook secret", 20 },
  { "%f[%w]eyJ[%w_-]+%.eyJ[%w_-]+%.[%w_-]+", "a JSON Web Token" },
}

-- A field of such a name with a text that is no placeholder.
local NAMES = { "password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "access_key" }
local SHORTEST = 8

local function looks_random(text)
  return #text >= SHORTEST and not text:find("%s") and text:find("%d") ~= nil and text:find("%a") ~= nil and not text:find("[{}<>$]")
end

local function sign_of(line)
  for _, sign in ipairs(SIGNS) do
    local found = line:match(sign[1])
    if found and #found >= (sign[3] or 1) then
      return sign[2]
    end
  end
  for name, text in line:gmatch("([%w_]+)%s*=%s*[\"']([^\"']+)[\"']") do
    name = name:lower()
    for _, word in ipairs(NAMES) do
      if name:sub(-#word) == word and looks_random(text) then
        return ("the value of '%s'"):format(name)
      end
    end
  end
  return nil
end

--- Looks through a kept source.
-- @string text as tasker.source puts it together
-- @treturn {table,...} `{line, what}`: the line of the kept text (its first one is that of the file's name)
function secret_scan.scan(text)
  local found, number = {}, 0
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local what = sign_of(line)
    if what then
      found[#found + 1] = { line = number, what = what }
    end
  end
  return found
end

--- Looks through all sources that a store keeps.
-- @param engine
-- @func say called with a sentence for each
function secret_scan.scan_store(engine, say)
  local seen = {}
  for _, one in ipairs(engine:definitions() or {}) do
    local text = one.source and not seen[one.source] and engine:source(one.source)
    seen[one.source or ""] = true
    for _, found in ipairs(text and secret_scan.scan(text) or {}) do
      say(("the source of %s/%s@%s looks as if it held a secret, %s (about line %d): the store keeps sources as they are; " ..
        "tasker.secret(name) keeps it sealed"):format(one.namespace, one.name, one.version, found.what, found.line - 1))
    end
  end
end

return secret_scan
