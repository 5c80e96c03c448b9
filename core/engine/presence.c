#include "engine/presence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"

typedef struct peer {
  struct peer *next;
  char name[33];                   /* incarnation, hex */
  int fifo;                        /* write end, -1: not opened */
  int pidfd;                       /* -1: not watched */
  const _Atomic uint32_t *wants;   /* its shared flags, NULL: not mapped */
  bool seen;
} peer;

struct tk_presence {
  char *folder;                    /* <store>/procs */
  char self[33];                   /* "" until joined */
  int lock_fd, fifo_read, fifo_write;
  _Atomic uint32_t *wants;
  peer *peers;
  struct timespec folder_time;     /* of the last look into the folder */
  struct timespec told_time;       /* of the last tk_presence_changed */
};

#define FLAGS_SIZE 64

static void path_of(const tk_presence *p, const char *name, const char *suffix, char out[PATH_MAX]) {
  snprintf(out, PATH_MAX, "%s/%s%s", p->folder, name, suffix);
}

tk_presence *tk_presence_new(const char *store_path) {
  if (!store_path || !*store_path) return NULL;
  tk_presence *p = tk_calloc(1, sizeof *p);
  size_t size = strlen(store_path) + sizeof "/procs";
  p->folder = tk_malloc(size);
  snprintf(p->folder, size, "%s/procs", store_path);
  p->lock_fd = p->fifo_read = p->fifo_write = -1;
  return p;
}

static void free_peer(peer *q) {
  if (q->fifo >= 0) close(q->fifo);
  if (q->pidfd >= 0) close(q->pidfd);
  if (q->wants) munmap((void *)q->wants, FLAGS_SIZE);
  tk_free(q);
}

static void remove_files(tk_presence *p, const char *name) {
  char path[PATH_MAX];
  path_of(p, name, ".fifo", path);
  unlink(path);
  path_of(p, name, "", path);
  unlink(path);
}

void tk_presence_free(tk_presence *p) {
  if (!p) return;
  while (p->peers) {
    peer *next = p->peers->next;
    free_peer(p->peers);
    p->peers = next;
  }
  if (*p->self) remove_files(p, p->self);
  if (p->wants) munmap((void *)p->wants, FLAGS_SIZE);
  if (p->lock_fd >= 0) close(p->lock_fd);
  if (p->fifo_read >= 0) close(p->fifo_read);
  if (p->fifo_write >= 0) close(p->fifo_write);
  tk_free(p->folder);
  tk_free(p);
}

static int fail(tk_err *err, const char *what, const char *path) {
  return tk_err_set(err, errno == ENOSPC ? TK_E_FULL : TK_E_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

int tk_presence_join(tk_presence *p, const uint8_t incarnation[16], tk_err *err) {
  char path[PATH_MAX];
  if (*p->self) return TK_OK;
  if (mkdir(p->folder, 0777) < 0 && errno != EEXIST) return fail(err, "make", p->folder);
  tk_hex(incarnation, 16, p->self);
  path_of(p, p->self, ".fifo", path);
  if (mkfifo(path, 0666) < 0) return fail(err, "make", path);
  p->fifo_read = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (p->fifo_read < 0) return fail(err, "open", path);
  p->fifo_write = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);   /* so that the reader never sees a hang-up */
  if (p->fifo_write < 0) return fail(err, "open", path);
  path_of(p, p->self, "", path);
  p->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (p->lock_fd < 0) return fail(err, "make", path);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  errno = posix_fallocate(p->lock_fd, 0, FLAGS_SIZE);   /* a hole in it would be SIGBUS on a full disk */
  if (errno) return fail(err, "make", path);
  if (fcntl(p->lock_fd, F_OFD_SETLK, &lock) < 0) return fail(err, "lock", path);
  void *page = mmap(NULL, FLAGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->lock_fd, 0);
  if (page == MAP_FAILED) return fail(err, "map", path);
  p->wants = page;
  return TK_OK;
}

void tk_presence_want(tk_presence *p, uint32_t wants) {
  if (p && p->wants) atomic_store(p->wants, wants);
}

static peer *find_peer(tk_presence *p, const char *name, bool make) {
  for (peer *q = p->peers; q; q = q->next)
    if (strcmp(q->name, name) == 0) return q;
  if (!make) return NULL;
  peer *q = tk_calloc(1, sizeof *q);
  memcpy(q->name, name, sizeof q->name);
  q->fifo = q->pidfd = -1;
  q->next = p->peers;
  p->peers = q;
  return q;
}

static void open_peer(tk_presence *p, peer *q) {
  char path[PATH_MAX];
  path_of(p, q->name, "", path);
  int fd = q->wants ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= FLAGS_SIZE) {
    void *page = mmap(NULL, FLAGS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) q->wants = page;
  }
  if (fd >= 0) close(fd);
  path_of(p, q->name, ".fifo", path);
  if (q->fifo < 0) q->fifo = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

static bool is_incarnation(const char *name) { return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32; }

/* Looks into the folder when it changed: peers come and go seldom, commits do not. A change of the last moments is not relied on:
 * file times move in ticks of some milliseconds, and a second change within one tick would not be seen. */
static void refresh(tk_presence *p) {
  struct stat st;
  if (stat(p->folder, &st) < 0) return;
  if (st.st_mtim.tv_sec == p->folder_time.tv_sec && st.st_mtim.tv_nsec == p->folder_time.tv_nsec) return;
  DIR *dir = opendir(p->folder);
  if (!dir) return;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  bool settled = now.tv_sec - st.st_mtim.tv_sec > 1;
  p->folder_time = settled ? st.st_mtim : (struct timespec){0};
  for (peer *q = p->peers; q; q = q->next) q->seen = false;
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (!is_incarnation(entry->d_name) || strcmp(entry->d_name, p->self) == 0) continue;
    find_peer(p, entry->d_name, true)->seen = true;
  }
  closedir(dir);
  for (peer **at = &p->peers; *at;) {
    peer *q = *at;
    if (q->seen || q->pidfd >= 0) {
      at = &q->next;
      continue;
    }
    *at = q->next;
    free_peer(q);
  }
}

bool tk_presence_changed(tk_presence *p) {
  struct stat st;
  if (!p || stat(p->folder, &st) < 0) return false;
  bool same = st.st_mtim.tv_sec == p->told_time.tv_sec && st.st_mtim.tv_nsec == p->told_time.tv_nsec;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  p->told_time = now.tv_sec - st.st_mtim.tv_sec > 1 ? st.st_mtim : (struct timespec){0};
  return !same;
}

/* Full: it has enough to wake it. Gone: its death is seen elsewhere; here it must not end the thread that takes the turn, which
 * may be any, with its signals as they are. */
static void call(int fifo) {
  static const struct timespec now = {0, 0};
  sigset_t pipe, old;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &old);
  bool gone = write(fifo, "", 1) < 0 && errno == EPIPE;
  if (sigismember(&old, SIGPIPE)) return;
  while (gone && sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void tk_presence_wake(tk_presence *p, uint32_t reasons) {
  if (!p) return;
  refresh(p);
  for (peer *q = p->peers; q; q = q->next) {
    if (q->fifo < 0 || !q->wants) open_peer(p, q);
    if (q->fifo < 0 || !q->wants || !(atomic_load(q->wants) & reasons)) continue;
    call(q->fifo);
  }
}

void tk_presence_poll(tk_presence *p, struct pollfd *fds, size_t *count, size_t max) {
  if (!p) return;
  if (p->fifo_read >= 0 && *count < max) fds[(*count)++] = (struct pollfd){.fd = p->fifo_read, .events = POLLIN};
  for (peer *q = p->peers; q && *count < max; q = q->next)
    if (q->pidfd >= 0) fds[(*count)++] = (struct pollfd){.fd = q->pidfd, .events = POLLIN};
}

bool tk_presence_rang(tk_presence *p, const struct pollfd *fds, size_t count, bool *died) {
  bool rang = false;
  if (!p) return false;
  for (size_t i = 0; i < count; i++) {
    if (!fds[i].revents) continue;
    if (fds[i].fd == p->fifo_read) {
      char bytes[512];
      while (read(p->fifo_read, bytes, sizeof bytes) == (ssize_t)sizeof bytes) continue;
      rang = true;
      continue;
    }
    for (peer *q = p->peers; q; q = q->next)
      if (q->pidfd == fds[i].fd) {
        close(q->pidfd);
        q->pidfd = -1;
        *died = true;
      }
  }
  return rang;
}

bool tk_presence_alive(tk_presence *p, const uint8_t incarnation[16]) {
  char name[33], path[PATH_MAX];
  if (!p) return true;
  tk_hex(incarnation, 16, name);
  if (strcmp(name, p->self) == 0) return true;
  path_of(p, name, "", path);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno != ENOENT;   /* no file: it died before, or was buried; anything else proves nothing */
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int result = fcntl(fd, F_OFD_GETLK, &lock);
  close(fd);
  return result < 0 || lock.l_type != F_UNLCK;
}

void tk_presence_watch(tk_presence *p, const uint8_t incarnation[16], int32_t pid) {
  char name[33];
  if (!p) return;
  tk_hex(incarnation, 16, name);
  if (strcmp(name, p->self) == 0) return;
  peer *q = find_peer(p, name, true);
  if (q->pidfd < 0) q->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (q->pidfd >= 0) fcntl(q->pidfd, F_SETFD, FD_CLOEXEC);
}

void tk_presence_bury(tk_presence *p, const uint8_t incarnation[16]) {
  char name[33];
  if (!p) return;
  tk_hex(incarnation, 16, name);
  remove_files(p, name);
  for (peer **at = &p->peers; *at; at = &(*at)->next)
    if (strcmp((*at)->name, name) == 0) {
      peer *gone = *at;
      *at = gone->next;
      free_peer(gone);
      return;
    }
}
