/* Other programs as Lua sees them. */
#ifndef TK_BIND_EXEC_H
#define TK_BIND_EXEC_H
#include <lua.h>

/* Pushes the table {start, wait, close, environment}:
 * start({argv = list, env = list of "NAME=value", cwd, input, max_output, timeout}) -> a run, or nil and an err
 * wait(run) -> status, standard output, standard error; "timeout" or "too_large", output, errors when it was ended for that; false when
 *   it has not ended yet (a signal came). In a step it yields; elsewhere the thread waits.
 * close(run): ends it.
 * environment() -> list of "NAME=value". */
int tk_bind_exec(lua_State *L);

#endif
