/* Preloaded into a program: lets its nth allocation fail, once, or that one and all that follow.
 *
 * The count starts when the program asks for the environment variable TASKER_ALLOC_ARM (in Lua: os.getenv "TASKER_ALLOC_ARM").
 * $TASKER_ALLOC_FAIL   which allocation fails, from 1; 0 or absent: none
 * $TASKER_ALLOC_SPAN   how many fail in a row; absent: 1
 * $TASKER_ALLOC_COUNT  a file that gets the number of allocations counted when the program ends
 * Thread: any. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern char **environ;

static atomic_bool armed;
static atomic_ulong count;
static unsigned long first, span = 1;

static unsigned long number_of(const char *name, unsigned long otherwise) {
  size_t size = strlen(name);
  for (char **entry = environ; entry && *entry; entry++)
    if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=') return strtoul(*entry + size + 1, NULL, 10);
  return otherwise;
}

char *getenv(const char *name) {
  if (strcmp(name, "TASKER_ALLOC_ARM") == 0) {
    first = number_of("TASKER_ALLOC_FAIL", 0);
    span = number_of("TASKER_ALLOC_SPAN", 1);
    atomic_store(&count, 0);
    atomic_store(&armed, true);
    return NULL;
  }
  size_t size = strlen(name);
  for (char **entry = environ; entry && *entry; entry++)
    if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=') return *entry + size + 1;
  return NULL;
}

static bool fails(void) {
  if (!atomic_load_explicit(&armed, memory_order_relaxed)) return false;
  unsigned long n = atomic_fetch_add(&count, 1) + 1;
  if (first == 0 || n < first || n - first >= span) return false;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t items, size_t size) { return fails() ? NULL : __libc_calloc(items, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
  if (fails()) return ENOMEM;
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

__attribute__((destructor)) static void finish(void) {
  const char *path = getenv("TASKER_ALLOC_COUNT");
  if (!path || !atomic_load(&armed)) return;
  atomic_store(&armed, false);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return;
  dprintf(fd, "%lu\n", atomic_load(&count));
  close(fd);
}
