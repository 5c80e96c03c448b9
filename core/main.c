#include <stdio.h>
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include "bind/embed.h"
extern int luaopen_tasker_core(lua_State *L) __attribute__((weak));
int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  tk_embed_install_searcher(L);
  if (luaopen_tasker_core) { luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE); lua_pushcfunction(L, luaopen_tasker_core); lua_setfield(L, -2, "tasker.core"); lua_pop(L, 1); }
  if (argc < 2) return 1;
  lua_newtable(L);
  for (int i = 0; i < argc; i++) { lua_pushstring(L, argv[i]); lua_rawseti(L, -2, i - 1); }
  lua_setglobal(L, "arg");
  if (luaL_dofile(L, argv[1])) { fprintf(stderr, "tasker-lua: %s\n", lua_tostring(L, -1)); return 1; }
  return 0;
}
