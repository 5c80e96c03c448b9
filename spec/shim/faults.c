/* Preloaded into a program: lets calls on a store's file (data.mdb) fail as a disk does.
 *
 * $TASKER_FAULTS  CALL:NTH:ERROR[:SPAN][,...]: the NTH call from 1 on fails with ERROR (ENOSPC or EIO; KILL: the process is killed
 *                 there), SPAN times in a row (1; 0: for ever). CALL: pages (writes of pages), meta (writes through the O_DSYNC
 *                 descriptor), sync; done_meta and done_sync fail after they did their work
 * The count starts when the program asks for the environment variable TASKER_FAULTS_ARM (in Lua: os.getenv "TASKER_FAULTS_ARM").
 * Thread: any. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CALL_NONE = 0, CALL_PAGES, CALL_META, CALL_SYNC, CALL_DONE_PAGES, CALL_DONE_META, CALL_DONE_SYNC, CALL_COUNT };
enum { CALL_DONE = CALL_DONE_PAGES - CALL_PAGES, FD_MAX = 65536 };
enum { KILLED = 0 };   /* in the place of an errno */
static const char *const call_names[CALL_COUNT] = {"", "pages", "meta", "sync", "done_pages", "done_meta", "done_sync"};

static uint8_t watched[FD_MAX]; /* CALL_PAGES or CALL_META: what a write through the descriptor is */
static atomic_bool armed;
static struct fault {
  unsigned long nth, span;
  int error;
  atomic_ulong count;
} faults[CALL_COUNT];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int error_named(const char *name) {
  return strcmp(name, "KILL") == 0 ? KILLED : strcmp(name, "ENOSPC") == 0 ? ENOSPC : EIO;
}

static void arm(const char *text) {
  while (text && *text) {
    char call[16], error[16];
    unsigned long nth, span = 1;
    if (sscanf(text, "%15[a-z_]:%lu:%15[A-Z]:%lu", call, &nth, error, &span) < 3) abort();
    for (int i = 1; i < CALL_COUNT; i++)
      if (strcmp(call, call_names[i]) == 0) faults[i] = (struct fault){nth, span, error_named(error), 0};
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
  if (faults[call].error == KILLED) raise(SIGKILL);
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

/* The result of a call, or -1 when it is to fail: before it is made, or after. */
#define CALL(call, result)                                              \
  ({                                                                    \
    int call_ = (call);                                                 \
    ssize_t result_ = fails(call_) ? -1 : (ssize_t)(result);            \
    call_ != CALL_NONE && fails(call_ + CALL_DONE) ? -1 : result_;      \
  })

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  return CALL(call_of(fd), REAL(pwrite)(fd, data, size, offset));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  return CALL(call_of(fd), REAL(pwrite64)(fd, data, size, offset));
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return CALL(call_of(fd), REAL(writev)(fd, parts, count)); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return CALL(call_of(fd), REAL(pwritev)(fd, parts, count, offset));
}

int fdatasync(int fd) { return (int)CALL(call_of(fd) ? CALL_SYNC : CALL_NONE, REAL(fdatasync)(fd)); }

int fsync(int fd) { return (int)CALL(call_of(fd) ? CALL_SYNC : CALL_NONE, REAL(fsync)(fd)); }
