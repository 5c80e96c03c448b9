/* The module `tasker.core`. */
#ifndef TK_BIND_CORE_H
#define TK_BIND_CORE_H
#include <lua.h>

__attribute__((visibility("default"))) int luaopen_tasker_core(lua_State *L);

#endif
