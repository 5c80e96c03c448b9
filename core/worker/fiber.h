/* A fiber: the coroutine that runs one step's attempt, with the user's own coroutines inside it. fiber.c is the only place that
 * resumes one.
 *
 * What blocks parks the fiber: tk_fiber_prepare (raises where it cannot wait; registers the cancel function), start the
 * operation, `return tk_fiber_park(...)`; tk_fiber_wake lets it go on in its continuation. When the attempt is ended from outside
 * (its time is over, it is cancelled, the worker stops), the cancel function is called and the coroutines are closed, innermost
 * first.
 *
 * Thread: the worker's, all of it. */
#ifndef TK_WORKER_FIBER_H
#define TK_WORKER_FIBER_H
#include <lua.h>
#include <signal.h>

#include "engine/engine.h"
#include "net/loop.h"

typedef struct tk_worker tk_worker;
typedef struct tk_fiber tk_fiber;

typedef enum tk_fiber_place { TK_FIBER_FREE = 0, TK_FIBER_RUNNING, TK_FIBER_PARKED, TK_FIBER_WOKEN } tk_fiber_place;
typedef enum tk_fiber_end {          /* why it is ended from outside */
  TK_END_NONE = 0, TK_END_TIMEOUT, TK_END_HEARTBEAT, TK_END_STOP, TK_END_CANCEL, TK_END_GIVEN_UP
} tk_fiber_end;

/* A coroutine of the user that is on the way from the fiber to where it runs. */
typedef struct tk_fiber_level {
  lua_State *co;
  bool blocked;                      /* the one that resumed it cannot yield: it sits in a C callback */
} tk_fiber_level;

struct tk_fiber {
  tk_worker *worker;
  lua_State *co;                     /* owned by the registry, through ref */
  int ref;
  int run_slot;                      /* registry slot of its run table */
  uint8_t place;
  uint8_t ended;                     /* tk_fiber_end, from the moment its end is decided */
  bool asking;                       /* runs step.interrupted, about `ended` */
  bool exempt;                       /* a stop's limit does not concern it: it is being closed, or asking */
  bool settled;                      /* its outcome is posted */
  bool parking;                      /* it is yielding to the worker, through all levels */
  volatile sig_atomic_t hooked;      /* the signal's handler set the hook */
  tk_fiber *next;                    /* in the free or the woken list */
  tk_run_message *run;               /* owns, while not free */
  lua_State *volatile current;       /* innermost coroutine: where the hook goes */
  tk_fiber_level *levels;            /* outermost first; owns the array */
  size_t level_count, level_capacity, blocked_count;
  int64_t limit_us;                  /* when the attempt's time is over; INT64_MAX: never */
  int64_t heartbeat_us;              /* when the next heartbeat is due; INT64_MAX: none wanted */
  char *traceback;                   /* where it was ended; owns */
  /* While parked. */
  void (*cancel)(tk_fiber *fiber);
  tk_loop_timer timer;               /* of the operation: fires as tk_fiber_wake */
  tk_loop_timer limit_timer;
  void *operation;                   /* what `cancel` is about */
  tk_request *request;               /* awaited, then answered: the fiber's again */
  uint64_t log_seen;                 /* the worker's log_count at this attempt's last look; UINT64_MAX: none yet */
  bool wants_log;                    /* wake it with the next change of the log */
};

/* The fiber of the running step that L belongs to; NULL in plain code. */
tk_fiber *tk_fiber_current(lua_State *L);
/* Pushes the run table of the step that L belongs to; false (and nothing) in plain code. */
bool tk_fiber_push_run(lua_State *L);
/* Raises `message` with the place in the user's code: the nearest caller outside lua/tasker. */
int tk_fiber_misuse(lua_State *L, const char *message);
void tk_fiber_prepare(lua_State *L, tk_fiber *fiber, void (*cancel)(tk_fiber *fiber));
int tk_fiber_park(lua_State *L, tk_fiber *fiber, lua_KContext context, lua_KFunction resumed);
void tk_fiber_wake(tk_fiber *fiber);

/* Operations. Each with its cancel function, for tk_fiber_prepare. */
void tk_fiber_sleep(tk_fiber *fiber, int64_t duration_us);
void tk_fiber_cancel_sleep(tk_fiber *fiber);
void tk_fiber_request(tk_fiber *fiber, tk_engine *engine, tk_request *request);   /* moves; comes back in fiber->request */
void tk_fiber_cancel_request(tk_fiber *fiber);
/* Waits for the log to move past `seen` (a tk_worker_log count), at most timeout_us (< 0: no limit). */
void tk_fiber_wait_log(tk_fiber *fiber, int64_t timeout_us);
void tk_fiber_cancel_log(tk_fiber *fiber);

/* A sign of life: moves the heartbeat's limit. */
void tk_fiber_heartbeat(tk_fiber *fiber);

/* For the worker. */
tk_fiber *tk_fiber_new(tk_worker *worker);                        /* NULL: the Lua state is out of memory */
void tk_fiber_free(tk_fiber *fiber);
void tk_fiber_start(tk_fiber *fiber, tk_run_message *run);        /* moves run; runs until it parks or ends */
void tk_fiber_resume(tk_fiber *fiber);                            /* a woken one goes on */
void tk_fiber_end_now(tk_fiber *fiber, tk_fiber_end end);         /* a parked or woken one */
/* Ran over its limit on this thread? For the signal's handler: async-signal-safe. */
void tk_fiber_expired(void);

/* coroutine.*: replaced in the state once, so that parking passes through the user's own coroutines. Needs the coroutine library. */
void tk_fiber_install_coroutines(lua_State *L);
/* For coroutine.c. */
void tk_fiber_push_level(tk_fiber *fiber, lua_State *co, bool blocked);
void tk_fiber_pop_level(tk_fiber *fiber);
bool tk_fiber_is_parked_inside(const lua_State *co);              /* a level of a parked fiber on this thread */
void tk_fiber_note_parked(tk_fiber *fiber, lua_State *co, bool parked);
int tk_fiber_raise_ended(lua_State *L, tk_fiber *fiber);

#endif
