/* What people ask for: cancel, pause, resume, retry, resolve, annotate; and what the store reminds us of: timers and sweeps. */
#include "base/err.h"
#include "base/json.h"
#include "bounds.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

static int refuse_task(tk_err *err, const tk_task *task, const char *verb, uint8_t to) {
  char id[37];
  tk_id_format(&task->id, id);
  return tk_err_set(err, TK_E_REFUSED, "%s of task %s is refused: it is %s and cannot become %s", verb, id,
                    tk_task_status_name(task->status), tk_task_status_name(to));
}

static int refuse_step(tk_err *err, const tk_task *task, uint32_t index, const char *verb, uint8_t to) {
  char id[37];
  tk_id_format(&task->id, id);
  char room[TK_STEP_NAME_ROOM];
  tk_slice name = tk_task_step_name((tk_task *)task, index, room);
  return tk_err_set(err, TK_E_REFUSED, "%s of step '%.*s' of task %s is refused: it is %s and cannot become %s", verb,
                    (int)name.size, name.data, id, tk_step_status_name(tk_task_step((tk_task *)task, index)->status),
                    tk_step_status_name(to));
}

static int cancel_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (!tk_task_may(task->status, TK_TASK_CANCELLED)) return refuse_task(err, task, "cancel", TK_TASK_CANCELLED);
  tk_part_set_task(d, task, TK_TASK_CANCELLED);
  tk_part_drop_task_timer(d, task);
  tk_part_cancel_from(d, task, 0, event->audit);
  return TK_OK;
}

/* A task that stood in error moves again. */
static void reopen(tk_decide *d, tk_task *task) {
  if (task->status != TK_TASK_ERROR) return;
  tk_part_set_task(d, task, task->started_at_us ? TK_TASK_IN_PROGRESS : TK_TASK_PENDING);
  if (task->migrations.size) tk_part_begin_pending(d, task, 0);   /* a new version may have steps that need not wait */
}

static int cancel_step(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (tk_step_final(tk_task_step(task, event->step)->status))
    return refuse_step(err, task, event->step, "cancel", TK_STEP_CANCELLED);
  tk_part_unhook(d, task, event->step);
  tk_part_cancel_child(d, task, event->step);
  tk_part_set_step(d, task, event->step, TK_STEP_CANCELLED);
  tk_part_log(d, task, TK_LOG_STEP_CANCELLED, event->step, 0, 0, event->audit);
  if (tk_task_is_map(task, event->step)) tk_fan_cancelled(d, task, event->step);
  tk_part_release_failed(d, task, event->step);
  tk_part_settle(d, task, 0);
  return TK_OK;
}

static int pause_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (!tk_task_may(task->status, TK_TASK_PAUSED)) return refuse_task(err, task, "pause", TK_TASK_PAUSED);
  task->paused_from = task->status;
  tk_part_set_task(d, task, TK_TASK_PAUSED);
  tk_part_log(d, task, TK_LOG_TASK_PAUSED, TK_NO_STEP, 0, 0, event->audit);
  tk_part_cascade(d, task, TK_SWEEP_PAUSE, 0);
  return TK_OK;
}

static int resume_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  bool paused = task->status == TK_TASK_PAUSED;
  if (!paused && !tk_part_is_cascade(event->audit)) return refuse_task(err, task, "resume", TK_TASK_IN_PROGRESS);
  if (paused) {
    tk_part_set_task(d, task, task->paused_from);
    tk_part_log(d, task, TK_LOG_TASK_RESUMED, TK_NO_STEP, 0, 0, event->audit);
    tk_part_cascade(d, task, TK_SWEEP_RESUME, 0);
  }
  tk_part_settle(d, task, 0);
  return TK_OK;
}

static void fresh_attempts(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (task->graph->initial && !step->role && !step->visits) {   /* a state that was never visited waits as before */
    tk_part_set_step(d, task, index, TK_STEP_PENDING);
    tk_part_log(d, task, TK_LOG_STEP_RETRY_SCHEDULED, index, 0, 0, tk_slice_str("{\"fresh\":true}"));
    return;
  }
  step->failures = 0;
  if (tk_task_template(task, index)->kind != TK_KIND_APPROVAL) step->losses = 0;   /* there, they are its notifications */
  step->delay_us = 0;
  tk_part_log(d, task, TK_LOG_STEP_RETRY_SCHEDULED, index, step->attempts, 0, tk_slice_str("{\"delay\":0,\"fresh\":true}"));
  if (task->graph->initial) {
    if (step->status == TK_STEP_CANCELLED) tk_part_set_step(d, task, index, TK_STEP_PENDING);
    tk_machine_begin(d, task, index);
  } else if (step->status == TK_STEP_CANCELLED) {
    tk_part_set_step(d, task, index, TK_STEP_PENDING);
    tk_part_rejoin(d, task, index);
  } else if (tk_part_begin(d, task, index)) {
    tk_part_release_done(d, task, index, 0);
  }
}

static void retry_from(tk_decide *d, tk_task *task, uint32_t from) {
  uint32_t at = from, count = task->graph->initial ? tk_task_count(task) : task->graph->step_count;
  for (; at < count && at < from + TK_SWEEP_STEPS; at++) {
    const tk_step *step = tk_task_step(task, at);
    if (step->role == TK_ROLE_NOTIFICATION) continue;
    bool continued = step->status == TK_STEP_ERROR && (tk_task_template(task, at)->flags & TK_GRAPH_CONTINUE);
    if ((step->status == TK_STEP_ERROR && !continued) || step->status == TK_STEP_CANCELLED) fresh_attempts(d, task, at);
  }
  if (at < count) tk_part_sweep(d, task, TK_SWEEP_RETRY, TK_NO_STEP, at, d->audit);
}

void tk_part_retry_task(tk_decide *d, tk_task *task, tk_slice audit) {
  reopen(d, task);
  task->attempt++;
  tk_part_log(d, task, TK_LOG_TASK_RETRIED, TK_NO_STEP, 0, 0, audit);
  if (task->started_at_us && task->graph->timeout_us)
    tk_part_set_task_timer(d, task, d->now_us + task->graph->timeout_us, TK_TIMER_TASK_TIMEOUT);
  retry_from(d, task, 0);
  tk_part_settle(d, task, 0);
}

static int retry_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (task->status != TK_TASK_ERROR) return refuse_task(err, task, "retry", TK_TASK_IN_PROGRESS);
  tk_part_retry_task(d, task, event->audit);
  return TK_OK;
}

/* Its parent's step waits for it again: it is retried where it failed, or says once more how it ended; while it undoes what it did
 * the end is still to come. */
static int retry_child(tk_decide *d, tk_task *task, const tk_event *event) {
  task->parent_attempt = event->attempt;
  tk_part_dirty(d, task);
  if (task->status == TK_TASK_ERROR && !task->compensating) tk_part_retry_task(d, task, event->audit);
  else if (tk_task_final(task->status) && !tk_part_undoes(task)) tk_part_tell_parent(d, task);
  return TK_OK;
}

static int retry_step(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  const tk_step *step = tk_task_step(task, event->step);
  bool parked = step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_PERSON;
  bool movable = tk_part_running(task) || task->status == TK_TASK_ERROR;
  if ((step->status != TK_STEP_ERROR && !parked) || !movable) return refuse_step(err, task, event->step, "retry", TK_STEP_READY);
  if (task->status == TK_TASK_ERROR) {
    reopen(d, task);
    task->attempt++;
    tk_part_log(d, task, TK_LOG_TASK_RETRIED, TK_NO_STEP, 0, 0, event->audit);
  }
  fresh_attempts(d, task, event->step);
  tk_part_settle(d, task, 0);   /* a kept signal may have ended it at once */
  return TK_OK;
}

static int resolve_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (!tk_task_may(task->status, TK_TASK_RESOLVED)) return refuse_task(err, task, "resolve", TK_TASK_RESOLVED);
  tk_part_set_task(d, task, TK_TASK_RESOLVED);
  if (event->data.size) task->results = tk_changes_payload(d->changes, event->data);
  tk_part_log(d, task, TK_LOG_TASK_RESOLVED, TK_NO_STEP, 0, 0, event->audit);
  tk_part_tell_parent(d, task);
  return TK_OK;
}

static int resolve_step(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  tk_step *step = tk_task_step(task, event->step);
  bool movable = tk_part_running(task) || task->status == TK_TASK_ERROR;
  if (!tk_step_may(step->status, TK_STEP_RESOLVED) || !movable)
    return refuse_step(err, task, event->step, "resolve", TK_STEP_RESOLVED);
  uint32_t branch = UINT32_MAX;
  int code = task->graph->initial ? tk_machine_resolve(task, event->step, event->data, &branch, err) : TK_OK;
  if (code) return code;
  reopen(d, task);
  tk_part_unhook(d, task, event->step);
  tk_part_cancel_child(d, task, event->step);
  tk_part_set_step(d, task, event->step, TK_STEP_RESOLVED);
  step->results = tk_changes_payload(d->changes, event->data.size ? event->data : tk_slice_str("null"));
  step->error = 0;
  tk_part_log(d, task, TK_LOG_STEP_RESOLVED, event->step, 0, 0, event->audit);
  tk_part_release_done(d, task, event->step, branch);
  tk_part_settle(d, task, 0);
  return TK_OK;
}

/* The newest visit of a state; any other step itself. */
static uint32_t newest(tk_task *task, uint32_t index) {
  const tk_step *step = tk_task_step(task, index);
  return task->graph->initial && step->visits ? step->visit : index;
}

/* To the step that waits for it, or kept for one that will. */
static int signal_task(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  if (!tk_part_running(task)) {
    char id[37];
    tk_id_format(&task->id, id);
    return tk_err_set(err, TK_E_REFUSED, "signal '%.*s' to task %s is refused: it is %s, not in_progress", (int)event->name.size,
                      event->name.data, id, tk_task_status_name(task->status));
  }
  if (task->signals >= TK_LIMIT_SIGNALS)
    return tk_err_set(err, TK_E_REFUSED, "signal '%.*s': %d signals are kept already and no step took them",
                      (int)event->name.size, event->name.data, TK_LIMIT_SIGNALS);
  const tk_graph *graph = task->graph;
  uint32_t at = 0;
  for (; graph->signals && at < graph->step_count; at++)
    if (graph->steps[at].kind == TK_KIND_SIGNAL && tk_slice_eq(graph->steps[at].signal, event->name) &&
        tk_task_step(task, newest(task, at))->status == TK_STEP_WAITING)
      break;
  bool kept = !graph->signals || at == graph->step_count;
  if (!kept) at = newest(task, at);
  uint64_t payload = tk_changes_payload(d->changes, event->data.size ? event->data : tk_slice_str("null"));
  tk_part_log(d, task, TK_LOG_TASK_SIGNALLED, TK_NO_STEP, 0, 0,
              tk_part_text(d, "{\"name\":\"%.*s\"}", (int)event->name.size, event->name.data));
  if (kept) {
    tk_part_keep_signal(d, task, event->name, payload);
    return TK_OK;
  }
  tk_part_unhook(d, task, at);
  tk_part_complete(d, task, at, payload, 0, nothing);
  tk_part_release_done(d, task, at, 0);
  tk_part_settle(d, task, 0);
  return TK_OK;
}

static int annotate(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_annotation annotation = {task->no, event->name, event->data};
  tk_list_push(d->changes->arena, &d->changes->annotations, annotation);
  if (tk_task_final(task->status)) return TK_OK;   /* the last event of a task is its final one */
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "name");
  tk_json_put_str(&w, event->name);
  tk_json_object_end(&w);
  tk_part_log(d, task, TK_LOG_TASK_ANNOTATED, TK_NO_STEP, 0, 0, tk_arena_copy(d->changes->arena, tk_buf_slice(&text)));
  tk_buf_free(&text);
  return TK_OK;
}

/* What was done is undone, or is being undone: nothing of it begins again. */
static int check_not_compensated(const tk_task *task, const tk_event *event, tk_err *err) {
  bool whole = event->step == TK_NO_STEP, resolves = event->type == TK_EV_RESOLVE;
  bool over = task->compensating == TK_COMPENSATION_OVER, settles = whole && resolves && over;
  if (!task->compensating || settles || !(resolves || event->type == TK_EV_RETRY || (event->type == TK_EV_CANCEL && !whole)))
    return TK_OK;
  char id[37];
  tk_id_format(&task->id, id);
  return tk_err_set(err, TK_E_REFUSED, "%s of task %s is refused: it is %s and its steps %s compensated",
                    resolves ? "resolve" : event->type == TK_EV_RETRY ? "retry" : "cancel", id, tk_task_status_name(task->status),
                    over ? "were" : "are being");
}

int tk_decide_operation(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  bool whole = event->step == TK_NO_STEP;
  int refused = check_not_compensated(task, event, err);
  if (refused) return refused;
  if (!whole && tk_task_is_instance(task, event->step)) {
    bool notifies = tk_task_step(task, event->step)->role == TK_ROLE_NOTIFICATION;
    int code = notifies ? tk_part_admit_notification(task, event, err) : tk_fan_admit(d, task, event, err);
    if (code) return code;
  }
  switch (event->type) {
    case TK_EV_CANCEL: return whole ? cancel_task(d, task, event, err) : cancel_step(d, task, event, err);
    case TK_EV_PAUSE: return pause_task(d, task, event, err);
    case TK_EV_RESUME: return resume_task(d, task, event, err);
    case TK_EV_RETRY: return whole ? retry_task(d, task, event, err) : retry_step(d, task, event, err);
    case TK_EV_CHILD_RETRY: return retry_child(d, task, event);
    case TK_EV_RESOLVE: return whole ? resolve_task(d, task, event, err) : resolve_step(d, task, event, err);
    case TK_EV_SIGNAL: return signal_task(d, task, event, err);
    case TK_EV_VOTE:
      return whole ? tk_err_set(err, TK_E_INVALID, "an approval is a step: name it") : tk_part_vote(d, task, event, err);
    case TK_EV_ANNOTATE: return annotate(d, task, event);
    default: TK_ASSERT(!"an operation"); return TK_E_INVALID;
  }
}

static void step_timer(tk_decide *d, tk_task *task, const tk_event *event) {
  const tk_graph_step *g = tk_task_template(task, event->step);
  bool late = event->timer_kind == TK_TIMER_SIGNAL;
  bool slept = event->timer_kind == TK_TIMER_SLEEP || event->timer_kind == TK_TIMER_AFTER;
  if (event->timer_kind == TK_TIMER_APPROVAL) {
    tk_part_approval_due(d, task, event->step);
  } else if (slept || (late && (g->flags & TK_GRAPH_TIMEOUT_COMPLETES))) {
    tk_part_complete(d, task, event->step, tk_changes_payload(d->changes, tk_slice_str("null")), 0, nothing);
    tk_part_release_done(d, task, event->step, late ? tk_machine_case(task, event->step, tk_slice_str("timeout")) : 0);
  } else if (late) {
    tk_step *step = tk_task_step(task, event->step);
    step->due_us = 0;
    step->error = tk_changes_payload(
        d->changes,
        tk_part_text(d, "{\"message\":\"the signal '%.*s' did not come within %.6g s\",\"code\":\"timeout\",\"retryable\":false}",
                     (int)g->signal.size, g->signal.data, (double)g->timeout_us / 1e6));
    tk_part_log(d, task, TK_LOG_STEP_FAILED, event->step, 0, step->error, nothing);
    tk_part_fail(d, task, event->step);
  } else if (event->timer_kind == TK_TIMER_CHILD) {
    tk_part_child_late(d, task, event->step);
  } else {
    tk_part_try_again(d, task, event->step);
    return;
  }
  tk_part_settle(d, task, tk_task_step(task, event->step)->error);
}

void tk_decide_timer(tk_decide *d, tk_task *task, const tk_event *event) {
  if (event->step != TK_NO_STEP) {
    const tk_step *step = tk_task_step(task, event->step);
    bool waits = step->status == TK_STEP_WAITING || step->flags & TK_STEP_F_LIMITED;
    if (!waits || step->due_us != event->due_us) return;   /* it moved on; the entry was stale */
    step_timer(d, task, event);
    return;
  }
  if (task->due_us != event->due_us || task->due_kind != event->timer_kind) return;
  task->due_us = 0;
  task->due_kind = TK_TIMER_NONE;
  tk_part_dirty(d, task);
  if (event->timer_kind == TK_TIMER_RUN_AT) {
    tk_part_start_roots(d, task, 0);
    tk_part_settle(d, task, 0);
  } else if (tk_part_running(task)) {
    tk_part_set_task(d, task, TK_TASK_ERROR);
    tk_part_cancel_from(d, task, 0, nothing);
  }
}

void tk_decide_sweep(tk_decide *d, tk_task *task, const tk_event *event) {
  TK_ASSERT(task->sweeps);
  task->sweeps--;
  tk_part_dirty(d, task);
  bool same_attempt = event->attempt == task->attempt;
  switch (event->sweep) {
    case TK_SWEEP_ROOTS:
      if (tk_part_running(task)) tk_part_start_roots(d, task, event->cursor);
      break;
    case TK_SWEEP_RELEASE: tk_part_release(d, task, event->step, event->cursor, event->end, event->branch); break;
    case TK_SWEEP_CANCEL:
      if (task->status != event->branch) break;   /* it was cancelled while its timeout still ended its steps */
      if (task->status == TK_TASK_CANCELLED || (task->status == TK_TASK_ERROR && same_attempt))
        tk_part_cancel_from(d, task, event->cursor, event->audit);
      break;
    case TK_SWEEP_RETRY:
      if (tk_part_running(task) && same_attempt) retry_from(d, task, event->cursor);
      break;
    case TK_SWEEP_HELD: break;   /* settling lets them go */
    case TK_SWEEP_STOP_ELEMENTS:
    case TK_SWEEP_RENEW_ELEMENTS:
      if (tk_part_running(task)) tk_fan_sweep(d, task, event);
      break;
    case TK_SWEEP_BEGIN:
      if (tk_part_running(task)) tk_part_begin_pending(d, task, event->cursor);
      break;
    case TK_SWEEP_PAUSE:
    case TK_SWEEP_RESUME:
      if (tk_part_running(task) && (task->status == TK_TASK_PAUSED) == (event->sweep == TK_SWEEP_PAUSE))
        tk_part_cascade(d, task, event->sweep, event->cursor);
      break;
    default: TK_ASSERT(!"a sweep");
  }
  tk_part_settle(d, task, 0);
}
