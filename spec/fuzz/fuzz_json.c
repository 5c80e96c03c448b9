/* Any bytes as JSON text: the checker and the decoder agree, and what was read is written so that it reads the same again. */
#include <lauxlib.h>
#include <lua.h>

#include "base/json.h"
#include "bind/json.h"

#define DEPTH 64

static void write_again(lua_State *L, const tk_json_options *opt, tk_buf *out) {
  tk_err err;
  tk_buf_clear(out);
  TK_ASSERT(tk_json_encode(L, -1, out, opt, &err) == 0);
  TK_ASSERT(tk_json_check(tk_buf_slice(out), DEPTH, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  static tk_buf first, second;
  if (!L) L = luaL_newstate();
  tk_slice text = tk_slice_of(data, size);
  tk_err checked = {0}, decoded = {0};
  int rc = tk_json_check(text, DEPTH, &checked);
  TK_ASSERT(tk_json_decode(L, text, DEPTH, &decoded) == rc);
  TK_ASSERT(strcmp(checked.message, decoded.message) == 0);
  if (rc == 0) {
    static const tk_json_options options[] = {{0}, {.canonical = true}, {.indent = 1}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
      write_again(L, &options[i], &first);
      TK_ASSERT(tk_json_decode(L, tk_buf_slice(&first), DEPTH, &decoded) == 0);
      write_again(L, &options[i], &second);
      TK_ASSERT(tk_slice_eq(tk_buf_slice(&first), tk_buf_slice(&second)));
      lua_pop(L, 1);
    }
  }
  lua_settop(L, 0);
  return 0;
}
