/* What only a store on disk promises: several processes, growth, copies, what cannot be opened, size. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_support.h"

static const tk_plan nothing;
static const tk_store_options smallest = {.map_size = 1};

/* ---- Several processes ---- */

/* The child's part: opens, joins, takes `turns` turns that submit and work, leaves. Exit status 0 when all went well. */
static void be_a_process(const char *url, int turns, const char *results, const tk_store_options *options) {
  world w = {.now_us = EPOCH_US};
  snprintf(w.url, sizeof w.url, "%s", url);
  tk_rng_seed(&w.rng, (uint64_t)getpid());
  if (!world_open(&w, options)) _exit(2);
  tk_random_bytes(w.process.incarnation, 16);
  w.process.pid = getpid();
  if (tk_store_join(w.store, &w.process, &w.err)) _exit(3);
  uint32_t definition = world_define(&w, "pair", "1.0.0", 2, SHAPE_CHAIN);
  for (int i = 0; i < turns; i++) {
    world_submit(&w, definition);
    world_work(&w, &definition, 1, 3, results);
    w.now_us += 1000;
  }
  while (world_work(&w, &definition, 1, 100, results)) {}
  if (tk_store_leave(w.store, w.process.number, &w.err)) _exit(4);
  tk_store_close(w.store);
  _exit(0);
}

static bool run_processes(world *w, int count, int turns, const char *results, const tk_store_options *options) {
  pid_t pids[8];
  bool fine = true;
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    if (pids[i] == 0) be_a_process(w->url, turns, results, options);
  }
  for (int i = 0; i < count; i++) {
    int status;
    fine = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0 && fine;
    if (!fine) fprintf(stderr, "a process ended with status %x\n", status);
  }
  return fine;
}

/* The store is closed while processes are forked: an open environment must not cross a fork. */
static world *closed_world(void) {
  world *w = world_new_with("lmdb:", &smallest);
  uint32_t number = w->process.number;
  if (tk_store_leave(w->store, number, &w->err)) abort();
  tk_store_close(w->store);
  w->store = NULL;
  return w;
}

static void check_all_done(world *w, int64_t tasks) {
  tk_snap *snap;
  tk_meta meta;
  REQUIRE(world_open(w, NULL));
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &meta, &w->err);
  tk_snap_close(snap);
  CHECK_EQ_INT(meta.tasks_by_status[TK_TASK_COMPLETE], tasks);
  CHECK_EQ_INT(meta.last_seq, tasks * 7);
  CHECK_WHOLE(w);
}

TEST(processes_take_turns_on_one_store_and_lose_nothing) {
  world *w = closed_world();
  CHECK(run_processes(w, 3, 60, "{}", NULL));
  check_all_done(w, 180);
  world_free(w);
}

TEST(processes_enlarge_the_store_under_each_other) {
  world *w = closed_world();
  char *results = tk_calloc(1, 60001);
  memset(results, '1', 60000);
  CHECK(run_processes(w, 3, 30, results, &smallest));
  check_all_done(w, 90);
  tk_free(results);
  world_free(w);
}

TEST(a_turn_that_fills_the_map_is_written_whole_after_it_has_grown) {
  world *w = world_new_with("lmdb:", &smallest);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  size_t size = 300000;
  char *context = tk_calloc(1, size + 1);
  memset(context, '7', size);
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_submission s[20];
  for (int i = 0; i < 20; i++) {
    s[i] = world_submission(definition, context);
    if (i == 10) s[i].queue = tk_slice_str("a queue that is new in this turn");
    turn_submit(w, &s[i]);
  }
  CHECK_EQ_INT(turn_apply(w), 0);
  tk_snap *snap;
  tk_meta meta;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &meta, &w->err);
  CHECK_EQ_INT(meta.last_seq, 20);
  CHECK_EQ_INT(meta.next_task, 21);
  CHECK(tk_snap_find_name(snap, tk_slice_str("a queue that is new in this turn")) != 0);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  world_submit(w, definition);
  CHECK_WHOLE(w);
  tk_free(context);
  world_free(w);
}

/* ---- Opening ---- */

static int open_code(const char *url, const tk_store_options *options, tk_err *err) {
  static const tk_store_options usual = {0};
  tk_store *store;
  int rc = tk_store_open(url, options ? options : &usual, &store, err);
  if (!rc) tk_store_close(store);
  return rc;
}

static int entries_in(const char *path) {
  char command[128];
  snprintf(command, sizeof command, "ls -A %s | wc -l", path);
  FILE *pipe = popen(command, "r");
  int count = -1;
  if (fscanf(pipe, "%d", &count) != 1) count = -1;
  pclose(pipe);
  return count;
}

TEST(reading_never_makes_a_store) {
  char path[] = "/tmp/tasker-test-XXXXXX", missing[64];
  tk_store_options reading = {.read_only = true};
  tk_err err;
  REQUIRE(mkdtemp(path) != NULL);
  snprintf(missing, sizeof missing, "%s/none", path);
  CHECK_EQ_INT(open_code(missing, &reading, &err), TK_E_NOT_FOUND);
  CHECK_EQ_INT(open_code(path, &reading, &err), TK_E_NOT_FOUND);
  CHECK_EQ_INT(entries_in(path), 0);
  world_remove_folder(path);
}

TEST(a_store_opened_for_reading_refuses_to_write) {
  world *w = world_new("lmdb:");
  tk_store_options reading = {.read_only = true};
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  world_submit(w, definition);
  tk_store_close(w->store);
  REQUIRE(world_open(w, &reading));
  CHECK_EQ_INT(tk_store_begin(w->store, &w->err), TK_E_REFUSED);
  CHECK_WHOLE(w);
  world_free(w);
}

TEST(a_store_cannot_be_opened_twice_by_two_copies_of_the_library_in_a_process) {
  world *w = world_new("lmdb:");
  tk_store_options alone = {.exclusive = true};
  tk_err err;
  CHECK_EQ_INT(open_code(w->url, NULL, &err), TK_E_CONFLICT);
  CHECK_EQ_INT(open_code(w->url, &alone, &err), TK_E_REFUSED);
  world_free(w);
}

TEST(what_is_no_store_is_refused_with_one_sentence) {
  char path[] = "/tmp/tasker-test-XXXXXX", file[64];
  tk_err err;
  REQUIRE(mkdtemp(path) != NULL);
  snprintf(file, sizeof file, "%s/data.mdb", path);
  static const size_t sizes[] = {0, 1, 100, 4096, 8192, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    FILE *f = fopen(file, "w");
    for (size_t k = 0; k < sizes[i]; k++) fputc((int)(k * 31 % 251), f);
    fclose(f);
    CHECK_EQ_INT(open_code(path, NULL, &err), TK_E_CORRUPT);
    CHECK(strstr(err.message, path) != NULL && strchr(err.message, '\n') == NULL);
  }
  CHECK_EQ_INT(open_code(file, NULL, &err), TK_E_CORRUPT);
  CHECK_EQ_INT(open_code("postgres://somewhere", NULL, &err), TK_E_UNSUPPORTED);
  CHECK_EQ_INT(open_code("", NULL, &err), TK_E_INVALID);
  CHECK_EQ_INT(open_code("/proc/none/here", NULL, &err), TK_E_IO);
  world_remove_folder(path);
}

TEST(a_file_that_was_cut_is_refused_and_left_as_it_is) {
  world *w = world_new("lmdb:");
  char file[160];
  struct stat st;
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  for (int i = 0; i < 30; i++) world_submit(w, definition);
  tk_store_close(w->store);
  w->store = NULL;
  snprintf(file, sizeof file, "%s/data.mdb", w->url);
  REQUIRE(stat(file, &st) == 0);
  off_t whole = st.st_size;
  int corrupt = 0;
  for (off_t size = whole - 4096; size >= 4096; size -= 4096) {
    REQUIRE(truncate(file, size) == 0);
    int rc = open_code(w->url, NULL, &w->err);
    corrupt += rc == TK_E_CORRUPT;
    if (rc == 0) break;                           /* only what nothing leads to was missing; a store again */
    CHECK_EQ_INT(rc, TK_E_CORRUPT);
    REQUIRE(stat(file, &st) == 0);
    CHECK_EQ_INT(st.st_size, size);
  }
  CHECK(corrupt > 0);
  world_free(w);
}

/* Writes a meta record of another format or protocol. */
static void put_meta(world *w, uint32_t format, uint32_t protocol) {
  tk_kv_txn *txn;
  tk_key key = tk_key_meta();
  tk_buf buf = {0};
  tk_meta_record meta;
  tk_slice record;
  if (tk_kv_begin(w->store->kv, true, &txn, &w->err) || tk_kv_get(txn, TK_TABLE_META, tk_key_slice(&key), &record, &w->err))
    abort();
  tk_read_meta(tk_key_slice(&key), record, &meta);
  meta.format = format;
  meta.protocol = protocol;
  if (tk_kv_put(txn, TK_TABLE_META, tk_key_slice(&key), tk_write_meta(&buf, tk_key_slice(&key), &meta), 0, &w->err)) abort();
  if (tk_kv_commit(txn, &w->err)) abort();
  tk_buf_free(&buf);
}

TEST(another_format_or_protocol_is_refused_at_open_and_before_each_turn) {
  for (int i = 0; i < 2; i++) {
    world *w = world_new("lmdb:");
    put_meta(w, TK_STORE_FORMAT + (i == 0), TK_STORE_PROTOCOL + (i == 1));
    CHECK_EQ_INT(tk_store_begin(w->store, &w->err), TK_E_UNSUPPORTED);
    tk_store_close(w->store);
    w->store = NULL;
    CHECK_EQ_INT(open_code(w->url, NULL, &w->err), TK_E_UNSUPPORTED);
    world_free(w);
  }
}

TEST(an_older_store_gets_the_tables_that_came_later_and_what_is_no_store_gets_none) {
  static const char *const tables[] = {"something else", "meta"};
  for (int i = 0; i < 2; i++) {
    char path[] = "/tmp/tasker-test-XXXXXX";
    tk_store_options reading = {.read_only = true};
    tk_err err;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    REQUIRE(mkdtemp(path) != NULL);
    if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 2) || mdb_env_open(env, path, 0, 0600) ||
        mdb_txn_begin(env, NULL, 0, &txn))
      abort();
    if (mdb_dbi_open(txn, tables[i], MDB_CREATE, &table) || mdb_txn_commit(txn)) abort();
    mdb_env_close(env);
    CHECK_EQ_INT(open_code(path, &reading, &err), i ? TK_E_UNSUPPORTED : TK_E_CORRUPT);
    CHECK_EQ_INT(open_code(path, NULL, &err), i ? 0 : TK_E_CORRUPT);
    if (i) CHECK_EQ_INT(open_code(path, &reading, &err), 0);
    world_remove_folder(path);
  }
}

TEST(a_store_survives_being_closed_and_opened) {
  world *w = world_new("lmdb:");
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  world_submit(w, definition);
  tk_store_close(w->store);
  REQUIRE(world_open(w, NULL));
  CHECK_EQ_INT(world_work(w, &definition, 1, 5, "{\"x\":1}"), 1);
  CHECK_WHOLE(w);
  world_free(w);
}

/* ---- Copies ---- */

TEST(a_backup_opens_as_a_store_and_goes_only_into_an_empty_folder) {
  world *w = world_new("lmdb:");
  char to[160];
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  for (int i = 0; i < 20; i++) world_submit(w, definition);
  snprintf(to, sizeof to, "%s/copy/deep", w->url);
  CHECK_EQ_INT(tk_store_backup(w->store, to, &w->err), 0);
  world_submit(w, definition);
  CHECK_EQ_INT(tk_store_backup(w->store, to, &w->err), TK_E_REFUSED);
  world copy = {.now_us = w->now_us};
  snprintf(copy.url, sizeof copy.url, "%.127s", to);
  REQUIRE(world_open(&copy, NULL));
  tk_snap *snap;
  tk_meta meta;
  REQUIRE(tk_snap_open(copy.store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &meta, &w->err);
  CHECK_EQ_INT(meta.next_task, 21);
  tk_snap_close(snap);
  CHECK_WHOLE(&copy);
  tk_store_close(copy.store);
  world_free(w);
}

TEST(a_store_in_memory_says_that_it_cannot_be_copied) {
  world *w = world_new("memory:");
  char to[] = "/tmp/tasker-test-XXXXXX";
  uint64_t before, after;
  REQUIRE(mkdtemp(to) != NULL);
  CHECK_EQ_INT(tk_store_backup(w->store, to, &w->err), TK_E_UNSUPPORTED);
  CHECK_EQ_INT(tk_store_compact("memory:", &before, &after, &w->err), TK_E_UNSUPPORTED);
  world_remove_folder(to);
  world_free(w);
}

TEST(compact_gives_space_back_when_the_store_is_alone) {
  world *w = world_new("lmdb:");
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  uint64_t before, after;
  char *big = tk_calloc(1, 500001);
  memset(big, '5', 500000);
  world_submit(w, definition);
  uint32_t queue = 1;
  tk_plan plan = {.queues = &queue, .queue_count = 1, .definitions = &definition, .definition_count = 1, .candidates = 1};
  REQUIRE(turn_begin(w, &plan) == 0);
  tk_decide_claim(&w->d, tk_store_task(w->store, 1, &w->err), &w->load.candidates[0], true);
  REQUIRE(turn_apply(w) == 0);
  for (int i = 0; i < 5; i++) {
    tk_event beat = {.type = TK_EV_HEARTBEAT, .task_no = 1, .step = 0, .attempt = 1, .data = tk_slice_of(big, 500000)};
    CHECK_EQ_INT(world_event(w, beat), 0);
  }
  tk_event last = {.type = TK_EV_HEARTBEAT, .task_no = 1, .step = 0, .attempt = 1, .data = tk_slice_str("1")};
  CHECK_EQ_INT(world_event(w, last), 0);
  CHECK_EQ_INT(tk_store_compact(w->url, &before, &after, &w->err), TK_E_REFUSED);
  tk_store_close(w->store);
  w->store = NULL;
  CHECK_EQ_INT(tk_store_compact(w->url, &before, &after, &w->err), 0);
  CHECK(before > 1000000 && after < 200000);
  REQUIRE(world_open(w, NULL));
  CHECK_WHOLE(w);
  tk_free(big);
  world_free(w);
}

/* ---- Size ---- */

#define SIZE_TASKS 20000

TEST(a_finished_task_of_one_step_costs_at_most_700_bytes) {
  world *w = world_new("lmdb:");
  uint32_t definition = world_define(w, "one", "1.0.0", 1, SHAPE_CHAIN);
  tk_store_options relaxed = {.durability = TK_DURABILITY_RELAXED};
  tk_store_stats stats;
  tk_store_close(w->store);
  REQUIRE(world_open(w, &relaxed));
  for (int i = 0; i < SIZE_TASKS / 500; i++) {
    static tk_submission s[500];
    static char contexts[500][32];
    REQUIRE(turn_begin(w, &nothing) == 0);
    for (int k = 0; k < 500; k++) {
      snprintf(contexts[k], sizeof contexts[k], "{\"number\":%d}", i * 500 + k);
      s[k] = world_submission(definition, contexts[k]);
      turn_submit(w, &s[k]);
    }
    REQUIRE(turn_apply(w) == 0);
    w->now_us += 1000;
  }
  while (world_work(w, &definition, 1, 500, "{\"done\":true}")) w->now_us += 1000;
  REQUIRE(tk_store_stats_of(w->store, &stats, &w->err) == 0);
  CHECK(stats.bytes / SIZE_TASKS <= 700);
  CHECK(stats.used_bytes / SIZE_TASKS <= 500);
  if (getenv("TASKER_TEST_SIZES"))
    fprintf(stderr, "%llu bytes of file, %llu in use for a task\n", (unsigned long long)stats.bytes / SIZE_TASKS,
            (unsigned long long)stats.used_bytes / SIZE_TASKS);
  CHECK_WHOLE(w);
  world_free(w);
}

TEST_MAIN
