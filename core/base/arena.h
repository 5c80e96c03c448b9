/* A bump allocator: everything of one turn lives here and goes at once. Not thread-safe: one owner. */
#ifndef TK_BASE_ARENA_H
#define TK_BASE_ARENA_H
#include "base/buf.h"

typedef struct tk_arena_block tk_arena_block;
typedef struct tk_arena {
  tk_arena_block *block;  /* newest block */
  char *at, *end;
} tk_arena;

/* 16-byte aligned, not zeroed; never NULL. */
void *tk_arena_alloc(tk_arena *arena, size_t size);
void *tk_arena_zalloc(tk_arena *arena, size_t size);
tk_slice tk_arena_copy(tk_arena *arena, tk_slice bytes);
/* Forgets all allocations, keeps one block (at most 1 MiB) for reuse. */
void tk_arena_reset(tk_arena *arena);
void tk_arena_free(tk_arena *arena);
#define TK_ARENA_NEW(arena, type) ((type *)tk_arena_zalloc((arena), sizeof(type)))
#define TK_ARENA_ARRAY(arena, type, count) ((type *)tk_arena_zalloc((arena), sizeof(type) * (size_t)(count)))

#endif
