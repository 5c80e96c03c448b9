/* The first half of a turn: begin, and load what the plan names. */
#include <stdlib.h>

#include "store/parts.h"

#define NOTICES_MAX 1024          /* taken in one turn */
#define INBOX_BYTES (16 * 1024 * 1024)   /* read for the events of the inbox in one turn: children may have large results */
#define MAP_KEPT 4096             /* slots of the map of tasks that a turn finds there; more were one large turn's */

int tk_store_begin(tk_store *store, tk_err *err) {
  TK_ASSERT(!store->txn);
  int rc = tk_kv_begin(store->kv, true, &store->txn, err);
  if (rc) return rc;
  rc = tk_store_read_meta(store->txn, &store->meta, err);
  if (!rc) rc = tk_store_renew_names(store, err);
  if (rc) {
    tk_kv_abort(store->txn);
    store->txn = NULL;
    return rc;
  }
  if (store->tasks.capacity > MAP_KEPT) tk_map_free(&store->tasks);
  else tk_map_clear(&store->tasks);
  tk_map_clear(&store->schedules);
  tk_store_clear_limits(store);
  store->taken = NULL;
  store->arena = NULL;
  store->fault.code = 0;
  return 0;
}

/* Before apply nothing was written: what an aborted turn leaves is the names it gave. */
void tk_store_abort(tk_store *store) {
  if (!store->txn) return;
  bool names = store->fresh_names && !tk_store_put_names(store, NULL) && !tk_store_put_meta(store, NULL);
  if (!names) tk_kv_abort(store->txn);
  else if (!tk_kv_commit(store->txn, NULL)) tk_store_settle_names(store);
  store->txn = NULL;
}

/* ---- Tasks ---- */

/* decide cannot go on without the chunk: it gets zeroes, and apply refuses to write. */
static tk_chunk *load_chunk(void *context, tk_task *task, uint32_t index) {
  tk_store *store = context;
  tk_chunk *chunk;
  tk_err err;
  int rc = tk_store_read_chunk(store->txn, store->arena, task, index, &chunk, &err);
  if (rc && !store->fault.code) store->fault = err;
  if (rc) memset(chunk, 0, sizeof *chunk);
  return chunk;
}

/* As many as the header says: the store's own check finds it when they are not there, and apply refuses to write. */
static tk_signal *load_signals(void *context, tk_task *task) {
  tk_store *store = context;
  tk_signal *list = TK_ARENA_ARRAY(store->arena, tk_signal, task->signals + 1);
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u64(task->no);
  tk_slice key = tk_key_slice(&from), record;
  tk_err err;
  uint32_t count = 0;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_SIGNALS, &cursor, &err);
  if (rc == 0) {
    rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, &err);
    for (; !rc && count < task->signals && key.size == 16 && tk_get_u64be(key.data) == task->no;
         rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, &err)) {
      tk_slice name;
      if (!tk_read_slice(key, record, &name)) break;
      list[count++] = (tk_signal){tk_get_u64be(key.data + 8), tk_arena_copy(store->arena, name)};
    }
    tk_kv_cursor_close(cursor);
  }
  if (count < task->signals && !store->fault.code)
    tk_err_set(&store->fault, TK_E_CORRUPT, "the kept signals of task number %llu are not all there",
               (unsigned long long)task->no);
  return list;
}

/* As load_signals: what is not there is an empty one that nobody may vote on, and apply refuses to write. */
static tk_approval *load_approval(void *context, tk_task *task, uint32_t step) {
  tk_store *store = context;
  tk_approval *approval = TK_ARENA_NEW(store->arena, tk_approval);
  tk_key key = tk_key_u64_u32(task->no, step);
  tk_slice record;
  tk_err err;
  int rc = tk_kv_get(store->txn, TK_TABLE_APPROVALS, tk_key_slice(&key), &record, &err);
  if (!rc && !tk_read_approval(tk_key_slice(&key), tk_arena_copy(store->arena, record), store->arena, approval)) rc = TK_KV_ABSENT;
  if (rc && !store->fault.code)
    tk_err_set(&store->fault, TK_E_CORRUPT, "the approval of step %u of task number %llu is not there or damaged", step + 1,
               (unsigned long long)task->no);
  return approval;
}

/* The same of a page of what is to be undone. */
static tk_compensation *load_compensation(void *context, tk_task *task, uint32_t page) {
  tk_store *store = context;
  tk_compensation *row = TK_ARENA_NEW(store->arena, tk_compensation);
  tk_key key = tk_key_u64_u32(task->no, page);
  tk_slice record;
  tk_err err;
  int rc = tk_kv_get(store->txn, TK_TABLE_COMPENSATIONS, tk_key_slice(&key), &record, &err);
  if (!rc && !tk_read_compensation(tk_key_slice(&key), tk_arena_copy(store->arena, record), store->arena, row)) rc = TK_KV_ABSENT;
  if (!rc) return row;
  if (!store->fault.code)
    tk_err_set(&store->fault, TK_E_CORRUPT, "what is to be undone of task number %llu is not there or damaged",
               (unsigned long long)task->no);
  row->steps = TK_ARENA_ARRAY(store->arena, uint32_t, TK_COMPENSATION_PAGE);
  return row;
}

tk_task *tk_store_task(tk_store *store, uint64_t task_no, tk_err *err) {
  tk_task *task = tk_map_get(&store->tasks, task_no);
  if (task) return task;
  if (tk_store_read_task(store->txn, store->arena, task_no, store->lookup, store->lookup_context, &task, err)) return NULL;
  task->load_chunk = load_chunk;
  task->load_signals = load_signals;
  task->load_approval = load_approval;
  task->load_compensation = load_compensation;
  task->load_context = store;
  tk_map_put(&store->tasks, task_no, task);
  return task;
}

void tk_store_adopt(tk_store *store, tk_task *task) { tk_map_put(&store->tasks, task->no, task); }

/* A task that may be missing: *out NULL then. */
static int find_task(tk_store *store, uint64_t task_no, tk_task **out, tk_err *err) {
  tk_err own;
  *out = tk_store_task(store, task_no, &own);
  if (*out || own.code == TK_E_NOT_FOUND) return 0;
  if (err) *err = own;
  return own.code;
}

static int compare_numbers(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* The number of an event's task; 0: no such task, or a submission. */
static int event_task_no(tk_store *store, const tk_event *event, uint64_t *task_no, tk_err *err) {
  *task_no = 0;
  if (event->type == TK_EV_SUBMIT || event->type == TK_EV_LIMIT) return 0;
  *task_no = event->task_no;
  if (*task_no) return 0;
  int rc = tk_store_get_number(store->txn, TK_TABLE_IDS, tk_slice_of(event->task_id.bytes, 16), task_no, err);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* Reads the tasks in ascending order (neighbours share pages), then deals them out by event. */
static int load_tasks(tk_store *store, const tk_plan *plan, tk_load *out, tk_err *err) {
  tk_arena *arena = store->arena;
  size_t count = plan->event_count;
  uint64_t *numbers = TK_ARENA_ARRAY(arena, uint64_t, count + 1), *sorted = TK_ARENA_ARRAY(arena, uint64_t, count + 1);
  out->tasks = TK_ARENA_ARRAY(arena, tk_task *, count + 1);
  for (size_t i = 0; i < count; i++) {
    int rc = event_task_no(store, &plan->events[i], &numbers[i], err);
    if (rc) return rc;
    sorted[i] = numbers[i];
  }
  qsort(sorted, count, sizeof *sorted, compare_numbers);
  for (size_t i = 0; i < count; i++) {
    tk_task *task;
    if (!sorted[i] || (i && sorted[i] == sorted[i - 1])) continue;
    int rc = find_task(store, sorted[i], &task, err);
    if (rc) return rc;
  }
  for (size_t i = 0; i < count; i++)
    if (numbers[i]) out->tasks[i] = tk_map_get(&store->tasks, numbers[i]);
  return 0;
}

/* ---- Identities ---- */

typedef struct identity_node { struct identity_node *next; tk_identity_row row; } identity_node;

static int read_identity(tk_store *store, const uint8_t hash[32], tk_identity_row *row, tk_err *err) {
  tk_slice key = tk_slice_of(hash, 32), record;
  int rc = tk_kv_get(store->txn, TK_TABLE_IDENTITY, key, &record, err);
  if (rc == 0 && !tk_read_identity(key, record, row)) return tk_store_damaged(err, TK_TABLE_IDENTITY, key);
  memcpy(row->hash, hash, 32);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* One row for each hash, found again by its first bytes. */
static int load_identity(tk_store *store, tk_map *rows, const uint8_t hash[32], tk_identity_row **out, tk_err *err) {
  uint64_t prefix;
  memcpy(&prefix, hash, sizeof prefix);
  identity_node *first = tk_map_get(rows, prefix);
  for (identity_node *node = first; node; node = node->next)
    if (memcmp(node->row.hash, hash, 32) == 0) {
      *out = &node->row;
      return 0;
    }
  identity_node *node = TK_ARENA_NEW(store->arena, identity_node);
  node->next = first;
  tk_map_put(rows, prefix, node);
  *out = &node->row;
  return read_identity(store, hash, &node->row, err);
}

static int load_identities(tk_store *store, const tk_plan *plan, tk_load *out, tk_err *err) {
  tk_map rows = {0};
  int rc = 0;
  out->identities = TK_ARENA_ARRAY(store->arena, tk_identity_row *, plan->event_count + 1);
  for (size_t i = 0; i < plan->event_count && !rc; i++) {
    const tk_event *event = &plan->events[i];
    if (event->type != TK_EV_SUBMIT || !event->submission->has_identity) continue;
    rc = load_identity(store, &rows, event->submission->identity, &out->identities[i], err);
  }
  tk_map_free(&rows);
  return rc;
}

/* ---- Due timers, inbox, notices ---- */

static void take(tk_store *store, tk_table table, tk_slice key) {
  tk_taken *taken = TK_ARENA_NEW(store->arena, tk_taken);
  TK_ASSERT(key.size <= TK_KEY_MAX);
  taken->table = table;
  memcpy(taken->key.bytes, key.data, key.size);
  taken->key.size = key.size;
  taken->next = store->taken;
  store->taken = taken;
}

static int add_schedule_event(tk_store *store, tk_load *out, const tk_event *event, tk_err *err) {
  tk_schedule *schedule;
  int rc = tk_store_schedule(store, event->task_no, &schedule, err);
  if (rc || !schedule) return rc;
  if (out->schedule_event_count == out->schedule_event_capacity) {
    size_t capacity = out->schedule_event_capacity;
    out->schedule_events = tk_list_grow(store->arena, out->schedule_events, sizeof *out->schedule_events, &capacity);
    out->event_schedules =
        tk_list_grow(store->arena, out->event_schedules, sizeof *out->event_schedules, &out->schedule_event_capacity);
  }
  out->event_schedules[out->schedule_event_count] = schedule;
  out->schedule_events[out->schedule_event_count++] = *event;
  return 0;
}

static int add_event(tk_store *store, tk_load *out, const tk_event *event, tk_err *err) {
  tk_task *task;
  if (tk_event_of_schedule(event)) return add_schedule_event(store, out, event, err);
  int rc = find_task(store, event->task_no, &task, err);
  if (rc || !task) return rc;
  if (out->event_count == out->event_capacity) {
    size_t capacity = out->event_capacity;
    out->events = tk_list_grow(store->arena, out->events, sizeof *out->events, &capacity);
    out->event_tasks = tk_list_grow(store->arena, out->event_tasks, sizeof *out->event_tasks, &out->event_capacity);
  }
  out->event_tasks[out->event_count] = task;
  out->events[out->event_count++] = *event;
  return 0;
}

static int load_timers(tk_store *store, const tk_plan *plan, size_t limit, tk_load *out, size_t *taken, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_TIMERS, &cursor, err);
  if (rc) return rc;
  out->next_timer_us = INT64_MAX;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_timer timer;
    if (!tk_read_timer(key, record, &timer)) {
      rc = tk_store_damaged(err, TK_TABLE_TIMERS, key);
      break;
    }
    if (timer.due_us > plan->now_us || *taken == limit) {
      out->next_timer_us = timer.due_us;
      out->more |= timer.due_us <= plan->now_us && limit;
      break;
    }
    (*taken)++;
    take(store, TK_TABLE_TIMERS, key);
    tk_event event = {
        .type = TK_EV_TIMER, .timer_kind = timer.kind, .task_no = timer.task_no, .step = timer.step, .due_us = timer.due_us};
    rc = add_event(store, out, &event, err);
    if (rc) break;
  }
  tk_kv_cursor_close(cursor);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* The event just added gets what it needs of other records; one that nobody waits for any more is not added. */
static int complete_event(tk_store *store, tk_load *out, const tk_event *event, size_t *bytes, tk_err *err) {
  size_t last = out->event_count - 1;
  bool wanted = true;
  if (!out->event_count || out->events[last].type != event->type || out->events[last].task_no != event->task_no) return 0;
  int rc = event->type == TK_EV_SPAWN ? tk_store_load_spawn(store, out->event_tasks[last], &out->events[last], bytes, err)
                                      : tk_store_load_child(store, &out->events[last], &wanted, bytes, err);
  if (!wanted) out->event_count--;
  return rc;
}

static int load_inbox(tk_store *store, size_t limit, tk_load *out, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  size_t taken = 0, bytes = 0;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_INBOX, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_event event;
    if (taken++ == limit || bytes > INBOX_BYTES) {
      out->more = true;
      break;
    }
    if (!tk_read_inbox(key, record, &event)) {
      rc = tk_store_damaged(err, TK_TABLE_INBOX, key);
      break;
    }
    take(store, TK_TABLE_INBOX, key);
    event.step_name = tk_arena_copy(store->arena, event.step_name);
    event.name = tk_arena_copy(store->arena, event.name);
    event.data = tk_arena_copy(store->arena, event.data);
    event.audit = tk_arena_copy(store->arena, event.audit);
    rc = add_event(store, out, &event, err);
    if (!rc && (event.type == TK_EV_SPAWN || event.type == TK_EV_CHILD_ENDED)) rc = complete_event(store, out, &event, &bytes, err);
    if (rc) break;
  }
  tk_kv_cursor_close(cursor);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* Timers may use half of the room and what the inbox leaves; so neither starves the other. */
static int load_events(tk_store *store, const tk_plan *plan, tk_load *out, tk_err *err) {
  size_t timers = 0, half = (plan->timers + 1) / 2;
  int rc = plan->due ? load_timers(store, plan, half, out, &timers, err) : 0;
  return rc || !plan->timers ? rc : load_inbox(store, plan->timers - timers, out, err);
}

static int load_notices(tk_store *store, const tk_plan *plan, tk_load *out, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u32_u64(plan->process, 0);
  tk_slice key = tk_key_slice(&from), record;
  TK_LIST(tk_notice) list = {0};
  if (!plan->process) return 0;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_NOTICES, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err); !rc;
       rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_notice notice;
    if (!tk_read_notice(key, record, &notice)) {
      rc = tk_store_damaged(err, TK_TABLE_NOTICES, key);
      break;
    }
    if (notice.process != plan->process || list.count == NOTICES_MAX) break;
    take(store, TK_TABLE_NOTICES, key);
    tk_list_push(store->arena, &list, notice);
  }
  tk_kv_cursor_close(cursor);
  out->notices = list.items;
  out->notice_count = list.count;
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* ---- Ready work ---- */

static bool before(const tk_ready *a, const tk_ready *b) {
  if (a->priority != b->priority) return a->priority > b->priority;
  if (a->task_no != b->task_no) return a->task_no < b->task_no;
  return a->step < b->step;
}

/* The heads of the lanes (queue, definition), the first to start on top. */
typedef struct lane_heap { tk_ready *items; size_t count; } lane_heap;

static void heap_down(lane_heap *heap, size_t at) {
  for (;;) {
    size_t least = at, left = 2 * at + 1;
    for (size_t child = left; child < heap->count && child <= left + 1; child++)
      if (before(&heap->items[child], &heap->items[least])) least = child;
    if (least == at) return;
    tk_ready moved = heap->items[at];
    heap->items[at] = heap->items[least];
    heap->items[least] = moved;
    at = least;
  }
}

static int damaged_ready(tk_err *err, tk_slice key) { return tk_store_damaged(err, TK_TABLE_READY, key); }

/* Finds the head of each lane of a queue that has work and code: one seek for each such lane, and one for each gap. */
static int find_lanes(tk_kv_cursor *cursor, const tk_plan *plan, uint32_t queue, lane_heap *heap, tk_err *err) {
  size_t at = 0;
  while (at < plan->definition_count) {
    tk_ready from = {.queue = queue, .definition = plan->definitions[at], .priority = INT32_MAX};
    tk_key from_key = tk_key_ready(&from);
    tk_slice key = tk_key_slice(&from_key), record;
    int rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
    if (rc) return rc == TK_KV_ABSENT ? 0 : rc;
    tk_ready head;
    if (!tk_read_ready_key(key, &head)) return damaged_ready(err, key);
    if (head.queue != queue) return 0;
    while (at < plan->definition_count && plan->definitions[at] < head.definition) at++;
    if (at == plan->definition_count || plan->definitions[at] != head.definition) continue;
    if (!tk_read_ready(key, record, &head)) return damaged_ready(err, key);
    heap->items[heap->count++] = head;
    at++;
  }
  return 0;
}

static bool same_entry(const tk_ready *a, const tk_ready *b) {
  return a->task_no == b->task_no && a->step == b->step && a->queue == b->queue && a->definition == b->definition;
}

/* Moves the cursor to the entry after the lane's head; false when the lane has no more. `at` is where the cursor stands. */
static int next_in_lane(tk_kv_cursor *cursor, tk_ready *head, tk_ready *at, bool *more, tk_err *err) {
  tk_slice key, record;
  tk_ready next;
  int rc = 0;
  if (!same_entry(at, head)) {
    tk_key head_key = tk_key_ready(head);
    key = tk_key_slice(&head_key);
    rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
  }
  if (!rc) rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err);
  *more = false;
  memset(at, 0, sizeof *at);
  if (rc) return rc == TK_KV_ABSENT ? 0 : rc;
  if (!tk_read_ready_key(key, &next)) return damaged_ready(err, key);
  if (next.queue != head->queue || next.definition != head->definition) return 0;
  if (!tk_read_ready(key, record, &next)) return damaged_ready(err, key);
  *head = *at = next;
  *more = true;
  return 0;
}

static int load_candidates(tk_store *store, const tk_plan *plan, tk_load *out, tk_err *err) {
  if (!plan->candidates || !plan->queue_count || !plan->definition_count) return 0;
  tk_kv_cursor *cursor;
  lane_heap heap = {TK_ARENA_ARRAY(store->arena, tk_ready, plan->queue_count * plan->definition_count), 0};
  tk_ready at = {0};
  TK_LIST(tk_ready) list = {0};
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_READY, &cursor, err);
  if (rc) return rc;
  for (size_t i = 0; i < plan->queue_count && !rc; i++) rc = find_lanes(cursor, plan, plan->queues[i], &heap, err);
  for (size_t i = heap.count / 2 + 1; i-- > 0;) heap_down(&heap, i);
  while (!rc && heap.count && list.count < plan->candidates) {
    bool more;
    tk_list_push(store->arena, &list, heap.items[0]);
    if (list.count == plan->candidates) break;
    rc = next_in_lane(cursor, &heap.items[0], &at, &more, err);
    if (!more) heap.items[0] = heap.items[--heap.count];
    heap_down(&heap, 0);
  }
  tk_kv_cursor_close(cursor);
  out->candidates = list.items;
  out->candidate_count = list.count;
  return rc;
}

int tk_store_load(tk_store *store, tk_arena *arena, const tk_plan *plan, tk_graph_lookup lookup, void *lookup_context,
                  tk_load *out, tk_err *err) {
  TK_ASSERT(store->txn);
  store->arena = arena;
  store->lookup = lookup;
  store->lookup_context = lookup_context;
  store->now_us = plan->now_us;
  *out = (tk_load){.next_timer_us = INT64_MAX, .next_task = store->meta.next_task, .next_payload = store->meta.next_payload,
                   .next_seq = store->meta.next_seq, .generation = store->meta.generation};
  memcpy(out->tasks_by_status, store->meta.tasks_by_status, sizeof out->tasks_by_status);
  memcpy(out->steps_by_status, store->meta.steps_by_status, sizeof out->steps_by_status);
  int rc = load_tasks(store, plan, out, err);
  if (!rc) rc = load_identities(store, plan, out, err);
  if (!rc) rc = load_events(store, plan, out, err);
  if (!rc) rc = load_notices(store, plan, out, err);
  if (!rc) rc = load_candidates(store, plan, out, err);
  return rc;
}
