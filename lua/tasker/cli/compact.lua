--- `tasker-lua compact`: gives the space of deleted records back to the file system.
local child = require "tasker.cli.support.child"
local format = require "tasker.cli.support.format"

local function compact_here(opts, ctx)
  local sizes, err = require("tasker.core").compact(ctx.store_url)
  if not sizes then
    return ctx.fail(ctx.name, err)
  end
  if opts.json then
    ctx.out(('{"before":%d,"after":%d}\n'):format(sizes.before, sizes.after))
  else
    ctx.out(("%s before, %s now\n"):format(format.bytes(sizes.before), format.bytes(sizes.after)))
  end
  return 0
end

local function run(opts, ctx)
  ctx.require_store()
  if opts.in_process or not ctx.err_is_tty or ctx.store_url == "memory:" then
    return compact_here(opts, ctx)
  end
  local app = ctx.open { options = { read_only = true } }
  local stats = require("tasker.core").json.decode(app.engine:stats())
  app:close()
  return child.run_growing(ctx, child.command(ctx, opts, {}), "compacting", ctx.store_path() .. "/data.new", stats.store.used_bytes)
end

return {
  summary = "rewrite the store's file small",
  group = "store",
  description = [[
Nobody else may have the store open: stop its workers first.]],
  arguments = {},
  options = { { name = "json", help = "{\"before\":…,\"after\":…} in bytes on stdout" }, child.option },
  examples = { { "tasker-lua compact --store ./tasker-data", "while no worker runs" } },
  run = run,
}
