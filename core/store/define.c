/* What changes rarely: names, definitions, processes and their claims. */
#include "base/hash.h"
#include "store/parts.h"

/* ---- Names ---- */

static uint64_t hash_name(tk_slice name) { return ((uint64_t)tk_crc32c(0, name.data, name.size) << 32 | name.size) + 1; }

static tk_name *cached_name(const tk_store *store, tk_slice name) {
  for (tk_name *n = tk_map_get(&store->names, hash_name(name)); n; n = n->next)
    if (tk_slice_eq(tk_slice_of(n->text, n->size), name)) return n;
  return NULL;
}

static void cache_name(tk_store *store, tk_slice name, uint32_t number, bool fresh) {
  uint64_t hash = hash_name(name);
  tk_name *n = tk_malloc(sizeof *n + name.size);
  *n = (tk_name){.next = tk_map_get(&store->names, hash), .number = number, .fresh = fresh, .size = name.size};
  if (name.size) memcpy(n->text, name.data, name.size);
  tk_map_put(&store->names, hash, n);
  if (fresh && !store->fresh_names++) store->first_fresh = number;
}

uint32_t tk_store_name(tk_store *store, tk_slice name, tk_err *err) {
  TK_ASSERT(store->txn);
  tk_name *known = cached_name(store, name);
  if (known) return known->number;
  uint64_t number = 0;
  int rc = tk_store_get_number(store->txn, TK_TABLE_NAME_NUMBERS, name, &number, err);
  if (rc < 0) return 0;
  if (rc == TK_KV_ABSENT) number = store->meta.next_name++;
  cache_name(store, name, (uint32_t)number, rc == TK_KV_ABSENT);
  return (uint32_t)number;
}

static int put_name(tk_store *store, const tk_name *n, tk_err *err) {
  tk_slice text = tk_slice_of(n->text, n->size);
  tk_key key = tk_key_u32(n->number);
  int rc = tk_store_put_number(store, TK_TABLE_NAME_NUMBERS, text, n->number, err);
  return rc ? rc
            : tk_kv_put(store->txn, TK_TABLE_NAMES, tk_key_slice(&key), tk_write_bytes(&store->buf, tk_key_slice(&key), text), 0,
                        err);
}

/* Writes what is fresh; the numbers count as given. */
int tk_store_put_names(tk_store *store, tk_err *err) {
  size_t cursor = 0;
  void *value;
  if (!store->fresh_names) return 0;
  while (tk_map_next(&store->names, &cursor, NULL, &value))
    for (const tk_name *n = value; n; n = n->next) {
      int rc = n->fresh ? put_name(store, n, err) : 0;
      if (rc) return rc;
    }
  return 0;
}

static void free_chain(tk_name *n) {
  while (n) {
    tk_name *next = n->next;
    tk_free(n);
    n = next;
  }
}

void tk_store_free_names(tk_store *store) {
  size_t cursor = 0;
  void *value;
  while (tk_map_next(&store->names, &cursor, NULL, &value)) free_chain(value);
  tk_map_free(&store->names);
}

void tk_store_settle_names(tk_store *store) {
  size_t cursor = 0;
  void *value;
  if (!store->fresh_names) return;
  store->fresh_names = 0;
  while (tk_map_next(&store->names, &cursor, NULL, &value))
    for (tk_name *n = value; n; n = n->next) n->fresh = false;
}

/* Graphs and workers remember numbers from turns that were never committed, so those numbers stay pending, unless somebody else
 * took them. */
int tk_store_renew_names(tk_store *store, tk_err *err) {
  if (!store->fresh_names) return 0;
  if (store->meta.next_name != store->first_fresh)
    return tk_err_set(err, TK_E_CONFLICT,
                      "another process gave names while a commit of this one failed: the store has to be opened again");
  store->meta.next_name += store->fresh_names;
  return 0;
}

/* ---- Definitions ---- */

void tk_store_current_key(tk_buf *buf, tk_slice ns, tk_slice name, tk_slice version) {
  tk_buf_clear(buf);
  tk_buf_append(buf, ns.data, ns.size);
  tk_buf_u8(buf, 0);
  tk_buf_append(buf, name.data, name.size);
  tk_buf_u8(buf, 0);
  tk_buf_append(buf, version.data, version.size);
}

typedef struct define_context { const tk_definition *definition; tk_slice source; uint32_t *number; } define_context;

static int put_new_definition(tk_store *store, const define_context *c, tk_err *err) {
  tk_definition d = *c->definition;
  d.number = store->meta.next_definition++;
  *c->number = d.number;
  tk_key key = tk_key_u32(d.number);
  tk_slice record = tk_write_definition(&store->buf, tk_key_slice(&key), &d);
  int rc = tk_kv_put(store->txn, TK_TABLE_DEFINITIONS, tk_key_slice(&key), record, 0, err);
  if (!rc) rc = tk_store_put_number(store, TK_TABLE_DEFINITION_HASHES, tk_slice_of(d.hash, 32), d.number, err);
  return rc;
}

static int put_source(tk_store *store, const define_context *c, tk_err *err) {
  static const uint8_t none[32];
  tk_slice key = tk_slice_of(c->definition->source, 32), known;
  if (memcmp(c->definition->source, none, 32) == 0) return 0;
  int rc = tk_kv_get(store->txn, TK_TABLE_SOURCES, key, &known, err);
  if (rc != TK_KV_ABSENT) return rc;
  return tk_kv_put(store->txn, TK_TABLE_SOURCES, key, tk_write_bytes(&store->buf, key, c->source), 0, err);
}

static int put_current(tk_store *store, const define_context *c, bool *changed, tk_err *err) {
  tk_buf key = {0};
  uint64_t current = 0;
  tk_store_current_key(&key, c->definition->ns, c->definition->name, c->definition->version);
  int rc = tk_store_get_number(store->txn, TK_TABLE_DEFINITION_CURRENT, tk_buf_slice(&key), &current, err);
  *changed = current != *c->number;
  if (rc >= 0) rc = *changed ? tk_store_put_number(store, TK_TABLE_DEFINITION_CURRENT, tk_buf_slice(&key), *c->number, err) : 0;
  tk_buf_free(&key);
  return rc;
}

static int write_definition(tk_store *store, void *context, tk_err *err) {
  const define_context *c = context;
  uint64_t known = 0;
  bool changed = false;
  int rc = tk_store_get_number(store->txn, TK_TABLE_DEFINITION_HASHES, tk_slice_of(c->definition->hash, 32), &known, err);
  *c->number = (uint32_t)known;
  if (rc == TK_KV_ABSENT) rc = put_new_definition(store, c, err);
  if (!rc) rc = put_source(store, c, err);
  if (!rc) rc = put_current(store, c, &changed, err);
  if (rc) return rc;
  store->meta.generation += changed;
  return tk_store_put_meta(store, err);
}

/* Handlers are defined again at each start: what is known already costs a look, not a commit. */
static int already_defined(tk_store *store, const tk_definition *definition, uint32_t *number, tk_err *err) {
  tk_snap *snap;
  int rc = tk_snap_open(store, &snap, err);
  if (rc) return rc;
  *number = tk_snap_find_definition_hash(snap, definition->hash);
  tk_slice version = definition->version;
  bool known = *number && version.size && tk_snap_find_definition(snap, definition->ns, definition->name, version) == *number;
  tk_snap_close(snap);
  return known ? 1 : 0;
}

int tk_store_define(tk_store *store, const tk_definition *definition, tk_slice source, uint32_t *number, tk_err *err) {
  int rc = already_defined(store, definition, number, err);
  if (rc) return rc < 0 ? rc : 0;
  define_context context = {definition, source, number};
  return tk_store_commit_small(store, write_definition, &context, err);
}

/* ---- Processes ---- */

static int write_process(tk_store *store, void *context, tk_err *err) {
  tk_process *process = context;
  process->number = store->meta.next_process++;
  tk_key key = tk_key_u32(process->number);
  tk_slice record = tk_write_process(&store->buf, tk_key_slice(&key), process);
  int rc = tk_kv_put(store->txn, TK_TABLE_PROCESSES, tk_key_slice(&key), record, 0, err);
  return rc ? rc : tk_store_put_meta(store, err);
}

int tk_store_join(tk_store *store, tk_process *process, tk_err *err) {
  return tk_store_commit_small(store, write_process, process, err);
}

/* Deletes what is kept under the process's number in `table`, whose first such key is `key`. */
static int clear_rows(tk_store *store, tk_table table, tk_key key, tk_err *err) {
  for (;;) {
    tk_kv_cursor *cursor;
    tk_slice at = tk_key_slice(&key), record;
    int rc = tk_kv_cursor_open(store->txn, table, &cursor, err);
    if (rc) return rc;
    rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &at, &record, err);
    bool ours = !rc && at.size == key.size && memcmp(at.data, key.bytes, key.size - 8) == 0;   /* all but the number at the end */
    if (ours) memcpy(key.bytes, at.data, key.size);
    tk_kv_cursor_close(cursor);
    if (!ours) return rc == TK_KV_ABSENT ? 0 : rc;
    rc = tk_kv_del(store->txn, table, tk_key_slice(&key), err);
    if (rc) return rc;
  }
}

static int write_leave(tk_store *store, void *context, tk_err *err) {
  tk_key key = tk_key_u32(*(uint32_t *)context);
  tk_slice record;
  tk_process process;
  int rc = tk_kv_get(store->txn, TK_TABLE_PROCESSES, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "there is no process number %u", *(uint32_t *)context);
  if (rc) return rc;
  if (!tk_read_process(tk_key_slice(&key), record, &process))
    return tk_store_damaged(err, TK_TABLE_PROCESSES, tk_key_slice(&key));
  tk_key mark = tk_key_mark(process.incarnation);
  rc = tk_kv_del(store->txn, TK_TABLE_PROCESSES, tk_key_slice(&key), err);
  if (!rc) rc = tk_kv_del(store->txn, TK_TABLE_META, tk_key_slice(&mark), err);
  if (rc == TK_KV_ABSENT) rc = 0;
  if (!rc) rc = clear_rows(store, TK_TABLE_NOTICES, tk_key_u32_u64(process.number, 0), err);
  if (!rc) rc = clear_rows(store, TK_TABLE_META, tk_key_claims(process.number, 0), err);
  return rc;
}

int tk_store_leave(tk_store *store, uint32_t number, tk_err *err) {
  return tk_store_commit_small(store, write_leave, &number, err);
}

/* ---- Claims ---- */

typedef TK_LIST(tk_event) event_list;

static int add_claims(tk_arena *arena, tk_slice key, tk_slice record, event_list *list, tk_err *err) {
  tk_claims_record claims;
  tk_claim claim;
  if (!tk_read_claims(key, record, &claims)) return tk_store_damaged(err, TK_TABLE_META, key);
  while (tk_read_claim(&claims, &claim)) {
    tk_event event = {.type = TK_EV_STEP_LOST, .task_no = claim.task_no, .step = claim.step, .attempt = claim.attempt};
    tk_list_push(arena, list, event);
  }
  return claims.claims.bad ? tk_store_damaged(err, TK_TABLE_META, key) : 0;
}

int tk_store_claims_of(tk_store *store, tk_arena *arena, uint32_t process, size_t max, tk_event **events, size_t *count,
                       uint64_t **batches, size_t *batch_count, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_claims(process, 0);
  tk_slice key = tk_key_slice(&from), record;
  event_list list = {0};
  TK_LIST(uint64_t) read = {0};
  uint32_t whose;
  uint64_t batch;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_META, &cursor, err);
  if (rc) return rc;
  rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err);
  while (!rc && list.count < max && tk_key_is_claims(key, &whose, &batch) && whose == process) {
    rc = add_claims(arena, key, record, &list, err);
    tk_list_push(arena, &read, batch);
    if (!rc) rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err);
  }
  tk_kv_cursor_close(cursor);
  if (rc < 0) return rc;
  *events = list.items;
  *count = list.count;
  *batches = read.items;
  *batch_count = read.count;
  return 0;
}
