#include "bind/state.h"

#include <math.h>

#include <lauxlib.h>

#define BOX_TYPE "tasker.box"
#define SCRATCH_KEPT (1024 * 1024)   /* bytes of scratch that stay from call to call */

static const char state_key;

static int state_gc(lua_State *L) {
  tk_state *state = lua_touserdata(L, 1);
  tk_buf_free(&state->buf);
  tk_arena_free(&state->arena);
  return 0;
}

static tk_state *state_new(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  tk_state *state = lua_newuserdatauv(L, sizeof *state, 0);
  memset(state, 0, sizeof *state);
  tk_rng_seed_system(&state->rng);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  return state;
}

tk_state *tk_state_of(lua_State *L) {
  luaL_checkstack(L, 1, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  tk_state *state = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return state ? state : state_new(L);
}

tk_state *tk_state_scratch(lua_State *L) {
  tk_state *state = tk_state_of(L);
  if (state->buf.capacity > SCRATCH_KEPT) {
    tk_buf_free(&state->buf);
    memset(&state->buf, 0, sizeof state->buf);
  }
  tk_buf_clear(&state->buf);
  tk_arena_reset(&state->arena);
  return state;
}

void tk_state_push_buf(lua_State *L, tk_state *state) {
  lua_pushlstring(L, state->buf.size ? state->buf.data : "", state->buf.size);
}

void tk_box_release(tk_box *box) {
  void *ptr = box->ptr;
  box->ptr = NULL;
  if (ptr) box->release(ptr);
}

static int box_gc(lua_State *L) {
  tk_box_release(lua_touserdata(L, 1));
  return 0;
}

tk_box *tk_box_push(lua_State *L, void (*release)(void *ptr)) {
  luaL_checkstack(L, 4, NULL);
  tk_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->ptr = NULL;
  box->release = release;
  if (luaL_newmetatable(L, BOX_TYPE)) {
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

lua_Integer tk_field_integer(lua_State *L, int t, const char *name, lua_Integer fallback) {
  lua_Integer value = fallback;
  if (lua_getfield(L, t, name) != LUA_TNIL) {
    int is_integer;
    value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer) luaL_error(L, "'%s' must be an integer", name);
  }
  lua_pop(L, 1);
  return value;
}

lua_Number tk_field_number(lua_State *L, int t, const char *name, lua_Number fallback) {
  lua_Number value = fallback;
  if (lua_getfield(L, t, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "'%s' must be a number", name);
    value = lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  return value;
}

bool tk_field_bool(lua_State *L, int t, const char *name) {
  lua_getfield(L, t, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

tk_slice tk_field_slice(lua_State *L, int t, const char *name) {
  tk_slice value = {NULL, 0};
  if (lua_getfield(L, t, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "'%s' must be a string", name);
    value.data = lua_tolstring(L, -1, &value.size);
  }
  lua_pop(L, 1);
  return value;
}

int64_t tk_seconds_to_us(lua_Number seconds) {
  if (isnan(seconds)) return 0;
  if (seconds >= 9.0e12) return INT64_C(9000000000000000000);
  if (seconds <= -9.0e12) return INT64_C(-9000000000000000000);
  return llround(seconds * 1e6);
}

int64_t tk_field_us(lua_State *L, int t, const char *name) {
  int64_t value = 0;
  int type = lua_getfield(L, t, name);
  if (type == LUA_TNUMBER) value = tk_seconds_to_us(lua_tonumber(L, -1));
  else if (type != LUA_TNIL && lua_toboolean(L, -1)) luaL_error(L, "'%s' must be a number of seconds", name);
  lua_pop(L, 1);
  return value;
}

int tk_field_choice(lua_State *L, int t, const char *name, const char *const names[], int fallback) {
  int value = fallback;
  if (lua_getfield(L, t, name) != LUA_TNIL) {
    const char *word = lua_tostring(L, -1);
    for (value = 0; names[value]; value++)
      if (word && strcmp(word, names[value]) == 0) break;
    if (!names[value]) luaL_error(L, "'%s' cannot be '%s'", name, word ? word : luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

bool tk_arg_id(lua_State *L, int arg, tk_id *id) {
  size_t size;
  const char *text = luaL_checklstring(L, arg, &size);
  return tk_id_parse(text, size, id);
}
