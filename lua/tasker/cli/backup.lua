--- `tasker-lua backup DIR`: a consistent copy of the store while others work on it.
local child = require "tasker.cli.support.child"
local format = require "tasker.cli.support.format"

local function copy_here(opts, ctx, app)
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
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  if opts.in_process or not ctx.err_is_tty then
    return copy_here(opts, ctx, app)
  end
  local stats = require("tasker.core").json.decode(app.engine:stats())
  app:close()
  return child.run_growing(ctx, child.command(ctx, opts, { opts.directory }), "copying", opts.directory .. "/data.new",
    stats.store.used_bytes)
end

return {
  summary = "copy the store while it is in use",
  group = "store",
  description = [[
DIR must be missing or empty. The copy is the store as it was at one moment, and opens as a store.]],
  arguments = { { name = "directory", display = "DIR", type = "directory", help = "where the copy goes" } },
  options = { { name = "json", help = "{\"path\":…,\"bytes\":…} on stdout" }, child.option },
  examples = {
    { "tasker-lua backup /backups/monday", "a copy of ./tasker-data" },
    { "tasker-lua check --store /backups/monday", "is it sound?" },
  },
  run = run,
}
