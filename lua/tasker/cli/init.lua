--- The command line: finds the command, parses its arguments, runs it, and turns whatever happens into an exit code.
--
-- A command's `run(opts, ctx)` gets, in `ctx`:
--
-- * `ctx.open{create=, announce=, default=, options=}` -> app: opens the store (`--store`, else `$TASKER_STORE`, else
--   `default`, else `./tasker-data`) with `options` for `tasker.open`. Without `create` a store that is not there is
--   not made but refused. `announce` prints the store's absolute path on stderr when it was not given. Does not return
--   when the store cannot be opened; the app is closed when the command ends.
-- * `ctx.require_store()`: what `ctx.open` does about a store that is not there, without opening it
-- * `ctx.store_url`, `ctx.store_given` (by `--store` or `$TASKER_STORE`), `ctx.store_path()` (absolute; `memory:` as it is)
-- * `ctx.out(text)`, `ctx.err(text)`: write as is, no newline added. A reader of stdout that went away ends the command.
--   `ctx.flush()` after each piece of a stream that somebody waits for.
-- * `ctx.fail(what, why)`: prints `tasker-lua: what: why` on one line and returns 1 (`why` a text, an err, or nil)
-- * `ctx.usage(message)`: does not return; exit code 2, with a pointer to the command's help
-- * `ctx.is_tty` (stdout), `ctx.err_is_tty`, `ctx.color` (stdout, and the user wants it), `ctx.columns()` (width of stdout)
-- * `ctx.name` (the command's), `ctx.commands` (sorted names of all), `ctx.load(name)` -> a command's declaration, `ctx.version`
--
-- Exit codes: 0 done, 1 it failed, 2 usage, 130 interrupted, 141 stdout was closed; others belong to the commands.
-- @module tasker.cli

local args = require "tasker.cli.args"

local cli = {}

-- Thrown through a command's run to end it with this exit code; what there is to say was said.
local Quit = {}
Quit.__index = Quit

local function quit(code)
  error(setmetatable({ exit_code = code }, Quit), 0)
end

-- One line whatever comes in: what a user typed or a store holds must not drive the terminal.
local function one_line(text)
  return (tostring(text):gsub("%s*\n%s*", " "):gsub("%c", "?"))
end

local function complain(...)
  local parts = {}
  for _, part in ipairs { ... } do
    parts[#parts + 1] = one_line(part)
  end
  io.stderr:write("tasker-lua: ", table.concat(parts, ": "), "\n")
end

local function load_command(name)
  return require("tasker.cli." .. name)
end

-- Ends the command when stdout does not take what was written.
local function check_written(ok, why, number)
  if not ok then
    -- 32 is EPIPE: the reader has seen enough, which is no failure to speak of.
    if number ~= 32 then
      complain("cannot write to stdout", why)
    end
    quit(number == 32 and 141 or 1)
  end
end

local function write_out(text)
  check_written(io.stdout:write(text))
end

local function flush_out()
  check_written(io.stdout:flush())
end

-- The folder of an LMDB store, or nil for a store of another kind.
local function folder_of(url)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if not scheme then
    return url
  end
  return scheme == "lmdb" and rest or nil
end

local function exists(folder)
  local file = io.open(folder .. "/data.mdb", "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

-- Ends the command when the store is one of files and not there.
local function require_store(ctx, folder)
  if folder and not exists(folder) then
    complain(ctx.name, ("there is no store at %s (--store or $TASKER_STORE name another)"):format(ctx.absolute(folder)))
    quit(1)
  end
end

local function open_store(ctx, request, apps)
  local url = ctx.store_given and ctx.store_url or request.default or ctx.store_url
  local folder = folder_of(url)
  if folder == "" then
    ctx.usage("the store's path is empty")
  end
  if not request.create then
    require_store(ctx, folder)
  end
  local app, err = require("tasker").open(url, request.options)
  if not app then
    complain(ctx.name, ("cannot open the store %s"):format(folder and ctx.absolute(folder) or url), err)
    quit(1)
  end
  if request.announce and not ctx.store_given and folder then
    io.stderr:write("tasker-lua: store ", ctx.absolute(folder), "\n")
  end
  apps[#apps + 1] = app
  return app
end

local function make_context(name, opts, program, apps)
  local environment = os.getenv "TASKER_STORE"
  if environment == "" then
    environment = nil
  end
  local ctx = {
    name = name,
    commands = program.commands,
    load = load_command,
    version = program.version,
    store_url = opts.store or environment or "./tasker-data",
    store_given = (opts.store or environment) ~= nil,
    is_tty = program.is_tty(1),
    err_is_tty = program.is_tty(2),
    columns = program.columns,
    absolute = program.absolute,
    out = write_out,
    flush = flush_out,
  }
  ctx.color = ctx.is_tty and (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
  function ctx.err(text)
    io.stderr:write(text)
  end
  function ctx.fail(what, why)
    complain(what, why)
    return 1
  end
  function ctx.usage(message)
    complain(name, ("%s (see 'tasker-lua help %s')"):format(message, name))
    quit(2)
  end
  function ctx.store_path()
    local folder = folder_of(ctx.store_url)
    return folder and program.absolute(folder) or ctx.store_url
  end
  function ctx.require_store()
    require_store(ctx, folder_of(ctx.store_url))
  end
  function ctx.open(request)
    return open_store(ctx, request or {}, apps)
  end
  return ctx
end

-- What a command raised becomes one line; where it was raised is for those who look for it.
local function on_error(err)
  if getmetatable(err) == Quit then
    return err
  end
  local traceback = debug.traceback(nil, 2)
  return { raised = err, traceback = traceback }
end

local function report(name, failure)
  if getmetatable(failure) == Quit then
    return failure.exit_code
  end
  local err = failure.raised
  local debugging = os.getenv "TASKER_LOG" == "debug"
  if type(err) == "table" and err.message ~= nil then
    complain(name, err.message)
  elseif debugging then
    complain(name, err)
  else
    complain(name, ("%s (TASKER_LOG=debug shows where)"):format(tostring(err)))
  end
  if debugging then
    io.stderr:write(failure.traceback, "\n")
  end
  return 1
end

local function execute(name, command, opts, program)
  local apps = {}
  local ctx = make_context(name, opts, program, apps)
  local ok, result = xpcall(function()
    local code = command.run(opts, ctx)
    flush_out()
    return code
  end, on_error)
  for _, app in ipairs(apps) do
    -- A command may have closed it; that it is closed is all that matters here.
    pcall(app.close, app)
  end
  if not ok then
    return report(name, result)
  end
  return result or 0
end

-- Takes `--store URL` from before the command's name and puts it behind.
local function split_store(words)
  local rest, store = {}, {}
  local i = 1
  while words[i] == "--store" or (words[i] or ""):sub(1, 8) == "--store=" do
    store[#store + 1] = words[i]
    if words[i] == "--store" then
      store[#store + 1] = words[i + 1]
      i = i + 1
    end
    i = i + 1
  end
  local name = words[i]
  table.move(store, 1, #store, 1, rest)
  table.move(words, i + 1, #words, #rest + 1, rest)
  return name, rest
end

local function is_command(name, program)
  for _, command in ipairs(program.commands) do
    if command == name then
      return true
    end
  end
  return false
end

--- Runs one command.
-- @tparam {string,...} words the command line after the program's name
-- @tab program what the program knows: `commands` (names), `is_tty(fd)`, `columns()`, `absolute(path)`
-- @treturn int the exit code
function cli.main(words, program)
  local name, rest = split_store(words)
  if name == nil then
    complain("--store needs a value and a command after it (see 'tasker-lua help')")
    return 2
  end
  if not is_command(name, program) then
    complain(("no such command or file '%s'%s"):format(one_line(name), args.hint(name, program.commands)))
    return 2
  end
  local ok, command = xpcall(load_command, on_error, name)
  if not ok then
    return report(name, command)
  end
  local opts, why = args.parse(command, rest)
  if not opts then
    complain(name, ("%s; usage: %s"):format(why, args.usage(name, command)))
    return 2
  end
  if opts.help then
    return execute("help", load_command "help", { command = name }, program)
  end
  return execute(name, command, opts, program)
end

return cli
