#include "cli/program.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lauxlib.h>

#include "base/version.h"
#include "bind/embed.h"
#include "cli/interp.h"

#define COLUMNS_DEFAULT 80
#define COMMANDS "tasker.cli."

/* The command that this module is, or NULL. */
static const char *command_of(const char *module) {
  if (strncmp(module, COMMANDS, sizeof COMMANDS - 1) != 0) {
    return NULL;
  }
  const char *name = module + sizeof COMMANDS - 1;
  return strchr(name, '.') == NULL && strcmp(name, "args") != 0 ? name : NULL;
}

bool tk_program_is_command(const char *word) {
  size_t count;
  const tk_embedded *files = tk_embedded_all(&count);
  for (size_t i = 0; i < count; i++) {
    const char *name = command_of(files[i].module);
    if (name != NULL && strcmp(name, word) == 0) {
      return true;
    }
  }
  return false;
}

static void push_commands(lua_State *L) {
  size_t count;
  const tk_embedded *files = tk_embedded_all(&count);
  lua_newtable(L);
  lua_Integer last = 0;
  for (size_t i = 0; i < count; i++) {
    const char *name = command_of(files[i].module);
    if (name != NULL) {
      lua_pushstring(L, name);
      lua_rawseti(L, -2, ++last);
    }
  }
}

static int program_is_tty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* The width to draw for: the terminal's, else $COLUMNS, else 80. */
static int program_columns(lua_State *L) {
  struct winsize size;
  const char *variable = getenv("COLUMNS");
  long columns = 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    columns = size.ws_col;
  }
  if (columns <= 0 && variable != NULL) {
    columns = strtol(variable, NULL, 10);
  }
  lua_pushinteger(L, columns > 0 && columns < SHRT_MAX ? columns : COLUMNS_DEFAULT);
  return 1;
}

/* The absolute path, with links resolved as far as the path exists; without touching anything. */
static int program_absolute(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char resolved[PATH_MAX];
  if (realpath(path, resolved) != NULL) {
    lua_pushstring(L, resolved);
  } else if (path[0] == '/' || getcwd(resolved, sizeof resolved) == NULL) {
    lua_pushstring(L, path);
  } else {
    while (strncmp(path, "./", 2) == 0) {
      path += 2;
    }
    lua_pushfstring(L, "%s/%s", resolved, path);
  }
  return 1;
}

/* What lua/tasker/cli/init.lua calls `program`. */
static void push_program(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"is_tty", program_is_tty}, {"columns", program_columns}, {"absolute", program_absolute}, {NULL, NULL}};
  luaL_newlib(L, functions);
  push_commands(L);
  lua_setfield(L, -2, "commands");
  lua_pushliteral(L, TK_VERSION);
  lua_setfield(L, -2, "version");
}

/* words -> exit code; raises only when the command line itself is broken. */
static int run_main(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tasker.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_pushvalue(L, 1);
  push_program(L);
  lua_call(L, 2, 1);
  return 1;
}

int tk_program_run(lua_State *L, int count, char **words) {
  lua_pushcfunction(L, run_main);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i + 1);
  }
  /* Not tk_interp_call: Ctrl-C ends a command at once and as a signal; what must finish first (work) catches it itself. */
  int status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK) {
    tk_interp_report(L, status, TK_PROGRAM);
    return EXIT_FAILURE;
  }
  int code = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return code;
}
