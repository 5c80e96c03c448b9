/* What follows from what happens to a schedule. An occurrence becomes a task in the commit that moves the schedule on: so it
 * fires once, whoever takes the turn. */
#include "base/buf.h"
#include "model/decide_parts.h"

#define PUNCTUAL_US 1000000        /* late by so much is not missed, whatever catch_up says: no turn comes at the very moment */

static const tk_slice nothing = {NULL, 0};

/* ---- Times ---- */

int tk_schedule_recurrence(const tk_schedule_spec *spec, int64_t phase_us, tk_slice zone_bytes, tk_arena *arena, tk_recurrence *out,
                           tk_err *err) {
  *out = (tk_recurrence){.kind = spec->kind, .dst = spec->dst};
  out->starts_us = spec->starts_us ? spec->starts_us : INT64_MIN;
  out->ends_us = spec->ends_us ? spec->ends_us : INT64_MAX;
  int code = tk_zone_decode(zone_bytes, &out->zone, err);
  if (code) return code;
  tk_slice rule = spec->texts[TK_SCHEDULE_RULE];
  switch (spec->kind) {
    case TK_RECUR_AT: out->as.at_us = spec->at_us; return TK_OK;
    case TK_RECUR_EVERY:
      out->as.every.phase_us = phase_us;
      out->as.every.interval_us = spec->every_us;
      return TK_OK;
    case TK_RECUR_CRON: return tk_cron_parse(rule, &out->as.cron, err);
    default: return tk_rrule_parse(rule, phase_us, &out->zone, arena, &out->as.rrule, err);
  }
}

static bool same_texts(const tk_schedule_spec *a, const tk_schedule_spec *b) {
  for (int i = 0; i < TK_SCHEDULE_TEXT_COUNT; i++)
    if (!tk_slice_eq(a->texts[i], b->texts[i])) return false;
  return true;
}

bool tk_schedule_spec_same(const tk_schedule_spec *a, const tk_schedule_spec *b, bool by_time) {
  bool times = a->kind == b->kind && a->at_us == b->at_us && a->every_us == b->every_us && a->starts_us == b->starts_us &&
               a->dst.gap == b->dst.gap && a->dst.overlap == b->dst.overlap &&
               tk_slice_eq(a->texts[TK_SCHEDULE_RULE], b->texts[TK_SCHEDULE_RULE]) &&
               tk_slice_eq(a->texts[TK_SCHEDULE_ZONE], b->texts[TK_SCHEDULE_ZONE]);
  if (by_time || !times) return times;
  return a->overlap == b->overlap && a->has_priority == b->has_priority && a->priority == b->priority && a->ask == b->ask &&
         a->catch_up_us == b->catch_up_us && a->jitter_us == b->jitter_us && a->ends_us == b->ends_us && a->count == b->count &&
         same_texts(a, b);
}

/* SplitMix64: all that is wanted is that neighbours differ. */
static uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

int64_t tk_schedule_jitter(const tk_schedule *s, const tk_recurrence *recurrence, int64_t planned_us) {
  int64_t bound_us = s->spec.jitter_us, next_us;
  if (!bound_us) return 0;
  if (tk_recurrence_next(recurrence, planned_us, &next_us) && next_us - planned_us < bound_us) bound_us = next_us - planned_us;
  return (int64_t)(mix(s->no ^ mix((uint64_t)planned_us)) % (uint64_t)bound_us);
}

tk_recurrence tk_schedule_backwards(const tk_schedule *s, const tk_recurrence *recurrence, int64_t from_us) {
  tk_recurrence r = *recurrence;
  if (r.kind != TK_RECUR_EVERY || s->spec.starts_us || from_us > s->phase_us) return r;
  int64_t steps = (s->phase_us - from_us) / s->spec.every_us + 2;
  r.as.every.phase_us = s->phase_us - steps * s->spec.every_us;
  return r;
}

static bool exhausted(const tk_schedule *s) { return s->spec.count && s->taken >= s->spec.count; }

/* The first planned time after `after_us`, or none. */
static void move_on(tk_schedule *s, const tk_recurrence *recurrence, int64_t after_us) {
  int64_t next_us;
  s->next_us = !exhausted(s) && tk_recurrence_next(recurrence, after_us, &next_us) ? next_us : 0;
}

/* ---- Changes ---- */

static void touch(tk_decide *d, tk_schedule *s) {
  if (s->dirty) return;
  s->dirty = true;
  tk_list_push(d->changes->arena, &d->changes->schedules, s);
}

static void disarm(tk_decide *d, tk_schedule *s) {
  if (!s->due_us) return;
  tk_timer timer = {s->due_us, s->no, TK_NO_STEP, TK_TIMER_SCHEDULE};
  tk_list_push(d->changes->arena, &d->changes->untimers, timer);
  s->due_us = 0;
}

static void arm(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence) {
  disarm(d, s);
  if (s->paused || !s->next_us) return;
  s->due_us = s->next_us + tk_schedule_jitter(s, recurrence, s->next_us);
  tk_timer timer = {s->due_us, s->no, TK_NO_STEP, TK_TIMER_SCHEDULE};
  tk_list_push(d->changes->arena, &d->changes->timers, timer);
}

/* {"schedule":name} and `members`, which begin with a comma; then those of the audit, a JSON object or empty. */
static void note(tk_decide *d, tk_schedule *s, uint8_t kind, tk_slice members, tk_slice audit) {
  tk_log_entry *entry = TK_ARENA_NEW(d->changes->arena, tk_log_entry);
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME];
  tk_buf text = {0};
  tk_buf_append(&text, "{\"schedule\":\"", 13);
  tk_buf_append(&text, name.data, name.size);   /* its characters need no escapes */
  tk_buf_u8(&text, '"');
  tk_buf_append(&text, members.data, members.size);
  if (audit.size > 2) {
    tk_buf_u8(&text, ',');
    tk_buf_append(&text, audit.data + 1, audit.size - 1);
  } else {
    tk_buf_u8(&text, '}');
  }
  *entry = (tk_log_entry){.kind = kind, .step = TK_NO_STEP, .data = tk_arena_copy(d->changes->arena, tk_buf_slice(&text))};
  tk_buf_free(&text);
  if (s->log_tail) s->log_tail->next = entry;
  else s->log_head = entry;
  s->log_tail = entry;
  s->log_count++;
  touch(d, s);
}

void tk_decide_schedule_skip(tk_decide *d, tk_schedule *s, int64_t scheduled_us, const char *reason) {
  char at[32];
  s->skipped++;
  tk_time_format(scheduled_us, at);
  note(d, s, TK_LOG_SCHEDULE_SKIPPED, tk_part_text(d, ",\"scheduled_at\":\"%s\",\"reason\":\"%s\"", at, reason), nothing);
}

/* ---- Occurrences ---- */

static void open_task(tk_decide *d, tk_schedule *s, uint64_t task_no) {
  s->open++;
  if (s->open_tasks.count < TK_LIMIT_SCHEDULE_OPEN) tk_list_push(d->changes->arena, &s->open_tasks, task_no);
  touch(d, s);
}

static void close_task(tk_decide *d, tk_schedule *s, uint64_t task_no) {
  if (s->open) s->open--;
  for (size_t i = 0; i < s->open_tasks.count; i++)
    if (s->open_tasks.items[i] == task_no) {
      s->open_tasks.count--;
      memmove(&s->open_tasks.items[i], &s->open_tasks.items[i + 1], (s->open_tasks.count - i) * sizeof *s->open_tasks.items);
      break;
    }
  touch(d, s);
}

static void make(tk_decide *d, tk_schedule *s, tk_fire fire, tk_fires *fires) {
  fire.task_no = d->changes->next_task++;
  s->last_task = fire.task_no;
  s->made++;
  open_task(d, s, fire.task_no);
  tk_list_push(d->changes->arena, &fires->list, fire);
}

static void make_planned(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence, int64_t planned_us, tk_fires *fires) {
  int64_t late_us = d->now_us - planned_us - tk_schedule_jitter(s, recurrence, planned_us);
  make(d, s, (tk_fire){.scheduled_us = planned_us, .previous_us = s->last_us, .late_us = late_us > 0 ? late_us : 0}, fires);
  s->last_us = planned_us;
}

void tk_decide_schedule_answered(tk_decide *d, tk_schedule *s, const tk_fire *occurrence, tk_fires *fires) {
  make(d, s, *occurrence, fires);
  s->made--;   /* counted when it was asked for */
}

static bool is_free(const tk_schedule *s) { return s->spec.overlap == TK_SCHEDULE_ALLOW || !s->open; }

static void go_on(tk_decide *d, tk_schedule *s) {
  tk_event event = {.type = TK_EV_SCHEDULE_GO_ON, .task_no = s->no, .step = TK_NO_STEP};
  tk_list_push(d->changes->arena, &d->changes->inbox, event);
}

static void backfill_one(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence, tk_fires *fires) {
  tk_backfill *range = &s->backfills.items[0];
  tk_recurrence r = tk_schedule_backwards(s, recurrence, range->next_us);
  int64_t at_us;
  if (tk_recurrence_next(&r, range->next_us - 1, &at_us) && at_us < range->to_us) {
    make(d, s, (tk_fire){.scheduled_us = at_us, .previous_us = range->previous_us, .late_us = d->now_us - at_us}, fires);
    range->previous_us = at_us;
    range->next_us = at_us + 1;
    return;
  }
  s->backfills.count--;
  memmove(s->backfills.items, s->backfills.items + 1, s->backfills.count * sizeof *s->backfills.items);
}

/* What waits for a task to end: occurrences of the clock first, then those that somebody asked for. */
static void start_waiting(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence, tk_fires *fires) {
  for (int n = 0; is_free(s); n++) {
    bool buffered = s->buffered.count && !s->paused;
    if (!buffered && !s->backfills.count) return;
    touch(d, s);
    if (n == TK_SCHEDULE_OCCURRENCES) {
      go_on(d, s);
      return;
    }
    if (!buffered) {
      backfill_one(d, s, recurrence, fires);
      continue;
    }
    int64_t at_us = s->buffered.items[0];
    s->buffered.count--;
    memmove(s->buffered.items, s->buffered.items + 1, s->buffered.count * sizeof *s->buffered.items);
    make_planned(d, s, recurrence, at_us, fires);
  }
}

static void buffer(tk_decide *d, tk_schedule *s, int64_t at_us, size_t most) {
  if (s->buffered.count >= most) {
    tk_decide_schedule_skip(d, s, at_us, "the buffer is full");
    return;
  }
  s->taken++;
  tk_list_push(d->changes->arena, &s->buffered, at_us);
}

/* The newest one replaces what is open: it starts when that has ended. */
static void cancel_other(tk_decide *d, tk_schedule *s, int64_t at_us) {
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME];
  for (size_t i = 0; i < s->open_tasks.count; i++) {
    tk_event event = {.type = TK_EV_CANCEL, .task_no = s->open_tasks.items[i], .step = TK_NO_STEP};
    event.audit = tk_part_text(d, "{\"reason\":\"the next occurrence of schedule %.*s\"}", (int)name.size, name.data);
    tk_list_push(d->changes->arena, &d->changes->inbox, event);
  }
  while (s->buffered.count) {
    s->taken--;
    tk_decide_schedule_skip(d, s, s->buffered.items[--s->buffered.count], "overlap");
  }
  buffer(d, s, at_us, 1);
}

/* An occurrence of the clock. While a backfill is under way, what would be skipped for one of its tasks comes after that. */
static void take(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence, int64_t at_us, tk_fires *fires) {
  touch(d, s);
  if (is_free(s)) {
    s->taken++;
    make_planned(d, s, recurrence, at_us, fires);
    return;
  }
  switch (s->spec.overlap) {
    case TK_SCHEDULE_BUFFER_ALL: buffer(d, s, at_us, TK_LIMIT_SCHEDULE_BUFFER); break;
    case TK_SCHEDULE_CANCEL_OTHER: cancel_other(d, s, at_us); break;
    case TK_SCHEDULE_BUFFER_ONE:
      if (s->buffered.count) tk_decide_schedule_skip(d, s, at_us, "overlap");
      else buffer(d, s, at_us, 1);
      break;
    default:
      if (s->backfills.count && !s->buffered.count) buffer(d, s, at_us, 1);
      else tk_decide_schedule_skip(d, s, at_us, "overlap");
  }
}

static void tick(tk_decide *d, tk_schedule *s, const tk_recurrence *recurrence, const tk_event *event, tk_fires *fires) {
  if (s->paused || !s->due_us || s->due_us != event->due_us) return;   /* the entry was stale */
  s->due_us = 0;
  touch(d, s);
  for (int n = 0; n < TK_SCHEDULE_OCCURRENCES && s->next_us; n++) {
    int64_t at_us = s->next_us, due_us = at_us + tk_schedule_jitter(s, recurrence, at_us);
    if (due_us > d->now_us) break;
    int64_t after_us = at_us, oldest_us = d->now_us - (s->spec.catch_up_us > PUNCTUAL_US ? s->spec.catch_up_us : PUNCTUAL_US);
    if (due_us < oldest_us) {
      tk_decide_schedule_skip(d, s, at_us, "missed");
      if (oldest_us - s->spec.jitter_us - 1 > at_us) after_us = oldest_us - s->spec.jitter_us - 1;
    } else {
      take(d, s, recurrence, at_us, fires);
    }
    move_on(s, recurrence, after_us);
  }
  arm(d, s, recurrence);
}

/* ---- What people ask for ---- */

static int never(const tk_schedule_spec *spec, tk_err *err) {
  tk_slice name = spec->texts[TK_SCHEDULE_NAME];
  return tk_err_set(err, TK_E_INVALID, "schedule %.*s: it never comes after this time%s", (int)name.size, name.data,
                    spec->starts_us || spec->ends_us ? ", between its 'starts' and 'ends'" : "");
}

static int create(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_err *err) {
  int64_t next_us;
  if (!tk_recurrence_next(recurrence, d->now_us, &next_us)) return never(event->schedule, err);
  s->spec = *event->schedule;
  s->created = true;
  s->created_at_us = s->updated_at_us = d->now_us;
  s->phase_us = s->spec.starts_us ? s->spec.starts_us : d->now_us;
  s->paused = event->cursor & TK_SCHEDULE_PUT_PAUSED;
  s->next_us = next_us;
  arm(d, s, recurrence);
  note(d, s, TK_LOG_SCHEDULE_CREATED, nothing, event->audit);
  return TK_OK;
}

/* A schedule whose times stay the same goes on where it is: a change of its context must not put an interval off. */
static int replace(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires,
                   tk_err *err) {
  tk_schedule_spec before = s->spec;
  bool same_times = tk_schedule_spec_same(&before, event->schedule, true);
  int64_t next_us;
  if (!same_times && !tk_recurrence_next(recurrence, d->now_us, &next_us)) return never(event->schedule, err);
  s->spec = *event->schedule;
  s->updated_at_us = d->now_us;
  if (!same_times) s->phase_us = s->spec.starts_us ? s->spec.starts_us : d->now_us;
  move_on(s, recurrence, same_times && s->next_us ? s->next_us - 1 : d->now_us);
  arm(d, s, recurrence);
  note(d, s, TK_LOG_SCHEDULE_UPDATED, nothing, event->audit);
  start_waiting(d, s, recurrence, fires);
  return TK_OK;
}

static int put(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires, tk_err *err) {
  if (!s->created_at_us) return create(d, s, event, recurrence, err);
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME];
  if (!(event->cursor & TK_SCHEDULE_PUT_REPLACE))
    return tk_err_set(err, TK_E_CONFLICT, "there is a schedule %.*s already (replace = true puts another in its place)",
                      (int)name.size, name.data);
  return tk_schedule_spec_same(&s->spec, event->schedule, false) ? TK_OK : replace(d, s, event, recurrence, fires, err);
}

static void pause_schedule(tk_decide *d, tk_schedule *s, const tk_event *event) {
  if (s->paused) return;
  s->paused = true;
  disarm(d, s);
  note(d, s, TK_LOG_SCHEDULE_PAUSED, nothing, event->audit);
}

/* Occurrences that passed meanwhile are gone: pausing is the wish that they should not come. */
static void resume_schedule(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires) {
  if (!s->paused) return;
  s->paused = false;
  if (s->next_us && s->next_us <= d->now_us) move_on(s, recurrence, d->now_us);
  arm(d, s, recurrence);
  note(d, s, TK_LOG_SCHEDULE_RESUMED, nothing, event->audit);
  start_waiting(d, s, recurrence, fires);
}

static int backfill(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires,
                    tk_err *err) {
  char from[32], to[32];
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME];
  if (s->backfills.count >= TK_LIMIT_SCHEDULE_BACKFILLS)
    return tk_err_set(err, TK_E_REFUSED, "schedule %.*s: %d backfills are under way already", (int)name.size, name.data,
                      TK_LIMIT_SCHEDULE_BACKFILLS);
  tk_backfill range = {.next_us = event->due_us, .to_us = event->until_us};
  /* What is still to come is the clock's. */
  if (range.to_us > d->now_us + 1) range.to_us = d->now_us + 1;
  if (!s->paused && s->next_us && range.to_us > s->next_us) range.to_us = s->next_us;
  tk_list_push(d->changes->arena, &s->backfills, range);
  tk_time_format(event->due_us, from);
  tk_time_format(event->until_us, to);
  note(d, s, TK_LOG_SCHEDULE_BACKFILLED, tk_part_text(d, ",\"from\":\"%s\",\"to\":\"%s\"", from, to), event->audit);
  start_waiting(d, s, recurrence, fires);
  return TK_OK;
}

static void delete_schedule(tk_decide *d, tk_schedule *s, const tk_event *event) {
  disarm(d, s);
  note(d, s, TK_LOG_SCHEDULE_DELETED, nothing, event->audit);
  s->deleted = true;
}

int tk_decide_schedule(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires,
                       tk_err *err) {
  switch (event->type) {
    case TK_EV_TIMER: tick(d, s, recurrence, event, fires); return TK_OK;
    case TK_EV_SCHEDULE_PUT: return put(d, s, event, recurrence, fires, err);
    case TK_EV_SCHEDULE_PAUSE: pause_schedule(d, s, event); return TK_OK;
    case TK_EV_SCHEDULE_RESUME: resume_schedule(d, s, event, recurrence, fires); return TK_OK;
    case TK_EV_SCHEDULE_TRIGGER:
      make(d, s, (tk_fire){.scheduled_us = d->now_us, .previous_us = s->last_us, .context = event->data, .manual = true}, fires);
      return TK_OK;
    case TK_EV_SCHEDULE_BACKFILL: return backfill(d, s, event, recurrence, fires, err);
    case TK_EV_SCHEDULE_DELETE: delete_schedule(d, s, event); return TK_OK;
    case TK_EV_SCHEDULE_ENDED:
      close_task(d, s, event->child);
      start_waiting(d, s, recurrence, fires);
      return TK_OK;
    case TK_EV_SCHEDULE_REOPENED: open_task(d, s, event->child); return TK_OK;
    default: TK_ASSERT(event->type == TK_EV_SCHEDULE_GO_ON); start_waiting(d, s, recurrence, fires); return TK_OK;
  }
}
