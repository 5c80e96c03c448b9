/* One app:work: a worker in the calling thread and state, or threads with a state of their own each; started together, stopped
 * together by a signal, by app:stop, by being idle, or by time. */
#ifndef TK_WORKER_GROUP_H
#define TK_WORKER_GROUP_H
#include "worker/memory.h"
#include "worker/worker.h"

typedef struct tk_group_options {
  tk_engine *engine;                 /* borrowed */
  tk_worker_settings settings;
  /* Called in the calling thread once signals are caught, then after the log has grown: at most once every watch_us, and once more at the
   * end. NULL: not. */
  void (*watch)(void *context);
  int64_t watch_us;
  /* As tk_worker.begin, in the calling state only; NULL: none. */
  int (*begin)(void *context, tk_id *task, tk_err *err);
  void *context;
} tk_group_options;

/* How threads get their states. Called in the thread; `shared` outlives it: the last thread's release frees it. */
typedef struct tk_thread_states {
  int (*open)(void *shared, tk_memory *memory, lua_State **L, tk_worker_code *code, tk_err *err);
  void (*close)(void *shared, lua_State *L, tk_worker_code *code);
  void (*retain)(void *shared);
  void (*release)(void *shared);
  void *shared;
} tk_thread_states;

/* Works in the calling state until stopped. */
int tk_group_work_here(const tk_group_options *options, lua_State *L, const tk_worker_code *code, size_t memory_limit, tk_err *err);
/* Works in `threads` threads until stopped. */
int tk_group_work_threads(const tk_group_options *options, uint32_t threads, const tk_thread_states *states, size_t memory_limit,
                          tk_err *err);
/* Stops the work that this thread's step belongs to, or whose threads it waits for; false: there is none. */
bool tk_group_stop_current(void);

#endif
