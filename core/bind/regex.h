/* Regular expressions of JSON Schema: core.regex(pattern) -> matcher | nil, err; matcher(text) -> bool | nil, err. */
#ifndef TK_BIND_REGEX_H
#define TK_BIND_REGEX_H
#include <lua.h>

#include "base/buf.h"

int tk_bind_regex(lua_State *L);
/* The matcher at `idx`, for tk_regex_match as long as the value lives; raises when it is none. */
void *tk_regex_check(lua_State *L, int idx);
/* 1: it matches, 0: it does not, -1: that cannot be found out within the limits. */
int tk_regex_match(void *matcher, tk_slice text);

#endif
