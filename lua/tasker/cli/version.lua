--- `tasker-lua version`.
return {
  summary = "print the version of tasker and of its Lua",
  group = "program",
  options = { { name = "json", help = "one JSON value on stdout" } },
  examples = { { "tasker-lua version" } },
  run = function(opts, ctx)
    if opts.json then
      ctx.out(('{"version":"%s","lua":"%s"}\n'):format(ctx.version, _VERSION))
    else
      ctx.out(("tasker %s (%s)\n"):format(ctx.version, _VERSION))
    end
    return 0
  end,
}
