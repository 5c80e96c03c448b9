#include "bind/embed.h"

#include <stdlib.h>
#include <string.h>

#include <lua.h>

#include <lauxlib.h>

/* From the generated embed.S. */
extern const tk_embedded tk_embed_table[] __attribute__((visibility("hidden")));
extern const size_t tk_embed_count __attribute__((visibility("hidden")));
extern const char tk_embed_ident[] __attribute__((visibility("hidden")));

/* An interpreter that loads core.so may keep its own to itself. */
#pragma weak lua_ident

static int compare_module(const void *key, const void *file) {
  return strcmp(key, ((const tk_embedded *)file)->module);
}

const tk_embedded *tk_embedded_find(const char *module) {
  return bsearch(module, tk_embed_table, tk_embed_count, sizeof(tk_embedded), compare_module);
}

const tk_embedded *tk_embedded_all(size_t *count) {
  *count = tk_embed_count;
  return tk_embed_table;
}

/* Compiled code loads in a third of the time, but only into the library it was compiled with. */
static int load(lua_State *L, const tk_embedded *file) {
  const char *ident = lua_ident;
  if (ident != NULL && strcmp(ident, tk_embed_ident) == 0) return luaL_loadbufferx(L, file->code, file->code_size, file->chunk, "b");
  return luaL_loadbufferx(L, file->text, file->size, file->chunk, "t");
}

/* As package.searchers wants it: the loader and its extra value, or why there is none. */
static int searcher(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  const tk_embedded *file = tk_embedded_find(module);
  if (file == NULL) {
    lua_pushfstring(L, "no embedded file '%s'", module);
    return 1;
  }
  if (load(L, file) != LUA_OK) {
    return luaL_error(L, "error loading embedded module '%s':\n\t%s", module, lua_tostring(L, -1));
  }
  lua_pushstring(L, file->chunk + 1);
  return 2;
}

void tk_embed_install_searcher(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, searcher);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}
