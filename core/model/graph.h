/* A definition as data: the checked graph of one handler version, immutable, shared by all threads of a process.
 * Built by the binding from what lua/tasker/handler.lua checked, stored once per content hash. Pure. */
#ifndef TK_MODEL_GRAPH_H
#define TK_MODEL_GRAPH_H
#include "base/buf.h"
#include "base/err.h"

enum { TK_BACKOFF_NONE, TK_BACKOFF_FIXED, TK_BACKOFF_LINEAR, TK_BACKOFF_EXPONENTIAL, TK_BACKOFF_FIBONACCI, TK_BACKOFF_LIST,
       TK_BACKOFF_CUSTOM /* a function or a named strategy: asked in Lua; where Lua cannot be asked the default policy applies */ };
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

enum {                       /* tk_graph_step.flags; stored */
  TK_GRAPH_SKIPPABLE = 1,
  TK_GRAPH_RETRYABLE = 2,
  TK_GRAPH_CONTINUE = 4,     /* on_error = "continue" */
  TK_GRAPH_ASK = 8           /* has a value that only Lua can give before it starts (a function-valued `inputs`) */
};

typedef struct tk_graph_step {
  tk_slice name;
  const uint32_t *deps, *outs;      /* indexes of the steps it depends on / that depend on it, ascending */
  uint32_t dep_count, out_count;
  uint32_t flags;
  tk_retry retry;
  int64_t timeout_us;               /* per attempt; 0: none */
  int64_t heartbeat_timeout_us;     /* 0: none */
  tk_slice queue;                   /* empty: the task's */
  uint32_t queue_no;                /* not stored: its number in the store that is open, filled before the graph is shared; 0: the task's */
} tk_graph_step;

typedef struct tk_graph {
  tk_slice ns, name, version;
  tk_slice queue;                   /* "default" unless given */
  int32_t priority;
  uint32_t max_parallel;            /* steps of one task in progress at once; 0: no limit */
  int64_t timeout_us;               /* of the whole task, from its start; 0: none */
  uint32_t step_count;              /* 1 .. TK_LIMIT_STEPS */
  bool step_queues;                 /* derived: some step has a queue of its own */
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
