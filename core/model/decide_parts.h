/* What the parts of decide share: status changes that keep the counters true, the log, readiness, and the end of a task. Only for
 * model/decide*.c. */
#ifndef TK_MODEL_DECIDE_PARTS_H
#define TK_MODEL_DECIDE_PARTS_H
#include "model/decide.h"

/* Sets a status and keeps every counter that depends on it. Asserts the transition against the table. */
void tk_part_set_step(tk_decide *d, tk_task *task, uint32_t index, uint8_t status);
void tk_part_set_task(tk_decide *d, tk_task *task, uint8_t status);
void tk_part_log(tk_decide *d, tk_task *task, uint8_t kind, uint32_t step, uint32_t attempt, uint64_t payload, tk_slice data);
/* The task, or one of its loaded steps, is written at the end of the turn. */
void tk_part_dirty(tk_decide *d, tk_task *task);
void tk_part_touch(tk_decide *d, tk_task *task, uint32_t index);
/* A JSON object as text in the turn's arena, printf-style. */
tk_slice tk_part_text(tk_decide *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool tk_part_running(const tk_task *task) {   /* may anything still start or end in it */
  return task->status == TK_TASK_PENDING || task->status == TK_TASK_IN_PROGRESS || task->status == TK_TASK_PAUSED;
}

/* The step's dependencies are done: ready (indexed or held), or skipped when it is bypassed (its dependents follow). */
void tk_part_make_ready(tk_decide *d, tk_task *task, uint32_t index);
/* `index` is done: its dependents from outs[from] on have one dependency less. Goes on through skipped ones; what exceeds the
 * turn's share becomes a sweep. */
void tk_part_release(tk_decide *d, tk_task *task, uint32_t index, uint32_t from);
/* The same from the first, unless an error that continues released them before; `may_end_again`: this is such an error. */
void tk_part_release_once(tk_decide *d, tk_task *task, uint32_t index, bool may_end_again);
void tk_part_start_roots(tk_decide *d, tk_task *task, uint32_t from);
/* A ready step that may not start now (its task is paused or at its limit) stays out of the index. */
void tk_part_hold(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_index(tk_decide *d, const tk_task *task, uint32_t index);
/* Puts held steps into the index while the task may start more. */
void tk_part_release_held(tk_decide *d, tk_task *task);
/* Takes a ready step out of the index, a waiting one off its timer, interrupts a running one: before it becomes something else. */
void tk_part_unhook(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_drop_task_timer(tk_decide *d, tk_task *task);
void tk_part_set_task_timer(tk_decide *d, tk_task *task, int64_t due_us, uint8_t kind);
/* Writes an event to this task's own future. */
void tk_part_sweep(tk_decide *d, tk_task *task, uint8_t sweep, uint32_t step, uint32_t cursor, tk_slice audit);
/* Ends the task when nothing can move any more. `error`: payload of the failure that led here, or 0. */
void tk_part_settle(tk_decide *d, tk_task *task, uint64_t error);
/* Cancels what is not final from step `from` on; at the end the task's last event. `status` of the task says which: cancelled, or
 * error (its timeout). */
void tk_part_cancel_from(tk_decide *d, tk_task *task, uint32_t from, tk_slice audit);

/* By kind of event: workers' outcomes, clients' operations. */
int tk_decide_outcome(tk_decide *d, tk_task *task, const tk_event *event, bool *fenced, tk_err *err);
int tk_decide_operation(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err);
void tk_decide_sweep(tk_decide *d, tk_task *task, const tk_event *event);
void tk_decide_timer(tk_decide *d, tk_task *task, const tk_event *event);

#endif
