#include "bind/plain.h"

#include "base/clock.h"

#define LOOK_AGAIN_US 100000     /* how often who waits looks whether a signal wants Lua to go on */

typedef struct plain {
  tk_loop *loop;
  tk_loop_timer look;
} plain;

static const char key;

static void not_woken(void *context) { (void)context; }
static void on_look(tk_loop_timer *timer) { (void)timer; }

static int plain_gc(lua_State *L) {
  plain *p = lua_touserdata(L, 1);
  if (p->loop) tk_loop_close(p->loop);
  p->loop = NULL;
  return 0;
}

static plain *plain_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  plain *p = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (p) return p;
  p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (plain){.look = {.fire = on_look}};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, plain_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return p;
}

tk_loop *tk_plain_loop(lua_State *L, tk_err *err) {
  plain *p = plain_of(L);
  if (!p->loop) tk_loop_open(not_woken, NULL, &p->loop, err);
  return p->loop;
}

bool tk_plain_turn(lua_State *L) {
  plain *p = plain_of(L);
  tk_loop_set(p->loop, &p->look, tk_monotonic_us() + LOOK_AGAIN_US);
  tk_loop_turn(p->loop, true);
  tk_loop_unset(p->loop, &p->look);
  return lua_gethookmask(L) == 0;
}
