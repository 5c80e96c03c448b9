/* Preloaded into a program: lets calls on a store's file (data.mdb) fail as a disk does.
 *
 * $TASKER_FAULTS  CALL:NTH:ERROR[:SPAN][,...]: the NTH call from 1 on fails with ERROR (a number, or ENOSPC EIO EROFS), SPAN times
 *                 in a row (1; 0: for ever). CALL: pages (writes of pages), meta (writes through the O_DSYNC descriptor), sync
 * The count starts when the program asks for the environment variable TASKER_FAULTS_ARM (in Lua: os.getenv "TASKER_FAULTS_ARM").
 * Thread: any. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CALL_NONE = 0, CALL_PAGES, CALL_META, CALL_SYNC, CALL_COUNT, FD_MAX = 65536 };
static const char *const call_names[CALL_COUNT] = {"", "pages", "meta", "sync"};

static uint8_t watched[FD_MAX]; /* CALL_PAGES or CALL_META: what a write through the descriptor is */
static atomic_bool armed;
static struct fault {
  unsigned long nth, span;
  int error;
  atomic_ulong count;
} faults[CALL_COUNT];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int error_of(const char *text) {
  static const struct { const char *name; int value; } known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strncmp(text, known[i].name, strlen(known[i].name)) == 0) return known[i].value;
  return atoi(text);
}

static void arm(const char *text) {
  while (text && *text) {
    char call[16], error[16];
    unsigned long nth, span = 1;
    if (sscanf(text, "%15[a-z]:%lu:%15[A-Z0-9]:%lu", call, &nth, error, &span) < 3) abort();
    for (int i = 1; i < CALL_COUNT; i++)
      if (strcmp(call, call_names[i]) == 0) faults[i] = (struct fault){nth, span, error_of(error), 0};
    text = strchr(text, ',');
    if (text) text++;
  }
  atomic_store(&armed, true);
}

char *getenv(const char *name) {
  char *(*real)(const char *) = REAL(getenv);
  if (strcmp(name, "TASKER_FAULTS_ARM") == 0) arm(real("TASKER_FAULTS"));
  return real(name);
}

static bool fails(int call) {
  if (call == CALL_NONE || !atomic_load(&armed) || faults[call].nth == 0) return false;
  unsigned long n = atomic_fetch_add(&faults[call].count, 1) + 1;
  if (n < faults[call].nth || (faults[call].span && n - faults[call].nth >= faults[call].span)) return false;
  errno = faults[call].error;
  return true;
}

static int call_of(int fd) { return fd >= 0 && fd < FD_MAX ? watched[fd] : CALL_NONE; }

static int opened(int fd, const char *path, int flags) {
  static const char file[] = "data.mdb";
  size_t size = strlen(path), tail = sizeof file - 1;
  bool is_data = size >= tail && strcmp(path + size - tail, file) == 0;
  if (fd >= 0 && fd < FD_MAX) watched[fd] = !is_data ? CALL_NONE : (flags & O_DSYNC) ? CALL_META : CALL_PAGES;
  return fd;
}

#define OPEN_MODE                                           \
  mode_t mode = 0;                                          \
  if (flags & (O_CREAT | O_TMPFILE)) {                      \
    va_list arguments;                                      \
    va_start(arguments, flags);                             \
    mode = va_arg(arguments, mode_t);                       \
    va_end(arguments);                                      \
  }

int open(const char *path, int flags, ...) {
  OPEN_MODE
  return opened(REAL(open)(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE
  return opened(REAL(open64)(path, flags, mode), path, flags);
}

int close(int fd) {
  if (fd >= 0 && fd < FD_MAX) watched[fd] = CALL_NONE;
  return REAL(close)(fd);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  return fails(call_of(fd)) ? -1 : REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  return fails(call_of(fd)) ? -1 : REAL(pwrite64)(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return fails(call_of(fd)) ? -1 : REAL(writev)(fd, parts, count); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return fails(call_of(fd)) ? -1 : REAL(pwritev)(fd, parts, count, offset);
}

int fdatasync(int fd) { return fails(call_of(fd) ? CALL_SYNC : CALL_NONE) ? -1 : REAL(fdatasync)(fd); }

int fsync(int fd) { return fails(call_of(fd) ? CALL_SYNC : CALL_NONE) ? -1 : REAL(fsync)(fd); }
