--- Handler files named on the command line: loading them, and keeping what they print off stdout.
-- @module tasker.cli.support.files

local files = {}

local function redirect(target)
  local saved_print, saved_stdout = print, io.stdout
  local function replace(new_print, new_stdout)
    rawset(_G, "print", new_print)
    rawset(io, "stdout", new_stdout)
    io.output(new_stdout)
  end
  replace(function(...)
    local texts = table.pack(...)
    for i = 1, texts.n do
      texts[i] = tostring(texts[i])
    end
    target:write(table.concat(texts, "\t"), "\n")
  end, target)
  return function()
    replace(saved_print, saved_stdout)
  end
end

--- Sends what this state prints to stderr from now on; returns a function that ends it. What a command raises meanwhile
-- ends the program, so nobody has to end it then.
-- @treturn function
function files.divert()
  return redirect(io.stderr)
end

--- Loads handler files in this state.
-- @tab ctx the command's context
-- @tparam {string,...} paths
-- @treturn {table,...}|nil the handlers that they define
-- @treturn int|nil the exit code when they cannot be loaded; why was said
function files.load(ctx, paths)
  local handlers, err = require("tasker.loader").load_files(paths)
  if not handlers then
    return nil, ctx.fail(ctx.name, err)
  end
  return handlers
end

--- As `load`, without a word and without what the files subscribe to: for a worker, whose threads load them again.
function files.survey(ctx, paths)
  local null = assert(io.open("/dev/null", "w"))
  local restore = { redirect(null), require("tasker.subscriptions").isolate(), require("tasker.vetoes").isolate() }
  local handlers, code = files.load(ctx, paths)
  for _, put_back in ipairs(restore) do
    put_back()
  end
  null:close()
  return handlers, code
end

--- The names of handlers, sorted: `shop/order@1.0.0`.
-- @tparam {table,...} handlers
-- @treturn {string,...}
function files.names(handlers)
  local names = {}
  for i, handler in ipairs(handlers) do
    names[i] = tostring(handler)
  end
  table.sort(names)
  return names
end

return files
