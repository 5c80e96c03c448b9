/* What must hold after a history, by the log and by the store: part of sim.c. */
#ifndef TK_SPEC_SIM_PROMISES_H
#define TK_SPEC_SIM_PROMISES_H

typedef struct fold {
  sim *s;
  uint64_t next_seq;
  uint8_t task[MAX_TASKS];
  uint8_t *step[MAX_TASKS];      /* statuses by the log */
  uint32_t *starts[MAX_TASKS];
  bool *failed_once[MAX_TASKS];
  bool *continued[MAX_TASKS];    /* was in error with continue once: its dependents were released for good */
  bool ended[MAX_TASKS];
  int64_t undone_us[MAX_TASKS];  /* when the step ended that was undone last */
  uint64_t numbers[MAX_TASKS];
  tk_task *tasks[MAX_TASKS];     /* as they are in the end */
  limit_fold limits;
  int64_t stopped_us[MAX_TASKS]; /* since when it is paused; 0: it is not */
  int64_t *cancelled_us[MAX_TASKS];   /* by step: when it was cancelled; 0: it is not */
  uint64_t schedule_skips;       /* number of the schedule that never has two tasks open; 0: there is none */
  bool reopened;                 /* a person opened a task of it again */
} fold;

/* Tasks are found in the order of their numbers. */
static int task_of(const fold *f, uint64_t no) {
  size_t low = 0, high = f->s->task_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (f->numbers[middle] == no) return (int)middle;
    if (f->numbers[middle] < no) low = middle + 1;
    else high = middle;
  }
  return -1;
}

#include "schedules.h"

/* Whether something above was paused or cancelled in an earlier instant. */
static bool was_stopped(const fold *f, int t, int64_t now_us) {
  for (int above; f->tasks[t]->parent; t = above) {
    uint32_t step = f->tasks[t]->parent_step;
    above = task_of(f, f->tasks[t]->parent);
    if (f->step[above][step] == TK_STEP_COMPLETE || f->step[above][step] == TK_STEP_SKIPPED) return false;
    if (f->stopped_us[above] && f->stopped_us[above] < now_us) return true;
    if (f->cancelled_us[above][step] && f->cancelled_us[above][step] < now_us) return true;
  }
  return false;
}

/* Whether the log so far lets the step begin. A dependency that was in error counts as such for good: all_done may have begun by
 * it. */
static bool deps_done(const fold *f, int t, uint32_t step) {
  const tk_graph *g = f->s->graphs[f->s->task_graph[t]];
  uint32_t met = 0, ended = 0, count = g->steps[step].dep_count;
  for (uint32_t d = 0; d < count; d++) {
    uint32_t dep = g->steps[step].deps[d];
    uint8_t status = f->step[t][dep];
    bool continued = (status == TK_STEP_ERROR && (g->steps[dep].flags & TK_GRAPH_CONTINUE)) || f->continued[t][dep];
    bool done = status == TK_STEP_COMPLETE || status == TK_STEP_SKIPPED || status == TK_STEP_RESOLVED || continued;
    met += done;
    ended += done || status == TK_STEP_ERROR || status == TK_STEP_CANCELLED || f->failed_once[t][dep];
  }
  if (g->steps[step].join == TK_JOIN_COUNT) return met >= g->steps[step].join_count;
  return (g->steps[step].join == TK_JOIN_ALL_DONE ? ended : met) == count;
}

/* An element starts while its map is in progress. */
static bool map_runs(const fold *f, int t, uint32_t step) {
  return f->step[t][tk_task_step(f->tasks[t], step)->template_] == TK_STEP_IN_PROGRESS;
}

static bool is_undo(const fold *f, int t, uint32_t step) { return tk_task_step(f->tasks[t], step)->role == TK_ROLE_COMPENSATION; }

/* The compensation of a step came to its end: each once, in the order of their ends, never before that of a dependent. */
static void fold_undone(fold *f, int t, const tk_log_event *e) {
  tk_task *task = f->tasks[t];
  const tk_step *undone = tk_task_step(task, e->step);
  uint32_t undo = undone->compensation;
  if (!undo) {
    fail(f->s, "task %d step %u was undone by nothing", t, e->step);
    return;
  }
  if (f->step[t][undo] == TK_STEP_COMPLETE) fail(f->s, "task %d step %u was undone twice", t, e->step);
  f->step[t][undo] = e->kind == TK_LOG_STEP_COMPENSATED ? TK_STEP_COMPLETE : TK_STEP_ERROR;
  if (f->undone_us[t] && undone->completed_at_us > f->undone_us[t]) fail(f->s, "task %d step %u was undone too late", t, e->step);
  f->undone_us[t] = undone->completed_at_us;
  for (uint32_t i = 0; i < task->graph->steps[e->step].dep_count; i++) {
    const tk_step *dep = tk_task_step(task, task->graph->steps[e->step].deps[i]);
    bool later = dep->completed_at_us > undone->completed_at_us;   /* it was not needed for the step to begin */
    if (dep->compensation && !later && tk_step_final(f->step[t][dep->compensation]))
      fail(f->s, "task %d step %u was undone after what it depends on", t, e->step);
  }
}

static void fold_step(fold *f, int t, const tk_log_event *e) {
  uint8_t *status = &f->step[t][e->step];
  f->cancelled_us[t][e->step] = e->kind == TK_LOG_STEP_CANCELLED ? e->at_us : 0;
  uint8_t role = tk_task_step(f->tasks[t], e->step)->role;
  bool element = role == TK_ROLE_ELEMENT;
  const tk_graph_step *g = tk_task_template(f->tasks[t], e->step);
  switch (e->kind) {
    case TK_LOG_STEP_STARTED: {
      if (*status == TK_STEP_COMPLETE || *status == TK_STEP_RESOLVED)
        fail(f->s, "task %d step %u started again after it was done", t, e->step);
      if (!is_undo(f, t, e->step) && !(element ? map_runs(f, t, e->step) : role || deps_done(f, t, e->step)))
        fail(f->s, "task %d step %u started at %llu before its dependencies were done", t, e->step, (unsigned long long)e->seq);
      if (e->attempt != ++f->starts[t][e->step])
        fail(f->s, "task %d step %u: attempt %u is start %u", t, e->step, e->attempt, f->starts[t][e->step]);
      /* A map that is in progress runs nothing by itself. */
      bool runs = element || !(g->flags & TK_GRAPH_MAP);
      if (runs && !is_undo(f, t, e->step) && was_stopped(f, t, e->at_us))
        fail(f->s, "task %d step %u started at %llu below a task that was stopped", t, e->step, (unsigned long long)e->seq);
      *status = TK_STEP_IN_PROGRESS;
      break;
    }
    case TK_LOG_STEP_COMPLETED:
      if (*status != TK_STEP_IN_PROGRESS && g->kind == TK_KIND_RUN && (element || !(g->flags & TK_GRAPH_MAP)) &&
          !memmem(e->data.data, e->data.size, "decided", 7))
        fail(f->s, "task %d step %u completed while not running", t, e->step);
      *status = TK_STEP_COMPLETE;
      break;
    case TK_LOG_STEP_FAILED: *status = TK_STEP_ERROR; break;
    case TK_LOG_STEP_RETRY_SCHEDULED:
      if (memmem(e->data.data, e->data.size, "fresh", 5) && (g->flags & TK_GRAPH_CONTINUE))
        f->continued[t][e->step] = *status == TK_STEP_ERROR;
      f->failed_once[t][e->step] = f->failed_once[t][e->step] || memmem(e->data.data, e->data.size, "fresh", 5);
      *status = TK_STEP_WAITING;
      break;
    case TK_LOG_STEP_WAITING: *status = TK_STEP_WAITING; break;
    case TK_LOG_STEP_RELEASED: *status = TK_STEP_READY; break;
    case TK_LOG_STEP_SKIPPED: *status = TK_STEP_SKIPPED; break;
    case TK_LOG_STEP_CANCELLED: *status = TK_STEP_CANCELLED; break;
    case TK_LOG_STEP_RESOLVED: *status = TK_STEP_RESOLVED; break;
    case TK_LOG_STEP_COMPENSATED:
    case TK_LOG_STEP_COMPENSATION_FAILED: fold_undone(f, t, e); break;
    default: break;
  }
}

static bool fold_event(void *context, const tk_log_event *e) {
  fold *f = context;
  if (e->seq != f->next_seq++) fail(f->s, "the log has a gap before %llu", (unsigned long long)e->seq);
  if (tk_log_of_no_task(e->kind)) return true;
  int t = task_of(f, e->task_no);
  if (t < 0) {
    fail(f->s, "an event of an unknown task");
    return false;
  }
  if (e->step != TK_NO_STEP) {
    bool unlimited = tk_task_is_map(f->tasks[t], e->step) || is_undo(f, t, e->step);
    const tk_graph_step *g = unlimited ? NULL : tk_task_template(f->tasks[t], e->step);
    uint8_t before = f->step[t][e->step];
    if (g) fold_limits(f->s, &f->limits, g, e);
    fold_step(f, t, e);
    if (g && before == TK_STEP_IN_PROGRESS && f->step[t][e->step] != before) limits_at_end(&f->limits, g, e->task_no);
    return true;
  }
  if (e->kind == TK_LOG_TASK_CREATED && f->tasks[t]->schedule) fold_scheduled(f, t);
  if (e->kind == TK_LOG_TASK_RETRIED && f->tasks[t]->schedule == f->schedule_skips) f->reopened = true;
  if (e->kind == TK_LOG_TASK_MIGRATED) return true;   /* also of a task in error, after its last event */
  f->ended[t] = e->kind == TK_LOG_TASK_COMPLETED || e->kind == TK_LOG_TASK_FAILED || e->kind == TK_LOG_TASK_CANCELLED ||
                e->kind == TK_LOG_TASK_RESOLVED;
  f->task[t] = e->kind;
  if (e->kind == TK_LOG_TASK_PAUSED) f->stopped_us[t] = e->at_us;
  else if (e->kind != TK_LOG_TASK_SIGNALLED && e->kind != TK_LOG_TASK_ANNOTATED) f->stopped_us[t] = 0;
  return true;
}

/* Final statuses of the store are those of the log; what is not final in the store is not final in the log. */
static void compare_task(sim *s, fold *f, int t, tk_task *task) {
  if (!tk_task_final(task->status)) fail(s, "task %d is stuck: %s", t, tk_task_status_name(task->status));
  if (!f->ended[t]) fail(s, "the last event of task %d is not its final one", t);
  if (task->compensating == TK_COMPENSATION_RUNS) fail(s, "task %d is still being undone", t);
  for (uint32_t i = 0; i < tk_task_count(task); i++) {
    const tk_step *step = tk_task_step(task, i);
    uint8_t logged = f->step[t][i];
    bool same = tk_step_final(step->status) ? logged == step->status : !tk_step_final(logged);
    if (!same)
      fail(s, "task %d step %u is %s, its log says %s", t, i, tk_step_status_name(step->status), tk_step_status_name(logged));
    if (step->attempts != f->starts[t][i])
      fail(s, "task %d step %u has %u attempts, its log %u", t, i, step->attempts, f->starts[t][i]);
    if (step->failures > tk_task_template(task, i)->retry.limit) fail(s, "task %d step %u failed more often than its limit", t, i);
  }
}

static void report_damage(void *context, const char *what) { fail(context, "check: %s", what); }

static void check_promises(sim *s) {
  static fold f;
  memset(&f, 0, sizeof f);
  f.s = s;
  f.next_seq = 1;
  find_tasks(s);
  tk_arena arena = {0};
  tk_snap *snap;
  tk_err err;
  if (tk_snap_open(s->store, &snap, &err)) {
    fail(s, "snapshot: %s", err.message);
    return;
  }
  for (size_t i = 0; i < s->task_count; i++) {
    f.numbers[i] = tk_snap_task_no(snap, &s->tasks[i]);
    if (!f.numbers[i]) fail(s, "task %zu is lost", i);
    else if (tk_snap_task(snap, &arena, f.numbers[i], tk_engine_graph_lookup, s->client, &f.tasks[i], NULL, &err))
      fail(s, "task: %s", err.message);
    uint32_t count = *s->failure ? 0 : tk_task_count(f.tasks[i]);
    f.step[i] = TK_ARENA_ARRAY(&arena, uint8_t, count);
    f.failed_once[i] = TK_ARENA_ARRAY(&arena, bool, count);
    f.continued[i] = TK_ARENA_ARRAY(&arena, bool, count);
    f.starts[i] = TK_ARENA_ARRAY(&arena, uint32_t, count);
    f.cancelled_us[i] = TK_ARENA_ARRAY(&arena, int64_t, count);
  }
  tk_schedule *skips = NULL;
  if (!tk_snap_schedule(snap, &arena, tk_slice_str("skip"), &skips, &err)) f.schedule_skips = skips->no;
  if (!*s->failure) tk_snap_each_event(snap, 0, 0, fold_event, &f, &err);
  for (size_t i = 0; i < s->task_count && !*s->failure; i++) compare_task(s, &f, (int)i, f.tasks[i]);
  check_schedules(s, &f, snap, &arena);
  tk_snap_close(snap);
  tk_arena_free(&arena);
  if (!*s->failure && tk_store_check(s->store, report_damage, NULL, s, &err) < 0) fail(s, "check: %s", err.message);
}

#endif
