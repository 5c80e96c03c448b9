/* The floor: what LMDB and bare Lua coroutine calls cost with the records that steps need, and nothing else.
 *
 * One thread. A group of steps is run (one lua_resume each), then written in one transaction with default durability: the
 * task's record once, one log record with its entries, a payload for each step's results, one claims record for the group, one
 * record of counters. Then the next group. No index, no checks, no checksums, no wake-ups: a lower bound to measure against.
 *
 * usage: floor [--shape 1,1,1,...] [--tasks N] [--group N] [--json] [--dir DIR]     steps a second
 *        floor --commit N [--pause MS] [--json] [--dir DIR]      one small put a commit, after a pause: disks fall asleep */
#include <errno.h>
#include <getopt.h>
#include <lauxlib.h>
#include <lmdb.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

enum { STAGES_MAX = 64, LOG_ENTRY_SIZE = 30, TASK_HEAD_SIZE = 100, STEP_SIZE = 10, COUNTERS_SIZE = 120 };

typedef struct floor_task {
  uint32_t stage, left; /* steps of the stage that have not run */
} floor_task;

typedef struct floor_run {
  MDB_env *env;
  MDB_dbi tasks, log, payloads, claims, meta;
  MDB_txn *txn;
  MDB_cursor *task_cursor, *log_cursor, *payload_cursor;
  lua_State *L, *fiber;
  uint32_t widths[STAGES_MAX], stage_count, steps_a_task;
  floor_task *state;
  size_t task_count, first_open, last_open; /* tasks [first_open, last_open) are under way */
  size_t group, group_size_max;
  uint64_t next_log, next_payload;
  int64_t *commit_us;
  size_t commit_count;
  size_t bytes; /* of records written */
} floor_run;

static void check(int rc, const char *what) {
  if (rc == 0) return;
  fprintf(stderr, "floor: %s: %s\n", what, mdb_strerror(rc));
  exit(EXIT_FAILURE);
}

static void put(floor_run *run, MDB_cursor *cursor, MDB_dbi dbi, uint64_t number, size_t size, unsigned flags) {
  static char bytes[1 << 20];
  char key[8];
  tk_put_u64be(key, number);
  MDB_val k = {sizeof key, key}, v = {size, bytes};
  check(cursor ? mdb_cursor_put(cursor, &k, &v, flags) : mdb_put(run->txn, dbi, &k, &v, flags), "put");
  run->bytes += sizeof key + size;
}

static size_t task_size(const floor_run *run) { return TASK_HEAD_SIZE + (size_t)STEP_SIZE * run->steps_a_task; }

static void open_environment(floor_run *run, const char *dir) {
  check(mdb_env_create(&run->env), "create");
  check(mdb_env_set_maxdbs(run->env, 8), "maxdbs");
  check(mdb_env_set_mapsize(run->env, (size_t)8 << 30), "mapsize");
  check(mdb_env_open(run->env, dir, 0, 0600), dir);
  check(mdb_txn_begin(run->env, NULL, 0, &run->txn), "begin");
  check(mdb_dbi_open(run->txn, "tasks", MDB_CREATE, &run->tasks), "tasks");
  check(mdb_dbi_open(run->txn, "log", MDB_CREATE, &run->log), "log");
  check(mdb_dbi_open(run->txn, "payloads", MDB_CREATE, &run->payloads), "payloads");
  check(mdb_dbi_open(run->txn, "claims", MDB_CREATE, &run->claims), "claims");
  check(mdb_dbi_open(run->txn, "meta", MDB_CREATE, &run->meta), "meta");
  for (size_t no = 0; no < run->task_count; no++) put(run, NULL, run->tasks, no, task_size(run), MDB_APPEND);
  check(mdb_txn_commit(run->txn), "commit");
  run->bytes = 0;
}

/* The function of a step and the coroutine that calls it again at each resume. */
static void open_lua(floor_run *run) {
  static const char code[] =
      "local yield = coroutine.yield\n"
      "local function step(task) return '{\"charged\":12,\"x\":1}' end\n"
      "return function(task) while true do task = yield(step(task)) end end\n";
  run->L = luaL_newstate();
  luaL_openlibs(run->L);
  if (luaL_dostring(run->L, code) != LUA_OK) exit(EXIT_FAILURE);
  run->fiber = lua_newthread(run->L);
  lua_insert(run->L, -2);
  lua_xmove(run->L, run->fiber, 1);
}

static size_t run_step(floor_run *run, size_t task) {
  int result_count;
  lua_pushinteger(run->fiber, (lua_Integer)task);
  if (lua_resume(run->fiber, run->L, 1, &result_count) != LUA_YIELD) exit(EXIT_FAILURE);
  size_t size;
  lua_tolstring(run->fiber, -1, &size);
  lua_pop(run->fiber, result_count);
  return size;
}

/* Steps of one task in this group: it is written once, whatever their number. Returns how many there were. */
static size_t run_task(floor_run *run, size_t no, size_t room) {
  floor_task *task = &run->state[no];
  size_t count = task->left < room ? task->left : room;
  for (size_t i = 0; i < count; i++) {
    size_t size = run_step(run, no);
    put(run, run->payload_cursor, 0, run->next_payload++, size, MDB_APPEND);
  }
  task->left -= (uint32_t)count;
  put(run, run->task_cursor, 0, no, task_size(run), 0);
  put(run, run->log_cursor, 0, run->next_log, 2 * LOG_ENTRY_SIZE * count, MDB_APPEND);
  run->next_log += 2 * count; /* started and completed */
  return count;
}

static void advance(floor_run *run) {
  for (size_t no = run->first_open; no < run->last_open; no++) {
    floor_task *task = &run->state[no];
    if (task->left == 0 && task->stage < run->stage_count && ++task->stage < run->stage_count)
      task->left = run->widths[task->stage];
  }
  while (run->first_open < run->last_open && run->state[run->first_open].stage == run->stage_count) run->first_open++;
}

/* One group and its commit. Returns the number of its steps; 0: all is done. */
static size_t run_group(floor_run *run) {
  check(mdb_txn_begin(run->env, NULL, 0, &run->txn), "begin");
  check(mdb_cursor_open(run->txn, run->tasks, &run->task_cursor), "cursor");
  check(mdb_cursor_open(run->txn, run->log, &run->log_cursor), "cursor");
  check(mdb_cursor_open(run->txn, run->payloads, &run->payload_cursor), "cursor");
  size_t count = 0;
  for (size_t no = run->first_open; count < run->group_size_max && no < run->task_count; no++) {
    if (no == run->last_open) run->last_open++;
    if (run->state[no].left > 0) count += run_task(run, no, run->group_size_max - count);
  }
  if (count == 0) {
    mdb_txn_abort(run->txn);
    return 0;
  }
  put(run, NULL, run->claims, run->group, count * 5, MDB_APPEND);
  if (run->group > 0) {
    char key[8];
    tk_put_u64be(key, run->group - 1);
    MDB_val k = {sizeof key, key};
    check(mdb_del(run->txn, run->claims, &k, NULL), "del");
  }
  put(run, NULL, run->meta, 0, COUNTERS_SIZE, 0);
  run->group++;
  int64_t before = tk_monotonic_us();
  check(mdb_txn_commit(run->txn), "commit");
  run->commit_us[run->commit_count++] = tk_monotonic_us() - before;
  advance(run);
  return count;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static double median_ms(int64_t *values, size_t count) {
  if (count == 0) return 0;
  qsort(values, count, sizeof *values, by_size);
  return (double)values[count / 2] / 1000;
}

static size_t wire(floor_run *run, const char *shape, size_t tasks, size_t group) {
  run->task_count = tasks;
  run->group_size_max = group;
  for (const char *at = shape; *at && run->stage_count < STAGES_MAX;) {
    char *end;
    unsigned long width = strtoul(at, &end, 10);
    if (end == at || width == 0 || width > 100000) break;
    run->widths[run->stage_count++] = (uint32_t)width;
    run->steps_a_task += (uint32_t)width;
    at = *end ? end + 1 : end;
  }
  run->state = tk_calloc(tasks + 1, sizeof *run->state);
  for (size_t i = 0; i < tasks; i++) run->state[i].left = run->widths[0];
  size_t total = tasks * run->steps_a_task;
  run->commit_us = tk_calloc(total + 1, sizeof *run->commit_us);
  return total;
}

static void measure_steps(const char *dir, const char *shape, size_t tasks, size_t group, bool json) {
  floor_run run = {0};
  size_t total = wire(&run, shape, tasks, group);
  open_environment(&run, dir);
  open_lua(&run);
  int64_t started = tk_monotonic_us();
  size_t done = 0, count;
  while ((count = run_group(&run)) > 0) done += count;
  double seconds = (double)(tk_monotonic_us() - started) / 1e6;
  if (done != total) {
    fprintf(stderr, "floor: %zu of %zu steps done\n", done, total);
    exit(EXIT_FAILURE);
  }
  double rate = (double)total / seconds, size = (double)total / (double)run.commit_count;
  double commit_ms = median_ms(run.commit_us, run.commit_count), bytes = (double)run.bytes / (double)total;
  printf(json ? "{\"steps_per_second\":%.0f,\"group\":%.1f,\"commit_p50_ms\":%.3f,\"bytes_per_step\":%.0f}\n"
              : "%.0f steps/s, %.1f steps a group, commit p50 %.3f ms, %.0f bytes a step\n",
         rate, size, commit_ms, bytes);
  lua_close(run.L);
  mdb_env_close(run.env);
  tk_free(run.state);
  tk_free(run.commit_us);
}

/* p50 of single commits, and of ten in a row: a median does not add up. */
static void measure_commits(const char *dir, size_t count, unsigned pause_ms, bool json) {
  floor_run run = {0};
  open_environment(&run, dir);
  int64_t *one = tk_calloc(count + 1, sizeof *one), *ten = tk_calloc(count / 10 + 1, sizeof *ten);
  for (size_t i = 0; i < count; i++) {
    if (pause_ms) usleep(pause_ms * 1000);
    int64_t before = tk_monotonic_us();
    check(mdb_txn_begin(run.env, NULL, 0, &run.txn), "begin");
    put(&run, NULL, run.log, i + 1, LOG_ENTRY_SIZE, MDB_APPEND);
    check(mdb_txn_commit(run.txn), "commit");
    one[i] = tk_monotonic_us() - before;
    if (i / 10 < count / 10) ten[i / 10] += one[i];
  }
  double ten_ms = median_ms(ten, count / 10), one_ms = median_ms(one, count);
  printf(json ? "{\"commits\":%zu,\"commit_p50_ms\":%.3f,\"ten_commits_p50_ms\":%.3f}\n"
              : "%zu commits, p50 %.3f ms, ten in a row p50 %.3f ms\n",
         count, one_ms, ten_ms);
  mdb_env_close(run.env);
  tk_free(one);
  tk_free(ten);
}

static void remove_store(const char *dir) {
  static const char *const names[] = {"data.mdb", "lock.mdb"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  rmdir(dir);
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"shape", required_argument, NULL, 's'}, {"tasks", required_argument, NULL, 't'},
    {"group", required_argument, NULL, 'g'}, {"commit", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
    {"pause", required_argument, NULL, 'p'}, {"dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
  const char *shape = "1,1,1,1,1,1,1,1,1,1", *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
  size_t tasks = 2000, group = 256, commits = 0, pause_ms = 0;
  bool json = false;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 's') shape = optarg;
    else if (option == 't') tasks = strtoul(optarg, NULL, 10);
    else if (option == 'g') group = strtoul(optarg, NULL, 10);
    else if (option == 'c') commits = strtoul(optarg, NULL, 10);
    else if (option == 'p') pause_ms = strtoul(optarg, NULL, 10);
    else if (option == 'd') parent = optarg;
    else if (option == 'j') json = true;
    else return 2;
  }
  if (group == 0 || tasks == 0) return 2;
  char dir[4096];
  snprintf(dir, sizeof dir, "%s/tasker-floor-XXXXXX", parent);
  if (!mkdtemp(dir)) {
    fprintf(stderr, "floor: %s: %s\n", dir, strerror(errno));
    return EXIT_FAILURE;
  }
  if (commits > 0) measure_commits(dir, commits, (unsigned)pause_ms, json);
  else measure_steps(dir, shape, tasks, group, json);
  remove_store(dir);
  return EXIT_SUCCESS;
}
