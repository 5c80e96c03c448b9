-- busted's output for tools/run-tests: failures, and why tests were skipped, on stdout; the counts
-- ("passed failed skipped") in the file that $TASKER_TEST_COUNTS names.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function describe(failure)
    local message = failure.message
    if type(message) == "table" and not (getmetatable(message) or {}).__tostring then
      message = require("pl.pretty").write(message)
    end
    local trace = failure.trace or {}
    local where = ("%s:%s"):format(trace.short_src or "?", trace.currentline or "?")
    local text = ("%s: %s\n%s"):format(where, failure.name, tostring(message or "no message"))
    if failure.isError and trace.traceback then
      text = text .. "\n" .. trace.traceback
    end
    return text
  end

  function handler.suiteEnd()
    for _, list in ipairs { handler.failures, handler.errors } do
      for _, failure in ipairs(list) do
        io.stdout:write(describe(failure), "\n\n")
      end
    end
    for _, pending in ipairs(handler.pendings) do
      io.stdout:write(("skipped: %s: %s\n"):format(pending.name, tostring(pending.message or "no reason given")))
    end
    local failed = handler.failuresCount + handler.errorsCount
    local counts = ("%d %d %d\n"):format(handler.successesCount, failed, handler.pendingsCount)
    local path = os.getenv "TASKER_TEST_COUNTS"
    local file = assert(path and io.open(path, "w") or io.stdout)
    file:write(counts)
    file:flush()
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  handler.options = options
  return handler
end
