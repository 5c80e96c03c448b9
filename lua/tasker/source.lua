--- The source of a handler file with the local modules it requires, as one text that the store keeps.
--
-- Its form: for each part a line `file SIZE NAME` or `module SIZE NAME`, the bytes, a line end. The file comes first.
-- @module tasker.source

local core = require "tasker.core"
local check = require "tasker.check"

local source = {}

--- A file's text.
-- @string path
-- @treturn string|nil
-- @treturn string|nil why not
function source.read(path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, why
  end
  local text
  text, why = file:read("a")
  file:close()
  if not text then
    return nil, ("%s: %s"):format(path, why or "cannot be read")
  end
  return text
end

--- Compiles Lua text; the first line may be `#!…`.
-- @string text
-- @string name what messages call it
-- @tab env its globals
-- @treturn function|nil
-- @treturn string|nil why not
function source.compile(text, name, env)
  -- The line end stays, so that line numbers do.
  local code = text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  return load(code, name, "t", env)
end

-- Modules of the system and of LuaRocks are installed where the handler runs; they are not the handler's own.
local function is_installed(path)
  return path:match("^/usr/") or path:match("/share/lua/%d") or path:match("/%.luarocks/")
end

--- Where a module that belongs to a handler file lies.
-- @string name
-- @string directory of the handler file, searched after package.path
-- @treturn string|nil
function source.find_module(name, directory)
  if name == "tasker" or name:match("^tasker%.") or package.preload[name] then
    return nil
  end
  local beside = ("%s/?.lua;%s/?/init.lua"):format(directory, directory)
  local path = package.searchpath(name, package.path) or package.searchpath(name, beside)
  return path and not is_installed(path) and path or nil
end

--- Puts the parts together.
-- @string name of the file, without its folder
-- @string text
-- @tab modules texts by module name
-- @treturn table `{text, hash}`
function source.bundle(name, text, modules)
  local names, parts = {}, { ("file %d %s\n"):format(#text, name), text, "\n" }
  for module_name in pairs(modules) do
    names[#names + 1] = module_name
  end
  table.sort(names)
  for _, module_name in ipairs(names) do
    local module_text = modules[module_name]
    parts[#parts + 1] = ("module %d %s\n"):format(#module_text, module_name)
    parts[#parts + 1] = module_text
    parts[#parts + 1] = "\n"
  end
  local whole = table.concat(parts)
  return { text = whole, hash = core.sha256(whole) }
end

--- Takes the parts apart.
-- @string whole
-- @treturn table|nil `{name, text, modules}`
-- @treturn string|nil why not
function source.parse(whole)
  local parsed, at = { modules = {} }, 1
  while at <= #whole do
    local kind, size, name, start = whole:match("^(%a+) (%d+) ([^\n]*)\n()", at)
    size = tonumber(size)
    if not kind or start + size > #whole then
      return nil, ("damaged at byte %d, near %s"):format(at, check.show(whole:sub(at, at + 40)))
    end
    local text = whole:sub(start, start + size - 1)
    if kind == "file" then
      parsed.name, parsed.text = name, text
    else
      parsed.modules[name] = text
    end
    at = start + size + 1
  end
  if not parsed.text then
    return nil, "it holds no file"
  end
  return parsed
end

return source
