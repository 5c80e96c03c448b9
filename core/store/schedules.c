/* Schedules in the store: loaded into a turn by number or name, written by its commit, read by snapshots. */
#include "store/parts.h"

/* ---- In a turn ---- */

static int read_schedule(tk_kv_txn *txn, tk_arena *arena, uint64_t no, tk_schedule **out, tk_err *err) {
  tk_key key = tk_key_u64(no);
  tk_slice record;
  *out = NULL;
  int rc = tk_kv_get(txn, TK_TABLE_SCHEDULES, tk_key_slice(&key), &record, err);
  if (rc) return rc < 0 ? rc : 0;
  tk_schedule *schedule = TK_ARENA_NEW(arena, tk_schedule);
  if (!tk_read_schedule(tk_key_slice(&key), record, arena, schedule))
    return tk_store_damaged(err, TK_TABLE_SCHEDULES, tk_key_slice(&key));
  *out = schedule;
  return 0;
}

int tk_store_schedule(tk_store *store, uint64_t no, tk_schedule **out, tk_err *err) {
  *out = tk_map_get(&store->schedules, no);
  if (*out) return 0;
  int rc = read_schedule(store->txn, store->arena, no, out, err);
  if (*out) tk_map_put(&store->schedules, no, *out);
  return rc;
}

/* What this turn made has no row yet, and what it deleted still has one. */
int tk_store_find_schedule(tk_store *store, tk_slice name, tk_schedule **out, tk_err *err) {
  size_t cursor = 0;
  void *value;
  uint64_t no = 0;
  *out = NULL;
  while (tk_map_next(&store->schedules, &cursor, NULL, &value)) {
    tk_schedule *schedule = value;
    if (!schedule->created || schedule->deleted || !tk_slice_eq(schedule->spec.texts[TK_SCHEDULE_NAME], name)) continue;
    *out = schedule;
    return 0;
  }
  int rc = tk_store_get_number(store->txn, TK_TABLE_SCHEDULE_NAMES, name, &no, err);
  if (rc) return rc < 0 ? rc : 0;
  rc = tk_store_schedule(store, no, out, err);
  if (*out && (*out)->deleted) *out = NULL;
  return rc;
}

void tk_store_adopt_schedule(tk_store *store, tk_schedule *schedule) { tk_map_put(&store->schedules, schedule->no, schedule); }

uint32_t tk_store_find_definition(tk_store *store, tk_slice ns, tk_slice name, tk_slice version) {
  tk_snap snap = {.store = store, .txn = store->txn};
  return tk_snap_find_definition(&snap, ns, name, version);
}

int tk_store_info(tk_store *store, const tk_task *task, tk_task_info *out, tk_err *err) {
  tk_key key = tk_key_u64(task->no);
  tk_slice record;
  int rc = tk_kv_get(store->txn, TK_TABLE_INFO, tk_key_slice(&key), &record, err);
  if (rc < 0) return rc;
  if (rc || !tk_read_info(tk_key_slice(&key), record, &task->id, store->arena, out))
    return tk_store_damaged(err, TK_TABLE_INFO, tk_key_slice(&key));
  out->schedule = tk_arena_copy(store->arena, out->schedule);
  return 0;
}

int tk_store_payload(tk_store *store, uint64_t payload, tk_slice *out, tk_err *err) {
  tk_snap snap = {.store = store, .txn = store->txn};
  int rc = tk_snap_payload(&snap, payload, out, err);
  if (!rc) *out = tk_arena_copy(store->arena, *out);
  return rc;
}

/* ---- The commit ---- */

static int put_row(tk_store *store, const tk_schedule *s, tk_slice name, uint64_t last_log, tk_err *err) {
  tk_key key = tk_key_u64(s->no);
  int rc = tk_kv_put(store->txn, TK_TABLE_SCHEDULES, tk_key_slice(&key),
                     tk_write_schedule(&store->buf, tk_key_slice(&key), s, last_log), 0, err);
  return rc || !s->created ? rc : tk_store_put_number(store, TK_TABLE_SCHEDULE_NAMES, name, s->no, err);
}

static int delete_row(tk_store *store, const tk_schedule *s, tk_slice name, tk_err *err) {
  tk_key key = tk_key_u64(s->no);
  int rc = tk_kv_del(store->txn, TK_TABLE_SCHEDULES, tk_key_slice(&key), err);
  if (!rc) rc = tk_kv_del(store->txn, TK_TABLE_SCHEDULE_NAMES, name, err);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

static int put_log(tk_store *store, const tk_schedule *s, uint64_t *last_log, tk_err *err) {
  *last_log = s->last_log;
  if (!s->log_head) return 0;
  uint64_t first = store->meta.next_seq;
  tk_key key = tk_key_u64(first);
  tk_task entries = {.no = s->no, .log_head = s->log_head, .log_count = s->log_count};
  store->meta.next_seq += s->log_count;
  *last_log = first;
  return tk_kv_put(store->txn, TK_TABLE_LOG, tk_key_slice(&key),
                   tk_write_log(&store->buf, tk_key_slice(&key), &entries, first, s->last_log, store->now_us), TK_KV_APPEND, err);
}

int tk_store_put_schedules(tk_store *store, const tk_changes *changes, tk_err *err) {
  int rc = 0;
  for (size_t i = 0; i < changes->schedules.count && !rc; i++) {
    const tk_schedule *s = changes->schedules.items[i];
    tk_slice name = s->spec.texts[TK_SCHEDULE_NAME];
    uint64_t last_log;
    rc = put_log(store, s, &last_log, err);
    if (!rc) rc = s->deleted ? delete_row(store, s, name, err) : put_row(store, s, name, last_log, err);
  }
  return rc;
}

/* ---- Snapshots ---- */

int tk_snap_schedule(tk_snap *snap, tk_arena *arena, tk_slice name, tk_schedule **out, tk_err *err) {
  uint64_t no = 0;
  int rc = tk_store_get_number(snap->txn, TK_TABLE_SCHEDULE_NAMES, name, &no, err);
  if (rc < 0) return rc;
  if (!rc) rc = read_schedule(snap->txn, arena, no, out, err);
  if (rc < 0) return rc;
  return rc || !*out ? tk_err_set(err, TK_E_NOT_FOUND, "there is no schedule '%.*s'", (int)(name.size < 200 ? name.size : 200), name.data)
                     : 0;
}

int tk_snap_each_schedule(tk_snap *snap, tk_slice after, bool (*visit)(void *context, uint64_t no, tk_slice name), void *context,
                          tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key = after, record;
  uint64_t no;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_SCHEDULE_NAMES, &cursor, err);
  if (rc) return rc;
  rc = tk_kv_step(cursor, after.size ? TK_KV_AT_LEAST : TK_KV_FIRST, &key, &record, err);
  for (; !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    if (after.size && tk_slice_eq(key, after)) continue;
    if (!tk_read_number(key, record, &no)) rc = tk_store_damaged(err, TK_TABLE_SCHEDULE_NAMES, key);
    if (rc || !visit(context, no, key)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

int tk_snap_schedule_no(tk_snap *snap, tk_arena *arena, uint64_t no, tk_schedule **out, tk_err *err) {
  int rc = read_schedule(snap->txn, arena, no, out, err);
  if (rc || *out) return rc;
  return tk_err_set(err, TK_E_CORRUPT, "the store is damaged: schedule number %llu is not there", (unsigned long long)no);
}
