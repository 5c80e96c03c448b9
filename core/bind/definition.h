/* A checked definition as the store keeps it: built from the table that lua/tasker/handler.lua normalised. */
#ifndef TK_BIND_DEFINITION_H
#define TK_BIND_DEFINITION_H
#include <lua.h>

#include "store/store.h"

typedef struct tk_bound_definition {
  tk_graph *graph;      /* owns */
  tk_buf graph_bytes;   /* owns, as the next two */
  char *json;
  size_t json_size;
  bool has_source;
  uint8_t source[32];   /* hash of the source, when there is one */
  uint8_t hash[32];     /* content: graph bytes, JSON, source hash */
} tk_bound_definition;

/* core.definition: the userdata, or nil, err. */
int tk_bind_definition(lua_State *L);
/* The definition at `arg`, or raises. */
tk_bound_definition *tk_check_definition(lua_State *L, int arg);
/* Fills `out`; its slices borrow from `definition`. */
void tk_definition_of(const tk_bound_definition *definition, int64_t now_us, tk_definition *out);

#endif
