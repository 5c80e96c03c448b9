#include "base/arena.h"

#include "base/alloc.h"
#include "base/err.h"

#define ARENA_ALIGN 16
#define ARENA_BLOCK_FIRST ((size_t)16 * 1024)
#define ARENA_BLOCK_KEEP ((size_t)1024 * 1024) /* what a reset keeps at most, and the largest regular block */

struct tk_arena_block {
  tk_arena_block *older;
  size_t size; /* of what follows the header */
};

/* The header is padded so that the bytes after it are aligned. */
#define ARENA_HEADER ((sizeof(tk_arena_block) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

static void open_block(tk_arena *arena, size_t at_least) {
  size_t size = arena->block ? arena->block->size * 2 : ARENA_BLOCK_FIRST;
  if (size > ARENA_BLOCK_KEEP) size = ARENA_BLOCK_KEEP;
  if (size < at_least) size = at_least;
  tk_arena_block *block = tk_malloc(ARENA_HEADER + size);
  block->older = arena->block;
  block->size = size;
  arena->block = block;
  arena->at = (char *)block + ARENA_HEADER;
  arena->end = arena->at + size;
}

void *tk_arena_alloc(tk_arena *arena, size_t size) {
  TK_ASSERT(size <= PTRDIFF_MAX);
  size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
  if (size == 0) size = ARENA_ALIGN;
  if (size > (size_t)(arena->end - arena->at)) open_block(arena, size);
  void *ptr = arena->at;
  arena->at += size;
  return ptr;
}

void *tk_arena_zalloc(tk_arena *arena, size_t size) { return memset(tk_arena_alloc(arena, size), 0, size); }

tk_slice tk_arena_copy(tk_arena *arena, tk_slice bytes) {
  char *copy = tk_arena_alloc(arena, bytes.size);
  if (bytes.size) memcpy(copy, bytes.data, bytes.size);
  return tk_slice_of(copy, bytes.size);
}

void tk_arena_reset(tk_arena *arena) {
  tk_arena_block *kept = NULL;
  for (tk_arena_block *block = arena->block; block;) {
    tk_arena_block *older = block->older;
    if (block->size <= ARENA_BLOCK_KEEP && (!kept || block->size > kept->size)) {
      tk_free(kept);
      kept = block;
    } else {
      tk_free(block);
    }
    block = older;
  }
  arena->block = kept;
  arena->at = kept ? (char *)kept + ARENA_HEADER : NULL;
  arena->end = kept ? arena->at + kept->size : NULL;
  if (kept) kept->older = NULL;
}

void tk_arena_free(tk_arena *arena) {
  for (tk_arena_block *block = arena->block; block;) {
    tk_arena_block *older = block->older;
    tk_free(block);
    block = older;
  }
  *arena = (tk_arena){0};
}
