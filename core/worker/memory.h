/* The memory of one Lua state, with a limit: beyond it Lua collects all garbage and, if that does not help, raises "not enough memory".
 * Thread: the state's. */
#ifndef TK_WORKER_MEMORY_H
#define TK_WORKER_MEMORY_H
#include <lua.h>

typedef struct tk_memory {
  size_t used, limit;                /* bytes; limit 0: none */
  lua_Alloc inner;                   /* the state's own allocator, while it is limited from outside; NULL: malloc */
  void *inner_context;
} tk_memory;

void *tk_memory_alloc(void *memory, void *ptr, size_t old_size, size_t new_size);   /* a lua_Alloc */
/* Limits a state that was made with another allocator, and lifts that. */
void tk_memory_limit(lua_State *L, tk_memory *memory, size_t limit);
void tk_memory_unlimit(lua_State *L, tk_memory *memory);

#endif
