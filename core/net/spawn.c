#include "net/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define PATIENCE_US 2000000       /* between SIGTERM and SIGKILL */
#define CHUNK 65536

enum { INPUT, OUTPUT, ERRORS, ENDED, WATCHED };

typedef struct watched { uv_poll_t uv; struct process *process; int fd; bool open; } watched;

typedef struct process {
  tk_spawn public;
  tk_loop *loop;
  pid_t pid;
  bool reaped;
  tk_slice input;
  size_t max_output;
  tk_loop_timer limit;
  watched watched[WATCHED];
  unsigned closing;               /* handles that libuv has not let go of */
  bool freed;
} process;

static void free_if_closed(process *p) {
  if (!p->freed || p->closing) return;
  tk_buf_free(&p->public.out[0]);
  tk_buf_free(&p->public.out[1]);
  tk_free(p);
}

static void on_closed(uv_handle_t *handle) {
  process *p = ((watched *)handle)->process;
  p->closing--;
  free_if_closed(p);
}

static void unwatch(watched *w) {
  if (!w->open) return;
  w->open = false;
  w->process->closing++;
  uv_poll_stop(&w->uv);
  close(w->fd);
  uv_close((uv_handle_t *)&w->uv, on_closed);
}

static void signal_group(const process *p, int number) {
  if (!p->reaped) kill(-p->pid, number);
}

static void look_if_done(process *p) {
  if (!p->reaped || p->watched[OUTPUT].open || p->watched[ERRORS].open) return;
  unwatch(&p->watched[INPUT]);
  tk_loop_unset(p->loop, &p->limit);
  p->public.done = true;
  p->public.moved(&p->public);
}

static void end_early(process *p, tk_spawn_end why) {
  if (p->public.end) return;
  p->public.end = why;
  signal_group(p, SIGTERM);
  tk_loop_set(p->loop, &p->limit, tk_monotonic_us() + PATIENCE_US);
}

static void on_limit(tk_loop_timer *timer) {
  process *p = (process *)((char *)timer - offsetof(process, limit));
  if (!p->public.end) {
    end_early(p, TK_SPAWN_TIMEOUT);
    return;
  }
  /* It had its time to end in good order; what it left behind may hold its output open. */
  signal_group(p, SIGKILL);
  unwatch(&p->watched[OUTPUT]);
  unwatch(&p->watched[ERRORS]);
  look_if_done(p);
}

static void read_output(process *p, watched *w, tk_buf *out) {
  ssize_t size = read(w->fd, tk_buf_reserve(out, CHUNK), CHUNK);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    unwatch(w);
    look_if_done(p);
    return;
  }
  if (p->public.out[0].size + p->public.out[1].size + (size_t)size > p->max_output) {
    end_early(p, TK_SPAWN_TOO_LARGE);
    return;   /* dropped */
  }
  out->size += (size_t)size;
}

static void write_input(process *p, watched *w) {
  ssize_t size = p->input.size ? send(w->fd, p->input.data, p->input.size, MSG_NOSIGNAL) : 0;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) {
    p->input.data += size;
    p->input.size -= (size_t)size;
  }
  if (size < 0 || !p->input.size) unwatch(w);   /* it may have closed its input: that is its business */
}

static void reap(process *p) {
  siginfo_t info = {0};
  if (waitid(P_PIDFD, (id_t)p->watched[ENDED].fd, &info, WEXITED | WNOHANG) || !info.si_pid) return;
  p->public.status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  p->reaped = true;
  unwatch(&p->watched[ENDED]);
  look_if_done(p);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  watched *w = (watched *)poll;
  process *p = w->process;
  (void)status;
  (void)events;
  switch (w - p->watched) {
    case INPUT: write_input(p, w); break;
    case OUTPUT: read_output(p, w, &p->public.out[0]); break;
    case ERRORS: read_output(p, w, &p->public.out[1]); break;
    default: reap(p); break;
  }
}

static int watch(process *p, int which, int fd, tk_err *err) {
  watched *w = &p->watched[which];
  w->process = p;
  w->fd = fd;
  int code = uv_poll_init(tk_loop_uv(p->loop), &w->uv, fd);
  if (code) {
    close(fd);
    return tk_err_set(err, TK_E_IO, "cannot watch a program: %s", uv_strerror(code));
  }
  w->open = true;
  uv_poll_start(&w->uv, which == INPUT ? UV_WRITABLE : UV_READABLE, on_ready);
  return 0;
}

/* The ends of what joins us: a socket for its input, which tells without a signal that nobody reads, and pipes for its output. */
typedef struct joints { int ours[3], theirs[3]; } joints;

static void close_all(int *fds) {
  for (int i = 0; i < 3; i++)
    if (fds[i] >= 0) close(fds[i]);
}

static int make_joints(joints *j, tk_err *err) {
  int pair[2];
  *j = (joints){{-1, -1, -1}, {-1, -1, -1}};
  for (int i = 0; i < 3; i++) {
    int rc = i == INPUT ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC);
    if (rc) {
      int code = tk_err_set(err, TK_E_IO, "cannot make a pipe: %s", strerror(errno));
      close_all(j->ours);
      close_all(j->theirs);
      return code;
    }
    j->ours[i] = pair[0];
    j->theirs[i] = pair[1];
    fcntl(j->ours[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static int spawn(const tk_spawn_options *o, const joints *j, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int code = 0;
  for (int i = 0; i < 3 && !code; i++) code = posix_spawn_file_actions_adddup2(&actions, j->theirs[i], i);
  if (!code && o->cwd) code = posix_spawn_file_actions_addchdir_np(&actions, o->cwd);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  if (!code) code = posix_spawnp(pid, o->argv[0], &actions, &attributes, (char *const *)o->argv, (char *const *)o->env);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

static int refuse(const tk_spawn_options *o, int code, tk_err *err) {
  if (o->cwd && access(o->cwd, X_OK)) return tk_err_set(err, TK_E_NOT_FOUND, "cannot work in '%s': %s", o->cwd, strerror(errno));
  return tk_err_set(err, code == ENOENT ? TK_E_NOT_FOUND : TK_E_IO, "cannot run '%s': %s", o->argv[0], strerror(code));
}

int tk_spawn_start(tk_loop *loop, const tk_spawn_options *o, tk_spawn **out, tk_err *err) {
  joints j;
  pid_t pid;
  int code = make_joints(&j, err);
  if (code) return code;
  int failed = spawn(o, &j, &pid);
  close_all(j.theirs);
  if (failed) {
    close_all(j.ours);
    return refuse(o, failed, err);
  }
  process *p = tk_calloc(1, sizeof *p);
  p->loop = loop;
  p->pid = pid;
  p->input = o->input;
  p->max_output = o->max_output;
  p->limit.fire = on_limit;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) code = tk_err_set(err, TK_E_IO, "cannot watch a program: %s", strerror(errno));
  else code = watch(p, ENDED, pidfd, err);
  for (int i = 0; i < 3; i++) {
    if (code) close(j.ours[i]);
    else code = watch(p, i, j.ours[i], err);
  }
  if (code) {
    tk_spawn_free(&p->public);
    return code;
  }
  if (o->timeout_us) tk_loop_set(loop, &p->limit, tk_monotonic_us() + o->timeout_us);
  *out = &p->public;
  return 0;
}

void tk_spawn_free(tk_spawn *public) {
  process *p = (process *)public;
  if (!p) return;
  tk_loop_unset(p->loop, &p->limit);
  if (!p->reaped) {
    signal_group(p, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) continue;
    p->reaped = true;
  }
  for (int i = 0; i < WATCHED; i++) unwatch(&p->watched[i]);
  p->freed = true;
  free_if_closed(p);
}
