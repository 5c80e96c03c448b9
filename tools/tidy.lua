-- The rules of the house that a program can check. Usage: tasker-lua tools/tidy.lua; prints every breach, exit code 1.
local LAYERS = { "base", "model", "store", "queue", "engine", "net", "worker", "bind", "cli" }
local MAX_LINES = 700
local GENERATED = { ["docs/CLI.md"] = true }
local MAX_COLUMNS = 140

-- Headers that only some files may include: pattern of the header, patterns of the files.
local RESTRICTED = {
  { "lua%.h", { "^core/worker/", "^core/bind/", "^core/cli/", "^core/main%.c$", "^spec/", "^bench/", "^tools/" } },
  { "lauxlib%.h", { "^core/worker/", "^core/bind/", "^core/cli/", "^core/main%.c$", "^spec/", "^bench/", "^tools/" } },
  { "lualib%.h", { "^core/worker/", "^core/bind/", "^core/cli/", "^core/main%.c$", "^spec/", "^bench/", "^tools/" } },
  { "lmdb%.h", { "^core/store/kv_lmdb%.c$", "^bench/", "^spec/" } },
  { "curl/curl%.h", { "^core/net/curl%.h$", "^bench/" } },
  { "uv%.h", { "^core/net/", "^spec/" } },
}

-- Assembled, so that this file does not find itself.
local UNFINISHED = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X" }

local breaches = 0

local function complain(path, line, what)
  breaches = breaches + 1
  io.stdout:write(("%s:%d: %s\n"):format(path, line, what))
end

local rank = {}
for position, layer in ipairs(LAYERS) do
  rank[layer] = position
end

local function matches_any(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:match(pattern) then
      return true
    end
  end
  return false
end

local function check_include(path, number, header)
  for _, rule in ipairs(RESTRICTED) do
    if header:match("^" .. rule[1] .. "$") and not matches_any(path, rule[2]) then
      complain(path, number, ("%s must not include <%s>"):format(path, header))
    end
  end
  local from, to = path:match("^core/(%w+)/"), header:match("^(%w+)/")
  if from and to and rank[from] and rank[to] and rank[to] > rank[from] then
    complain(path, number, ("an include points upward: %s is below %s"):format(from, to))
  end
end

local function check_line(path, number, line, kind)
  if line:match("[ \t]$") then
    complain(path, number, "trailing space")
  end
  if line:find("\t", 1, true) and (kind == "c" or kind == "lua") then
    complain(path, number, "a tab")
  end
  if line:find("\r", 1, true) then
    complain(path, number, "a carriage return")
  end
  if kind ~= "text" and (utf8.len(line) or #line) > MAX_COLUMNS then
    complain(path, number, ("a line of more than %d columns"):format(MAX_COLUMNS))
  end
  for _, word in ipairs(UNFINISHED) do
    if line:find("%f[%w]" .. word .. "%f[%W]") then
      complain(path, number, word)
    end
  end
  if kind == "c" then
    local header = line:match('^%s*#%s*include%s*[<"]([^>"]+)[>"]')
    if header then
      check_include(path, number, header)
    end
  end
end

-- A function's body is what stands between a `{` that ends an unindented line and an unindented `}`.
local function check_function_length(path, lines)
  local start
  for number, line in ipairs(lines) do
    if line:match("^[%a_].*%)%s*{$") then
      start = number
    elseif start and line:match("^}") then
      if number - start - 1 > 70 then
        complain(path, start, ("a function of %d lines (at most 70)"):format(number - start - 1))
      end
      start = nil
    end
  end
end

local function check_file(path)
  local file = io.open(path, "rb")
  if not file then
    return
  end
  local text = file:read("a")
  file:close()
  local kind = path:match("%.([ch])$") and "c" or path:match("%.lua$") and "lua" or "text"
  local lines = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
    check_line(path, #lines, line, kind)
  end
  if text ~= "" and text:sub(-1) ~= "\n" then
    complain(path, #lines, "no newline at the end of the file")
  end
  if #lines > MAX_LINES and not GENERATED[path] then
    complain(path, #lines, ("%d lines (at most %d): split it"):format(#lines, MAX_LINES))
  end
  if kind == "c" then
    check_function_length(path, lines)
  end
end

local roots = "core lua handlers examples spec bench tools Makefile README.md CHANGELOG.md docs"
-- What is data, generated or others' is not ours to tidy.
local OTHERS = [[-e /data/ -e /node_modules/ -e '/package-lock.json$' -e '\.bin$']]
local list = assert(io.popen("find " .. roots .. " -type f 2>/dev/null | grep -v " .. OTHERS .. " | sort"))
for path in list:lines() do
  if path:match("%.[chS]$") or path:match("%.lua$") or path:match("%.md$") or path:match("%.sh$") then
    check_file(path)
  end
end
list:close()
os.exit(breaches == 0)
