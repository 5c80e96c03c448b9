/* One thread per process that notices what does not come back: a step that runs past its limit. In pure Lua it is ended by a hook that the
 * directed signal SIGURG sets; in a C call, it is given up after a grace. The thread sleeps until the earliest limit of what runs now; a
 * step in time costs two atomic writes a resume and no wake-up.
 *
 * Also the place where SIGINT and SIGTERM arrive as ordinary calls. */
#ifndef TK_WORKER_WATCHDOG_H
#define TK_WORKER_WATCHDOG_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* One per worker thread. Fields are the watchdog's unless said otherwise. */
typedef struct tk_watch {
  struct tk_watch *next;
  pthread_t thread;
  _Atomic uint64_t word;                 /* sequence << 3 | exempt | state */
  _Atomic int64_t limit_us;              /* monotonic; INT64_MAX: none */
  _Atomic int64_t late_us;               /* when `late` is wanted, if it still runs then; INT64_MAX: not */
  _Atomic bool urged;                    /* set by tk_watch_urge; the worker clears it when it has looked */
  _Atomic int64_t *stop_us;              /* a limit for all that run, lowered by a stop; borrowed */
  uint64_t sequence;                     /* the worker's */
  uint64_t signalled;                    /* sequence that was over its limit */
  uint64_t late_told;                    /* sequence that `late` was called for */
  int64_t since_us;                      /* when it was first signalled, or given up */
  bool lost_told;
  /* Called by the watchdog's thread, with its lock held. late: the worker may be running. The others: it sits in a C call, and cannot go on
   * before they return. */
  void (*late)(struct tk_watch *watch);
  void (*give_up)(struct tk_watch *watch);    /* over its limit and its grace */
  void (*lost)(struct tk_watch *watch);       /* not back long after */
} tk_watch;

/* From the worker's own thread. The signal's handler calls `expired` (async-signal-safe) on that thread. */
int tk_watch_add(tk_watch *watch, void (*expired)(void), tk_err *err);
void tk_watch_remove(tk_watch *watch);
/* Around everything that runs Lua: from now on, not longer than limit_us. `exempt`: stop_us does not concern it. late_us: when
 * others should not wait any longer for what this worker holds back; INT64_MAX: it holds nothing. */
void tk_watch_enter(tk_watch *watch, int64_t limit_us, bool exempt, int64_t late_us);
/* Moves the limit while inside. */
void tk_watch_move(tk_watch *watch, int64_t limit_us);
/* Any thread: the signal comes to the worker's thread as soon as it runs Lua, until `urged` is cleared. */
void tk_watch_urge(tk_watch *watch);
/* True: it was given up meanwhile. */
bool tk_watch_leave(tk_watch *watch);
/* A stop_us was lowered. */
void tk_watchdog_recheck(void);

/* While at least one catcher is there, the first SIGINT or SIGTERM calls every catcher from the watchdog's thread; the second one ends the
 * process. Earlier handlers are restored with the last catcher. */
typedef struct tk_signal_catcher {
  struct tk_signal_catcher *next;
  void (*caught)(struct tk_signal_catcher *catcher);
} tk_signal_catcher;
int tk_signal_catch(tk_signal_catcher *catcher, tk_err *err);
void tk_signal_release(tk_signal_catcher *catcher);

#endif
