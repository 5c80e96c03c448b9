/* The engine as Lua sees it: a handle that shares the process's engine, and its methods (open, define, submit, event here; what is read in
 * read.c, work in work.c).
 *
 * A call that has to wait for the engine waits in place in a plain script, and parks the fiber inside a step. */
#ifndef TK_BIND_ENGINE_H
#define TK_BIND_ENGINE_H
#include <lua.h>

#include <lauxlib.h>

#include "bind/state.h"
#include "engine/engine.h"

/* One opened engine, shared by the handles of all Lua states that use it: the last one closes it. */
typedef struct tk_shared_engine {
  tk_engine *engine;
  char *url;
  bool read_only;       /* asked for at open: the environment underneath may be shared with one that writes */
  int references;       /* atomic */
  void (*release)(void *context);   /* what the engine stands on, given back after it is closed; NULL: nothing */
  void *context;
} tk_shared_engine;

typedef struct tk_log_waiter tk_log_waiter;
typedef struct tk_handle {
  tk_shared_engine *shared;   /* NULL: closed */
  int working;                /* workers that run on this handle's state */
  tk_log_waiter *waiter;      /* of wait_log in plain code; NULL: not followed yet */
} tk_handle;

void tk_shared_retain(tk_shared_engine *shared);
void tk_shared_release(tk_shared_engine *shared);

/* The handle at `arg`; raises when it is none. */
tk_handle *tk_check_handle(lua_State *L, int arg);
/* The engine of the handle at `arg`, or NULL with err: closed. */
tk_engine *tk_check_engine(lua_State *L, int arg, tk_err *err);
/* The same for what changes the store: NULL with err (refused) too when it was opened for reading only. */
tk_engine *tk_check_writer(lua_State *L, int arg, tk_err *err);
/* Pushes a new handle on `shared` (takes a reference of its own). */
tk_handle *tk_push_handle(lua_State *L, tk_shared_engine *shared);
/* Remembers the handle at `index` as the one opened last in this state. */
void tk_remember_handle(lua_State *L, int index);
/* Raises while handler files are being loaded. */
void tk_check_not_loading(lua_State *L, const char *what);

/* The time of the store that L works with: of the step that runs, else of the handle opened last. */
int64_t tk_now_us(lua_State *L);

/* Ends a call: posts the request that the box on top of the stack owns, waits, and returns what `done` pushes. */
typedef int (*tk_request_done)(lua_State *L, tk_request *request);
int tk_engine_await(lua_State *L, tk_engine *engine, tk_box *box, tk_request_done done);

int tk_bind_serve(lua_State *L);   /* core.serve (work.c) */
/* core.open, core.current_engine, core.loading, core.compact, and the handle's metatable with every method. */
void tk_bind_engine(lua_State *L);

/* Methods that other files contribute. */
extern const luaL_Reg tk_submit_methods[];
extern const luaL_Reg tk_read_methods[];
extern const luaL_Reg tk_approve_methods[];
extern const luaL_Reg tk_limit_methods[];
extern const luaL_Reg tk_admission_methods[];
extern const luaL_Reg tk_wait_methods[];
extern const luaL_Reg tk_work_methods[];
extern const luaL_Reg tk_schedule_methods[];
/* Ends what wait_log holds. */
void tk_log_waiter_free(tk_handle *handle);

#endif
