rockspec_format = "3.0"
package = "tasker"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Durable tasks with steps, retries and a log, in Lua on LMDB",
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua ~> 5.4" }
external_dependencies = {
  LMDB = { header = "lmdb.h" },
  LIBUV = { header = "uv.h" },
  CURL = { header = "curl/curl.h" },
}
build = {
  type = "make",
  build_target = "all",
  install_variables = {
    BINDIR = "$(BINDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    MANDIR = "$(PREFIX)/share/man",
  },
}
