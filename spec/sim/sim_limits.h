/* Limits in the simulation: which there are, which steps have them, and that they were never exceeded. Included by sim.c. */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H
#include "model/limit.h"

enum { SIM_LIMITS = 3, SIM_KEYS = 2 };
/* The rules of `pace` and `places` stay, so that the log can be held against them; those of `loose` change, its costs too. */
static const char *const limit_names[SIM_LIMITS] = {"pace", "places", "loose"};
static const tk_limit_rules limit_rules[SIM_LIMITS] = {{.rate = 2, .per = 3, .burst = 4},
                                                       {.per = 1, .burst = 1, .concurrency = 3},
                                                       {.rate = 1, .per = 1, .burst = 3, .concurrency = 4}};

static tk_limit_change limit_change(uint32_t at, const tk_limit_rules *rules, bool declared) {
  return (tk_limit_change){.name = tk_slice_str(limit_names[at]), .declared = declared, .sets_rate = true, .sets_per = true,
                           .sets_burst = true, .sets_concurrency = true, .rules = *rules};
}

/* Each limit in front of some steps, with a key or without one by the definition's number: a limit has both kinds. */
static void random_step_limits(sim *s, tk_arena *arena, tk_graph_step *step) {
  if (step->kind != TK_KIND_RUN || !chance(s, 25)) return;
  tk_graph_limit *list = TK_ARENA_ARRAY(arena, tk_graph_limit, SIM_LIMITS);
  for (uint32_t i = 0; i < SIM_LIMITS; i++) {
    if (chance(s, 50)) continue;
    uint32_t cost = limit_rules[i].rate > 0 ? 1 + pick(s, 3) : 1;
    list[step->limit_count++] = (tk_graph_limit){.name = tk_slice_str(limit_names[i]), .cost = cost, .keyed = chance(s, 50)};
  }
  step->limits = list;
  for (uint32_t i = 0; i < step->limit_count; i++)
    if (list[i].keyed) step->flags |= TK_GRAPH_ASK;
}

/* Wide graphs seldom: at the pace of their limits they take very many turns. */
static void random_limits(sim *s, tk_arena *arena, tk_graph *g) {
  if (g->step_count > 100 && !chance(s, 20)) return;
  for (uint32_t i = 0; i < g->step_count; i++) random_step_limits(s, arena, &g->steps[i]);
}

static void set_limit(sim *s, uint32_t at, const tk_limit_rules *rules, bool declared) {
  tk_limit_change change = limit_change(at, rules, declared);
  if (ask(s, s->client, (tk_event){.type = TK_EV_LIMIT, .step = TK_NO_STEP, .limit = &change}, NULL)) fail(s, "a limit was refused");
}

static void change_limit(sim *s) {
  tk_limit_rules rules = {.rate = pick(s, 3), .per = 1 + pick(s, 3), .burst = 1 + pick(s, 5), .concurrency = pick(s, 4)};
  if (!rules.rate && !rules.concurrency) rules.concurrency = 1;
  say(s, "loose allows %g each %g, %u at once, %u running", rules.rate, rules.per, rules.burst, rules.concurrency);
  set_limit(s, 2, &rules, chance(s, 50));
}

static void declare_limits(sim *s) {
  for (uint32_t i = 0; i < SIM_LIMITS && !*s->failure; i++) set_limit(s, i, &limit_rules[i], true);
}

/* A task always tells the same key. */
static uint32_t key_of_task(uint64_t task_no) { return (uint32_t)(task_no % SIM_KEYS); }

/* The answer to an ask for keys; text holds 64 bytes. */
static tk_slice limit_keys(const tk_graph_step *step, uint64_t task_no, char *text) {
  size_t size = 0;
  for (uint32_t i = 0; i < step->limit_count; i++) {
    text[size++] = step->limits[i].keyed ? 2 : 0;
    if (!step->limits[i].keyed) continue;
    text[size++] = 'k';
    text[size++] = (char)('0' + key_of_task(task_no));
  }
  return tk_slice_of(text, size);
}

/* A map's list behind its keys, which are in s->keys. */
static tk_slice keys_before(sim *s, tk_slice keys, tk_slice list) {
  memcpy(s->keys + keys.size, list.data, list.size);
  return tk_slice_of(s->keys, keys.size + list.size);
}

/* What the log says of each key (the last one: no key). */
typedef struct limit_fold {
  int64_t tat_ns[SIM_KEYS + 1];
  uint32_t running[SIM_KEYS + 1];
  int64_t at_us;                  /* of what was seen last */
} limit_fold;

static uint32_t fold_key(const tk_graph_limit *limit, uint64_t task_no) { return limit->keyed ? key_of_task(task_no) : SIM_KEYS; }

static bool is_limit(const tk_graph_limit *limit, int at) { return tk_slice_eq(limit->name, tk_slice_str(limit_names[at])); }

/* Of one turn the log tells task by task, so that a start may stand before the end that made room for it: what runs is looked at
 * when the time goes on. */
static const char *limits_at(limit_fold *fold, int64_t at_us) {
  bool passed = at_us != fold->at_us;
  fold->at_us = at_us;
  for (uint32_t key = 0; passed && key <= SIM_KEYS; key++)
    if (fold->running[key] > limit_rules[1].concurrency) return limit_names[1];
  return NULL;
}

/* A step started: NULL, or the limit that did not allow it. In no window do the units exceed burst + rate * time, which is that the
 * cell rate algorithm lets each of them pass. */
static const char *limits_at_start(limit_fold *fold, const tk_graph_step *step, uint64_t task_no, int64_t at_us) {
  for (uint32_t i = 0; i < step->limit_count; i++) {
    const tk_graph_limit *limit = &step->limits[i];
    uint32_t key = fold_key(limit, task_no);
    fold->running[key] += is_limit(limit, 1);
    if (!is_limit(limit, 0)) continue;
    int64_t now_ns = at_us * 1000, *tat_ns = &fold->tat_ns[key];
    if (now_ns < *tat_ns - tk_limit_ns(&limit_rules[0], limit_rules[0].burst - limit->cost)) return limit_names[0];
    *tat_ns = (*tat_ns > now_ns ? *tat_ns : now_ns) + tk_limit_ns(&limit_rules[0], limit->cost);
  }
  return NULL;
}

static void fold_limits(sim *s, limit_fold *fold, const tk_graph_step *g, const tk_log_event *e) {
  const char *exceeded = limits_at(fold, e->at_us);
  if (!exceeded && e->kind == TK_LOG_STEP_STARTED) exceeded = limits_at_start(fold, g, e->task_no, e->at_us);
  if (exceeded) fail(s, "task number %llu step %u at %llu: the limit %s is exceeded", (unsigned long long)e->task_no, e->step,
                     (unsigned long long)e->seq, exceeded);
}

static void limits_at_end(limit_fold *fold, const tk_graph_step *step, uint64_t task_no) {
  for (uint32_t i = 0; i < step->limit_count; i++)
    if (is_limit(&step->limits[i], 1)) fold->running[fold_key(&step->limits[i], task_no)]--;
}

/* Where `loose` is among the limits of a step; beyond them when it is not. */
static uint32_t loose_of(const sim *s, const tk_run_message *run) {
  for (uint32_t i = 0; i < s->graph_count; i++) {
    const tk_graph_step *step = &s->graphs[i]->steps[run->template_];
    for (uint32_t l = 0; s->definitions[i] == run->definition && l < step->limit_count; l++)
      if (is_limit(&step->limits[l], 2)) return l;
  }
  return UINT32_MAX;
}

#endif
