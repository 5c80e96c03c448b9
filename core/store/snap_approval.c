/* Snapshots: what waits for people. */
#include "store/parts.h"

int tk_snap_approval(tk_snap *snap, tk_arena *arena, uint64_t task_no, uint32_t step, tk_approval *out, tk_err *err) {
  tk_key key = tk_key_u64_u32(task_no, step);
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_APPROVALS, tk_key_slice(&key), &record, err);
  if (rc < 0) return rc;
  if (rc || !tk_read_approval(tk_key_slice(&key), record, arena, out))
    return tk_store_damaged(err, TK_TABLE_APPROVALS, tk_key_slice(&key));
  return 0;
}

int tk_snap_each_approval(tk_snap *snap, tk_arena *arena, bool (*visit)(void *context, const tk_approval *approval), void *context,
                          tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_APPROVALS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_approval approval;
    tk_arena_reset(arena);
    if (!tk_read_approval(key, record, arena, &approval)) rc = tk_store_damaged(err, TK_TABLE_APPROVALS, key);
    else if (!visit(context, &approval)) break;
    if (rc) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}
