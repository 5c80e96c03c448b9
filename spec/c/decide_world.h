/* decide as text tables: a graph, then lines of `event => what is true after it`. One task, no store; the harness keeps timers
 * and the inbox.
 *
 * graph:   steps as  name[<dep,dep][!flag...]  task: max=N timeout=N
 *          flags: skip cont ask once limitN lostN any joinN alldone sleepN sig (waits for the signal of its own name) withinN
 *          child (has a child: task 2, then 3 ...) ignores retries (on_child_error)
 *          completes case:NAME:step undo undostarted (has a compensation; it is a:compensate)
 *          appr (waits for people) rejects onno (a no completes it) notify (tells them)
 *          map mapN (at most N of its elements at once) tolN (N of them may fail); elements of a map m are m[1], m[2] ...
 *          machine: the steps are states, the first is where it begins; flags of states: go:OUTCOME:state after:state (the sleep
 *          that limits it) pass final finalerror history needN (goes on when entered N times)
 * events:  submit [bypass=x] [run_at=N] | claim x | done x | fail x [perm] [delay=N] | snooze x N | release x | lost x |
 *          stale x | skip x | park x | give x (a failure that was decided: to be skipped, parked, or to have results) |
 *          done x to=y (the next state) | resolve x as=OUTCOME |
 *          snooze x for ever, wake x (the reader of the log) |
 *          snooze x ever (until it is woken) | wake x |
 *          answer x [no] [case=N] [until=N] [list=N] | deny x | signal name | tick N | cancel [x] |
 *          people x ann,bob [N] [N:zoe,...]  (the answer of an approval: approvers, how many, escalations) |
 *          vote ann x approve|reject|changes|delegate [to] | pause | resume | retry [x] | resolve [x] |
 *          to GRAPH [old=new ...]  (moves to another version; its words are joined by `;`; old= drops a step) |
 *          ended x STATUS [large] (its child) | stop | go (a task above is paused, or no more)
 * results: task=STATUS x=STATUS x.wait=timer x.held=1 x.gives=1 x.child=N log=KIND,KIND... (all of this event's log)
 *          sent=VERB,VERB... (to children) refused fenced not (claim) */
#ifndef TK_SPEC_DECIDE_WORLD_H
#define TK_SPEC_DECIDE_WORLD_H
#include "base/alloc.h"
#include "model/approval.h"
#include "model/compensation.h"
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
  const tk_compensation *undo[4];     /* the same, by page */
  uint64_t next_payload;
  const tk_approval *approvals[64];   /* by step: the rows of the store */
  bool fenced, refused, not_claimed;
  uint32_t started, ends;         /* `ends`: final events of the task in the whole script */
  char log[16384], sent[256];
  uint64_t last_child;
} world;

enum { STEPS_MOST = 1024 };
static bool task_rows[64], step_rows[64];   /* which rows of the transition tables some line took */

/* ---- Building graphs from text ---- */

typedef struct case_text { tk_graph_step *step; const char *name, *target; } case_text;
static case_text cases_found[32];
static int case_count;

/* case:NAME:step of a switch, go:NAME:step of a state, to:step of its limit; resolved once all steps are known. */
static void parse_case(world *w, tk_graph_step *step, const char *flag) {
  char *text = (char *)tk_arena_copy(&w->arena, tk_slice_of(flag, strlen(flag) + 1)).data, *save;
  if (*flag == 'c') step->kind = TK_KIND_SWITCH, step->flags |= TK_GRAPH_ASK;
  strtok_r(text, ":", &save);
  cases_found[case_count].step = step;
  cases_found[case_count].name = strtok_r(NULL, ":", &save);
  cases_found[case_count++].target = strtok_r(NULL, ":", &save);
}

static void parse_flag(world *w, tk_graph_step *step, const char *flag) {
  if (strncmp(flag, "case:", 5) == 0 || strncmp(flag, "go:", 3) == 0 || strncmp(flag, "after:", 6) == 0) {
    parse_case(w, step, flag);
    return;
  }
  if (strcmp(flag, "undo") == 0) step->flags |= TK_GRAPH_COMPENSATES;
  else if (strcmp(flag, "undostarted") == 0) step->flags |= TK_GRAPH_COMPENSATES | TK_GRAPH_COMPENSATE_STARTED;
  else if (strcmp(flag, "skip") == 0) step->flags |= TK_GRAPH_SKIPPABLE;
  else if (strcmp(flag, "cont") == 0) step->flags |= TK_GRAPH_CONTINUE;
  else if (strcmp(flag, "ask") == 0) step->flags |= TK_GRAPH_ASK;
  else if (strcmp(flag, "once") == 0) step->flags &= ~(uint32_t)TK_GRAPH_RETRYABLE;
  else if (strcmp(flag, "any") == 0) step->join = TK_JOIN_COUNT, step->join_count = 1;
  else if (strncmp(flag, "join", 4) == 0) step->join = TK_JOIN_COUNT, step->join_count = (uint32_t)atoi(flag + 4);
  else if (strcmp(flag, "alldone") == 0) step->join = TK_JOIN_ALL_DONE;
  else if (strcmp(flag, "sig") == 0) step->kind = TK_KIND_SIGNAL, step->signal = step->name;
  else if (strncmp(flag, "within", 6) == 0) step->timeout_us = atoi(flag + 6) * 1000000LL;
  else if (strcmp(flag, "appr") == 0) step->kind = TK_KIND_APPROVAL, step->flags |= TK_GRAPH_ASK;
  else if (strcmp(flag, "notify") == 0) step->flags |= TK_GRAPH_NOTIFIES;
  else if (strcmp(flag, "rejects") == 0) step->flags |= TK_GRAPH_TIMEOUT_REJECTS;
  else if (strcmp(flag, "onno") == 0) step->flags |= TK_GRAPH_REJECT_COMPLETES;
  else if (strcmp(flag, "child") == 0) step->kind = TK_KIND_CHILD, step->child = step->name, step->flags |= TK_GRAPH_ASK;
  else if (strcmp(flag, "ignores") == 0) step->flags |= TK_GRAPH_CHILD_IGNORES;
  else if (strcmp(flag, "retries") == 0) step->flags |= TK_GRAPH_CHILD_RETRIES;
  else if (strcmp(flag, "pass") == 0) step->kind = TK_KIND_PASS;
  else if (strcmp(flag, "final") == 0) step->kind = TK_KIND_PASS, step->flags |= TK_GRAPH_FINAL;
  else if (strcmp(flag, "finalerror") == 0) step->kind = TK_KIND_PASS, step->flags |= TK_GRAPH_FINAL_ERROR;
  else if (strcmp(flag, "history") == 0) step->kind = TK_KIND_PASS, step->flags |= TK_GRAPH_HISTORY;
  else if (strncmp(flag, "need", 4) == 0) step->join_count = (uint32_t)atoi(flag + 4);
  else if (strcmp(flag, "completes") == 0) step->flags |= TK_GRAPH_TIMEOUT_COMPLETES;
  else if (strcmp(flag, "sleepasked") == 0) step->kind = TK_KIND_SLEEP, step->sleep_us = -1, step->flags |= TK_GRAPH_ASK;
  else if (strncmp(flag, "sleep", 5) == 0) step->kind = TK_KIND_SLEEP, step->sleep_us = atoi(flag + 5) * 1000000LL;
  else if (strncmp(flag, "map", 3) == 0) step->flags |= TK_GRAPH_MAP | TK_GRAPH_ASK, step->map_parallel = (uint32_t)atoi(flag + 3);
  else if (strncmp(flag, "tol", 3) == 0) step->map_failures = atof(flag + 3);
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
    else if (strcmp(word, "machine") == 0) g.initial = 1;
    else if (strncmp(word, "timeout=", 8) == 0) g.timeout_us = atoi(word + 8) * 1000000LL;
    else parse_step(w, &g, steps, word);
  }
  for (int i = 0; i < case_count; i++) {
    tk_graph_step *step = cases_found[i].step;
    if (!cases_found[i].target) {
      step->after = 1 + index_of(steps, g.step_count, cases_found[i].name);
      continue;
    }
    tk_graph_case *last = step->case_count ? (tk_graph_case *)&step->cases[step->case_count - 1] : NULL;
    if (last && g.initial && tk_slice_eq(last->name, tk_slice_str(cases_found[i].name))) {   /* it leads to several at once */
      ((uint32_t *)last->steps)[last->count++] = index_of(steps, g.step_count, cases_found[i].target);
      continue;
    }
    if (!step->cases) step->cases = TK_ARENA_ARRAY(&w->arena, tk_graph_case, 8);
    tk_graph_case *c = (tk_graph_case *)&step->cases[step->case_count++];
    uint32_t *target = TK_ARENA_ARRAY(&w->arena, uint32_t, 8);
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

static tk_compensation *load_compensation(void *context, tk_task *task, uint32_t page) {
  world *w = context;
  (void)task;
  if (!w->undo[page]) abort();
  tk_compensation *copy = TK_ARENA_NEW(&w->arena, tk_compensation);
  *copy = *w->undo[page];
  return copy;
}

static tk_decide context(world *w) {
  memset(&w->changes, 0, sizeof w->changes);
  w->changes.arena = &w->arena;
  w->changes.next_payload = w->next_payload ? w->next_payload : 1;
  w->task.dirty = false;
  w->task.log_head = w->task.log_tail = NULL;
  w->task.log_count = 0;
  w->task.approvals = NULL;
  w->task.load_approval = load_approval;
  w->task.undo_pages = NULL;
  w->task.load_compensation = load_compensation;
  w->fenced = w->refused = w->not_claimed = false;
  return (tk_decide){.changes = &w->changes, .now_us = w->now_us, .rng = &w->rng, .process = 7};
}

static void keep(world *w) {
  for (size_t i = 0; i < w->changes.untimers.count; i++)
    for (size_t k = 0; k < w->timers.count; k++)
      if (w->timers.items[k].due_us == w->changes.untimers.items[i].due_us &&
          w->timers.items[k].step == w->changes.untimers.items[i].step)
        w->timers.items[k] = w->timers.items[--w->timers.count];
  for (size_t i = 0; i < w->changes.timers.count; i++) tk_list_push(&w->arena, &w->timers, w->changes.timers.items[i]);
  for (size_t i = 0; i < w->changes.inbox.count; i++) tk_list_push(&w->arena, &w->inbox, w->changes.inbox.items[i]);
  w->next_payload = w->changes.next_payload;
  for (size_t i = 0; i < w->changes.compensations.count; i++)
    w->undo[w->changes.compensations.items[i].page] = w->changes.compensations.items[i].row;
  for (size_t i = 0; i < w->changes.approvals.count; i++)
    w->approvals[w->changes.approvals.items[i].step] = w->changes.approvals.items[i].row;
  for (tk_log_entry *entry = w->task.log_head; entry; entry = entry->next) {
    if (*w->log) strcat(w->log, ",");
    strcat(w->log, tk_log_kind_name(entry->kind));
    w->ends += entry->kind == TK_LOG_TASK_FAILED || entry->kind == TK_LOG_TASK_CANCELLED || entry->kind == TK_LOG_TASK_COMPLETED;
  }
}

static void apply(world *w, tk_event event) {
  uint8_t task_from = w->task.status, from[STEPS_MOST] = {0};
  for (uint32_t i = 0; i < tk_task_count(&w->task); i++) from[i] = tk_task_step(&w->task, i)->status;
  tk_decide d = context(w);
  tk_err err;
  w->refused = tk_decide_event(&d, &w->task, &event, &w->fenced, &err) != TK_OK;
  keep(w);
  for (size_t r = 0; r < tk_task_transition_count; r++)
    if (tk_task_transitions[r].from == task_from && tk_task_transitions[r].to == w->task.status) task_rows[r] = true;
  for (uint32_t i = 0; i < tk_task_count(&w->task); i++)
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
  tk_submission s = {.definition = 1, .graph = w->graph, .queue = tk_slice_str("default"), .bypass = bypass};
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

static uint32_t step_of(world *w, const char *name) {
  int64_t index = w->task.chunks ? tk_task_find(&w->task, tk_slice_str(name)) : -1;
  if (index >= 0) return (uint32_t)index;
  fprintf(stderr, "no step %s\n", name);
  abort();
}

static void claim(world *w, uint32_t index) {
  tk_ready ready = {.queue = 1, .definition = w->task.definition, .task_no = 1, .step = index};
  uint8_t from = w->task.status;
  tk_decide d = context(w);
  int result = tk_decide_claim(&d, &w->task, &ready, true);
  w->started = ready.step;
  w->not_claimed = result == TK_CLAIM_NOT;
  keep(w);
  take_row(from, w->task.status, true);
  if ((result & ~TK_CLAIM_MORE) == TK_CLAIM_RUN) take_row(TK_STEP_READY, TK_STEP_IN_PROGRESS, false);
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

static void make_child(world *w, const tk_event *event) {
  tk_task child = {.no = w->last_child ? w->last_child + 1 : 2};
  if (!tk_decide_wants_child(&w->task, event)) return;
  w->last_child = child.no;
  tk_decide d = context(w);
  tk_decide_child_made(&d, &w->task, event, &child);
  keep(w);
}

static void note_sent(world *w, const tk_event *event) {
  const char *verb = event->type == TK_EV_CANCEL ? "cancel" : event->type == TK_EV_PAUSE ? "pause" : event->type == TK_EV_RESUME ? "resume"
                                                                                                              : "retry";
  if (*w->sent) strcat(w->sent, ",");
  strcat(w->sent, verb);
  if (memcmp(event->audit.data, "{\"cascade\":", 11) != 0) strcat(w->sent, "?");
}

static void sweep_all(world *w) {
  while (w->inbox.count) {
    tk_event event = w->inbox.items[0];
    memmove(w->inbox.items, w->inbox.items + 1, --w->inbox.count * sizeof event);
    if (event.type == TK_EV_SPAWN) make_child(w, &event);
    else if (event.task_no != 1) note_sent(w, &event);
    else apply(w, event);
  }
}

/* As the store's load fills it. */
static tk_event child_ended(world *w, uint32_t index, const char *status, bool large) {
  const tk_step *step = tk_task_step(&w->task, index);
  tk_event event = {.type = TK_EV_CHILD_ENDED, .task_no = 1, .step = index, .attempt = step->attempts, .child = step->child};
  event.cursor = (uint32_t)tk_task_status_parse(status, strlen(status));
  if (!large) event.data = tk_slice_str("{}");
  event.failure = tk_slice_str("{\"message\":\"no\"}");
  return event;
}

static int verb_type(const char *verb) {
  static const struct { const char *name; int type;
  } verbs[] = {{"done", TK_EV_STEP_DONE},        {"fail", TK_EV_STEP_FAILED}, {"snooze", TK_EV_STEP_SNOOZED},
               {"release", TK_EV_STEP_RELEASED}, {"lost", TK_EV_STEP_LOST},   {"answer", TK_EV_ASK_DONE},
               {"deny", TK_EV_ASK_FAILED},       {"stale", TK_EV_STEP_DONE},  {"beat", TK_EV_HEARTBEAT},
               {"cancel", TK_EV_CANCEL},         {"pause", TK_EV_PAUSE},      {"resume", TK_EV_RESUME},
               {"retry", TK_EV_RETRY},           {"resolve", TK_EV_RESOLVE},  {"signal", TK_EV_SIGNAL},
               {"skip", TK_EV_STEP_SKIPPED},     {"park", TK_EV_STEP_PARKED},   {"give", TK_EV_STEP_DONE},
               {"wake", TK_EV_WAKE}};
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
  apply(w, (tk_event){.type = TK_EV_VOTE, .task_no = 1, .step = step_of(w, words[2]), .vote = &vote});
}

/* to GRAPH [old=new ...] */
static void move_to(world *w, char **words, int count) {
  tk_graph *old = w->graph;
  uint8_t task_from = w->task.status, from[64];
  uint64_t before = w->task.last_log;
  tk_rename renames[8];
  tk_migration m = {.definition = w->task.definition + 1, .from = tk_slice_str("1.0.0"), .renames = renames};
  for (uint32_t i = 0; i < old->step_count; i++) from[i] = tk_task_step(&w->task, i)->status;
  for (char *at = words[1]; *at; at++) *at = *at == ';' ? ' ' : *at;
  for (int i = 2; i < count; i++) {
    char *to = strchr(words[i], '=');
    *to++ = '\0';
    renames[m.rename_count++] = (tk_rename){tk_slice_str(words[i]), tk_slice_str(to)};
  }
  build(w, words[1]);
  m.graph = w->graph;
  tk_event event = {.type = TK_EV_MIGRATE, .task_no = 1, .step = TK_NO_STEP, .migration = &m};
  tk_decide d = context(w);
  tk_err err;
  w->refused = tk_decide_event(&d, &w->task, &event, &w->fenced, &err) != TK_OK;
  keep(w);
  for (uint32_t i = 0; !w->refused && i < old->step_count; i++) {
    tk_slice name = old->steps[i].name;
    for (size_t r = 0; r < m.rename_count; r++)
      if (tk_slice_eq(renames[r].from, name)) name = renames[r].to;
    int64_t now = tk_graph_find(w->graph, name);
    if (now >= 0) take_row(from[i], tk_task_step(&w->task, (uint32_t)now)->status, false);
  }
  tk_graph_free(w->refused ? w->graph : old);
  if (w->refused) w->graph = old;
  if (w->refused) return;
  take_row(task_from, w->task.status, true);
  w->task.last_log = before + 1;
  if (tk_task_definition_at(&w->task, before) != m.definition - 1) abort();
  if (tk_task_definition_at(&w->task, before + 1) != m.definition) abort();
}

/* Until the cascade comes that says that it may go on. */
static void stop(world *w, bool stopped) {
  w->task.stopped = stopped;
  tk_event resume = {.type = TK_EV_RESUME, .task_no = 1, .step = TK_NO_STEP, .audit = tk_slice_str("{\"cascade\":\"x\"}")};
  if (!stopped) apply(w, resume);
}

static tk_slice quoted(world *w, const char *text) {
  char json[64];
  return tk_arena_copy(&w->arena, tk_slice_of(json, (size_t)snprintf(json, sizeof json, "\"%s\"", text)));
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
  if (strcmp(words[0], "to") == 0) {
    move_to(w, words, count);
    return;
  }
  if (strcmp(words[0], "stop") == 0 || strcmp(words[0], "go") == 0) {
    stop(w, words[0][0] == 's');
    return;
  }
  if (strcmp(words[0], "vote") == 0) {
    vote(w, words, count);
    return;
  }
  bool signal = strcmp(words[0], "signal") == 0;
  uint32_t index = count > 1 && !signal ? step_of(w, words[1]) : TK_NO_STEP;
  if (strcmp(words[0], "people") == 0) {
    answer_people(w, index, words, count);
    return;
  }
  if (strcmp(words[0], "claim") == 0) {
    claim(w, index);
    return;
  }
  if (strcmp(words[0], "ended") == 0) {
    apply(w, child_ended(w, index, words[2], count > 3));
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
    else if (strcmp(words[i], "ever") == 0) event.delay_us = INT64_MAX;
    else if (strcmp(words[i], "no") == 0) event.ask_skip = true;
    else if (strncmp(words[i], "to=", 3) == 0) event.branch = step_of(w, words[i] + 3);
    else if (strncmp(words[i], "as=", 3) == 0) event.data = quoted(w, words[i] + 3);
    else if (strncmp(words[i], "case=", 5) == 0) event.cursor = (uint32_t)atoi(words[i] + 5), event.name = tk_slice_str("\"c\"");
    else if (strncmp(words[i], "list=", 5) == 0) event.cursor = (uint32_t)atoi(words[i] + 5), event.name = tk_slice_str("[1]\n[2]");
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
  if (strcmp(word, "ends") == 0) return w->ends == (uint32_t)atoi(value);
  if (strcmp(word, "sent") == 0) return strcmp(w->sent, value) == 0;
  if (strcmp(word, "started") == 0) return w->started == step_of(w, value);
  char *field = strchr(word, '.');
  if (field) *field++ = '\0';
  const tk_step *step = tk_task_step(&w->task, step_of(w, word));
  if (!field) return strcmp(tk_step_status_name(step->status), value) == 0;
  if (strcmp(field, "held") == 0) return !!(step->flags & TK_STEP_F_HELD) == atoi(value);
  if (strcmp(field, "gives") == 0) return !!(step->flags & TK_STEP_F_GIVING) == atoi(value);
  if (strcmp(field, "attempts") == 0) return step->attempts == (uint32_t)atoi(value);
  if (strcmp(field, "child") == 0) return step->child == (uint64_t)atoi(value);
  if (strcmp(field, "wait") == 0) return strcmp(tk_waiting_for_name(step->waiting_for), value) == 0;
  abort();
}

/* A row is there exactly while its step waits for people, pages while something is being undone. */
static bool rows_true(world *w) {
  if ((w->undo[0] != NULL) != (w->task.compensating == TK_COMPENSATION_RUNS)) return false;
  for (uint32_t i = 0; w->task.chunks && i < w->graph->step_count; i++)
    if ((w->approvals[i] != NULL) != (tk_task_step(&w->task, i)->waiting_for == TK_WAIT_APPROVAL)) return false;
  return true;
}

static bool map_true(world *w, const tk_fan *fan) {
  tk_fan seen = {0};
  for (uint32_t i = fan->first; i < fan->first + fan->count; i++) {
    const tk_step *s = tk_task_step(&w->task, i);
    seen.active += tk_step_active(s->status);
    seen.running += s->status == TK_STEP_IN_PROGRESS;
    seen.queued += !!(s->flags & TK_STEP_F_QUEUED);
    seen.ended += tk_step_final(s->status);
    seen.failed += s->status == TK_STEP_ERROR || s->status == TK_STEP_CANCELLED;
    if ((s->flags & TK_STEP_F_QUEUED) && i - fan->first < fan->queued_from) return false;
    if (i - fan->first == fan->next && s->role) return false;
  }
  return seen.active == fan->active && seen.running == fan->running && seen.queued == fan->queued && seen.ended == fan->ended &&
         seen.failed == fan->failed;
}

/* The counters of the aggregate are what its steps say. */
static bool counters_true(world *w) {
  if (!w->task.chunks) return true;   /* its submission was refused */
  uint32_t open = 0, active = 0, running = 0, held = 0, failed = 0, children = 0;
  for (uint32_t i = 0; i < tk_task_count(&w->task); i++) {
    const tk_step *s = tk_task_step(&w->task, i);
    active += tk_step_active(s->status);
    running += (s->status == TK_STEP_IN_PROGRESS && !tk_task_is_map(&w->task, i)) || (s->flags & TK_STEP_F_ASKING);
    held += !!(s->flags & TK_STEP_F_HELD);
    children += s->child != 0;
    if (s->fan && !map_true(w, s->fan)) return false;
    if (tk_task_is_instance(&w->task, i) && s->role != TK_ROLE_VISIT) continue;
    open += !tk_step_final(s->status);
    failed += s->status == TK_STEP_CANCELLED || (s->status == TK_STEP_ERROR && !(tk_task_template(&w->task, i)->flags & TK_GRAPH_CONTINUE));
  }
  return w->task.open == open && w->task.active == active && w->task.running == running && w->task.held == held &&
         w->task.failed == failed && w->task.children == children;
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
    w.log[0] = w.sent[0] = '\0';
    bool together = *line == '+';   /* the next line comes before what this one leaves to later turns */
    run_event(&w, line + together);
    if (together) continue;
    sweep_all(&w);
    if (!counters_true(&w) || !rows_true(&w)) test_fail(__FILE__, __LINE__, shown);
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

#endif
