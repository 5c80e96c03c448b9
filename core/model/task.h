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

typedef enum tk_role {           /* what an instance is; stored: never renumber */
  TK_ROLE_STEP = 0,              /* none: a step of the graph, or an instance that was never touched */
  TK_ROLE_ELEMENT,               /* of a map */
  TK_ROLE_COMPENSATION,          /* undoes the step whose code it runs */
  TK_ROLE_VISIT,                 /* of a state, from the second on (the first is the graph's step); counts in `open` and `failed` */
  TK_ROLE_NOTIFICATION,          /* of an approval: what its code tells people, once a round */
  TK_ROLE_COUNT
} tk_role;

enum {                           /* tk_step.flags; stored */
  TK_STEP_F_BYPASS = 1,          /* will be skipped when its dependencies are done, and counts as done */
  TK_STEP_F_HELD = 2,            /* ready, but not in the ready index: its task is paused or at max_parallel */
  TK_STEP_F_ASKED = 4,           /* the answer of its ask is committed (inputs) */
  TK_STEP_F_ASKING = 8,          /* an ask is claimed by `owner`; status is still ready */
  TK_STEP_F_RELEASED = 16,       /* its dependents were released after an error that continues: a later end of it must not count again */
  TK_STEP_F_NOT_TAKEN = 64,      /* a switch did not choose it */
  TK_STEP_F_FAILED = 32,         /* its dependents were told of its error; told again when it becomes done after all */
  TK_STEP_F_GIVING = 128,        /* a map in progress that has an element to start: it is in the ready index for it */
  TK_STEP_F_QUEUED = 256,        /* an element that is ready: its map gives it out */
  TK_STEP_F_CHILD_GONE = 512,    /* its child was cancelled: the next attempt makes a new one */
  TK_STEP_F_PERMIT = 1024,       /* it has a tk_permit: keys of its limits, or places where it waits */
  TK_STEP_F_LIMITED = 2048,      /* a map in progress that gives nothing until its limits let it */
  TK_STEP_F_AGAIN = 4096         /* it was woken while it ran: when it snoozes until it is woken, it is */
};

/* A map in progress or behind that. Its elements are instances that lie one after the other; those that were never touched are
 * not there. The map stands in the ready index for whatever of them may start. */
typedef struct tk_fan {
  uint32_t first, count;         /* indexes first .. first + count - 1 */
  uint32_t next;                 /* the first element never touched, counted from 0; count: none */
  uint32_t active, running;      /* elements ready, in progress or waiting; of these in progress */
  uint32_t queued, queued_from;  /* elements with TK_STEP_F_QUEUED; none of them is before queued_from (from 0) */
  uint32_t ended, failed;        /* elements at their end; of these in error or cancelled */
  uint32_t last_failed;          /* number of the element that failed last, from 1 on */
  bool stopped;                  /* more failed than may: none starts any more */
  bool renewing;                 /* a retry of it is giving its failed elements fresh attempts */
  uint64_t items;                /* payload number of the list's first page (TK_MAP_PAGE elements each); the others follow */
} tk_fan;

/* A step of the graph, or an instance: a step beyond the graph's, made at run time, that runs by the definition of one of the
 * graph's (tk_task_template). Where an instance ends, its role says what follows. */
typedef struct tk_step {
  uint16_t flags;
  uint16_t template_;            /* of an instance: index of the graph's step */
  uint8_t status, waiting_for;
  uint8_t role;                  /* tk_role */
  union {
    uint32_t ordinal;            /* of an instance: which one of its role and template, from 1 on */
    uint32_t compensation;       /* of a step of the graph: the instance that undoes it; 0: none */
  };
  uint32_t attempts;             /* starts so far: the fence */
  uint32_t failures;             /* since the last fresh set of attempts */
  union { uint32_t losses;       /* the same */
          uint32_t notifications; };   /* of an approval in the graph, which nobody runs: so far */
  union { uint32_t met;          /* dependencies done so far (0 costs nothing) */
          uint32_t visits;       /* of a state: so far */
          uint32_t round; };     /* of a notification: its approval's */
  union { uint32_t unmet;        /* dependencies skipped, because their branch was not taken */
          uint32_t done_visit; };/* of a state: index of the newest visit that is complete */
  union { uint32_t visit;        /* of a state: index of the newest visit */
          uint32_t failed_deps; };/* dependencies at their end in error or cancelled; told only where a dependent joins all_done */
  uint32_t owner;                /* process number of the claim; 0: none */
  uint64_t results, error, inputs, progress;   /* payload numbers; 0: none */
  uint64_t child;                /* task number of its newest child; 0: none */
  int64_t started_at_us;         /* first start */
  int64_t last_attempted_at_us;
  int64_t completed_at_us;       /* when it became final */
  int64_t due_us;                /* when waiting: its timer's time (next_attempt_at), 0: none */
  int64_t ready_at_us;           /* when it last became ready */
  int64_t delay_us;              /* the last retry's delay: decorrelated jitter builds on it */
  tk_fan *fan;                   /* of a map whose list is known and not empty */
} tk_step;

typedef struct tk_chunk {
  bool dirty;
  bool absent;                   /* there is no record of it, and nothing was touched since */
  bool cut;                      /* has no more steps than its task: made in this turn, of a graph that does not grow */
  tk_step steps[TK_CHUNK_STEPS];
} tk_chunk;

#define TK_CHUNK_PAGE 256        /* chunks of instances in one page of their directory */
typedef struct tk_chunk_page { tk_chunk *chunks[TK_CHUNK_PAGE]; } tk_chunk_page;

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
  uint8_t compensating;          /* tk_compensating */
  uint32_t compensations;        /* those that are left, the one that runs among them */
  uint32_t instances;            /* steps beyond the graph's; not in `open` and `failed` */
  uint64_t last_log;             /* number of its newest log record; 0: none */
  uint64_t results;              /* payload of a task resolved as a whole; 0: none */
  uint64_t parent;               /* number of the task whose step waits for this one; 0: none */
  uint32_t parent_step, parent_attempt;   /* which step, and in which attempt: the fence of what this task tells it */
  uint32_t children;             /* steps that have a child */
  uint64_t schedule;             /* number of the schedule that made it, which is told when it ends; 0: none */
  int64_t created_at_us, started_at_us, completed_at_us;
  int64_t due_us;                /* the task's own timer (run_at, later its timeout); 0: none */
  uint8_t due_kind;              /* tk_timer_kind */
  tk_slice migrations;           /* the definitions it had before: (number of the last log record under it, its number)*, as
                                    LEB128; empty: none. Borrows, as graph */

  /* Not stored. */
  tk_chunk **chunks;             /* those of the graph's steps: chunk_count pointers, NULL: not loaded */
  uint32_t chunk_count;
  uint32_t page_count;
  tk_chunk_page **pages;         /* the chunks behind those, NULL: none of the page is loaded */
  tk_arena *arena;               /* of what is loaded; borrows until the turn ends */
  bool created, dirty;           /* made / changed in this turn */
  struct tk_compensation *undo_pages;   /* those that this turn has loaded or made */
  struct tk_approval *approvals; /* those of its steps that this turn has loaded or opened */
  bool stopped;                  /* a task above is paused or cancelled, or its step is: nothing starts. Filled before decide is asked */
  tk_signal *kept;               /* the kept signals, oldest first, once they were needed; `signals` of them */
  void *log_head, *log_tail;     /* this turn's log entries (tk_log_entry), in order */
  uint32_t log_count;
  tk_chunk_loader load_chunk;
  tk_signal *(*load_signals)(void *context, tk_task *task);   /* `signals` of them, oldest first; never NULL */
  struct tk_compensation *(*load_compensation)(void *context, tk_task *task, uint32_t page);   /* never NULL */
  struct tk_approval *(*load_approval)(void *context, tk_task *task, uint32_t step);   /* of a step that waits for one; never NULL */
  void *load_context;
};

static inline uint32_t tk_chunk_count_for(uint32_t step_count) { return (step_count + TK_CHUNK_STEPS - 1) / TK_CHUNK_STEPS; }

/* Allocates task->chunks for its graph (none loaded). */
void tk_task_prepare(tk_task *task, tk_arena *arena);
/* Where the pointer to chunk `c` of the instances is kept. */
tk_chunk **tk_task_far_chunk(tk_task *task, uint32_t c);

/* Chunk `c`, loaded when needed; NULL when that failed, which cannot be inside a turn (the loader gives zeroes and keeps the
 * error). */
static inline tk_chunk *tk_task_chunk(tk_task *task, uint32_t c) {
  tk_chunk **at = c < task->chunk_count ? &task->chunks[c] : tk_task_far_chunk(task, c);
  if (!*at) *at = task->load_chunk(task->load_context, task, c);
  return *at;
}

/* The state of step `index`, loading its chunk when needed; inside a turn. */
static inline tk_step *tk_task_step(tk_task *task, uint32_t index) {
  return &tk_task_chunk(task, index / TK_CHUNK_STEPS)->steps[index % TK_CHUNK_STEPS];
}

static inline uint32_t tk_task_count(const tk_task *task) { return task->graph->step_count + task->instances; }
static inline bool tk_task_is_instance(const tk_task *task, uint32_t index) { return index >= task->graph->step_count; }
/* The step of the graph by whose definition step `index` (which was touched) runs. */
static inline const tk_graph_step *tk_task_template(tk_task *task, uint32_t index) {
  return &task->graph->steps[tk_task_is_instance(task, index) ? tk_task_step(task, index)->template_ : index];
}
/* A step with `map`, as a whole. */
static inline bool tk_task_is_map(const tk_task *task, uint32_t index) {
  return !tk_task_is_instance(task, index) && (task->graph->steps[index].flags & TK_GRAPH_MAP);
}
/* Whether an entry of the ready index is right about this step. */
static inline bool tk_step_startable(const tk_step *step) {
  if (step->status == TK_STEP_IN_PROGRESS) return step->flags & TK_STEP_F_GIVING;
  return step->status == TK_STEP_READY && !(step->flags & (TK_STEP_F_HELD | TK_STEP_F_ASKING | TK_STEP_F_QUEUED));
}

/* How an instance is called: `each[3]`. */
#define TK_STEP_NAME_ROOM (TK_LIMIT_STEP_NAME + 32)
tk_slice tk_task_step_name(tk_task *task, uint32_t index, char room[TK_STEP_NAME_ROOM]);
/* The index of the step or instance with that name, or -1. */
int64_t tk_task_find(tk_task *task, tk_slice name);
/* The map that instance `index` is an element of, touched or not; TK_NO_STEP: of none. */
uint32_t tk_task_map_of(tk_task *task, uint32_t index);

/* The definition under which log record `record` was written: its step indexes are of that. */
uint32_t tk_task_definition_at(const tk_task *task, uint64_t record);

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
  tk_slice schedule;             /* name of the schedule that made it; empty: none, and the next three are 0 */
  int64_t scheduled_us, previous_us, late_us;   /* planned for; the one before it (0: none); made so much later than due */
} tk_task_info;

#endif
