/* Breakers, and what requests hold, inside a turn (as limits.c) and for those who read. */
#include "store/parts.h"

static tk_breaker *find_breaker(void *context, uint32_t no) {
  tk_store *store = context;
  tk_breaker *breaker = tk_map_get(&store->breakers, no);
  tk_key key = tk_key_u32(no);
  tk_slice record;
  if (breaker) return breaker;
  breaker = TK_ARENA_NEW(store->arena, tk_breaker);
  if (tk_store_look_up(store, TK_TABLE_BREAKERS, &key, &record)) {
    if (!tk_read_breaker(tk_key_slice(&key), record, breaker)) tk_store_fault(store, TK_TABLE_BREAKERS, tk_key_slice(&key));
    breaker->why = tk_arena_copy(store->arena, breaker->why);
  }
  breaker->no = no;
  tk_map_put(&store->breakers, no, breaker);
  return breaker;
}

static uint64_t slot_of(uint32_t process, uint64_t no) { return (uint64_t)process << 40 ^ no; }

static tk_hold *find_hold(void *context, uint32_t process, uint64_t no) {
  tk_store *store = context;
  tk_key key = tk_key_u32_u64(process, no);
  tk_hold *first = tk_map_get(&store->holds, slot_of(process, no));
  tk_slice record;
  for (tk_hold *h = first; h; h = h->next)
    if (h->process == process && h->no == no) return h;
  tk_hold *hold = TK_ARENA_NEW(store->arena, tk_hold);
  if (tk_store_look_up(store, TK_TABLE_HOLDS, &key, &record)) {
    if (!tk_read_hold(tk_key_slice(&key), record, store->arena, hold)) tk_store_fault(store, TK_TABLE_HOLDS, tk_key_slice(&key));
    for (uint32_t i = 0; hold->there && i < hold->count; i++)
      hold->entries[i].key = tk_arena_copy(store->arena, hold->entries[i].key);
  }
  hold->process = process;
  hold->no = no;
  hold->next = first;
  tk_map_put(&store->holds, slot_of(process, no), hold);
  return hold;
}

void tk_store_breaker_source(tk_limit_source *out) {
  out->breaker = find_breaker;
  out->hold = find_hold;
}

void tk_store_clear_breakers(tk_store *store) {
  tk_store_clear_map(&store->breakers);
  tk_store_clear_map(&store->holds);
}

void tk_store_free_breakers(tk_store *store) {
  tk_map_free(&store->breakers);
  tk_map_free(&store->holds);
}

int tk_store_write_breakers(tk_store *store, const tk_changes *c, tk_err *err) {
  int rc = 0;
  for (size_t i = 0; i < c->breakers.count && !rc; i++) {
    tk_key key = tk_key_u32(c->breakers.items[i]->no);
    tk_slice record = tk_write_breaker(&store->buf, tk_key_slice(&key), c->breakers.items[i]);
    rc = tk_store_write_record(store, TK_TABLE_BREAKERS, &key, true, record, err);
  }
  for (size_t i = 0; i < c->holds.count && !rc; i++) {
    const tk_hold *hold = c->holds.items[i];
    tk_key key = tk_key_u32_u64(hold->process, hold->no);
    tk_slice record = {NULL, 0};
    if (hold->there) record = tk_write_hold(&store->buf, tk_key_slice(&key), hold);
    rc = tk_store_write_record(store, TK_TABLE_HOLDS, &key, hold->there, record, err);
  }
  return rc;
}

int tk_store_holds_of(tk_store *store, uint32_t process, size_t max, tk_hold ***holds, size_t *count, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_key from = tk_key_u32_u64(process, 0);
  tk_slice key = tk_key_slice(&from), record;
  *holds = TK_ARENA_ARRAY(store->arena, tk_hold *, max);
  *count = 0;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_HOLDS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err); !rc && *count < max;
       rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    if (key.size != 12 || tk_get_u32be(key.data) != process) break;
    (*holds)[(*count)++] = find_hold(store, process, tk_get_u64be(key.data + 4));
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

/* ---- Reading ---- */

static int read_breaker(tk_snap *snap, tk_slice key, tk_slice record, tk_breaker *out, tk_err *err) {
  if (!tk_read_breaker(key, record, out)) return tk_store_damaged(err, TK_TABLE_BREAKERS, key);
  out->name = tk_snap_name(snap, out->no);
  return 0;
}

int tk_snap_breaker(tk_snap *snap, tk_slice name, tk_breaker *out, tk_err *err) {
  tk_key key = tk_key_u32(tk_snap_find_name(snap, name));
  tk_slice record;
  int rc = tk_kv_get(snap->txn, TK_TABLE_BREAKERS, tk_key_slice(&key), &record, err);
  if (rc == TK_KV_ABSENT) return tk_err_set(err, TK_E_NOT_FOUND, "no breaker '%.*s'", (int)name.size, name.data);
  return rc ? rc : read_breaker(snap, tk_key_slice(&key), record, out, err);
}

int tk_snap_each_breaker(tk_snap *snap, bool (*visit)(void *context, const tk_breaker *breaker), void *context, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_BREAKERS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_breaker breaker;
    rc = read_breaker(snap, key, record, &breaker, err);
    if (rc || !visit(context, &breaker)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}
