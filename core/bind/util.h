/* The parts of `tasker.core` that need no store: time, ids, hashes, random numbers, versions, delays. */
#ifndef TK_BIND_UTIL_H
#define TK_BIND_UTIL_H
#include <lua.h>

#include "base/arena.h"
#include "model/retry.h"

/* Sets the functions into the table on top of the stack. */
void tk_bind_util(lua_State *L);
/* The policy in the table at `t`; its list is the arena's. */
void tk_bind_read_retry(lua_State *L, int t, tk_arena *arena, tk_retry *out);

#endif
