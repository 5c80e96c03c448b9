/* The task aggregate: what decide reads and changes. It lives in the arena of one turn; the store fills it and writes it back.
 * A step that was never touched is all zeroes (pending) and costs nothing on disk. Pure data.
 *
 * Steps are loaded by chunks of TK_CHUNK_STEPS: tk_task_step() asks the loader for a chunk that is not there yet, so that an event
 * reads and writes only the chunks it touches, whatever the size of the task. */
#ifndef TK_MODEL_TASK_H
#define TK_MODEL_TASK_H
#include "base/arena.h"
#include "base/id.h"
#include "bounds.h"
#include "model/graph.h"
#include "model/states.h"

#define TK_NO_STEP UINT32_MAX

enum {                           /* tk_step.flags; stored */
  TK_STEP_F_BYPASS = 1,          /* will be skipped when its dependencies are done, and counts as done */
  TK_STEP_F_HELD = 2,            /* ready, but not in the ready index: its task is paused or at max_parallel */
  TK_STEP_F_ASKED = 4,           /* the answer of its ask is committed (inputs) */
  TK_STEP_F_ASKING = 8,          /* an ask is claimed by `owner`; status is still ready */
  TK_STEP_F_RELEASED = 16,       /* its dependents were released after an error that continues: a later end of it must not count again */
  TK_STEP_F_NOT_TAKEN = 64,      /* a switch did not choose it */
  TK_STEP_F_FAILED = 32          /* its dependents were told of its error; told again when it becomes done after all */
};

typedef struct tk_step {
  uint8_t status, waiting_for, flags;
  uint32_t attempts;             /* starts so far: the fence */
  uint32_t failures, losses;     /* since the last fresh set of attempts */
  uint32_t met;                  /* dependencies done so far (0 costs nothing) */
  uint32_t unmet;                /* dependencies skipped, because their branch was not taken */
  uint32_t failed_deps;          /* dependencies at their end in error or cancelled; told only where a dependent joins all_done */
  uint32_t owner;                /* process number of the claim; 0: none */
  uint64_t results, error, inputs, progress;   /* payload numbers; 0: none */
  int64_t started_at_us;         /* first start */
  int64_t last_attempted_at_us;
  int64_t completed_at_us;       /* when it became final */
  int64_t due_us;                /* when waiting: its timer's time (next_attempt_at), 0: none */
  int64_t ready_at_us;           /* when it last became ready */
  int64_t delay_us;              /* the last retry's delay: decorrelated jitter builds on it */
} tk_step;

typedef struct tk_chunk {
  tk_step steps[TK_CHUNK_STEPS];
  bool dirty;
} tk_chunk;

/* A signal that came before a step waits for it. Its payload's number is its own: they rise in order of arrival. */
typedef struct tk_signal { uint64_t payload; tk_slice name; } tk_signal;

typedef struct tk_task tk_task;
/* Loads chunk `index` of `task` into its arena; a chunk that was never written is zeroes. NULL on failure (the loader keeps the error). */
typedef tk_chunk *(*tk_chunk_loader)(void *context, tk_task *task, uint32_t index);

struct tk_task {
  uint64_t no;                   /* the store's number: order of submission, key of everything */
  tk_id id;                      /* stored in the header; tk_task_info.id is read back from here */
  uint32_t definition;           /* definition number */
  const tk_graph *graph;         /* borrows until the turn ends (the engine's cache owns it) */
  uint8_t status, paused_from;   /* paused_from: what resume returns to */
  int32_t priority;
  uint32_t queue;                /* number of the task's queue name */
  uint32_t attempt;              /* attempt_of_task: 1, and one more after each retry of the task */
  uint32_t open;                 /* steps that are not final */
  uint32_t active;               /* steps ready, in progress or waiting */
  uint32_t running;              /* steps in progress (asks included) */
  uint32_t held;                 /* ready steps with TK_STEP_F_HELD */
  uint32_t held_from;            /* no held step has a lower index */
  uint32_t failed;               /* steps in error without continue, and cancelled steps */
  uint32_t signals;              /* signals that came before a step waits for them */
  uint32_t sweeps;               /* events to itself that are still in the inbox (cursors) */
  uint64_t last_log;             /* number of its newest log record; 0: none */
  uint64_t results;              /* payload of a task resolved as a whole; 0: none */
  int64_t created_at_us, started_at_us, completed_at_us;
  int64_t due_us;                /* the task's own timer (run_at, later its timeout); 0: none */
  uint8_t due_kind;              /* tk_timer_kind */

  /* Not stored. */
  tk_chunk **chunks;             /* chunk_count pointers, NULL: not loaded */
  uint32_t chunk_count;
  bool created, dirty;           /* made / changed in this turn */
  struct tk_approval *approvals; /* those of its steps that this turn has loaded or opened */
  tk_signal *kept;               /* the kept signals, oldest first, once they were needed; `signals` of them */
  void *log_head, *log_tail;     /* this turn's log entries (tk_log_entry), in order */
  uint32_t log_count;
  tk_chunk_loader load_chunk;
  tk_signal *(*load_signals)(void *context, tk_task *task);   /* `signals` of them, oldest first; never NULL */
  struct tk_approval *(*load_approval)(void *context, tk_task *task, uint32_t step);   /* of a step that waits for one; never NULL */
  void *load_context;
};

static inline uint32_t tk_chunk_count_for(uint32_t step_count) { return (step_count + TK_CHUNK_STEPS - 1) / TK_CHUNK_STEPS; }

/* The state of step `index`, loading its chunk when needed. Never NULL: a failed load is a panic inside a turn (the store checks
 * records before). */
static inline tk_step *tk_task_step(tk_task *task, uint32_t index) {
  uint32_t c = index / TK_CHUNK_STEPS;
  tk_chunk *chunk = task->chunks[c];
  if (!chunk) chunk = task->chunks[c] = task->load_chunk(task->load_context, task, c);
  return &chunk->steps[index % TK_CHUNK_STEPS];
}
/* What is written once when a task is created: the cold record. All slices are borrowed. */
typedef struct tk_task_info {
  tk_id id;
  tk_slice initiator, source_system, reason, queue;
  tk_slice tags;                 /* a JSON array of strings; empty: [] */
  tk_slice bypass_steps;         /* a JSON array of strings; empty: [] */
  tk_slice identity;             /* the identity hash or guid as text */
  tk_slice context;              /* a JSON object */
  uint64_t parent;               /* parent task's number; 0: none */
  int64_t requested_at_us, run_at_us;   /* run_at 0: none */
} tk_task_info;

#endif
