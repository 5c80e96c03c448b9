/* The engine's inside, shared by its files only. Everything here belongs to the engine's thread unless it says otherwise; while
 * that sleeps, another thread may stand in for it (tk_engine_take_turns). */
#ifndef TK_ENGINE_PARTS_H
#define TK_ENGINE_PARTS_H
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/map.h"
#include "engine/engine.h"
#include "engine/presence.h"
#include "model/decide.h"

/* Pushes a chain of messages at once; moves. */
void tk_port_push_chain(tk_port *port, tk_message *first, tk_message *last);
/* Pushes a TK_MSG_LOG, unless the newest message is one: a reader that does not come must not make the port grow. */
void tk_port_push_log(tk_port *port);

typedef struct tk_batch { uint64_t turn; uint32_t outstanding; } tk_batch;   /* the claims of one turn */

/* One claim that this process holds. */
typedef struct tk_running {
  struct tk_running *older;      /* of the same step: its attempt was fenced, and has not answered yet */
  tk_worker_handle *worker;      /* NULL: its thread was abandoned, nobody will answer */
  tk_batch *batch;
  uint64_t key;                  /* tk_running_key */
  uint32_t attempt;
} tk_running;

struct tk_worker_handle {
  tk_worker_handle *next;
  tk_port *port;
  uint32_t concurrency, running;
  bool paused, until_idle, idle_sent;
  bool interrupts;               /* this turn's messages have an INTERRUPT */
  void (*urge)(void *context);
  void *urge_context;
  tk_slice *queues;              /* names */
  uint32_t *queue_numbers;       /* 0: not known to the store yet */
  size_t queue_count;
  uint32_t *definitions;         /* ascending */
  size_t definition_count;
  tk_message *out_head, *out_tail;   /* this turn's messages, pushed after the commit */
};

typedef struct tk_follower { struct tk_follower *next; tk_port *port; } tk_follower;

/* A call run between turns; the caller waits. */
typedef struct tk_control {
  struct tk_control *next;
  int (*run)(tk_engine *engine, void *argument, tk_err *err);
  void *argument;
  tk_err *err;
  int code;
  _Atomic uint32_t done;
} tk_control;

struct tk_engine {
  /* Constant after open. */
  tk_store *store;
  tk_clock clock;
  pid_t pid;
  char *key;                     /* identity in the registry; NULL: private (memory) */
  bool manual, shared;           /* see tk_engine_options */
  bool read_only;                /* its environment cannot write */
  bool relaxed;                  /* its commits are not synced (TK_DURABILITY_RELAXED) */
  bool unburied;                 /* the disk is full: a dead process still holds work */
  tk_engine *next;               /* registry, under its lock */
  uint32_t references;           /* under the registry's lock */

  /* Any thread. */
  pthread_mutex_t lock;          /* inbox, controls, thread start */
  tk_request *inbox_head, *inbox_tail;
  tk_control *controls;
  bool started, stopping;
  _Atomic bool asleep;
  _Atomic bool urgent;           /* the inbox holds something that nobody will add to soon */
  _Atomic bool lazy_rung;        /* the sleeping engine was rung for lazy requests */
  _Atomic int failed;            /* TK_E_* after the store failed: every request is answered with it */
  tk_err failure;                /* written once before `failed` */
  int bell;                      /* eventfd */
  pthread_rwlock_t graphs_lock;
  tk_map graphs;                 /* definition number -> tk_graph */

  /* The engine's thread, or who holds `turns` while it sleeps. */
  pthread_mutex_t turns;
  int64_t slept_until_us;        /* next_timer_us when the engine's thread went to sleep */
  pthread_t thread;
  tk_rng rng;
  tk_id_source ids;
  tk_arena arena;                /* of the turn */
  tk_worker_handle *workers;
  tk_follower *followers;
  tk_map running;                /* running_key -> tk_running */
  tk_presence *presence;         /* NULL: not joined (no workers and no followers so far, or memory) */
  tk_process process;            /* number 0: not joined */
  uint64_t turn;                 /* number of the last turn */
  uint64_t holds;                /* requests of this process that held something so far: their numbers */
  tk_batch **finished;           /* batches to delete in the next commit */
  size_t finished_count, finished_capacity;
  int64_t next_timer_us;
  uint64_t last_seq;             /* after the last turn: what a last look before sleep compares with */
  uint32_t builtins[TK_BUILTIN_DEFINITIONS];   /* definitions whose code every worker has, as of the last turn; 0: none */
  bool again;                    /* there is more to do at once */
  bool doubts;                   /* a request waits for what a peer holds: is that one alive? */
  tk_running **ended;            /* claims ended by this turn: forgotten after the commit, taken back when it fails */
  size_t ended_count, ended_capacity;
  int64_t peers_seen_us;         /* monotonic: when it last looked after its peers */
  int64_t hold_off_us;           /* after a full disk: no turn before this time */
};

static inline uint64_t tk_running_key(uint64_t task_no, uint32_t step) { return task_no << 24 | step; }

/* engine.c */
void tk_engine_free(tk_engine *engine);
/* Runs `run` between turns and waits for it (a manual engine: at once). */
int tk_engine_control(tk_engine *engine, int (*run)(tk_engine *, void *, tk_err *), void *argument, tk_err *err);
/* The same also after the store failed: who leaves takes its port away, so the engine must not keep it. */
int tk_engine_control_always(tk_engine *engine, int (*run)(tk_engine *, void *, tk_err *), void *argument, tk_err *err);

/* thread.c */
/* Makes the calling thread the one that takes turns; false: the engine's thread is awake. */
bool tk_engine_take_turns(tk_engine *engine);
/* Ends that. The engine's thread is called when it has to do or to plan something, or when `call` says so. */
void tk_engine_give_turns(tk_engine *engine, bool call);
int tk_engine_start_thread(tk_engine *engine, tk_err *err);   /* under engine->lock; once */
int tk_engine_join(tk_engine *engine, tk_err *err);           /* makes this process known to its peers */
void tk_engine_leave(tk_engine *engine);

/* attach.c */
void tk_engine_forget_worker(tk_engine *engine, tk_worker_handle *worker);
void tk_followers_ring(tk_engine *engine);

/* turn.c */
bool tk_engine_turn(tk_engine *engine);                       /* false: there was nothing to do */
/* Gives back all that a dead process held; false: not all, it must stay known. */
bool tk_engine_recover(tk_engine *engine, uint32_t process);
void tk_engine_fail(tk_engine *engine, const tk_err *err);
uint8_t tk_engine_peek_inbox(tk_engine *engine);              /* type of the oldest request, 0: none */
tk_request *tk_engine_take_inbox(tk_engine *engine);          /* oldest first, bounded by TK_TURN_EVENTS but at least one */
void tk_engine_put_back(tk_engine *engine, tk_request *chain); /* in front of the inbox */
void tk_engine_reply(tk_request *request);
void tk_engine_ring(tk_engine *engine);                       /* calls the engine's thread */
const tk_graph *tk_turn_graph(void *engine, uint32_t definition);   /* graph lookup of a turn: resolves its queue names too */

/* children.c; inside a turn */
/* The task above that lets nothing start in this one: paused, cancelled, or waiting for it no more. NULL: none. */
tk_task *tk_children_stopper(tk_engine *engine, const tk_task *task);
/* For decide, which sees one task: to be called before it is asked about a task that has a parent. */
static inline void tk_children_look(tk_engine *engine, tk_task *task) {
  if (task->parent) task->stopped = tk_children_stopper(engine, task) != NULL;
}
/* Whether what is above the task allows a client's operation on it. */
int tk_children_check(tk_engine *engine, const tk_task *task, const tk_event *event, tk_err *err);
/* Makes the child that a SPAWN asks for, unless nobody waits for it any more. */
void tk_children_spawn(tk_engine *engine, tk_decide *d, tk_task *parent, const tk_event *event);
/* schedules.c */
void tk_schedules_take(tk_engine *engine, tk_decide *d, const tk_load *load);   /* due timers and inbox events of schedules */
int tk_schedules_request(tk_engine *engine, tk_decide *d, const tk_event *event, struct tk_answer *answer, tk_err *err);
int64_t tk_schedules_due_us(tk_engine *engine, uint64_t no);                     /* in this turn; 0: none */

/* workers.c */
size_t tk_workers_free(const tk_engine *engine);
/* True: there may be more to claim at once, behind steps that could not start. wanted: the candidates that were asked for. */
bool tk_workers_claim(tk_engine *engine, tk_decide *d, const tk_load *load, size_t wanted);
void tk_workers_ended(tk_engine *engine, const tk_event *event);    /* an outcome came: the slot is free */
void tk_workers_interrupt(tk_engine *engine, const tk_notice *notice);
void tk_workers_perform(tk_engine *engine);                          /* committed: pushes the messages, forgets what ended */
void tk_workers_discard(tk_engine *engine);                          /* not committed: as if the turn had not been */
void tk_workers_tell_idle(tk_engine *engine);
/* Lanes for the plan, in the arena. */
void tk_workers_lanes(tk_engine *engine, tk_plan *plan);

#endif
