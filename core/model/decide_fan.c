/* Maps. Once its list is known, the step is in progress and gives its elements out: it stands in the ready index as long as one
 * of them may start, and whoever claims that entry gets the next one. So an element costs nothing until it starts, and however
 * long the list is, there is one entry for all of it. */
#include "base/err.h"
#include "bounds.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

static const tk_graph_step *graph_step(const tk_task *task, uint32_t map) { return &task->graph->steps[map]; }

/* More of its elements failed than may. */
static bool is_over(const tk_graph_step *g, const tk_fan *fan) {
  double allowed = g->map_failures < 1 ? g->map_failures * fan->count + 1e-9 : g->map_failures;
  return fan->failed > allowed;
}

static bool may_give(const tk_task *task, uint32_t map, const tk_step *step) {
  const tk_graph_step *g = graph_step(task, map);
  const tk_fan *fan = step->fan;
  if (step->status != TK_STEP_IN_PROGRESS || fan->stopped || step->flags & TK_STEP_F_LIMITED) return false;
  uint32_t busy = g->kind == TK_KIND_CHILD ? fan->active - fan->queued : fan->running;   /* a child's parent only waits */
  if (g->map_parallel && busy >= g->map_parallel) return false;
  return fan->queued || (fan->next < fan->count && !is_over(g, fan));
}

void tk_fan_give(tk_decide *d, tk_task *task, uint32_t map) {
  tk_step *step = tk_task_step(task, map);
  bool gives = step->flags & (TK_STEP_F_GIVING | TK_STEP_F_HELD);
  if (may_give(task, map, step) == gives) return;
  if (gives) {
    tk_fan_take_back(d, task, map);
  } else if (tk_part_may_start(task)) {
    step->flags |= TK_STEP_F_GIVING;
    tk_part_index(d, task, map);
  } else {
    tk_part_hold(d, task, map);
  }
  tk_part_touch(d, task, map);
}

void tk_fan_take_back(tk_decide *d, tk_task *task, uint32_t map) {
  tk_step *step = tk_task_step(task, map);
  if (step->flags & TK_STEP_F_GIVING) tk_part_unindex(d, task, map);
  if (step->flags & TK_STEP_F_GIVING && step->flags & TK_STEP_F_PERMIT) tk_part_leave_queues(d, task, map);
  if (step->flags & TK_STEP_F_HELD) task->held--;
  step->flags &= (uint16_t)~(TK_STEP_F_GIVING | TK_STEP_F_HELD);
}

/* `next` stands on an element that was never touched, or behind the last. */
static void pass_touched(tk_task *task, tk_fan *fan) {
  while (fan->next < fan->count && tk_task_step(task, fan->first + fan->next)->role) fan->next++;
}

static uint32_t next_queued(tk_task *task, tk_fan *fan) {
  uint32_t at = fan->queued_from;
  while (!(tk_task_step(task, fan->first + at)->flags & TK_STEP_F_QUEUED)) at++;
  return fan->first + at;
}

static void unqueue(tk_task *task, tk_fan *fan, uint32_t element) {
  tk_task_step(task, element)->flags &= (uint16_t)~TK_STEP_F_QUEUED;
  if (element - fan->first == fan->queued_from) fan->queued_from++;
  fan->queued--;
}

static void touch_element(tk_decide *d, tk_task *task, uint32_t map, uint32_t element) {
  tk_fan *fan = tk_task_step(task, map)->fan;
  if (tk_task_step(task, element)->role) return;
  tk_part_instance(d, task, element, TK_ROLE_ELEMENT, map, element - fan->first + 1);
  pass_touched(task, fan);
  tk_part_touch(d, task, map);
}

uint32_t tk_fan_next(tk_decide *d, tk_task *task, uint32_t map) {
  tk_fan *fan = tk_task_step(task, map)->fan;
  if (fan->queued) {
    uint32_t element = next_queued(task, fan);
    unqueue(task, fan, element);
    return element;
  }
  uint32_t element = fan->first + fan->next;
  touch_element(d, task, map, element);
  tk_part_set_step(d, task, element, TK_STEP_READY);
  tk_task_step(task, element)->ready_at_us = d->now_us;
  return element;
}

void tk_fan_count(tk_decide *d, tk_task *task, uint32_t element, uint8_t from, uint8_t to) {
  uint32_t map = tk_task_step(task, element)->template_;
  tk_fan *fan = tk_task_step(task, map)->fan;
  fan->active += tk_step_active(to);
  fan->active -= tk_step_active(from);
  fan->running += to == TK_STEP_IN_PROGRESS;
  fan->running -= from == TK_STEP_IN_PROGRESS;
  fan->ended += tk_step_final(to);
  fan->ended -= tk_step_final(from);
  fan->failed += to == TK_STEP_ERROR || to == TK_STEP_CANCELLED;
  fan->failed -= from == TK_STEP_ERROR || from == TK_STEP_CANCELLED;
  tk_part_touch(d, task, map);
}

void tk_fan_unqueue(tk_decide *d, tk_task *task, uint32_t element) {
  uint32_t map = tk_task_step(task, element)->template_;
  unqueue(task, tk_task_step(task, map)->fan, element);
  tk_part_touch(d, task, map);
}

/* ---- The end of the whole ---- */

static void fail_map(tk_decide *d, tk_task *task, uint32_t map, const tk_fan *fan) {
  tk_step *step = tk_task_step(task, map);
  tk_slice name = graph_step(task, map)->name;
  step->error = tk_changes_payload(
      d->changes, tk_part_text(d, "{\"message\":\"%u of %u elements failed, the last of them %.*s[%u]\","
                                  "\"code\":\"elements_failed\",\"retryable\":false}",
                               fan->failed, fan->count, (int)name.size, name.data, fan->last_failed));
  tk_part_log(d, task, TK_LOG_STEP_FAILED, map, step->attempts, step->error, nothing);
  tk_part_fail(d, task, map);
}

/* What its elements' being so means to the map. */
static void settle(tk_decide *d, tk_task *task, uint32_t map) {
  tk_step *step = tk_task_step(task, map);
  tk_fan *fan = step->fan;
  if (step->status != TK_STEP_IN_PROGRESS) return;
  bool over = is_over(graph_step(task, map), fan);
  fan->stopped = fan->stopped && over;   /* a person may have settled what failed, before the rest had ended */
  if (fan->renewing) {
    tk_fan_give(d, task, map);
  } else if (!over && fan->ended == fan->count) {
    tk_fan_take_back(d, task, map);
    tk_part_complete(d, task, map, 0, step->attempts, nothing);
    tk_part_release_done(d, task, map, 0);
  } else if (over && !fan->active) {
    tk_fan_take_back(d, task, map);
    fail_map(d, task, map, fan);
  } else {
    tk_fan_give(d, task, map);
  }
}

static void cancel_element(tk_decide *d, tk_task *task, uint32_t element) {
  tk_part_unhook(d, task, element);
  tk_part_cancel_child(d, task, element);
  tk_part_set_step(d, task, element, TK_STEP_CANCELLED);
  tk_part_log(d, task, TK_LOG_STEP_CANCELLED, element, 0, 0, nothing);
}

/* The elements from number `at` on that were touched, at most TK_SWEEP_STEPS of them: what `each` does to them. True: that was
 * all; else *at is where to go on. */
static bool each_touched(tk_decide *d, tk_task *task, const tk_fan *fan, uint32_t *at,
                         void (*each)(tk_decide *d, tk_task *task, uint32_t element)) {
  uint32_t budget = TK_SWEEP_STEPS;
  for (; *at < fan->count && budget; budget--) {
    uint32_t element = fan->first + *at, beyond = tk_part_beyond_absent(task, element);
    if (beyond == element) {
      if (tk_task_step(task, element)->role) each(d, task, element);
      beyond++;
    }
    *at = beyond - fan->first;
  }
  return *at >= fan->count;
}

/* A map that is stopped lets what runs finish; one that was cancelled ends everything. */
static void stop_element(tk_decide *d, tk_task *task, uint32_t element) {
  const tk_step *step = tk_task_step(task, element);
  bool map_ended = tk_task_step(task, step->template_)->status != TK_STEP_IN_PROGRESS;
  bool runs = step->status == TK_STEP_IN_PROGRESS || step->waiting_for == TK_WAIT_CHILD;
  if (step->status == TK_STEP_READY || (step->status == TK_STEP_WAITING && !runs) || (map_ended && runs))
    cancel_element(d, task, element);
}

static void stop_from(tk_decide *d, tk_task *task, uint32_t map, uint32_t at) {
  if (!each_touched(d, task, tk_task_step(task, map)->fan, &at, stop_element))
    tk_part_sweep(d, task, TK_SWEEP_STOP_ELEMENTS, map, at, nothing);
}

void tk_fan_cancelled(tk_decide *d, tk_task *task, uint32_t map) {
  tk_step *step = tk_task_step(task, map);
  if (!step->fan) return;
  step->fan->stopped = true;
  stop_from(d, task, map, 0);
}

static void start_map(tk_decide *d, tk_task *task, uint32_t map) {
  tk_step *step = tk_task_step(task, map);
  tk_part_start_task(d, task);
  tk_part_set_step(d, task, map, TK_STEP_IN_PROGRESS);
  step->attempts++;
  step->last_attempted_at_us = d->now_us;
  if (!step->started_at_us) step->started_at_us = d->now_us;
  step->fan->stopped = false;
  tk_part_log(d, task, TK_LOG_STEP_STARTED, map, step->attempts, 0, tk_part_text(d, "{\"instances\":%u}", step->fan->count));
}

/* A map in error goes on: one of its elements is tried again, or is done after all. */
static void reopen(tk_decide *d, tk_task *task, uint32_t map) {
  tk_part_set_step(d, task, map, TK_STEP_READY);
  start_map(d, task, map);
}

void tk_fan_element_ended(tk_decide *d, tk_task *task, uint32_t element, bool failed) {
  uint32_t map = tk_task_step(task, element)->template_;
  tk_fan *fan = tk_task_step(task, map)->fan;
  bool over = is_over(graph_step(task, map), fan);
  if (tk_task_step(task, map)->status == TK_STEP_ERROR && !over) reopen(d, task, map);
  if (failed) fan->last_failed = tk_task_step(task, element)->ordinal;
  if (failed && over && !fan->stopped) {
    fan->stopped = true;
    stop_from(d, task, map, 0);
  }
  settle(d, task, map);
}

bool tk_fan_is_stopped(tk_task *task, uint32_t index) {
  const tk_step *step = tk_task_step(task, index);
  return step->role == TK_ROLE_ELEMENT && tk_task_step(task, step->template_)->fan->stopped;
}

void tk_fan_element_moved(tk_decide *d, tk_task *task, uint32_t element) {
  tk_step *step = tk_task_step(task, element), *map = tk_task_step(task, step->template_);
  tk_fan *fan = map->fan;
  if (map->status == TK_STEP_ERROR) reopen(d, task, step->template_);
  if (step->status == TK_STEP_READY && !(step->flags & TK_STEP_F_QUEUED)) {
    uint32_t number = element - fan->first;
    if (!fan->queued || number < fan->queued_from) fan->queued_from = number;
    fan->queued++;
    step->flags |= TK_STEP_F_QUEUED;
  }
  if (fan->stopped) cancel_element(d, task, element);
  settle(d, task, step->template_);
}

/* ---- Its beginning ---- */

static void renew_element(tk_decide *d, tk_task *task, uint32_t element) {
  tk_step *step = tk_task_step(task, element);
  if (step->status != TK_STEP_ERROR && step->status != TK_STEP_CANCELLED) return;
  step->failures = step->losses = 0;
  step->delay_us = 0;
  tk_part_log(d, task, TK_LOG_STEP_RETRY_SCHEDULED, element, step->attempts, 0, tk_slice_str("{\"delay\":0,\"fresh\":true}"));
  if (step->status == TK_STEP_CANCELLED) tk_part_set_step(d, task, element, TK_STEP_PENDING);
  tk_part_make_ready(d, task, element);
}

static void renew_from(tk_decide *d, tk_task *task, uint32_t map, uint32_t at) {
  tk_fan *fan = tk_task_step(task, map)->fan;
  if (each_touched(d, task, fan, &at, renew_element)) {
    fan->renewing = false;
    settle(d, task, map);
  } else {
    tk_part_sweep(d, task, TK_SWEEP_RENEW_ELEMENTS, map, at, nothing);
  }
}

void tk_fan_begin(tk_decide *d, tk_task *task, uint32_t map) {
  tk_fan *fan = tk_task_step(task, map)->fan;
  start_map(d, task, map);
  fan->renewing = fan->ended > 0;
  if (fan->renewing) renew_from(d, task, map, 0);
  else tk_fan_give(d, task, map);
}

/* The list comes in pages, each on a line of its own. */
static uint64_t keep_items(tk_decide *d, tk_slice pages) {
  uint64_t first = d->changes->next_payload;
  while (pages.size) {
    const char *end = memchr(pages.data, '\n', pages.size);
    size_t size = end ? (size_t)(end - pages.data) : pages.size;
    tk_changes_payload(d->changes, tk_slice_of(pages.data, size));
    pages = tk_slice_of(pages.data + size + (end != NULL), pages.size - size - (end != NULL));
  }
  return first;
}

void tk_fan_answered(tk_decide *d, tk_task *task, uint32_t map, tk_slice pages, uint32_t count) {
  tk_step *step = tk_task_step(task, map);
  if (!count) {
    tk_part_complete(d, task, map, tk_changes_payload(d->changes, tk_slice_str("[]")), 0, nothing);
    tk_part_release_done(d, task, map, 0);
    return;
  }
  if (count > TK_LIMIT_INSTANCES - task->instances) {
    step->error = tk_changes_payload(
        d->changes, tk_part_text(d, "{\"message\":\"map: the task would have more than %d instances\",\"code\":\"invalid\","
                                    "\"retryable\":false}", TK_LIMIT_INSTANCES));
    tk_part_log(d, task, TK_LOG_STEP_FAILED, map, 0, step->error, nothing);
    tk_part_fail(d, task, map);
    return;
  }
  step->fan = TK_ARENA_NEW(d->changes->arena, tk_fan);
  step->fan->items = keep_items(d, pages);
  step->fan->first = tk_part_reserve(d, task, count);
  step->fan->count = count;
  tk_fan_begin(d, task, map);
}

void tk_fan_sweep(tk_decide *d, tk_task *task, const tk_event *event) {
  const tk_step *step = tk_task_step(task, event->step);
  bool stopping = step->fan->stopped && (step->status == TK_STEP_IN_PROGRESS || step->status == TK_STEP_CANCELLED);
  if (event->sweep == TK_SWEEP_STOP_ELEMENTS && stopping) stop_from(d, task, event->step, event->cursor);
  if (event->sweep == TK_SWEEP_RENEW_ELEMENTS && step->status == TK_STEP_IN_PROGRESS && !step->fan->stopped)
    renew_from(d, task, event->step, event->cursor);
  else settle(d, task, event->step);
}

int tk_fan_admit(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  char room[TK_STEP_NAME_ROOM];
  uint32_t map = tk_task_map_of(task, event->step);
  if (map == TK_NO_STEP) return TK_OK;
  uint8_t status = tk_task_step(task, map)->status;
  bool movable = tk_part_running(task) || task->status == TK_TASK_ERROR;
  if (!movable || (status != TK_STEP_IN_PROGRESS && status != TK_STEP_ERROR)) {
    tk_slice name = tk_task_step_name(task, event->step, room), own = graph_step(task, map)->name;
    return tk_err_set(err, TK_E_REFUSED, "step '%.*s' cannot be moved any more: '%.*s' is %s, its task %s", (int)name.size, name.data,
                      (int)own.size, own.data, tk_step_status_name(status), tk_task_status_name(task->status));
  }
  if (event->type != TK_EV_RETRY) touch_element(d, task, map, event->step);   /* none that was never touched can be retried */
  return TK_OK;
}
