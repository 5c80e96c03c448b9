/* The reader of the log: one task that every turn wakes which writes to the log, in the same commit, so that what reads the log on
 * behalf of others needs no process of its own; and the definitions whose code every worker has. Both stand in meta. */
#include "store/parts.h"

static int write_reader(tk_store *store, void *context, tk_err *err) {
  const tk_log_reader *wanted = context;
  tk_key key = tk_key_u64(wanted->task_no);
  tk_slice record;
  int rc = wanted->task_no ? tk_kv_get(store->txn, TK_TABLE_TASKS, tk_key_slice(&key), &record, err) : 0;
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "the reader of the log must be a task");
  if (rc) return rc;
  store->meta.reader = *wanted;
  return tk_store_put_meta(store, err);
}

int tk_store_set_reader(tk_store *store, const tk_id *task, const uint32_t definitions[TK_BUILTIN_DEFINITIONS], tk_err *err) {
  tk_log_reader wanted = {0};
  tk_snap *snap;
  if (task) {
    int rc = tk_snap_open(store, &snap, err);
    if (rc) return rc;
    wanted.task_no = tk_snap_task_no(snap, task);
    tk_snap_close(snap);
    if (!wanted.task_no) return tk_err_set(err, TK_E_NOT_FOUND, "the reader of the log must be a task");
  }
  memcpy(wanted.definitions, definitions, sizeof wanted.definitions);
  return tk_store_commit_small(store, write_reader, &wanted, err);
}

const tk_log_reader *tk_store_reader(const tk_store *store) { return &store->meta.reader; }
