#include "bind/testing.h"

#include "base/alloc.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bounds.h"
#include "worker/driven.h"

#define DRIVER_TYPE "tasker.driver"

/* What the engines of one test stand on: a store, and the time. Of one thread. */
typedef struct world {
  int references;        /* engines */
  int64_t now_us;
  tk_clock clock;
  tk_store *store;
} world;

static int64_t world_now_us(void *context) { return ((world *)context)->now_us; }

static void world_release(void *context) {
  world *w = context;
  if (--w->references) return;
  tk_store_close(w->store);
  tk_free(w);
}

/* The world of the handle at `arg`; raises where it has none. */
static world *check_world(lua_State *L, int arg) {
  tk_handle *handle = tk_check_handle(L, arg);
  if (!handle->shared || handle->shared->release != world_release) luaL_argerror(L, arg, "an open handle of core.testing expected");
  return handle->shared->context;
}

static int open_engine(lua_State *L, world *w, uint64_t seed) {
  tk_engine_options options = {.clock = &w->clock, .manual = true, .seed = seed, .shared = w->store};
  tk_engine *engine;
  tk_err err;
  tk_handle *handle = tk_push_handle(L, NULL);
  if (tk_engine_open("memory:", &options, &engine, &err)) return tk_return_error(L, &err);
  w->references++;
  handle->shared = tk_calloc(1, sizeof *handle->shared);
  *handle->shared = (tk_shared_engine){
      .engine = engine, .url = tk_strdup("memory:"), .references = 1, .release = world_release, .context = w};
  return 1;
}

/* open(now_us, seed): a handle on an empty store; the one opened last from now on. */
static int testing_open(lua_State *L) {
  int64_t now_us = luaL_checkinteger(L, 1);
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 2);
  tk_err err;
  tk_check_not_loading(L, "testing.open");
  world *w = tk_calloc(1, sizeof *w);
  w->references = 1;   /* ours, until an engine has its own */
  w->now_us = now_us;
  w->clock = (tk_clock){world_now_us, w};
  if (tk_store_open("memory:", &(tk_store_options){0}, &w->store, &err)) {
    tk_free(w);
    return tk_return_error(L, &err);
  }
  int pushed = open_engine(L, w, seed);
  world_release(w);
  if (pushed == 1) tk_remember_handle(L, -1);
  return pushed;
}

/* join(handle, seed): another process on the same store. */
static int testing_join(lua_State *L) {
  world *w = check_world(L, 1);
  return open_engine(L, w, (uint64_t)luaL_checkinteger(L, 2));
}

static int testing_now(lua_State *L) {
  lua_pushinteger(L, check_world(L, 1)->now_us);
  return 1;
}

/* Time does not go back. */
static int testing_set_now(lua_State *L) {
  world *w = check_world(L, 1);
  int64_t now_us = luaL_checkinteger(L, 2);
  if (now_us > w->now_us) w->now_us = now_us;
  return 0;
}

/* turn(handle, look): one turn, at most one commit -> was there anything to do; `look`: also at what other processes left. */
static int testing_turn(lua_State *L) {
  check_world(L, 1);
  tk_engine *engine = tk_check_handle(L, 1)->shared->engine;
  if (lua_toboolean(L, 2)) tk_engine_nudge(engine);
  lua_pushboolean(L, tk_engine_step_once(engine));
  return 1;
}

/* bury(handle, process): gives back what a dead process held. */
static int testing_bury(lua_State *L) {
  check_world(L, 1);
  lua_pushboolean(L, tk_engine_bury(tk_check_handle(L, 1)->shared->engine, (uint32_t)luaL_checkinteger(L, 2)));
  return 1;
}

/* remember(handle): it is the one opened last. */
static int testing_remember(lua_State *L) {
  tk_check_handle(L, 1);
  tk_remember_handle(L, 1);
  return 0;
}

/* ---- Drivers ---- */

typedef struct driver {
  tk_driven *driven;     /* NULL: closed */
  tk_shared_engine *shared;
  tk_worker_code code;
  tk_handle *handle;     /* kept by the user value */
} driver;

static driver *check_driver(lua_State *L) {
  driver *d = luaL_checkudata(L, 1, DRIVER_TYPE);
  if (!d->driven) luaL_error(L, "this driver is closed");
  if (tk_fiber_current(L)) luaL_error(L, "a step cannot drive the worker that runs it");
  return d;
}

static void forget(lua_State *L, driver *d) {
  d->driven = NULL;
  luaL_unref(L, LUA_REGISTRYINDEX, d->code.run);
  luaL_unref(L, LUA_REGISTRYINDEX, d->code.interrupted);
  luaL_unref(L, LUA_REGISTRYINDEX, d->code.engine);
  tk_shared_release(d->shared);
}

/* drive(handle, run, interrupted, concurrency, shown): a worker of the handle's engine, in this state; `shown` (`handle` unless given), on
 * the same store, is the one that its steps get to see. */
static int testing_drive(lua_State *L) {
  tk_err err;
  world *w = check_world(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  uint32_t concurrency = (uint32_t)luaL_optinteger(L, 4, TK_CONCURRENCY_DEFAULT);
  lua_settop(L, 5);
  if (lua_isnil(L, 5)) lua_pushvalue(L, 1);
  else lua_pushvalue(L, 5);
  check_world(L, 6);
  driver *d = lua_newuserdatauv(L, sizeof *d, 1);
  memset(d, 0, sizeof *d);
  d->code.serve = LUA_NOREF;   /* tasker.testing serves the state's subscriptions */
  luaL_setmetatable(L, DRIVER_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3);
  d->code.interrupted = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 2);
  d->code.run = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 6);
  d->code.engine = luaL_ref(L, LUA_REGISTRYINDEX);
  d->handle = tk_check_handle(L, 1);
  d->shared = d->handle->shared;
  tk_shared_retain(d->shared);
  if (!tk_driven_open(L, d->shared->engine, &d->code, concurrency, &w->clock, &d->driven, &err)) return 1;
  forget(L, d);
  return tk_return_error(L, &err);
}

/* serve(definitions, queues) */
static int driver_serve(lua_State *L) {
  driver *d = check_driver(L);
  tk_arena *arena = &tk_state_scratch(L)->arena;
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  size_t definitions = (size_t)luaL_len(L, 2), queues = (size_t)luaL_len(L, 3);
  uint32_t *numbers = TK_ARENA_ARRAY(arena, uint32_t, definitions + 1);
  const char **names = TK_ARENA_ARRAY(arena, const char *, queues + 1);
  for (size_t i = 0; i < definitions; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    numbers[i] = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  luaL_checkstack(L, (int)queues, NULL);
  for (size_t i = 0; i < queues; i++) {
    lua_rawgeti(L, 3, (lua_Integer)i + 1);
    names[i] = luaL_checkstring(L, -1);
  }
  tk_driven_serve(d->driven, names, queues, numbers, definitions);
  return 0;
}

/* settle() -> true, or nil, err */
static int driver_settle(lua_State *L) {
  driver *d = check_driver(L);
  tk_err err;
  if (tk_driven_settle(d->driven, L, &err)) return tk_return_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int driver_runnable(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tk_driven_runnable(check_driver(L)->driven));
  return 1;
}

/* run(at): 1 to runnable() */
static int driver_run(lua_State *L) {
  driver *d = check_driver(L);
  lua_Integer at = luaL_checkinteger(L, 2);
  luaL_argcheck(L, at >= 1 && (size_t)at <= tk_driven_runnable(d->driven), 2, "one of the runnable steps expected");
  tk_driven_run(d->driven, L, (size_t)at - 1);
  return 0;
}

/* wait() -> did a step wait for the network or a program; something has come then */
static int driver_wait(lua_State *L) {
  lua_pushboolean(L, tk_driven_wait(check_driver(L)->driven));
  return 1;
}

/* peek(at) -> the number of the definition, the step (from 1), the attempt, the task's id */
static int driver_peek(lua_State *L) {
  driver *d = check_driver(L);
  lua_Integer at = luaL_checkinteger(L, 2);
  char id[37];
  luaL_argcheck(L, at >= 1 && (size_t)at <= tk_driven_runnable(d->driven), 2, "one of the runnable steps expected");
  const tk_run_message *run = tk_driven_peek(d->driven, (size_t)at - 1);
  tk_id_format(&run->task_id, id);
  lua_pushinteger(L, run->definition);
  lua_pushinteger(L, (lua_Integer)run->step + 1);
  lua_pushinteger(L, run->attempt);
  lua_pushstring(L, id);
  return 4;
}

static int driver_flush(lua_State *L) {
  lua_pushboolean(L, tk_driven_flush(check_driver(L)->driven));
  return 1;
}

/* next(limits) -> microseconds of the first timer that moves something: what people wait for, or with `limits` any; nil: none */
static int driver_next(lua_State *L) {
  driver *d = check_driver(L);
  bool limits = lua_toboolean(L, 2);
  tk_engine *engine = d->shared->engine;
  int64_t own_us = tk_driven_next_us(d->driven, limits);
  int64_t timer_us = limits ? tk_engine_next_timer_us(engine) : tk_engine_expected_us(engine);
  int64_t next_us = own_us < timer_us ? own_us : timer_us;
  if (next_us == INT64_MAX) return 0;
  lua_pushinteger(L, next_us);
  return 1;
}

static int driver_active(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tk_driven_active(check_driver(L)->driven));
  return 1;
}

static int driver_process(lua_State *L) {
  lua_pushinteger(L, tk_engine_process(check_driver(L)->shared->engine));
  return 1;
}

static int driver_close(lua_State *L) {
  driver *d = luaL_checkudata(L, 1, DRIVER_TYPE);
  if (!d->driven) return 0;
  check_driver(L);
  tk_driven_close(d->driven, L);
  forget(L, d);
  return 0;
}

/* crash(): the process is gone, with its engine; its handle is closed. */
static int driver_crash(lua_State *L) {
  driver *d = check_driver(L);
  tk_driven *driven = d->driven;
  tk_log_waiter_free(d->handle);
  tk_engine_crash(d->shared->engine);
  d->shared->engine = NULL;
  d->handle->shared = NULL;
  tk_shared_release(d->shared);   /* the handle's */
  tk_driven_drop(driven, L, true);
  forget(L, d);
  return 0;
}

/* Collected without a close: nothing of the user's runs any more. */
static int driver_gc(lua_State *L) {
  driver *d = lua_touserdata(L, 1);
  if (!d->driven) return 0;
  tk_driven_drop(d->driven, L, false);
  forget(L, d);
  return 0;
}

void tk_bind_testing(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", testing_open}, {"join", testing_join}, {"now", testing_now}, {"set_now", testing_set_now},
    {"turn", testing_turn}, {"bury", testing_bury}, {"remember", testing_remember}, {"drive", testing_drive}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"serve", driver_serve}, {"settle", driver_settle}, {"runnable", driver_runnable},
    {"run", driver_run}, {"peek", driver_peek}, {"wait", driver_wait}, {"flush", driver_flush}, {"next", driver_next},
    {"active", driver_active}, {"process", driver_process}, {"close", driver_close}, {"crash", driver_crash}, {NULL, NULL}};
  if (luaL_newmetatable(L, DRIVER_TYPE)) {
    lua_pushcfunction(L, driver_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
}
