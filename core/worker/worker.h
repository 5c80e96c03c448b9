/* A worker: one thread's Lua state, event loop and mailbox, running steps in fibers until it is stopped.
 *
 * Outcomes are posted lazily and flushed when nothing is left to run here or enough have come together, so that one commit serves many.
 * Thread: one, which calls tk_worker_run; tk_worker_wake from any. */
#ifndef TK_WORKER_WORKER_H
#define TK_WORKER_WORKER_H
#include "base/map.h"
#include "net/http.h"
#include "worker/fiber.h"
#include "worker/watchdog.h"

/* Shared by the workers of one app:work. */
typedef struct tk_work_stop {
  _Atomic bool wanted;               /* no new steps */
  _Atomic int64_t limit_us;          /* what runs then is given back; INT64_MAX: no stop */
} tk_work_stop;

/* What Lua gives: registry references in the worker's state. */
typedef struct tk_worker_code {
  int run, interrupted;              /* step.run, step.interrupted */
  int engine;                        /* the handle, for run.engine */
  int serve;                         /* subscriptions.serve */
  const uint32_t *definitions;       /* borrowed while the worker lives */
  size_t definition_count;
} tk_worker_code;

typedef struct tk_worker_settings {
  uint32_t concurrency;
  const char *const *queues;         /* borrowed; NULL: "default" */
  size_t queue_count;
  bool until_idle;
  int64_t cap_us;                    /* monotonic time to stop at; INT64_MAX: none */
  bool has_task;                     /* stop when `task` is final */
  tk_id task;
} tk_worker_settings;

struct tk_worker {
  lua_State *L;                      /* borrowed: of the state it works in */
  const void *registry;              /* the state's, to tell its coroutines from another state's */
  tk_engine *engine;
  const tk_worker_settings *settings;
  const tk_worker_code *code;
  tk_work_stop *stop;
  void (*request_stop)(void *context, int64_t grace_us);   /* stops all workers of the group */
  void *context;
  /* From the watchdog's thread, its lock held: the worker's thread was given up, later that it did not come back. NULL: nothing to do. */
  void (*given_up_to)(tk_worker *worker, bool lost);
  /* The loop is there to be woken, or is about to go. NULL: nobody wants to know. */
  void (*on_ready)(tk_worker *worker, bool ready);
  /* Called once the worker may be given work, so that what it submits starts at once; the task to work for. NULL: settings has it,
   * if any. */
  int (*begin)(void *context, tk_id *task, tk_err *err);
  void *begin_context;
  bool has_task;                     /* stops when `task` is final */
  tk_id task;
  void (*watch_log)(void *context);  /* NULL: none. Called in the loop after the log has grown, at most once every watch_log_us */
  void *watch_log_context;
  int64_t watch_log_us;
  tk_loop_timer watch_log_timer;
  int64_t watch_log_next_us;
  bool serves;                       /* functions of its state want to see events (tk_worker_serve) */
  tk_loop_timer serve_timer;
  bool retired;                      /* another thread took its place: it ends when it comes back. Set by given_up_to */
  tk_worker_handle *handle;          /* NULL: not attached */
  tk_port *port;
  tk_loop *loop;
  tk_timers *timers;                 /* of fibers: the loop's, or those that go by `clock` */
  tk_http *http[2];                  /* plain and guarded; NULL until a step needs it */
  tk_watch watch;
  _Atomic(tk_fiber *) running;       /* the one that runs Lua now */
  bool given_up;                     /* the watchdog abandoned the handle: nothing that ran counts */
  bool paused;                       /* stopping: takes nothing */
  tk_fiber **fibers;                 /* all, in use or free; owns */
  size_t fiber_count, fiber_capacity, active;
  tk_fiber *free;
  tk_fiber *woken, *woken_last;
  tk_run_message *runs, *runs_last;  /* not started yet */
  pthread_mutex_t batch_lock;        /* the next three: the watchdog flushes what a long step holds back */
  tk_request *batch;                 /* outcomes not posted yet */
  size_t batched;
  _Atomic size_t unflushed;          /* written under the lock */
  int64_t now_us;                    /* monotonic, as of some moment not long ago */
  size_t replies;                    /* requests that will come back to the port */
  tk_map parked;                     /* coroutines of users inside parked fibers */
  uint64_t log_count;                /* rises when the log moves */
  tk_engine **followed;              /* engines whose log it follows; owns the array */
  size_t followed_count;
  size_t log_waiting;                /* fibers with wants_log */
  const tk_clock *clock;             /* moved by hand (driven.h); NULL: time goes by itself */
  int64_t entered_us;                /* with such a clock: monotonic time when it last entered Lua */
  tk_loop_timer cap_timer, stop_timer;
  bool stop_seen;
};

/* The worker whose step runs on this thread, or that runs here; NULL: none. */
tk_worker *tk_worker_current(void);
void tk_worker_set_current(tk_worker *worker);
/* Works until stopped: 0, or an error (attach refused, the store failed). Must not be called from inside a step. */
int tk_worker_run(tk_worker *worker, tk_err *err);
void tk_worker_wake(tk_worker *worker);
static inline int64_t tk_worker_now_us(const tk_worker *worker) {
  return worker->clock ? tk_clock_now_us(worker->clock) : tk_monotonic_us();
}

/* The thread's connections; NULL with why not. */
tk_http *tk_worker_http(tk_worker *worker, bool guarded, tk_err *err);

/* Follows the engine's log, so that log_count moves. Idempotent. */
int tk_worker_follow(tk_worker *worker, tk_engine *engine, tk_err *err);

/* From now on the state's subscriptions are served after each change of the log. */
void tk_worker_serve(tk_worker *worker);

/* ---- The parts of tk_worker_run, for who runs a worker by hand (driven.c) ---- */
int tk_worker_open(tk_worker *worker, tk_err *err);
void tk_worker_close(tk_worker *worker);
int tk_worker_attach(tk_worker *worker, tk_err *err);
/* What is left is ended and given back; requests that are under way are waited for. */
void tk_worker_leave(tk_worker *worker);
void tk_worker_take_messages(tk_worker *worker);
bool tk_worker_resume_next(tk_worker *worker);     /* a step that waited goes on; false: there is none */
bool tk_worker_start_next(tk_worker *worker);      /* the same for one that has not started */

/* ---- Outcomes (outcome.c) ---- */
/* An event about the attempt, to be filled with data of the arena before tk_worker_event_end (nothing in between may raise); posted with
 * others. */
tk_event *tk_worker_event(tk_worker *worker, const tk_run_message *run, uint8_t type, tk_arena **arena);
void tk_worker_event_end(tk_worker *worker);
/* Posts a request with what is batched; moves. */
void tk_worker_post(tk_worker *worker, tk_request *request);
/* Posts what is batched and wakes the engine. Also from the watchdog's thread. */
void tk_worker_flush(tk_worker *worker);
/* A few outcomes that nothing else runs beside: takes their turn at once; then the port is to be looked at. False: there is nothing
 * to take, or too much. */
bool tk_worker_turn_here(tk_worker *worker);
/* {"message","code","retryable"} of an attempt that failed outside Lua. */
tk_slice tk_worker_error_json(tk_arena *arena, const char *code, const char *message, size_t message_size, bool retryable);
/* The fiber is done with its step. */
void tk_worker_recycle(tk_worker *worker, tk_fiber *fiber);

#endif
