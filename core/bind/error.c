#include "bind/error.h"

#include <lauxlib.h>

#include "bind/json.h"

#define DETAILS_DEPTH 16

static const char metatable_key;

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "message");
  lua_rawget(L, 1);
  luaL_tolstring(L, -1, NULL);
  return 1;
}

void tk_push_error_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "tasker.error");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

void tk_push_error(lua_State *L, const tk_err *err) {
  luaL_checkstack(L, 6, "error");
  lua_createtable(L, 0, 3);
  lua_pushstring(L, tk_err_name(err->code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  if (err->details[0] && tk_json_decode(L, tk_slice_str(err->details), DETAILS_DEPTH, NULL) == 0) lua_setfield(L, -2, "details");
  tk_push_error_metatable(L);
  lua_setmetatable(L, -2);
}

int tk_return_error(lua_State *L, const tk_err *err) {
  luaL_checkstack(L, 2, "error");
  lua_pushnil(L);
  tk_push_error(L, err);
  return 2;
}
