#include "bind/core.h"

#include <dlfcn.h>
#include <lauxlib.h>

#include "base/log.h"
#include "base/version.h"
#include "bind/cron.h"
#include "bind/definition.h"
#include "bind/ed25519.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/exec.h"
#include "bind/http.h"
#include "bind/json.h"
#include "bind/regex.h"
#include "bind/schema_program.h"
#include "bind/seal.h"
#include "bind/sign.h"
#include "bind/testing.h"
#include "bind/util.h"
#include "bind/wait.h"
#include "bounds.h"
#include "worker/fiber.h"

static int core_in_fiber(lua_State *L) {
  lua_pushboolean(L, tk_fiber_current(L) != NULL);
  return 1;
}

static int core_run(lua_State *L) { return tk_fiber_push_run(L) ? 1 : 0; }

/* Encodes what is to be stored: within the limits of depth and size. */
static int core_encode(lua_State *L) {
  luaL_checkany(L, 1);
  tk_json_options options = {.max_depth = TK_LIMIT_JSON_DEPTH, .max_size = TK_LIMIT_PAYLOAD, .list_expected = lua_toboolean(L, 2)};
  tk_state *state = tk_state_scratch(L);
  tk_err err;
  if (tk_json_encode(L, 1, &state->buf, &options, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

static int core_log(lua_State *L) {
  static const char *const names[] = {"error", "warn", "info", "debug", NULL};
  static const int levels[] = {TK_LOG_ERROR, TK_LOG_WARN, TK_LOG_INFO, TK_LOG_DEBUG};
  int level = luaL_checkoption(L, 1, NULL, names);
  tk_log(levels[level], "%s", luaL_checkstring(L, 2));
  return 0;
}

/* What Lua checks before the core would: the same numbers. */
static void push_bounds(lua_State *L) {
  static const struct { const char *name; lua_Integer value; } bounds[] = {
    {"payload", TK_LIMIT_PAYLOAD}, {"error", TK_LIMIT_ERROR}, {"steps", TK_LIMIT_STEPS}, {"annotations", TK_LIMIT_ANNOTATIONS},
    {"tags", TK_LIMIT_TAGS}, {"submit_many", TK_LIMIT_SUBMIT_MANY}, {"submit_many_bytes", TK_LIMIT_SUBMIT_MANY_BYTES},
    {"name", TK_LIMIT_NAME}, {"step_name", TK_LIMIT_STEP_NAME}, {"text", TK_LIMIT_TEXT}, {"tasks_page", TK_LIMIT_TASKS_PAGE},
    {"threads", TK_THREADS_MAX}, {"concurrency", TK_CONCURRENCY_MAX},
    {"approvers", TK_LIMIT_APPROVERS}, {"schedule_name", TK_LIMIT_SCHEDULE_NAME},
    {"step_limits", TK_LIMIT_STEP_LIMITS}, {"limit_key", TK_LIMIT_LIMIT_KEY},
  };
  size_t count = sizeof bounds / sizeof *bounds;
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    lua_pushinteger(L, bounds[i].value);
    lua_setfield(L, -2, bounds[i].name);
  }
}

/* An interpreter unloads C modules when it closes its state; threads of ours may still run then. */
static void stay_loaded(void) {
  Dl_info info;
  if (dladdr((void *)luaopen_tasker_core, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

int luaopen_tasker_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"in_fiber", core_in_fiber}, {"run", core_run}, {"encode", core_encode}, {"log", core_log},
    {"sleep", tk_bind_sleep}, {"serve", tk_bind_serve}, {"definition", tk_bind_definition}, {"regex", tk_bind_regex},
    {"schema_program", tk_bind_schema_program},
    {"seal", tk_bind_seal}, {"unseal", tk_bind_unseal}, {"key_file", tk_bind_key_file}, {"no_dumps", tk_bind_no_dumps},
    {"ed25519_public", tk_bind_ed25519_public}, {"ed25519_sign", tk_bind_ed25519_sign},
    {"ed25519_verify", tk_bind_ed25519_verify}, {"sign", tk_bind_sign}, {NULL, NULL}};
  luaL_checkversion(L);
  stay_loaded();
  luaL_newlib(L, functions);
  tk_bind_util(L);
  tk_bind_engine(L);
  lua_pushliteral(L, TK_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushcfunction(L, luaopen_tasker_json);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "json");
  tk_bind_cron(L);
  lua_setfield(L, -2, "cron");
  tk_bind_exec(L);
  lua_setfield(L, -2, "exec");
  tk_bind_http(L);
  lua_setfield(L, -2, "http");
  push_bounds(L);
  lua_setfield(L, -2, "bounds");
  tk_bind_testing(L);
  lua_setfield(L, -2, "testing");
  tk_fiber_install_coroutines(L);
  return 1;
}
