/* The values of the codec that live in a Lua state, and the module tasker.json. */
#include "bind/json.h"

#include <lauxlib.h>
#include <stdint.h>

#include "base/json.h"
#include "bind/error.h"

#define INDENT_MAX 16
#define SCRATCH_KEEP ((size_t)64 * 1024)

static const char null_key, marker_key, object_key, scratch_key; /* of the registry */

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

void tk_json_push_null(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) == LUA_TUSERDATA) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "tasker.null");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

static void push_marker(lua_State *L, const void *key, const char *name) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void tk_json_push_array_marker(lua_State *L) { push_marker(L, &marker_key, "tasker.array"); }
void tk_json_push_object_marker(lua_State *L) { push_marker(L, &object_key, "tasker.object"); }

static const void *registered(lua_State *L, const void *key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  const void *pointer = lua_topointer(L, -1);
  lua_pop(L, 1);
  return pointer;
}

const void *tk_json_null_value(lua_State *L) { return registered(L, &null_key); }
const void *tk_json_array_marker(lua_State *L) { return registered(L, &marker_key); }

/* -- the module -------------------------------------------------------------------------------------------------------- */

static lua_Integer check_range(lua_State *L, const char *name, lua_Integer max) {
  int exact;
  lua_Integer value = lua_tointegerx(L, -1, &exact);
  if (lua_type(L, -1) != LUA_TNUMBER || !exact || value < 0 || value > max)
    luaL_error(L, "option '%s' must be an integer from 0 to %I", name, (LUAI_UACINT)max);
  return value;
}

static bool check_bool(lua_State *L, const char *name) {
  if (!lua_isboolean(L, -1)) luaL_error(L, "option '%s' must be a boolean, not a %s", name, luaL_typename(L, -1));
  return lua_toboolean(L, -1);
}

/* The option whose name is below its value on the stack. */
static void read_option(lua_State *L, tk_json_options *opt) {
  static const char *const names[] = {"indent", "canonical", "max_depth", "max_size", "list", "unmarked", NULL};
  if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "option names must be strings, not a %s", luaL_typename(L, -2));
  const char *name = lua_tostring(L, -2);
  int which = 0;
  while (names[which] && strcmp(names[which], name) != 0) which++;
  switch (which) {
    case 0: opt->indent = (int)check_range(L, name, INDENT_MAX); return;
    case 1: opt->canonical = check_bool(L, name); return;
    case 2: opt->max_depth = (int)check_range(L, name, TK_JSON_DEPTH); return;
    case 3: opt->max_size = (size_t)check_range(L, name, (lua_Integer)TK_JSON_SIZE); return;
    case 4: opt->list_expected = check_bool(L, name); return;
    case 5: opt->unmarked = check_bool(L, name); return;
    default: luaL_error(L, "unknown option '%s'", name);
  }
}

static tk_json_options check_options(lua_State *L, int arg) {
  tk_json_options opt = {0};
  if (lua_isnoneornil(L, arg)) return opt;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) read_option(L, &opt);
  if (opt.indent && opt.canonical) luaL_error(L, "canonical JSON has no indent");
  return opt;
}

/* The state's buffer for texts on their way into Lua strings, which may raise; kept from call to call while it is small. */
static int free_scratch(lua_State *L) {
  tk_buf_free(lua_touserdata(L, 1));
  return 0;
}

static tk_buf *scratch_of(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TUSERDATA) {
    tk_buf *known = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return known;
  }
  tk_buf *made = lua_newuserdatauv(L, sizeof *made, 0);
  *made = (tk_buf){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, free_scratch);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
  lua_pop(L, 1);
  return made;
}

/* encode(value [, {indent, canonical, max_depth, max_size, list}]) -> text | nil, err */
static int json_encode(lua_State *L) {
  tk_err err;
  luaL_checkany(L, 1);
  tk_json_options opt = check_options(L, 2);
  tk_buf *text = scratch_of(L);
  tk_buf_clear(text);
  int rc = tk_json_encode(L, 1, text, &opt, &err);
  if (rc == 0) lua_pushlstring(L, text->data, text->size);
  if (text->capacity > SCRATCH_KEEP) tk_buf_free(text);
  return rc == 0 ? 1 : tk_return_error(L, &err);
}

/* decode(text [, {max_depth, unmarked}]) -> value | nil, err */
static int json_decode(lua_State *L) {
  tk_err err;
  tk_slice text;
  luaL_checktype(L, 1, LUA_TSTRING);
  text.data = lua_tolstring(L, 1, &text.size);
  tk_json_options opt = check_options(L, 2);
  return tk_json_decode_by(L, text, &opt, &err) == 0 ? 1 : tk_return_error(L, &err);
}

static bool is_marked(lua_State *L, int arg, void (*push_mark)(lua_State *)) {
  if (!lua_getmetatable(L, arg)) return false;
  push_mark(L);
  bool marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return marked;
}

/* array([t]) -> t, marked as an array */
static int json_array(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (is_marked(L, 1, tk_json_push_array_marker)) return 1;
  if (!is_marked(L, 1, tk_json_push_object_marker) && lua_getmetatable(L, 1))
    return luaL_argerror(L, 1, "the table has a metatable already");
  tk_json_push_array_marker(L);
  lua_setmetatable(L, 1);
  return 1;
}

/* is_array(value) -> whether it is written as an array: marked, or with 1 among its keys */
static int json_is_array(lua_State *L) {
  luaL_checkany(L, 1);
  bool table = lua_istable(L, 1);
  lua_pushboolean(L, table && (is_marked(L, 1, tk_json_push_array_marker) || lua_rawgeti(L, 1, 1) != LUA_TNIL));
  return 1;
}

int luaopen_tasker_json(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", json_encode}, {"decode", json_decode},
                                       {"array", json_array},   {"is_array", json_is_array}, {NULL, NULL}};
  luaL_newlib(L, functions);
  tk_json_push_array_marker(L);
  lua_pop(L, 1);
  tk_json_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
