#include "model/decide_parts.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

void tk_part_dirty(tk_decide *d, tk_task *task) {
  if (task->dirty) return;
  task->dirty = true;
  tk_list_push(d->changes->arena, &d->changes->dirty, task);
}

void tk_part_touch(tk_decide *d, tk_task *task, uint32_t index) {
  tk_part_dirty(d, task);
  tk_chunk *chunk = tk_task_chunk(task, index / TK_CHUNK_STEPS);
  chunk->dirty = true;
  chunk->absent = false;
}

uint32_t tk_part_reserve(tk_decide *d, tk_task *task, uint32_t count) {
  uint32_t first = tk_task_count(task);
  task->instances += count;
  /* The first chunk comes from the store with nothing behind the task's last step. */
  TK_ASSERT(!tk_task_chunk(task, 0)->cut);
  if (first < TK_CHUNK_STEPS) memset(&tk_task_chunk(task, 0)->steps[first], 0, (TK_CHUNK_STEPS - first) * sizeof(tk_step));
  tk_part_dirty(d, task);
  return first;
}

void tk_part_instance(tk_decide *d, tk_task *task, uint32_t index, uint8_t role, uint32_t template_, uint32_t ordinal) {
  tk_step *step = tk_task_step(task, index);
  TK_ASSERT(tk_task_is_instance(task, index) && !step->role);
  step->role = role;
  step->template_ = (uint16_t)template_;
  step->ordinal = ordinal;
  d->changes->steps_delta[TK_STEP_PENDING]++;
  task->open += role == TK_ROLE_VISIT;
  tk_part_touch(d, task, index);
}

uint32_t tk_part_beyond_absent(tk_task *task, uint32_t index) {
  uint32_t c = index / TK_CHUNK_STEPS;
  if (!tk_task_is_instance(task, index) || !tk_task_chunk(task, c)->absent) return index;
  return (c + 1) * TK_CHUNK_STEPS;
}

static bool counts_as_failed(const tk_task *task, uint32_t index, uint8_t status) {
  if (status == TK_STEP_CANCELLED) return true;
  return status == TK_STEP_ERROR && (tk_task_is_instance(task, index) || !(task->graph->steps[index].flags & TK_GRAPH_CONTINUE));
}

void tk_part_set_step(tk_decide *d, tk_task *task, uint32_t index, uint8_t status) {
  tk_step *step = tk_task_step(task, index);
  uint8_t from = step->status;
  TK_ASSERT(tk_step_may(from, status));
  task->active += tk_step_active(status);
  task->active -= tk_step_active(from);
  if (!tk_task_is_map(task, index)) {
    task->running += status == TK_STEP_IN_PROGRESS;
    task->running -= from == TK_STEP_IN_PROGRESS;
  }
  if (tk_task_is_instance(task, index) && step->role != TK_ROLE_VISIT) {
    if (step->role == TK_ROLE_ELEMENT) tk_fan_count(d, task, index, from, status);
  } else {
    task->open += tk_step_final(from) && !tk_step_final(status);
    task->open -= !tk_step_final(from) && tk_step_final(status);
    task->failed += counts_as_failed(task, index, status);
    task->failed -= counts_as_failed(task, index, from);
  }
  d->changes->steps_delta[from]--;
  d->changes->steps_delta[status]++;
  step->status = status;
  if (tk_task_template(task, index)->limit_count && step->role != TK_ROLE_COMPENSATION) tk_part_limited_moved(d, task, index, from);
  if (status != TK_STEP_WAITING) step->waiting_for = TK_WAIT_NONE;
  if (status != TK_STEP_IN_PROGRESS) step->owner = 0;
  if (tk_step_final(status)) step->completed_at_us = d->now_us;
  else if (tk_step_final(from)) step->completed_at_us = 0;
  tk_part_touch(d, task, index);
}

static void tell_schedule(tk_decide *d, const tk_task *task, uint8_t type) {
  tk_event event = {.type = type, .task_no = task->schedule, .step = TK_NO_STEP, .child = task->no, .cursor = task->status};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
}

/* Its schedule hears of each end once: of what may have something to undo after that (tk_part_over), else with the status. */
static void status_moved(tk_decide *d, const tk_task *task, bool was_final, bool was_over) {
  bool is_final = tk_task_final(task->status);
  if (task->graph->compensates) {
    if (was_over && task->status != TK_TASK_RESOLVED) tell_schedule(d, task, TK_EV_SCHEDULE_REOPENED);
  } else if (was_final != is_final) {
    tell_schedule(d, task, is_final ? TK_EV_SCHEDULE_ENDED : TK_EV_SCHEDULE_REOPENED);
  }
}

void tk_part_set_task(tk_decide *d, tk_task *task, uint8_t status) {
  TK_ASSERT(tk_task_may(task->status, status));
  bool was_final = tk_task_final(task->status), undoes = tk_compensation_is_open(task->compensating);
  d->changes->tasks_delta[task->status]--;
  d->changes->tasks_delta[status]++;
  task->status = status;
  if (task->schedule) status_moved(d, task, was_final, was_final && !undoes);
  task->completed_at_us = tk_task_final(status) ? d->now_us : 0;
  tk_part_dirty(d, task);
}

void tk_part_over(tk_decide *d, tk_task *task, tk_slice audit) {
  if (task->schedule && task->graph->compensates) tell_schedule(d, task, TK_EV_SCHEDULE_ENDED);
  if (!tk_part_is_cascade(audit)) tk_part_tell_parent(d, task);
}

void tk_part_log(tk_decide *d, tk_task *task, uint8_t kind, uint32_t step, uint32_t attempt, uint64_t payload, tk_slice data) {
  tk_log_entry *entry = TK_ARENA_NEW(d->changes->arena, tk_log_entry);
  entry->kind = kind;
  entry->step = step;
  entry->attempt = attempt;
  entry->payload = payload;
  entry->data = data;
  if (task->log_tail) ((tk_log_entry *)task->log_tail)->next = entry;
  else task->log_head = entry;
  task->log_tail = entry;
  task->log_count++;
  tk_part_dirty(d, task);
}

tk_slice tk_part_text(tk_decide *d, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int size = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  TK_ASSERT(size >= 0 && (size_t)size < sizeof text);
  return tk_arena_copy(d->changes->arena, tk_slice_of(text, (size_t)size));
}

static tk_ready ready_entry(tk_task *task, uint32_t index) {
  uint32_t queue = tk_task_template(task, index)->queue_no;
  const tk_step *step = tk_task_step(task, index);
  tk_ready entry = {queue ? queue : task->queue, task->definition, task->priority, task->no, index, step->ready_at_us};
  return entry;
}

void tk_part_index(tk_decide *d, tk_task *task, uint32_t index) {
  tk_ready entry = ready_entry(task, index);
  tk_list_push(d->changes->arena, &d->changes->ready, entry);
}

void tk_part_unindex(tk_decide *d, tk_task *task, uint32_t index) {
  tk_ready entry = ready_entry(task, index);
  tk_list_push(d->changes->arena, &d->changes->unready, entry);
}

bool tk_part_is_open(const tk_task *task) {
  if (tk_part_undoes(task) && tk_task_final(task->status)) return true;
  bool open = task->status == TK_TASK_PENDING || task->status == TK_TASK_IN_PROGRESS;
  return open && task->due_kind != TK_TIMER_RUN_AT && !task->stopped;
}

void tk_part_start_task(tk_decide *d, tk_task *task) {
  if (task->status == TK_TASK_PENDING) tk_part_set_task(d, task, TK_TASK_IN_PROGRESS);
  if (task->started_at_us) return;
  task->started_at_us = d->now_us;
  tk_part_log(d, task, TK_LOG_TASK_STARTED, TK_NO_STEP, 0, 0, tk_slice_of(NULL, 0));
  if (task->graph->timeout_us) tk_part_set_task_timer(d, task, d->now_us + task->graph->timeout_us, TK_TIMER_TASK_TIMEOUT);
}

void tk_part_start_waiting(tk_decide *d, tk_task *task) {
  if (tk_part_is_open(task)) tk_part_start_task(d, task);
}

static bool at_limit(const tk_task *task) { return task->graph->max_parallel && task->running >= task->graph->max_parallel; }

bool tk_part_may_start(const tk_task *task) { return tk_part_is_open(task) && !at_limit(task); }

void tk_part_hold(tk_decide *d, tk_task *task, uint32_t index) {
  if (tk_task_step(task, index)->flags & TK_STEP_F_PERMIT) tk_part_leave_queues(d, task, index);
  tk_task_step(task, index)->flags |= TK_STEP_F_HELD;
  if (!task->held || index < task->held_from) task->held_from = index;
  task->held++;
  tk_part_touch(d, task, index);
}

void tk_part_make_ready(tk_decide *d, tk_task *task, uint32_t index) {
  tk_part_set_step(d, task, index, TK_STEP_READY);
  tk_step *step = tk_task_step(task, index);
  step->ready_at_us = d->now_us;
  step->due_us = 0;
  if (step->role == TK_ROLE_ELEMENT) tk_fan_element_moved(d, task, index);
  else if (!tk_part_may_start(task)) tk_part_hold(d, task, index);
  else tk_part_index(d, task, index);
}

tk_event *tk_part_sweep(tk_decide *d, tk_task *task, uint8_t sweep, uint32_t step, uint32_t cursor, tk_slice audit) {
  tk_event event = {.type = TK_EV_SWEEP,
                    .sweep = sweep,
                    .task_no = task->no,
                    .step = step,
                    .cursor = cursor,
                    .attempt = task->attempt,
                    .audit = audit};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
  task->sweeps++;
  tk_part_dirty(d, task);
  return &d->changes->inbox.items[d->changes->inbox.count - 1];
}

/* Looks through at most TK_SWEEP_STEPS steps; goes on in a later turn when held steps are further on. */
void tk_part_release_held(tk_decide *d, tk_task *task) {
  if (!task->held || !tk_part_is_open(task)) return;
  uint32_t room = task->graph->max_parallel
                      ? task->graph->max_parallel - (at_limit(task) ? task->graph->max_parallel : task->running)
                      : UINT32_MAX;
  uint32_t at = task->held_from, count = tk_task_count(task), budget = TK_SWEEP_STEPS;
  for (; at < count && budget && room && task->held; at++, budget--) {
    tk_step *step = tk_task_step(task, at);
    if (!(step->flags & TK_STEP_F_HELD)) {
      at = tk_part_beyond_absent(task, at + 1) - 1;
      continue;
    }
    step->flags &= (uint16_t)~TK_STEP_F_HELD;
    if (step->status == TK_STEP_IN_PROGRESS) step->flags |= TK_STEP_F_GIVING;
    tk_part_touch(d, task, at);
    task->held--;
    room--;
    if (tk_part_has_child(step)) tk_part_begin_child(d, task, at);
    else tk_part_index(d, task, at);
  }
  task->held_from = at;
  tk_part_dirty(d, task);
  if (room && task->held) tk_part_sweep(d, task, TK_SWEEP_HELD, TK_NO_STEP, at, tk_slice_of(NULL, 0));
}

static void interrupt(tk_decide *d, tk_task *task, uint32_t index, const tk_step *step) {
  tk_notice notice = {step->owner, task->no, index, step->flags & TK_STEP_F_ASKING ? 0 : step->attempts};
  tk_list_push(d->changes->arena, &d->changes->notices, notice);
}

void tk_part_unhook(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (step->flags & TK_STEP_F_PERMIT) tk_part_leave_queues(d, task, index);
  if (step->status == TK_STEP_READY) {
    if (step->flags & TK_STEP_F_ASKING) {
      interrupt(d, task, index, step);
      step->flags &= (uint16_t)~TK_STEP_F_ASKING;
      task->running--;
    } else if (step->flags & TK_STEP_F_QUEUED) {
      tk_fan_unqueue(d, task, index);
    } else if (step->flags & TK_STEP_F_HELD) {
      step->flags &= (uint16_t)~TK_STEP_F_HELD;
      task->held--;
    } else {
      tk_part_unindex(d, task, index);
    }
  } else if (step->status == TK_STEP_IN_PROGRESS) {
    if (tk_task_is_map(task, index)) tk_fan_take_back(d, task, index);
    else interrupt(d, task, index, step);
  } else if (step->status == TK_STEP_WAITING) {
    if (step->waiting_for == TK_WAIT_APPROVAL) tk_part_close_approval(d, task, index);
    if (!step->due_us) return;
    tk_timer timer = {step->due_us, task->no, index, TK_TIMER_NONE};
    tk_list_push(d->changes->arena, &d->changes->untimers, timer);
    step->due_us = 0;
  }
}

void tk_part_drop_task_timer(tk_decide *d, tk_task *task) {
  if (!task->due_us) return;
  tk_timer timer = {task->due_us, task->no, TK_NO_STEP, task->due_kind};
  tk_list_push(d->changes->arena, &d->changes->untimers, timer);
  task->due_us = 0;
  task->due_kind = TK_TIMER_NONE;
  tk_part_dirty(d, task);
}

void tk_part_set_task_timer(tk_decide *d, tk_task *task, int64_t due_us, uint8_t kind) {
  tk_part_drop_task_timer(d, task);
  tk_timer timer = {due_us, task->no, TK_NO_STEP, kind};
  tk_list_push(d->changes->arena, &d->changes->timers, timer);
  task->due_us = due_us;
  task->due_kind = kind;
  tk_part_dirty(d, task);
}

void tk_part_settle(tk_decide *d, tk_task *task, uint64_t error) {
  tk_part_release_held(d, task);
  if (tk_part_undoes(task)) {
    tk_part_compensation_goes_on(d, task);
    return;
  }
  if (task->status != TK_TASK_PENDING && task->status != TK_TASK_IN_PROGRESS) return;
  if (task->active || task->sweeps || task->due_kind == TK_TIMER_RUN_AT) return;
  if (task->graph->initial && task->open && !task->failed) tk_machine_finish(d, task);
  if (!task->open && !task->failed) {
    tk_part_set_task(d, task, TK_TASK_COMPLETE);
    tk_part_drop_task_timer(d, task);
    tk_part_log(d, task, TK_LOG_TASK_COMPLETED, TK_NO_STEP, 0, 0, tk_slice_of(NULL, 0));
    tk_part_over(d, task, tk_slice_of(NULL, 0));
    return;
  }
  TK_ASSERT(task->failed);   /* a checked graph has no other way to stand still */
  if (tk_part_compensate(d, task, error, tk_slice_of(NULL, 0))) return;
  tk_part_set_task(d, task, TK_TASK_ERROR);
  tk_part_drop_task_timer(d, task);
  tk_part_log(d, task, TK_LOG_TASK_FAILED, TK_NO_STEP, 0, error, tk_slice_of(NULL, 0));
  tk_part_over(d, task, tk_slice_of(NULL, 0));
}

uint64_t tk_part_timeout_error(tk_decide *d, const tk_task *task) {
  tk_slice error = tk_part_text(
      d, "{\"message\":\"the task took longer than its timeout of %.6g s\",\"code\":\"timeout\",\"retryable\":false}",
      (double)task->graph->timeout_us / 1e6);
  return tk_changes_payload(d->changes, error);
}

void tk_part_cancel_from(tk_decide *d, tk_task *task, uint32_t from, tk_slice audit) {
  uint32_t at = from, count = tk_task_count(task);
  for (uint32_t budget = TK_SWEEP_STEPS; at < count && budget; budget--, at++) {
    const tk_step *step = tk_task_step(task, at);
    if (step->child) tk_part_cancel_child(d, task, at);
    if (tk_step_final(step->status) || step->role == TK_ROLE_COMPENSATION) continue;
    if (tk_task_is_instance(task, at) && !step->role) {
      at = tk_part_beyond_absent(task, at + 1) - 1;
      continue;
    }
    tk_part_unhook(d, task, at);
    tk_part_set_step(d, task, at, TK_STEP_CANCELLED);
    tk_part_log(d, task, TK_LOG_STEP_CANCELLED, at, 0, 0, tk_slice_of(NULL, 0));
  }
  if (at < count) {
    if (task->graph->compensates && !task->compensating) task->compensating = TK_COMPENSATION_DUE;
    tk_part_sweep(d, task, TK_SWEEP_CANCEL, TK_NO_STEP, at, audit)->branch = task->status;
    return;
  }
  if (task->status == TK_TASK_CANCELLED) {
    if (tk_part_compensate(d, task, 0, audit)) return;
    tk_part_log(d, task, TK_LOG_TASK_CANCELLED, TK_NO_STEP, 0, 0, audit);
    tk_part_over(d, task, audit);
    return;
  }
  if (tk_part_compensate(d, task, 0, audit)) return;
  tk_part_log(d, task, TK_LOG_TASK_FAILED, TK_NO_STEP, 0, tk_part_timeout_error(d, task), tk_slice_of(NULL, 0));
  tk_part_over(d, task, tk_slice_of(NULL, 0));
}
