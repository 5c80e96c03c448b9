/* Opening and closing a store, and what turns, snapshots and administration have in common. */
#include <stdio.h>

#include "base/hash.h"
#include "store/parts.h"

const char *tk_table_name(tk_table table) {
  static const char *const names[TK_TABLE_COUNT] = {
      "meta", "ids", "tasks", "chunks", "info", "payloads", "log", "ready", "timers", "inbox", "notices", "identity",
      "annotations", "signals", "approvals", "compensations", "limits", "meters", "waiters", "permits", "names", "name_numbers",
      "definitions", "definition_hashes", "definition_current", "sources", "processes", "consumers", "schedules", "schedule_names",
      "secrets", "breakers", "holds"};
  return names[table];
}

int tk_store_damaged(tk_err *err, tk_table table, tk_slice key) {
  char hex[2 * TK_KEY_MAX + 1];
  tk_hex((const uint8_t *)key.data, key.size < TK_KEY_MAX ? key.size : TK_KEY_MAX, hex);
  return tk_err_set(err, TK_E_CORRUPT,
                    "the store is damaged: the record %s in table %s is not what was written; `check` lists all damage", hex,
                    tk_table_name(table));
}

int tk_store_read_meta(tk_kv_txn *txn, tk_meta_record *out, tk_err *err) {
  tk_key key = tk_key_meta();
  tk_slice record;
  int rc = tk_kv_get(txn, TK_TABLE_META, tk_key_slice(&key), &record, err);
  if (rc < 0) return rc;
  if (rc == TK_KV_ABSENT || !tk_read_meta(tk_key_slice(&key), record, out))
    return tk_store_damaged(err, TK_TABLE_META, tk_key_slice(&key));
  if (out->format > TK_STORE_FORMAT)
    return tk_err_set(err, TK_E_UNSUPPORTED,
                      "the store has format %u, and this program knows formats up to %d: use a newer version of tasker",
                      out->format, TK_STORE_FORMAT);
  if (out->protocol != TK_STORE_PROTOCOL)
    return tk_err_set(
        err, TK_E_UNSUPPORTED,
        "the store is used with protocol %u, and this program speaks %d: all processes of a store need the same version",
        out->protocol, TK_STORE_PROTOCOL);
  return 0;
}

int tk_store_get_number(tk_kv_txn *txn, tk_table table, tk_slice key, uint64_t *number, tk_err *err) {
  tk_slice record;
  *number = 0;
  int rc = tk_kv_get(txn, table, key, &record, err);
  if (rc) return rc;
  return tk_read_number(key, record, number) && *number ? 0 : tk_store_damaged(err, table, key);
}

int tk_store_put_number(tk_store *store, tk_table table, tk_slice key, uint64_t number, tk_err *err) {
  return tk_kv_put(store->txn, table, key, tk_write_number(&store->buf, key, number), 0, err);
}

int tk_store_put_meta(tk_store *store, tk_err *err) {
  tk_key key = tk_key_meta();
  return tk_kv_put(store->txn, TK_TABLE_META, tk_key_slice(&key), tk_write_meta(&store->buf, tk_key_slice(&key), &store->meta), 0,
                   err);
}

int tk_store_commit_small(tk_store *store, int (*write)(tk_store *store, void *context, tk_err *err), void *context,
                          tk_err *err) {
  int rc = tk_kv_begin(store->kv, true, &store->txn, err);
  if (rc) return rc;
  for (;;) {
    rc = tk_store_read_meta(store->txn, &store->meta, err);
    if (!rc) rc = write(store, context, err);
    if (!rc) {
      rc = tk_kv_commit(store->txn, err);
      if (rc != TK_KV_GROW) break;
    }
    if (rc != TK_KV_GROW) {
      tk_kv_abort(store->txn);
      break;
    }
    rc = tk_kv_grow(&store->txn, err);
    if (rc) break;
  }
  store->txn = NULL;
  return rc;
}

/* ---- Opening ---- */

/* The first process to come writes meta; a crash before that leaves empty tables. */
static int make_meta(tk_store *store, tk_err *err) {
  tk_key key = tk_key_meta();
  tk_slice record;
  uint64_t tasks = 0;
  int rc = tk_kv_begin(store->kv, true, &store->txn, err);
  if (rc) return rc;
  rc = tk_kv_get(store->txn, TK_TABLE_META, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) {
    rc = tk_kv_count(store->txn, TK_TABLE_TASKS, &tasks, err);
    if (!rc && tasks) rc = tk_store_damaged(err, TK_TABLE_META, tk_key_slice(&key));
    store->meta = (tk_meta_record){.format = TK_STORE_FORMAT,
                                   .protocol = TK_STORE_PROTOCOL,
                                   .next_task = 1,
                                   .next_payload = TK_PAYLOAD_NULL + 1,
                                   .next_seq = 1,
                                   .next_inbox = 1,
                                   .next_notice = 1,
                                   .generation = 1,
                                   .next_process = 1,
                                   .next_definition = 1,
                                   .next_name = 1};
    if (!rc) rc = tk_store_put_meta(store, err);
    if (!rc) rc = tk_kv_commit(store->txn, err);
    else tk_kv_abort(store->txn);
  } else {
    tk_kv_abort(store->txn);
  }
  store->txn = NULL;
  return rc;
}

static int check_meta(tk_store *store, tk_err *err) {
  tk_kv_txn *txn;
  tk_meta_record meta;
  tk_slice record;
  tk_key key = tk_key_meta();
  int rc = tk_kv_begin(store->kv, false, &txn, err);
  if (rc) return rc;
  rc = tk_kv_get(txn, TK_TABLE_META, tk_key_slice(&key), &record, err);
  if (rc != TK_KV_ABSENT || store->read_only) rc = tk_store_read_meta(txn, &meta, err);
  tk_kv_abort(txn);
  return rc == TK_KV_ABSENT ? make_meta(store, err) : rc;
}

/* "lmdb:PATH" or a path; a word and a colon that is nothing we know is a mistake, not a path ("./a:b" is one). */
static int open_kv(const char *url, const tk_store_options *options, tk_kv **out, tk_err *err) {
  size_t word = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+");
  if (strcmp(url, "memory:") == 0 && options->read_only)
    return tk_err_set(err, TK_E_NOT_FOUND, "a store in memory begins empty: there is nothing to read");
  if (strcmp(url, "memory:") == 0) return tk_kv_memory_open(out, err);
  if (word == 0 || url[word] != ':') return tk_kv_lmdb_open(url, options, out, err);
  if (word == 4 && memcmp(url, "lmdb", 4) == 0) return tk_kv_lmdb_open(url + 5, options, out, err);
  return tk_err_set(err, TK_E_UNSUPPORTED, "there is no kind of store '%.*s': use lmdb:PATH, a path, or memory:", (int)word, url);
}

int tk_store_open(const char *url, const tk_store_options *options, tk_store **out, tk_err *err) {
  tk_store *store = tk_calloc(1, sizeof *store);
  pthread_mutex_init(&store->mutex, NULL);
  store->read_only = options->read_only;
  int rc = open_kv(url, options, &store->kv, err);
  if (!rc) rc = check_meta(store, err);
  if (rc) tk_store_close(store);
  else *out = store;
  return rc;
}

void tk_store_close(tk_store *store) {
  TK_ASSERT(!store->txn);
  while (store->free_snaps) {
    tk_snap *snap = store->free_snaps;
    store->free_snaps = snap->next;
    tk_free(snap);
  }
  if (store->kv) tk_kv_close(store->kv);
  tk_store_free_names(store);
  tk_map_free(&store->tasks);
  tk_map_free(&store->schedules);
  tk_store_free_limits(store);
  tk_buf_free(&store->buf);
  pthread_mutex_destroy(&store->mutex);
  tk_free(store);
}

const char *tk_store_path(const tk_store *store) { return store->kv->ops->path(store->kv); }

int tk_store_housekeep(tk_store *store, tk_err *err) { return store->kv->ops->housekeep(store->kv, err); }

int tk_store_stats_of(tk_store *store, tk_store_stats *out, tk_err *err) { return store->kv->ops->stats(store->kv, out, err); }

/* ---- Reading a task, for turns and snapshots ---- */

static int not_found(tk_err *err, uint64_t task_no) {
  return tk_err_set(err, TK_E_NOT_FOUND, "there is no task number %llu", (unsigned long long)task_no);
}

int tk_store_read_task(tk_kv_txn *txn, tk_arena *arena, uint64_t task_no, tk_graph_lookup lookup, void *lookup_context,
                       tk_task **out, tk_err *err) {
  tk_key key = tk_key_u64(task_no);
  tk_slice record;
  int rc = tk_kv_get(txn, TK_TABLE_TASKS, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) return not_found(err, task_no);
  if (rc) return rc;
  tk_task *task = TK_ARENA_NEW(arena, tk_task);
  tk_chunk *first = tk_arena_alloc(arena, sizeof *first);
  uint32_t touched = 0;
  if (!tk_read_task(tk_key_slice(&key), record, task, first, &touched, arena))
    return tk_store_damaged(err, TK_TABLE_TASKS, tk_key_slice(&key));
  task->graph = lookup(lookup_context, task->definition);
  if (!task->graph)
    return tk_err_set(err, TK_E_CORRUPT, "the store is damaged: task number %llu has definition %u, which is not there",
                      (unsigned long long)task_no, task->definition);
  uint32_t steps = tk_task_count(task) < TK_CHUNK_STEPS ? tk_task_count(task) : TK_CHUNK_STEPS;
  if (touched < steps) memset(&first->steps[touched], 0, (steps - touched) * sizeof *first->steps);
  if (task->migrations.size) task->migrations = tk_arena_copy(arena, task->migrations);
  tk_task_prepare(task, arena);
  task->chunks[0] = first;
  *out = task;
  return 0;
}

int tk_store_read_payload(tk_kv_txn *txn, uint64_t number, tk_slice *out, tk_err *err) {
  tk_key key = tk_key_u64(number);
  tk_slice record;
  *out = tk_slice_str("null");
  if (number == TK_PAYLOAD_NULL) return 0;
  int rc = tk_kv_get(txn, TK_TABLE_PAYLOADS, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "there is no payload number %llu", (unsigned long long)number);
  if (rc) return rc;
  return tk_read_slice(tk_key_slice(&key), record, out) ? 0 : tk_store_damaged(err, TK_TABLE_PAYLOADS, tk_key_slice(&key));
}

int tk_store_read_chunk(tk_kv_txn *txn, tk_arena *arena, const tk_task *task, uint32_t index, tk_chunk **out, tk_err *err) {
  tk_key key = tk_key_u64_u32(task->no, index);
  tk_slice record;
  *out = TK_ARENA_NEW(arena, tk_chunk);
  int rc = tk_kv_get(txn, TK_TABLE_CHUNKS, tk_key_slice(&key), &record, err);
  (*out)->absent = rc == TK_KV_ABSENT;
  if (rc == TK_KV_ABSENT) return 0;
  if (rc) return rc;
  if (tk_read_chunk(tk_key_slice(&key), record, task->created_at_us, *out, arena)) return 0;
  return tk_store_damaged(err, TK_TABLE_CHUNKS, tk_key_slice(&key));
}
