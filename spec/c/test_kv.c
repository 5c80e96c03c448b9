/* The ordered key-value contract, over LMDB and memory, against a plain sorted list. */
#include <pthread.h>
#include <stdatomic.h>

#include "store_support.h"

#define KEYS 3000

typedef struct kv_world { tk_kv *kv; char path[64]; tk_err err; } kv_world;

static kv_world kv_new(const char *kind) {
  kv_world w = {0};
  static const tk_store_options options = {.map_size = 1};   /* the smallest: it has to grow */
  strcpy(w.path, "/tmp/tasker-test-XXXXXX");
  if (strcmp(kind, "memory:") == 0) w.path[0] = '\0';
  else if (!mkdtemp(w.path)) abort();
  if (w.path[0] ? tk_kv_lmdb_open(w.path, &options, &w.kv, &w.err) : tk_kv_memory_open(&w.kv, &w.err)) abort();
  return w;
}

static void kv_free(kv_world *w) {
  tk_kv_close(w->kv);
  if (w->path[0]) world_remove_folder(w->path);
}

/* The plain list: a value for each key below KEYS, 0: none. */
typedef struct model { uint32_t values[KEYS]; } model;

static tk_slice value_text(uint32_t value, char out[512]) {
  int size = snprintf(out, 512, "%u:", value);
  size_t pad = value % 300;
  memset(out + size, 'x', pad);
  return tk_slice_of(out, (size_t)size + pad);
}

static bool value_is(tk_slice bytes, uint32_t value) {
  char text[512];
  return tk_slice_eq(bytes, value_text(value, text));
}

static uint64_t expected_count(const model *m) {
  uint64_t count = 0;
  for (int i = 0; i < KEYS; i++) count += m->values[i] != 0;
  return count;
}

/* The table, forwards and backwards, and some seeks. */
static bool same_as_model(tk_kv_txn *txn, const model *m, tk_rng *rng) {
  tk_kv_cursor *cursor;
  tk_slice key, value;
  tk_err err;
  uint64_t entries;
  bool same = tk_kv_count(txn, TK_TABLE_TASKS, &entries, &err) == 0 && entries == expected_count(m);
  if (tk_kv_cursor_open(txn, TK_TABLE_TASKS, &cursor, &err)) return false;
  int rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &value, &err);
  for (uint32_t i = 0; i < KEYS; i++) {
    if (!m->values[i]) continue;
    same = same && rc == 0 && tk_get_u64be(key.data) == i && value_is(value, m->values[i]);
    rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &value, &err);
  }
  same = same && rc == TK_KV_ABSENT;
  rc = tk_kv_step(cursor, TK_KV_LAST, &key, &value, &err);
  for (uint32_t i = KEYS; i-- > 0;) {
    if (!m->values[i]) continue;
    same = same && rc == 0 && tk_get_u64be(key.data) == i;
    rc = tk_kv_step(cursor, TK_KV_PREV, &key, &value, &err);
  }
  same = same && rc == TK_KV_ABSENT;
  for (int n = 0; n < 50; n++) {
    uint32_t from = (uint32_t)(tk_rng_next(rng) % KEYS), next = from;
    tk_key wanted = tk_key_u64(from);
    while (next < KEYS && !m->values[next]) next++;
    key = tk_key_slice(&wanted);
    rc = tk_kv_step(cursor, TK_KV_AT_LEAST, &key, &value, &err);
    same = same && (next == KEYS ? rc == TK_KV_ABSENT : rc == 0 && tk_get_u64be(key.data) == next);
    key = tk_key_slice(&wanted);
    rc = tk_kv_get(txn, TK_TABLE_TASKS, key, &value, &err);
    same = same && (m->values[from] ? rc == 0 && value_is(value, m->values[from]) : rc == TK_KV_ABSENT);
  }
  tk_kv_cursor_close(cursor);
  return same;
}

/* What a write transaction did, so that it can be done again when the store has to grow. */
typedef struct operation { uint32_t key, value; bool append; } operation;

static int run(tk_kv_txn *txn, const operation *ops, size_t count, tk_err *err) {
  char text[512];
  for (size_t i = 0; i < count; i++) {
    tk_key key = tk_key_u64(ops[i].key);
    int rc = ops[i].value ? tk_kv_put(txn, TK_TABLE_TASKS, tk_key_slice(&key), value_text(ops[i].value, text),
                                      ops[i].append ? TK_KV_APPEND : 0, err)
                          : tk_kv_del(txn, TK_TABLE_TASKS, tk_key_slice(&key), err);
    if (rc && rc != TK_KV_ABSENT) return rc;
  }
  return 0;
}

static int run_and_commit(kv_world *w, tk_kv_txn *txn, const operation *ops, size_t count) {
  for (;;) {
    int rc = run(txn, ops, count, &w->err);
    if (!rc) rc = tk_kv_commit(txn, &w->err);
    if (rc != TK_KV_GROW) return rc;
    rc = tk_kv_grow(&txn, &w->err);
    if (rc) return rc;
  }
}

TEST_BOTH(a_table_is_a_sorted_list_whatever_is_put_deleted_and_rolled_back) {
  kv_world w = kv_new(kind);
  tk_rng rng;
  static model committed, next;
  memset(&committed, 0, sizeof committed);
  tk_rng_seed(&rng, 11);
  for (int round = 0; round < 150; round++) {
    operation ops[200];
    size_t count = tk_rng_next(&rng) % 200;
    bool clear = round % 40 == 39;
    next = committed;
    for (size_t i = 0; i < count; i++) {
      uint32_t key = (uint32_t)(tk_rng_next(&rng) % KEYS);
      ops[i] = (operation){key, clear || tk_rng_next(&rng) % 3 == 0 ? 0 : 1 + (uint32_t)(tk_rng_next(&rng) % 100000),
                           tk_rng_next(&rng) & 1};
      next.values[key] = ops[i].value;
    }
    tk_kv_txn *txn;
    REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
    if (round % 3 == 0) {
      int rc = run(txn, ops, count, &w.err);
      if (rc == 0) CHECK(same_as_model(txn, &next, &rng));
      tk_kv_abort(txn);
    } else {
      REQUIRE(run_and_commit(&w, txn, ops, count) == 0);
      committed = next;
    }
    REQUIRE(tk_kv_begin(w.kv, false, &txn, &w.err) == 0);
    CHECK(same_as_model(txn, &committed, &rng));
    tk_kv_abort(txn);
  }
  kv_free(&w);
}

TEST_BOTH(a_table_that_runs_empty_is_filled_again_from_either_end) {
  kv_world w = kv_new(kind);
  static model m;
  tk_rng rng;
  tk_rng_seed(&rng, 5);
  for (int round = 0; round < 4; round++) {
    static operation fill[KEYS], empty[KEYS];
    tk_kv_txn *txn;
    memset(&m, 0, sizeof m);
    for (uint32_t i = 0; i < KEYS; i++) {
      uint32_t key = round & 1 ? KEYS - 1 - i : i;
      fill[i] = (operation){key, i + 1, true};
      empty[i] = (operation){round & 2 ? KEYS - 1 - i : i, 0, false};
      m.values[key] = i + 1;
    }
    REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
    REQUIRE(run_and_commit(&w, txn, fill, KEYS) == 0);
    REQUIRE(tk_kv_begin(w.kv, false, &txn, &w.err) == 0);
    CHECK(same_as_model(txn, &m, &rng));
    tk_kv_abort(txn);
    REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
    REQUIRE(run_and_commit(&w, txn, empty, KEYS) == 0);
    memset(&m, 0, sizeof m);
    REQUIRE(tk_kv_begin(w.kv, false, &txn, &w.err) == 0);
    CHECK(same_as_model(txn, &m, &rng));
    tk_kv_abort(txn);
  }
  kv_free(&w);
}

TEST_BOTH(a_value_of_a_megabyte_is_kept) {
  kv_world w = kv_new(kind);
  tk_kv_txn *txn;
  tk_slice value;
  size_t size = 1 << 20;
  char *big = tk_calloc(1, size);
  memset(big, 'b', size);
  tk_key key = tk_key_u64(7);
  REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
  int rc = tk_kv_put(txn, TK_TABLE_PAYLOADS, tk_key_slice(&key), tk_slice_of(big, size), TK_KV_APPEND, &w.err);
  while (rc == TK_KV_GROW) {
    REQUIRE(tk_kv_grow(&txn, &w.err) == 0);
    rc = tk_kv_put(txn, TK_TABLE_PAYLOADS, tk_key_slice(&key), tk_slice_of(big, size), TK_KV_APPEND, &w.err);
  }
  CHECK_EQ_INT(rc, 0);
  CHECK_EQ_INT(tk_kv_commit(txn, &w.err), 0);
  REQUIRE(tk_kv_begin(w.kv, false, &txn, &w.err) == 0);
  CHECK_EQ_INT(tk_kv_get(txn, TK_TABLE_PAYLOADS, tk_key_slice(&key), &value, &w.err), 0);
  CHECK(tk_slice_eq(value, tk_slice_of(big, size)));
  tk_kv_abort(txn);
  tk_free(big);
  kv_free(&w);
}

/* ---- Readers beside the writer ---- */

#define SUM_KEYS 64

typedef struct reader_work { tk_kv *kv; atomic_bool stop; atomic_int torn, reads; } reader_work;

/* Each commit sets all keys to one number: a reader that sees two numbers saw half a commit. */
static void *read_on(void *argument) {
  reader_work *work = argument;
  while (!atomic_load(&work->stop)) {
    tk_kv_txn *txn;
    tk_err err;
    tk_slice first = {0}, value;
    if (tk_kv_begin(work->kv, false, &txn, &err)) {
      atomic_fetch_add(&work->torn, 1);
      continue;
    }
    for (uint32_t i = 0; i < SUM_KEYS; i++) {
      tk_key key = tk_key_u64(i);
      int rc = tk_kv_get(txn, TK_TABLE_TASKS, tk_key_slice(&key), &value, &err);
      if (i == 0) first = rc ? (tk_slice){0} : value;
      if (rc == 0 && !tk_slice_eq(first, value)) atomic_fetch_add(&work->torn, 1);
    }
    tk_kv_abort(txn);
    atomic_fetch_add(&work->reads, 1);
  }
  return NULL;
}

TEST_BOTH(readers_on_other_threads_never_see_half_a_commit_even_while_the_store_grows) {
  kv_world w = kv_new(kind);
  reader_work work = {.kv = w.kv};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, read_on, &work);
  for (uint32_t round = 1; round < 200 || atomic_load(&work.reads) < 100; round++) {
    tk_kv_txn *txn;
    operation ops[SUM_KEYS];
    for (uint32_t i = 0; i < SUM_KEYS; i++) ops[i] = (operation){i, round * 311 % 100000 + 1, false};
    REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
    REQUIRE(run_and_commit(&w, txn, ops, SUM_KEYS) == 0);
  }
  atomic_store(&work.stop, true);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  CHECK_EQ_INT(atomic_load(&work.torn), 0);
  kv_free(&w);
}

TEST(a_map_that_is_full_grows_by_itself) {
  kv_world w = kv_new("lmdb:");
  tk_store_stats before, after;
  REQUIRE(w.kv->ops->stats(w.kv, &before, &w.err) == 0);
  for (uint32_t round = 0; round < 40; round++) {
    static operation ops[KEYS];
    tk_kv_txn *txn;
    for (uint32_t i = 0; i < KEYS; i++) ops[i] = (operation){(i * 7 + round) % KEYS, 100000 + 299 + round * 300, false};
    REQUIRE(tk_kv_begin(w.kv, true, &txn, &w.err) == 0);
    REQUIRE(run_and_commit(&w, txn, ops, KEYS) == 0);
  }
  REQUIRE(w.kv->ops->stats(w.kv, &after, &w.err) == 0);
  CHECK(after.map_bytes > before.map_bytes);
  CHECK(after.bytes <= after.map_bytes);
  kv_free(&w);
}

TEST(snapshots_leave_no_reader_slots_behind) {
  kv_world w = kv_new("lmdb:");
  tk_store_stats stats;
  for (int i = 0; i < 5000; i++) {
    tk_kv_txn *a, *b;
    REQUIRE(tk_kv_begin(w.kv, false, &a, &w.err) == 0);
    REQUIRE(tk_kv_begin(w.kv, false, &b, &w.err) == 0);
    tk_kv_abort(a);
    tk_kv_abort(b);
  }
  REQUIRE(w.kv->ops->stats(w.kv, &stats, &w.err) == 0);
  CHECK(stats.readers <= 4);
  kv_free(&w);
}

TEST_MAIN
