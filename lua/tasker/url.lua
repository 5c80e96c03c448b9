--- URLs: what HTTP needs of RFC 3986.
-- @module tasker.url

local url = {}

local function escape(byte)
  return ("%%%02X"):format(byte:byte())
end

--- Percent-encodes all but the unreserved characters.
-- @string text
-- @treturn string
function url.encode(text)
  return (text:gsub("[^A-Za-z0-9_.~-]", escape))
end

local function encode_pair(name, value)
  return url.encode(name) .. "=" .. url.encode(value)
end

local function text_of(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "boolean" or math.type(value) == "integer" then
    return tostring(value)
  elseif kind == "number" and value == value and value ~= math.huge and value ~= -math.huge then
    return value == math.floor(value) and math.abs(value) < 2 ^ 53 and ("%d"):format(value) or ("%.17g"):format(value)
  end
  return nil
end

--- `a=1&b=2` of a table; a list gives its name several times, in names' order.
-- @tab fields
-- @treturn string|nil
-- @treturn string which field cannot be sent
function url.form(fields)
  local names, pairs_of = {}, {}
  for name in pairs(fields) do
    if type(name) ~= "string" then
      return nil, ("%s, which is no name"):format(tostring(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    if type(value) == "table" and next(value) ~= nil and #value == 0 then
      return nil, ("'%s', which is neither a text nor a list"):format(name)
    end
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      local text = text_of(one)
      if not text then
        return nil, ("'%s', which is a %s"):format(name, type(one))
      end
      pairs_of[#pairs_of + 1] = encode_pair(name, text)
    end
  end
  return table.concat(pairs_of, "&")
end

--- Appends a query to a URL, before its fragment.
-- @string address
-- @string query `a=1&b=2`
-- @treturn string
function url.with_query(address, query)
  if query == "" then
    return address
  end
  local whole, fragment = address:match("^([^#]*)(#?.*)$")
  local joint = not whole:find("?", 1, true) and "?" or whole:match("[?&]$") and "" or "&"
  return whole .. joint .. query .. fragment
end

-- Parts of the addresses that were asked for lately: clients ask for the same ones again and again.
local MOST_KNOWN = 256
local known, known_count = {}, 0

--- The parts of an absolute http or https URL.
-- @string address
-- @treturn table|nil not to be changed: `{scheme, userinfo, host, port, path, query}`; scheme and host in lower case, port a number (its
-- scheme's own when there is none), userinfo and query nil where there is none
-- @treturn string why it is none
function url.parse(address)
  local parts = known[address]
  if parts then
    return parts
  end
  if address:find("[%c%s\127]") then
    return nil, "it has a space or a control character"
  end
  local scheme, authority, path, query = address:match("^([%a][%w+.-]*)://([^/?#]*)([^?#]*)%??([^#]*)")
  scheme = scheme and scheme:lower()
  if scheme ~= "http" and scheme ~= "https" then
    return nil, "it must begin with http:// or https://"
  end
  local userinfo, place = authority:match("^(.*)@([^@]*)$")
  place = place or authority
  local host, port = place:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = place:match("^([^:]*):?(%d*)$")
  end
  if not host or host == "" then
    return nil, "it names no host"
  end
  local number = port ~= "" and tonumber(port) or (scheme == "https" and 443 or 80)
  if number < 1 or number > 65535 then
    return nil, ("%s is no port"):format(port)
  end
  parts = { scheme = scheme, userinfo = userinfo, host = host:lower(), port = number, path = path,
    query = address:match("^[^#]*%?") and query or nil }
  if userinfo or parts.query then   -- it may be secret
    return parts
  elseif known_count == MOST_KNOWN then
    known, known_count = {}, 0
  end
  known[address], known_count = parts, known_count + 1
  return parts
end

-- RFC 3986 section 5.2.4; the path begins with a slash.
local function without_dots(path)
  local out, ends_in_dots = {}, false
  for segment in path:gmatch("/([^/]*)") do
    ends_in_dots = segment == "." or segment == ".."
    if segment == ".." then
      out[#out] = nil
    elseif segment ~= "." then
      out[#out + 1] = segment
    end
  end
  return "/" .. table.concat(out, "/") .. (ends_in_dots and #out > 0 and "/" or "")
end

--- What a reference found at a URL means (RFC 3986 section 5.2).
-- @string base absolute
-- @string reference
-- @treturn string absolute
function url.resolve(base, reference)
  if reference:match("^%a[%w+.-]*:") then
    return reference
  end
  local root, path = base:match("^(%a[%w+.-]*://[^/?#]*)([^?#]*)")
  if reference:sub(1, 2) == "//" then
    return base:match("^(%a[%w+.-]*:)") .. reference
  elseif reference:sub(1, 1) == "/" then
    local target, rest = reference:match("^([^?#]*)(.*)$")
    return root .. without_dots(target) .. rest
  elseif reference:sub(1, 1) == "?" then
    return root .. path .. reference
  elseif reference == "" or reference:sub(1, 1) == "#" then
    return base:match("^[^#]*") .. reference
  end
  local target, rest = reference:match("^([^?#]*)(.*)$")
  return root .. without_dots((path:match("^(.*/)") or "/") .. target) .. rest
end

return url
