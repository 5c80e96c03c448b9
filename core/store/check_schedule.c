/* Schedules: each against its name, its timer and the log. */
#include "store/check.h"

#define NO(number) ((unsigned long long)(number))

bool tk_check_has_schedule(tk_check *c, uint64_t no) {
  tk_key key = tk_key_u64(no);
  tk_slice record;
  return tk_check_get(c, TK_TABLE_SCHEDULES, tk_key_slice(&key), &record);
}

static void check_named(tk_check *c, const tk_schedule *s) {
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME], record;
  uint64_t no = 0;
  if (!tk_check_get(c, TK_TABLE_SCHEDULE_NAMES, name, &record) || !tk_read_number(name, record, &no) || no != s->no)
    tk_check_say(c, "schedule number %llu (%.*s) is not found by its name", NO(s->no), (int)name.size, name.data);
}

static void check_timed(tk_check *c, const tk_schedule *s) {
  tk_timer timer = {s->due_us, s->no, TK_NO_STEP, 0};
  tk_key key = tk_key_timer(&timer);
  tk_slice record, name = s->spec.texts[TK_SCHEDULE_NAME];
  if (s->due_us && !tk_check_get(c, TK_TABLE_TIMERS, tk_key_slice(&key), &record))
    tk_check_say(c, "schedule %.*s: its timer is missing", (int)name.size, name.data);
  if (!s->due_us && s->next_us && !s->paused)
    tk_check_say(c, "schedule %.*s: it has a next occurrence, but no timer", (int)name.size, name.data);
}

static void check_open(tk_check *c, const tk_schedule *s) {
  tk_slice name = s->spec.texts[TK_SCHEDULE_NAME], record;
  if (s->open < s->open_tasks.count)
    tk_check_say(c, "schedule %.*s counts %llu open tasks and names %zu", (int)name.size, name.data, NO(s->open), s->open_tasks.count);
  for (size_t i = 0; i < s->open_tasks.count; i++) {
    tk_key key = tk_key_u64(s->open_tasks.items[i]);
    if (!tk_check_get(c, TK_TABLE_TASKS, tk_key_slice(&key), &record))
      tk_check_say(c, "schedule %.*s names an open task number %llu, which is not there", (int)name.size, name.data,
                   NO(s->open_tasks.items[i]));
  }
}

void tk_check_schedule(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_schedule s;
  if (!tk_read_schedule(key, record, &arena, &s)) {
    tk_check_say(c, "the record of schedule number %llu is damaged", key.size == 8 ? NO(tk_get_u64be(key.data)) : 0);
  } else if (s.no >= c->meta.next_task) {
    tk_check_say(c, "schedule number %llu is beyond the last number given", NO(s.no));
  } else {
    check_named(c, &s);
    check_timed(c, &s);
    check_open(c, &s);
    if (c->last_logs[s.no] != s.last_log)
      tk_check_say(c, "schedule number %llu says that its newest log record is %llu, and the log says %llu", NO(s.no), NO(s.last_log),
                   NO(c->last_logs[s.no]));
  }
  tk_arena_free(&arena);
}

void tk_check_schedule_name(tk_check *c, tk_slice key, tk_slice record) {
  uint64_t no = 0;
  if (!tk_read_number(key, record, &no)) tk_check_say(c, "the number of schedule %.*s is damaged", (int)key.size, key.data);
  else if (!tk_check_has_schedule(c, no))
    tk_check_say(c, "the name %.*s points to schedule number %llu, which is not there", (int)key.size, key.data, NO(no));
}

void tk_check_schedule_timer(tk_check *c, const tk_timer *timer) {
  tk_arena arena = {0};
  tk_key key = tk_key_u64(timer->task_no);
  tk_slice record;
  tk_schedule s;
  if (!tk_check_get(c, TK_TABLE_SCHEDULES, tk_key_slice(&key), &record))
    tk_check_say(c, "a timer points to schedule number %llu, which is not there", NO(timer->task_no));
  else if (tk_read_schedule(tk_key_slice(&key), record, &arena, &s) && s.due_us != timer->due_us)
    tk_check_say(c, "schedule number %llu does not know one of its timers", NO(timer->task_no));
  tk_arena_free(&arena);
}
