/* decide as text tables: a graph, then lines of `event => what is true after it`. One task, no store; the harness keeps timers
 * and the inbox.
 *
 * graph:   steps as  name[<dep,dep][!flag...]  task: max=N timeout=N
 *          flags: skip cont ask once limitN lostN any joinN alldone sleepN sig (waits for the signal of its own name) withinN
 *          completes case:NAME:step appr (waits for people) rejects onno (a no completes it)
 * events:  submit [bypass=x] [run_at=N] | claim x | done x | fail x [perm] [delay=N] | snooze x N | release x | lost x |
 *          stale x | skip x | park x | give x (a failure that was decided: to be skipped, parked, or to have results) |
 *          answer x [no] [case=N] [until=N] | deny x | signal name | tick N | cancel [x] |
 *          people x ann,bob [N] [N:zoe,...]  (the answer of an approval: approvers, how many, escalations) |
 *          vote ann x approve|reject|changes|delegate [to] | pause | resume | retry [x] | resolve [x]
 * results: task=STATUS x=STATUS x.wait=timer x.held=1 log=KIND,KIND... (all of this event's log) refused fenced not (claim) */
#include "base/alloc.h"
#include "model/approval.h"
#include "model/decide.h"
#include "test.h"

typedef struct world {
  tk_arena arena;
  tk_graph *graph;
  tk_task task;
  tk_changes changes;
  tk_rng rng;
  int64_t now_us;
  TK_LIST(tk_timer) timers;
  TK_LIST(tk_event) inbox;
  const tk_approval *approvals[64];   /* by step: the rows of the store */
  bool fenced, refused, not_claimed;
  char log[4096];
} world;

static bool task_rows[64], step_rows[64];   /* which rows of the transition tables some line took */

/* ---- Building graphs from text ---- */

typedef struct case_text { tk_graph_step *step; const char *name, *target; } case_text;
static case_text cases_found[16];
static int case_count;

/* case:NAME:step, resolved once all steps are known. */
static void parse_case(world *w, tk_graph_step *step, const char *flag) {
  char *text = (char *)tk_arena_copy(&w->arena, tk_slice_of(flag, strlen(flag) + 1)).data, *save;
  step->kind = TK_KIND_SWITCH;
  step->flags |= TK_GRAPH_ASK;
  strtok_r(text, ":", &save);
  cases_found[case_count].step = step;
  cases_found[case_count].name = strtok_r(NULL, ":", &save);
  cases_found[case_count++].target = strtok_r(NULL, ":", &save);
}

static void parse_flag(world *w, tk_graph_step *step, const char *flag) {
  if (strncmp(flag, "case:", 5) == 0) {
    parse_case(w, step, flag);
    return;
  }
  if (strcmp(flag, "skip") == 0) step->flags |= TK_GRAPH_SKIPPABLE;
  else if (strcmp(flag, "cont") == 0) step->flags |= TK_GRAPH_CONTINUE;
  else if (strcmp(flag, "ask") == 0) step->flags |= TK_GRAPH_ASK;
  else if (strcmp(flag, "once") == 0) step->flags &= ~(uint32_t)TK_GRAPH_RETRYABLE;
  else if (strcmp(flag, "any") == 0) step->join = TK_JOIN_COUNT, step->join_count = 1;
  else if (strncmp(flag, "join", 4) == 0) step->join = TK_JOIN_COUNT, step->join_count = (uint32_t)atoi(flag + 4);
  else if (strcmp(flag, "alldone") == 0) step->join = TK_JOIN_ALL_DONE;
  else if (strcmp(flag, "sig") == 0) step->kind = TK_KIND_SIGNAL, step->signal = step->name;
  else if (strncmp(flag, "within", 6) == 0) step->timeout_us = atoi(flag + 6) * 1000000LL;
  else if (strcmp(flag, "appr") == 0) step->kind = TK_KIND_APPROVAL, step->flags |= TK_GRAPH_ASK;
  else if (strcmp(flag, "rejects") == 0) step->flags |= TK_GRAPH_TIMEOUT_REJECTS;
  else if (strcmp(flag, "onno") == 0) step->flags |= TK_GRAPH_REJECT_COMPLETES;
  else if (strcmp(flag, "completes") == 0) step->flags |= TK_GRAPH_TIMEOUT_COMPLETES;
  else if (strcmp(flag, "sleepasked") == 0) step->kind = TK_KIND_SLEEP, step->sleep_us = -1, step->flags |= TK_GRAPH_ASK;
  else if (strncmp(flag, "sleep", 5) == 0) step->kind = TK_KIND_SLEEP, step->sleep_us = atoi(flag + 5) * 1000000LL;
  else if (strncmp(flag, "limit", 5) == 0) step->retry.limit = (uint32_t)atoi(flag + 5);
  else if (strncmp(flag, "lost", 4) == 0) step->retry.lost_limit = (uint32_t)atoi(flag + 4);
  else abort();
}

static uint32_t index_of(const tk_graph_step *steps, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (tk_slice_eq(steps[i].name, tk_slice_str(name))) return i;
  fprintf(stderr, "no step %s\n", name);
  abort();
}

static void parse_step(world *w, tk_graph *g, tk_graph_step *steps, char *word) {
  tk_graph_step *step = &steps[g->step_count];
  char *save, *deps = NULL, *flags = strchr(word, '!');
  if (flags) *flags++ = '\0';
  if ((deps = strchr(word, '<'))) *deps++ = '\0';
  step->name = tk_arena_copy(&w->arena, tk_slice_str(word));
  step->flags = TK_GRAPH_RETRYABLE;
  step->retry = (tk_retry){.limit = 3, .lost_limit = 10, .backoff = TK_BACKOFF_FIXED, .base = 10};
  uint32_t *dep = TK_ARENA_ARRAY(&w->arena, uint32_t, 16);
  step->deps = dep;
  for (char *d = deps ? strtok_r(deps, ",", &save) : NULL; d; d = strtok_r(NULL, ",", &save))
    dep[step->dep_count++] = index_of(steps, g->step_count, d);
  for (char *f = flags ? strtok_r(flags, "!", &save) : NULL; f; f = strtok_r(NULL, "!", &save)) parse_flag(w, step, f);
  g->step_count++;
}

static void build(world *w, const char *text) {
  tk_graph g = {
      .ns = tk_slice_str("t"), .name = tk_slice_str("t"), .version = tk_slice_str("1.0.0"), .queue = tk_slice_str("default")};
  tk_graph_step steps[64];
  memset(steps, 0, sizeof steps);
  case_count = 0;
  char *copy = tk_strdup(text), *save;
  g.steps = steps;
  for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
    if (strncmp(word, "max=", 4) == 0) g.max_parallel = (uint32_t)atoi(word + 4);
    else if (strncmp(word, "timeout=", 8) == 0) g.timeout_us = atoi(word + 8) * 1000000LL;
    else parse_step(w, &g, steps, word);
  }
  for (int i = 0; i < case_count; i++) {
    tk_graph_step *step = cases_found[i].step;
    if (!step->cases) step->cases = TK_ARENA_ARRAY(&w->arena, tk_graph_case, 8);
    tk_graph_case *c = (tk_graph_case *)&step->cases[step->case_count++];
    uint32_t *target = TK_ARENA_ARRAY(&w->arena, uint32_t, 1);
    *target = index_of(steps, g.step_count, cases_found[i].target);
    *c = (tk_graph_case){tk_slice_str(cases_found[i].name), target, 1};
  }
  tk_free(copy);
  tk_err err;
  if (tk_graph_build(&g, &w->graph, &err)) {
    fprintf(stderr, "%s\n", err.message);
    abort();
  }
}

/* ---- Events ---- */

/* What is loaded is a copy, as from a store. */
static tk_approval *load_approval(void *context, tk_task *task, uint32_t step) {
  world *w = context;
  (void)task;
  if (!w->approvals[step]) abort();
  tk_approval *copy = TK_ARENA_NEW(&w->arena, tk_approval);
  *copy = *w->approvals[step];
  copy->next = NULL;
  return copy;
}

static tk_decide context(world *w) {
  memset(&w->changes, 0, sizeof w->changes);
  w->changes.arena = &w->arena;
  w->changes.next_payload = 1;
  w->task.dirty = false;
  w->task.log_head = w->task.log_tail = NULL;
  w->task.log_count = 0;
  w->task.approvals = NULL;
  w->task.load_approval = load_approval;
  w->fenced = w->refused = w->not_claimed = false;
  return (tk_decide){&w->changes, w->now_us, &w->rng, 7};
}

static void keep(world *w) {
  for (size_t i = 0; i < w->changes.untimers.count; i++)
    for (size_t k = 0; k < w->timers.count; k++)
      if (w->timers.items[k].due_us == w->changes.untimers.items[i].due_us &&
          w->timers.items[k].step == w->changes.untimers.items[i].step)
        w->timers.items[k] = w->timers.items[--w->timers.count];
  for (size_t i = 0; i < w->changes.timers.count; i++) tk_list_push(&w->arena, &w->timers, w->changes.timers.items[i]);
  for (size_t i = 0; i < w->changes.inbox.count; i++) tk_list_push(&w->arena, &w->inbox, w->changes.inbox.items[i]);
  for (size_t i = 0; i < w->changes.approvals.count; i++)
    w->approvals[w->changes.approvals.items[i].step] = w->changes.approvals.items[i].row;
  for (tk_log_entry *entry = w->task.log_head; entry; entry = entry->next) {
    if (*w->log) strcat(w->log, ",");
    strcat(w->log, tk_log_kind_name(entry->kind));
  }
}

static void apply(world *w, tk_event event) {
  uint8_t task_from = w->task.status, from[64];
  for (uint32_t i = 0; i < w->graph->step_count; i++) from[i] = tk_task_step(&w->task, i)->status;
  tk_decide d = context(w);
  tk_err err;
  w->refused = tk_decide_event(&d, &w->task, &event, &w->fenced, &err) != TK_OK;
  keep(w);
  for (size_t r = 0; r < tk_task_transition_count; r++)
    if (tk_task_transitions[r].from == task_from && tk_task_transitions[r].to == w->task.status) task_rows[r] = true;
  for (uint32_t i = 0; i < w->graph->step_count; i++)
    for (size_t r = 0; r < tk_step_transition_count; r++)
      if (tk_step_transitions[r].from == from[i] && tk_step_transitions[r].to == tk_task_step(&w->task, i)->status)
        step_rows[r] = true;
}

static void take_row(uint8_t from, uint8_t to, bool task) {
  const tk_transition *rows = task ? tk_task_transitions : tk_step_transitions;
  size_t count = task ? tk_task_transition_count : tk_step_transition_count;
  for (size_t r = 0; r < count; r++)
    if (rows[r].from == from && rows[r].to == to) (task ? task_rows : step_rows)[r] = true;
}

static void submit(world *w, char **words, int count) {
  uint32_t bypass[8], bypassed = 0;
  tk_submission s = {.graph = w->graph, .queue = tk_slice_str("default"), .bypass = bypass};
  for (int i = 1; i < count; i++) {
    if (strncmp(words[i], "bypass=", 7) == 0) bypass[bypassed++] = index_of(w->graph->steps, w->graph->step_count, words[i] + 7);
    if (strncmp(words[i], "run_at=", 7) == 0) s.info.run_at_us = w->now_us + atoi(words[i] + 7) * 1000000LL;
  }
  s.bypass_count = bypassed;
  tk_decide d = context(w);
  tk_err err;
  w->task.no = 1;
  w->refused = tk_decide_submit(&d, &w->task, &s, &err) != TK_OK;
  if (w->refused) return;
  keep(w);
  for (uint32_t i = 0; i < w->graph->step_count; i++) take_row(TK_STEP_PENDING, tk_task_step(&w->task, i)->status, false);
  take_row(TK_TASK_PENDING, w->task.status, true);
}

static void claim(world *w, uint32_t index) {
  tk_ready ready = {.queue = 1, .definition = 1, .task_no = 1, .step = index};
  uint8_t from = w->task.status;
  tk_decide d = context(w);
  tk_claim_result result = tk_decide_claim(&d, &w->task, &ready, true);
  w->not_claimed = result == TK_CLAIM_NOT;
  keep(w);
  take_row(from, w->task.status, true);
  if (result == TK_CLAIM_RUN) take_row(TK_STEP_READY, TK_STEP_IN_PROGRESS, false);
}

static void tick(world *w, int seconds) {
  w->now_us += seconds * 1000000LL;
  for (size_t i = 0; i < w->timers.count;) {
    tk_timer timer = w->timers.items[i];
    if (timer.due_us > w->now_us) {
      i++;
      continue;
    }
    w->timers.items[i] = w->timers.items[--w->timers.count];
    apply(w, (tk_event){.type = TK_EV_TIMER, .timer_kind = timer.kind, .task_no = 1, .step = timer.step, .due_us = timer.due_us});
    i = 0;
  }
}

static void sweep_all(world *w) {
  while (w->inbox.count) {
    tk_event event = w->inbox.items[0];
    memmove(w->inbox.items, w->inbox.items + 1, --w->inbox.count * sizeof event);
    apply(w, event);
  }
}

static int verb_type(const char *verb) {
  static const struct { const char *name; int type;
  } verbs[] = {{"done", TK_EV_STEP_DONE},        {"fail", TK_EV_STEP_FAILED}, {"snooze", TK_EV_STEP_SNOOZED},
               {"release", TK_EV_STEP_RELEASED}, {"lost", TK_EV_STEP_LOST},   {"answer", TK_EV_ASK_DONE},
               {"deny", TK_EV_ASK_FAILED},       {"stale", TK_EV_STEP_DONE},  {"beat", TK_EV_HEARTBEAT},
               {"cancel", TK_EV_CANCEL},         {"pause", TK_EV_PAUSE},      {"resume", TK_EV_RESUME},
               {"retry", TK_EV_RETRY},           {"resolve", TK_EV_RESOLVE},  {"signal", TK_EV_SIGNAL},
               {"skip", TK_EV_STEP_SKIPPED},     {"park", TK_EV_STEP_PARKED},   {"give", TK_EV_STEP_DONE}};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(verbs[i].name, verb) == 0) return verbs[i].type;
  fprintf(stderr, "no verb %s\n", verb);
  abort();
}

static void put_people(tk_buf *plan, char *names) {
  char *all[16], *save;
  int count = 0;
  for (char *name = strtok_r(names, ",", &save); name && count < 16; name = strtok_r(NULL, ",", &save)) all[count++] = name;
  tk_buf_varint(plan, (uint64_t)count);
  for (int i = 0; i < count; i++) {
    bool veto = *all[i] == '^';
    tk_buf_u8(plan, veto);
    tk_buf_bytes(plan, tk_slice_str(all[i] + veto));
  }
}

/* people x ann,bob,^eve [N] [N:zoe,...]: as lua/tasker/approval.lua packs it; ^ has a veto. */
static void answer_people(world *w, uint32_t index, char **words, int count) {
  static const char shown[TK_SHOWN_SIZE];
  tk_buf plan = {0};
  int first = count > 3 && !strchr(words[3], ':') ? 4 : 3;
  tk_buf_varint(&plan, first == 4 ? (uint64_t)atoi(words[3]) : 1);
  tk_buf_bytes(&plan, tk_slice_of(shown, sizeof shown));
  tk_buf_bytes(&plan, tk_slice_str(""));
  put_people(&plan, words[2]);
  tk_buf_varint(&plan, (uint64_t)(count - first));
  for (int i = first; i < count; i++) {
    tk_buf_varint(&plan, (uint64_t)atoi(words[i]) * 1000000);
    put_people(&plan, strchr(words[i], ':') + 1);
  }
  apply(w, (tk_event){.type = TK_EV_ASK_DONE, .task_no = 1, .step = index, .name = tk_arena_copy(&w->arena, tk_buf_slice(&plan))});
  tk_buf_free(&plan);
}

static void vote(world *w, char **words, int count) {
  tk_vote vote = {.details = tk_slice_str("{\"comment\":\"\",\"form\":null}")};
  for (uint8_t i = 1; i < TK_DECISION_COUNT; i++)
    if (strcmp(words[3], tk_decision_name(i)) == 0) vote.decision = i;
  vote.by = tk_arena_copy(&w->arena, tk_slice_str(words[1]));
  if (count > 4) vote.to = tk_arena_copy(&w->arena, tk_slice_str(words[4]));
  apply(w, (tk_event){.type = TK_EV_VOTE, .task_no = 1, .step = index_of(w->graph->steps, w->graph->step_count, words[2]), .vote = &vote});
}

static void run_event(world *w, char *text) {
  char *words[8] = {NULL}, *save;
  int count = 0;
  for (char *word = strtok_r(text, " ", &save); word && count < 8; word = strtok_r(NULL, " ", &save)) words[count++] = word;
  if (strcmp(words[0], "submit") == 0) {
    submit(w, words, count);
    return;
  }
  if (strcmp(words[0], "tick") == 0) {
    tick(w, atoi(words[1]));
    return;
  }
  if (strcmp(words[0], "vote") == 0) {
    vote(w, words, count);
    return;
  }
  bool signal = strcmp(words[0], "signal") == 0;
  uint32_t index = count > 1 && !signal ? index_of(w->graph->steps, w->graph->step_count, words[1]) : TK_NO_STEP;
  if (strcmp(words[0], "people") == 0) {
    answer_people(w, index, words, count);
    return;
  }
  if (strcmp(words[0], "claim") == 0) {
    claim(w, index);
    return;
  }
  tk_event event = {.type = (uint8_t)verb_type(words[0]), .task_no = 1, .step = index, .retryable = true, .delay_us = -1,
                    .data = tk_slice_str("{}")};
  if (index != TK_NO_STEP) {
    const tk_step *step = tk_task_step(&w->task, index);
    event.attempt = step->flags & TK_STEP_F_ASKING ? 0 : step->attempts;
  }
  if (signal) event.name = tk_arena_copy(&w->arena, tk_slice_str(words[1]));
  if (strcmp(words[0], "stale") == 0) event.attempt--;
  bool decided = strcmp(words[0], "skip") == 0 || strcmp(words[0], "park") == 0 || strcmp(words[0], "give") == 0;
  if (decided) event.failure = event.audit = tk_slice_str("{}");
  for (int i = 2; i < count; i++) {
    if (strcmp(words[i], "perm") == 0) event.retryable = false;
    else if (strcmp(words[i], "no") == 0) event.ask_skip = true;
    else if (strncmp(words[i], "case=", 5) == 0) event.cursor = (uint32_t)atoi(words[i] + 5), event.name = tk_slice_str("\"c\"");
    else if (strncmp(words[i], "until=", 6) == 0) event.due_us = w->now_us + atoi(words[i] + 6) * 1000000LL;
    else if (strncmp(words[i], "delay=", 6) == 0) event.delay_us = atoi(words[i] + 6) * 1000000LL;
    else event.delay_us = atoi(words[i]) * 1000000LL;
  }
  apply(w, event);
}

/* ---- Expectations ---- */

static bool holds(world *w, char *word) {
  char *value = strchr(word, '=');
  if (!value) return strcmp(word, "refused") == 0 ? w->refused : strcmp(word, "fenced") == 0 ? w->fenced : w->not_claimed;
  *value++ = '\0';
  if (strcmp(word, "task") == 0) return strcmp(tk_task_status_name(w->task.status), value) == 0;
  if (strcmp(word, "log") == 0) return strcmp(w->log, value) == 0;
  char *field = strchr(word, '.');
  if (field) *field++ = '\0';
  const tk_step *step = tk_task_step(&w->task, index_of(w->graph->steps, w->graph->step_count, word));
  if (!field) return strcmp(tk_step_status_name(step->status), value) == 0;
  if (strcmp(field, "held") == 0) return !!(step->flags & TK_STEP_F_HELD) == atoi(value);
  if (strcmp(field, "attempts") == 0) return step->attempts == (uint32_t)atoi(value);
  if (strcmp(field, "wait") == 0) return strcmp(tk_waiting_for_name(step->waiting_for), value) == 0;
  abort();
}

/* A row is there exactly while its step waits for people. */
static bool approvals_true(world *w) {
  for (uint32_t i = 0; w->task.chunks && i < w->graph->step_count; i++)
    if ((w->approvals[i] != NULL) != (tk_task_step(&w->task, i)->waiting_for == TK_WAIT_APPROVAL)) return false;
  return true;
}

/* The counters of the aggregate are what its steps say. */
static bool counters_true(world *w) {
  if (!w->task.chunks) return true;   /* its submission was refused */
  uint32_t open = 0, active = 0, running = 0, held = 0, failed = 0;
  for (uint32_t i = 0; i < w->graph->step_count; i++) {
    const tk_step *s = tk_task_step(&w->task, i);
    open += !tk_step_final(s->status);
    active += s->status == TK_STEP_READY || s->status == TK_STEP_IN_PROGRESS || s->status == TK_STEP_WAITING;
    running += s->status == TK_STEP_IN_PROGRESS || (s->flags & TK_STEP_F_ASKING);
    held += !!(s->flags & TK_STEP_F_HELD);
    failed += s->status == TK_STEP_CANCELLED || (s->status == TK_STEP_ERROR && !(w->graph->steps[i].flags & TK_GRAPH_CONTINUE));
  }
  return w->task.open == open && w->task.active == active && w->task.running == running && w->task.held == held &&
         w->task.failed == failed;
}

static void run_case(const char *graph, const char *script) {
  world w = {.now_us = 1000000000LL};
  tk_rng_seed(&w.rng, 1);
  build(&w, graph);
  char *copy = tk_strdup(script), *save;
  for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    char shown[256], *arrow = strstr(line, "=>"), *inner;
    snprintf(shown, sizeof shown, "[%s] %s", graph, line);
    if (arrow) *arrow = '\0', arrow += 2;
    w.log[0] = '\0';
    run_event(&w, line);
    sweep_all(&w);
    if (!counters_true(&w) || !approvals_true(&w)) test_fail(__FILE__, __LINE__, shown);
    for (char *word = arrow ? strtok_r(arrow, " ", &inner) : NULL; word; word = strtok_r(NULL, " ", &inner))
      if (!holds(&w, word)) {
        test_fail(__FILE__, __LINE__, shown);
        fprintf(stderr, "  not so: %s (log: %s)\n", word, w.log);
      }
  }
  tk_free(copy);
  tk_graph_free(w.graph);
  tk_arena_free(&w.arena);
}

/* ---- Promises ---- */

TEST(a_chain_runs_in_order_and_completes) {
  run_case("a b<a",
           "submit => task=pending a=ready b=pending log=task.created\n"
           "claim a => task=in_progress a=in_progress log=task.started,step.started\n"
           "done a => a=complete b=ready log=step.completed\n"
           "claim b => log=step.started\n"
           "done b => task=complete b=complete log=step.completed,task.completed\n");
}

TEST(a_diamond_joins_when_all_are_done) {
  run_case("a b<a c<a d<b,c",
           "submit\nclaim a\ndone a => b=ready c=ready d=pending\nclaim c\ndone c => d=pending\nclaim b\ndone b => d=ready\n"
           "claim d\ndone d => task=complete");
}

TEST(a_failed_attempt_is_retried_until_the_limit) {
  run_case("a", "submit\nclaim a\nfail a => a=waiting a.wait=retry log=step.failed,step.retry_scheduled\ntick 9 => "
                "a=waiting\ntick 1 => a=ready\n"
                "claim a => a.attempts=2\nfail a delay=1 => a=waiting\ntick 1\nclaim a\nfail a => a=error task=error "
                "log=step.failed,task.failed");
  run_case("a", "submit\nclaim a\nfail a delay=0 => a=ready log=step.failed,step.retry_scheduled");
}

TEST(a_permanent_failure_stops_at_once_and_dependents_stay_pending) {
  run_case("a b<a", "submit\nclaim a\nfail a perm => a=error b=pending task=error");
  run_case("a!once", "submit\nclaim a\nfail a => a=error task=error");
}

TEST(other_branches_run_to_their_end_before_the_task_is_in_error) {
  run_case("a b", "submit\nclaim a\nclaim b\nfail a perm => task=in_progress\ndone b => task=error b=complete");
}

TEST(an_error_that_continues_releases_its_dependents) {
  run_case("a!cont b<a", "submit\nclaim a\nfail a perm => a=error b=ready task=in_progress\nclaim b\ndone b => task=complete");
  run_case(
      "a!cont b c<a,b",
      "submit\nclaim a\nfail a perm\nretry a => a=ready\nclaim a\ndone a => a=complete c=pending\nclaim b\ndone b => c=ready");
  run_case("a!cont b c<a,b",
           "submit\nclaim a\nfail a perm\nresolve a => a=resolved_manually c=pending\nclaim b\ndone b => c=ready");
}

TEST(snooze_is_no_failure) {
  run_case(
      "a!limit1",
      "submit\nclaim a\nsnooze a 30 => a=waiting a.wait=timer log=step.waiting\ntick 30 => a=ready\nclaim a => a.attempts=2\n"
      "done a => task=complete");
}

TEST(work_given_back_is_ready_again_without_a_failure) {
  run_case("a!limit1",
           "submit\nclaim a\nrelease a => a=ready log=step.released\nclaim a => a.attempts=2\ndone a => task=complete");
}

TEST(a_lost_attempt_does_not_count_until_its_own_limit) {
  run_case("a!limit1!lost2", "submit\nclaim a\nlost a => a=ready log=step.failed\nclaim a\nlost a => a=error task=error");
}

TEST(only_the_current_attempt_can_end_a_step) {
  run_case("a", "submit\nclaim a\nlost a\nclaim a\nstale a => fenced a=in_progress\ndone a => a=complete");
}

TEST(a_bypassed_step_is_skipped_when_its_turn_comes_and_counts_as_done) {
  run_case("a b<a!skip c<b",
           "submit bypass=b => b=pending\nclaim a\ndone a => b=skipped c=ready log=step.completed,step.skipped\nclaim c\n"
           "done c => task=complete");
  run_case("a!skip b<a!skip", "submit bypass=a bypass=b => a=skipped b=skipped task=complete");
  run_case("a", "submit bypass=a => refused");
}

TEST(run_at_holds_the_roots_back) {
  run_case(
      "a",
      "submit run_at=60 => a=pending task=pending\ntick 59 => a=pending\ntick 1 => a=ready\nclaim a\ndone a => task=complete");
  run_case("a b<a", "submit run_at=60\nresolve a => a=resolved_manually b=ready b.held=1\ntick 60 => b.held=0\nclaim b\ndone b "
                    "=> task=complete");
  run_case("a", "submit run_at=60\ncancel => task=cancelled a=cancelled\ntick 60 => a=cancelled");
}

TEST(cancel_ends_everything_and_ignores_what_still_runs) {
  run_case("a b<a c",
           "submit\nclaim a\ncancel => task=cancelled a=cancelled b=cancelled c=cancelled "
           "log=step.cancelled,step.cancelled,step.cancelled,task.cancelled\ndone a => fenced a=cancelled\ncancel => refused");
  run_case("a", "submit\nclaim a\nfail a\ncancel => a=cancelled\ntick 99 => a=cancelled");
}

TEST(cancelling_one_step_settles_the_task) {
  run_case("a b<a", "submit\ncancel a => a=cancelled b=pending task=error log=step.cancelled,task.failed\ncancel a => refused");
  run_case("a b<a c", "submit\nclaim a\ncancel a => a=cancelled task=in_progress\nclaim c\ndone c => task=error");
  run_case("a b<a", "submit\ncancel b => b=cancelled\nclaim a\ndone a => task=error");
  run_case("a", "submit\nclaim a\nfail a\ncancel a => task=error");
}

TEST(pause_lets_running_steps_finish_and_starts_nothing) {
  run_case(
      "a b<a c",
      "submit\nclaim a\npause => task=paused log=task.paused\nclaim c => not c.held=1\ndone a => b=ready b.held=1 task=paused\n"
      "resume => task=in_progress b.held=0 c.held=0\nclaim b\nclaim c\ndone b\ndone c => task=complete\nresume => refused");
  run_case("a",
           "submit\npause\nresume => task=pending\nclaim a\npause\ndone a => task=paused a=complete\nresume => task=complete");
  run_case("a", "submit\npause\ncancel => task=cancelled");
}

TEST(retry_gives_failed_steps_fresh_attempts) {
  run_case(
      "a!limit1 b<a",
      "submit\nclaim a\nfail a => task=error\nretry => task=in_progress a=ready log=task.retried,step.retry_scheduled\nclaim a\n"
      "done a => b=ready\nretry => refused");
  run_case("a!limit1 b!limit1",
           "submit\nclaim a\nfail a => task=in_progress\nretry a => a=ready\nclaim a\nclaim b\nfail b\ndone a => task=error\n"
           "retry b => task=in_progress b=ready");
  run_case("a b<a",
           "submit\ncancel b\ncancel a => task=error\nretry => task=pending a=ready b=pending\nclaim a\ndone a => b=ready");
}

TEST(a_person_settles_a_step_or_the_task) {
  run_case(
      "a!limit1 b<a",
      "submit\nclaim a\nfail a\nresolve a => a=resolved_manually b=ready task=in_progress log=step.resolved_manually\nclaim b\n"
      "done b => task=complete\nresolve => refused");
  run_case("a!limit1 b<a", "submit\nclaim a\nfail a\nresolve => task=resolved_manually");
  run_case("a b<a", "submit\nresolve b => b=resolved_manually\nclaim a\ndone a => task=complete");
  run_case("a", "submit\nresolve a => task=complete");
  run_case("a", "submit\nclaim a\nresolve a => refused\nfail a\nresolve a => a=resolved_manually task=complete");
  run_case("a b<a", "submit\ncancel a\nresolve b => task=error");
  run_case("a!limit1", "submit\nclaim a\nfail a => task=error\ncancel => task=cancelled a=error");
}

TEST(max_parallel_holds_ready_steps_back) {
  run_case("max=1 a b c", "submit => b=ready\nclaim a\nclaim b => not b.held=1\nclaim c => not\ndone a => b.held=0 "
                          "c.held=1\nclaim b\ndone b => c.held=0\n"
                          "claim c\ndone c => task=complete");
}

TEST(an_ask_is_answered_before_the_step_starts) {
  run_case("a!ask", "submit\nclaim a => a=ready task=pending a.attempts=0\nanswer a => a=ready\nclaim a => a=in_progress "
                    "a.attempts=1\ndone a => task=complete");
  run_case("a!ask", "submit\nclaim a\ndeny a => a=error task=error log=step.failed,task.failed");
  run_case("a!ask", "submit\nclaim a\nlost a => a=ready\nclaim a\ncancel a => a=cancelled task=error");
  run_case("a!ask", "submit\nclaim a\npause\nanswer a => a.held=1\nresume => a.held=0");
}

TEST(a_task_timeout_cancels_what_is_open) {
  run_case("timeout=10 a b<a", "submit\ntick 20 => task=pending\nclaim a\ntick 9 => task=in_progress\n"
                               "tick 1 => task=error a=cancelled b=cancelled "
                               "log=step.cancelled,step.cancelled,task.failed\nretry => task=in_progress a=ready b=pending");
  run_case("timeout=10 a", "submit\nclaim a\npause\ntick 10 => task=error");
  run_case("timeout=10 a", "submit\nclaim a\ndone a => task=complete\ntick 10 => task=complete");
}

TEST(a_heartbeat_of_a_running_attempt_is_kept) {
  run_case("a", "submit\nclaim a\nbeat a => a=in_progress log=\ndone a => task=complete\nbeat a => fenced");
}

TEST(a_condition_that_says_no_skips_its_branch) {
  run_case("a b<a!ask c<b d<a,c",
           "submit\nclaim a\ndone a => b=ready\nclaim b => b=ready\nanswer b no => b=skipped c=skipped d=ready "
           "log=step.skipped,step.skipped\nclaim d\ndone d => task=complete");
  run_case("a!ask b<a", "submit\nclaim a\nanswer a no => a=skipped b=skipped task=complete");
}

TEST(a_switch_takes_one_branch_and_skips_the_others) {
  run_case("s!case:x:b!case:y:c b<s c<s d<b,c e<s",
           "submit\nclaim s\nanswer s case=1 => s=complete b=skipped c=ready d=pending e=ready log=step.completed,"
           "step.skipped\nclaim c\ndone c => d=ready");
  run_case("o s!case:x:b!case:y:o2 b<o,s o2<s", "submit\nclaim o\ndone o\nclaim s\nanswer s case=1 => b=skipped o2=ready");
}

TEST(joins_of_any_a_number_and_all_done) {
  run_case("a b c<a,b!any", "submit\nclaim a\ndone a => c=ready\nclaim c\ndone c\nclaim b\ndone b => task=complete");
  run_case("a b c d<a,b,c!join2", "submit\nclaim a\ndone a => d=pending\nclaim b\ndone b => d=ready");
  run_case("a!ask b!ask c<a,b!any", "submit\nclaim a\nanswer a no => c=pending\nclaim b\nanswer b no => c=skipped task=complete");
  run_case(
      "a b c<a,b!alldone",
      "submit\nclaim a\nfail a perm => c=pending task=in_progress\nclaim b\ndone b => c=ready\nclaim c\ndone c => task=error");
  run_case("a c<a!alldone", "submit\ncancel a => c=ready\nclaim c\ndone c => task=error c=complete");
  run_case("a b c<a,b!alldone d<a",
           "submit\nclaim a\nfail a perm\nretry a\nclaim a\ndone a => c=pending d=ready\nclaim b\ndone b => c=ready");
}

TEST(a_sleep_waits_and_no_worker_is_needed) {
  run_case("a!sleep10 b<a",
           "submit => a=waiting a.wait=timer log=task.created,step.waiting\ntick 9 => a=waiting\ntick 1 => a=complete b=ready");
  run_case("a!sleepasked", "submit\nclaim a\nanswer a until=5 => a=waiting\ntick 5 => task=complete");
  run_case("a!sleep10", "submit\ncancel => a=cancelled\ntick 10 => a=cancelled");
  run_case("a!sleep10", "submit\nresolve a => task=complete\ntick 10 => a=resolved_manually");
}

TEST(a_signal_is_taken_whenever_it_comes) {
  run_case("a!sig b<a",
           "submit => a=waiting a.wait=signal\nsignal a => a=complete b=ready log=task.signalled,step.completed\nclaim b\ndone b "
           "=> task=complete\n"
           "signal a => refused");
  run_case("x a<x!sig",
           "submit\nsignal a => a=pending log=task.signalled\nsignal a\nclaim x\ndone x => a=complete task=complete");
  run_case("a!sig!within10",
           "submit\ntick 10 => a=error task=error log=step.failed,task.failed\nretry => a=waiting\nsignal a => task=complete");
  run_case("a!sig!within10!completes", "submit\ntick 10 => a=complete task=complete");
  run_case("a!sig", "submit\nsignal other => a=waiting\npause\nsignal a => a=complete task=paused\nresume => task=complete");
  run_case("a!sig!within10", "submit\ntick 10 => task=error\nsignal a => refused");
}

TEST(a_failure_may_be_decided_to_be_skipped_as_a_branch_that_is_not_taken) {
  run_case("a d b<a c<a,d",
           "submit\nclaim a\nskip a => a=skipped b=skipped c=pending task=in_progress log=step.failed,step.skipped,step.skipped\n"
           "claim d\ndone d => c=ready\nclaim c\ndone c => task=complete");
  run_case("a!limit1", "submit\nclaim a\nskip a => a=skipped task=complete\nretry a => refused\nskip a => fenced");
}

TEST(a_failure_may_be_decided_to_have_results) {
  run_case("a!once b<a", "submit\nclaim a\ngive a => a=complete b=ready log=step.failed,step.completed");
}

TEST(a_parked_step_waits_for_a_person_who_retries_or_resolves_it) {
  run_case("a!limit1 b<a",
           "submit\nclaim a\npark a => a=waiting a.wait=person b=pending task=in_progress log=step.failed,step.waiting\n"
           "tick 9999 => a=waiting\nretry a => a=ready\nclaim a => a.attempts=2\ndone a => b=ready");
  run_case("a!limit2", "submit\nclaim a\nfail a\ntick 10\nclaim a\npark a\nretry a\nclaim a\nfail a => a=waiting a.wait=retry");
  run_case("a b<a", "submit\nclaim a\npark a\nresolve a => a=resolved_manually b=ready");
  run_case("a", "submit\nclaim a\npark a\ncancel => a=cancelled task=cancelled");
  run_case("a", "submit\nclaim a\npark a\npause\nretry a => a=ready a.held=1\nresume => a.held=0");
}

TEST(a_step_that_is_skipped_after_its_error_was_told_is_counted_once) {
  run_case("a!cont b c<a,b", "submit\nclaim a\nfail a perm => c=pending\nretry a\nclaim a\nskip a => c=pending\n"
                             "claim b\ndone b => c=ready");
  run_case("a b c<a,b!alldone", "submit\nclaim a\nfail a perm => c=pending\nretry a\nclaim a\nskip a => c=pending\n"
                                "claim b\ndone b => c=ready\nclaim c\ndone c => task=complete");
}

TEST(an_approval_waits_for_people_and_is_decided_once) {
  run_case("a!appr b<a",
           "submit => a=ready\nclaim a\npeople a ann,bob,eve 2 => a=waiting a.wait=approval log=step.waiting\n"
           "vote ann a approve => a=waiting log=step.approval_decided\nvote ann a approve => refused\nvote zoe a approve => refused\n"
           "vote bob a approve => a=complete b=ready log=step.approval_decided,step.completed\nvote eve a reject => refused\n"
           "vote eve b approve => refused\nclaim b\ndone b => task=complete");
  run_case("a!appr", "submit\nvote ann a approve => refused\nclaim a\npeople a ann 2 => a=error task=error");
  run_case("a!appr", "submit\nclaim a\nrelease a => a=ready\nclaim a\npause\npeople a ann => a=waiting\nvote ann a approve => a=complete "
                     "task=paused\nresume => task=complete");
}

TEST(an_approval_whose_quorum_is_out_of_reach_is_rejected) {
  run_case("a!appr b<a",
           "submit\nclaim a\npeople a ann,bob,eve 2 60:boss\nvote ann a reject => a=waiting\nvote eve a reject => a=error task=error "
           "log=step.approval_decided,step.failed,task.failed\ntick 60 => a=error");
  run_case("a!appr", "submit\nclaim a\npeople a ann,^bob 1\nvote bob a reject => a=error task=error");
  run_case("a!appr!onno b<a", "submit\nclaim a\npeople a ann\nvote ann a reject => a=complete b=ready");
  run_case("a!appr", "submit\nclaim a\npeople a ann,bob\nvote ann a changes => a=error task=error\nretry => a=ready\nclaim a\n"
                     "people a ann,bob\nvote ann a approve => task=complete");
}

TEST(a_decision_is_passed_on) {
  run_case("a!appr", "submit\nclaim a\npeople a ann,bob 2\nvote ann a delegate bob => refused\nvote ann a delegate zoe => a=waiting\n"
                     "vote ann a approve => refused\nvote zoe a approve\nvote bob a approve => task=complete");
}

TEST(an_approval_escalates_and_ends_in_time) {
  run_case("a!appr!within30",
           "submit\nclaim a\npeople a ann 1 10:boss 20:owner\nvote boss a approve => refused\ntick 10 => a=waiting "
           "log=step.approval_escalated\nvote owner a approve => refused\ntick 10 => log=step.approval_escalated\ntick 10 => a=error "
           "task=error log=step.failed,task.failed");
  run_case("a!appr!within30!completes", "submit\nclaim a\npeople a ann\ntick 30 => a=complete task=complete");
  run_case("a!appr!within30!rejects!onno", "submit\nclaim a\npeople a ann\ntick 30 => a=complete");
  run_case("a!appr!within30!rejects", "submit\nclaim a\npeople a ann 1 10:boss\ntick 40 => a=error");
  run_case("a!appr", "submit\nclaim a\npeople a ann 1 10:boss\ntick 10\nvote boss a approve => task=complete\ntick 10 => log=");
}

TEST(an_approval_is_cancelled_and_resolved_as_any_waiting_step) {
  run_case("a!appr", "submit\nclaim a\npeople a ann 1 10:boss\ncancel => a=cancelled task=cancelled\ntick 10 => a=cancelled\n"
                     "vote ann a approve => refused");
  run_case("a!appr", "submit\nclaim a\npeople a ann\nresolve a => a=resolved_manually task=complete");
  run_case("a!appr", "submit\nclaim a\npeople a ann\ncancel a => task=error\nretry => a=ready\nclaim a\npeople a ann\n"
                     "vote ann a approve => task=complete");
}

/* Runs last (the harness keeps the order of the file): a row that nothing took is a rule that nobody needs or nobody tested. */
TEST(every_row_of_the_transition_tables_is_taken) {
  for (size_t r = 0; r < tk_task_transition_count; r++)
    if (!task_rows[r]) {
      test_fail(__FILE__, __LINE__, tk_task_transitions[r].on);
      fprintf(stderr, "  task %s -> %s\n", tk_task_status_name(tk_task_transitions[r].from),
              tk_task_status_name(tk_task_transitions[r].to));
    }
  for (size_t r = 0; r < tk_step_transition_count; r++)
    if (!step_rows[r]) {
      test_fail(__FILE__, __LINE__, tk_step_transitions[r].on);
      fprintf(stderr, "  step %s -> %s\n", tk_step_status_name(tk_step_transitions[r].from),
              tk_step_status_name(tk_step_transitions[r].to));
    }
}

TEST_MAIN
