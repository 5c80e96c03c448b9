/* The engine: one per store in a process, with one thread that takes turns. Everything goes in as a request and comes back to a port.
 * The engine never calls Lua and knows nothing of it.
 *
 * A message's route: requester -> engine inbox -> turn (decide, commit) -> perform -> requester's port (replies) or worker's port (run,
 * interrupt). Threads meet in these mailboxes only. */
#ifndef TK_ENGINE_ENGINE_H
#define TK_ENGINE_ENGINE_H
#include "store/store.h"

typedef struct tk_engine tk_engine;

typedef struct tk_engine_options {
  tk_store_options store;
  const tk_clock *clock;          /* NULL: the system's */
  bool manual; /* no thread: the caller takes turns with tk_engine_step (simulation, virtual time); calls must not block */
  uint64_t seed;                  /* of a manual engine's random source */
  tk_store *shared; /* a manual engine over a store that somebody else owns and that several engines share; NULL: opens its own */
} tk_engine_options;

/* Opens the store's engine in this process, or takes a reference to the one that is open (same directory). `closed` is answered by every
 * call after a fork in the child. */
int tk_engine_open(const char *url, const tk_engine_options *options, tk_engine **out, tk_err *err);
/* Gives the reference back; the last one stops the thread and closes the store. Workers of this reference must be detached. */
void tk_engine_close(tk_engine *engine);
tk_store *tk_engine_store(tk_engine *engine);        /* for snapshots; any thread */
int tk_engine_alive(tk_engine *engine, tk_err *err); /* 0, or closed (fork, failed store) */
const tk_graph *tk_engine_graph(tk_engine *engine, uint32_t definition);   /* cached; any thread; NULL: unknown */
const tk_graph *tk_engine_graph_lookup(void *engine, uint32_t definition); /* the same as a tk_graph_lookup */
int64_t tk_engine_now_us(tk_engine *engine);

/* Takes turns of a manual engine until nothing is left to do now. */
void tk_engine_step(tk_engine *engine);
bool tk_engine_step_once(tk_engine *engine);         /* one turn: at most one commit; false: there was nothing to do */
int64_t tk_engine_next_timer_us(const tk_engine *engine);   /* of a manual engine, after a step; INT64_MAX: none */
/* When the first timer is due that people wait for: a retry, the end of a sleep, a start; not a limit. INT64_MAX: none. Reads the
 * store: what until_idle waits for, looked up. */
int64_t tk_engine_expected_us(tk_engine *engine);
void tk_engine_nudge(tk_engine *engine);             /* the next step takes a turn, as if a peer had rung */
/* The name of this process among its peers, to which it becomes known. It blocks; constant from then on. */
int tk_engine_incarnation(tk_engine *engine, uint8_t out[16], tk_err *err);
/* Whether the process of that name lives; any thread of a process that asked for its own. */
bool tk_engine_lives(tk_engine *engine, const uint8_t incarnation[16]);
uint32_t tk_engine_process(const tk_engine *engine); /* its process number; 0: not joined */
void tk_engine_crash(tk_engine *engine);             /* a manual engine is gone as by kill -9: nothing is given back */
bool tk_engine_bury(tk_engine *engine, uint32_t process);   /* gives back all that a dead process held, and forgets it; false: try again */

/* ---- Ports ---- */
typedef enum tk_message_type { TK_MSG_REPLY = 1, TK_MSG_RUN, TK_MSG_INTERRUPT, TK_MSG_IDLE, TK_MSG_STOP, TK_MSG_LOG } tk_message_type;
typedef struct tk_message { struct tk_message *next; uint8_t type; } tk_message;

/* A mailbox with one reader. push: any thread. wake is called with the port's lock held after a push that found it empty; it must
 * be cheap and must not touch the port (uv_async_send). */
typedef struct tk_port tk_port;
tk_port *tk_port_new(void (*wake)(void *context), void *context);   /* NULL wake: for tk_port_wait */
void tk_port_free(tk_port *port);                                    /* frees the messages left in it */
void tk_port_push(tk_port *port, tk_message *message);               /* moves */
/* While its owner takes a turn itself it need not be woken: it drains afterwards. */
void tk_port_hush(tk_port *port, bool hush);
tk_message *tk_port_drain(tk_port *port);                            /* all, oldest first, or NULL; the caller owns them */
/* Blocks until something is there, or timeout_us passed (< 0: never): NULL then. */
tk_message *tk_port_wait(tk_port *port, int64_t timeout_us);
void tk_message_free(tk_message *message);

/* ---- Requests ---- */
typedef enum tk_request_type {
  TK_REQ_EVENTS = 1,              /* one or several events, committed together: all or nothing for SUBMITs */
  TK_REQ_DEFINE,
  TK_REQ_CONSUMER,
  TK_REQ_SECRETS,
  TK_REQ_READER
} tk_request_type;

/* A request and its answer, one object. Made by tk_request_new, filled, posted (moves); comes back as TK_MSG_REPLY (owned by the receiver).
 * Everything it points to must be in its arena. */
typedef struct tk_request {
  tk_message message;
  uint8_t type;
  tk_port *reply_to;              /* NULL: nobody waits (the engine frees it) */
  void *user;                     /* the requester's */
  tk_arena arena;                 /* starts in `inline_bytes` */
  tk_event *events;
  size_t event_count;
  tk_definition definition;       /* DEFINE */
  tk_slice source;
  tk_consumer consumer;           /* CONSUMER */
  uint8_t operation;              /* TK_CONSUMER_* */
  tk_secret_change secrets;       /* SECRETS */
  tk_id reader;                   /* READER, if it has one */
  bool has_reader;
  uint32_t builtins[TK_BUILTIN_DEFINITIONS];
  /* The answer. */
  int code;                       /* 0 or TK_E_*: of the first event that failed */
  struct tk_answer { tk_id id; uint64_t task_no; bool created, fenced; } *answers;   /* one per event */
  uint32_t number;                /* DEFINE */
  tk_err err;
  _Alignas(16) char inline_bytes[1024];   /* an outcome of ordinary size needs no second allocation */
} tk_request;
tk_request *tk_request_new(uint8_t type, size_t event_count);
void tk_request_free(tk_request *request);
/* Posts; never blocks. After a failure of the store the request comes back with its error. `lazy`: more is about to follow, until
 * tk_engine_flush; the engine waits for it, at most a millisecond, so that one commit serves all of it. */
void tk_engine_post(tk_engine *engine, tk_request *request, bool lazy);
void tk_engine_flush(tk_engine *engine);
/* Posts and takes the turn itself when the engine's thread sleeps: for who has nothing else to do, it saves two changes of threads.
 * False: the request is the caller's as before. */
bool tk_engine_turn_here(tk_engine *engine, tk_request *request);
/* For callers that may block: posts with a private port and waits. The request is the caller's again; returns its code. */
int tk_engine_call(tk_engine *engine, tk_request *request);

/* ---- Workers ---- */
typedef struct tk_worker_handle tk_worker_handle;
typedef struct tk_worker_options {
  tk_port *port;                  /* gets RUN, INTERRUPT, IDLE */
  uint32_t concurrency;           /* steps at once */
  const char *const *queues;      /* NULL: "default" */
  size_t queue_count;
  const uint32_t *definitions;    /* definition numbers it has code for */
  size_t definition_count;
  /* After an INTERRUPT was pushed, for a worker whose thread may be busy in the step that it is about. The engine's thread; NULL: none. */
  void (*urge)(void *context);
  void *urge_context;
  bool until_idle;                /* wants TK_MSG_IDLE when nothing can move without something from outside */
} tk_worker_options;
int tk_engine_attach(tk_engine *engine, const tk_worker_options *options, tk_worker_handle **out, tk_err *err);
/* What a worker of a manual engine can run from now on; both lists are copied. */
void tk_engine_serve(tk_engine *engine, tk_worker_handle *worker, const char *const *queues, size_t queue_count,
                     const uint32_t *definitions, size_t definition_count);
/* No new RUN after it returns; what runs must be ended by outcome events (or RELEASED) before. */
void tk_engine_pause_worker(tk_engine *engine, tk_worker_handle *worker);
void tk_engine_detach(tk_engine *engine, tk_worker_handle *worker);
/* A thread that does not come back: as detach, while its steps still run. Their outcomes are posted by whoever gives it up. */
void tk_engine_abandon_worker(tk_engine *engine, tk_worker_handle *worker);

/* Run one attempt (attempt > 0) or answer one ask (attempt 0). */
typedef struct tk_run_message {
  tk_message message;
  tk_worker_handle *worker;
  uint64_t task_no;
  tk_id task_id;
  uint32_t definition, step, attempt;
  uint32_t failures;              /* that count against the limit so far */
  uint32_t task_attempt;          /* attempt_of_task */
  int32_t priority;
  int64_t timeout_us;             /* of this attempt, from its start in the worker; 0: none */
  int64_t heartbeat_timeout_us;   /* 0: none */
  uint64_t inputs, progress;      /* payload numbers; 0: none */
  uint32_t template_;             /* the definition's step by which it runs */
  uint32_t ordinal;               /* of an instance: which one, from 1 on; 0: the step itself */
  bool compensates;               /* undoes the step instead of running it */
  uint32_t round;                 /* of an approval, whose people are told; 0: something else */
  uint64_t items;                 /* of an element of a map: the payload that has it; 0: none */
} tk_run_message;
/* What runs there is cancelled: its outcome will be ignored. The worker ends the fiber and posts TK_EV_STEP_RELEASED all the
 * same, which gives the slot back (the event itself is fenced). Every RUN is answered by exactly one outcome event. */
typedef struct tk_interrupt_message {
  tk_message message;
  uint64_t task_no;
  uint32_t step, attempt;
} tk_interrupt_message;

/* Makes this process known to its peers, so that they give back what its requests hold when it dies (TK_EV_ADMIT). Repeatable. */
int tk_engine_enlist(tk_engine *engine, tk_err *err);

/* ---- Waiting for changes ---- */
/* Gets TK_MSG_LOG on `port` (never two in a row) after commits of any process that wrote to the log. */
int tk_engine_follow(tk_engine *engine, tk_port *port, tk_err *err);
void tk_engine_unfollow(tk_engine *engine, tk_port *port);

#endif
