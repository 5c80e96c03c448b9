/* Compensation: before a task ends in error, and after it was cancelled, what its steps did is undone, one at a time, the last that
 * ended first. Each compensation is an instance that runs by its step's definition; the task's last event comes after them. */
#include <stdlib.h>

#include "model/compensation.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

static tk_compensation *page_of(tk_task *task, uint32_t page) {
  for (tk_compensation *c = task->undo_pages; c; c = c->next)
    if (c->page == page) return c;
  tk_compensation *loaded = task->load_compensation(task->load_context, task, page);
  loaded->next = task->undo_pages;
  task->undo_pages = loaded;
  return loaded;
}

static void write_page(tk_decide *d, const tk_task *task, uint32_t page, const tk_compensation *row) {
  tk_compensation_change change = {task->no, page, row};
  tk_list_push(d->changes->arena, &d->changes->compensations, change);
}

/* ---- What is to be undone ---- */

typedef struct candidate {
  int64_t ended_us;
  uint64_t number;                /* rises with the order of ends within one time */
  uint32_t place, step;
} candidate;

static bool is_undone(const tk_graph_step *g, const tk_step *step) {
  if (!(g->flags & TK_GRAPH_COMPENSATES)) return false;
  if (step->status == TK_STEP_COMPLETE) return true;
  bool ended = step->status == TK_STEP_ERROR || step->status == TK_STEP_CANCELLED || step->status == TK_STEP_SKIPPED;
  return (g->flags & TK_GRAPH_COMPENSATE_STARTED) && ended && step->attempts;
}

/* Payloads are numbered in the order of what they are the outcome of. What was cancelled ended last, with the task. A map has no
 * results of its own, but its list; the payload of a signal that came early is older than what led to the step: so a step's own
 * number is not less than those of its dependencies (number_steps). */
static uint64_t order_number(const tk_step *step) {
  if (step->status == TK_STEP_CANCELLED) return UINT64_MAX;
  if (step->status == TK_STEP_COMPLETE && step->results) return step->results;
  return step->fan ? step->fan->items : step->error;
}

/* The numbers of all steps, and their places in an order in which dependencies come first. */
static void number_steps(tk_decide *d, tk_task *task, uint64_t *numbers, uint32_t *places) {
  const tk_graph *graph = task->graph;
  uint32_t *left = TK_ARENA_ARRAY(d->changes->arena, uint32_t, graph->step_count);
  uint32_t *queue = TK_ARENA_ARRAY(d->changes->arena, uint32_t, graph->step_count), head = 0, tail = 0;
  for (uint32_t i = 0; i < graph->step_count; i++)
    if (!(left[i] = graph->steps[i].dep_count)) queue[tail++] = i;
  while (head < tail) {
    uint32_t at = queue[head];
    const tk_graph_step *g = &graph->steps[at];
    uint64_t own = order_number(tk_task_step(task, at));
    places[at] = head++;
    for (uint32_t k = 0; k < g->dep_count; k++)
      if (numbers[g->deps[k]] > own) own = numbers[g->deps[k]];
    numbers[at] = own;
    for (uint32_t k = 0; k < g->out_count; k++)
      if (!--left[g->outs[k]]) queue[tail++] = g->outs[k];
  }
}

static int compare(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->ended_us != y->ended_us) return x->ended_us < y->ended_us ? -1 : 1;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

static candidate *collect(tk_decide *d, tk_task *task, uint32_t *count) {
  const tk_graph *graph = task->graph;
  candidate *list = TK_ARENA_ARRAY(d->changes->arena, candidate, graph->step_count);
  uint64_t *numbers = TK_ARENA_ARRAY(d->changes->arena, uint64_t, graph->step_count);
  uint32_t *places = TK_ARENA_ARRAY(d->changes->arena, uint32_t, graph->step_count);
  *count = 0;
  number_steps(d, task, numbers, places);
  for (uint32_t i = 0; i < graph->step_count; i++) {
    const tk_step *step = tk_task_step(task, i);
    if (is_undone(&graph->steps[i], step)) list[(*count)++] = (candidate){step->completed_at_us, numbers[i], places[i], i};
  }
  if (*count) qsort(list, *count, sizeof *list, compare);
  return list;
}

static void keep_pages(tk_decide *d, tk_task *task, const candidate *list, uint32_t count, uint64_t error, tk_slice audit) {
  tk_arena *arena = d->changes->arena;
  for (uint32_t at = 0; at < count; at += TK_COMPENSATION_PAGE) {
    tk_compensation *page = TK_ARENA_NEW(arena, tk_compensation);
    page->task_no = task->no;
    page->page = at / TK_COMPENSATION_PAGE;
    page->count = count - at < TK_COMPENSATION_PAGE ? count - at : TK_COMPENSATION_PAGE;
    page->steps = TK_ARENA_ARRAY(arena, uint32_t, page->count);
    for (uint32_t i = 0; i < page->count; i++) page->steps[i] = list[at + i].step;
    if (page->page == 0) page->error = error, page->audit = audit;
    page->next = task->undo_pages;
    task->undo_pages = page;
    write_page(d, task, page->page, page);
  }
}

bool tk_part_compensate(tk_decide *d, tk_task *task, uint64_t error, tk_slice audit) {
  if (task->compensating == TK_COMPENSATION_RUNS) {   /* cancelled meanwhile: it ends as that says */
    tk_compensation *page = page_of(task, 0);
    page->audit = audit;
    write_page(d, task, 0, page);
    tk_part_release_held(d, task);   /* what a pause held, here or above, goes on: it is cancelled, not paused */
    return true;
  }
  if (task->compensating == TK_COMPENSATION_DUE) task->compensating = TK_COMPENSATION_NONE;
  if (!task->graph->compensates || task->compensating) return false;
  uint32_t count;
  candidate *list = collect(d, task, &count);
  if (!count) return false;
  keep_pages(d, task, list, count, error, audit);
  task->compensating = TK_COMPENSATION_RUNS;
  task->compensations = count;
  tk_part_drop_task_timer(d, task);
  tk_part_compensation_goes_on(d, task);
  return true;
}

/* ---- One after the other ---- */

static void begin_next(tk_decide *d, tk_task *task) {
  uint32_t at = task->compensations - 1;
  uint32_t template_ = page_of(task, at / TK_COMPENSATION_PAGE)->steps[at % TK_COMPENSATION_PAGE];
  tk_step *undone = tk_task_step(task, template_);
  uint32_t index = tk_part_reserve(d, task, 1);
  tk_part_instance(d, task, index, TK_ROLE_COMPENSATION, template_, 1);
  tk_step *step = tk_task_step(task, index);
  step->flags |= TK_STEP_F_ASKED;
  step->inputs = undone->inputs;
  undone->compensation = index;
  tk_part_touch(d, task, template_);
  tk_part_make_ready(d, task, index);
}

static void end_task(tk_decide *d, tk_task *task) {
  const tk_compensation *page = page_of(task, 0);
  task->compensating = TK_COMPENSATION_OVER;
  write_page(d, task, 0, NULL);
  task->undo_pages = NULL;
  if (task->status == TK_TASK_CANCELLED) {
    tk_part_log(d, task, TK_LOG_TASK_CANCELLED, TK_NO_STEP, 0, 0, page->audit);
    tk_part_over(d, task, page->audit);
    return;
  }
  bool late = task->status == TK_TASK_ERROR;   /* what fails for another reason is in progress until here */
  if (!late) tk_part_set_task(d, task, TK_TASK_ERROR);
  tk_part_log(d, task, TK_LOG_TASK_FAILED, TK_NO_STEP, 0, late ? tk_part_timeout_error(d, task) : page->error, nothing);
  tk_part_over(d, task, nothing);
}

void tk_part_compensation_goes_on(tk_decide *d, tk_task *task) {
  if (task->status == TK_TASK_PAUSED || task->active || task->sweeps) return;
  if (task->compensations) begin_next(d, task);
  else end_task(d, task);
}

void tk_part_compensation_ended(tk_decide *d, tk_task *task, uint32_t index, bool failed) {
  const tk_step *step = tk_task_step(task, index);
  uint32_t page = --task->compensations / TK_COMPENSATION_PAGE;
  tk_part_dirty(d, task);
  if (page && task->compensations % TK_COMPENSATION_PAGE == 0) write_page(d, task, page, NULL);
  tk_part_log(d, task, failed ? TK_LOG_STEP_COMPENSATION_FAILED : TK_LOG_STEP_COMPENSATED, step->template_, step->attempts,
              failed ? step->error : 0, nothing);
}
