/* Schedules in a history, and what must hold of them: part of sim.c. Of three: `skip` never has two tasks open, `exact` loses none
 * of its occurrences and makes none twice, and `wild` is paused, replaced, triggered, backfilled and deleted. */
#ifndef TK_SPEC_SIM_SCHEDULES_H
#define TK_SPEC_SIM_SCHEDULES_H

static const char *const schedule_names[] = {"skip", "exact", "wild"};

static void random_spec(sim *s, tk_schedule_spec *spec, uint32_t which) {
  *spec = (tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = 1000000LL * (1 + pick(s, 15)), .count = 1 + pick(s, 12)};
  spec->texts[TK_SCHEDULE_NAME] = tk_slice_str(schedule_names[which]);
  spec->texts[TK_SCHEDULE_NS] = tk_slice_str("sim");
  spec->texts[TK_SCHEDULE_HANDLER] = s->graphs[pick(s, s->graph_count)]->name;
  spec->texts[TK_SCHEDULE_CONTEXT] = tk_slice_str("{}");
  spec->overlap = which == 0 ? TK_SCHEDULE_SKIP : which == 1 ? TK_SCHEDULE_BUFFER_ALL : (uint8_t)pick(s, TK_SCHEDULE_OVERLAP_COUNT);
  spec->catch_up_us = which == 1 || chance(s, 50) ? 86400000000LL : 1000000LL * pick(s, 6);
  spec->jitter_us = chance(s, 30) ? 1000000LL * pick(s, 20) : 0;
  if (which != 1 && chance(s, 40)) spec->ask = s->definitions[s->graph_count];
}

static void schedule_something(sim *s) {
  static const uint8_t verbs[] = {TK_EV_SCHEDULE_PAUSE, TK_EV_SCHEDULE_RESUME, TK_EV_SCHEDULE_RESUME, TK_EV_SCHEDULE_TRIGGER,
    TK_EV_SCHEDULE_BACKFILL, TK_EV_SCHEDULE_DELETE};
  uint32_t which = pick(s, 3);
  tk_schedule_spec spec;
  for (uint32_t i = 0; i < s->graph_count; i++)
    if (s->graphs[i]->step_count > 100) return;   /* dozens of such tasks take too long */
  tk_event event = {.step = TK_NO_STEP, .name = tk_slice_str(schedule_names[which])};
  if (chance(s, 50)) {
    random_spec(s, &spec, which);
    event.type = TK_EV_SCHEDULE_PUT;
    event.schedule = &spec;
    event.cursor = which == 2 ? TK_SCHEDULE_PUT_REPLACE : 0;
  } else {
    if (which == 1) return;
    event.type = verbs[pick(s, which == 2 ? 6 : 3)];
    event.due_us = s->now_us - 1000000LL * pick(s, 40);
    event.until_us = event.due_us + 1000000LL * pick(s, 40);
  }
  int code = ask(s, s->client, event, NULL);
  say(s, "schedule %s: event %u: %d", schedule_names[which], event.type, code);
}

static void resume_schedules(sim *s) {
  for (int i = 0; i < 3; i++)
    ask(s, s->client, (tk_event){.type = TK_EV_SCHEDULE_RESUME, .step = TK_NO_STEP, .name = tk_slice_str(schedule_names[i])}, NULL);
}

/* The tasks that a schedule made, without those that asked for a context. */
static size_t tasks_of_schedule(sim *s, const fold *f, tk_snap *snap, tk_arena *arena, const tk_schedule *schedule, int64_t *times) {
  size_t count = 0;
  for (size_t i = 0; i < s->task_count && !*s->failure; i++) {
    tk_task *task;
    tk_task_info info;
    tk_err err;
    if (f->tasks[i]->schedule != schedule->no || s->task_graph[i] == s->graph_count) continue;
    if (tk_snap_task(snap, arena, f->numbers[i], tk_engine_graph_lookup, s->client, &task, &info, &err)) fail(s, "task: %s", err.message);
    else times[count++] = info.scheduled_us;
  }
  return count;
}

static int compare_times(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void check_schedule(sim *s, const fold *f, tk_snap *snap, tk_arena *arena, const tk_schedule *schedule, uint32_t which) {
  const char *name = schedule_names[which];
  int64_t *times = TK_ARENA_ARRAY(arena, int64_t, s->task_count + 1);
  size_t count = tasks_of_schedule(s, f, snap, arena, schedule, times);
  if (schedule->next_us || schedule->due_us)
    fail(s, "schedule %s has not come to its end: next %lld, due %lld, now %lld", name, (long long)schedule->next_us,
         (long long)schedule->due_us, (long long)s->now_us);
  if (schedule->open || schedule->open_tasks.count) fail(s, "schedule %s counts %llu open tasks", name, (unsigned long long)schedule->open);
  if (schedule->buffered.count || schedule->backfills.count) fail(s, "schedule %s has something left to do", name);
  if (which == 2 || *s->failure) return;
  qsort(times, count, sizeof *times, compare_times);
  for (size_t i = 1; i < count; i++)
    if (times[i] == times[i - 1]) fail(s, "schedule %s made an occurrence twice", name);
  for (size_t i = 0; which == 1 && i < count; i++)
    if (times[i] != schedule->phase_us + (int64_t)(i + 1) * schedule->spec.every_us) fail(s, "schedule %s lost an occurrence", name);
  if (which == 1 ? count != schedule->spec.count : count > schedule->spec.count)
    fail(s, "schedule %s made %zu tasks, its count is %llu", name, count, (unsigned long long)schedule->spec.count);
}

static void check_schedules(sim *s, const fold *f, tk_snap *snap, tk_arena *arena) {
  for (uint32_t i = 0; i < 3 && !*s->failure; i++) {
    tk_schedule *schedule = NULL;
    tk_err err = {0};
    int code = tk_snap_schedule(snap, arena, tk_slice_str(schedule_names[i]), &schedule, &err);
    if (!code) check_schedule(s, f, snap, arena, schedule, i);
    else if (code != TK_E_NOT_FOUND) fail(s, "schedule: %s", err.message);
  }
}

/* A task begins: nothing else of the same schedule that skips is open, unless a person opened it again. */
static void fold_scheduled(fold *f, int t) {
  sim *s = f->s;
  for (size_t i = 0; i < s->task_count; i++) {
    if ((int)i == t || f->tasks[i]->schedule != f->tasks[t]->schedule || f->task[i] == 0 || f->ended[i]) continue;
    if (f->schedule_skips && f->tasks[t]->schedule == f->schedule_skips && !f->reopened)
      fail(s, "tasks %zu and %d of schedule skip are open at once", i, t);
  }
}

#endif
