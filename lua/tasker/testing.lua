--- Tests of workflows: `local testing = require "tasker.testing"`.
-- @module tasker.testing

local core = require "tasker.core"
local assertions = require "tasker.testing.assertions"
local check = require "tasker.check"
local simulate = require "tasker.testing.simulate"
local test_app = require "tasker.testing.app"
local time = require "tasker.time"
local verify = require "tasker.testing.verify"

local testing = {}

-- Where the clock stands unless a test says otherwise: the same everywhere and always.
local DEFAULT_CLOCK = "2026-01-01T00:00:00Z"

-- The app opened last, which the module's functions are about.
local current

local OPEN_OPTIONS = {
  clock = { "string|number", time.not_time },
  seed = { "number", check.not_integer(math.mininteger, math.maxinteger) },
}

--- Opens an empty store in memory, with a clock that only drain and advance move. What stood in for steps before ends.
-- @tab[opt] options `clock` (RFC 3339 or seconds since the epoch), `seed` (an integer)
-- @return the app, or nil
-- @return err `invalid`
function testing.open(options)
  check.type(options, "table|nil", "testing.open: options", 2)
  options = options or {}
  local ok, err = check.options(options, OPEN_OPTIONS, "testing.open: option", 2)
  if not ok then
    return nil, err
  end
  local opened
  opened, err = test_app.open { clock = time.seconds(options.clock or DEFAULT_CLOCK), seed = math.tointeger(options.seed) or 1 }
  if not opened then
    return nil, err
  end
  if current and current.engine then
    current:retire()
  end
  current = opened
  return opened
end

local function the_app(what)
  if not current or not current.engine then
    error(("testing.%s: no app is open: testing.open opens one"):format(what), 3)
  end
  return current
end

--- As app:stub, of the app opened last.
function testing.stub(handler, step, value)
  the_app("stub").doubles:stub(handler, step, value, 2)
end

--- As app:fail, of the app opened last.
function testing.fail(handler, step, options)
  return the_app("fail").doubles:fail(handler, step, options, 2)
end

--- As app:calls, of the app opened last.
function testing.calls(handler, step)
  return the_app("calls").doubles:list(handler, step, 2)
end

--- As app:http, of the app opened last.
function testing.http(answers)
  the_app("http"):http(answers)
end

--- As app:requests, of the app opened last.
function testing.requests()
  return the_app("requests"):requests()
end

-- Calls what opens apps of its own: afterwards the one opened last is again what it was.
local function aside(fn, ...)
  local outer, engine = current, core.current_engine()
  local ok, result, err = pcall(fn, ...)
  current = outer
  if engine then
    core.testing.remember(engine)
  end
  if not ok then
    error(result, 0)
  end
  return result, err
end

--- Teaches luassert, and so busted's `assert`, about tasks: `task_complete(task)`, `task_failed(task, code)`, `task_status(task, status)`,
-- `step_status(task, step, status)`, `step_waits(task, step, reason)`, `step_results(task, step, value)`,
-- `step_called(app, handler, step, times)`, and their opposites (`assert.is_not.task_complete(task)`).
-- @function testing.register
-- @tab[opt] luassert what `require "luassert"` returns unless given
testing.register = assertions.register

--- Runs a test over and over: shuffled, and with processes that die; see tasker.testing.simulate.
-- @func fn `function(app, random)`
-- @tab[opt] options `seeds`, `seed`, `clock`
-- @return true, or nil
-- @return err `invalid`; a seed that fails raises
function testing.simulate(fn, options)
  return aside(simulate.run, fn, options, function(app) current = app end)
end

--- Walks what may come of a workflow and reports what can strand it and what can never succeed; see tasker.testing.verify.
-- @param handler or its name
-- @tab[opt] options `limit` (2000): how many combinations at most
-- @return true, or nil
-- @return err with `problems`: a list of `{kind, step, path, message}`
function testing.verify(handler, options)
  return aside(verify.run, handler, options)
end

return testing
