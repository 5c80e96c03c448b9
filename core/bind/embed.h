/* The Lua files that the build put into this program or library: lua/tasker and handlers, by module name.
 * Read-only and fixed at link time: any thread. */
#ifndef TK_BIND_EMBED_H
#define TK_BIND_EMBED_H

#include <stddef.h>

struct lua_State;

/* Laid out by tools/embed: six words. */
typedef struct tk_embedded {
  const char *module; /* "tasker.cli" */
  const char *chunk;  /* "@tasker/cli/init.lua" */
  const char *text;   /* not NUL-terminated */
  size_t size;
  const char *code;   /* the same compiled, for the Lua library that tk_embed_ident names */
  size_t code_size;
} tk_embedded;

/* The file of this module, or NULL. */
const tk_embedded *tk_embedded_find(const char *module);

/* All files, ordered by module name; `*count` gets their number. */
const tk_embedded *tk_embedded_all(size_t *count);

/* Makes `require` find the embedded files: right after package.preload, before any path. Call once per state, with the
 * package library open. */
void tk_embed_install_searcher(struct lua_State *L);

#endif
