/* What the parts of decide share: status changes that keep the counters true, the log, readiness, and the end of a task. Only for
 * model/decide*.c. */
#ifndef TK_MODEL_DECIDE_PARTS_H
#define TK_MODEL_DECIDE_PARTS_H
#include "model/compensation.h"
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

/* What the task still does is to undo what it did. */
static inline bool tk_part_undoes(const tk_task *task) { return task->compensating == TK_COMPENSATION_RUNS; }

static inline bool tk_part_running(const tk_task *task) {   /* may anything still start or end in it */
  return task->status == TK_TASK_PENDING || task->status == TK_TASK_IN_PROGRESS || task->status == TK_TASK_PAUSED;
}

/* Room for `count` more instances: index of the first. They are pending and cost nothing until they are touched. */
uint32_t tk_part_reserve(tk_decide *d, tk_task *task, uint32_t count);
/* Touches an instance for the first time. */
void tk_part_instance(tk_decide *d, tk_task *task, uint32_t index, uint8_t role, uint32_t template_, uint32_t ordinal);
/* `index`, or the first step behind a whole chunk of instances that were never touched. */
uint32_t tk_part_beyond_absent(tk_task *task, uint32_t index);
/* Not paused, not before its run_at, and not below a task that is stopped: else what is ready is held. */
bool tk_part_is_open(const tk_task *task);

/* The step may run: ready, indexed or held. From any status that may become ready. */
void tk_part_make_ready(tk_decide *d, tk_task *task, uint32_t index);
/* The step's turn has come: a run is ready, a sleep or a signal waits (or is complete at once: true, and its dependents were not
 * released yet). */
bool tk_part_begin(tk_decide *d, tk_task *task, uint32_t index);
/* It waits, asked or not, until due_us (0: no timer). */
void tk_part_wait(tk_decide *d, tk_task *task, uint32_t index, uint8_t waiting_for, int64_t due_us, uint8_t timer_kind);
/* Waits for its signal, or takes one that came before: true, it is complete. */
bool tk_part_await_signal(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_keep_signal(tk_decide *d, tk_task *task, tk_slice name, uint64_t payload);
/* The payload of the error of a task that ran into its timeout. */
uint64_t tk_part_timeout_error(tk_decide *d, const tk_task *task);
/* Undoes what the task did before it ends (compensation.h): keeps what is to be undone and begins, or replaces who cancelled it when
 * that goes on already. False: there is nothing to undo, the task may end. */
bool tk_part_compensate(tk_decide *d, tk_task *task, uint64_t error, tk_slice audit);
void tk_part_compensation_goes_on(tk_decide *d, tk_task *task);
void tk_part_compensation_ended(tk_decide *d, tk_task *task, uint32_t index, bool failed);
/* An approval: opens with what its code answered; the row goes; a vote; its timer. */
void tk_part_open_approval(tk_decide *d, tk_task *task, uint32_t index, tk_slice plan);
void tk_part_close_approval(tk_decide *d, tk_task *task, uint32_t index);
int tk_part_vote(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err);
void tk_part_approval_due(tk_decide *d, tk_task *task, uint32_t index);
/* A pending step whose dependencies may have spoken already: it begins, is skipped, or waits for them. */
void tk_part_rejoin(tk_decide *d, tk_task *task, uint32_t index);
/* The ends of a step. `branch`: the case a switch took. Each tells the dependents what they need to know, once. */
void tk_part_complete(tk_decide *d, tk_task *task, uint32_t index, uint64_t results, uint32_t attempt, tk_slice data);
void tk_part_release_done(tk_decide *d, tk_task *task, uint32_t index, uint32_t branch);
void tk_part_skip(tk_decide *d, tk_task *task, uint32_t index, uint32_t attempt, tk_slice data);
void tk_part_fail(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_release_failed(tk_decide *d, tk_task *task, uint32_t index);
/* Tells the dependents from outs[from] on; goes on through those that end at once; what exceeds the turn's share becomes a sweep.
 */
void tk_part_release(tk_decide *d, tk_task *task, uint32_t index, uint32_t from, uint8_t end, uint32_t branch);
void tk_part_start_roots(tk_decide *d, tk_task *task, uint32_t from);
/* A ready step that may not start now (its task is paused or at its limit) stays out of the index. */
void tk_part_hold(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_index(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_unindex(tk_decide *d, tk_task *task, uint32_t index);
/* Neither paused, nor before its run_at, nor at max_parallel. */
bool tk_part_may_start(const tk_task *task);
/* The task's first step starts. */
void tk_part_start_task(tk_decide *d, tk_task *task);
/* The same for a step that begins to wait: that is a start, but not of a task that waits for its time, whose timer stays. */
void tk_part_start_waiting(tk_decide *d, tk_task *task);
/* Puts held steps into the index while the task may start more. */
void tk_part_release_held(tk_decide *d, tk_task *task);
/* Takes a ready step out of the index, a waiting one off its timer, interrupts a running one: before it becomes something else.
 */
void tk_part_unhook(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_drop_task_timer(tk_decide *d, tk_task *task);
void tk_part_set_task_timer(tk_decide *d, tk_task *task, int64_t due_us, uint8_t kind);
/* Writes an event to this task's own future; the caller may fill in more until the next one. */
tk_event *tk_part_sweep(tk_decide *d, tk_task *task, uint8_t sweep, uint32_t step, uint32_t cursor, tk_slice audit);
/* What held steps waited for may have come: as many as may start are let go. Ends the task when nothing can move any more. `error`:
 * payload of the failure that led here, or 0. */
void tk_part_settle(tk_decide *d, tk_task *task, uint64_t error);
/* Cancels what is not final from step `from` on; at the end the task's last event. `status` of the task says which: cancelled, or
 * error (its timeout). */
void tk_part_cancel_from(tk_decide *d, tk_task *task, uint32_t from, tk_slice audit);

/* Maps (decide_fan.c). The answer of the ask: its list; begins. */
void tk_fan_answered(tk_decide *d, tk_task *task, uint32_t map, tk_slice pages, uint32_t count);
/* A ready map whose list is known, for the first time or again: then what failed gets fresh attempts. */
void tk_fan_begin(tk_decide *d, tk_task *task, uint32_t map);
/* Puts the map into the ready index or takes it out, by whether an element may start. */
void tk_fan_give(tk_decide *d, tk_task *task, uint32_t map);
void tk_fan_take_back(tk_decide *d, tk_task *task, uint32_t map);
/* The element to start next of a map that gives: ready. */
uint32_t tk_fan_next(tk_decide *d, tk_task *task, uint32_t map);
/* An element changed its status. */
void tk_fan_count(tk_decide *d, tk_task *task, uint32_t element, uint8_t from, uint8_t to);
void tk_fan_unqueue(tk_decide *d, tk_task *task, uint32_t element);
/* An element became ready again, or waits. */
void tk_fan_element_moved(tk_decide *d, tk_task *task, uint32_t element);
/* An element is at its end: what that means to the map. */
void tk_fan_element_ended(tk_decide *d, tk_task *task, uint32_t element, bool failed);
/* The map was cancelled alone: its elements are too. */
void tk_fan_cancelled(tk_decide *d, tk_task *task, uint32_t map);
/* Whether the step is an element of a map that starts nothing any more. */
bool tk_fan_is_stopped(tk_task *task, uint32_t index);
void tk_fan_sweep(tk_decide *d, tk_task *task, const tk_event *event);
/* Whether an operation on an element is possible while its map is as it is. */
int tk_fan_admit(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err);
/* The failed attempt (its error is kept and logged) is repeated after delay_us; -1: by its policy. */
void tk_part_retry_later(tk_decide *d, tk_task *task, uint32_t index, int64_t delay_us);
/* Its time came: ready, or what its kind does instead. */
void tk_part_again(tk_decide *d, tk_task *task, uint32_t index);
/* A ready step whose ask ended without an answer that was used. */
void tk_part_index_again(tk_decide *d, tk_task *task, uint32_t index);
/* Something came that a step which snoozes until it is woken may want. */
void tk_part_woken(tk_decide *d, tk_task *task, uint32_t index);
int64_t tk_part_due_after(int64_t now_us, int64_t delay_us);
void tk_part_retry_task(tk_decide *d, tk_task *task, tk_slice audit);   /* in error only */

/* decide_child.c. */
static inline bool tk_part_has_child(const tk_step *step) { return step->child && !(step->flags & TK_STEP_F_CHILD_GONE); }
/* Waits again for the child it has, or asks for what a new one needs. */
void tk_part_begin_child(tk_decide *d, tk_task *task, uint32_t index);
void tk_part_child_answered(tk_decide *d, tk_task *task, const tk_event *event);
void tk_part_child_late(tk_decide *d, tk_task *task, uint32_t index);   /* its timeout */
void tk_part_cancel_child(tk_decide *d, tk_task *task, uint32_t index);
/* Tells the children from step `from` on that the task was paused or resumed. */
void tk_part_cascade(tk_decide *d, tk_task *task, uint8_t sweep, uint32_t from);
/* An operation that came from the parent: its audit says so. */
bool tk_part_is_cascade(tk_slice audit);
/* It has come to its end: its parent, if any, is told. */
void tk_part_tell_parent(tk_decide *d, tk_task *task);
/* Its last event is logged: who waits for its end is told; the parent not of what came from it (`audit`). */
void tk_part_over(tk_decide *d, tk_task *task, tk_slice audit);
void tk_decide_child_ended(tk_decide *d, tk_task *task, const tk_event *event);

/* Moves the task to another definition (decide_migrate.c). */
int tk_part_migrate(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err);
/* Judges pending steps from `from` on, as after a migration; what exceeds the turn's share becomes a sweep. */
void tk_part_begin_pending(tk_decide *d, tk_task *task, uint32_t from);
/* One more dependency of the step has spoken. */
void tk_part_count_end(tk_step *step, uint8_t end);

/* Notifications of approvals (decide_notify.c). A round begins: people are told, where the step has code for that. */
void tk_part_notify(tk_decide *d, tk_task *task, struct tk_approval *approval);
/* The approval ends: what waits to be told is not told any more; what is being told is. */
void tk_part_drop_notifications(tk_decide *d, tk_task *task, const struct tk_approval *approval);
/* An attempt of it ended: it is not repeated when its approval is over. */
void tk_part_notification_moved(tk_decide *d, tk_task *task, uint32_t index);
/* Whether an operation on it is possible. */
int tk_part_admit_notification(tk_task *task, const tk_event *event, tk_err *err);

/* ---- Limits (decide_limit.c); for steps whose graph step has some ---- */

/* Takes what the step needs of its limits, all or nothing. False: it waits now, until its slot or until it is called. */
bool tk_part_admit(tk_decide *d, tk_task *task, uint32_t index);
/* Its status was `from`: what ran gives its places back, and what is at its end forgets its keys. */
void tk_part_limited_moved(tk_decide *d, tk_task *task, uint32_t index, uint8_t from);
/* The meter of a limit's key, fitted to its rules; it is to be written. */
tk_meter *tk_part_meter(tk_decide *d, uint32_t limit, tk_slice key);
void tk_part_touch_meter(tk_decide *d, tk_meter *meter);
/* It does not wait any more. */
void tk_part_leave_queues(tk_decide *d, tk_task *task, uint32_t index);
/* Nor has it keys any more. */
void tk_part_forget_limits(tk_decide *d, tk_task *task, uint32_t index);
/* The ask told its keys; returns what stands behind them. */
tk_slice tk_part_keep_keys(tk_decide *d, tk_task *task, uint32_t index, tk_slice keys);
/* Its time has come: what waited, a step or a map, is ready to be claimed. */
void tk_part_try_again(tk_decide *d, tk_task *task, uint32_t index);
void tk_decide_wake(tk_decide *d, tk_task *task, const tk_event *event);
void tk_part_correct_cost(tk_decide *d, tk_task *task, const tk_event *event);
/* Machines (decide_machine.c). Begins with the initial state. */
void tk_machine_start(tk_decide *d, tk_task *task);
/* The machine is at its end, or stands still with nothing that failed: whatever was never visited is skipped. */
void tk_machine_finish(tk_decide *d, tk_task *task);
/* A visit begins, for the first time or again. */
void tk_machine_begin(tk_decide *d, tk_task *task, uint32_t visit);
/* A visit is at its end: where that leads. `branch` of a state that runs: index of the next state; of others: its case. */
void tk_machine_left(tk_decide *d, tk_task *task, uint32_t visit, uint8_t end, uint32_t branch);
/* The case of a state, or of a machine that runs the next state, that an outcome leads to; UINT32_MAX: there is none. */
uint32_t tk_machine_case(tk_task *task, uint32_t visit, tk_slice outcome);
/* Where a visit that a person settles with these results leads: as `branch` of tk_machine_left. */
int tk_machine_resolve(tk_task *task, uint32_t visit, tk_slice results, uint32_t *branch, tk_err *err);

/* By kind of event: workers' outcomes, clients' operations. */
int tk_decide_outcome(tk_decide *d, tk_task *task, const tk_event *event, bool *fenced, tk_err *err);
int tk_decide_operation(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err);
void tk_decide_sweep(tk_decide *d, tk_task *task, const tk_event *event);
void tk_decide_timer(tk_decide *d, tk_task *task, const tk_event *event);

#endif
