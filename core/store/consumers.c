/* Durable consumers: how far each named reader of the log has come. */
#include "store/parts.h"

static int read_consumer(tk_slice key, tk_slice record, tk_consumer *out, tk_err *err) {
  return tk_read_consumer(key, record, out) ? 0 : tk_store_damaged(err, TK_TABLE_CONSUMERS, key);
}

int tk_snap_consumer(tk_snap *snap, tk_slice name, tk_consumer *out, tk_err *err) {
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_CONSUMERS, name, &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "no consumer '%.*s'", (int)name.size, name.data);
  return rc ? rc : read_consumer(name, record, out, err);
}

int tk_snap_each_consumer(tk_snap *snap, bool (*visit)(void *context, const tk_consumer *consumer), void *context, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_CONSUMERS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_consumer consumer;
    rc = read_consumer(key, record, &consumer, err);
    if (rc || !visit(context, &consumer)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* ---- Changes ---- */

typedef struct change {
  const tk_consumer *wanted;
  uint8_t operation;
  uint64_t last_seq;
} change;

/* What the row becomes; *same when it is that already. */
static int change_row(const change *c, bool exists, tk_consumer *row, bool *same, tk_err *err) {
  const tk_consumer *wanted = c->wanted;
  *same = false;
  if (!exists && c->operation != TK_CONSUMER_OPEN)
    return tk_err_set(err, TK_E_NOT_FOUND, "no consumer '%.*s'", (int)wanted->name.size, wanted->name.data);
  if ((c->operation == TK_CONSUMER_ACK || c->operation == TK_CONSUMER_REWIND) && wanted->seq > c->last_seq)
    return tk_err_set(err, TK_E_INVALID, "consumer '%.*s': there is no event %llu yet, the last is %llu", (int)wanted->name.size,
                      wanted->name.data, (unsigned long long)wanted->seq, (unsigned long long)c->last_seq);
  switch (c->operation) {
    case TK_CONSUMER_OPEN:
      *same = exists && (!wanted->events.size || tk_slice_eq(row->events, wanted->events));
      if (!exists) *row = *wanted;
      if (!exists && row->seq == TK_CONSUMER_NOW) row->seq = c->last_seq;
      else if (wanted->events.size) row->events = wanted->events;
      break;
    case TK_CONSUMER_ACK:      /* never back: another process may have come further */
      *same = wanted->seq <= row->seq;
      row->seq = wanted->seq;
      row->moved_at_us = wanted->moved_at_us;
      break;
    case TK_CONSUMER_REWIND:
      *same = wanted->seq == row->seq;
      row->seq = wanted->seq;
      row->moved_at_us = wanted->moved_at_us;
      break;
    default: break;
  }
  return 0;
}

static int write_change(tk_store *store, void *context, tk_err *err) {
  change *c = context;
  tk_slice name = c->wanted->name, record;
  tk_consumer row = {0};
  bool same;
  int rc = tk_kv_get(store->txn, TK_TABLE_CONSUMERS, name, &record, err);
  if (rc < 0) return rc;
  bool exists = rc != TK_KV_ABSENT;
  c->last_seq = store->meta.next_seq - 1;
  rc = exists ? read_consumer(name, record, &row, err) : 0;
  if (!rc) rc = change_row(c, exists, &row, &same, err);
  if (rc || same) return rc;
  if (c->operation == TK_CONSUMER_DELETE) return tk_kv_del(store->txn, TK_TABLE_CONSUMERS, name, err);
  return tk_kv_put(store->txn, TK_TABLE_CONSUMERS, name, tk_write_consumer(&store->buf, name, &row), 0, err);
}

/* What changes nothing costs a look, not a commit. */
static int is_so(tk_store *store, change *c, bool *same, tk_err *err) {
  tk_snap *snap;
  tk_meta meta;
  tk_consumer row = {0};
  int rc = tk_snap_open(store, &snap, err);
  if (rc) return rc;
  rc = tk_snap_meta(snap, &meta, err);
  c->last_seq = meta.last_seq;
  if (!rc) rc = tk_snap_consumer(snap, c->wanted->name, &row, err);
  bool exists = !rc;
  if (rc == TK_E_NOT_FOUND) rc = 0;
  if (!rc) rc = change_row(c, exists, &row, same, err);
  tk_snap_close(snap);
  return rc;
}

int tk_store_consumer(tk_store *store, uint8_t operation, const tk_consumer *consumer, tk_err *err) {
  change c = {.wanted = consumer, .operation = operation};
  bool same = false;
  int rc = is_so(store, &c, &same, err);
  if (rc || same) return rc;
  return tk_store_commit_small(store, write_change, &c, err);
}
