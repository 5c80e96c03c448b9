--- `tasker-lua compact`: gives the space of deleted records back to the file system.
return {
  summary = "rewrite the store's file small",
  group = "store",
  description = [[
Nobody else may have the store open: stop its workers first.]],
  arguments = {},
  options = { { name = "json", help = "{\"before\":…,\"after\":…} in bytes on stdout" } },
  examples = { { "tasker-lua compact --store ./tasker-data", "while no worker runs" } },
  run = function(opts, ctx)
    local core = require "tasker.core"
    local format = require "tasker.cli.support.format"
    ctx.require_store()
    local sizes, err = core.compact(ctx.store_url)
    if not sizes then
      return ctx.fail(ctx.name, err)
    end
    if opts.json then
      ctx.out(('{"before":%d,"after":%d}\n'):format(sizes.before, sizes.after))
    else
      ctx.out(("%s before, %s now\n"):format(format.bytes(sizes.before), format.bytes(sizes.after)))
    end
    return 0
  end,
}
