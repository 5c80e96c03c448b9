/* Machines. The steps of the graph are states, and what runs is a visit of one: its first is the graph's own step, each later one
 * an instance. The end of a visit leads to the next; when a final state is reached, the states that were never visited are
 * skipped, and the task ends as any other. A state that runs is told by its code where to go; others have it in their cases. */
#include "base/err.h"
#include "bounds.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

/* States to enter, in order: one event may lead through several that do not wait. */
typedef struct entering { TK_LIST(uint32_t) states; size_t at; } entering;

static void enter_all(tk_decide *d, entering *work, const tk_graph_case *c) {
  for (uint32_t i = 0; i < c->count; i++) tk_list_push(d->changes->arena, &work->states, c->steps[i]);
}

static tk_step *state_of(tk_task *task, uint32_t visit) {
  return tk_task_step(task, (uint32_t)(tk_task_template(task, visit) - task->graph->steps));
}

static void fail_visit(tk_decide *d, tk_task *task, uint32_t visit, tk_slice error) {
  tk_step *step = tk_task_step(task, visit);
  step->error = tk_changes_payload(d->changes, error);
  tk_part_log(d, task, TK_LOG_STEP_FAILED, visit, 0, step->error, nothing);
  tk_part_set_step(d, task, visit, TK_STEP_ERROR);
}

void tk_machine_finish(tk_decide *d, tk_task *task) {
  for (uint32_t i = 0; i < task->graph->step_count; i++) {
    if (tk_task_step(task, i)->status != TK_STEP_PENDING) continue;
    tk_part_set_step(d, task, i, TK_STEP_SKIPPED);
    tk_part_log(d, task, TK_LOG_STEP_SKIPPED, i, 0, 0, nothing);
  }
}

static uint32_t last_left(tk_task *task, const tk_graph_step *g) {
  uint32_t best = g->cases[1].steps[0];
  int64_t best_us = 0;
  for (uint32_t i = 0; i < g->cases[0].count; i++) {
    const tk_step *state = tk_task_step(task, g->cases[0].steps[i]);
    int64_t at_us = state->visits ? tk_task_step(task, state->visit)->completed_at_us : 0;
    if (at_us > best_us) best = g->cases[0].steps[i], best_us = at_us;
  }
  return best;
}

static void pass(tk_decide *d, tk_task *task, uint32_t visit, entering *work) {
  const tk_graph_step *g = tk_task_template(task, visit);
  if (g->flags & TK_GRAPH_FINAL_ERROR) {
    fail_visit(d, task, visit, tk_part_text(d, "{\"message\":\"the machine ended in '%.*s'\",\"code\":\"final\",\"retryable\":false}",
                                            (int)g->name.size, g->name.data));
    return;
  }
  tk_part_complete(d, task, visit, tk_changes_payload(d->changes, tk_slice_str("null")), 0, nothing);
  if (g->flags & TK_GRAPH_FINAL) tk_machine_finish(d, task);
  else if (g->flags & TK_GRAPH_HISTORY) tk_list_push(d->changes->arena, &work->states, last_left(task, g));
  else enter_all(d, work, &g->cases[0]);
}

static void leave(tk_decide *d, tk_task *task, uint32_t visit, uint32_t branch, entering *work);

static void begin(tk_decide *d, tk_task *task, uint32_t visit, entering *work) {
  const tk_graph_step *g = tk_task_template(task, visit);
  if (g->kind == TK_KIND_PASS) {
    tk_part_set_step(d, task, visit, TK_STEP_READY);
    pass(d, task, visit, work);
    return;
  }
  if (g->after) tk_list_push(d->changes->arena, &work->states, g->after - 1);
  if (tk_part_begin(d, task, visit)) leave(d, task, visit, 0, work);
}

/* Parts of a parallel state arrive one by one; true: it was the last. */
static bool all_arrived(tk_decide *d, tk_task *task, uint32_t state) {
  const tk_graph_step *g = &task->graph->steps[state];
  tk_step *step = tk_task_step(task, state);
  if (g->kind != TK_KIND_PASS || g->join_count < 2) return true;
  tk_part_touch(d, task, state);
  if (++step->losses < g->join_count) return false;   /* of a state that nobody runs: arrivals so far */
  step->losses = 0;
  return true;
}

static void enter(tk_decide *d, tk_task *task, uint32_t state, entering *work) {
  tk_step *step = tk_task_step(task, state);
  uint32_t visit = state;
  if (!all_arrived(d, task, state)) return;
  if (step->visits || step->status != TK_STEP_PENDING) {
    visit = tk_part_reserve(d, task, 1);
    if (!step->visits) step->visits = 1;   /* a person settled it before it was ever visited */
    tk_part_instance(d, task, visit, TK_ROLE_VISIT, state, step->visits + 1);
  }
  step->visits++;
  step->visit = visit;
  tk_part_touch(d, task, state);
  if (task->instances <= TK_LIMIT_VISITS) {
    begin(d, task, visit, work);
    return;
  }
  tk_part_set_step(d, task, visit, TK_STEP_READY);
  fail_visit(d, task, visit, tk_part_text(d, "{\"message\":\"the machine has visited its states more than %d times\","
                                             "\"code\":\"too_many_visits\",\"retryable\":false}", TK_LIMIT_VISITS));
}

static void run(tk_decide *d, tk_task *task, entering *work) {
  while (work->at < work->states.count) enter(d, task, work->states.items[work->at++], work);
}

/* The other one of a state and the sleep that limits it: whichever ends first ends both. */
static void drop_partner(tk_decide *d, tk_task *task, const tk_graph_step *g) {
  uint32_t partner = g->after ? g->after : g->after_of;
  const tk_step *state = partner ? tk_task_step(task, partner - 1) : NULL;
  if (!state || !state->visits || !tk_step_active(tk_task_step(task, state->visit)->status)) return;
  tk_part_unhook(d, task, state->visit);
  tk_part_set_step(d, task, state->visit, TK_STEP_SKIPPED);
  tk_part_log(d, task, TK_LOG_STEP_SKIPPED, state->visit, 0, 0, nothing);
}

static void leave(tk_decide *d, tk_task *task, uint32_t visit, uint32_t branch, entering *work) {
  const tk_graph_step *g = tk_task_template(task, visit);
  tk_step *state = state_of(task, visit);
  drop_partner(d, task, g);
  state->done_visit = visit;
  tk_part_touch(d, task, state->visit);
  tk_part_touch(d, task, (uint32_t)(g - task->graph->steps));
  if (g->kind == TK_KIND_RUN && branch < task->graph->step_count) tk_list_push(d->changes->arena, &work->states, branch);
  else if (g->kind != TK_KIND_RUN && branch < g->case_count) enter_all(d, work, &g->cases[branch]);
  else tk_machine_finish(d, task);
}

void tk_machine_start(tk_decide *d, tk_task *task) {
  entering work = {0};
  if (tk_task_step(task, task->graph->initial - 1)->visits) return;
  tk_list_push(d->changes->arena, &work.states, task->graph->initial - 1);
  run(d, task, &work);
}

void tk_machine_begin(tk_decide *d, tk_task *task, uint32_t visit) {
  entering work = {0};
  begin(d, task, visit, &work);
  run(d, task, &work);
}

void tk_machine_left(tk_decide *d, tk_task *task, uint32_t visit, uint8_t end, uint32_t branch) {
  entering work = {0};
  if (end == TK_DEP_FAILED) {
    drop_partner(d, task, tk_task_template(task, visit));
    return;
  }
  leave(d, task, visit, branch, &work);
  run(d, task, &work);
}

uint32_t tk_machine_case(tk_task *task, uint32_t visit, tk_slice outcome) {
  if (!task->graph->initial) return 0;
  const tk_graph_step *g = tk_task_template(task, visit);
  for (uint32_t i = 0; i < g->case_count; i++)
    if (tk_slice_eq(g->cases[i].name, outcome)) return i;
  return UINT32_MAX;
}

int tk_machine_resolve(tk_task *task, uint32_t visit, tk_slice results, uint32_t *branch, tk_err *err) {
  const tk_graph_step *g = tk_task_template(task, visit);
  const tk_step *state = state_of(task, visit);
  tk_slice outcome = results.size > 2 ? tk_slice_of(results.data + 1, results.size - 2) : nothing;   /* a string of plain characters */
  uint32_t c = g->case_count == 1 ? 0 : tk_machine_case(task, visit, outcome);
  if (!state->visits)
    return tk_err_set(err, TK_E_REFUSED, "resolve of state '%.*s' is refused: it was never visited", (int)g->name.size, g->name.data);
  if (c >= g->case_count)
    return tk_err_set(err, TK_E_INVALID, "state '%.*s': the results of a resolve name the outcome to go on with, and %.*s is none",
                      (int)g->name.size, g->name.data, results.size < 64 ? (int)results.size : 64, results.data);
  *branch = g->kind == TK_KIND_RUN ? g->cases[c].steps[0] : c;
  return TK_OK;
}
