/* Limits in front of steps: a claim takes of all of them or of none; a step that must wait knows when its slot comes, and whoever
 * makes room calls those who wait for it, in the order in which they came.
 *
 * A step that is refused waits in one queue, of the limit that has the latest slot for it; so nothing of the others is taken away
 * meanwhile. When its time has come and another limit refuses it, it waits there as well and keeps its place in the first queue:
 * those behind it reckon with it. A place in a queue of a rate is a guess at a time; what bounds the rate is tat_ns alone. A place
 * of a concurrency limit is never held by a step that does not run. */
#include "base/err.h"
#include "model/decide_parts.h"

static const tk_graph_step *graph_step(tk_task *task, uint32_t index) { return tk_task_template(task, index); }

/* An element passes the limits as its map, which has the keys and waits for all of them. */
static uint32_t permit_step(tk_task *task, uint32_t index) {
  const tk_step *step = tk_task_step(task, index);
  return step->role == TK_ROLE_ELEMENT ? step->template_ : index;
}

/* The step's permit, made when it has none. */
static tk_permit *permit_of(tk_decide *d, tk_task *task, uint32_t index) {
  bool stored = tk_task_step(task, index)->flags & TK_STEP_F_PERMIT;
  tk_permit *permit = d->limits->permit(d->limits->context, task->no, index, stored);
  uint32_t count = graph_step(task, index)->limit_count;
  if (permit->count != count) {
    permit->entries = TK_ARENA_ARRAY(d->changes->arena, tk_permit_entry, count);
    permit->count = count;
  }
  return permit;
}

/* Most steps have none: they pay for no look. */
static tk_permit *known_permit(tk_decide *d, tk_task *task, uint32_t index) {
  uint32_t at = permit_step(task, index);
  return tk_task_step(task, at)->flags & TK_STEP_F_PERMIT ? permit_of(d, task, at) : NULL;
}

tk_meter *tk_part_meter(tk_decide *d, uint32_t no, tk_slice key) {
  const tk_limit *limit = d->limits->limit(d->limits->context, no);
  tk_meter *meter = d->limits->meter(d->limits->context, limit, key);
  tk_meter_fit(meter, d->now_us * 1000);
  return meter;
}

static tk_meter *meter_of(tk_decide *d, const tk_graph_limit *g, const tk_permit *permit, uint32_t at) {
  return tk_part_meter(d, g->no, permit ? permit->entries[at].key : tk_slice_of(NULL, 0));
}

/* ---- What changed ---- */

void tk_part_touch_meter(tk_decide *d, tk_meter *meter) {
  if (!meter->dirty) tk_list_push(d->changes->arena, &d->changes->meters, meter);
  meter->dirty = true;
}

static void touch_waiter(tk_decide *d, tk_waiter *waiter) {
  if (waiter->dirty) return;
  waiter->dirty = true;
  waiter->next_touched = waiter->meter->touched;
  waiter->meter->touched = waiter;
  tk_list_push(d->changes->arena, &d->changes->waiters, waiter);
}

static bool has_keys(const tk_permit *permit) {
  for (uint32_t i = 0; i < permit->count; i++)
    if (permit->entries[i].key.size) return true;
  return false;
}

/* Keeps the permit as long as it says anything. */
static void touch_permit(tk_decide *d, tk_task *task, uint32_t index, tk_permit *permit, bool over) {
  tk_step *step = tk_task_step(task, index);
  permit->there = !over && (permit->since_us || has_keys(permit));
  if (permit->there) step->flags |= TK_STEP_F_PERMIT;
  else step->flags &= (uint16_t)~TK_STEP_F_PERMIT;
  tk_part_touch(d, task, index);
  if (!permit->dirty) tk_list_push(d->changes->arena, &d->changes->permits, permit);
  permit->dirty = true;
}

/* ---- Queues ---- */

static tk_waiter *waiter_of(tk_decide *d, tk_meter *meter, const tk_permit *permit) {
  return d->limits->waiter(d->limits->context, meter, permit->since_us, permit->task_no, permit->step);
}

static void enter(tk_decide *d, tk_meter *meter, tk_permit *permit, uint32_t at, uint32_t cost) {
  tk_waiter *waiter = waiter_of(d, meter, permit);
  permit->entries[at].waits = true;
  waiter->position = meter->queued;
  meter->queued += cost;
  meter->waiting++;
  waiter->cost = cost;
  waiter->there = true;
  tk_part_touch_meter(d, meter);
  touch_waiter(d, waiter);
}

static void leave(tk_decide *d, tk_meter *meter, tk_permit *permit, uint32_t at) {
  tk_waiter *waiter = waiter_of(d, meter, permit);
  permit->entries[at].waits = false;
  TK_ASSERT(meter->waiting && waiter->there);
  meter->done += waiter->cost;
  if (--meter->waiting == 0) meter->done = meter->queued = 0;
  waiter->there = false;
  tk_part_touch_meter(d, meter);
  touch_waiter(d, waiter);
}

static void leave_all(tk_decide *d, const tk_graph_step *g, tk_permit *permit) {
  for (uint32_t i = 0; i < permit->count; i++)
    if (permit->entries[i].waits) leave(d, meter_of(d, &g->limits[i], permit, i), permit, i);
  permit->since_us = 0;
}

static void drop_timer(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  tk_timer timer = {step->due_us, task->no, index, TK_TIMER_NONE};
  if (step->due_us) tk_list_push(d->changes->arena, &d->changes->untimers, timer);
  step->due_us = 0;
}

void tk_part_leave_queues(tk_decide *d, tk_task *task, uint32_t index) {
  tk_permit *permit = permit_of(d, task, index);
  tk_step *step = tk_task_step(task, index);
  if (!permit->since_us) return;
  if (step->flags & TK_STEP_F_LIMITED) {
    step->flags &= (uint16_t)~TK_STEP_F_LIMITED;
    drop_timer(d, task, index);
  }
  leave_all(d, graph_step(task, index), permit);
  touch_permit(d, task, index, permit, false);
}

void tk_part_forget_limits(tk_decide *d, tk_task *task, uint32_t index) {
  tk_part_leave_queues(d, task, index);
  touch_permit(d, task, index, permit_of(d, task, index), true);
}

void tk_decide_lapse(tk_decide *d, tk_task *task, uint32_t index) {
  if (tk_task_step(task, index)->flags & TK_STEP_F_PERMIT) tk_part_leave_queues(d, task, index);
}

/* ---- Starting and ending ---- */

static void take_all(tk_decide *d, tk_task *task, uint32_t index, tk_meter *const *meters) {
  const tk_graph_step *g = graph_step(task, index);
  tk_permit *permit = known_permit(d, task, index);
  for (uint32_t i = 0; i < g->limit_count; i++) {
    tk_meter_take(meters[i], g->limits[i].cost, d->now_us * 1000);
    tk_part_touch_meter(d, meters[i]);
  }
  if (!permit || !permit->since_us) return;
  leave_all(d, g, permit);
  touch_permit(d, task, index, permit, false);
}

static int64_t slot_us(int64_t slot_ns) { return slot_ns == TK_NEVER ? 0 : (slot_ns + 999) / 1000; }

static void log_limited(tk_decide *d, tk_task *task, uint32_t index, tk_slice limit, int64_t due_us) {
  char at[32];
  if (due_us) tk_time_format(due_us, at);
  tk_part_log(d, task, TK_LOG_STEP_WAITING, index, 0, 0,
              due_us ? tk_part_text(d, "{\"waiting_for\":\"rate_limit\",\"limit\":\"%.*s\",\"until\":\"%s\"}", (int)limit.size,
                                    limit.data, at)
                     : tk_part_text(d, "{\"waiting_for\":\"rate_limit\",\"limit\":\"%.*s\"}", (int)limit.size, limit.data));
}

/* A map waits as it is, in progress: it gives nothing until then. */
static void pause_map(tk_decide *d, tk_task *task, uint32_t map, int64_t due_us) {
  tk_step *step = tk_task_step(task, map);
  tk_part_unindex(d, task, map);
  step->flags &= (uint16_t)~TK_STEP_F_GIVING;
  step->flags |= TK_STEP_F_LIMITED;
  step->due_us = due_us;
  tk_timer timer = {due_us, task->no, map, TK_TIMER_LIMIT};
  if (due_us) tk_list_push(d->changes->arena, &d->changes->timers, timer);
}

static void wait_in(tk_decide *d, tk_task *task, uint32_t index, tk_meter *const *meters, uint32_t latest, int64_t slot_ns) {
  const tk_graph_step *g = graph_step(task, index);
  tk_permit *permit = permit_of(d, task, index);
  int64_t due_us = slot_us(slot_ns);
  if (!permit->since_us) {
    permit->since_us = d->now_us;
    if (!tk_task_is_map(task, index)) log_limited(d, task, index, g->limits[latest].name, due_us);
  }
  if (!permit->entries[latest].waits) enter(d, meters[latest], permit, latest, g->limits[latest].cost);
  for (uint32_t i = 0; i < permit->count; i++) {
    if (!permit->entries[i].waits) continue;
    if (i != latest && meters[i]->limit->rules.rate <= 0) {   /* it comes back to its place, which its since_us says */
      leave(d, meters[i], permit, i);
      continue;
    }
    tk_waiter *waiter = waiter_of(d, meters[i], permit);
    waiter->woken = false;
    waiter->elsewhere = i != latest;
    waiter->slot_us = due_us;
    touch_waiter(d, waiter);
    tk_part_touch_meter(d, meters[i]);
  }
  touch_permit(d, task, index, permit, false);
  if (tk_task_is_map(task, index)) pause_map(d, task, index, due_us);
  else tk_part_wait(d, task, index, TK_WAIT_RATE_LIMIT, due_us, TK_TIMER_LIMIT);
}

bool tk_part_admit(tk_decide *d, tk_task *task, uint32_t index) {
  const tk_graph_step *g = graph_step(task, index);
  const tk_permit *permit = known_permit(d, task, index);
  tk_meter *meters[TK_LIMIT_STEP_LIMITS];
  int64_t now_ns = d->now_us * 1000, slot_ns = now_ns;
  uint32_t latest = 0;
  for (uint32_t i = 0; i < g->limit_count; i++) {
    meters[i] = meter_of(d, &g->limits[i], permit, i);
    const tk_waiter *waiter = permit && permit->entries[i].waits ? waiter_of(d, meters[i], permit) : NULL;
    int64_t own_ns = tk_meter_slot(meters[i], waiter, permit && permit->since_us, g->limits[i].cost, now_ns);
    if (own_ns <= slot_ns) continue;
    slot_ns = own_ns;
    latest = i;
  }
  if (slot_ns > now_ns) wait_in(d, task, index, meters, latest, slot_ns);
  else take_all(d, task, index, meters);
  return slot_ns <= now_ns;
}

static void give_back(tk_decide *d, tk_task *task, uint32_t index) {
  const tk_graph_step *g = graph_step(task, index);
  const tk_permit *permit = known_permit(d, task, index);
  for (uint32_t i = 0; i < g->limit_count; i++) {
    tk_meter *meter = meter_of(d, &g->limits[i], permit, i);
    TK_ASSERT(meter->holders);
    meter->holders--;
    tk_part_touch_meter(d, meter);
  }
}

void tk_part_limited_moved(tk_decide *d, tk_task *task, uint32_t index, uint8_t from) {
  const tk_step *step = tk_task_step(task, index);
  bool over = step->status == TK_STEP_COMPLETE || step->status == TK_STEP_SKIPPED || step->status == TK_STEP_RESOLVED;
  if (from == TK_STEP_IN_PROGRESS && !tk_task_is_map(task, index)) give_back(d, task, index);
  else if (from == TK_STEP_IN_PROGRESS && step->flags & TK_STEP_F_PERMIT) tk_part_leave_queues(d, task, index);
  if (over && step->flags & TK_STEP_F_PERMIT) touch_permit(d, task, index, permit_of(d, task, index), true);
}

tk_slice tk_part_keep_keys(tk_decide *d, tk_task *task, uint32_t index, tk_slice keys) {
  tk_permit *permit = permit_of(d, task, index);
  tk_reader r = tk_reader_of(keys);
  for (uint32_t i = 0; i < permit->count; i++) permit->entries[i].key = tk_read_bytes(&r);
  touch_permit(d, task, index, permit, false);
  return tk_slice_of(r.at, tk_reader_left(&r));
}

void tk_part_correct_cost(tk_decide *d, tk_task *task, const tk_event *event) {
  const tk_graph_step *g = graph_step(task, event->step);
  if (event->cursor >= g->limit_count || tk_task_step(task, event->step)->role == TK_ROLE_COMPENSATION) return;
  tk_meter *meter = meter_of(d, &g->limits[event->cursor], known_permit(d, task, event->step), event->cursor);
  tk_meter_correct(meter, event->delay_us, d->now_us * 1000);
  tk_part_touch_meter(d, meter);
}

/* ---- Calling those who wait ---- */

void tk_part_try_again(tk_decide *d, tk_task *task, uint32_t index) {
  tk_step *step = tk_task_step(task, index);
  if (!(step->flags & TK_STEP_F_LIMITED)) {
    tk_part_again(d, task, index);
    return;
  }
  step->flags &= (uint16_t)~TK_STEP_F_LIMITED;
  step->due_us = 0;
  tk_part_touch(d, task, index);
  tk_fan_give(d, task, index);
  if (!(step->flags & TK_STEP_F_GIVING)) tk_part_leave_queues(d, task, index);   /* it has nothing to give after all */
}

/* To a step that waits: its slot came early or there is room; what it finds is decided when it is claimed. */
void tk_decide_wake(tk_decide *d, tk_task *task, const tk_event *event) {
  tk_step *step = tk_task_step(task, event->step);
  bool waits = (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_RATE_LIMIT) || step->flags & TK_STEP_F_LIMITED;
  if (!waits || step->due_us == event->due_us) return;
  drop_timer(d, task, event->step);
  if (event->due_us <= d->now_us) {
    tk_part_try_again(d, task, event->step);
    return;
  }
  step->due_us = event->due_us;
  tk_timer timer = {event->due_us, task->no, event->step, TK_TIMER_LIMIT};
  tk_list_push(d->changes->arena, &d->changes->timers, timer);
  tk_part_touch(d, task, event->step);
}

static void call(tk_decide *d, tk_waiter *waiter, int64_t due_us) {
  tk_event event = {.type = TK_EV_LIMIT_WAKE, .task_no = waiter->task_no, .step = waiter->step, .due_us = due_us};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
  waiter->woken = due_us <= d->now_us;
  waiter->slot_us = due_us;
  touch_waiter(d, waiter);
}

/* Whether it could start earlier than its timer comes, and when. */
static bool is_late(const tk_meter *meter, const tk_waiter *waiter, int64_t now_ns, int64_t *slot) {
  *slot = slot_us(tk_meter_slot(meter, waiter, true, waiter->cost, now_ns));
  return *slot && *slot < waiter->slot_us;
}

/* As many as there is room for; those that were called before count. Of those that wait for a time the first is enough: its start
 * calls the next. */
static void call_waiters(tk_decide *d, tk_meter *meter) {
  const tk_limit_rules *rules = &meter->limit->rules;
  uint64_t most = rules->concurrency ? rules->concurrency : UINT64_MAX;
  uint64_t room = most > meter->holders ? most - meter->holders : 0;
  bool timed = false;
  if (room > TK_LIMIT_WAKES) room = TK_LIMIT_WAKES;
  tk_waiter *w = NULL;
  for (uint32_t looked = 0; room && looked < TK_LIMIT_QUEUE_LOOKS; looked++) {
    w = d->limits->next_waiter(d->limits->context, meter, w);
    if (!w) return;
    if (w->elsewhere) continue;
    int64_t slot;
    if (w->woken) {
      room--;
    } else if (!w->slot_us) {
      call(d, w, d->now_us);
      room--;
    } else if (!timed && w->slot_us > d->now_us) {
      timed = true;
      if (is_late(meter, w, d->now_us * 1000, &slot)) call(d, w, slot);
      if (!rules->concurrency) return;
    }
  }
}

void tk_decide_call_waiters(tk_decide *d) {
  for (size_t i = 0; i < d->changes->meters.count; i++)
    if (d->changes->meters.items[i]->waiting) call_waiters(d, d->changes->meters.items[i]);
}

/* ---- Rules ---- */

static int check_rules(const tk_limit_rules *rules, tk_slice name, tk_err *err) {
  if (rules->rate > 0 || rules->concurrency) return TK_OK;
  return tk_err_set(err, TK_E_INVALID, "limit '%.*s' would limit nothing: it needs a rate or a concurrency", (int)name.size, name.data);
}

int tk_decide_limit(tk_decide *d, uint32_t no, const tk_limit_change *change, tk_err *err) {
  tk_limit *limit = d->limits->limit(d->limits->context, no);
  tk_limit_rules rules = limit->rules;
  if (!limit->there && !change->declared)
    return tk_err_set(err, TK_E_NOT_FOUND, "no limit '%.*s' is declared", (int)change->name.size, change->name.data);
  if (change->sets_rate) rules.rate = change->rules.rate;
  if (change->sets_per) rules.per = change->rules.per;
  if (change->sets_burst) rules.burst = change->rules.burst;
  if (change->sets_concurrency) rules.concurrency = change->rules.concurrency;
  int code = check_rules(&rules, change->name, err);
  if (code) return code;
  if (change->declared) {
    if (limit->there && tk_limit_same(&limit->declared, &rules)) return TK_OK;
    limit->declared = rules;
  }
  limit->rules = rules;
  limit->unit_ns = tk_limit_ns(&rules, 1);
  limit->name = change->name;
  limit->there = true;
  if (!limit->dirty) tk_list_push(d->changes->arena, &d->changes->limits, limit);
  limit->dirty = true;
  tk_meter *waited[TK_LIMIT_KEYS_AT_ONCE];
  size_t count = d->limits->waited(d->limits->context, limit, waited, TK_LIMIT_KEYS_AT_ONCE);
  for (size_t i = 0; i < count; i++) {
    tk_meter_fit(waited[i], d->now_us * 1000);
    tk_part_touch_meter(d, waited[i]);
  }
  return TK_OK;
}
