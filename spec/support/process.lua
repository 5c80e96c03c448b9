--- Other programs in tests: run one to its end, or start one and kill it. Only what a POSIX shell has is needed.
local process = {}

local build = os.getenv "TASKER_BUILD" or "build"

--- Whether Lua that only computes can be ended here: ThreadSanitizer holds signals back until the program calls something it knows.
process.ends_loops = not build:find("tsan", 1, true)

--- Path of the program under test, absolute.
-- @treturn string
function process.program()
  if build:sub(1, 1) == "/" then
    return build .. "/tasker-lua"
  end
  local pipe = assert(io.popen "pwd")
  local here = pipe:read "l"
  pipe:close()
  return here .. "/" .. build .. "/tasker-lua"
end

--- A word that the shell reads back as it is.
-- @tparam string word
-- @treturn string
function process.quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function command_line(argv)
  local words = {}
  for i, word in ipairs(argv) do
    words[i] = process.quote(word)
  end
  return table.concat(words, " ")
end

-- What `env` takes for a table of variables.
local function variables(env)
  local words = {}
  for name, value in pairs(env or {}) do
    words[#words + 1] = process.quote(name .. "=" .. value)
  end
  return table.concat(words, " ")
end

--- The bytes of a file.
-- @tparam string path
-- @treturn ?string nil when it cannot be opened
function process.read_file(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Writes a file whole.
-- @tparam string path
-- @tparam string bytes
-- @treturn string the path
function process.write_file(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return path
end

--- A new empty directory.
-- @treturn string its path
function process.temp_dir()
  local pipe = assert(io.popen "mktemp -d")
  local path = assert(pipe:read "l")
  pipe:close()
  return path
end

--- Removes a directory made by temp_dir.
-- @tparam string path
function process.remove_dir(path)
  assert(path:find "^/tmp/" or path:find "/tmp%.", "not a temporary directory: " .. path)
  os.execute("rm -rf " .. process.quote(path))
end

local Child = {}
Child.__index = Child

--- Starts a program in the background.
-- @tparam table argv program and arguments; `env` a table of variables, `cwd`, `stdin` (text) as named fields
-- @treturn table child with pid; methods running, status, stdout, stderr, kill, close
function process.start(argv)
  local dir = process.temp_dir()
  process.write_file(dir .. "/in", argv.stdin or "")
  local inner = ("echo $$ >%s/pid.new; mv %s/pid.new %s/pid; cd %s; exec env %s %s"):format(dir, dir, dir,
    process.quote(argv.cwd or "."), variables(argv.env), command_line(argv))
  local outer = ("{ sh -c %s <%s/in >%s/out 2>%s/err; echo $? >%s/rc.new; mv %s/rc.new %s/rc; } >/dev/null 2>&1 &"):format(
    process.quote(inner), dir, dir, dir, dir, dir, dir)
  assert(os.execute(outer))
  local child = setmetatable({ dir = dir }, Child)
  while not child.pid do
    child.pid = tonumber(process.read_file(dir .. "/pid") or "")
  end
  return child
end

--- Exit status once it has ended (128 + signal when one ended it), nil while it runs.
function Child:status()
  return tonumber(process.read_file(self.dir .. "/rc") or "")
end

function Child:running()
  return self:status() == nil
end

function Child:stdout()
  return process.read_file(self.dir .. "/out") or ""
end

function Child:stderr()
  return process.read_file(self.dir .. "/err") or ""
end

--- Sends a signal ("TERM" unless named) to this process alone.
function Child:kill(signal)
  os.execute(("kill -%s %d 2>/dev/null"):format(signal or "TERM", self.pid))
end

--- Kills what still runs and removes its files.
function Child:close()
  if self:running() then
    self:kill "KILL"
    os.execute(("tail --pid=%d -f /dev/null"):format(self.pid))
  end
  process.remove_dir(self.dir)
end

--- Runs a program to its end. One shell and no directory of its own: tests do this often.
-- @tparam table argv as for start; `timeout` in seconds (60)
-- @treturn table status (128 + signal when one ended it, 124 after the timeout), stdout, stderr
function process.run(argv)
  local input = process.write_file(os.tmpname(), argv.stdin or "")
  local output, errors = os.tmpname(), os.tmpname()
  local command = ("{ cd %s && exec env %s timeout %s %s; } <%s >%s 2>%s"):format(process.quote(argv.cwd or "."),
    variables(argv.env), argv.timeout or 60, command_line(argv), input, output, errors)
  local _, kind, code = os.execute(command)
  local result = {
    status = kind == "signal" and 128 + code or code, stdout = process.read_file(output), stderr = process.read_file(errors),
  }
  os.remove(input)
  os.remove(output)
  os.remove(errors)
  return result
end

return process
