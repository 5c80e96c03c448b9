/* Another program, run beside the loop: its input is given, its output is collected, and its end is waited for without a thread or a
 * signal handler (a pidfd in the loop). It leads a process group of its own, so that an end reaches what it started too.
 *
 * Thread: the loop's owner. */
#ifndef TK_NET_SPAWN_H
#define TK_NET_SPAWN_H
#include "base/buf.h"
#include "net/loop.h"

typedef enum tk_spawn_end { TK_SPAWN_EXITED = 0, TK_SPAWN_TIMEOUT, TK_SPAWN_TOO_LARGE } tk_spawn_end;

typedef struct tk_spawn {
  bool done;                     /* it has ended and closed its output */
  tk_spawn_end end;              /* why it was ended, if it was */
  int status;                    /* exit code; 128 + signal when one ended it */
  tk_buf out[2];                 /* standard output, standard error */
  void (*moved)(struct tk_spawn *spawn);   /* called in the loop's turn when it is done; may free it */
  void *context;                 /* the owner's */
} tk_spawn;

typedef struct tk_spawn_options {
  const char *const *argv;       /* NULL at the end; the program is looked for in PATH unless it has a slash */
  const char *const *env;        /* "NAME=value", NULL at the end */
  const char *cwd;               /* NULL: where we are */
  tk_slice input;                /* borrowed until it is freed */
  size_t max_output;             /* bytes of both together */
  int64_t timeout_us;            /* 0: none */
} tk_spawn_options;

/* TK_E_NOT_FOUND: there is no such program or directory; TK_E_IO. */
int tk_spawn_start(tk_loop *loop, const tk_spawn_options *options, tk_spawn **out, tk_err *err);
/* Ends it, if it has not ended: SIGKILL to its group. */
void tk_spawn_free(tk_spawn *spawn);

#endif
