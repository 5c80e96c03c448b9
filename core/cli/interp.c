#include "cli/interp.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

/* Where SIGINT goes while Lua runs. */
static lua_State *interrupted_state;

static void stop_hook(lua_State *L, lua_Debug *activation) {
  (void)activation;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

/* In a signal handler only setting a hook is safe; it raises at the next instruction. A second Ctrl-C ends the process. */
static void on_interrupt(int signal_number) {
  signal(signal_number, SIG_DFL);
  lua_sethook(interrupted_state, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static int message_handler(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
      return 1;
    }
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}

int tk_interp_call(lua_State *L, int nargs, int nresults) {
  int function = lua_gettop(L) - nargs;
  lua_pushcfunction(L, message_handler);
  lua_insert(L, function);
  interrupted_state = L;
  void (*before)(int) = signal(SIGINT, on_interrupt);
  int status = lua_pcall(L, nargs, nresults, function);
  signal(SIGINT, before);
  lua_remove(L, function);
  return status;
}

int tk_interp_report(lua_State *L, int status, const char *program) {
  if (status != LUA_OK) {
    const char *message = lua_tostring(L, -1);
    if (program != NULL) {
      fprintf(stderr, "%s: ", program);
    }
    fprintf(stderr, "%s\n", message != NULL ? message : "(error message not a string)");
    fflush(stderr);
    lua_pop(L, 1);
  }
  return status;
}

/* Runs the chunk that loading left on the stack, if it did. */
static int run_loaded(lua_State *L, int status) {
  if (status == LUA_OK) {
    status = tk_interp_call(L, 0, 0);
  }
  return tk_interp_report(L, status, TK_PROGRAM);
}

int tk_interp_text(lua_State *L, const char *text, const char *chunk) {
  return run_loaded(L, luaL_loadbuffer(L, text, strlen(text), chunk));
}

int tk_interp_file(lua_State *L, const char *path) {
  return run_loaded(L, luaL_loadfile(L, path));
}

int tk_interp_library(lua_State *L, const char *spec) {
  const char *equals = strchr(spec, '=');
  const char *module = equals != NULL ? equals + 1 : spec;
  /* Held on the stack so that it lives until the global is set. */
  const char *name = equals != NULL ? lua_pushlstring(L, spec, (size_t)(equals - spec)) : lua_pushstring(L, spec);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = tk_interp_call(L, 1, 1);
  if (status == LUA_OK) {
    lua_setglobal(L, name);
  }
  tk_interp_report(L, status, TK_PROGRAM);
  lua_pop(L, 1);
  return status;
}

/* Pushes the positive part of `arg`, as LUA_INIT, -l and -e may have changed it. */
static int push_arguments(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) {
    luaL_error(L, "'arg' is not a table");
  }
  int count = (int)luaL_len(L, -1);
  luaL_checkstack(L, count + 3, "too many arguments to script");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -i, i);
  }
  lua_remove(L, -(count + 1));
  return count;
}

int tk_interp_script(lua_State *L, const char *path) {
  int status = luaL_loadfile(L, path);
  if (status == LUA_OK) {
    int count = push_arguments(L);
    status = tk_interp_call(L, count, LUA_MULTRET);
  }
  return tk_interp_report(L, status, TK_PROGRAM);
}

int tk_interp_init_variable(lua_State *L) {
  const char *chunk = "=LUA_INIT_5_4";
  const char *text = getenv(chunk + 1);
  if (text == NULL) {
    chunk = "=LUA_INIT";
    text = getenv(chunk + 1);
  }
  if (text == NULL) {
    return LUA_OK;
  }
  return text[0] == '@' ? tk_interp_file(L, text + 1) : tk_interp_text(L, text, chunk);
}

void tk_interp_set_arg(lua_State *L, int argc, char **argv, int script) {
  /* Without a script the program itself is arg[0]. */
  if (script == argc) {
    script = 0;
  }
  lua_createtable(L, argc - script - 1, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}
