/* core.sleep, and waiting for the log: in a step the fiber parks; in plain code the thread blocks until a signal wants Lua to go on. */
#ifndef TK_BIND_WAIT_H
#define TK_BIND_WAIT_H
#include <lua.h>

int tk_bind_sleep(lua_State *L);

#endif
