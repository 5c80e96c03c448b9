#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Formats on the stack and writes with write(2): stdio might allocate. */
static _Noreturn void out_of_memory(size_t size) {
  char line[80];
  int length = snprintf(line, sizeof line, "tasker: out of memory (%zu bytes)\n", size);
  ssize_t written = write(STDERR_FILENO, line, (size_t)length);
  (void)written; /* nothing is left to do about a closed stderr */
  abort();
}

void *tk_malloc(size_t size) {
  void *ptr = malloc(size ? size : 1);
  if (!ptr) out_of_memory(size);
  return ptr;
}

void *tk_calloc(size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) out_of_memory(SIZE_MAX);
  void *ptr = calloc(count ? count : 1, size ? size : 1);
  if (!ptr) out_of_memory(count * size);
  return ptr;
}

void *tk_realloc(void *ptr, size_t size) {
  void *moved = realloc(ptr, size ? size : 1);
  if (!moved) out_of_memory(size);
  return moved;
}

void *tk_memdup(const void *data, size_t size) {
  void *copy = tk_malloc(size);
  if (size) memcpy(copy, data, size);
  return copy;
}

char *tk_strdup(const char *text) { return tk_memdup(text, strlen(text) + 1); }

void tk_free(void *ptr) { free(ptr); }
