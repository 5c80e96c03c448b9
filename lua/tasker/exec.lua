--- Other programs: what io.popen and os.execute do, without holding up the other steps.
-- @module tasker.exec

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"

local DEFAULT_MAX_OUTPUT = 16 * 1024 * 1024

local OPTIONS = {
  stdin = { "string" }, timeout = { "number|boolean", function(value)
    return type(value) == "number" and check.not_duration(value) or nil
  end },
  max_output = { "number", check.not_integer(1, 1 << 40) }, env = { "table" }, cwd = { "string" },
}

-- The words of the command and its named options, apart.
local function take_apart(command, level)
  local argv, options = {}, {}
  for key, value in pairs(command) do
    if math.type(key) ~= "integer" then
      options[key] = value
    end
  end
  for i = 1, #command do
    local word = command[i]
    argv[i] = type(word) == "number" and tostring(word) or word
    if type(argv[i]) ~= "string" or argv[i]:find("\0", 1, true) then
      error(("tasker.exec: word %d must be a text, not %s"):format(i, check.show(word)), level + 1)
    end
  end
  if not argv[1] then
    error("tasker.exec: a list with the program and its arguments is expected", level + 1)
  end
  return argv, options
end

-- The environment with the given variables; false takes one out.
local function environment(given, level)
  local list = {}
  for _, pair in ipairs(core.exec.environment()) do
    if given[pair:match("^[^=]*")] == nil then
      list[#list + 1] = pair
    end
  end
  for name, value in pairs(given) do
    if type(name) ~= "string" or not name:match("^[^=%z]+$") or type(value) ~= "string" and value ~= false then
      error(("tasker.exec: env: %s must be a text or false, not %s"):format(check.show(name), check.show(value)), level + 1)
    elseif value then
      list[#list + 1] = name .. "=" .. value
    end
  end
  return list
end

--- Runs a program to its end. In a step the others go on meanwhile, and the step's end is the program's; in a plain script it blocks.
-- @tab command a list: the program, looked for in PATH unless it has a slash, and its arguments (no shell reads them); and by name
-- `stdin` (a text), `timeout` (seconds), `max_output` (bytes, 16 MiB), `env` (variables that differ; false: not there), `cwd`
-- @treturn table|nil `{status, stdout, stderr}`: status is its exit code, or 128 + the signal that ended it
-- @return err `not_found` (no such program), `timeout`, `too_large` (with `stdout` and `stderr` so far in details), `io`
return function(command)
  check.type(command, "table", "tasker.exec: the command", 2)
  local argv, options = take_apart(command, 2)
  local ok, err = check.options(options, OPTIONS, "tasker.exec: option", 2)
  if not ok then
    return nil, err
  end
  local run <close>, why = core.exec.start {
    argv = argv, env = environment(options.env or {}, 2), cwd = options.cwd, input = options.stdin or "",
    max_output = options.max_output or DEFAULT_MAX_OUTPUT, timeout = options.timeout or nil,
  }
  if not run then
    return nil, why
  end
  local status, stdout, stderr
  repeat
    status, stdout, stderr = core.exec.wait(run)
  until status
  if math.type(status) then
    return { status = status, stdout = stdout, stderr = stderr }
  end
  local what = status == "timeout" and ("took longer than %g s"):format(options.timeout)
    or ("wrote more than %d bytes"):format(options.max_output or DEFAULT_MAX_OUTPUT)
  return nil, errors.new(status, ("'%s' %s"):format(argv[1], what), { stdout = stdout, stderr = stderr })
end
