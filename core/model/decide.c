#include "model/decide.h"

#include "model/decide_parts.h"

uint32_t tk_task_definition_at(const tk_task *task, uint64_t record) {
  tk_reader r = tk_reader_of(task->migrations);
  while (tk_reader_left(&r) && !r.bad) {
    uint64_t until = tk_read_varint(&r);
    uint32_t definition = (uint32_t)tk_read_varint(&r);
    if (!r.bad && record <= until) return definition;
  }
  return task->definition;
}

/* No larger than needed: a turn may make ten thousand small tasks. */
static tk_chunk *fresh_chunk(void *context, tk_task *task, uint32_t index) {
  uint32_t left = tk_task_count(task) - index * TK_CHUNK_STEPS;
  bool cut = !task->graph->grows && left < TK_CHUNK_STEPS;
  tk_chunk *chunk = tk_arena_zalloc(context, cut ? offsetof(tk_chunk, steps) + left * sizeof(tk_step) : sizeof *chunk);
  chunk->cut = cut;
  return chunk;
}

int tk_decide_check_submission(const tk_submission *submission, tk_err *err) {
  const tk_graph *graph = submission->graph;
  for (uint32_t i = 0; i < submission->bypass_count; i++) {
    uint32_t index = submission->bypass[i];
    if (index >= graph->step_count || !(graph->steps[index].flags & TK_GRAPH_SKIPPABLE))
      return tk_err_set(err, TK_E_INVALID, "bypass_steps: step %u of handler %.*s/%.*s cannot be skipped", index + 1,
                        (int)graph->ns.size, graph->ns.data, (int)graph->name.size, graph->name.data);
  }
  return TK_OK;
}

/* Names of schedules need no escapes. */
static tk_slice created_data(tk_decide *d, const tk_task_info *info) {
  char at[32];
  if (!info->schedule.size) return tk_slice_of(NULL, 0);
  tk_time_format(info->scheduled_us, at);
  return tk_part_text(d, "{\"schedule\":\"%.*s\",\"scheduled_at\":\"%s\"}", (int)info->schedule.size, info->schedule.data, at);
}

int tk_decide_submit(tk_decide *d, tk_task *task, const tk_submission *submission, tk_err *err) {
  const tk_graph *graph = submission->graph;
  int code = tk_decide_check_submission(submission, err);
  if (code) return code;
  task->definition = submission->definition;
  task->graph = graph;
  task->priority = submission->priority;
  task->attempt = 1;
  task->schedule = submission->schedule;
  task->open = graph->step_count;
  task->created_at_us = d->now_us;
  task->created = task->dirty = true;
  task->load_chunk = fresh_chunk;
  task->load_context = d->changes->arena;
  tk_task_prepare(task, d->changes->arena);
  tk_list_push(d->changes->arena, &d->changes->dirty, task);
  tk_new_task created = {task, submission, task->id};
  tk_list_push(d->changes->arena, &d->changes->created, created);
  d->changes->tasks_delta[TK_TASK_PENDING]++;
  d->changes->steps_delta[TK_STEP_PENDING] += graph->step_count;
  for (uint32_t i = 0; i < submission->bypass_count; i++) {
    tk_task_step(task, submission->bypass[i])->flags |= TK_STEP_F_BYPASS;
    task->chunks[submission->bypass[i] / TK_CHUNK_STEPS]->dirty = true;
  }
  tk_part_log(d, task, TK_LOG_TASK_CREATED, TK_NO_STEP, 0, 0, created_data(d, &submission->info));
  if (submission->info.run_at_us > d->now_us) {
    tk_part_set_task_timer(d, task, submission->info.run_at_us, TK_TIMER_RUN_AT);
    return TK_OK;
  }
  tk_part_start_roots(d, task, 0);
  tk_part_settle(d, task, 0);
  return TK_OK;
}

static void put_claim(tk_decide *d, const tk_task *task, uint32_t index, uint32_t attempt) {
  tk_claim claim = {task->no, index, attempt};
  tk_list_push(d->changes->arena, &d->changes->claims, claim);
}

static void start_attempt(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!tk_part_undoes(task)) tk_part_start_task(d, task);
  tk_part_set_step(d, task, index, TK_STEP_IN_PROGRESS);
  step->attempts++;
  step->owner = d->process;
  step->last_attempted_at_us = d->now_us;
  if (!step->started_at_us) step->started_at_us = d->now_us;
  tk_part_log(d, task, TK_LOG_STEP_STARTED, index, step->attempts, 0, tk_slice_of(NULL, 0));
  put_claim(d, task, index, step->attempts);
}

static void claim_ask(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  step->flags |= TK_STEP_F_ASKING;
  step->owner = d->process;
  task->running++;
  tk_part_touch(d, task, index);
  put_claim(d, task, index, 0);
}

/* An element that waits for a child is asked for what that needs, unless it has one. */
static int claim_element(tk_decide *d, tk_task *task, tk_ready *ready) {
  uint32_t map = ready->step;
  int result = TK_CLAIM_RUN;
  if (task->graph->steps[map].limit_count && !tk_part_admit(d, task, map)) return TK_CLAIM_NOT;
  ready->step = tk_fan_next(d, task, map);
  if (task->graph->steps[map].kind != TK_KIND_CHILD) {
    start_attempt(d, task, ready->step);
  } else if (tk_part_has_child(tk_task_step(task, ready->step))) {
    tk_part_begin_child(d, task, ready->step);
    result = TK_CLAIM_BEGUN;
  } else {
    claim_ask(d, task, ready->step);
    result = TK_CLAIM_ASK;
  }
  tk_fan_give(d, task, map);
  return tk_task_step(task, map)->flags & TK_STEP_F_GIVING ? result | TK_CLAIM_MORE : result;
}

int tk_decide_claim(tk_decide *d, tk_task *task, tk_ready *ready, bool indexed) {
  uint32_t index = ready->step;
  if (ready->definition != task->definition) {   /* migrated in this turn */
    if (indexed) tk_list_push(d->changes->arena, &d->changes->unready, *ready);
    return TK_CLAIM_NOT;
  }
  tk_step *step = tk_task_step(task, index);
  bool startable = tk_step_startable(step), gives = startable && step->status == TK_STEP_IN_PROGRESS;
  if (indexed && !gives) tk_list_push(d->changes->arena, &d->changes->unready, *ready);
  if (!startable) return TK_CLAIM_NOT;
  if (!tk_part_may_start(task)) {
    if (gives) tk_fan_take_back(d, task, index);
    tk_part_hold(d, task, index);
    return TK_CLAIM_NOT;
  }
  if (gives) return claim_element(d, task, ready);
  if ((tk_task_template(task, index)->flags & TK_GRAPH_ASK) && !(step->flags & TK_STEP_F_ASKED)) {
    claim_ask(d, task, index);
    return TK_CLAIM_ASK;
  }
  bool limited = tk_task_template(task, index)->limit_count && !tk_task_is_map(task, index) && step->role != TK_ROLE_COMPENSATION;
  if (limited && !tk_part_admit(d, task, index)) return TK_CLAIM_NOT;
  start_attempt(d, task, index);
  return TK_CLAIM_RUN;
}

int tk_decide_event(tk_decide *d, tk_task *task, const tk_event *event, bool *fenced, tk_err *err) {
  bool ignored;
  if (!fenced) fenced = &ignored;
  *fenced = event->definition && event->definition != task->definition;   /* its step index means another step now */
  if (*fenced) return TK_OK;
  if (event->step != TK_NO_STEP && event->step >= tk_task_count(task))
    return tk_err_set(err, TK_E_INVALID, "handler %.*s/%.*s has no step %u", (int)task->graph->ns.size, task->graph->ns.data,
                      (int)task->graph->name.size, task->graph->name.data, event->step);
  bool from_outside = event->type <= TK_EV_RESOLVE || event->type == TK_EV_SWEEP || event->type == TK_EV_CHILD_RETRY;
  d->audit = from_outside ? event->audit : tk_slice_of(NULL, 0);
  switch (event->type) {
    case TK_EV_TIMER: tk_decide_timer(d, task, event); return TK_OK;
    case TK_EV_SWEEP: tk_decide_sweep(d, task, event); return TK_OK;
    case TK_EV_CHILD_ENDED: tk_decide_child_ended(d, task, event); return TK_OK;
    case TK_EV_LIMIT_WAKE: tk_decide_wake(d, task, event); return TK_OK;
    case TK_EV_WAKE: tk_part_woken(d, task, event->step); return TK_OK;
    case TK_EV_CANCEL:
    case TK_EV_PAUSE:
    case TK_EV_RESUME:
    case TK_EV_RETRY:
    case TK_EV_CHILD_RETRY:
    case TK_EV_RESOLVE:
    case TK_EV_SIGNAL:
    case TK_EV_VOTE:
    case TK_EV_ANNOTATE: return tk_decide_operation(d, task, event, err);
    case TK_EV_MIGRATE: return tk_part_migrate(d, task, event, err);
    default: return tk_decide_outcome(d, task, event, fenced, err);
  }
}
