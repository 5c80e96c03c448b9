/* The codec between Lua values and JSON text (RFC 8259, strict), without a tree in between. Thread: the one that runs the state.
 *
 * A table whose keys are 1..n is an array, one with string keys an object; an empty one is an object unless it carries the
 * array marker: a metatable that tasker.array and decoding give to every array, so that it stays one when it is emptied. JSON
 * null is a value of its own, tasker.null (one userdata for each state). Metamethods are not asked. Integers of 64 bits stay
 * integers, floats stay floats ("1.0"); keys are written sorted, so that equal values are equal bytes. */
#ifndef TK_BIND_JSON_H
#define TK_BIND_JSON_H
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"

#define TK_JSON_DEPTH 10000             /* where max_depth is 0: well within the million slots of a Lua stack */
#define TK_JSON_SIZE ((size_t)1 << 30)  /* where max_size is 0, and of a text to decode: shared tables can be huge written out */

typedef struct tk_json_options {
  int indent;          /* spaces for each level; 0: all on one line, no space */
  bool canonical;      /* RFC 8785; integers are written in full. Without indent */
  int max_depth;       /* levels of nesting */
  size_t max_size;     /* of the text */
  bool list_expected;  /* an empty table at the top is [] */
  bool unmarked;       /* of decoding: an empty object bears no mark either */
} tk_json_options;

/* Appends the value at `idx` to `out`; nil is null. `opt` may be NULL. 0, or TK_E_INVALID with the place in message and details
 * ("at $.items[3].x: a function cannot be JSON"; indexes count from 1, as in Lua), `out` and the stack as they were.
 * Never raises. */
int tk_json_encode(lua_State *L, int idx, tk_buf *out, const tk_json_options *opt, tk_err *err);
/* Pushes the value of `text`; of equal keys the last counts. 0, or TK_E_INVALID with the position (see tk_json_check) and nothing
 * pushed. Raises only when Lua is out of memory. max_depth 0: TK_JSON_DEPTH. */
int tk_json_decode(lua_State *L, tk_slice text, int max_depth, tk_err *err);
/* The same by options, of which max_depth and unmarked count. */
int tk_json_decode_by(lua_State *L, tk_slice text, const tk_json_options *opt, tk_err *err);

/* Push what stands for null, the metatable that marks arrays, and the one that decoding gives to empty objects, which says only
 * that they are no empty arrays; each is made when first asked for. */
void tk_json_push_null(lua_State *L);
void tk_json_push_array_marker(lua_State *L);
void tk_json_push_object_marker(lua_State *L);
/* What the two are in this state, without pushing, to compare lua_touserdata and lua_topointer with; NULL before they were
 * made. Never raise. */
const void *tk_json_null_value(lua_State *L);
const void *tk_json_array_marker(lua_State *L);

/* The module: encode decode array is_array null. */
int luaopen_tasker_json(lua_State *L);

#endif
