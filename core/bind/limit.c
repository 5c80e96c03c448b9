/* engine:set_limits, engine:limits. */
#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"

static tk_slice arena_field(lua_State *L, int t, const char *name, tk_arena *arena) {
  tk_slice value = tk_field_slice(L, t, name);
  return value.size ? tk_arena_copy(arena, value) : value;
}

static int push_true(lua_State *L, tk_request *request) {
  (void)request;
  lua_pushboolean(L, 1);
  return 1;
}

static bool get_rule(lua_State *L, int t, const char *name, double *value) {
  bool given = lua_getfield(L, t, name) == LUA_TNUMBER;
  *value = given ? lua_tonumber(L, -1) : 0;
  lua_pop(L, 1);
  return given;
}

static void read_limit(lua_State *L, int t, tk_request *request, tk_event *event) {
  tk_limit_change *change = TK_ARENA_NEW(&request->arena, tk_limit_change);
  double burst, concurrency;
  change->name = arena_field(L, t, "name", &request->arena);
  change->declared = tk_field_bool(L, t, "declared");
  change->sets_rate = get_rule(L, t, "rate", &change->rules.rate);
  change->sets_per = get_rule(L, t, "per", &change->rules.per);
  change->sets_burst = get_rule(L, t, "burst", &burst);
  change->sets_concurrency = get_rule(L, t, "concurrency", &concurrency);
  change->rules.burst = (uint32_t)burst;
  change->rules.concurrency = (uint32_t)concurrency;
  event->type = TK_EV_LIMIT;
  event->step = TK_NO_STEP;
  event->limit = change;
}

/* engine:set_limits{ {name =, declared =, rate =, per =, burst =, concurrency =}, ... }; a rate or concurrency of 0: none */
static int engine_set_limits(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  if (!engine) return tk_return_error(L, &err);
  lua_Integer count = luaL_len(L, 2);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, (size_t)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_limit(L, lua_absindex(L, -1), request, &request->events[i - 1]);
    lua_pop(L, 1);
  }
  return tk_engine_await(L, engine, box, push_true);
}

/* engine:limits(name or nil, keys or nil) */
static int engine_limits(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice name = {NULL, 0};
  name.data = luaL_optlstring(L, 2, NULL, &name.size);
  lua_Integer keys = luaL_optinteger(L, 3, 0);
  if (!engine) return tk_return_error(L, &err);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_limits(engine, name, keys < 0 ? 0 : (size_t)keys, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

const luaL_Reg tk_limit_methods[] = {{"set_limits", engine_set_limits}, {"limits", engine_limits}, {NULL, NULL}};
