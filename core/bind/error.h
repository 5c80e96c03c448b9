/* Errors as Lua sees them: a table {code, message, details} whose tostring is the message. */
#ifndef TK_BIND_ERROR_H
#define TK_BIND_ERROR_H
#include <lua.h>

#include "base/err.h"

/* The metatable that all of them share. */
void tk_push_error_metatable(lua_State *L);
void tk_push_error(lua_State *L, const tk_err *err);
/* Pushes nil and the error; returns 2: `return tk_return_error(L, &err)`. */
int tk_return_error(lua_State *L, const tk_err *err);

#endif
