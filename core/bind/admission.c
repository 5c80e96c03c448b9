/* engine:admit, engine:settle and what else stands between a client and the service that it calls. */
#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"
#include "worker/fiber.h"

static tk_slice arena_text(lua_State *L, int arg, tk_arena *arena) {
  tk_slice text = {NULL, 0};
  text.data = luaL_optlstring(L, arg, NULL, &text.size);
  return text.size ? tk_arena_copy(arena, text) : (tk_slice){NULL, 0};
}

static tk_slice field_text(lua_State *L, int t, const char *name, tk_arena *arena) {
  tk_slice value = tk_field_slice(L, t, name);
  return value.size ? tk_arena_copy(arena, value) : value;
}

/* A request of one event with an empty admission; the box on top of the stack owns it. */
static tk_admission *new_request(lua_State *L, uint8_t type, tk_box **box) {
  *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = (*box)->ptr = tk_request_new(TK_REQ_EVENTS, 1);
  request->events[0].type = type;
  return request->events[0].admission = TK_ARENA_NEW(&request->arena, tk_admission);
}

static int push_true(lua_State *L, tk_request *request) {
  (void)request;
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- Asking ---- */

static int push_answer(lua_State *L, tk_request *request) {
  static const char *const words[] = {"admitted", "later", "limited", "broken"};
  const tk_admission *a = request->events[0].admission;
  lua_pushstring(L, words[a->outcome]);
  if (a->at_us) lua_pushnumber(L, (lua_Number)(a->at_us - a->now_us) / 1e6);
  else lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)a->which + 1);
  lua_pushinteger(L, a->outcome == TK_ADMITTED ? (lua_Integer)a->hold : 0);
  lua_pushinteger(L, a->epoch);
  return 5;
}

static void read_limits(lua_State *L, int t, tk_request *request, tk_admission *a) {
  lua_Integer count = luaL_len(L, t);
  luaL_argcheck(L, count <= TK_LIMIT_STEP_LIMITS, t, "too many limits");
  a->limit_count = (uint32_t)count;
  a->limits = TK_ARENA_ARRAY(&request->arena, tk_admission_limit, (size_t)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, t, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    int at = lua_absindex(L, -1);
    tk_admission_limit *limit = &a->limits[i - 1];
    limit->name = field_text(L, at, "name", &request->arena);
    limit->key = field_text(L, at, "key", &request->arena);
    limit->cost = (uint32_t)tk_field_integer(L, at, "cost", 1);
    lua_pop(L, 1);
  }
}

static int64_t us_ahead(lua_State *L, int arg, int64_t now_us) {
  int64_t us = lua_isnoneornil(L, arg) ? INT64_MAX : tk_seconds_to_us(luaL_checknumber(L, arg));
  return us > INT64_MAX - now_us ? INT64_MAX : now_us + us;
}

/* engine:admit(limits, breaker or nil, patience or nil, lease): a word, seconds from now or nil, the limit's place in the list, what is
 * held, the breaker's epoch */
static int engine_admit(lua_State *L) {
  tk_err err;
  tk_box *box;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 5);
  if (!engine) return tk_return_error(L, &err);
  tk_admission *a = new_request(L, TK_EV_ADMIT, &box);
  tk_request *request = box->ptr;
  read_limits(L, 2, request, a);
  a->breaker = arena_text(L, 3, &request->arena);
  a->latest_us = us_ahead(L, 4, tk_engine_now_us(engine));
  a->lease_us = tk_seconds_to_us(luaL_checknumber(L, 5));
  return tk_engine_await(L, engine, box, push_answer);
}

/* ---- The end ---- */

/* NULL: the app is closed, or may not write (err). */
static tk_admission *new_settlement(lua_State *L, tk_engine **engine, tk_box **box, tk_err *err) {
  static const char *const verdicts[] = {"none", "success", "failure", NULL};
  *engine = tk_check_writer(L, 1, err);
  lua_settop(L, 6);
  if (!*engine) return NULL;
  tk_admission *a = new_request(L, TK_EV_SETTLE, box);
  tk_request *request = (*box)->ptr;
  a->breaker = arena_text(L, 2, &request->arena);
  a->epoch = (uint32_t)luaL_checkinteger(L, 3);
  a->verdict = (uint8_t)luaL_checkoption(L, 4, "none", verdicts);
  a->hold = (uint64_t)luaL_checkinteger(L, 5);
  a->why = arena_text(L, 6, &request->arena);
  return a;
}

/* engine:settle(breaker or nil, epoch, verdict, hold, why or nil) */
static int engine_settle(lua_State *L) {
  tk_err err;
  tk_box *box;
  tk_engine *engine;
  if (!new_settlement(L, &engine, &box, &err)) return tk_return_error(L, &err);
  return tk_engine_await(L, engine, box, push_true);
}

/* A service that does not answer within the step's time is as broken as one that does not within the request's. */
static bool ran_out_of_time(lua_State *L) {
  const tk_fiber *fiber = tk_fiber_current(L);
  return fiber && fiber->ended == TK_END_TIMEOUT;
}

/* The same for who cannot wait; nobody hears what comes of it. */
static int engine_settle_later(lua_State *L) {
  tk_err err;
  tk_box *box;
  tk_engine *engine;
  tk_admission *a = new_settlement(L, &engine, &box, &err);
  if (!a) return tk_return_error(L, &err);
  if (ran_out_of_time(L) && a->verdict == TK_VERDICT_NONE) {
    a->verdict = TK_VERDICT_FAILURE;
    a->why = tk_slice_str("the step's time was over before it answered");
  }
  tk_request *request = box->ptr;
  box->ptr = NULL;
  tk_engine_post(engine, request, false);
  return 0;
}

/* ---- Breakers ---- */

/* engine:declare_breaker(name, failures, reset) */
static int engine_declare_breaker(lua_State *L) {
  tk_err err;
  tk_box *box;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  lua_settop(L, 4);
  if (!engine) return tk_return_error(L, &err);
  tk_admission *a = new_request(L, TK_EV_BREAKER, &box);
  tk_request *request = box->ptr;
  a->breaker = arena_text(L, 2, &request->arena);
  a->most = (uint32_t)luaL_checkinteger(L, 3);
  a->reset_us = tk_seconds_to_us(luaL_checknumber(L, 4));
  return tk_engine_await(L, engine, box, push_true);
}

/* engine:breaker(name): its state, failures, epoch, most, reset */
static int engine_breaker(lua_State *L) {
  tk_err err;
  tk_breaker breaker;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice name;
  name.data = luaL_checklstring(L, 2, &name.size);
  if (!engine || tk_view_breaker(engine, name, &breaker, &err)) return tk_return_error(L, &err);
  lua_pushstring(L, tk_breaker_state_name(breaker.state));
  lua_pushinteger(L, breaker.failures);
  lua_pushinteger(L, breaker.epoch);
  lua_pushinteger(L, breaker.most);
  lua_pushnumber(L, (lua_Number)breaker.reset_us / 1e6);
  return 5;
}

/* engine:breakers(name or nil) */
static int engine_breakers(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice name = {NULL, 0};
  name.data = luaL_optlstring(L, 2, NULL, &name.size);
  if (!engine) return tk_return_error(L, &err);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_breakers(engine, name, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

/* engine:enlist() */
static int engine_enlist(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  if (!engine || tk_engine_enlist(engine, &err)) return tk_return_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg tk_admission_methods[] = {{"admit", engine_admit}, {"settle", engine_settle}, {"settle_later", engine_settle_later},
  {"declare_breaker", engine_declare_breaker}, {"breaker", engine_breaker}, {"breakers", engine_breakers}, {"enlist", engine_enlist},
  {NULL, NULL}};
