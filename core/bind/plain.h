/* The loop of plain code in one Lua state: what a step waits for in its worker's loop, a script waits for in this one.
 * Thread: the one that runs the state. */
#ifndef TK_BIND_PLAIN_H
#define TK_BIND_PLAIN_H
#include <lua.h>

#include "net/loop.h"

/* The loop, made when first asked for and closed with the state; NULL with why not. */
tk_loop *tk_plain_loop(lua_State *L, tk_err *err);
/* Waits for something to happen there. False: a signal wants Lua to go on first. */
bool tk_plain_turn(lua_State *L);

#endif
