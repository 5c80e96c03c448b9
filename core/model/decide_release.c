/* Joins: what the end of a step means to those that depend on it, and how a step begins. */
#include "base/err.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

typedef enum verdict { JOIN_WAITS, JOIN_GOES, JOIN_SKIPPED } verdict;

static verdict judge(const tk_graph_step *g, const tk_step *step) {
  if (step->flags & TK_STEP_F_NOT_TAKEN) return JOIN_SKIPPED;
  switch (g->join) {
    case TK_JOIN_COUNT:
      if (step->met >= g->join_count) return JOIN_GOES;
      return g->dep_count - step->unmet < g->join_count ? JOIN_SKIPPED : JOIN_WAITS;
    case TK_JOIN_ALL_DONE: return step->met + step->unmet + step->failed_deps >= g->dep_count ? JOIN_GOES : JOIN_WAITS;
    default:
      if (step->met + step->unmet < g->dep_count) return JOIN_WAITS;
      return step->met || !g->dep_count ? JOIN_GOES : JOIN_SKIPPED;
  }
}

void tk_part_wait(tk_decide *d, tk_task *task, uint32_t index, uint8_t waiting_for, int64_t due_us, uint8_t timer_kind) {
  tk_part_set_step(d, task, index, TK_STEP_WAITING);
  tk_step *step = tk_task_step(task, index);
  step->waiting_for = waiting_for;
  step->due_us = due_us;
  if (due_us) {
    tk_timer timer = {due_us, task->no, index, timer_kind};
    tk_list_push(d->changes->arena, &d->changes->timers, timer);
  }
  if (step->role == TK_ROLE_ELEMENT) tk_fan_element_moved(d, task, index);
}

static void log_waiting(tk_decide *d, tk_task *task, uint32_t index, const char *what, int64_t due_us) {
  char at[32];
  tk_part_start_waiting(d, task);
  if (due_us) tk_time_format(due_us, at);
  tk_part_log(d, task, TK_LOG_STEP_WAITING, index, 0, 0,
              due_us ? tk_part_text(d, "{\"waiting_for\":\"%s\",\"until\":\"%s\"}", what, at)
                     : tk_part_text(d, "{\"waiting_for\":\"%s\"}", what));
}

/* The payload of the oldest kept signal of that name, which is kept no more; 0: none. */
static uint64_t take_signal(tk_decide *d, tk_task *task, tk_slice name) {
  if (!task->signals) return 0;
  if (!task->kept) task->kept = task->load_signals(task->load_context, task);
  for (uint32_t i = 0; i < task->signals; i++) {
    if (!tk_slice_eq(task->kept[i].name, name)) continue;
    tk_signal_change change = {task->no, task->kept[i], true};
    tk_list_push(d->changes->arena, &d->changes->signals, change);
    memmove(&task->kept[i], &task->kept[i + 1], (--task->signals - i) * sizeof *task->kept);
    tk_part_dirty(d, task);
    return change.signal.payload;
  }
  return 0;
}

void tk_part_keep_signal(tk_decide *d, tk_task *task, tk_slice name, uint64_t payload) {
  tk_signal *grown = TK_ARENA_ARRAY(d->changes->arena, tk_signal, task->signals + 1);
  if (task->signals && !task->kept) task->kept = task->load_signals(task->load_context, task);
  if (task->signals) memcpy(grown, task->kept, task->signals * sizeof *grown);
  grown[task->signals] = (tk_signal){payload, name};
  task->kept = grown;
  tk_signal_change change = {task->no, grown[task->signals++], false};
  tk_list_push(d->changes->arena, &d->changes->signals, change);
  tk_part_dirty(d, task);
}

bool tk_part_await_signal(tk_decide *d, tk_task *task, uint32_t index) {
  const tk_graph_step *g = tk_task_template(task, index);
  uint64_t payload = take_signal(d, task, g->signal);
  if (payload) {
    tk_part_complete(d, task, index, payload, 0, nothing);
    return true;
  }
  int64_t due_us = g->timeout_us ? tk_part_due_after(d->now_us, g->timeout_us) : 0;
  log_waiting(d, task, index, "signal", due_us);
  tk_part_wait(d, task, index, TK_WAIT_SIGNAL, due_us, TK_TIMER_SIGNAL);
  return false;
}

bool tk_part_begin(tk_decide *d, tk_task *task, uint32_t index) {
  const tk_graph_step *g = tk_task_template(task, index);
  bool map = tk_task_is_map(task, index);
  if (g->kind == TK_KIND_CHILD && !map) {
    tk_part_begin_child(d, task, index);
    return false;
  }
  bool asks = (g->flags & TK_GRAPH_ASK) && !(tk_task_step(task, index)->flags & TK_STEP_F_ASKED);
  if (((g->kind == TK_KIND_RUN || g->kind == TK_KIND_SWITCH) && !map) || asks) {
    tk_part_make_ready(d, task, index);
    return false;
  }
  if (tk_task_step(task, index)->status != TK_STEP_READY) tk_part_set_step(d, task, index, TK_STEP_READY);
  if (map) {
    tk_fan_begin(d, task, index);
    return false;
  }
  if (g->kind == TK_KIND_SIGNAL) return tk_part_await_signal(d, task, index);
  int64_t due_us = tk_part_due_after(d->now_us, g->sleep_us);
  log_waiting(d, task, index, "timer", due_us);
  tk_part_wait(d, task, index, TK_WAIT_TIMER, due_us, g->after_of ? TK_TIMER_AFTER : TK_TIMER_SLEEP);
  return false;
}

void tk_part_complete(tk_decide *d, tk_task *task, uint32_t index, uint64_t results, uint32_t attempt, tk_slice data) {
  tk_part_set_step(d, task, index, TK_STEP_COMPLETE);
  tk_step *step = tk_task_step(task, index);
  step->results = results;
  step->error = 0;
  step->due_us = 0;
  if (step->role != TK_ROLE_COMPENSATION) tk_part_log(d, task, TK_LOG_STEP_COMPLETED, index, attempt, 0, data);
}

/* ---- Telling the dependents ---- */

typedef struct release_item { uint32_t step, from, branch; uint8_t end; } release_item;
typedef struct release_work {
  TK_LIST(release_item) items;
  uint32_t budget;
} release_work;

static void later(tk_decide *d, release_work *work, uint32_t step, uint8_t end) {
  release_item item = {step, 0, 0, end};
  tk_list_push(d->changes->arena, &work->items, item);
}

static bool in_case(const tk_graph_case *c, uint32_t index) {
  for (uint32_t i = 0; i < c->count; i++)
    if (c->steps[i] == index) return true;
  return false;
}

/* A dependent that is in some case of the switch, but not in the one taken, is not to run. */
static uint8_t end_for(const tk_graph_step *g, const release_item *item, uint32_t out) {
  uint8_t how = item->end & (uint8_t)~TK_DEP_RECOVERED;
  if (g->kind != TK_KIND_SWITCH || how != TK_DEP_DONE) return item->end;
  bool named = false;
  for (uint32_t c = 0; c < g->case_count; c++) named = named || in_case(&g->cases[c], out);
  if (!named || (item->branch < g->case_count && in_case(&g->cases[item->branch], out))) return item->end;
  return TK_DEP_NOT_TAKEN | (item->end & TK_DEP_RECOVERED);
}

void tk_part_count_end(tk_step *step, uint8_t end) {
  uint8_t how = end & (uint8_t)~TK_DEP_RECOVERED;
  step->met += how == TK_DEP_DONE;
  step->unmet += how == TK_DEP_SKIPPED || how == TK_DEP_NOT_TAKEN;
  step->failed_deps += how == TK_DEP_FAILED;
  step->failed_deps -= (end & TK_DEP_RECOVERED) != 0;
  if (how == TK_DEP_NOT_TAKEN) step->flags |= TK_STEP_F_NOT_TAKEN;
}

/* What its dependencies say is done. True: the pending step is at its end at once, *end for its dependents. */
static bool arrive(tk_decide *d, tk_task *task, uint32_t index, uint8_t *end) {
  tk_step *step = tk_task_step(task, index);
  verdict v = judge(&task->graph->steps[index], step);
  bool bypass = v == JOIN_GOES && (step->flags & TK_STEP_F_BYPASS);
  if (v == JOIN_WAITS) return false;
  *end = v == JOIN_SKIPPED ? TK_DEP_SKIPPED : TK_DEP_DONE;
  if (v == JOIN_GOES && !bypass) return tk_part_begin(d, task, index);
  tk_part_set_step(d, task, index, TK_STEP_SKIPPED);
  tk_part_log(d, task, TK_LOG_STEP_SKIPPED, index, 0, 0, bypass ? tk_slice_str("{\"bypassed\":true}") : nothing);
  return true;
}

static void meet(tk_decide *d, tk_task *task, uint32_t index, uint8_t end, release_work *work) {
  tk_step *step = tk_task_step(task, index);
  tk_part_count_end(step, end);
  tk_part_touch(d, task, index);
  if (step->status != TK_STEP_PENDING || !tk_part_running(task)) return;
  uint8_t own;
  if (arrive(d, task, index, &own)) later(d, work, index, own);
}

static void run_releases(tk_decide *d, tk_task *task, release_work *work) {
  while (work->items.count) {
    release_item item = work->items.items[--work->items.count];
    const tk_graph_step *g = &task->graph->steps[item.step];
    while (item.from < g->out_count && work->budget) {
      uint32_t out = g->outs[item.from++];
      work->budget--;
      meet(d, task, out, end_for(g, &item, out), work);
    }
    if (item.from == g->out_count) continue;
    tk_event *event = tk_part_sweep(d, task, TK_SWEEP_RELEASE, item.step, item.from, nothing);
    event->end = item.end;
    event->branch = item.branch;
  }
}

void tk_part_release(tk_decide *d, tk_task *task, uint32_t index, uint32_t from, uint8_t end, uint32_t branch) {
  release_work work = {.budget = TK_SWEEP_STEPS};
  release_item item = {index, from, branch, end};
  tk_list_push(d->changes->arena, &work.items, item);
  run_releases(d, task, &work);
}

/* A step may end more than once (an error is retried), but its dependents count each dependency once: those that were told of an
 * error are told again what became of it, those that were released by an error that continues are not. */
static void tell(tk_decide *d, tk_task *task, uint32_t index, uint8_t end, uint32_t branch) {
  tk_step *step = tk_task_step(task, index);
  if (step->role == TK_ROLE_NOTIFICATION) return;
  if (task->graph->initial) {
    tk_machine_left(d, task, index, end, branch);
    return;
  }
  if (tk_task_is_instance(task, index)) {
    if (step->role == TK_ROLE_COMPENSATION) tk_part_compensation_ended(d, task, index, end == TK_DEP_FAILED);
    else tk_fan_element_ended(d, task, index, end == TK_DEP_FAILED);
    return;
  }
  if (step->flags & TK_STEP_F_RELEASED) return;
  if (end == TK_DEP_FAILED) {
    if (!task->graph->steps[index].ends_matter || (step->flags & TK_STEP_F_FAILED)) return;
    step->flags |= TK_STEP_F_FAILED;
  } else if (step->flags & TK_STEP_F_FAILED) {
    step->flags &= (uint16_t)~TK_STEP_F_FAILED;
    end |= TK_DEP_RECOVERED;
  }
  tk_part_release(d, task, index, 0, end, branch);
}

void tk_part_release_done(tk_decide *d, tk_task *task, uint32_t index, uint32_t branch) {
  tell(d, task, index, TK_DEP_DONE, branch);
}

void tk_part_skip(tk_decide *d, tk_task *task, uint32_t index, uint32_t attempt, tk_slice data) {
  tk_part_set_step(d, task, index, TK_STEP_SKIPPED);
  tk_task_step(task, index)->error = 0;
  tk_part_log(d, task, TK_LOG_STEP_SKIPPED, index, attempt, 0, data);
  tell(d, task, index, TK_DEP_SKIPPED, 0);
}

void tk_part_rejoin(tk_decide *d, tk_task *task, uint32_t index) {
  uint8_t end;
  if (arrive(d, task, index, &end)) tell(d, task, index, end, 0);
}

void tk_part_release_failed(tk_decide *d, tk_task *task, uint32_t index) { tell(d, task, index, TK_DEP_FAILED, 0); }

void tk_part_fail(tk_decide *d, tk_task *task, uint32_t index) {
  tk_part_set_step(d, task, index, TK_STEP_ERROR);
  if (tk_task_is_instance(task, index) || !(task->graph->steps[index].flags & TK_GRAPH_CONTINUE)) {
    tell(d, task, index, TK_DEP_FAILED, 0);
    return;
  }
  tell(d, task, index, TK_DEP_DONE, UINT32_MAX);
  tk_task_step(task, index)->flags |= TK_STEP_F_RELEASED;
}

void tk_part_start_roots(tk_decide *d, tk_task *task, uint32_t from) {
  release_work work = {.budget = TK_SWEEP_STEPS};
  const tk_graph *graph = task->graph;
  uint32_t at = from;
  if (graph->initial) {
    tk_machine_start(d, task);
    return;
  }
  for (; at < graph->step_count && at < from + TK_SWEEP_STEPS; at++) {
    if (graph->steps[at].dep_count) continue;
    tk_step *step = tk_task_step(task, at);
    if (step->status != TK_STEP_PENDING) continue;
    uint8_t end;
    if (arrive(d, task, at, &end)) later(d, &work, at, end);
  }
  run_releases(d, task, &work);
  if (at < graph->step_count) tk_part_sweep(d, task, TK_SWEEP_ROOTS, TK_NO_STEP, at, nothing);
}
