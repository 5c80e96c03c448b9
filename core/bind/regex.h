/* Regular expressions of JSON Schema: core.regex(pattern) -> matcher | nil, err; matcher(text) -> bool | nil, err. */
#ifndef TK_BIND_REGEX_H
#define TK_BIND_REGEX_H
#include <lua.h>

int tk_bind_regex(lua_State *L);

#endif
