/* Snapshots: definitions, names, indexes and processes. */
#include "store/parts.h"
#include "store/semver.h"

/* Calls `give` for each record of a table until it returns false; a record it cannot read is damage. */
typedef enum given { GIVEN, GIVEN_ENOUGH, GIVEN_DAMAGED } given;

static int each_record(tk_snap *snap, tk_table table, given (*give)(void *context, tk_slice key, tk_slice record), void *context,
                       tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(snap->txn, table, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    given g = give(context, key, record);
    if (g == GIVEN_DAMAGED) rc = tk_store_damaged(err, table, key);
    if (g != GIVEN) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

/* ---- Definitions ---- */

int tk_snap_definition(tk_snap *snap, uint32_t number, tk_definition *out, tk_err *err) {
  tk_key key = tk_key_u32(number);
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_DEFINITIONS, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "there is no definition number %u", number);
  if (rc) return rc;
  return tk_read_definition(tk_key_slice(&key), record, out) ? 0
                                                             : tk_store_damaged(err, TK_TABLE_DEFINITIONS, tk_key_slice(&key));
}

uint32_t tk_snap_find_definition_hash(tk_snap *snap, const uint8_t hash[32]) {
  uint64_t number;
  return tk_store_get_number(snap->txn, TK_TABLE_DEFINITION_HASHES, tk_slice_of(hash, 32), &number, NULL) ? 0 : (uint32_t)number;
}

/* Walks the versions of a name; `prefix` is ns 0 name 0. */
static uint32_t highest_version(tk_snap *snap, tk_slice prefix) {
  tk_kv_cursor *cursor;
  tk_slice key = prefix, record, best = {0};
  uint64_t number = 0, found = 0;
  if (tk_kv_cursor_open(snap->txn, TK_TABLE_DEFINITION_CURRENT, &cursor, NULL)) return 0;
  int rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, NULL);
  while (!rc && key.size > prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0) {
    tk_slice version = tk_slice_of(key.data + prefix.size, key.size - prefix.size);
    if (tk_read_number(key, record, &number) && (!best.size || tk_semver_compare(version, best) > 0)) {
      best = version;
      found = number;
    }
    rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, NULL);
  }
  tk_kv_cursor_close(cursor);
  return (uint32_t)found;
}

uint32_t tk_snap_find_definition(tk_snap *snap, tk_slice ns, tk_slice name, tk_slice version) {
  tk_buf key = {0};
  uint64_t number = 0;
  tk_store_current_key(&key, ns, name, version);
  if (version.size == 0) number = highest_version(snap, tk_buf_slice(&key));
  else if (tk_store_get_number(snap->txn, TK_TABLE_DEFINITION_CURRENT, tk_buf_slice(&key), &number, NULL)) number = 0;
  tk_buf_free(&key);
  return (uint32_t)number;
}

typedef struct definition_visit {
  bool (*visit)(void *context, const tk_definition *definition);
  void *context;
} definition_visit;

static given give_definition(void *context, tk_slice key, tk_slice record) {
  const definition_visit *v = context;
  tk_definition definition;
  if (!tk_read_definition(key, record, &definition)) return GIVEN_DAMAGED;
  return v->visit(v->context, &definition) ? GIVEN : GIVEN_ENOUGH;
}

int tk_snap_each_definition(tk_snap *snap, bool (*visit)(void *context, const tk_definition *definition), void *context,
                            tk_err *err) {
  definition_visit v = {visit, context};
  return each_record(snap, TK_TABLE_DEFINITIONS, give_definition, &v, err);
}

int tk_snap_source(tk_snap *snap, const uint8_t hash[32], tk_slice *out, tk_err *err) {
  tk_slice key = tk_slice_of(hash, 32), record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_SOURCES, key, &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "the store does not have this source");
  if (rc) return rc;
  return tk_read_slice(key, record, out) ? 0 : tk_store_damaged(err, TK_TABLE_SOURCES, key);
}

/* ---- Names ---- */

tk_slice tk_snap_name(tk_snap *snap, uint32_t number) {
  tk_key key = tk_key_u32(number);
  tk_slice record, name = {0};
  if (tk_kv_get(snap->txn, TK_TABLE_NAMES, tk_key_slice(&key), &record, NULL)) return name;
  return tk_read_slice(tk_key_slice(&key), record, &name) ? name : (tk_slice){0};
}

uint32_t tk_snap_find_name(tk_snap *snap, tk_slice name) {
  uint64_t number;
  return name.size == 0 || tk_store_get_number(snap->txn, TK_TABLE_NAME_NUMBERS, name, &number, NULL) ? 0 : (uint32_t)number;
}

/* ---- Indexes, processes ---- */

typedef struct ready_visit { bool (*visit)(void *context, const tk_ready *ready); void *context; } ready_visit;

static given give_ready(void *context, tk_slice key, tk_slice record) {
  const ready_visit *v = context;
  tk_ready ready;
  if (!tk_read_ready(key, record, &ready)) return GIVEN_DAMAGED;
  return v->visit(v->context, &ready) ? GIVEN : GIVEN_ENOUGH;
}

int tk_snap_each_ready(tk_snap *snap, bool (*visit)(void *context, const tk_ready *ready), void *context, tk_err *err) {
  ready_visit v = {visit, context};
  return each_record(snap, TK_TABLE_READY, give_ready, &v, err);
}

typedef struct timer_visit { bool (*visit)(void *context, const tk_timer *timer); void *context; } timer_visit;

static given give_timer(void *context, tk_slice key, tk_slice record) {
  const timer_visit *v = context;
  tk_timer timer;
  if (!tk_read_timer(key, record, &timer)) return GIVEN_DAMAGED;
  return v->visit(v->context, &timer) ? GIVEN : GIVEN_ENOUGH;
}

int tk_snap_each_timer(tk_snap *snap, bool (*visit)(void *context, const tk_timer *timer), void *context, tk_err *err) {
  timer_visit v = {visit, context};
  return each_record(snap, TK_TABLE_TIMERS, give_timer, &v, err);
}

typedef struct process_visit { bool (*visit)(void *context, const tk_process *process); void *context; } process_visit;

static given give_process(void *context, tk_slice key, tk_slice record) {
  const process_visit *v = context;
  tk_process process;
  if (!tk_read_process(key, record, &process)) return GIVEN_DAMAGED;
  return v->visit(v->context, &process) ? GIVEN : GIVEN_ENOUGH;
}

int tk_snap_each_process(tk_snap *snap, bool (*visit)(void *context, const tk_process *process), void *context, tk_err *err) {
  process_visit v = {visit, context};
  return each_record(snap, TK_TABLE_PROCESSES, give_process, &v, err);
}

static bool is_empty(tk_snap *snap, tk_table table) {
  uint64_t entries = 0;
  return tk_kv_count(snap->txn, table, &entries, NULL) == 0 && entries == 0;
}
bool tk_snap_inbox_empty(tk_snap *snap) { return is_empty(snap, TK_TABLE_INBOX); }
bool tk_snap_claims_empty(tk_snap *snap) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_claims(0, 0);
  tk_slice key = tk_key_slice(&from), record;
  uint32_t process;
  uint64_t turn;
  tk_err err;
  if (tk_kv_cursor_open(snap->txn, TK_TABLE_META, &cursor, &err)) return false;
  int rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, &err);
  bool empty = rc == TK_KV_ABSENT || (!rc && !tk_key_is_claims(key, &process, &turn));
  tk_kv_cursor_close(cursor);
  return empty;
}
