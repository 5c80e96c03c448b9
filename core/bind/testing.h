/* `core.testing`: engines run by hand over a memory store of their own, with a clock that the caller moves. For tasker.testing only. */
#ifndef TK_BIND_TESTING_H
#define TK_BIND_TESTING_H
#include <lua.h>

/* Pushes the table. */
void tk_bind_testing(lua_State *L);

#endif
