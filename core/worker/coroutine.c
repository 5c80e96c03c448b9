/* coroutine.*, replaced in states that run steps: a coroutine of the user that waits (tasker.sleep, an app's call) yields to the
 * worker through all that resumed it, and goes on down the same way; for the user's code nothing of it is to be seen. In plain
 * code they are as they were.
 *
 * Each level is a C function between two coroutines: it resumes the inner one and looks at why it came back. */
#include <lauxlib.h>

#include "worker/fiber.h"
#include "worker/worker.h"

static lua_State *get_co(lua_State *L, int arg) {
  lua_State *co = lua_tothread(L, arg);
  luaL_argexpected(L, co, arg, "coroutine");
  return co;
}

/* What came back from `co`: its values on L (count >= 0), or its error on L (-1), or LEVEL_PARKED: L must yield too. */
enum { LEVEL_ERROR = -1, LEVEL_PARKED = -2 };

static int take_values(lua_State *L, lua_State *co, int count) {
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(co, count);
    lua_pushliteral(L, "too many results to resume");
    return LEVEL_ERROR;
  }
  lua_xmove(co, L, count);
  return count;
}

/* The attempt's time is over and L cannot yield: the inner coroutine is closed, and the C callback that holds L is left by an error. */
static int unwind(lua_State *L, lua_State *co, tk_fiber *fiber) {
  lua_sethook(co, NULL, 0, 0);
  lua_resetthread(co);
  tk_fiber_pop_level(fiber);
  fiber->current = L;
  fiber->parking = false;
  return tk_fiber_raise_ended(L, fiber);
}

static int descend(lua_State *L, lua_State *co, int argument_count, tk_fiber *fiber) {
  int count, status;
  if (!fiber) {
    status = lua_resume(co, L, argument_count, &count);
  } else {
    fiber->current = co;
    status = lua_resume(co, L, argument_count, &count);
    fiber->current = L;
    if (status == LUA_YIELD && fiber->parking) {
      if (fiber->ended && !lua_isyieldable(L)) return unwind(L, co, fiber);
      tk_fiber_note_parked(fiber, co, true);
      return LEVEL_PARKED;
    }
    tk_fiber_pop_level(fiber);
    if (fiber->ended) tk_fiber_raise_ended(L, fiber);
  }
  if (status == LUA_OK || status == LUA_YIELD) return take_values(L, co, count);
  lua_xmove(co, L, 1);
  return LEVEL_ERROR;
}

/* Resumes `co` with the argument_count values on top of L. */
static int enter(lua_State *L, lua_State *co, int argument_count) {
  tk_fiber *fiber = tk_fiber_current(L);
  if (tk_fiber_is_parked_inside(co)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return LEVEL_ERROR;
  }
  if (!lua_checkstack(co, argument_count)) {
    lua_pushliteral(L, "too many arguments to resume");
    return LEVEL_ERROR;
  }
  lua_xmove(L, co, argument_count);
  if (fiber) tk_fiber_push_level(fiber, co, !lua_isyieldable(L));
  return descend(L, co, argument_count, fiber);
}

/* Goes on in `co` after the fiber was woken. */
static int enter_again(lua_State *L, lua_State *co) {
  tk_fiber *fiber = tk_fiber_current(L);
  tk_fiber_note_parked(fiber, co, false);
  return descend(L, co, 0, fiber);
}

/* ---- coroutine.resume ---- */

static int finish_resume(lua_State *L, int result, lua_KFunction again) {
  if (result == LEVEL_PARKED) return lua_yieldk(L, 0, 0, again);
  lua_pushboolean(L, result >= 0);
  int count = result >= 0 ? result : 1;
  lua_insert(L, -(count + 1));
  return count + 1;
}

static int resume_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return finish_resume(L, enter_again(L, lua_tothread(L, 1)), resume_again);
}

static int co_resume(lua_State *L) {
  lua_State *co = get_co(L, 1);
  return finish_resume(L, enter(L, co, lua_gettop(L) - 1), resume_again);
}

/* ---- coroutine.wrap ---- */

static int wrap_again(lua_State *L, int status, lua_KContext context);

static int finish_wrap(lua_State *L, int result) {
  if (result == LEVEL_PARKED) return lua_yieldk(L, 0, 0, wrap_again);
  if (result >= 0) return result;
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {   /* it died: its pending variables are closed, which may change the error */
    status = lua_resetthread(co);
    lua_pop(L, 1);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return finish_wrap(L, enter_again(L, lua_tothread(L, lua_upvalueindex(1))));
}

static int wrap_call(lua_State *L) { return finish_wrap(L, enter(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L))); }

static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrap_call, 1);
  return 1;
}

/* ---- The others: as they were (upvalue 1), but for a coroutine inside a fiber that waits ---- */

static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int co_status(lua_State *L) {
  if (tk_fiber_is_parked_inside(get_co(L, 1))) {
    lua_pushliteral(L, "normal");
    return 1;
  }
  return call_original(L);
}

static int co_close(lua_State *L) {
  if (tk_fiber_is_parked_inside(get_co(L, 1))) return luaL_error(L, "cannot close a normal coroutine");
  return call_original(L);
}

static int co_yield(lua_State *L) {
  tk_fiber *fiber = tk_fiber_current(L);
  if (fiber && L == fiber->co) return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

static const char installed_key;

void tk_fiber_install_coroutines(lua_State *L) {
  static const luaL_Reg replaced[] = {{"resume", co_resume}, {"wrap", co_wrap}, {"yield", co_yield}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &installed_key) == LUA_TNIL) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
      luaL_setfuncs(L, replaced, 0);
      lua_getfield(L, -1, "status");
      lua_pushcclosure(L, co_status, 1);
      lua_setfield(L, -2, "status");
      lua_getfield(L, -1, "close");
      lua_pushcclosure(L, co_close, 1);
      lua_setfield(L, -2, "close");
    }
    lua_pop(L, 2);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &installed_key);
  }
  lua_pop(L, 1);
}
