/* A small world around a store for tests: handlers, turns with the real decide, a virtual clock. */
#ifndef TK_SPEC_STORE_SUPPORT_H
#define TK_SPEC_STORE_SUPPORT_H
#include <ftw.h>
#include <unistd.h>

#include "base/alloc.h"
#include "model/decide.h"
#include "store/parts.h"
#include "test.h"

#define TEST_GRAPHS 16

typedef struct world {
  tk_store *store;
  char url[128];                    /* "memory:" or a folder of its own */
  tk_graph *graphs[TEST_GRAPHS];    /* by definition number */
  tk_arena arena;
  tk_changes changes;
  tk_load load;
  tk_decide d;
  tk_limit_source limits;
  tk_rng rng;
  tk_id_source ids;
  tk_process process;
  uint64_t turn;
  int64_t now_us;
  tk_err err;
} world;

#define EPOCH_US INT64_C(1767225600000000)

static inline const tk_graph *world_graph(void *context, uint32_t definition) {
  world *w = context;
  return definition < TEST_GRAPHS ? w->graphs[definition] : NULL;
}

static inline bool world_open(world *w, const tk_store_options *options) {
  static const tk_store_options usual = {0};
  return tk_store_open(w->url, options ? options : &usual, &w->store, &w->err) == 0;
}

/* kind: "memory:" or "lmdb:". */
static inline world *world_new_with(const char *kind, const tk_store_options *options) {
  world *w = tk_calloc(1, sizeof *w);
  if (strcmp(kind, "memory:") == 0) strcpy(w->url, kind);
  else {
    strcpy(w->url, "/tmp/tasker-test-XXXXXX");
    if (!mkdtemp(w->url)) abort();
  }
  w->now_us = EPOCH_US;
  tk_rng_seed(&w->rng, 7);
  if (!world_open(w, options)) {
    fprintf(stderr, "cannot open %s: %s\n", w->url, w->err.message);
    abort();
  }
  tk_random_bytes(w->process.incarnation, sizeof w->process.incarnation);
  w->process.pid = getpid();
  w->process.since_us = w->now_us;
  if (tk_store_join(w->store, &w->process, &w->err)) abort();
  return w;
}
static inline world *world_new(const char *kind) { return world_new_with(kind, NULL); }

static inline int world_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}
static inline void world_remove_folder(const char *path) { nftw(path, world_remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static inline void world_free(world *w) {
  if (w->store) tk_store_close(w->store);
  for (int i = 0; i < TEST_GRAPHS; i++)
    if (w->graphs[i]) tk_graph_free(w->graphs[i]);
  tk_arena_free(&w->arena);
  if (strcmp(w->url, "memory:") != 0) world_remove_folder(w->url);
  tk_free(w);
}

/* Defines a handler; `shape` decides the dependencies of step i. Returns its number. */
enum {
  SHAPE_CHAIN, SHAPE_PARALLEL, SHAPE_FAN /* the first, then all others */, SHAPE_PEOPLE /* approvals */, SHAPE_LIMITED,
  SHAPE_UNDO /* a chain whose steps can be undone */
};
static inline uint32_t world_define(world *w, const char *name, const char *version, uint32_t steps, int shape) {
  tk_graph from = {.ns = tk_slice_str("test"),
                   .name = tk_slice_str(name),
                   .version = tk_slice_str(version),
                   .queue = tk_slice_str("default"),
                   .step_count = steps};
  from.steps = tk_calloc(steps, sizeof *from.steps);
  char (*names)[16] = tk_calloc(steps, sizeof *names);
  uint32_t *deps = tk_calloc(steps, sizeof *deps);
  static const tk_graph_limit pace = {.name = {"pace", 4}, .cost = 2};
  for (uint32_t i = 0; i < steps; i++) {
    snprintf(names[i], sizeof names[i], "s%u", i);
    deps[i] = (shape == SHAPE_CHAIN || shape == SHAPE_UNDO) && i ? i - 1 : 0;
    from.steps[i] = (tk_graph_step){.name = tk_slice_str(names[i]), .deps = &deps[i], .dep_count = i && shape != SHAPE_PARALLEL,
                                    .flags = TK_GRAPH_RETRYABLE | TK_GRAPH_SKIPPABLE};
    if (shape == SHAPE_UNDO) from.steps[i].flags |= TK_GRAPH_COMPENSATES;
    if (shape == SHAPE_PEOPLE) from.steps[i].kind = TK_KIND_APPROVAL, from.steps[i].flags |= TK_GRAPH_ASK;
    if (shape == SHAPE_LIMITED) from.steps[i].limits = &pace, from.steps[i].limit_count = 1;
    from.steps[i].retry =
        (tk_retry){.limit = 3, .lost_limit = 10, .backoff = TK_BACKOFF_FIXED, .jitter = TK_JITTER_NONE, .base = 1};
  }
  tk_graph *graph;
  tk_buf bytes = {0};
  uint32_t number = 0;
  if (tk_graph_build(&from, &graph, &w->err)) abort();
  tk_graph_encode(graph, &bytes);
  tk_definition definition = {.ns = from.ns, .name = from.name, .version = from.version, .graph = tk_buf_slice(&bytes),
                              .json = tk_slice_str("{}"), .created_at_us = w->now_us};
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ (uint8_t)bytes.data[i]) * 0x100000001B3u;
  memcpy(definition.hash, &hash, sizeof hash);
  if (tk_store_define(w->store, &definition, tk_slice_of(NULL, 0), &number, &w->err) || number >= TEST_GRAPHS) abort();
  if (w->graphs[number]) tk_graph_free(graph);
  else w->graphs[number] = graph;
  tk_buf_free(&bytes);
  tk_free(deps);
  tk_free(names);
  tk_free(from.steps);
  return number;
}

/* ---- Turns ---- */

static inline int turn_begin(world *w, const tk_plan *wanted) {
  tk_plan plan = *wanted;
  plan.now_us = w->now_us;
  tk_arena_reset(&w->arena);
  w->turn++;
  w->changes = (tk_changes){.arena = &w->arena};
  int rc = tk_store_begin(w->store, &w->err);
  if (!rc && (rc = tk_store_load(w->store, &w->arena, &plan, world_graph, w, &w->load, &w->err))) tk_store_abort(w->store);
  w->changes.next_task = w->load.next_task;
  w->changes.next_payload = w->load.next_payload;
  tk_store_limit_source(w->store, &w->limits);
  w->d = (tk_decide){.changes = &w->changes, .now_us = w->now_us, .rng = &w->rng, .process = w->process.number, .limits = &w->limits};
  return rc;
}

/* What the engine does before it applies: entries that a later event of the turn has overtaken. */
static inline void turn_drop_stale(world *w) {
  tk_changes *c = &w->changes;
  size_t kept = 0;
  for (size_t i = 0; i < c->ready.count; i++) {
    const tk_step *step = tk_task_step(tk_store_task(w->store, c->ready.items[i].task_no, NULL), c->ready.items[i].step);
    if (step->status == TK_STEP_READY && !(step->flags & (TK_STEP_F_HELD | TK_STEP_F_ASKING)))
      c->ready.items[kept++] = c->ready.items[i];
  }
  c->ready.count = kept;
}

static inline int turn_apply_batches(world *w, const uint64_t *batches, size_t count) {
  tk_apply apply = {
      .changes = &w->changes, .process = w->process.number, .finished_batches = batches, .finished_batch_count = count};
  tk_applied applied;
  memcpy(apply.mark.incarnation, w->process.incarnation, 16);
  apply.mark.turn = w->turn;
  turn_drop_stale(w);
  return tk_store_apply(w->store, &apply, &applied, &w->err);
}
static inline int turn_apply(world *w) { return turn_apply_batches(w, NULL, 0); }

static inline tk_submission world_submission(uint32_t definition, const char *context) {
  tk_slice unknown = tk_slice_str("unknown");
  tk_submission s = {.definition = definition, .queue = tk_slice_str("default")};
  s.info = (tk_task_info){.initiator = unknown,
                          .source_system = unknown,
                          .reason = unknown,
                          .queue = s.queue,
                          .context = tk_slice_str(context),
                          .requested_at_us = EPOCH_US - 5};
  return s;
}

/* Makes a task inside a turn. */
static inline tk_task *turn_submit(world *w, tk_submission *s) {
  tk_task *task = TK_ARENA_NEW(&w->arena, tk_task);
  s->graph = w->graphs[s->definition];
  task->no = w->changes.next_task++;
  task->id = tk_id_next(&w->ids, w->now_us, &w->rng);
  task->queue = tk_store_name(w->store, s->queue, &w->err);
  if (!task->queue || tk_decide_submit(&w->d, task, s, &w->err)) abort();
  tk_store_adopt(w->store, task);
  return task;
}

/* A turn of its own for one task; returns its number. */
static inline uint64_t world_submit(world *w, uint32_t definition) {
  tk_plan plan = {0};
  tk_submission s = world_submission(definition, "{}");
  if (turn_begin(w, &plan)) abort();
  uint64_t no = turn_submit(w, &s)->no;
  if (turn_apply(w)) abort();
  return no;
}

/* A turn that works off at most `limit` ready steps of the definitions: claimed and done at once. Returns how many. */
static inline size_t world_work(world *w, const uint32_t *definitions, size_t definition_count, size_t limit,
                                const char *results) {
  tk_snap *snap;
  if (tk_snap_open(w->store, &snap, &w->err)) abort();
  uint32_t queue = tk_snap_find_name(snap, tk_slice_str("default"));
  tk_snap_close(snap);
  tk_plan plan = {.queues = &queue,
                  .queue_count = 1,
                  .definitions = definitions,
                  .definition_count = definition_count,
                  .candidates = limit,
                  .timers = 1024, .due = true};
  if (turn_begin(w, &plan)) abort();
  for (size_t i = 0; i < w->load.event_count; i++) tk_decide_event(&w->d, w->load.event_tasks[i], &w->load.events[i], NULL, NULL);
  size_t done = 0;
  for (size_t i = 0; i < w->load.candidate_count; i++) {
    tk_ready *ready = &w->load.candidates[i];
    tk_task *task = tk_store_task(w->store, ready->task_no, &w->err);
    if (!task || tk_decide_claim(&w->d, task, ready, true) != TK_CLAIM_RUN) continue;
    tk_event event = {.type = TK_EV_STEP_DONE,
                      .task_no = task->no,
                      .step = ready->step,
                      .attempt = tk_task_step(task, ready->step)->attempts,
                      .data = tk_slice_str(results)};
    tk_decide_event(&w->d, task, &event, NULL, NULL);
    done++;
  }
  w->changes.claims.count = 0;      /* all of them are finished already */
  if (turn_apply(w)) abort();
  return done;
}

/* One event from outside in a turn of its own. */
static inline int world_event(world *w, tk_event event) {
  tk_plan plan = {.events = &event, .event_count = 1};
  int rc = turn_begin(w, &plan);
  if (rc) return rc;
  if (!w->load.tasks[0]) {
    tk_store_abort(w->store);
    return TK_E_NOT_FOUND;
  }
  rc = tk_decide_event(&w->d, w->load.tasks[0], &event, NULL, &w->err);
  if (rc) tk_store_abort(w->store);
  else rc = turn_apply(w);
  return rc;
}

/* ---- Looking ---- */

typedef struct damage_list { int count; char first[512]; } damage_list;
static inline void world_note_damage(void *context, const char *what) {
  damage_list *list = context;
  if (!list->count++) snprintf(list->first, sizeof list->first, "%s", what);
}
static inline damage_list world_damages(world *w) {
  damage_list list = {0};
  int rc = tk_store_check(w->store, world_note_damage, NULL, &list, &w->err);
  if (rc < 0) {
    list.count = -1;
    snprintf(list.first, sizeof list.first, "%.500s", w->err.message);
  } else if (rc != list.count) {
    list.count = -2;
  }
  return list;
}
#define CHECK_WHOLE(w) \
  do { \
    damage_list list_ = world_damages(w); \
    CHECK_EQ_STR(list_.first, ""); \
    CHECK_EQ_INT(list_.count, 0); \
  } while (0)

/* Every test over both engines. */
#define TEST_BOTH(name) \
  static void name(const char *kind); \
  TEST(name##_lmdb) { name("lmdb:"); } \
  TEST(name##_memory) { name("memory:"); } \
  static void name(const char *kind)

#endif
