#include "worker/memory.h"

#include <stdlib.h>
#include <string.h>

void *tk_memory_alloc(void *context, void *ptr, size_t old_size, size_t new_size) {
  tk_memory *memory = context;
  if (!ptr) old_size = 0;   /* it is a type then */
  if (memory->limit && new_size > old_size && memory->used + (new_size - old_size) > memory->limit) return NULL;
  void *result;
  if (memory->inner) {
    result = memory->inner(memory->inner_context, ptr, old_size, new_size);
  } else if (new_size == 0) {
    free(ptr);
    result = NULL;
  } else {
    result = realloc(ptr, new_size);
  }
  if (result || new_size == 0) memory->used += new_size - old_size;
  return result;
}

void tk_memory_limit(lua_State *L, tk_memory *memory, size_t limit) {
  memset(memory, 0, sizeof *memory);
  memory->limit = limit;
  if (!limit) return;
  memory->used = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  memory->inner = lua_getallocf(L, &memory->inner_context);
  lua_setallocf(L, tk_memory_alloc, memory);
}

void tk_memory_unlimit(lua_State *L, tk_memory *memory) {
  if (memory->limit) lua_setallocf(L, memory->inner, memory->inner_context);
}
