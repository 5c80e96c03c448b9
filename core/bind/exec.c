#include "bind/exec.h"

#include <lauxlib.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/plain.h"
#include "bind/state.h"
#include "net/spawn.h"
#include "worker/worker.h"

#define RUN_TYPE "tasker.program"

typedef struct held {
  tk_spawn *spawn;               /* NULL: closed */
  tk_fiber *fiber;               /* waits for it; NULL: none does */
  bool plain;                    /* in the loop of plain code, not in a worker's */
} held;

static void on_moved(tk_spawn *spawn) {
  held *h = spawn->context;
  tk_fiber *fiber = h->fiber;
  h->fiber = NULL;
  if (fiber) tk_fiber_wake(fiber);
}

static void close_held(held *h) {
  tk_spawn *spawn = h->spawn;
  h->spawn = NULL;
  if (spawn) tk_spawn_free(spawn);
}

static void on_cancel(tk_fiber *fiber) {
  held *h = fiber->operation;
  h->fiber = NULL;
  close_held(h);
}

static held *check_held(lua_State *L) { return luaL_checkudata(L, 1, RUN_TYPE); }

static int exec_close(lua_State *L) {
  close_held(check_held(L));
  return 0;
}

/* The texts of the list in field `name`, NULL at the end; the array stays on the stack while it is needed, the list keeps the texts. */
static const char *const *read_list(lua_State *L, const char *name) {
  luaL_argcheck(L, lua_getfield(L, 1, name) == LUA_TTABLE, 1, "lists argv and env expected");
  lua_Integer count = luaL_len(L, -1);
  const char **texts = lua_newuserdatauv(L, sizeof *texts * (size_t)(count + 1), 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    texts[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  texts[count] = NULL;
  return texts;
}

static int exec_start(lua_State *L) {
  tk_err err;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  held *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (held){NULL, NULL, false};
  luaL_setmetatable(L, RUN_TYPE);
  lua_getfield(L, 1, "input");
  lua_setiuservalue(L, 2, 1);   /* it is borrowed */
  tk_spawn_options options = {.argv = read_list(L, "argv"), .env = read_list(L, "env"), .cwd = tk_field_slice(L, 1, "cwd").data,
    .input = tk_field_slice(L, 1, "input"), .max_output = (size_t)tk_field_integer(L, 1, "max_output", 0),
    .timeout_us = tk_field_us(L, 1, "timeout")};
  luaL_argcheck(L, options.argv[0], 1, "a program expected");
  tk_fiber *fiber = tk_fiber_current(L);
  tk_loop *loop = fiber ? fiber->worker->loop : tk_plain_loop(L, &err);
  if (!loop || tk_spawn_start(loop, &options, &h->spawn, &err)) return tk_return_error(L, &err);
  h->plain = !fiber;
  h->spawn->moved = on_moved;
  h->spawn->context = h;
  lua_settop(L, 2);
  return 1;
}

static int push_end(lua_State *L, held *h) {
  static const char *const ends[] = {NULL, "timeout", "too_large"};
  tk_spawn *spawn = h->spawn;
  if (spawn->end) lua_pushstring(L, ends[spawn->end]);
  else lua_pushinteger(L, spawn->status);
  for (int i = 0; i < 2; i++) lua_pushlstring(L, spawn->out[i].size ? spawn->out[i].data : "", spawn->out[i].size);
  close_held(h);
  return 3;
}

static int go_on(lua_State *L, int status, lua_KContext context) {
  held *h = check_held(L);
  (void)status;
  (void)context;
  if (h->spawn->done) return push_end(L, h);
  tk_fiber *fiber = tk_fiber_current(L);
  tk_fiber_prepare(L, fiber, on_cancel);
  fiber->operation = h;
  h->fiber = fiber;
  return tk_fiber_park(L, fiber, 0, go_on);
}

static int exec_wait(lua_State *L) {
  held *h = check_held(L);
  lua_settop(L, 1);
  luaL_argcheck(L, h->spawn, 1, "a program that was not closed expected");
  if (!h->plain) {
    luaL_argcheck(L, tk_fiber_current(L), 1, "a program of this step expected");
    return go_on(L, LUA_OK, 0);
  }
  while (!h->spawn->done) {
    if (tk_plain_turn(L)) continue;
    lua_pushboolean(L, 0);
    return 1;
  }
  return push_end(L, h);
}

static int exec_environment(lua_State *L) {
  lua_newtable(L);
  for (lua_Integer i = 0; environ[i]; i++) {
    lua_pushstring(L, environ[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

int tk_bind_exec(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", exec_start}, {"wait", exec_wait}, {"close", exec_close},
    {"environment", exec_environment}, {NULL, NULL}};
  if (luaL_newmetatable(L, RUN_TYPE)) {
    lua_pushcfunction(L, exec_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, exec_close);
    lua_setfield(L, -2, "__close");
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
