/* What a history is made of, and the random definitions that it runs: part of sim.c. */
#ifndef TK_SPEC_SIM_H
#define TK_SPEC_SIM_H
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "engine/parts.h"   /* for its slots */
#include "model/approval.h"
#include "model/compensation.h"
#include "model/decide.h"

enum { MAX_PROCESSES = 3, MAX_SUBMITTED = 64, MAX_TASKS = 8192, MAX_ZOMBIES = 32, MAX_GRAPHS = 3 };

typedef struct process {
  tk_engine *engine;
  tk_port *port;
  tk_worker_handle *worker;
  tk_run_message *running[4096];
  size_t running_count;
} process;

typedef struct sim {
  uint64_t seed;
  bool verbose;
  tk_rng rng;
  int64_t now_us;
  tk_store *store;
  tk_engine *client;             /* never works, never crashes: people */
  process processes[MAX_PROCESSES];
  uint32_t definitions[MAX_GRAPHS + 1];   /* the last one answers for schedules */
  const tk_graph *graphs[MAX_GRAPHS + 1];
  uint32_t others[MAX_GRAPHS];   /* another version of each graph, with the same steps; 0: nobody migrates */
  uint32_t graph_count;
  tk_id tasks[MAX_TASKS];
  uint32_t task_graph[MAX_TASKS];
  bool moved[MAX_TASKS];         /* it is of the other version */
  size_t task_count, submitted;
  uint64_t next_no;              /* of the first task that is not in `tasks` yet */
  char keys[128];                /* of limits, and a map's list, in the answer on its way */
  tk_event zombies[MAX_ZOMBIES]; /* outcomes of attempts whose process is gone */
  size_t zombie_count;
  tk_buf plan;                   /* of the approval that is answered */
  char failure[512];
} sim;

static void fail(sim *s, const char *format, ...) {
  if (*s->failure) return;
  va_list args;
  va_start(args, format);
  vsnprintf(s->failure, sizeof s->failure, format, args);
  va_end(args);
}

static void say(const sim *s, const char *format, ...) {
  if (!s->verbose) return;
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar(10);
  fflush(stdout);
}

static uint32_t pick(sim *s, uint32_t below) { return (uint32_t)(tk_rng_next(&s->rng) % below); }
static bool chance(sim *s, uint32_t percent) { return pick(s, 100) < percent; }
static int64_t clock_now(void *context) { return ((sim *)context)->now_us; }
static int ask(sim *s, tk_engine *engine, tk_event event, struct tk_answer *answer);

#include "sim_limits.h"

/* ---- Definitions ---- */

/* `below`: how many definitions there are for its children. */
static void random_kind(sim *s, tk_graph_step *step, uint32_t below) {
  static const uint32_t on_child_error[] = {0, TK_GRAPH_CHILD_IGNORES, TK_GRAPH_CHILD_RETRIES};
  uint32_t kind = pick(s, 100), join = pick(s, 100);
  if (kind < 8) {
    step->kind = TK_KIND_SLEEP;
    step->sleep_us = chance(s, 70) ? 1000000LL * pick(s, 20) : -1;
    if (step->sleep_us < 0) step->flags |= TK_GRAPH_ASK;
  } else if (kind < 20) {
    step->flags |= TK_GRAPH_MAP | TK_GRAPH_ASK;
    step->map_parallel = chance(s, 50) ? 1 + pick(s, 5) : 0;
    step->map_failures = chance(s, 30) ? 0.3 : chance(s, 30) ? 2 : 0;
  } else if (kind < 26) {
    step->kind = TK_KIND_SIGNAL;
    step->signal = step->name;
    step->timeout_us = 1000000LL * (1 + pick(s, 30));
    step->flags |= chance(s, 50) ? TK_GRAPH_TIMEOUT_COMPLETES : 0;
  } else if (kind < 32) {
    step->kind = TK_KIND_APPROVAL;
    step->timeout_us = 1000000LL * (1 + pick(s, 60));
    step->flags |= TK_GRAPH_ASK;
    step->flags |= chance(s, 30) ? TK_GRAPH_TIMEOUT_COMPLETES : chance(s, 50) ? TK_GRAPH_TIMEOUT_REJECTS : 0;
    step->flags |= chance(s, 50) ? TK_GRAPH_REJECT_COMPLETES : 0;
    step->flags |= step->timeout_us / 1000000 % 2 ? TK_GRAPH_NOTIFIES : 0;
  } else if (kind < 46 && below) {
    step->kind = TK_KIND_CHILD;
    step->child = tk_slice_str("sim/h0");
    step->timeout_us = chance(s, 20) ? 1000000LL * (1 + pick(s, 60)) : 0;
    step->flags |= TK_GRAPH_ASK | on_child_error[pick(s, 3)];
    step->flags |= chance(s, 30) ? TK_GRAPH_MAP : 0;
    step->map_parallel = chance(s, 50) ? 1 + pick(s, 5) : 0;
    step->map_failures = chance(s, 30) ? 0.3 : chance(s, 30) ? 2 : 0;
  }
  if (!step->dep_count) return;
  if (join < 10) step->join = TK_JOIN_COUNT, step->join_count = 1 + pick(s, step->dep_count);
  else if (join < 20) step->join = TK_JOIN_ALL_DONE;
}

/* Some steps choose between their dependents. */
static void random_switches(sim *s, tk_arena *arena, tk_graph *g) {
  for (uint32_t i = 0; i < g->step_count; i++) {
    if (g->steps[i].kind != TK_KIND_RUN || (g->steps[i].flags & TK_GRAPH_MAP) || !chance(s, 10)) continue;
    tk_graph_case *cases = TK_ARENA_ARRAY(arena, tk_graph_case, 2);
    for (uint32_t out = i + 1; out < g->step_count; out++) {
      bool depends = false;
      for (uint32_t d = 0; d < g->steps[out].dep_count; d++) depends = depends || g->steps[out].deps[d] == i;
      tk_graph_case *c = &cases[pick(s, 2)];
      if (!depends || c->count) continue;
      uint32_t *target = TK_ARENA_ARRAY(arena, uint32_t, 1);
      *target = out;
      c->steps = target;
      c->count = 1;
    }
    cases[0].name = tk_slice_str("x");
    cases[1].name = tk_slice_str("y");
    g->steps[i].kind = TK_KIND_SWITCH;
    g->steps[i].flags |= TK_GRAPH_ASK;
    g->steps[i].cases = cases;
    g->steps[i].case_count = 2;
  }
}

/* below: definitions with lower numbers may be its children. */
static void random_step(sim *s, tk_arena *arena, tk_graph_step *step, uint32_t index, bool wide, uint32_t below, bool undoes) {
  char name[16];
  snprintf(name, sizeof name, "s%u", index);
  step->name = tk_arena_copy(arena, tk_slice_str(name));
  step->flags = (chance(s, 90) ? TK_GRAPH_RETRYABLE : 0) | (chance(s, 30) ? TK_GRAPH_SKIPPABLE : 0) |
                (chance(s, 10) ? TK_GRAPH_CONTINUE : 0) | (chance(s, 15) ? TK_GRAPH_ASK : 0);
  step->retry = (tk_retry){.limit = 1 + pick(s, 4), .lost_limit = 2 + pick(s, 9), .backoff = (uint8_t)pick(s, TK_BACKOFF_LIST),
                           .jitter = (uint8_t)pick(s, TK_JITTER_FRACTION), .base = 1, .factor = 2, .cap = 60};
  uint32_t *deps = TK_ARENA_ARRAY(arena, uint32_t, index + 1), most = wide ? 1 : 3;
  if (wide && index) deps[step->dep_count++] = 0;
  for (uint32_t d = 0; !wide && d < index && step->dep_count < most; d++)
    if (chance(s, 200 / index + 1)) deps[step->dep_count++] = d;
  step->deps = deps;
  random_kind(s, step, wide ? 0 : below);
  if (undoes) step->flags |= TK_GRAPH_COMPENSATES | (chance(s, 40) ? TK_GRAPH_COMPENSATE_STARTED : 0);
  if (chance(s, 5)) step->queue = tk_slice_str("side");
}

/* A quarter of the histories. */
static bool migrates(const sim *s) { return (s->seed & 6) == 2; }

/* The graph that a definition is of. */
static uint32_t graph_of(const sim *s, uint32_t definition) {
  uint32_t g = 0;
  while (g < s->graph_count && s->definitions[g] != definition && s->others[g] != definition) g++;
  return g;
}

static void define_graph(sim *s, uint32_t at, const tk_graph *g, uint32_t *number) {
  tk_graph *built;
  tk_err err;
  if (tk_graph_build(g, &built, &err)) fail(s, "graph: %s", err.message);
  tk_buf bytes = {0};
  tk_graph_encode(built, &bytes);
  tk_request *r = tk_request_new(TK_REQ_DEFINE, 0);
  r->definition = (tk_definition){.ns = built->ns, .name = built->name, .version = built->version, .graph = tk_buf_slice(&bytes),
                                  .json = tk_slice_str("{}"), .created_at_us = s->now_us};
  r->definition.hash[0] = (uint8_t)(at + 1);
  r->definition.hash[1] = number != &s->definitions[at];
  tk_port *port = tk_port_new(NULL, NULL);
  r->reply_to = port;
  tk_engine_post(s->client, r, false);
  tk_engine_step(s->client);
  r = (tk_request *)tk_port_drain(port);
  if (!r || r->code) fail(s, "define: %s", r ? r->err.message : "no answer");
  else *number = r->number;
  tk_request_free(r);
  tk_port_free(port);
  tk_buf_free(&bytes);
  tk_graph_free(built);
}

static tk_graph_case *add_case(tk_arena *arena, tk_graph_step *step, const char *name, uint32_t to) {
  if (!step->cases) step->cases = TK_ARENA_ARRAY(arena, tk_graph_case, 2);
  tk_graph_case *c = (tk_graph_case *)&step->cases[step->case_count++];
  uint32_t *target = TK_ARENA_ARRAY(arena, uint32_t, 2);
  *target = to;
  *c = (tk_graph_case){tk_slice_str(name), target, 1};
  return c;
}

/* A fork into two parts, a join of both, a limit on a state, a signal, a sleep; the last step is final. */
static void random_machine(sim *s, tk_arena *arena, tk_graph *g) {
  uint32_t last = g->step_count - 1;
  g->initial = 1 + pick(s, last);
  for (uint32_t i = 0; i <= last; i++) {
    tk_graph_step *step = &g->steps[i];
    uint32_t kind = pick(s, 100);
    step->deps = NULL;
    step->dep_count = 0;
    step->join = step->kind = 0;
    step->join_count = 0;
    step->flags &= TK_GRAPH_RETRYABLE;
    if (i == last) {
      step->kind = TK_KIND_PASS;
      step->flags |= chance(s, 90) ? TK_GRAPH_FINAL : TK_GRAPH_FINAL_ERROR;
    } else if (kind < 15) {
      step->kind = TK_KIND_SLEEP;
      step->sleep_us = 1000000LL * (1 + pick(s, 20));
      add_case(arena, step, "done", i + 1 + pick(s, last - i));   /* onwards: nobody would end a circle of sleeps */
    } else if (kind < 30) {
      step->kind = TK_KIND_SIGNAL;
      step->signal = step->name;
      step->timeout_us = 1000000LL * (1 + pick(s, 30));
      step->flags |= TK_GRAPH_TIMEOUT_COMPLETES;
      add_case(arena, step, "s", pick(s, last + 1));
      add_case(arena, step, "timeout", last);
    } else {
      add_case(arena, step, "ok", last);
    }
  }
  for (uint32_t i = 0; i < last; i++) {
    uint32_t limit = pick(s, last);
    if (limit != i && chance(s, 20) && !g->steps[i].after && g->steps[limit].kind == TK_KIND_SLEEP && !g->steps[limit].after)
      g->steps[i].after = limit + 1;
  }
  if (last < 5 || !chance(s, 40)) return;
  tk_graph_step *fork = &g->steps[0], *join = &g->steps[3];
  for (uint32_t i = 0; i < 4; i++) {
    g->steps[i].cases = NULL;
    g->steps[i].case_count = 0;
    g->steps[i].kind = i % 3 ? TK_KIND_RUN : TK_KIND_PASS;
    g->steps[i].after = 0;
    g->steps[i].flags &= TK_GRAPH_RETRYABLE;
    if (i % 3) add_case(arena, &g->steps[i], "ok", 3);
  }
  for (uint32_t i = 0; i <= last; i++)
    if (g->steps[i].after && g->steps[i].after <= 4) g->steps[i].after = 0;
  for (uint32_t i = 4; i < last; i++)
    ((uint32_t *)g->steps[i].cases[0].steps)[0] = g->steps[i].kind == TK_KIND_SIGNAL && chance(s, 50) ? 0 : last;
  tk_graph_case *both = add_case(arena, fork, "begin", 1);
  ((uint32_t *)both->steps)[both->count++] = 2;
  join->join_count = 2;
  add_case(arena, join, "done", 4);
  g->initial = 1;
}

static void define(sim *s, uint32_t at) {
  tk_arena arena = {0};
  bool wide = chance(s, 4), undoes = chance(s, 30);
  tk_graph g = {.ns = tk_slice_str("sim"), .version = tk_slice_str("1.0.0"), .queue = tk_slice_str("default")};
  char name[16];
  snprintf(name, sizeof name, "h%u", at);
  g.name = tk_slice_str(name);
  g.step_count = wide ? 300 + pick(s, 500) : 1 + pick(s, 12);
  g.max_parallel = chance(s, 25) ? 1 + pick(s, 4) : 0;
  g.timeout_us = chance(s, 10) ? 1000000LL * (1 + pick(s, 100)) : 0;
  g.steps = TK_ARENA_ARRAY(&arena, tk_graph_step, g.step_count);
  for (uint32_t i = 0; i < g.step_count; i++) random_step(s, &arena, &g.steps[i], i, wide, at, undoes && chance(s, 60));
  if (wide && chance(s, 50)) {   /* a join over the whole fan */
    tk_graph_step *last = &g.steps[g.step_count - 1];
    uint32_t *deps = TK_ARENA_ARRAY(&arena, uint32_t, g.step_count);
    for (uint32_t i = 0; i + 1 < g.step_count; i++) deps[i] = i;
    last->deps = deps;
    last->dep_count = g.step_count - 1;
    last->join = TK_JOIN_ALL;
  }
  bool machine = !wide && g.step_count > 1 && chance(s, 20);
  if (machine) random_machine(s, &arena, &g);
  else random_switches(s, &arena, &g);
  if (!machine) random_limits(s, &arena, &g);
  define_graph(s, at, &g, &s->definitions[at]);
  g.version = tk_slice_str("2.0.0");
  if (migrates(s)) define_graph(s, at, &g, &s->others[at]);
  s->graphs[at] = tk_engine_graph(s->client, s->definitions[at]);
  tk_arena_free(&arena);
}

/* What tells schedules the contexts of their occurrences. */
static void define_asker(sim *s) {
  tk_graph_step step = {.name = tk_slice_str("context"), .flags = TK_GRAPH_RETRYABLE,
                        .retry = {.limit = 3, .lost_limit = 10, .base = 1, .factor = 2, .cap = 60}};
  tk_graph g = {.ns = tk_slice_str("tasker"), .name = tk_slice_str("asker"), .version = tk_slice_str("1.0.0"),
                .queue = tk_slice_str("default"), .step_count = 1, .steps = &step};
  define_graph(s, s->graph_count, &g, &s->definitions[s->graph_count]);
  s->graphs[s->graph_count] = tk_engine_graph(s->client, s->definitions[s->graph_count]);
}

#endif
