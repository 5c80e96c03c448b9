/* Allocation that cannot fail: out of memory ends the process with one clear line (the store is safe: a turn that was
 * not committed never happened). Lua states have their own allocator, where running out is a Lua error. */
#ifndef TK_BASE_ALLOC_H
#define TK_BASE_ALLOC_H
#include <stddef.h>

void *tk_malloc(size_t size);
void *tk_calloc(size_t count, size_t size);
void *tk_realloc(void *ptr, size_t size);
void *tk_memdup(const void *data, size_t size);
char *tk_strdup(const char *text);
void tk_free(void *ptr);

#endif
