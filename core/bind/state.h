/* What the binding keeps for one Lua state, and the boxes that hold what C owns while Lua may raise.
 * Thread: the one that runs the state. */
#ifndef TK_BIND_STATE_H
#define TK_BIND_STATE_H
#include <lua.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"

typedef struct tk_state {
  tk_buf buf;           /* scratch of one call: the next call into the binding may overwrite it */
  tk_arena arena;       /* the same */
  tk_rng rng;
  tk_id_source ids;
  bool loading;         /* handler files are being loaded */
} tk_state;

/* The state's; made when first asked for (may raise a memory error). */
tk_state *tk_state_of(lua_State *L);
/* The same with its scratch emptied. */
tk_state *tk_state_scratch(lua_State *L);
/* Pushes the bytes of the scratch buffer as a string. */
void tk_state_push_buf(lua_State *L, tk_state *state);

/* A userdata that owns `ptr` and gives it to `release` when collected, unless ptr is NULL by then. */
typedef struct tk_box {
  void *ptr;
  void (*release)(void *ptr);
} tk_box;
tk_box *tk_box_push(lua_State *L, void (*release)(void *ptr));
void tk_box_release(tk_box *box);

/* Fields of the table at `t` (an absolute index). Absent (nil): the fallback. A wrong type raises: the Lua side has checked. */
lua_Integer tk_field_integer(lua_State *L, int t, const char *name, lua_Integer fallback);
lua_Number tk_field_number(lua_State *L, int t, const char *name, lua_Number fallback);
bool tk_field_bool(lua_State *L, int t, const char *name);
/* Borrows until the table lets go of the string; {NULL, 0} when absent. */
tk_slice tk_field_slice(lua_State *L, int t, const char *name);
/* Seconds as microseconds; absent or false: 0. */
int64_t tk_field_us(lua_State *L, int t, const char *name);
/* Index of the string field in `names` (NULL ends them), `fallback` when absent; raises for another word. */
int tk_field_choice(lua_State *L, int t, const char *name, const char *const names[], int fallback);

/* Seconds to microseconds, rounded, within what 64 bits hold. */
int64_t tk_seconds_to_us(lua_Number seconds);
/* Argument `arg`: an RFC 4122 text; false when it is none. */
bool tk_arg_id(lua_State *L, int arg, tk_id *id);

#endif
