--- `tasker-lua check`: verifies every record, index and counter of a store.
--
-- Damaged pages can crash the library that reads them. So a process of its own does the reading, and this one says what
-- became of it.
local child = require "tasker.cli.support.child"
local format = require "tasker.cli.support.format"
local progress = require "tasker.cli.support.progress"

-- SIGABRT, SIGBUS, SIGSEGV: what reading a damaged page can end with.
local CRASHES = { [6] = true, [7] = true, [11] = true }

-- Reads the store in this process.
local function check_here(opts, ctx)
  local json = require("tasker.core").json
  local app = ctx.open { options = { read_only = true } }
  local line = progress.new(ctx, "checking", "records")
  local records = 0
  local damages, err = app.engine:check(function(text)
    line:clear()
    ctx.out(opts.json and json.encode { damage = text } .. "\n" or text .. "\n")
  end, function(done, total)
    records = done
    line:update(done, total)
  end)
  line:clear()
  if not damages then
    return ctx.fail(ctx.name, err)
  end
  require("tasker.secret_scan").scan_store(app.engine, function(text)
    ctx.err(("tasker-lua: warning: %s\n"):format(text))
  end)
  if opts.json then
    ctx.out(('{"records":%d,"damages":%d}\n'):format(records, damages))
  elseif damages == 0 then
    ctx.out(("%s checked, no damage\n"):format(format.plural(records, "record")))
  end
  if damages > 0 then
    return ctx.fail(ctx.name, ("%s found in %s"):format(format.plural(damages, "damage"), format.plural(records, "record")))
  end
  return 0
end

local function run(opts, ctx)
  if opts.in_process or ctx.store_url == "memory:" then
    return check_here(opts, ctx)
  end
  ctx.require_store()
  io.stdout:flush()
  -- `exec`, so that its end, by a signal too, is what we are told.
  local _, how, number = os.execute("exec " .. child.command(ctx, opts, {}))
  if how == "exit" then
    return number
  elseif not CRASHES[number] then
    return 128 + number
  end
  local text = ("the store's pages are damaged: the process that read them died of signal %d"):format(number)
  ctx.out(opts.json and ('{"damage":"%s"}\n'):format(text) or text .. "\n")
  return ctx.fail(ctx.name, "the store is damaged; restore it from a backup")
end

return {
  summary = "verify every record, index and counter",
  group = "store",
  description = [[
Says each damage in a line; the exit code is 1 when there is any. Others may work on the store meanwhile.
Warns on stderr of kept sources of handlers that look as if they held a secret.]],
  arguments = {},
  options = {
    { name = "json", help = "{\"damage\":…} for each, at the end {\"records\":…,\"damages\":…}" },
    child.option,
  },
  examples = { { "tasker-lua check --store /backups/tasker-2026-01-31", "is the backup sound?" } },
  run = run,
}
