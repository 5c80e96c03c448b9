#include "cli/repl.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "cli/interp.h"
#include "cli/line.h"

/* Pushes the next line; false at the end of input. A first line `=x` means `return x`, as it did in Lua 5.2. */
static bool push_line(lua_State *L, bool is_first) {
  const char *prompt = is_first ? "> " : ">> ";
  if (lua_getglobal(L, is_first ? "_PROMPT" : "_PROMPT2") != LUA_TNIL) {
    prompt = luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
  }
  char *line = tk_line_read(prompt);
  lua_pop(L, 1);
  if (line == NULL) {
    return false;
  }
  if (is_first && line[0] == '=') {
    lua_pushfstring(L, "return %s", line + 1);
  } else {
    lua_pushstring(L, line);
  }
  free(line);
  return true;
}

static int load_line(lua_State *L, const char *text, size_t size) {
  return luaL_loadbuffer(L, text, size, "=stdin");
}

/* Tries the line on top as an expression: the function above it, or nothing. */
static int load_expression(lua_State *L) {
  const char *line = lua_tostring(L, -1);
  const char *text = lua_pushfstring(L, "return %s", line);
  int status = load_line(L, text, strlen(text));
  if (status != LUA_OK) {
    lua_pop(L, 2);
    return status;
  }
  lua_remove(L, -2);
  if (line[0] != '\0') {
    tk_line_remember(line);
  }
  return LUA_OK;
}

/* Whether the message on top says that the chunk only lacks its end. */
static bool is_incomplete(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  size_t length = 0;
  const char *message = status == LUA_ERRSYNTAX ? lua_tolstring(L, -1, &length) : NULL;
  return length >= sizeof mark - 1 && strcmp(message + length - (sizeof mark - 1), mark) == 0;
}

/* Loads the line on top as a statement, asking for more lines as long as it lacks its end. */
static int load_statement(lua_State *L) {
  for (;;) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    int status = load_line(L, text, length);
    if (!is_incomplete(L, status)) {
      tk_line_remember(text);
      return status;
    }
    if (!push_line(L, false)) {
      return status;
    }
    /* line, message, next line -> the two lines in one */
    lua_remove(L, -2);
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
}

/* Leaves the function of the next input, or its error message, alone on the stack; -1 at the end of input. */
static int load_input(lua_State *L) {
  lua_settop(L, 0);
  if (!push_line(L, true)) {
    return -1;
  }
  int status = load_expression(L);
  if (status != LUA_OK) {
    status = load_statement(L);
  }
  lua_remove(L, 1);
  return status;
}

static void print_results(lua_State *L) {
  int count = lua_gettop(L);
  if (count == 0) {
    return;
  }
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, count, 0, 0) != LUA_OK) {
    fprintf(stderr, "error calling 'print' (%s)\n", lua_tostring(L, -1));
    fflush(stderr);
  }
}

void tk_repl_run(lua_State *L) {
  int status;
  while ((status = load_input(L)) != -1) {
    if (status == LUA_OK) {
      status = tk_interp_call(L, 0, LUA_MULTRET);
    }
    if (status == LUA_OK) {
      print_results(L);
    } else {
      tk_interp_report(L, status, NULL);
    }
  }
  lua_settop(L, 0);
  fputc('\n', stdout);
  fflush(stdout);
}
