/* Seeded simulation: the real engine, turn by turn, over the memory store with a virtual clock; several processes share it, work,
 * crash, come back as zombies and are fenced; people cancel, pause, resume, retry, resolve and migrate in between. After each history
 * the promises are checked: nothing lost, nothing stuck, no completed step started again, order kept, attempts within limits, the log
 * gapless and its fold equal to the states, the store's check clean.
 *
 *   sim FIRST COUNT        runs the seeds FIRST .. FIRST + COUNT - 1; prints the failing seeds and `N passed, N failed`
 *   sim -v SEED            one seed, telling what it does */
#include "sim.h"

/* ---- Requests ---- */

/* What is left in the inbox is for whoever takes the next turn, in whatever process. */
static int ask(sim *s, tk_engine *engine, tk_event event, struct tk_answer *answer) {
  int turns = 1000;
  tk_port *port = tk_port_new(NULL, NULL);
  tk_request *r = tk_request_new(TK_REQ_EVENTS, 1);
  r->events[0] = event;
  r->reply_to = port;
  s->now_us++;                   /* so that the log tells turns apart */
  tk_engine_post(engine, r, false);
  do tk_engine_step_once(engine);
  while (!(r = (tk_request *)tk_port_drain(port)) && --turns);
  int code = r ? r->code : TK_E_IO;
  if (!r) fail(s, "a request was not answered");
  else if (answer) *answer = r->answers[0];
  bool expected = code == TK_E_REFUSED || code == TK_E_INVALID || code == TK_E_CONFLICT || code == TK_E_NOT_FOUND;
  if (r && code && !expected) fail(s, "request: %s", r->err.message);
  tk_request_free(r);
  tk_port_free(port);
  return code;
}

/* The tasks made since the last look: those submitted, children, and those of schedules. */
static void find_tasks(sim *s) {
  tk_arena arena = {0};
  tk_snap *snap;
  tk_task *task;
  tk_err err;
  if (tk_snap_open(s->store, &snap, &err)) {
    fail(s, "snapshot: %s", err.message);
    return;
  }
  tk_meta meta;
  if (tk_snap_meta(snap, &meta, &err)) fail(s, "meta: %s", err.message);
  for (uint64_t no = s->next_no ? s->next_no : 1; !*s->failure && no < meta.next_task; no++) {
    /* Schedules have numbers too. */
    if (tk_snap_task(snap, &arena, no, tk_engine_graph_lookup, s->client, &task, NULL, &err)) continue;
    if (s->task_count == MAX_TASKS) fail(s, "too many tasks");
    if (*s->failure) break;
    s->tasks[s->task_count] = task->id;
    s->task_graph[s->task_count++] = graph_of(s, task->definition);
    s->next_no = no + 1;
  }
  tk_snap_close(snap);
  tk_arena_free(&arena);
}

static void submit(sim *s) {
  if (s->submitted == MAX_SUBMITTED || s->task_count == MAX_TASKS) return;
  uint32_t at = pick(s, s->graph_count), bypass[4], bypassed = 0;
  const tk_graph *g = s->graphs[at];
  for (uint32_t i = 0; i < g->step_count && bypassed < 4; i++)
    if ((g->steps[i].flags & TK_GRAPH_SKIPPABLE) && chance(s, 20)) bypass[bypassed++] = i;
  tk_submission sub = {.definition = s->definitions[at],
                       .queue = tk_slice_str("default"),
                       .priority = (int32_t)pick(s, 3),
                       .bypass = bypass,
                       .bypass_count = bypassed};
  sub.info.context = tk_slice_str("{}");
  sub.info.queue = sub.queue;
  if (chance(s, 15)) sub.info.run_at_us = s->now_us + 1000000LL * pick(s, 60);
  if (chance(s, 20)) {
    sub.has_identity = true;
    sub.identity[0] = (uint8_t)(1 + pick(s, 4));
    sub.identity[1] = (uint8_t)at;
  }
  struct tk_answer answer = {0};
  if (ask(s, s->client, (tk_event){.type = TK_EV_SUBMIT, .step = TK_NO_STEP, .submission = &sub}, &answer) || !answer.created)
    return;
  s->submitted++;
  find_tasks(s);
  say(s, "submit task %llu of h%u", (unsigned long long)answer.task_no, at);
}

static const char *const people[] = {"ann", "bob", "eve", "zoe"};
enum { PEOPLE = sizeof people / sizeof *people };

/* Somebody decides about some step, mostly one that is no approval or does not ask them. */
static void vote(sim *s) {
  uint32_t at = pick(s, (uint32_t)s->task_count);
  const tk_graph *g = s->graphs[s->task_graph[at]];
  tk_vote vote = {.decision = (uint8_t)(1 + pick(s, TK_DECISION_COUNT - 1)), .by = tk_slice_str(people[pick(s, PEOPLE)]),
                  .details = tk_slice_str("{\"comment\":\"x\",\"form\":null}")};
  if (vote.decision == TK_DECISION_DELEGATE) vote.to = tk_slice_str(people[pick(s, PEOPLE)]);
  uint32_t step = pick(s, g->step_count);
  for (uint32_t i = 0; i < g->step_count && g->steps[step].kind != TK_KIND_APPROVAL; i++) step = (step + 1) % g->step_count;
  int code = ask(s, s->client, (tk_event){.type = TK_EV_VOTE, .task_id = s->tasks[at], .step = step, .vote = &vote}, NULL);
  say(s, "vote on task %u step %u: %d", at, step, code);
}

/* To the other version of its handler: what it is then is counted anew from its steps, and must be what it was. */
static void migrate(sim *s) {
  uint32_t at = pick(s, (uint32_t)s->task_count), graph = s->task_graph[at];
  if (graph == s->graph_count) return;
  bool moved = s->moved[at];
  tk_migration m = {.definition = moved ? s->definitions[graph] : s->others[graph], .from = tk_slice_str(moved ? "2.0.0" : "1.0.0"),
                    .context = chance(s, 30) ? tk_slice_str("{\"moved\":true}") : tk_slice_of(NULL, 0), .dry = chance(s, 10)};
  tk_event event = {.type = TK_EV_MIGRATE, .task_id = s->tasks[at], .step = TK_NO_STEP, .migration = &m};
  int code = ask(s, s->client, event, NULL);
  if (!code && !m.dry) s->moved[at] = !moved;
  say(s, "migrate task %u: %d", at, code);
}

static void operate(sim *s) {
  find_tasks(s);
  if (!s->task_count) return;
  if (migrates(s) && chance(s, 20)) {
    migrate(s);
    return;
  }
  if (chance(s, 40)) {
    vote(s);
    return;
  }
  static const uint8_t verbs[] = {TK_EV_CANCEL, TK_EV_PAUSE, TK_EV_RESUME, TK_EV_RESUME, TK_EV_RETRY, TK_EV_RETRY, TK_EV_RESOLVE};
  uint32_t at = pick(s, (uint32_t)s->task_count);
  uint8_t type = verbs[pick(s, sizeof verbs)];
  tk_event event = {.type = type, .task_id = s->tasks[at], .step = TK_NO_STEP, .data = tk_slice_str("1")};
  bool by_step = type != TK_EV_PAUSE && type != TK_EV_RESUME;
  uint32_t steps = s->graphs[s->task_graph[at]]->step_count;
  if (by_step && chance(s, 60)) event.step = pick(s, chance(s, 30) ? steps + 12 : steps);
  if (type == TK_EV_CANCEL && event.step == TK_NO_STEP && chance(s, 60)) return;
  if (chance(s, 20)) {
    event.type = TK_EV_SIGNAL;
    event.step = TK_NO_STEP;
    event.name = s->graphs[s->task_graph[at]]->steps[pick(s, s->graphs[s->task_graph[at]]->step_count)].name;
  }
  int code = ask(s, s->client, event, NULL);
  say(s, "operation %u on task %u step %d: %d", type, at, (int)event.step, code);
  if (code || event.type != TK_EV_CANCEL || event.step == TK_NO_STEP || !migrates(s) || chance(s, 30)) return;
  event.type = TK_EV_RETRY;      /* at once: its attempt may still be there */
  if (chance(s, 50)) event.step = TK_NO_STEP;
  code = ask(s, s->client, event, NULL);
  say(s, "retried at once: %d", code);
}

/* ---- Processes ---- */

static void start_process(sim *s, process *p) {
  tk_engine_options options = {
      .clock = &(tk_clock){clock_now, s}, .manual = true, .seed = tk_rng_next(&s->rng), .shared = s->store};
  tk_err err;
  if (tk_engine_open("memory:", &options, &p->engine, &err)) {
    fail(s, "engine: %s", err.message);
    return;
  }
  p->port = tk_port_new(NULL, NULL);
  p->running_count = 0;
  static const char *const queues[] = {"default", "side"};
  uint32_t definitions[2 * MAX_GRAPHS + 1], count = 0;
  for (uint32_t i = 0; i <= s->graph_count; i++) {
    definitions[count++] = s->definitions[i];
    if (i < s->graph_count && migrates(s)) definitions[count++] = s->others[i];
  }
  tk_worker_options worker = {.port = p->port,
                              .concurrency = 1 + pick(s, 40),
                              .queues = queues,
                              .queue_count = 2,
                              .definitions = definitions,
                              .definition_count = count};
  if (tk_engine_attach(p->engine, &worker, &p->worker, &err)) fail(s, "attach: %s", err.message);
}

static void take_messages(sim *s, process *p) {
  for (tk_message *m = tk_port_drain(p->port); m;) {
    tk_message *next = m->next;
    if (m->type == TK_MSG_RUN) {
      if (p->running_count < sizeof p->running / sizeof *p->running) p->running[p->running_count++] = (tk_run_message *)m;
      else fail(s, "too much runs");
    } else if (m->type == TK_MSG_INTERRUPT) {
      const tk_interrupt_message *stop = (tk_interrupt_message *)m;
      for (size_t i = 0; i < p->running_count; i++) {
        tk_run_message *run = p->running[i];
        if (run->task_no != stop->task_no || run->step != stop->step || run->attempt != stop->attempt) continue;
        if (migrates(s) && chance(s, 50)) break;   /* it sits where nothing reaches it, and answers later */
        p->running[i] = p->running[--p->running_count];
        struct tk_answer answer = {0};
        ask(s, p->engine,
            (tk_event){.type = TK_EV_STEP_RELEASED, .task_no = run->task_no, .step = run->step, .attempt = run->attempt,
                       .definition = run->definition},
            &answer);
        if (run->attempt && !answer.fenced) fail(s, "an interrupted attempt was not fenced");   /* asks: see is_current */
        tk_free(run);
        break;
      }
      tk_message_free(m);
    } else {
      tk_message_free(m);
    }
    m = next;
  }
}

static void step_process(sim *s, process *p) {
  if (!p->engine) return;
  s->now_us++;
  if (chance(s, 50)) tk_engine_nudge(p->engine);
  if (chance(s, 50)) tk_engine_step(p->engine);
  else tk_engine_step_once(p->engine);
  take_messages(s, p);
}

/* What retry.decide may make of a failure besides another attempt. */
static void decide_failure(sim *s, tk_event *event) {
  static const uint8_t types[] = {TK_EV_STEP_DONE, TK_EV_STEP_SKIPPED, TK_EV_STEP_PARKED};
  event->type = types[pick(s, 3)];
  event->failure = tk_slice_str("{\"message\":\"no\"}");
  event->audit = tk_slice_str("{\"decided\":\"so\"}");
}

/* Whom an approval asks, as its code would answer. */
static tk_slice random_plan(sim *s, tk_buf *plan) {
  static const char shown[TK_SHOWN_SIZE];
  uint32_t count = 1 + pick(s, 3), escalations = pick(s, 3);
  tk_buf_clear(plan);
  tk_buf_varint(plan, 1 + pick(s, count));
  tk_buf_bytes(plan, tk_slice_of(shown, sizeof shown));
  tk_buf_bytes(plan, tk_slice_str(chance(s, 10) ? people[PEOPLE - 1] : ""));
  tk_buf_varint(plan, count);
  for (uint32_t i = 0; i < count; i++) {
    tk_buf_u8(plan, chance(s, 20));
    tk_buf_bytes(plan, tk_slice_str(people[i]));
  }
  tk_buf_varint(plan, escalations);
  for (uint32_t i = 0; i < escalations; i++) {
    tk_buf_varint(plan, 1000000 * (i * 10 + pick(s, 10)));
    tk_buf_varint(plan, 1);
    tk_buf_u8(plan, 0);
    tk_buf_bytes(plan, tk_slice_str(people[PEOPLE - 1]));
  }
  return tk_buf_slice(plan);
}

static bool asks_people(const sim *s, const tk_run_message *run) {
  return s->graphs[graph_of(s, run->definition)]->steps[run->template_].kind == TK_KIND_APPROVAL;
}

/* The list of a map, or what other asks answer. */
static void random_answer(sim *s, const tk_run_message *run, tk_event *event) {
  static const char page[] = "[1]\n[2]\n[3]\n[4]\n[5]\n[6]\n[7]\n[8]\n[9]";
  const tk_graph *graph = tk_engine_graph(s->client, run->definition);
  event->cursor = pick(s, 2);
  event->name = tk_slice_str("\"x\"");
  event->due_us = s->now_us + 1000000LL * pick(s, 20);
  event->keys = limit_keys(&graph->steps[run->template_], run->task_no, s->keys);
  if (asks_people(s, run)) event->name = random_plan(s, &s->plan);
  const tk_graph_step *g = &graph->steps[run->template_];
  if (g->kind == TK_KIND_CHILD) event->cursor = s->definitions[pick(s, graph_of(s, run->definition))];
  if (!(g->flags & TK_GRAPH_MAP) || run->ordinal) return;
  uint32_t pages = graph->step_count < 20 && g->kind != TK_KIND_CHILD && chance(s, 10) ? 9 : 1;
  event->cursor = pages == 9 ? 8 * TK_MAP_PAGE + 1 + pick(s, TK_MAP_PAGE) : pick(s, 12);
  event->name = tk_slice_of(page, event->cursor ? 4 * pages - 1 : 0);
  if (tk_graph_step_keyed(&graph->steps[run->template_])) event->name = keys_before(s, event->keys, event->name);
}

static tk_event random_outcome(sim *s, const tk_run_message *run) {
  tk_event event = {.task_no = run->task_no,
                    .step = run->step,
                    .attempt = run->attempt,
                    .definition = run->definition,
                    .retryable = chance(s, 85),
                    .delay_us = -1,
                    .data = tk_slice_str("{\"x\":1}")};
  uint32_t kind = pick(s, 100);
  if (run->attempt == 0) {
    event.type = kind < 90 ? TK_EV_ASK_DONE : TK_EV_ASK_FAILED;
    event.ask_skip = chance(s, 15);
    random_answer(s, run, &event);
  }
  else if (kind < 70) event.type = TK_EV_STEP_DONE;
  else if (kind < 85) event.type = TK_EV_STEP_FAILED;
  else if (kind < 90) event.type = TK_EV_STEP_SNOOZED, event.delay_us = 1000000LL * pick(s, 30);
  else if (kind < 95) event.type = TK_EV_STEP_RELEASED;
  else if (kind < 97 && !run->compensates && !run->round &&
           !tk_engine_graph(s->client, run->definition)->initial) decide_failure(s, &event);
  else if (kind < 98 && !run->compensates && !run->round)
    event.type = TK_EV_STEP_COST, event.cursor = loose_of(s, run), event.delay_us = (int64_t)pick(s, 9) - 4;
  else event.type = TK_EV_HEARTBEAT;
  return event;
}

/* Of a machine: anywhere within the part of a parallel state that it is of; in the end to the end. */
static uint32_t next_state(sim *s, const tk_run_message *run, bool cleanly) {
  const tk_graph *graph = tk_engine_graph(s->client, run->definition);
  const tk_graph_step *state = &graph->steps[run->template_];
  if (!graph->initial) return 0;
  bool parallel = graph->steps[0].case_count && graph->steps[0].cases[0].count == 2;
  if (cleanly || (parallel && run->template_ < 4)) return state->cases[0].steps[0];
  return parallel ? (chance(s, 50) ? 0 : graph->step_count - 1) : pick(s, graph->step_count);
}

static void finish_some(sim *s, process *p, bool cleanly) {
  if (!p->engine) return;
  for (uint32_t n = cleanly ? (uint32_t)p->running_count : 1 + pick(s, 4); n && p->running_count; n--) {
    uint32_t at = pick(s, (uint32_t)p->running_count);
    tk_run_message *run = p->running[at];
    tk_event event = random_outcome(s, run);
    event.branch = next_state(s, run, cleanly);
    if (cleanly) event.type = run->attempt ? TK_EV_STEP_DONE : TK_EV_ASK_DONE, event.failure = (tk_slice){NULL, 0};
    bool ends = event.type != TK_EV_HEARTBEAT && event.type != TK_EV_STEP_COST;
    say(s, "process %d: outcome %u of task %llu step %u attempt %u", (int)(p - s->processes), event.type,
        (unsigned long long)run->task_no, run->step, run->attempt);
    if (ends) p->running[at] = p->running[--p->running_count];
    ask(s, p->engine, event, NULL);
    if (ends) tk_free(run);
    take_messages(s, p);
  }
}

/* The process is gone between two commits: what it held is found and given back by another; its attempts come back later as
 * zombies. */
static void crash(sim *s, process *p, process *heir) {
  if (!p->engine || !heir->engine || p == heir) return;
  say(s, "process %d crashes with %zu attempts", (int)(p - s->processes), p->running_count);
  while (p->running_count) {
    tk_run_message *run = p->running[--p->running_count];
    tk_event late = {.type = TK_EV_STEP_DONE,
                     .task_no = run->task_no,
                     .step = run->step,
                     .attempt = run->attempt,
                     .definition = run->definition,
                     .data = tk_slice_str("\"late\"")};
    if (run->attempt && s->zombie_count < MAX_ZOMBIES) s->zombies[s->zombie_count++] = late;
    tk_free(run);
  }
  uint32_t dead = tk_engine_process(p->engine);
  tk_port_free(p->port);
  tk_engine_crash(p->engine);
  p->engine = NULL;
  tk_engine_bury(heir->engine, dead);
  take_messages(s, heir);
}

static void wake_zombie(sim *s) {
  if (!s->zombie_count) return;
  tk_event late = s->zombies[--s->zombie_count];
  struct tk_answer answer = {0};
  ask(s, s->client, late, &answer);
  if (!answer.fenced)
    fail(s, "a zombie's outcome was taken: task %llu step %u attempt %u", (unsigned long long)late.task_no, late.step,
         late.attempt);
}

/* ---- Time ---- */

static void advance(sim *s) {
  int64_t next_us = INT64_MAX;
  for (int i = 0; i < MAX_PROCESSES; i++)
    if (s->processes[i].engine && tk_engine_next_timer_us(s->processes[i].engine) < next_us)
      next_us = tk_engine_next_timer_us(s->processes[i].engine);
  int64_t step_us = 1000000LL * pick(s, 5);
  s->now_us = next_us != INT64_MAX && next_us > s->now_us && chance(s, 50) ? next_us : s->now_us + step_us;
}

#include "promises.h"

/* ---- One history ---- */

static void do_something(sim *s) {
  process *p = &s->processes[pick(s, MAX_PROCESSES)], *q = &s->processes[pick(s, MAX_PROCESSES)];
  uint32_t what = pick(s, 100);
  if (chance(s, 3)) change_limit(s);
  if (what < 12) submit(s);
  else if (what < 30) step_process(s, p);
  else if (what < 72) finish_some(s, p, false);
  else if (what < 80) operate(s);
  else if (what < 90) advance(s);
  else if (what < 93) crash(s, p, q);
  else if (what < 96) wake_zombie(s);
  else if (!p->engine) start_process(s, p);
  else schedule_something(s);
}

/* A person settles what waits for one. */
static void resolve_parked(sim *s) {
  tk_arena arena = {0};
  tk_snap *snap;
  tk_err err;
  if (tk_snap_open(s->store, &snap, &err)) {
    fail(s, "snapshot: %s", err.message);
    return;
  }
  TK_LIST(tk_event) parked = {0};
  for (size_t i = 0; i < s->task_count && !*s->failure; i++) {
    tk_task *task;
    if (tk_snap_task(snap, &arena, tk_snap_task_no(snap, &s->tasks[i]), tk_engine_graph_lookup, s->client, &task, NULL, &err))
      fail(s, "task: %s", err.message);
    for (uint32_t at = 0; !*s->failure && at < tk_task_count(task); at++) {
      tk_event event = {.type = TK_EV_RESOLVE, .task_id = s->tasks[i], .step = at, .data = tk_slice_str("1")};
      if (tk_task_step(task, at)->waiting_for == TK_WAIT_PERSON) tk_list_push(&arena, &parked, event);
    }
  }
  tk_snap_close(snap);
  for (size_t i = 0; i < parked.count; i++) ask(s, s->client, parked.items[i], NULL);
  tk_arena_free(&arena);
}

/* Everybody works, nobody disturbs: all that is not final must come to its end. */
static void drain(sim *s) {
  find_tasks(s);
  for (size_t i = 0; i < s->task_count; i++) {
    tk_event resume = {.type = TK_EV_RESUME, .task_id = s->tasks[i], .step = TK_NO_STEP};
    ask(s, s->client, resume, NULL);
  }
  resolve_parked(s);
  resume_schedules(s);
  for (int i = 0; i < MAX_PROCESSES; i++)
    if (!s->processes[i].engine) start_process(s, &s->processes[i]);
  for (int round = 0, quiet = 0; round < 1000000 && quiet < 3 && !*s->failure; round++) {
    bool busy = false;
    for (int i = 0; i < MAX_PROCESSES; i++) {
      tk_engine_nudge(s->processes[i].engine);
      step_process(s, &s->processes[i]);
      busy = busy || s->processes[i].running_count;
      finish_some(s, &s->processes[i], true);
    }
    int64_t next_us = INT64_MAX;
    for (int i = 0; i < MAX_PROCESSES; i++)
      if (tk_engine_next_timer_us(s->processes[i].engine) < next_us) next_us = tk_engine_next_timer_us(s->processes[i].engine);
    if (!busy && next_us != INT64_MAX) s->now_us = next_us > s->now_us ? next_us : s->now_us;
    quiet = busy || next_us != INT64_MAX ? 0 : quiet + 1;
  }
}

/* Who runs nothing holds no slot. */
static void check_slots(sim *s) {
  for (int i = 0; i < MAX_PROCESSES && !*s->failure; i++) {
    process *p = &s->processes[i];
    uint32_t held = p->worker->running;
    if (held != p->running_count) fail(s, "process %d runs %zu attempts in %u slots", i, p->running_count, held);
  }
}

static void close_all(sim *s) {
  for (int i = 0; i < MAX_PROCESSES; i++) {
    process *p = &s->processes[i];
    if (!p->engine) continue;
    while (p->running_count) tk_free(p->running[--p->running_count]);
    tk_engine_detach(p->engine, p->worker);
    tk_engine_close(p->engine);
    tk_port_free(p->port);
  }
  if (s->client) tk_engine_close(s->client);
  tk_store_close(s->store);
}

static bool run_seed(uint64_t seed, bool verbose) {
  sim *s = tk_calloc(1, sizeof *s);
  s->seed = seed;
  s->verbose = verbose;
  s->now_us = 1700000000000000LL;
  tk_rng_seed(&s->rng, seed);
  tk_err err;
  tk_clock clock = {clock_now, s};
  if (tk_store_open("memory:", &(tk_store_options){0}, &s->store, &err)) fail(s, "store: %s", err.message);
  tk_engine_options options = {.clock = &clock, .manual = true, .seed = seed, .shared = s->store};
  if (!*s->failure && tk_engine_open("memory:", &options, &s->client, &err)) fail(s, "engine: %s", err.message);
  declare_limits(s);
  s->graph_count = 1 + pick(s, MAX_GRAPHS);
  for (uint32_t i = 0; i < s->graph_count && !*s->failure; i++) define(s, i);
  if (!*s->failure) define_asker(s);
  for (int i = 0; i < MAX_PROCESSES && !*s->failure; i++) start_process(s, &s->processes[i]);
  for (uint32_t n = 50 + pick(s, 250); n && !*s->failure; n--) do_something(s);
  if (!*s->failure) drain(s);
  check_slots(s);
  if (!*s->failure) check_promises(s);
  bool ok = !*s->failure;
  if (!ok) printf("seed %llu: %s\n", (unsigned long long)seed, s->failure);
  close_all(s);
  tk_buf_free(&s->plan);
  tk_free(s);
  return ok;
}

int main(int argc, char **argv) {
  bool verbose = argc == 3 && strcmp(argv[1], "-v") == 0;
  if (argc != 3) {
    fprintf(stderr, "usage: sim FIRST COUNT | sim -v SEED\n");
    return 2;
  }
  if (verbose) return run_seed(strtoull(argv[2], NULL, 10), true) ? 0 : 1;
  uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10), failed = 0;
  for (uint64_t seed = first; seed < first + count; seed++) failed += !run_seed(seed, false);
  printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed), (unsigned long long)failed);
  return failed ? 1 : 0;
}
