/* Snapshots: reading what is committed. */
#include "store/parts.h"

int tk_snap_open(tk_store *store, tk_snap **out, tk_err *err) {
  pthread_mutex_lock(&store->mutex);
  tk_snap *snap = store->free_snaps;
  if (snap) store->free_snaps = snap->next;
  pthread_mutex_unlock(&store->mutex);
  if (!snap) snap = tk_calloc(1, sizeof *snap);
  snap->store = store;
  int rc = tk_kv_begin(store->kv, false, &snap->txn, err);
  if (!rc) *out = snap;
  else tk_free(snap);
  return rc;
}

void tk_snap_close(tk_snap *snap) {
  tk_store *store = snap->store;
  tk_kv_abort(snap->txn);
  pthread_mutex_lock(&store->mutex);
  snap->next = store->free_snaps;
  store->free_snaps = snap;
  pthread_mutex_unlock(&store->mutex);
}

int tk_snap_meta(tk_snap *snap, tk_meta *out, tk_err *err) {
  tk_meta_record meta;
  int rc = tk_store_read_meta(snap->txn, &meta, err);
  if (rc) return rc;
  *out = (tk_meta){.generation = meta.generation, .last_seq = meta.next_seq - 1, .next_task = meta.next_task};
  memcpy(out->tasks_by_status, meta.tasks_by_status, sizeof out->tasks_by_status);
  memcpy(out->steps_by_status, meta.steps_by_status, sizeof out->steps_by_status);
  return 0;
}

/* ---- Tasks ---- */

uint64_t tk_snap_task_no(tk_snap *snap, const tk_id *id) {
  uint64_t number = 0;
  int rc = tk_store_get_number(snap->txn, TK_TABLE_IDS, tk_slice_of(id->bytes, sizeof id->bytes), &number, NULL);
  return rc ? 0 : number;
}

/* What the chunk loader of a snapshot's tasks needs; in the caller's arena. */
typedef struct snap_loader { tk_snap *snap; tk_arena *arena; } snap_loader;

static tk_chunk *load_chunk(void *context, tk_task *task, uint32_t index) {
  const snap_loader *loader = context;
  tk_chunk *chunk;
  return tk_store_read_chunk(loader->snap->txn, loader->arena, task, index, &chunk, NULL) ? NULL : chunk;
}

static int read_info(tk_snap *snap, tk_arena *arena, const tk_task *task, tk_task_info *info, tk_err *err) {
  tk_key key = tk_key_u64(task->no);
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_INFO, tk_key_slice(&key), &record, err);
  if (rc < 0) return rc;
  if (rc || !tk_read_info(tk_key_slice(&key), record, &task->id, arena, info))
    return tk_store_damaged(err, TK_TABLE_INFO, tk_key_slice(&key));
  return 0;
}

int tk_snap_task(tk_snap *snap, tk_arena *arena, uint64_t task_no, tk_graph_lookup lookup, void *lookup_context, tk_task **task,
                 tk_task_info *info, tk_err *err) {
  int rc = tk_store_read_task(snap->txn, arena, task_no, lookup, lookup_context, task, err);
  if (rc) return rc;
  snap_loader *loader = TK_ARENA_NEW(arena, snap_loader);
  *loader = (snap_loader){snap, arena};
  (*task)->load_chunk = load_chunk;
  (*task)->load_context = loader;
  return info ? read_info(snap, arena, *task, info, err) : 0;
}

int tk_snap_each_task(tk_snap *snap, uint64_t before, bool (*visit)(void *context, uint64_t task_no), void *context,
                      tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u64(before);
  tk_slice key = tk_key_slice(&from), record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_TASKS, &cursor, err);
  if (rc) return rc;
  rc = before ? tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err) : TK_KV_ABSENT;
  if (rc == TK_KV_ABSENT) rc = tk_kv_step(cursor, TK_KV_LAST, &key, &record, err);   /* may be below `before` itself */
  if (!rc && before && key.size == 8 && tk_get_u64be(key.data) >= before) rc = tk_kv_step(cursor, TK_KV_PREV, &key, &record, err);
  while (!rc) {
    if (key.size != 8) rc = tk_store_damaged(err, TK_TABLE_TASKS, key);
    else if (!visit(context, tk_get_u64be(key.data))) break;
    else rc = tk_kv_step(cursor, TK_KV_PREV, &key, &record, err);
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

int tk_snap_payload(tk_snap *snap, uint64_t payload, tk_slice *out, tk_err *err) {
  return tk_store_read_payload(snap->txn, payload, out, err);
}

int tk_snap_annotations(tk_snap *snap, tk_arena *arena, uint64_t task_no, tk_annotation **out, size_t *count, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u64(task_no);
  tk_slice key = tk_key_slice(&from), record;
  TK_LIST(tk_annotation) list = {0};
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_ANNOTATIONS, &cursor, err);
  if (rc) return rc;
  rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
  while (!rc && key.size >= 8 && tk_get_u64be(key.data) == task_no) {
    tk_annotation annotation;
    if (tk_read_annotation(key, record, &annotation)) tk_list_push(arena, &list, annotation);
    else rc = tk_store_damaged(err, TK_TABLE_ANNOTATIONS, key);
    if (!rc) rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err);
  }
  tk_kv_cursor_close(cursor);
  *out = list.items;
  *count = list.count;
  return rc < 0 ? rc : 0;
}

/* ---- Ids by their beginning or end ---- */

static int digit_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* Whether the `count` digits of hex are the id's digits from `first` on (32 in all). */
static bool digits_match(const uint8_t *id, size_t first, const char *hex, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint8_t byte = id[(first + i) / 2];
    if (((first + i) % 2 ? byte & 15 : byte >> 4) != digit_value(hex[i])) return false;
  }
  return true;
}

static void add_found(tk_id out[2], int *found, const uint8_t *id) {
  for (int i = 0; i < *found; i++)
    if (memcmp(out[i].bytes, id, sizeof out[i].bytes) == 0) return;
  if (*found < 2) memcpy(out[(*found)++].bytes, id, sizeof out[0].bytes);
}

static int find_beginning(tk_kv_cursor *cursor, const char *hex, size_t count, tk_id out[2], int *found, tk_err *err) {
  uint8_t from[16] = {0};
  tk_slice key = tk_slice_of(from, sizeof from), record;
  for (size_t i = 0; i < count; i++) from[i / 2] |= (uint8_t)(digit_value(hex[i]) << (i % 2 ? 0 : 4));
  int rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
  while (!rc && *found < 2 && key.size == 16 && digits_match((const uint8_t *)key.data, 0, hex, count)) {
    add_found(out, found, (const uint8_t *)key.data);
    rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err);
  }
  return rc;
}

static int find_end(tk_kv_cursor *cursor, const char *hex, size_t count, tk_id out[2], int *found, tk_err *err) {
  tk_slice key, record;
  int rc = tk_kv_step(cursor, TK_KV_LAST, &key, &record, err);
  while (!rc && *found < 2) {
    if (key.size == 16 && digits_match((const uint8_t *)key.data, 32 - count, hex, count))
      add_found(out, found, (const uint8_t *)key.data);
    rc = tk_kv_step(cursor, TK_KV_PREV, &key, &record, err);
  }
  return rc;
}

int tk_snap_find_id(tk_snap *snap, const char *hex, tk_id out[2], tk_err *err) {
  tk_kv_cursor *cursor;
  size_t count = strlen(hex);
  int found = 0;
  if (count > 32 || strspn(hex, "0123456789abcdef") != count) return 0;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_IDS, &cursor, err);
  if (rc) return rc;
  rc = find_beginning(cursor, hex, count, out, &found, err);
  if (rc >= 0 && found < 2) rc = find_end(cursor, hex, count, out, &found, err);
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : found;
}

/* ---- The log ---- */

/* Gives the record's events after `after`; *more false when visit has had enough. */
static int give_events(tk_slice key, tk_slice record, uint64_t after, bool (*visit)(void *context, const tk_log_event *event),
                       void *context, bool *more, tk_err *err) {
  tk_log_record log;
  tk_log_event event;
  if (!tk_read_log(key, record, &log)) return tk_store_damaged(err, TK_TABLE_LOG, key);
  for (uint32_t i = 0; *more && tk_read_log_entry(&log, i, &event); i++)
    if (event.seq > after) *more = visit(context, &event);
  return log.entries.bad ? tk_store_damaged(err, TK_TABLE_LOG, key) : 0;
}

/* The record that holds `after` begins at or before it. */
static int all_events(tk_snap *snap, uint64_t after, bool (*visit)(void *context, const tk_log_event *event), void *context,
                      tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u64(after);
  tk_slice key = tk_key_slice(&from), record;
  bool more = true;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_LOG, &cursor, err);
  if (rc) return rc;
  rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
  if (rc == TK_KV_ABSENT) rc = tk_kv_step(cursor, TK_KV_LAST, &key, &record, err);
  else if (!rc && after && key.size == 8 && tk_get_u64be(key.data) > after) {
    rc = tk_kv_step(cursor, TK_KV_PREV, &key, &record, err);
    if (rc == TK_KV_ABSENT) rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err);
  }
  while (!rc && more) {
    rc = give_events(key, record, after, visit, context, &more, err);
    if (!rc && more) rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err);
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

/* The keys of a task's records, newest first, down to the one that holds `after`. */
typedef struct key_list { uint64_t *items; size_t count, capacity; } key_list;

static int collect_records(tk_snap *snap, uint64_t after, uint64_t last, key_list *list, tk_err *err) {
  for (uint64_t at = last; at;) {
    tk_key key = tk_key_u64(at);
    tk_slice record;
    tk_log_record log;
    int rc = tk_kv_get(snap->txn, TK_TABLE_LOG, tk_key_slice(&key), &record, err);
    if (rc < 0) return rc;
    if (rc || !tk_read_log(tk_key_slice(&key), record, &log)) return tk_store_damaged(err, TK_TABLE_LOG, tk_key_slice(&key));
    if (at + log.count - 1 <= after) return 0;
    if (list->count == list->capacity) {
      list->capacity = list->capacity ? 2 * list->capacity : 64;
      list->items = tk_realloc(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->count++] = at;
    at = log.previous;
  }
  return 0;
}

static int last_log_of(tk_snap *snap, uint64_t task_no, uint64_t *last, tk_err *err) {
  tk_key key = tk_key_u64(task_no);
  tk_slice record;
  tk_task task = {0};
  int rc = tk_kv_get(snap->txn, TK_TABLE_TASKS, tk_key_slice(&key), &record, err);
  *last = 0;
  if (rc) return rc < 0 ? rc : 0;
  if (!tk_read_task(tk_key_slice(&key), record, &task, NULL, NULL, NULL))
    return tk_store_damaged(err, TK_TABLE_TASKS, tk_key_slice(&key));
  *last = task.last_log;
  return 0;
}

static int task_events(tk_snap *snap, uint64_t after, uint64_t task_no, bool (*visit)(void *context, const tk_log_event *event),
                       void *context, tk_err *err) {
  key_list list = {0};
  uint64_t last;
  bool more = true;
  int rc = last_log_of(snap, task_no, &last, err);
  if (!rc) rc = collect_records(snap, after, last, &list, err);
  while (!rc && more && list.count) {
    tk_key key = tk_key_u64(list.items[--list.count]);
    tk_slice record;
    rc = tk_kv_get(snap->txn, TK_TABLE_LOG, tk_key_slice(&key), &record, err);
    if (!rc) rc = give_events(tk_key_slice(&key), record, after, visit, context, &more, err);
  }
  tk_free(list.items);
  return rc < 0 ? rc : 0;
}

int tk_snap_each_event(tk_snap *snap, uint64_t after, uint64_t task_no, bool (*visit)(void *context, const tk_log_event *event),
                       void *context, tk_err *err) {
  return task_no ? task_events(snap, after, task_no, visit, context, err) : all_events(snap, after, visit, context, err);
}
