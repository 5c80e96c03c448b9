/* Preloaded into a program that writes a store: records what reaches the store's file, in order, with the syncs between.
 *
 * $TASKER_POWER_DIR   the store's directory, as an absolute path; its data.mdb is recorded, and data.new, which may become it
 * $TASKER_POWER_LOG   where the records go; several processes may append to one log, and so may a test (acknowledgements)
 *
 * A record: six little-endian 64-bit numbers (magic, kind, offset, size, what, data size), then the data. A write is recorded
 * before it is made (it may have reached the disk from then on), a sync after it succeeded (only then is it a promise). LMDB
 * writes under its lock, so the order of the log is the order of the writes. Thread: any. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kinds; spec/power/states.lua reads them. */
enum {
  KIND_WRITE = 1, KIND_SYNC, KIND_WRITE_SYNCED, KIND_TRUNCATE, KIND_DIRECTORY_SYNC, KIND_ACK, KIND_MAP_SYNC, KIND_CREATE, KIND_RENAME
};
/* What a descriptor is, and what a record tells of: bits. WATCH_NEW: of data.new; of a directory: of the one above the store's. */
enum { WATCH_NONE = 0, WATCH_FILE = 1, WATCH_SYNCED = 2, WATCH_NEW = 4, FD_MAX = 65536, PARTS_MAX = 1024 };
static const uint64_t magic = 0x7265776f70; /* "power" */

static uint8_t watched[FD_MAX]; /* WATCH_* by descriptor */
static int log_fd = -1;
static const char *store_dir;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("TASKER_POWER_LOG");
  store_dir = getenv("TASKER_POWER_DIR");
  if (!path || !store_dir) return;
  log_fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static void record(uint64_t kind, uint64_t offset, uint64_t size, uint64_t what, const struct iovec *parts, int count) {
  struct iovec all[PARTS_MAX + 1];
  uint64_t data_size = 0;
  for (int i = 0; i < count; i++) {
    all[i + 1] = parts[i];
    data_size += parts[i].iov_len;
  }
  uint64_t head[6] = {magic, kind, offset, size, what, data_size};
  all[0].iov_base = head;
  all[0].iov_len = sizeof head;
  /* One call: appended as a whole, whoever else appends. */
  if (REAL(writev)(log_fd, all, count + 1) != (ssize_t)(sizeof head + data_size)) abort();
}

static void record_kind(uint64_t kind, uint64_t what) {
  int kept = errno;
  record(kind, 0, 0, what, NULL, 0);
  errno = kept;
}

static uint8_t watch_of(int fd) { return fd >= 0 && fd < FD_MAX ? watched[fd] : WATCH_NONE; }

/* WATCH_FILE, with WATCH_NEW for data.new, or WATCH_NONE. */
static uint8_t watch_of_path(const char *path) {
  size_t size = strlen(store_dir);
  if (strncmp(path, store_dir, size) != 0 || path[size] != '/') return WATCH_NONE;
  if (strcmp(path + size + 1, "data.mdb") == 0) return WATCH_FILE;
  return strcmp(path + size + 1, "data.new") == 0 ? WATCH_FILE | WATCH_NEW : WATCH_NONE;
}

static bool path_of(int fd, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size > 0 ? size : 0] = '\0';
  return size > 0;
}

static int opened(int fd, int flags) {
  if (fd < 0 || fd >= FD_MAX || log_fd < 0) return fd;
  int kept = errno;
  char path[PATH_MAX];
  if (path_of(fd, path)) {
    watched[fd] = watch_of_path(path);
    if (watched[fd] && (flags & O_CREAT) && lseek(fd, 0, SEEK_END) == 0) record_kind(KIND_CREATE, watched[fd]);
    if (watched[fd]) lseek(fd, 0, SEEK_SET);
    if (watched[fd] && (flags & O_DSYNC)) watched[fd] |= WATCH_SYNCED;
  }
  errno = kept;
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
  return opened(REAL(open)(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE
  return opened(REAL(open64)(path, flags, mode), flags);
}

int openat(int dir, const char *path, int flags, ...) {
  OPEN_MODE
  return opened(REAL(openat)(dir, path, flags, mode), flags);
}

int close(int fd) {
  if (fd >= 0 && fd < FD_MAX) watched[fd] = WATCH_NONE;
  return REAL(close)(fd);
}

static void wrote(int fd, const struct iovec *parts, int count, off_t offset) {
  if (count > PARTS_MAX) abort();
  uint64_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  record(KIND_WRITE, (uint64_t)offset, size, watch_of(fd), parts, count);
}

/* After a write through a descriptor opened with O_DSYNC. */
static ssize_t synced(int fd, ssize_t result) {
  if (result >= 0 && (watch_of(fd) & WATCH_SYNCED)) record_kind(KIND_WRITE_SYNCED, watch_of(fd));
  return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  struct iovec part = {(void *)data, size};
  if (watch_of(fd)) wrote(fd, &part, 1, offset);
  return synced(fd, REAL(pwrite)(fd, data, size, offset));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  struct iovec part = {(void *)data, size};
  if (watch_of(fd)) wrote(fd, &part, 1, offset);
  return synced(fd, REAL(pwrite64)(fd, data, size, offset));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  if (watch_of(fd)) wrote(fd, parts, count, offset);
  return synced(fd, REAL(pwritev)(fd, parts, count, offset));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  if (watch_of(fd)) wrote(fd, parts, count, offset);
  return synced(fd, REAL(pwritev64)(fd, parts, count, offset));
}

ssize_t write(int fd, const void *data, size_t size) {
  struct iovec part = {(void *)data, size};
  if (watch_of(fd)) wrote(fd, &part, 1, lseek(fd, 0, SEEK_CUR));
  return synced(fd, REAL(write)(fd, data, size));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (watch_of(fd)) wrote(fd, parts, count, lseek(fd, 0, SEEK_CUR));
  return synced(fd, REAL(writev)(fd, parts, count));
}

static int after_sync(int fd, int result) {
  if (result != 0 || log_fd < 0) return result;
  if (watch_of(fd)) {
    record_kind(KIND_SYNC, watch_of(fd));
    return result;
  }
  char path[PATH_MAX];
  if (!path_of(fd, path)) return result;
  size_t above = (size_t)(strrchr(store_dir, '/') - store_dir);
  if (strcmp(path, store_dir) == 0) record_kind(KIND_DIRECTORY_SYNC, 0);
  else if (strlen(path) == above && memcmp(path, store_dir, above) == 0) record_kind(KIND_DIRECTORY_SYNC, WATCH_NEW);
  return result;
}

int fdatasync(int fd) { return after_sync(fd, REAL(fdatasync)(fd)); }

int fsync(int fd) { return after_sync(fd, REAL(fsync)(fd)); }

int ftruncate(int fd, off_t size) {
  if (watch_of(fd)) record(KIND_TRUNCATE, 0, (uint64_t)size, watch_of(fd), NULL, 0);
  return REAL(ftruncate)(fd, size);
}

int rename(const char *from, const char *to) {
  if (log_fd >= 0 && watch_of_path(from) && watch_of_path(to)) record_kind(KIND_RENAME, 0);
  return REAL(rename)(from, to);
}

/* A store must not be written through its map: what reaches the disk then has no order. */
int msync(void *address, size_t size, int flags) {
  if (log_fd >= 0) record_kind(KIND_MAP_SYNC, 0);
  return REAL(msync)(address, size, flags);
}
