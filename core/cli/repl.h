/* The interactive mode: reads, runs and prints until the end of stdin. Main thread only. */
#ifndef TK_CLI_REPL_H
#define TK_CLI_REPL_H

#include <lua.h>

void tk_repl_run(lua_State *L);

#endif
