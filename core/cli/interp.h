/* Running Lua the way the `lua` program does: protected, with tracebacks, and interrupted by Ctrl-C.
 * Main thread only: SIGINT is pointed at the state that runs. */
#ifndef TK_CLI_INTERP_H
#define TK_CLI_INTERP_H

#include <lua.h>

/* What messages begin with. */
#define TK_PROGRAM "tasker-lua"

/* Calls the function below its `nargs` arguments as lua_pcall does; an error gets a traceback, Ctrl-C raises "interrupted!". */
int tk_interp_call(lua_State *L, int nargs, int nresults);

/* If status is an error, prints the message on top (after `program: ` unless NULL) on stderr and pops it. Returns status. */
int tk_interp_report(lua_State *L, int status, const char *program);

/* Each runs something and reports what goes wrong; LUA_OK or the error's status. */
int tk_interp_text(lua_State *L, const char *text, const char *chunk);
int tk_interp_file(lua_State *L, const char *path); /* NULL: stdin */
int tk_interp_library(lua_State *L, const char *spec);  /* of -l: mod or global=mod */
int tk_interp_script(lua_State *L, const char *path); /* with the words of the global `arg` as its arguments */

/* $LUA_INIT_5_4, else $LUA_INIT: a text, or @file. */
int tk_interp_init_variable(lua_State *L);

/* Sets the global `arg`: argv[script] is arg[0]; what stands before it has negative indexes. */
void tk_interp_set_arg(lua_State *L, int argc, char **argv, int script);

#endif
