/* An ordered key-value engine as the store needs it: transactions over a fixed set of tables, keys in memcmp order.
 * One file per engine (kv_lmdb.c, kv_memory.c); everything above this line knows neither.
 *
 * Threads: one write transaction at a time, by one thread; read transactions by any thread, each belongs to the thread that uses
 * it. Results: 0, TK_KV_ABSENT, TK_KV_GROW, or a negative TK_E_* with err filled. Values and keys handed out are borrowed: in a
 * read transaction until it ends, in a write transaction until the next put, del or end. */
#ifndef TK_STORE_KV_H
#define TK_STORE_KV_H
#include "store/store.h"

typedef enum tk_table { /* names in tk_table_name; what is in each: records.h */
  TK_TABLE_META, TK_TABLE_IDS, TK_TABLE_TASKS, TK_TABLE_CHUNKS, TK_TABLE_INFO, TK_TABLE_PAYLOADS, TK_TABLE_LOG, TK_TABLE_READY,
  TK_TABLE_TIMERS, TK_TABLE_INBOX, TK_TABLE_NOTICES, TK_TABLE_IDENTITY, TK_TABLE_ANNOTATIONS, TK_TABLE_SIGNALS,
  TK_TABLE_APPROVALS, TK_TABLE_COMPENSATIONS,
  TK_TABLE_LIMITS, TK_TABLE_METERS, TK_TABLE_WAITERS, TK_TABLE_PERMITS,
  TK_TABLE_NAMES, TK_TABLE_NAME_NUMBERS, TK_TABLE_DEFINITIONS, TK_TABLE_DEFINITION_HASHES, TK_TABLE_DEFINITION_CURRENT,
  TK_TABLE_SOURCES, TK_TABLE_PROCESSES, TK_TABLE_CONSUMERS, TK_TABLE_SCHEDULES, TK_TABLE_SCHEDULE_NAMES,
  TK_TABLE_SECRETS, TK_TABLE_BREAKERS, TK_TABLE_HOLDS, TK_TABLE_COUNT
} tk_table;

enum { TK_KV_ABSENT = 1, TK_KV_GROW = 2 };
enum { TK_KV_APPEND = 1 };        /* put: the key is likely to be the greatest of its table (packs pages full) */
typedef enum tk_kv_move { TK_KV_FIRST, TK_KV_LAST, TK_KV_NEXT, TK_KV_PREV, TK_KV_AT_LEAST } tk_kv_move;

typedef struct tk_kv_ops tk_kv_ops;
/* Engines embed these as their first member. */
typedef struct tk_kv { const tk_kv_ops *ops; } tk_kv;
typedef struct tk_kv_txn { const tk_kv_ops *ops; } tk_kv_txn;
typedef struct tk_kv_cursor { const tk_kv_ops *ops; } tk_kv_cursor;

struct tk_kv_ops {
  void (*close)(tk_kv *kv);
  const char *(*path)(const tk_kv *kv);
  int (*begin)(tk_kv *kv, bool write, tk_kv_txn **out, tk_err *err);
  int (*commit)(tk_kv_txn *txn, tk_err *err); /* write transactions; ends it either way; details {"unknown":true} as in store.h */
  void (*abort)(tk_kv_txn *txn);                /* write: rolls back; read: ends */
  /* After TK_KV_GROW: starts the write transaction anew (what it wrote is gone) in a larger store; nobody else writes in
   * between. On failure *txn is NULL. */
  int (*grow)(tk_kv_txn **txn, tk_err *err);
  int (*get)(tk_kv_txn *txn, tk_table table, tk_slice key, tk_slice *value, tk_err *err);
  int (*put)(tk_kv_txn *txn, tk_table table, tk_slice key, tk_slice value, unsigned flags, tk_err *err);
  int (*del)(tk_kv_txn *txn, tk_table table, tk_slice key, tk_err *err);
  int (*cursor)(tk_kv_txn *txn, tk_table table, tk_kv_cursor **out, tk_err *err);
  void (*cursor_close)(tk_kv_cursor *cursor);   /* before its transaction ends */
  /* AT_LEAST seeks the first key >= *key. After a put or del in the same transaction only FIRST, LAST and AT_LEAST are defined.
   */
  int (*move)(tk_kv_cursor *cursor, tk_kv_move move, tk_slice *key, tk_slice *value, tk_err *err);
  int (*count)(tk_kv_txn *txn, tk_table table, uint64_t *entries, tk_err *err);
  int (*stats)(tk_kv *kv, tk_store_stats *out, tk_err *err);
  int (*copy)(tk_kv *kv, const char *path, bool compact, tk_err *err);   /* into a folder that exists and is empty */
  int (*housekeep)(tk_kv *kv, tk_err *err);
  /* Looks at the engine's own structure as it is now, where it has one that can be damaged; reports like tk_store_check. The
   * number of damages or TK_E_*. */
  int (*verify)(tk_kv *kv, void (*report)(void *context, const char *what), void *context, tk_err *err);
};

int tk_kv_lmdb_open(const char *path, const tk_store_options *options, tk_kv **out, tk_err *err);
int tk_kv_memory_open(tk_kv **out, tk_err *err);
const char *tk_table_name(tk_table table);

static inline void tk_kv_close(tk_kv *kv) { kv->ops->close(kv); }
static inline int tk_kv_begin(tk_kv *kv, bool write, tk_kv_txn **out, tk_err *err) { return kv->ops->begin(kv, write, out, err); }
static inline int tk_kv_commit(tk_kv_txn *txn, tk_err *err) { return txn->ops->commit(txn, err); }
static inline void tk_kv_abort(tk_kv_txn *txn) { txn->ops->abort(txn); }
static inline int tk_kv_grow(tk_kv_txn **txn, tk_err *err) { return (*txn)->ops->grow(txn, err); }
static inline int tk_kv_count(tk_kv_txn *txn, tk_table table, uint64_t *entries, tk_err *err) {
  return txn->ops->count(txn, table, entries, err);
}
static inline int tk_kv_get(tk_kv_txn *txn, tk_table table, tk_slice key, tk_slice *value, tk_err *err) {
  return txn->ops->get(txn, table, key, value, err);
}
static inline int tk_kv_put(tk_kv_txn *txn, tk_table table, tk_slice key, tk_slice value, unsigned flags, tk_err *err) {
  return txn->ops->put(txn, table, key, value, flags, err);
}
static inline int tk_kv_del(tk_kv_txn *txn, tk_table table, tk_slice key, tk_err *err) {
  return txn->ops->del(txn, table, key, err);
}
static inline int tk_kv_cursor_open(tk_kv_txn *txn, tk_table table, tk_kv_cursor **out, tk_err *err) {
  return txn->ops->cursor(txn, table, out, err);
}
static inline void tk_kv_cursor_close(tk_kv_cursor *cursor) {
  if (cursor) cursor->ops->cursor_close(cursor);
}
static inline int tk_kv_step(tk_kv_cursor *cursor, tk_kv_move move, tk_slice *key, tk_slice *value, tk_err *err) {
  return cursor->ops->move(cursor, move, key, value, err);
}

#endif
