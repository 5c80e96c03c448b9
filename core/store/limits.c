/* Limits inside a turn: what decide asks for, each once, and what it changed. Idle meters are not kept: those that this turn
 * touched go at once, those that became idle while nobody looked are met by a hand that moves on with every new meter. */
#include "store/parts.h"

#define HAND_STEPS 2              /* meters looked at for each new one: more go than come, so that idle ones never pile up */
#define WAITED_LOOKS 16384        /* meters looked through for those that have waiters */
#define MAP_KEPT 4096             /* as in load.c */

void tk_store_clear_map(tk_map *map) {
  if (map->capacity > MAP_KEPT) tk_map_free(map);
  else if (map->used) tk_map_clear(map);
}

void tk_store_clear_limits(tk_store *store) {
  tk_store_clear_map(&store->limits);
  tk_store_clear_map(&store->meters);
  tk_store_clear_map(&store->waiters);
  tk_store_clear_map(&store->permits);
  tk_store_clear_breakers(store);
}

void tk_store_free_limits(tk_store *store) {
  tk_map_free(&store->limits);
  tk_map_free(&store->meters);
  tk_map_free(&store->waiters);
  tk_map_free(&store->permits);
  tk_store_free_breakers(store);
}

void tk_store_fault(tk_store *store, tk_table table, tk_slice key) {
  if (!store->fault.code) tk_store_damaged(&store->fault, table, key);
}

/* The record; false: there is none, or it cannot be read, which apply answers. */
bool tk_store_look_up(tk_store *store, tk_table table, const tk_key *key, tk_slice *record) {
  tk_err err;
  int rc = tk_kv_get(store->txn, table, tk_key_slice(key), record, &err);
  if (rc < 0 && !store->fault.code) store->fault = err;
  return rc == 0;
}

static uint64_t hash_of(const tk_key *key) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < key->size; i++) hash = (hash ^ key->bytes[i]) * 0x100000001B3u;
  return hash;
}

/* ---- What decide asks for ---- */

static tk_limit *find_limit(void *context, uint32_t no) {
  tk_store *store = context;
  tk_limit *limit = tk_map_get(&store->limits, no);
  tk_key key = tk_key_u32(no);
  tk_slice record;
  if (limit) return limit;
  limit = TK_ARENA_NEW(store->arena, tk_limit);
  if (tk_store_look_up(store, TK_TABLE_LIMITS, &key, &record) && !tk_read_limit(tk_key_slice(&key), record, limit))
    tk_store_fault(store, TK_TABLE_LIMITS, tk_key_slice(&key));
  limit->no = no;
  tk_map_put(&store->limits, no, limit);
  return limit;
}

static tk_meter *load_meter(tk_store *store, const tk_limit *limit, const uint8_t hash[16]) {
  tk_key key = tk_key_meter(limit->no, hash);
  uint64_t slot = hash_of(&key);
  tk_meter *first = tk_map_get(&store->meters, slot);
  tk_slice record;
  for (tk_meter *m = first; m; m = m->next)
    if (m->limit->no == limit->no && memcmp(m->hash, hash, 16) == 0) return m;
  tk_meter *meter = TK_ARENA_NEW(store->arena, tk_meter);
  if (tk_store_look_up(store, TK_TABLE_METERS, &key, &record)) {
    if (!tk_read_meter(tk_key_slice(&key), record, meter)) tk_store_fault(store, TK_TABLE_METERS, tk_key_slice(&key));
    meter->key = tk_arena_copy(store->arena, meter->key);
  }
  memcpy(meter->hash, hash, 16);
  meter->limit = limit;
  meter->next = first;
  tk_map_put(&store->meters, slot, meter);
  return meter;
}

static tk_meter *find_meter(void *context, const tk_limit *limit, tk_slice key) {
  tk_store *store = context;
  uint8_t hash[16];
  tk_limit_hash(key, hash);
  tk_meter *meter = load_meter(store, limit, hash);
  if (!meter->key.size && key.size) meter->key = tk_arena_copy(store->arena, key);
  return meter;
}

static tk_permit *find_permit(void *context, uint64_t task_no, uint32_t step, bool stored) {
  tk_store *store = context;
  tk_key key = tk_key_u64_u32(task_no, step);
  uint64_t slot = hash_of(&key);
  tk_permit *first = tk_map_get(&store->permits, slot);
  tk_slice record;
  for (tk_permit *p = first; p; p = p->next)
    if (p->task_no == task_no && p->step == step) return p;
  tk_permit *permit = TK_ARENA_NEW(store->arena, tk_permit);
  if (stored && tk_store_look_up(store, TK_TABLE_PERMITS, &key, &record)) {
    if (!tk_read_permit(tk_key_slice(&key), record, store->arena, permit)) tk_store_fault(store, TK_TABLE_PERMITS, tk_key_slice(&key));
    for (uint32_t i = 0; permit->there && i < permit->count; i++)
      permit->entries[i].key = tk_arena_copy(store->arena, permit->entries[i].key);
  } else if (stored) {
    tk_store_fault(store, TK_TABLE_PERMITS, tk_key_slice(&key));
  }
  permit->task_no = task_no;
  permit->step = step;
  permit->next = first;
  tk_map_put(&store->permits, slot, permit);
  return permit;
}

static tk_waiter *known_waiter(tk_store *store, const tk_meter *meter, int64_t since_us, uint64_t task_no, uint32_t step, uint64_t slot) {
  for (tk_waiter *w = tk_map_get(&store->waiters, slot); w; w = w->next)
    if (w->meter == meter && w->since_us == since_us && w->task_no == task_no && w->step == step) return w;
  return NULL;
}

/* The one object of a waiter in this turn, from its record when there is one. */
static tk_waiter *make_waiter(tk_store *store, tk_meter *meter, const tk_waiter *as, const tk_key *key, tk_slice record) {
  uint64_t slot = hash_of(key);
  tk_waiter *waiter = known_waiter(store, meter, as->since_us, as->task_no, as->step, slot);
  if (waiter) return waiter;
  waiter = TK_ARENA_NEW(store->arena, tk_waiter);
  if (record.size && !tk_read_waiter(tk_key_slice(key), record, waiter)) tk_store_fault(store, TK_TABLE_WAITERS, tk_key_slice(key));
  waiter->meter = meter;
  waiter->since_us = as->since_us;
  waiter->task_no = as->task_no;
  waiter->step = as->step;
  waiter->next = tk_map_get(&store->waiters, slot);
  tk_map_put(&store->waiters, slot, waiter);
  return waiter;
}

static tk_waiter *find_waiter(void *context, tk_meter *meter, int64_t since_us, uint64_t task_no, uint32_t step) {
  tk_store *store = context;
  tk_waiter as = {.meter = meter, .since_us = since_us, .task_no = task_no, .step = step};
  tk_key key = tk_key_waiter(&as);
  tk_waiter *known = known_waiter(store, meter, since_us, task_no, step, hash_of(&key));
  tk_slice record = {NULL, 0};
  if (known) return known;
  tk_store_look_up(store, TK_TABLE_WAITERS, &key, &record);
  return make_waiter(store, meter, &as, &key, record);
}

/* The first stored waiter of the meter behind `from` that this turn did not delete. */
static tk_waiter *next_stored(tk_store *store, tk_meter *meter, tk_key from) {
  tk_kv_cursor *cursor;
  tk_waiter *found = NULL;
  tk_slice key = tk_key_slice(&from), record;
  tk_err err;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_WAITERS, &cursor, &err);
  if (!rc) {
    for (rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, &err); !rc && !found;
         rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, &err)) {
      tk_waiter as;
      if (key.size < 20 || memcmp(key.data, from.bytes, 20)) break;
      if (!tk_read_waiter(key, record, &as)) {
        tk_store_fault(store, TK_TABLE_WAITERS, key);
        break;
      }
      as.meter = meter;
      tk_key own = tk_key_waiter(&as);
      tk_waiter *waiter = make_waiter(store, meter, &as, &own, record);
      if (waiter->there) found = waiter;
    }
    tk_kv_cursor_close(cursor);
  }
  if (rc < 0 && !store->fault.code) store->fault = err;
  return found;
}

static int compare_keys(const tk_key *a, const tk_key *b) { return memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size); }

static tk_waiter *next_waiter(void *context, tk_meter *meter, const tk_waiter *after) {
  tk_store *store = context;
  tk_key from = tk_key_meter(meter->limit->no, meter->hash), best_key;
  if (after) {
    from = tk_key_waiter(after);
    from.bytes[from.size++] = 0;
  }
  tk_waiter *best = next_stored(store, meter, from);
  if (best) best_key = tk_key_waiter(best);
  for (tk_waiter *w = meter->touched; w; w = w->next_touched) {
    tk_key key = tk_key_waiter(w);
    bool behind = w != after && (!after || compare_keys(&key, &from) > 0);
    if (!w->there || !behind || (best && compare_keys(&key, &best_key) >= 0)) continue;
    best = w;
    best_key = key;
  }
  return best;
}

static size_t waited_meters(void *context, const tk_limit *limit, tk_meter **out, size_t max) {
  static const uint8_t first[16];
  tk_store *store = context;
  tk_kv_cursor *cursor;
  tk_key from = tk_key_meter(limit->no, first);
  tk_slice key = tk_key_slice(&from), record;
  size_t count = 0, looked = 0;
  tk_err err;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_METERS, &cursor, &err);
  if (!rc) {
    for (rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, &err); !rc && count < max && looked++ < WAITED_LOOKS;
         rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, &err)) {
      tk_meter meter;
      if (key.size != 20 || tk_get_u32be(key.data) != limit->no) break;
      if (!tk_read_meter(key, record, &meter)) tk_store_fault(store, TK_TABLE_METERS, key);
      else if (meter.waiting) out[count++] = load_meter(store, limit, meter.hash);
    }
    tk_kv_cursor_close(cursor);
  }
  if (rc < 0 && !store->fault.code) store->fault = err;
  return count;
}

void tk_store_limit_source(tk_store *store, tk_limit_source *out) {
  *out = (tk_limit_source){store, find_limit, find_meter, find_permit, find_waiter, next_waiter, waited_meters, NULL, NULL};
  tk_store_breaker_source(out);
}

/* ---- What is written ---- */

int tk_store_write_record(tk_store *store, tk_table table, const tk_key *key, bool there, tk_slice record, tk_err *err) {
  if (there) return tk_kv_put(store->txn, table, tk_key_slice(key), record, 0, err);
  int rc = tk_kv_del(store->txn, table, tk_key_slice(key), err);
  return rc == TK_KV_ABSENT ? 0 : rc;
}

/* Deletes the meter that the hand is at when it is idle and this turn has nothing to say of it; moves on. */
static int move_hand(tk_store *store, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key = tk_key_slice(&store->meter_hand), record;
  tk_meter meter;
  int rc = tk_kv_cursor_open(store->txn, TK_TABLE_METERS, &cursor, err);
  if (rc) return rc;
  rc = tk_kv_step(cursor, store->meter_hand.size ? TK_KV_AT_LEAST : TK_KV_FIRST, &key, &record, err);
  bool read = !rc && key.size == 20 && tk_read_meter(key, record, &meter);
  store->meter_hand.size = 0;
  if (read) {
    memcpy(store->meter_hand.bytes, key.data, 20);
    store->meter_hand.size = 20;
  }
  tk_kv_cursor_close(cursor);
  if (!read) return rc == TK_KV_ABSENT ? 0 : rc;
  tk_key at = store->meter_hand;
  store->meter_hand.bytes[store->meter_hand.size++] = 0;
  if (tk_map_get(&store->meters, hash_of(&at)) || !tk_meter_idle(&meter, store->now_us * 1000)) return 0;
  return tk_store_write_record(store, TK_TABLE_METERS, &at, false, (tk_slice){NULL, 0}, err);
}

static int write_meter(tk_store *store, const tk_meter *meter, tk_err *err) {
  tk_key key = tk_key_meter(meter->limit->no, meter->hash);
  bool there = !tk_meter_idle(meter, store->now_us * 1000);
  if (!there && !meter->there) return 0;
  tk_slice record = {NULL, 0};
  if (there) record = tk_write_meter(&store->buf, tk_key_slice(&key), meter);
  int rc = tk_store_write_record(store, TK_TABLE_METERS, &key, there, record, err);
  for (int i = 0; i < HAND_STEPS && !rc && there && !meter->there; i++) rc = move_hand(store, err);
  return rc;
}

static int write_waiter(tk_store *store, const tk_waiter *waiter, tk_err *err) {
  tk_key key = tk_key_waiter(waiter);
  tk_slice record = {NULL, 0};
  if (waiter->there) record = tk_write_waiter(&store->buf, tk_key_slice(&key), waiter);
  return tk_store_write_record(store, TK_TABLE_WAITERS, &key, waiter->there, record, err);
}

static int write_permit(tk_store *store, const tk_permit *permit, tk_err *err) {
  tk_key key = tk_key_u64_u32(permit->task_no, permit->step);
  tk_slice record = {NULL, 0};
  if (permit->there) record = tk_write_permit(&store->buf, tk_key_slice(&key), permit);
  return tk_store_write_record(store, TK_TABLE_PERMITS, &key, permit->there, record, err);
}

int tk_store_write_limits(tk_store *store, const tk_changes *c, tk_err *err) {
  int rc = 0;
  for (size_t i = 0; i < c->limits.count && !rc; i++) {
    tk_key key = tk_key_u32(c->limits.items[i]->no);
    tk_slice record = tk_write_limit(&store->buf, tk_key_slice(&key), c->limits.items[i]);
    rc = tk_store_write_record(store, TK_TABLE_LIMITS, &key, true, record, err);
  }
  for (size_t i = 0; i < c->meters.count && !rc; i++) rc = write_meter(store, c->meters.items[i], err);
  for (size_t i = 0; i < c->waiters.count && !rc; i++) rc = write_waiter(store, c->waiters.items[i], err);
  for (size_t i = 0; i < c->permits.count && !rc; i++) rc = write_permit(store, c->permits.items[i], err);
  return rc ? rc : tk_store_write_breakers(store, c, err);
}

/* ---- Reading ---- */

int tk_snap_each_limit(tk_snap *snap, bool (*visit)(void *context, const tk_limit *limit), void *context, tk_err *err) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_LIMITS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, err); !rc; rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_limit limit;
    if (!tk_read_limit(key, record, &limit)) {
      rc = tk_store_damaged(err, TK_TABLE_LIMITS, key);
      break;
    }
    limit.name = tk_snap_name(snap, limit.no);
    if (!visit(context, &limit)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}

int tk_snap_each_meter(tk_snap *snap, uint32_t limit, bool (*visit)(void *context, const tk_meter *meter), void *context, tk_err *err) {
  static const uint8_t first[16];
  tk_kv_cursor *cursor;
  tk_key from = tk_key_meter(limit, first);
  tk_slice key = tk_key_slice(&from), record;
  int rc = tk_kv_cursor_open(snap->txn, TK_TABLE_METERS, &cursor, err);
  if (rc) return rc;
  for (rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &record, err); !rc;
       rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, err)) {
    tk_meter meter;
    if (key.size != 20 || tk_get_u32be(key.data) != limit) break;
    if (!tk_read_meter(key, record, &meter)) {
      rc = tk_store_damaged(err, TK_TABLE_METERS, key);
      break;
    }
    if (!visit(context, &meter)) break;
  }
  tk_kv_cursor_close(cursor);
  return rc < 0 ? rc : 0;
}
