/* What people and programs read, as JSON text (INTERFACE sections 6 and 7): one place for the command line, app:task and the
 * rest. Any thread; each call takes its own snapshot. */
#ifndef TK_ENGINE_VIEW_H
#define TK_ENGINE_VIEW_H
#include "engine/engine.h"

enum { TK_INSTANCES_DEFAULT, TK_INSTANCES_FAILED, TK_INSTANCES_ALL, TK_INSTANCES_NONE };
/* Default: all, of a task that has at most so many; else those that failed. */
#define TK_INSTANCES_SHOWN 1000
/* The task as one JSON object (section 6). TK_E_NOT_FOUND names the id. */
int tk_view_task(tk_engine *engine, const tk_id *id, int instances, tk_buf *out, tk_err *err);

/* The task and all below it: {task_id, namespace, name, version, status, step (of the parent), times, steps (counts by status),
 * children: [the same], and for the first of them tasks (counts of the whole tree by status)}. */
int tk_view_tree(tk_engine *engine, const tk_id *id, tk_buf *out, tk_err *err);

typedef struct tk_task_filter {
  int status;                     /* -1: any */
  tk_slice name, ns, tag;         /* empty: any */
  bool show_internal;             /* namespace "tasker" */
  bool has_parent;
  tk_id parent;                   /* children of this task only */
  int64_t since_us, until_us;     /* created in [since, until); 0: open */
  size_t limit;                   /* 0: 100 */
  uint64_t cursor;                /* task number to go on below; 0: from the newest */
  bool steps;                     /* whole tasks; false: without steps, results, context */
} tk_task_filter;
/* A JSON array of tasks, newest first (summaries unless filter.steps). *next: cursor of the next page, 0 at the end. */
int tk_view_tasks(tk_engine *engine, const tk_task_filter *filter, tk_buf *out, uint64_t *next, tk_err *err);
int tk_view_count(tk_engine *engine, const tk_task_filter *filter, uint64_t *count, tk_err *err);
/* Events with seq > after as a JSON array, at most limit (0: all); kinds: bits by tk_log_kind, 0: all. *last: the last seq looked
 * at, from where to go on, or `after`. */
int tk_view_events(tk_engine *engine, uint64_t kinds, uint64_t after, const tk_id *task, size_t limit, tk_buf *out, uint64_t *last,
                   tk_err *err);
/* [{"namespace","name","version","latest":bool,"steps":[names],"hash","created_at","source":bool,"live":n,"live_older":n}]: the
 * current content of each version; tasks of it that are pending, in progress or paused, and how many of these have an older content. */
int tk_view_handlers(tk_engine *engine, tk_buf *out, tk_err *err);
/* Durable consumers, [{"name","events":[patterns]|null,"seq","created_at","moved_at"}]; with a name only that one, as an object.
 * TK_E_NOT_FOUND. */
int tk_view_consumers(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err);
/* Secrets, [{"name","key","created_at","changed_at"}]: never what they hold. */
int tk_view_secrets(tk_engine *engine, tk_buf *out, tk_err *err);
/* The sealed text of one, and the id of its key. TK_E_NOT_FOUND. */
int tk_view_secret(tk_engine *engine, tk_slice name, uint8_t key_id[8], tk_buf *out, tk_err *err);
/* How many events of these kinds (bits; 0: all) have a seq > after. */
int tk_view_count_events(tk_engine *engine, uint64_t kinds, uint64_t after, uint64_t *count, tk_err *err);
int tk_view_stats(tk_engine *engine, tk_buf *out, tk_err *err);      /* section 10, CLI: stats --json */
typedef struct tk_approval_filter {
  tk_slice by;                    /* it is this person's turn; empty: anybody's */
  tk_slice ns, name;              /* of the handler; empty: any */
  uint64_t task_no;               /* filled by the view */
  size_t limit;                   /* 0: all */
} tk_approval_filter;
/* A JSON array of the approvals that wait, those of the oldest tasks first; task NULL: of all tasks. */
int tk_view_approvals(tk_engine *engine, const tk_approval_filter *filter, const tk_id *task, tk_buf *out, tk_err *err);
/* Number of the definition that a task runs by. */
int tk_view_definition_of(tk_engine *engine, const tk_id *id, uint32_t *definition, tk_err *err);
/* [{"name","rate","per","burst","concurrency","keys_in_use","running","waiting"}], by name; one of them when name is given
 * (not_found); each with at most `keys` of its keys that are in use, when that is not 0. */
int tk_view_limits(tk_engine *engine, tk_slice name, size_t keys, tk_buf *out, tk_err *err);
/* [{"name","state","failures","opens_after","reset","since","retry_at","why"}] by name; one of them when name is given (not_found). */
int tk_view_breakers(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err);
/* One as it is: rules and state, no texts. TK_E_NOT_FOUND. */
int tk_view_breaker(tk_engine *engine, tk_slice name, tk_breaker *out, tk_err *err);
/* Status of one task without the rest: for wait, which has not come to the end while steps are being undone. */
int tk_view_status(tk_engine *engine, const tk_id *id, uint8_t *status, tk_err *err);
/* An id by text: whole, or a unique beginning or end of 6 or more characters, or "@last". not_found; invalid when ambiguous. */
int tk_view_find_id(tk_engine *engine, tk_slice text, tk_id *out, tk_err *err);

/* One schedule as a JSON object; all of them as an array, by name behind `after` (empty: from the first), at most `limit` (0: all). */
int tk_view_schedule(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err);
int tk_view_schedules(tk_engine *engine, tk_slice after, size_t limit, tk_buf *out, tk_err *err);
/* Planned times of a schedule after `after_us`, until visit returns false: those to come (of these at most what its `count` leaves), or
 * with backwards those of a backfill. */
#define TK_VIEW_FROM_NOW INT64_MIN   /* what is due already first */
int tk_view_schedule_times(tk_engine *engine, tk_slice name, int64_t after_us, bool backwards, bool (*visit)(void *context, int64_t at_us),
                           void *context, tk_err *err);

/* For a running step, lazily: the context; the results (error, inputs, progress) of a step by index. JSON text into out;
 * *present false: null. */
int tk_view_context(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err);
enum { TK_VIEW_RESULTS, TK_VIEW_ERROR, TK_VIEW_INPUTS, TK_VIEW_PROGRESS };
int tk_view_step_payload(tk_engine *engine, uint64_t task_no, uint32_t step, int which, bool *present, tk_buf *out, tk_err *err);
/* Element `at` (from 0) of a page of a map's list: JSON. */
int tk_view_item(tk_engine *engine, uint64_t payload, uint32_t at, tk_buf *out, tk_err *err);
/* Whether that attempt (0: an ask) is the one that may end the step. True too when it cannot be told. */
bool tk_view_is_current(tk_engine *engine, uint64_t task_no, uint32_t step, uint32_t attempt);
/* Its annotations as a JSON object; a task that does not exist has none. */
int tk_view_annotations(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err);
/* The cold fields of a task as a JSON object: initiator, source_system, reason, tags, scheduled_at ... (for `task` in a step). */
int tk_view_info(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err);

#endif
