#include "bind/engine.h"

#include <lauxlib.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "bind/definition.h"
#include "bind/error.h"
#include "worker/worker.h"

#define HANDLE_TYPE "tasker.engine"

static const char last_key;        /* registry: a weak table whose [1] is the handle opened last */

void tk_shared_retain(tk_shared_engine *shared) { __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED); }

void tk_shared_release(tk_shared_engine *shared) {
  if (__atomic_sub_fetch(&shared->references, 1, __ATOMIC_ACQ_REL)) return;
  if (shared->engine) tk_engine_close(shared->engine);
  if (shared->release) shared->release(shared->context);
  tk_free(shared->url);
  tk_free(shared);
}

/* ---- Handles ---- */

tk_handle *tk_check_handle(lua_State *L, int arg) { return luaL_checkudata(L, arg, HANDLE_TYPE); }

tk_engine *tk_check_engine(lua_State *L, int arg, tk_err *err) {
  tk_handle *handle = tk_check_handle(L, arg);
  if (!handle->shared) {
    tk_err_set(err, TK_E_CLOSED, "the app is closed");
    return NULL;
  }
  return tk_engine_alive(handle->shared->engine, err) ? NULL : handle->shared->engine;
}

tk_engine *tk_check_writer(lua_State *L, int arg, tk_err *err) {
  tk_engine *engine = tk_check_engine(L, arg, err);
  if (!engine || !tk_check_handle(L, arg)->shared->read_only) return engine;
  tk_err_set(err, TK_E_REFUSED, "the store '%s' was opened for reading only: open it without read_only to change it",
             tk_check_handle(L, arg)->shared->url);
  return NULL;
}

static void close_handle(tk_handle *handle) {
  tk_shared_engine *shared = handle->shared;
  if (!shared) return;
  tk_log_waiter_free(handle);
  handle->shared = NULL;
  tk_shared_release(shared);
}

static int handle_gc(lua_State *L) {
  close_handle(lua_touserdata(L, 1));
  return 0;
}

static int handle_close(lua_State *L) {
  tk_handle *handle = tk_check_handle(L, 1);
  if (handle->working) {
    tk_err err;
    tk_err_set(&err, TK_E_REFUSED, "the app cannot be closed while it works: stop it first");
    return tk_return_error(L, &err);
  }
  close_handle(handle);
  lua_pushboolean(L, 1);
  return 1;
}

static int handle_tostring(lua_State *L) {
  tk_handle *handle = tk_check_handle(L, 1);
  lua_pushfstring(L, "tasker.engine (%s)", handle->shared ? handle->shared->url : "closed");
  return 1;
}

static int handle_is_open(lua_State *L) {
  lua_pushboolean(L, tk_check_handle(L, 1)->shared != NULL);
  return 1;
}

static int handle_path(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  if (!engine) return tk_return_error(L, &err);
  lua_pushstring(L, tk_store_path(tk_engine_store(engine)));
  return 1;
}

static int handle_url(lua_State *L) {
  tk_err err;
  if (!tk_check_engine(L, 1, &err)) return tk_return_error(L, &err);
  lua_pushstring(L, tk_check_handle(L, 1)->shared->url);
  return 1;
}

tk_handle *tk_push_handle(lua_State *L, tk_shared_engine *shared) {
  tk_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  memset(handle, 0, sizeof *handle);
  luaL_setmetatable(L, HANDLE_TYPE);
  if (shared) {
    tk_shared_retain(shared);
    handle->shared = shared;
  }
  return handle;
}

void tk_remember_handle(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_key);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

static int core_current_engine(lua_State *L) {
  tk_fiber *fiber = tk_fiber_current(L);
  if (fiber) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->worker->code->engine);
    return 1;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_key);
  lua_rawgeti(L, -1, 1);
  return 1;
}

/* ---- Opening ---- */

void tk_check_not_loading(lua_State *L, const char *what) {
  if (tk_state_of(L)->loading) luaL_error(L, "%s is not for handler files while they are loaded: call it in a step or in a script", what);
}

static int core_loading(lua_State *L) {
  tk_state_of(L)->loading = lua_toboolean(L, 1);
  return 0;
}

static void read_open_options(lua_State *L, int t, tk_store_options *options) {
  static const char *const durabilities[] = {"sync", "relaxed", NULL};
  options->durability = (uint8_t)tk_field_choice(L, t, "durability", durabilities, TK_DURABILITY_SYNC);
  options->read_only = tk_field_bool(L, t, "read_only");
  options->map_size = (uint64_t)tk_field_integer(L, t, "map_size", 0);
}

static int core_open(lua_State *L) {
  size_t size;
  const char *url = luaL_checklstring(L, 1, &size);
  tk_engine_options options = {0};
  tk_engine *engine;
  tk_err err;
  tk_check_not_loading(L, "tasker.open");
  if (memchr(url, '\0', size)) return luaL_argerror(L, 1, "a path cannot contain a zero byte");
  lua_settop(L, 2);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    read_open_options(L, 2, &options.store);
  }
  tk_handle *handle = tk_push_handle(L, NULL);
  if (tk_engine_open(url, &options, &engine, &err)) return tk_return_error(L, &err);
  handle->shared = tk_calloc(1, sizeof *handle->shared);
  handle->shared->engine = engine;
  handle->shared->url = tk_strdup(url);
  handle->shared->read_only = options.store.read_only;
  handle->shared->references = 1;
  if (lua_isnoneornil(L, 2) || !tk_field_bool(L, 2, "unnamed")) tk_remember_handle(L, -1);   /* unnamed: nobody asks for it as his app */
  return 1;
}

static int core_compact(lua_State *L) {
  const char *url = luaL_checkstring(L, 1);
  uint64_t before, after;
  tk_err err;
  if (tk_store_compact(url, &before, &after, &err)) return tk_return_error(L, &err);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, (lua_Integer)before);
  lua_setfield(L, -2, "before");
  lua_pushinteger(L, (lua_Integer)after);
  lua_setfield(L, -2, "after");
  return 1;
}

/* ---- Requests ---- */

static int answer(lua_State *L, tk_request *request, tk_request_done done) {
  return request->code ? tk_return_error(L, &request->err) : done(L, request);
}

static int request_resumed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  tk_fiber *fiber = tk_fiber_current(L);
  tk_box *box = lua_touserdata(L, -1);
  if (!fiber || !fiber->request) return luaL_error(L, "the step that this coroutine waited for is gone");
  box->ptr = fiber->request;
  fiber->request = NULL;
  return answer(L, box->ptr, (tk_request_done)context);
}

int64_t tk_now_us(lua_State *L) {
  tk_fiber *fiber = tk_fiber_current(L);
  if (fiber) return tk_engine_now_us(fiber->worker->engine);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_key);
  lua_rawgeti(L, -1, 1);
  const tk_handle *handle = lua_touserdata(L, -1);
  int64_t now_us = handle && handle->shared ? tk_engine_now_us(handle->shared->engine) : tk_clock_now_us(&tk_clock_system);
  lua_pop(L, 2);
  return now_us;
}

static int handle_now(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  if (!engine) return tk_return_error(L, &err);
  lua_pushnumber(L, (lua_Number)tk_engine_now_us(engine) / 1e6);
  return 1;
}

int tk_engine_await(lua_State *L, tk_engine *engine, tk_box *box, tk_request_done done) {
  tk_fiber *fiber = tk_fiber_current(L);
  tk_request *request = box->ptr;
  if (!fiber) {
    tk_engine_call(engine, request);
    return answer(L, request, done);
  }
  tk_fiber_prepare(L, fiber, tk_fiber_cancel_request);
  box->ptr = NULL;
  tk_fiber_request(fiber, engine, request);
  return tk_fiber_park(L, fiber, (lua_KContext)done, request_resumed);
}

static int push_number(lua_State *L, tk_request *request) {
  lua_pushinteger(L, request->number);
  return 1;
}

static int handle_define(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  tk_bound_definition *definition = tk_check_definition(L, 2);
  tk_slice source = {NULL, 0};
  source.data = luaL_optlstring(L, 3, NULL, &source.size);
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_DEFINE, 0);
  tk_definition *d = &request->definition;
  tk_definition_of(definition, tk_engine_now_us(engine), d);
  d->ns = tk_arena_copy(&request->arena, d->ns);
  d->name = tk_arena_copy(&request->arena, d->name);
  d->version = tk_arena_copy(&request->arena, d->version);
  d->graph = tk_arena_copy(&request->arena, d->graph);
  d->json = tk_arena_copy(&request->arena, d->json);
  if (source.data) request->source = tk_arena_copy(&request->arena, source);
  return tk_engine_await(L, engine, box, push_number);
}

void tk_bind_engine(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", core_open}, {"compact", core_compact}, {"current_engine", core_current_engine},
    {"loading", core_loading}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", handle_close}, {"is_open", handle_is_open}, {"path", handle_path}, {"url", handle_url},
    {"define", handle_define}, {"now", handle_now}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  if (luaL_newmetatable(L, HANDLE_TYPE)) {
    lua_pushcfunction(L, handle_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, handle_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    luaL_setfuncs(L, tk_submit_methods, 0);
    luaL_setfuncs(L, tk_read_methods, 0);
    luaL_setfuncs(L, tk_approve_methods, 0);
    luaL_setfuncs(L, tk_limit_methods, 0);
    luaL_setfuncs(L, tk_admission_methods, 0);
    luaL_setfuncs(L, tk_wait_methods, 0);
    luaL_setfuncs(L, tk_work_methods, 0);
    luaL_setfuncs(L, tk_schedule_methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &last_key);
}
