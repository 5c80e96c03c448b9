/* A definition as data: the checked graph of one handler version, immutable, shared by all threads of a process.
 * Built by the binding from what lua/tasker/handler.lua checked, stored once per content hash. Pure. */
#ifndef TK_MODEL_GRAPH_H
#define TK_MODEL_GRAPH_H
#include "base/buf.h"
#include "base/err.h"

enum {
  TK_BACKOFF_NONE,
  TK_BACKOFF_FIXED,
  TK_BACKOFF_LINEAR,
  TK_BACKOFF_EXPONENTIAL,
  TK_BACKOFF_FIBONACCI,
  TK_BACKOFF_LIST,
  TK_BACKOFF_CUSTOM /* a function or a named strategy: asked in Lua; where Lua cannot be asked the default policy applies */
};
enum { TK_JITTER_NONE, TK_JITTER_FULL, TK_JITTER_EQUAL, TK_JITTER_DECORRELATED, TK_JITTER_FRACTION };

typedef struct tk_retry {
  uint32_t limit;            /* attempts that may fail; >= 1 */
  uint32_t lost_limit;       /* losses with their process before it is in error */
  uint8_t backoff, jitter;
  double base, factor, cap;  /* seconds; cap 0: none */
  double fraction;           /* of TK_JITTER_FRACTION, 0..1 */
  const double *list;        /* of TK_BACKOFF_LIST, seconds */
  uint32_t list_count;
} tk_retry;

enum { /* tk_graph_step.flags; stored */
       TK_GRAPH_SKIPPABLE = 1,
       TK_GRAPH_RETRYABLE = 2,
       TK_GRAPH_CONTINUE = 4, /* on_error = "continue" */
       TK_GRAPH_ASK =
           8, /* has a value that only Lua can give before it starts (`inputs`, `when`, `switch`, a function-valued `sleep`) */
       TK_GRAPH_TIMEOUT_COMPLETES = 16, /* a signal that does not come in time completes the step, with null; an approval: it is given */
       TK_GRAPH_TIMEOUT_REJECTS = 32,   /* an approval that is not decided in time is rejected */
       TK_GRAPH_REJECT_COMPLETES = 64,  /* an approval that is rejected completes the step */
       TK_GRAPH_MAP = 128,              /* runs once for each element of the list that its ask gives (tk_fan) */
       TK_GRAPH_CHILD_IGNORES = 256,    /* on_child_error: the step is complete whatever its child's end */
       TK_GRAPH_CHILD_RETRIES = 512,    /* on_child_error: the child is retried by the step's policy */
       TK_GRAPH_COMPENSATES = 1024,     /* has code that undoes it when the task fails or is cancelled */
       TK_GRAPH_COMPENSATE_STARTED = 2048,  /* that also when its last attempt did not complete it */
       TK_GRAPH_FINAL = 4096,           /* of TK_KIND_PASS: the machine ends there ... */
       TK_GRAPH_FINAL_ERROR = 8192,     /* ... in error */
       TK_GRAPH_HISTORY = 16384,        /* of TK_KIND_PASS: goes to that of its first case's steps that was left last, else to
                                           the second's */
       TK_GRAPH_NOTIFIES = 32768        /* an approval with code that tells people, once a round */
};

enum {                       /* tk_graph_step.kind; stored */
  TK_KIND_RUN = 0,           /* a worker runs an attempt */
  TK_KIND_SLEEP,             /* waits for a time */
  TK_KIND_SIGNAL,            /* waits for a signal by name */
  TK_KIND_SWITCH,            /* its ask names the branch to take */
  TK_KIND_APPROVAL,          /* waits for people; its ask names them */
  TK_KIND_CHILD,             /* waits for a task of its own; its ask gives that task's definition and context */
  TK_KIND_PASS,              /* of a machine: complete at once; goes on to all steps of its first case */
  TK_KIND_COUNT
};

enum {                       /* tk_graph_step.join; stored */
  TK_JOIN_ALL = 0,           /* every dependency done or skipped, at least one done; all skipped: skipped */
  TK_JOIN_COUNT,             /* join_count of them done; skipped when that can no longer be */
  TK_JOIN_ALL_DONE           /* every one at its end, in error too */
};

/* A branch of a switch: the steps that run when it is named; of a state: an outcome and where it leads. */
typedef struct tk_graph_case {
  tk_slice name;
  const uint32_t *steps;     /* indexes, ascending; dependents of the switch */
  uint32_t count;
} tk_graph_case;

/* A limit that a step passes before each start. */
typedef struct tk_graph_limit {
  tk_slice name;
  uint32_t cost;             /* units of its rate, >= 1 */
  bool keyed;                /* the ask tells its key */
  uint32_t no;               /* not stored: number of its name, as queue_no */
} tk_graph_limit;

typedef struct tk_graph_step {
  tk_slice name;
  const uint32_t *deps, *outs;      /* indexes of the steps it depends on / that depend on it, ascending */
  uint32_t dep_count, out_count;
  uint32_t flags;
  tk_retry retry;
  int64_t timeout_us;               /* per attempt; 0: none */
  int64_t heartbeat_timeout_us;     /* 0: none */
  uint8_t kind, join;
  uint32_t join_count;              /* of TK_JOIN_COUNT, 1 .. dep_count */
  int64_t sleep_us;                 /* of TK_KIND_SLEEP: how long; -1: the ask tells until when */
  tk_slice signal;                  /* of TK_KIND_SIGNAL: its name */
  tk_slice child;                   /* of TK_KIND_CHILD: the handler as the definition names it */
  const tk_graph_case *cases;       /* of TK_KIND_SWITCH */
  uint32_t case_count;
  uint32_t map_parallel;            /* of TK_GRAPH_MAP: elements in progress at once; 0: no limit */
  uint32_t after;                   /* of a state: 1 + index of the sleep that ends it; 0: none */
  uint32_t after_of;                /* derived: 1 + index of the state that this sleep ends; 0: none */
  double map_failures;              /* of TK_GRAPH_MAP: how many may fail; below 1 a fraction of them */
  const tk_graph_limit *limits;     /* of TK_KIND_RUN */
  uint32_t limit_count;             /* 0 .. TK_LIMIT_STEP_LIMITS */
  bool ends_matter;                 /* derived: a dependent joins with TK_JOIN_ALL_DONE, so that errors release it too */
  tk_slice queue;                   /* empty: the task's */
  uint32_t queue_no; /* not stored: its number in the store that is open, filled before the graph is shared; 0: the task's */
} tk_graph_step;

/* Whether the ask for the step tells keys of its limits; for a map they stand before its list. */
static inline bool tk_graph_step_keyed(const tk_graph_step *step) {
  for (uint32_t i = 0; i < step->limit_count; i++)
    if (step->limits[i].keyed) return true;
  return false;
}

typedef struct tk_graph {
  tk_slice ns, name, version;
  tk_slice queue;                   /* "default" unless given */
  int32_t priority;
  uint32_t max_parallel;            /* steps of one task in progress at once; 0: no limit */
  int64_t timeout_us;               /* of the whole task, from its start; 0: none */
  uint32_t initial;                 /* of a machine, whose steps are states: 1 + index of the first; 0: no machine */
  uint32_t step_count;              /* 1 .. TK_LIMIT_STEPS */
  bool signals;                     /* derived: some step waits for a signal */
  bool compensates;                 /* derived: some step is undone when the task fails or is cancelled */
  bool grows;                       /* derived: a task of it may get instances */
  bool step_queues;                 /* derived: some step has a queue of its own */
  bool limited;                     /* derived: some step has limits */
  bool numbered;                    /* not stored: the numbers of its limits are filled in */
  tk_graph_step *steps;
  void *memory;                     /* owns everything above */
} tk_graph;

/* Bytes for the store, version byte first. `outs` are derived, not stored. */
void tk_graph_encode(const tk_graph *graph, tk_buf *out);
/* Decodes into one block of memory that the graph owns; derives outs. 0 or TK_E_CORRUPT. Refuses cycles and bad indexes. */
int tk_graph_decode(tk_slice bytes, tk_graph **out, tk_err *err);
void tk_graph_free(tk_graph *graph);
/* Index of the step with that name, or -1. Linear under 16 steps, else by a sorted index. */
int64_t tk_graph_find(const tk_graph *graph, tk_slice name);
/* Copies a graph whose arrays the caller owns (outs ignored and derived) into one block. Refuses cycles: TK_E_INVALID names the
 * steps of the cycle. */
int tk_graph_build(const tk_graph *from, tk_graph **out, tk_err *err);

#endif
