/* Child tasks: a step that waits for a task of its own. What one says to the other is an event in the inbox: SPAWN (the step to its
 * task: make it), CHILD_ENDED (to the parent), CHILD_RETRY, and the operations that go down a tree (to the child). Each start of the
 * step is an attempt, which fences what comes back. */
#include "base/err.h"
#include "base/json.h"
#include "model/decide_parts.h"

#define CASCADE "{\"cascade\":\""   /* how the audit of what came from a parent begins; clients' audits have reason and by only */

static const tk_slice nothing = {NULL, 0};

/* ---- Down ---- */

bool tk_part_is_cascade(tk_slice audit) {
  return audit.size >= sizeof CASCADE - 1 && memcmp(audit.data, CASCADE, sizeof CASCADE - 1) == 0;
}

/* The audit of the operation as the tasks below get it: with the id of the task it was asked of. */
static tk_slice audit_below(tk_decide *d, const tk_task *task) {
  char id[37];
  if (tk_part_is_cascade(d->audit)) return d->audit;
  tk_id_format(&task->id, id);
  tk_buf text = {0};
  tk_buf_append(&text, CASCADE, sizeof CASCADE - 1);
  tk_buf_append(&text, id, 36);
  tk_buf_u8(&text, '"');
  if (d->audit.size > 2) {   /* an object that is not empty */
    tk_buf_u8(&text, ',');
    tk_buf_append(&text, d->audit.data + 1, d->audit.size - 2);
  }
  tk_buf_u8(&text, '}');
  tk_slice copy = tk_arena_copy(d->changes->arena, tk_buf_slice(&text));
  tk_buf_free(&text);
  return copy;
}

static void tell_child(tk_decide *d, uint8_t type, const tk_step *step, tk_slice audit) {
  tk_event event = {.type = type, .task_no = step->child, .step = TK_NO_STEP, .attempt = step->attempts, .audit = audit};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
}

/* A child whose step has come to its end is on its own. */
static bool still_its(const tk_step *step) {
  return tk_part_has_child(step) && (!tk_step_final(step->status) || step->status == TK_STEP_ERROR);
}

void tk_part_cancel_child(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!still_its(step)) return;
  tell_child(d, TK_EV_CANCEL, step, audit_below(d, task));
  step->flags |= TK_STEP_F_CHILD_GONE;
  tk_part_touch(d, task, index);
}

void tk_part_cascade(tk_decide *d, tk_task *task, uint8_t sweep, uint32_t from) {
  if (!task->children) return;
  tk_slice audit = audit_below(d, task);
  uint32_t at = from, count = tk_task_count(task);
  for (uint32_t budget = TK_SWEEP_STEPS; at < count && budget; budget--, at++) {
    const tk_step *step = tk_task_step(task, at);
    if (!step->child) at = tk_part_beyond_absent(task, at + 1) - 1;
    else if (still_its(step)) tell_child(d, sweep == TK_SWEEP_PAUSE ? TK_EV_PAUSE : TK_EV_RESUME, step, audit);
  }
  if (at < count) tk_part_sweep(d, task, sweep, TK_NO_STEP, at, audit);
}

/* ---- The step begins ---- */

static void log_waiting(tk_decide *d, tk_task *task, uint32_t index, const tk_id *child) {
  const tk_step *step = tk_task_step(task, index);
  char id[37], at[32];
  if (child) tk_id_format(child, id);
  if (step->due_us) tk_time_format(step->due_us, at);
  tk_slice data = tk_part_text(d, "{\"waiting_for\":\"child\"%s%s%s%s%s%s}", child ? ",\"task_id\":\"" : "", child ? id : "",
                               child ? "\"" : "", step->due_us ? ",\"until\":\"" : "", step->due_us ? at : "",
                               step->due_us ? "\"" : "");
  tk_part_log(d, task, TK_LOG_STEP_WAITING, index, step->attempts, 0, data);
}

static void start_attempt(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  int64_t timeout_us = tk_task_template(task, index)->timeout_us;
  tk_part_start_task(d, task);
  step->attempts++;
  step->last_attempted_at_us = d->now_us;
  if (!step->started_at_us) step->started_at_us = d->now_us;
  tk_part_log(d, task, TK_LOG_STEP_STARTED, index, step->attempts, 0, nothing);
  tk_part_wait(d, task, index, TK_WAIT_CHILD, timeout_us ? tk_part_due_after(d->now_us, timeout_us) : 0, TK_TIMER_CHILD);
}

void tk_part_begin_child(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!tk_part_has_child(step) || !tk_part_is_open(task)) {
    tk_part_make_ready(d, task, index);
    return;
  }
  if (step->status != TK_STEP_READY) tk_part_set_step(d, task, index, TK_STEP_READY);
  start_attempt(d, task, index);
  if (step->status != TK_STEP_WAITING) return;   /* its map had stopped */
  log_waiting(d, task, index, NULL);
  tell_child(d, TK_EV_CHILD_RETRY, step, audit_below(d, task));
}

void tk_part_child_answered(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_step *step = tk_task_step(task, event->step);
  if (step->inputs) tk_list_push(d->changes->arena, &d->changes->unpayloads, step->inputs);
  step->inputs = tk_changes_payload(d->changes, event->data);
  start_attempt(d, task, event->step);
  tk_event spawn = {
      .type = TK_EV_SPAWN, .task_no = task->no, .step = event->step, .attempt = step->attempts, .cursor = event->cursor};
  tk_list_push(d->changes->arena, &d->changes->inbox, spawn);
}

/* ---- The child is made ---- */

static bool awaits(const tk_task *task, const tk_step *step, uint32_t attempt) {
  return tk_part_running(task) && step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_CHILD && step->attempts == attempt;
}

bool tk_decide_wants_child(const tk_task *task, const tk_event *event) {
  const tk_step *step = tk_task_step((tk_task *)task, event->step);
  return awaits(task, step, event->attempt) && !tk_part_has_child(step);
}

void tk_decide_child_made(tk_decide *d, tk_task *task, const tk_event *event, tk_task *child) {
  tk_step *step = tk_task_step(task, event->step);
  d->audit = nothing;
  if (!step->child) task->children++;
  step->child = child->no;
  step->flags &= (uint16_t)~TK_STEP_F_CHILD_GONE;
  child->parent = task->no;
  child->parent_step = event->step;
  child->parent_attempt = step->attempts;
  tk_part_touch(d, task, event->step);
  log_waiting(d, task, event->step, &child->id);
  if (task->status == TK_TASK_PAUSED) tell_child(d, TK_EV_PAUSE, step, audit_below(d, task));   /* the others were told before */
}

/* ---- The attempt ends ---- */

static void drop_timer(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!step->due_us) return;
  tk_timer timer = {step->due_us, task->no, index, TK_TIMER_NONE};
  tk_list_push(d->changes->arena, &d->changes->untimers, timer);
  step->due_us = 0;
}

static void attempt_failed(tk_decide *d, tk_task *task, uint32_t index, tk_slice error, bool retryable) {
  tk_step *step = tk_task_step(task, index);
  const tk_graph_step *g = tk_task_template(task, index);
  uint32_t wanted = TK_GRAPH_RETRYABLE | TK_GRAPH_CHILD_RETRIES;
  bool again = retryable && (g->flags & wanted) == wanted && !tk_fan_is_stopped(task, index);
  step->failures++;
  step->error = tk_changes_payload(d->changes, error);
  tk_part_log(d, task, TK_LOG_STEP_FAILED, index, step->attempts, step->error, nothing);
  if (again && step->failures < g->retry.limit) tk_part_retry_later(d, task, index, -1);
  else tk_part_fail(d, task, index);
  if (step->role) step = tk_task_step(task, step->template_);   /* a map's error is the task's, not an element's */
  tk_part_settle(d, task, step->error);
}

void tk_decide_child_refused(tk_decide *d, tk_task *task, const tk_event *event, tk_slice error) {
  d->audit = nothing;
  drop_timer(d, task, event->step);
  attempt_failed(d, task, event->step, error, false);
}

void tk_part_child_late(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  double seconds = (double)tk_task_template(task, index)->timeout_us / 1e6;
  step->due_us = 0;
  d->audit = tk_part_text(d, "{\"reason\":\"not done within the %.6g s that its parent waits for it\"}", seconds);
  tk_part_cancel_child(d, task, index);
  d->audit = nothing;
  attempt_failed(d, task, index,
                 tk_part_text(d, "{\"message\":\"the child was not done within %.6g s\",\"code\":\"timeout\",\"retryable\":true}", seconds),
                 true);
}

void tk_decide_child_ended(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_step *step = tk_task_step(task, event->step);
  bool cancelled = event->cursor == TK_TASK_CANCELLED;
  if (step->child != event->child) return;
  if ((cancelled || event->end) && still_its(step)) {   /* another attempt needs a new child */
    step->flags |= TK_STEP_F_CHILD_GONE;
    tk_part_touch(d, task, event->step);
  }
  if (!awaits(task, step, event->attempt)) return;
  bool done = event->cursor == TK_TASK_COMPLETE || event->cursor == TK_TASK_RESOLVED;
  bool takes = done || (tk_task_template(task, event->step)->flags & TK_GRAPH_CHILD_IGNORES);
  drop_timer(d, task, event->step);
  if (!takes || !event->data.size) {
    attempt_failed(d, task, event->step, event->failure, !done && !cancelled);
    return;
  }
  tk_part_complete(d, task, event->step, tk_changes_payload(d->changes, event->data), step->attempts, nothing);
  tk_part_release_done(d, task, event->step,
                       tk_machine_case(task, event->step, tk_slice_str(tk_task_status_name((uint8_t)event->cursor))));
  tk_part_settle(d, task, 0);
}

void tk_part_tell_parent(tk_decide *d, tk_task *task) {
  if (!task->parent) return;
  tk_event event = {.type = TK_EV_CHILD_ENDED,
                    .task_no = task->parent,
                    .step = task->parent_step,
                    .attempt = task->parent_attempt,
                    .cursor = task->status,
                    .end = task->compensating != TK_COMPENSATION_NONE,
                    .child = task->no};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
}
