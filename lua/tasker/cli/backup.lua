--- `tasker-lua backup DIR`: a consistent copy of the store while others work on it.
return {
  summary = "copy the store while it is in use",
  group = "store",
  description = [[
DIR must be missing or empty. The copy is the store as it was at one moment, and opens as a store.]],
  arguments = { { name = "directory", display = "DIR", type = "directory", help = "where the copy goes" } },
  options = { { name = "json", help = "{\"path\":…,\"bytes\":…} on stdout" } },
  examples = { { "tasker-lua backup /backups/tasker-2026-01-31 && tasker-lua check --store /backups/tasker-2026-01-31", "and verify it" } },
  run = function(opts, ctx)
    local format = require "tasker.cli.support.format"
    local app = ctx.open { options = { read_only = true } }
    local done, err = app.engine:backup(opts.directory)
    if not done then
      return ctx.fail(ctx.name, err)
    end
    local path = ctx.absolute(opts.directory)
    local file = io.open(path .. "/data.mdb", "rb")
    local bytes = file and file:seek "end" or 0
    if file then
      file:close()
    end
    if opts.json then
      ctx.out(require("tasker.core").json.encode { path = path, bytes = bytes } .. "\n")
    else
      ctx.out(("%s  %s\n"):format(path, format.bytes(bytes)))
    end
    return 0
  end,
}
