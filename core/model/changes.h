/* What one turn writes: filled by decide and the engine, written by the store in one commit. Lives in the turn's arena. Pure data. */
#ifndef TK_MODEL_CHANGES_H
#define TK_MODEL_CHANGES_H
#include "model/event.h"

typedef enum tk_log_kind {        /* stored: never renumber; names in tk_log_kind_name */
  TK_LOG_TASK_CREATED = 1, TK_LOG_TASK_STARTED, TK_LOG_TASK_COMPLETED, TK_LOG_TASK_FAILED, TK_LOG_TASK_CANCELLED, TK_LOG_TASK_PAUSED,
  TK_LOG_TASK_RESUMED, TK_LOG_TASK_RETRIED, TK_LOG_TASK_RESOLVED,
  TK_LOG_STEP_STARTED, TK_LOG_STEP_COMPLETED, TK_LOG_STEP_FAILED, TK_LOG_STEP_RETRY_SCHEDULED, TK_LOG_STEP_WAITING, TK_LOG_STEP_SKIPPED,
  TK_LOG_STEP_CANCELLED, TK_LOG_STEP_RESOLVED, TK_LOG_STEP_LOGGED, TK_LOG_TASK_ANNOTATED, TK_LOG_STEP_RELEASED, TK_LOG_TASK_SIGNALLED,
  TK_LOG_STEP_APPROVAL_DECIDED, TK_LOG_STEP_APPROVAL_ESCALATED,
  TK_LOG_TASK_MIGRATED,
  TK_LOG_SCHEDULE_CREATED, TK_LOG_SCHEDULE_UPDATED, TK_LOG_SCHEDULE_PAUSED, TK_LOG_SCHEDULE_RESUMED, TK_LOG_SCHEDULE_DELETED,
  TK_LOG_SCHEDULE_SKIPPED, TK_LOG_SCHEDULE_BACKFILLED,
  TK_LOG_STEP_COMPENSATED, TK_LOG_STEP_COMPENSATION_FAILED,
  TK_LOG_CONNECTION_PARKED,
  TK_LOG_KIND_COUNT
} tk_log_kind;
/* Of a schedule, and so of no task. */
static inline bool tk_log_of_schedule(uint8_t kind) { return kind >= TK_LOG_SCHEDULE_CREATED && kind <= TK_LOG_SCHEDULE_BACKFILLED; }
/* Of no task: of a schedule, or of the whole store. */
static inline bool tk_log_of_no_task(uint8_t kind) { return tk_log_of_schedule(kind) || kind == TK_LOG_CONNECTION_PARKED; }
const char *tk_log_kind_name(uint8_t kind);   /* "step.completed"; NULL out of range */

/* One event of the log. Its seq is allotted by the store at apply. */
typedef struct tk_log_entry {
  struct tk_log_entry *next;
  uint8_t kind;
  uint32_t step;                  /* TK_NO_STEP: the task */
  uint32_t attempt;               /* 0: none */
  uint64_t payload;               /* payload number; STEP_FAILED and TASK_FAILED: shown as data.error */
  tk_slice data;                  /* a JSON object as text; empty: {} */
} tk_log_entry;

/* A ready step: an entry of the ready index, ordered by queue, definition, priority (greater first), task, step. */
typedef struct tk_ready {
  uint32_t queue, definition;
  int32_t priority;
  uint64_t task_no;
  uint32_t step;
  int64_t ready_at_us;
} tk_ready;

typedef struct tk_timer { int64_t due_us; uint64_t task_no; uint32_t step; uint8_t kind; } tk_timer;   /* key: due, task, step */
typedef struct tk_payload { uint64_t no; tk_slice bytes; } tk_payload;
/* A claim in this turn; attempt 0: an ask. */
typedef struct tk_claim { uint64_t task_no; uint32_t step, attempt; } tk_claim;
/* To a process: stop that attempt. */
typedef struct tk_notice { uint32_t process; uint64_t task_no; uint32_t step, attempt; } tk_notice;
typedef struct tk_annotation { uint64_t task_no; tk_slice name, value; } tk_annotation;
/* A signal to keep, or one that found its step. In order: one may be kept and taken in the same turn. */
typedef struct tk_signal_change { uint64_t task_no; tk_signal signal; bool taken; } tk_signal_change;
/* The row of a step that waits for people; NULL: it is no more. In order: the last word of a turn stands. */
typedef struct tk_approval_change { uint64_t task_no; uint32_t step; const struct tk_approval *row; } tk_approval_change;
typedef struct tk_context_change { uint64_t task_no; tk_slice context; } tk_context_change;
typedef struct tk_chunk_key { uint64_t task_no; uint32_t index; } tk_chunk_key;
struct tk_schedule;
/* A page of what is to be undone; NULL: it is no more. In order. */
typedef struct tk_compensation_change { uint64_t task_no; uint32_t page; const struct tk_compensation *row; } tk_compensation_change;
typedef struct tk_new_task { tk_task *task; const tk_submission *submission; tk_id id; } tk_new_task;
typedef struct tk_identity_row {
  uint8_t hash[32];
  uint64_t task_no;               /* 0: no such row */
  int64_t created_at_us;
  bool dirty;
} tk_identity_row;

/* Growable list in the arena: TK_LIST(type) {items, count, capacity}; push with tk_list_push. */
#define TK_LIST(type) struct { type *items; size_t count, capacity; }

typedef struct tk_changes {
  tk_arena *arena;                /* borrows until the turn ends */
  uint64_t next_payload;          /* next payload number (from load) */
  uint64_t next_task;             /* next task number (from load) */
  TK_LIST(tk_task *) dirty;       /* each once; includes created ones */
  TK_LIST(tk_new_task) created;
  TK_LIST(tk_ready) ready;        /* became ready in this turn; the engine claims some, the store indexes the rest */
  TK_LIST(tk_ready) unready;      /* entries to take out of the index (claimed, cancelled, held) */
  TK_LIST(tk_timer) timers, untimers;
  TK_LIST(tk_payload) payloads;
  TK_LIST(uint64_t) unpayloads;   /* payload numbers to delete (replaced progress) */
  TK_LIST(tk_event) inbox;        /* events for later turns (data and audit are copied by the store) */
  TK_LIST(tk_claim) claims;
  TK_LIST(tk_notice) notices;
  TK_LIST(tk_annotation) annotations;
  TK_LIST(tk_signal_change) signals;
  TK_LIST(tk_approval_change) approvals;
  TK_LIST(tk_compensation_change) compensations;
  TK_LIST(tk_identity_row *) identities;
  TK_LIST(tk_context_change) contexts;
  TK_LIST(tk_chunk_key) unchunks; /* chunks behind the last step of a task that was migrated */
  TK_LIST(struct tk_schedule *) schedules;   /* changed ones, each once; in order: one may be deleted and made anew */
  TK_LIST(tk_limit *) limits;     /* these four: each once */
  TK_LIST(tk_meter *) meters;
  TK_LIST(tk_waiter *) waiters;
  TK_LIST(tk_permit *) permits;
  TK_LIST(struct tk_breaker *) breakers;   /* these two: each once */
  TK_LIST(struct tk_hold *) holds;
  int64_t tasks_delta[TK_TASK_STATUS_COUNT], steps_delta[TK_STEP_STATUS_COUNT];   /* counters by status */
} tk_changes;

/* Room for one more item of a TK_LIST in the arena; returns the new capacity's items. */
void *tk_list_grow(tk_arena *arena, void *items, size_t item_size, size_t *capacity);
#define tk_list_push(arena_, list, value)                                                                                     \
  do {                                                                                                                        \
    if ((list)->count == (list)->capacity)                                                                                    \
      (list)->items = tk_list_grow((arena_), (list)->items, sizeof *(list)->items, &(list)->capacity);                        \
    (list)->items[(list)->count++] = (value);                                                                                 \
  } while (0)

/* The number of what most steps return: null. It is no record. */
#define TK_PAYLOAD_NULL 1

/* Adds a payload and returns its number; that of null without adding one. The bytes are borrowed until apply. */
uint64_t tk_changes_payload(tk_changes *changes, tk_slice bytes);

#endif
