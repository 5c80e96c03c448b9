--- URI references (RFC 3986) as schemas use them: resolved, split, decoded.
-- @module tasker.schema.uri

local uri = {}

-- scheme, authority, path, query, fragment; what is absent is nil, the path at least "".
local function split(text)
  local rest, fragment = text:match("^([^#]*)#(.*)$")
  rest = rest or text
  local before, query = rest:match("^([^?]*)%?(.*)$")
  before = before or rest
  local scheme, tail = before:match("^(%a[%w+.-]*):(.*)$")
  tail = tail or before
  local authority, path = tail:match("^//([^/]*)(.*)$")
  return scheme, authority, path or tail, query, fragment
end

local function remove_dots(path)
  local out = {}
  local absolute = path:sub(1, 1) == "/"
  local directory = false
  for segment in path:gmatch("[^/]+") do
    directory = segment == "." or segment == ".."
    if segment == ".." then
      out[#out] = nil
    elseif segment ~= "." then
      out[#out + 1] = segment
    end
  end
  local joined = table.concat(out, "/")
  if joined ~= "" and (directory or path:sub(-1) == "/") then
    joined = joined .. "/"
  end
  return (absolute and "/" or "") .. joined
end

local function merge(authority, base_path, path)
  if authority and base_path == "" then
    return "/" .. path
  end
  return (base_path:match("^(.*/)") or "") .. path
end

local function join(scheme, authority, path, query)
  return (scheme and scheme .. ":" or "") .. (authority and "//" .. authority or "") .. path .. (query and "?" .. query or "")
end

--- The absolute URI that a reference means where `base` is the base, without fragment.
-- @string base absolute, or "" for none
-- @string reference
-- @treturn string the URI, "" for the base "" itself
-- @treturn ?string the fragment, as written
function uri.resolve(base, reference)
  local scheme, authority, path, query, fragment = split(reference)
  if scheme then
    return join(scheme, authority, path, query), fragment
  end
  local base_scheme, base_authority, base_path, base_query = split(base)
  if authority then
    return join(base_scheme, authority, remove_dots(path), query), fragment
  elseif path == "" then
    return join(base_scheme, base_authority, base_path, query or base_query), fragment
  elseif path:sub(1, 1) ~= "/" then
    path = merge(base_authority, base_path, path)
  end
  return join(base_scheme, base_authority, remove_dots(path), query), fragment
end

--- Percent-decoding; nil when it is broken.
function uri.decode(text)
  if text:find("%%%X") or text:find("%%%x%X") or text:find("%%%x?$") then
    return nil
  end
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

return uri
