/* Secrets: sealed texts by name. What is in them, and the keys, are not known here; only which key sealed each. */
#include "store/parts.h"

static int read_secret(tk_slice key, tk_slice record, tk_secret *out, tk_err *err) {
  return tk_read_secret(key, record, out) ? 0 : tk_store_damaged(err, TK_TABLE_SECRETS, key);
}

int tk_snap_secret(tk_snap *snap, tk_slice name, tk_secret *out, tk_err *err) {
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_SECRETS, name, &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "no secret '%.*s'", (int)name.size, name.data);
  return rc ? rc : read_secret(name, record, out, err);
}

static int each_secret(tk_kv_txn *txn, bool (*visit)(void *context, const tk_secret *secret), void *context, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(txn, TK_TABLE_SECRETS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_secret secret;
    rc = read_secret(key, record, &secret, err);
    if (rc || !visit(context, &secret)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

int tk_snap_each_secret(tk_snap *snap, bool (*visit)(void *context, const tk_secret *secret), void *context, tk_err *err) {
  return each_secret(snap->txn, visit, context, err);
}

/* ---- Changes ---- */

typedef struct survey {
  const tk_secret_change *change;
  bool foreign;   /* one is sealed by another key than the new ones */
  size_t count;
} survey;

static bool look_at(void *context, const tk_secret *secret) {
  survey *s = context;
  s->count++;
  s->foreign |= memcmp(secret->key_id, s->change->secrets[0].key_id, sizeof secret->key_id) != 0;
  return s->change->rotate || !s->foreign;
}

/* One key seals all secrets, so that a wrong one is noticed before it hides what it writes; rotation replaces all of them. */
static int check_change(tk_store *store, const tk_secret_change *c, tk_err *err) {
  survey s = {.change = c};
  if (c->count == 0 || !c->secrets[0].sealed.size) return 0;
  int rc = each_secret(store->txn, look_at, &s, err);
  if (!rc && !c->rotate && s.foreign)
    rc = tk_err_set(err, TK_E_REFUSED, "the key is another one than that which sealed the secrets of this store");
  if (!rc && c->rotate && s.count != c->count) rc = tk_err_set(err, TK_E_CONFLICT, "the secrets were changed meanwhile");
  return rc;
}

static int write_one(tk_store *store, const tk_secret *wanted, bool rotate, tk_err *err) {
  tk_slice record;
  tk_secret old, row = *wanted;
  int rc = tk_kv_get(store->txn, TK_TABLE_SECRETS, wanted->name, &record, err);
  if (rc < 0) return rc;
  bool exists = rc != TK_KV_ABSENT;
  rc = exists ? read_secret(wanted->name, record, &old, err) : 0;
  if (rc) return rc;
  bool changed = exists ? wanted->fresh || (wanted->previous.size && !tk_slice_eq(old.sealed, wanted->previous))
                        : rotate || wanted->previous.size;
  if (changed) return tk_err_set(err, TK_E_CONFLICT, "the secrets were changed meanwhile");
  if (!wanted->sealed.size) {
    return exists ? tk_kv_del(store->txn, TK_TABLE_SECRETS, wanted->name, err)
                  : tk_err_set(err, TK_E_NOT_FOUND, "no secret '%.*s'", (int)wanted->name.size, wanted->name.data);
  }
  if (exists) row.created_at_us = old.created_at_us;
  return tk_kv_put(store->txn, TK_TABLE_SECRETS, wanted->name, tk_write_secret(&store->buf, wanted->name, &row), 0, err);
}

/* An event of no task. */
static int write_note(tk_store *store, const tk_secret_change *c, tk_err *err) {
  uint64_t first = store->meta.next_seq++;
  tk_key key = tk_key_u64(first);
  tk_log_entry entry = {.kind = TK_LOG_CONNECTION_PARKED, .step = TK_NO_STEP, .data = c->note};
  tk_task entries = {.log_head = &entry, .log_count = 1};
  int rc = tk_kv_put(store->txn, TK_TABLE_LOG, tk_key_slice(&key),
                     tk_write_log(&store->buf, tk_key_slice(&key), &entries, first, 0, c->at_us), TK_KV_APPEND, err);
  return rc ? rc : tk_store_put_meta(store, err);
}

static int write_change(tk_store *store, void *context, tk_err *err) {
  const tk_secret_change *c = context;
  int rc = check_change(store, c, err);
  for (size_t i = 0; !rc && i < c->count; i++) rc = write_one(store, &c->secrets[i], c->rotate, err);
  if (!rc && c->note.size) rc = write_note(store, c, err);
  return rc;
}

int tk_store_secrets(tk_store *store, const tk_secret_change *change, tk_err *err) {
  return tk_store_commit_small(store, write_change, (void *)change, err);
}
