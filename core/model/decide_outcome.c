/* What follows from an attempt: done, failed, snoozed, given back, lost, and the answers of asks. */
#include "model/decide_parts.h"
#include "model/retry.h"

static const tk_slice nothing = {NULL, 0};

/* Whether the event is about what the step is doing now. Only the attempt that is current can end the step. An ask has no fence of
 * its own: whoever answers it, from the same committed values, answers the same; a late release only has it asked again. */
static bool is_current(const tk_task *task, const tk_step *step, const tk_event *event) {
  if (!tk_part_running(task) && step->role != TK_ROLE_COMPENSATION) return false;
  if (tk_task_is_map(task, event->step) && event->attempt) return false;   /* its elements run, not itself */
  if (event->attempt == 0) return step->status == TK_STEP_READY && (step->flags & TK_STEP_F_ASKING);
  return step->status == TK_STEP_IN_PROGRESS && step->attempts == event->attempt;
}

int64_t tk_part_due_after(int64_t now_us, int64_t delay_us) {
  return delay_us < INT64_MAX / 2 ? now_us + delay_us : INT64_MAX / 2;
}

void tk_part_again(tk_decide *d, tk_task *task, uint32_t index) {
  if (tk_task_template(task, index)->kind == TK_KIND_CHILD) tk_part_begin_child(d, task, index);
  else tk_part_make_ready(d, task, index);
}

void tk_part_retry_later(tk_decide *d, tk_task *task, uint32_t index, int64_t delay_us) {
  tk_step *step = tk_task_step(task, index);
  if (delay_us < 0)
    delay_us =
        (int64_t)(tk_retry_delay(&tk_task_template(task, index)->retry, step->failures, (double)step->delay_us / 1e6, d->rng) * 1e6);
  step->delay_us = delay_us;
  int64_t due_us = tk_part_due_after(d->now_us, delay_us);
  char at[32];
  tk_time_format(due_us, at);
  uint32_t attempt = step->attempts;
  tk_part_log(d, task, TK_LOG_STEP_RETRY_SCHEDULED, index, attempt, 0,
              tk_part_text(d, "{\"delay\":%.6f,\"next_attempt_at\":\"%s\"}", (double)delay_us / 1e6, at));
  if (delay_us == 0) {
    tk_part_again(d, task, index);
    return;
  }
  if (step->status == TK_STEP_WAITING) tk_part_set_step(d, task, index, TK_STEP_READY);   /* for its child, so far */
  tk_part_wait(d, task, index, TK_WAIT_RETRY, due_us, TK_TIMER_RETRY);
}

static void set_error(tk_decide *d, tk_step *step, tk_slice error) { step->error = tk_changes_payload(d->changes, error); }

static void drop_progress(tk_decide *d, tk_step *step) {
  if (step->progress) tk_list_push(d->changes->arena, &d->changes->unpayloads, step->progress);
  step->progress = 0;
}

static void count_failure(tk_decide *d, tk_task *task, const tk_event *event, tk_slice error) {
  tk_step *step = tk_task_step(task, event->step);
  step->failures++;
  set_error(d, step, error);
  tk_part_log(d, task, TK_LOG_STEP_FAILED, event->step, event->attempt, step->error, nothing);
}

static void step_done(tk_decide *d, tk_task *task, const tk_event *event) {
  if (event->failure.size) count_failure(d, task, event, event->failure);
  tk_part_complete(d, task, event->step, tk_changes_payload(d->changes, event->data), event->attempt,
                   event->failure.size ? event->audit : nothing);
  drop_progress(d, tk_task_step(task, event->step));
  tk_part_release_done(d, task, event->step, event->branch);
}

static void step_failed(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_step *step = tk_task_step(task, event->step);
  const tk_graph_step *g = tk_task_template(task, event->step);
  count_failure(d, task, event, event->data);
  bool again = event->retryable && (g->flags & TK_GRAPH_RETRYABLE) && step->failures < g->retry.limit;
  if (again && !tk_fan_is_stopped(task, event->step))
    tk_part_retry_later(d, task, event->step, event->delay_us);
  else tk_part_fail(d, task, event->step);
}

static void step_skipped(tk_decide *d, tk_task *task, const tk_event *event) {
  count_failure(d, task, event, event->failure);
  drop_progress(d, tk_task_step(task, event->step));
  tk_part_skip(d, task, event->step, event->attempt, event->audit);
}

/* Until somebody retries or resolves it. */
static void step_parked(tk_decide *d, tk_task *task, const tk_event *event) {
  count_failure(d, task, event, event->failure);
  tk_part_log(d, task, TK_LOG_STEP_WAITING, event->step, event->attempt, 0, event->audit);
  tk_part_wait(d, task, event->step, TK_WAIT_PERSON, 0, TK_TIMER_NONE);
}

/* Without a timer. What came while it ran may be what it did not see: then it looks again. */
static void snooze_until_woken(tk_decide *d, tk_task *task, uint32_t index, uint32_t attempt) {
  tk_step *step = tk_task_step(task, index);
  if (step->flags & TK_STEP_F_AGAIN) {
    step->flags &= (uint16_t)~TK_STEP_F_AGAIN;
    tk_part_make_ready(d, task, index);
    return;
  }
  tk_part_log(d, task, TK_LOG_STEP_WAITING, index, attempt, 0, tk_slice_str("{\"waiting_for\":\"signal\"}"));
  tk_part_wait(d, task, index, TK_WAIT_SIGNAL, 0, TK_TIMER_NONE);
}

void tk_part_woken(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!tk_part_running(task) || tk_task_template(task, index)->kind != TK_KIND_RUN) return;
  if (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_SIGNAL) {
    tk_part_make_ready(d, task, index);
  } else if (step->status == TK_STEP_IN_PROGRESS && !(step->flags & TK_STEP_F_AGAIN)) {
    step->flags |= TK_STEP_F_AGAIN;
    tk_part_touch(d, task, index);
  }
}

static void step_snoozed(tk_decide *d, tk_task *task, const tk_event *event) {
  if (event->delay_us == INT64_MAX) {
    snooze_until_woken(d, task, event->step, event->attempt);
    return;
  }
  int64_t due_us = tk_part_due_after(d->now_us, event->delay_us);
  char at[32];
  tk_time_format(due_us, at);
  tk_part_log(d, task, TK_LOG_STEP_WAITING, event->step, event->attempt, 0,
              tk_part_text(d, "{\"waiting_for\":\"timer\",\"until\":\"%s\"}", at));
  tk_part_wait(d, task, event->step, TK_WAIT_TIMER, due_us, TK_TIMER_SNOOZE);
}

static void step_lost(tk_decide *d, tk_task *task, const tk_event *event) {
  static const char error[] = "{\"message\":\"the process that ran it is gone\",\"code\":\"lost\",\"retryable\":true}";
  tk_step *step = tk_task_step(task, event->step);
  step->losses++;
  set_error(d, step, tk_slice_str(error));
  tk_part_log(d, task, TK_LOG_STEP_FAILED, event->step, event->attempt, step->error, nothing);
  if (step->losses < tk_task_template(task, event->step)->retry.lost_limit) tk_part_make_ready(d, task, event->step);
  else tk_part_fail(d, task, event->step);
}

/* The end of an ask, whatever came of it: the step is an ordinary ready step again, and not in the index. */
static void end_ask(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  step->flags &= (uint16_t)~TK_STEP_F_ASKING;
  step->owner = 0;
  task->running--;
  tk_part_touch(d, task, index);
}

void tk_part_index_again(tk_decide *d, tk_task *task, uint32_t index) {
  if (tk_task_step(task, index)->role == TK_ROLE_ELEMENT) tk_fan_element_moved(d, task, index);
  else if (!tk_part_is_open(task)) tk_part_hold(d, task, index);
  else tk_part_index(d, task, index);
}

static void complete_and_release(tk_decide *d, tk_task *task, uint32_t index, tk_slice results, uint32_t branch) {
  tk_part_complete(d, task, index, tk_changes_payload(d->changes, results), 0, nothing);
  tk_part_release_done(d, task, index, branch);
}

/* The answer of an ask is at hand: the step goes on as its kind does. */
static void answered(tk_decide *d, tk_task *task, const tk_event *event) {
  uint32_t index = event->step;
  const tk_graph_step *g = tk_task_template(task, index);
  tk_step *step = tk_task_step(task, index);
  if (event->ask_skip) {
    tk_part_skip(d, task, index, 0, nothing);
    return;
  }
  bool map = tk_task_is_map(task, index);
  if ((g->kind == TK_KIND_CHILD || map) && !tk_part_is_open(task)) {   /* it would start by this: asked again then */
    tk_part_index_again(d, task, index);
    return;
  }
  if (g->kind == TK_KIND_CHILD && !map) {
    tk_part_child_answered(d, task, event);
    return;
  }
  step->flags |= TK_STEP_F_ASKED;
  if (step->inputs) tk_list_push(d->changes->arena, &d->changes->unpayloads, step->inputs);   /* asked anew */
  step->inputs = event->data.size ? tk_changes_payload(d->changes, event->data) : 0;
  tk_slice list = event->name;
  if (map && tk_graph_step_keyed(g)) list = tk_part_keep_keys(d, task, index, list);
  else if (event->keys.size && g->limit_count) tk_part_keep_keys(d, task, index, event->keys);
  if (g->kind == TK_KIND_APPROVAL) {
    tk_part_open_approval(d, task, index, event->name);
  } else if (map) {
    tk_fan_answered(d, task, index, list, event->cursor);
  } else if (g->kind == TK_KIND_SWITCH) {
    complete_and_release(d, task, index, event->name, event->cursor);
  } else if (g->kind == TK_KIND_SLEEP && g->sleep_us < 0) {
    char at[32];
    tk_time_format(event->due_us, at);
    tk_part_start_waiting(d, task);
    tk_part_log(d, task, TK_LOG_STEP_WAITING, index, 0, 0, tk_part_text(d, "{\"waiting_for\":\"timer\",\"until\":\"%s\"}", at));
    tk_part_wait(d, task, index, TK_WAIT_TIMER, event->due_us, TK_TIMER_SLEEP);
  } else if (g->kind == TK_KIND_RUN) {
    tk_part_index_again(d, task, index);
  } else if (tk_part_begin(d, task, index)) {
    tk_part_release_done(d, task, index, 0);
  }
}

static void ask_ended(tk_decide *d, tk_task *task, const tk_event *event) {
  uint32_t index = event->step;
  end_ask(d, task, index);
  tk_step *step = tk_task_step(task, index);
  if (event->type == TK_EV_ASK_FAILED) {
    set_error(d, step, event->data);
    tk_part_log(d, task, TK_LOG_STEP_FAILED, index, 0, step->error, nothing);
    tk_part_fail(d, task, index);
    return;
  }
  if (event->type == TK_EV_ASK_DONE) answered(d, task, event);
  else tk_part_index_again(d, task, index);
}

static void heartbeat(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_step *step = tk_task_step(task, event->step);
  drop_progress(d, step);
  step->progress = tk_changes_payload(d->changes, event->data);
  tk_part_touch(d, task, event->step);
}

int tk_decide_outcome(tk_decide *d, tk_task *task, const tk_event *event, bool *fenced, tk_err *err) {
  (void)err;
  const tk_step *step = tk_task_step(task, event->step);
  if (!is_current(task, step, event)) {
    *fenced = true;
    return TK_OK;
  }
  bool ask = event->attempt == 0;
  switch (event->type) {
    case TK_EV_STEP_DONE: step_done(d, task, event); break;
    case TK_EV_STEP_FAILED:
      ask ? ask_ended(d, task, &(tk_event){.type = TK_EV_ASK_FAILED, .step = event->step, .data = event->data})
          : step_failed(d, task, event);
      break;
    case TK_EV_STEP_SNOOZED: step_snoozed(d, task, event); break;
    case TK_EV_STEP_SKIPPED: step_skipped(d, task, event); break;
    case TK_EV_STEP_PARKED: step_parked(d, task, event); break;
    case TK_EV_STEP_RELEASED:
      if (ask) {
        ask_ended(d, task, event);
      } else {
        tk_part_log(d, task, TK_LOG_STEP_RELEASED, event->step, event->attempt, 0, nothing);
        tk_part_make_ready(d, task, event->step);
      }
      break;
    case TK_EV_STEP_LOST: ask ? ask_ended(d, task, event) : step_lost(d, task, event); break;
    case TK_EV_HEARTBEAT: heartbeat(d, task, event); return TK_OK;
    case TK_EV_STEP_COST: tk_part_correct_cost(d, task, event); return TK_OK;
    case TK_EV_STEP_LOG: tk_part_log(d, task, TK_LOG_STEP_LOGGED, event->step, event->attempt, 0, event->data); return TK_OK;
    case TK_EV_ASK_DONE:
    case TK_EV_ASK_FAILED: ask_ended(d, task, event); break;
    default: TK_ASSERT(!"an outcome");
  }
  if (step->role == TK_ROLE_NOTIFICATION) tk_part_notification_moved(d, task, event->step);
  /* A map's error is the task's, not an element's; an approval's, not a notification's. */
  if (step->role == TK_ROLE_ELEMENT || step->role == TK_ROLE_NOTIFICATION) step = tk_task_step(task, step->template_);
  tk_part_settle(d, task, step->error);
  return TK_OK;
}
