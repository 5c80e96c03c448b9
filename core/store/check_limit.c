/* Limits against the steps that use them or wait for them. */
#include "store/check.h"

#define NO(number) ((unsigned long long)(number))

/* What the steps say of one key; owned by the check's arena. */
typedef struct seen_meter {
  struct seen_meter *next;
  tk_meter meter;                 /* its record, when it was read */
  tk_limit limit;
  uint64_t holders, waiting, costs;
} seen_meter;

static seen_meter *seen(tk_check *c, uint32_t limit, const uint8_t hash[16]) {
  uint64_t slot = 0;
  memcpy(&slot, hash, sizeof slot);
  slot ^= (uint64_t)limit << 32;
  for (seen_meter *m = tk_map_get(&c->meters, slot); m; m = m->next)
    if (m->limit.no == limit && memcmp(m->meter.hash, hash, 16) == 0) return m;
  seen_meter *m = TK_ARENA_NEW(&c->arena, seen_meter);
  m->next = tk_map_get(&c->meters, slot);
  m->limit.no = limit;
  memcpy(m->meter.hash, hash, 16);
  tk_map_put(&c->meters, slot, m);
  return m;
}

void tk_check_limit(tk_check *c, tk_slice key, tk_slice record) {
  tk_limit limit;
  if (!tk_read_limit(key, record, &limit)) tk_check_say(c, "the record of a limit is damaged");
  else if (!tk_snap_name(c->snap, limit.no).size) tk_check_say(c, "limit %u has no name", limit.no);
}

void tk_check_meter(tk_check *c, tk_slice key, tk_slice record) {
  tk_meter meter;
  if (!tk_read_meter(key, record, &meter)) {
    tk_check_say(c, "the record of what is used of a limit is damaged");
    return;
  }
  seen(c, tk_get_u32be(key.data), meter.hash)->meter = meter;
}

/* A step's permit; false: there is none, or it is damaged. */
static bool read_permit(tk_check *c, uint64_t task_no, uint32_t step, uint32_t limits, tk_arena *arena, tk_permit *out) {
  tk_key key = tk_key_u64_u32(task_no, step);
  tk_slice record;
  return tk_check_get(c, TK_TABLE_PERMITS, tk_key_slice(&key), &record) && tk_read_permit(tk_key_slice(&key), record, arena, out) &&
         out->count == limits;
}

/* What runs, by the keys of `owner`: its own or, of an element, its map's. */
static void count_running(tk_check *c, const tk_task *task, uint32_t owner, const tk_graph_step *g, bool has_keys) {
  tk_arena arena = {0};
  tk_permit permit = {0};
  if (has_keys) read_permit(c, task->no, owner, g->limit_count, &arena, &permit);
  for (uint32_t i = 0; i < g->limit_count; i++) {
    uint8_t hash[16];
    tk_limit_hash(permit.entries ? permit.entries[i].key : tk_slice_of(NULL, 0), hash);
    seen(c, g->limits[i].no, hash)->holders++;
  }
  tk_arena_free(&arena);
}

void tk_check_limited_step(tk_check *c, const tk_task *task, uint32_t index, const tk_step *step) {
  tk_arena arena = {0};
  tk_permit permit = {0};
  uint32_t owner = step->role == TK_ROLE_ELEMENT ? step->template_ : index;
  const tk_graph_step *g = &task->graph->steps[owner];
  bool keeps = step->flags & TK_STEP_F_PERMIT;
  bool waits = (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_RATE_LIMIT) || step->flags & TK_STEP_F_LIMITED;
  if (keeps && !read_permit(c, task->no, index, g->limit_count, &arena, &permit))
    tk_check_say(c, "task number %llu: the keys of the limits of its step %u are missing or damaged", NO(task->no), index + 1);
  else if (waits != (permit.since_us != 0))
    tk_check_say(c, "task number %llu: its step %u and its place in the queue of a limit do not agree", NO(task->no), index + 1);
  tk_arena_free(&arena);
  if (step->status == TK_STEP_IN_PROGRESS && !tk_task_is_map(task, index))
    count_running(c, task, owner, g, tk_task_step((tk_task *)task, owner)->flags & TK_STEP_F_PERMIT);
}

void tk_check_waiter(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_waiter waiter;
  tk_slice found;
  if (!tk_read_waiter(key, record, &waiter)) {
    tk_check_say(c, "a place in the queue of a limit is damaged");
    return;
  }
  seen_meter *m = seen(c, tk_get_u32be(key.data), (const uint8_t *)key.data + 4);
  m->waiting++;
  m->costs += waiter.cost;
  tk_key own = tk_key_u64_u32(waiter.task_no, waiter.step);
  tk_permit permit = {0};
  bool known = false;
  if (tk_check_get(c, TK_TABLE_PERMITS, tk_key_slice(&own), &found) && tk_read_permit(tk_key_slice(&own), found, &arena, &permit))
    for (uint32_t i = 0; i < permit.count; i++) {
      uint8_t hash[16];
      tk_limit_hash(permit.entries[i].key, hash);
      known = known || (permit.entries[i].waits && memcmp(hash, key.data + 4, 16) == 0);
    }
  if (!known || permit.since_us != waiter.since_us)
    tk_check_say(c, "the queue of a limit has step %u of task number %llu, which does not wait there", waiter.step + 1,
                 NO(waiter.task_no));
  tk_arena_free(&arena);
}

void tk_check_breaker(tk_check *c, tk_slice key, tk_slice record) {
  tk_breaker breaker;
  if (!tk_read_breaker(key, record, &breaker)) tk_check_say(c, "the record of a breaker is damaged");
  else if (!tk_snap_name(c->snap, breaker.no).size) tk_check_say(c, "breaker %u has no name", breaker.no);
}

void tk_check_hold(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_hold hold;
  tk_slice found;
  if (!tk_read_hold(key, record, &arena, &hold)) {
    tk_check_say(c, "the record of what a request holds is damaged");
    tk_arena_free(&arena);
    return;
  }
  for (uint32_t i = 0; i < hold.count; i++) {
    uint8_t hash[16];
    tk_limit_hash(hold.entries[i].key, hash);
    seen(c, hold.entries[i].limit, hash)->holders++;
  }
  tk_key process = tk_key_u32(hold.process), breaker = tk_key_u32(hold.breaker);
  if (!tk_check_get(c, TK_TABLE_PROCESSES, tk_key_slice(&process), &found))
    tk_check_say(c, "a request of process %u holds something, and there is no such process", hold.process);
  if (hold.breaker && !tk_check_get(c, TK_TABLE_BREAKERS, tk_key_slice(&breaker), &found))
    tk_check_say(c, "a request of process %u holds breaker %u, which is not there", hold.process, hold.breaker);
  tk_arena_free(&arena);
}

static void compare(tk_check *c, const seen_meter *m) {
  tk_slice name = tk_snap_name(c->snap, m->limit.no), record;
  tk_key key = tk_key_u32(m->limit.no);
  if (!tk_check_get(c, TK_TABLE_LIMITS, tk_key_slice(&key), &record))
    tk_check_say(c, "limit '%.*s' is used, and there is no record of it", (int)name.size, name.data);
  if (m->meter.holders != m->holders)
    tk_check_say(c, "limit '%.*s' counts %u running steps and requests of one of its keys, and there are %llu", (int)name.size, name.data,
                 m->meter.holders, NO(m->holders));
  if (m->meter.waiting != m->waiting || (m->waiting && m->meter.queued < m->meter.done + m->costs))
    tk_check_say(c, "limit '%.*s' counts %u waiting steps of one of its keys, and there are %llu", (int)name.size, name.data,
                 m->meter.waiting, NO(m->waiting));
}

void tk_check_meters(tk_check *c) {
  size_t cursor = 0;
  void *value;
  while (tk_map_next(&c->meters, &cursor, NULL, &value))
    for (const seen_meter *m = value; m; m = m->next) compare(c, m);
}
