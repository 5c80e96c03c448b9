/* A turn: take what has come, load, decide, claim, commit; then perform. Decide, commit, perform: three places, in that order. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/parts.h"

typedef struct turn {
  tk_engine *e;
  tk_request *requests;          /* chain of what this turn answers */
  tk_event *events;              /* theirs, one after the other */
  size_t event_count;
  tk_changes changes;
  tk_decide d;
  tk_load load;
  tk_limit_source limits;
} turn;

static bool from_worker(uint8_t type) {
  return (type >= TK_EV_STEP_DONE && type <= TK_EV_ASK_FAILED) || type == TK_EV_STEP_SKIPPED || type == TK_EV_STEP_PARKED ||
         type == TK_EV_STEP_COST;
}
static bool ends_attempt(uint8_t type) {
  return from_worker(type) && type != TK_EV_HEARTBEAT && type != TK_EV_STEP_LOG && type != TK_EV_STEP_COST;
}

/* ---- Plan ---- */

static tk_request *next_request(const tk_request *r) { return (tk_request *)r->message.next; }

static void gather(turn *t) {
  size_t count = 0, outcomes = 0;
  for (tk_request *r = t->requests; r; r = next_request(r)) count += r->event_count;
  t->events = TK_ARENA_ARRAY(&t->e->arena, tk_event, count + 1);
  for (tk_request *r = t->requests; r; r = next_request(r))
    for (size_t i = 0; i < r->event_count; i++) {
      t->events[t->event_count++] = r->events[i];
      outcomes += ends_attempt(r->events[i].type);
    }
}

static void make_plan(turn *t, tk_plan *plan) {
  tk_engine *e = t->e;
  size_t slots = tk_workers_free(e);
  for (size_t i = 0; i < t->event_count; i++) slots += ends_attempt(t->events[i].type);
  *plan = (tk_plan){.now_us = t->d.now_us, .process = e->process.number, .events = t->events, .event_count = t->event_count};
  plan->timers = TK_TURN_EVENTS;
  if (!e->workers) return;
  plan->due = true;
  tk_workers_lanes(e, plan);
  plan->candidates = slots;
}

/* ---- Decide ---- */

static void set_error(tk_request *r, int code, const tk_err *err) {
  if (r->code) return;
  r->code = code;
  r->err = *err;
}

/* The task that holds the identity, when that is still binding. */
static tk_task *identity_holder(turn *t, const tk_submission *s, const tk_identity_row *row) {
  if (!row || !row->task_no) return NULL;
  if (s->identity_window_us && t->d.now_us >= row->created_at_us + s->identity_window_us) return NULL;
  return tk_store_task(t->e->store, row->task_no, NULL);
}

static int refuse_duplicate(const tk_task *holder, tk_err *err) {
  char id[37];
  tk_id_format(&holder->id, id);
  tk_err_set(err, TK_E_CONFLICT, "a task with this identity exists: %s", id);
  tk_err_details(err, "{\"task_id\":\"%s\"}", id);
  return TK_E_CONFLICT;
}

static int submit_one(turn *t, tk_request *r, size_t at, tk_identity_row *row, tk_err *err) {
  tk_engine *e = t->e;
  const tk_submission *s = r->events[at].submission;
  tk_task *holder = identity_holder(t, s, row);
  if (holder) {
    if (s->identity_conflict == TK_IDENTITY_REJECT) return refuse_duplicate(holder, err);
    r->answers[at].id = holder->id;
    r->answers[at].task_no = holder->no;
    return TK_OK;
  }
  tk_task *task = TK_ARENA_NEW(&e->arena, tk_task);
  task->no = t->changes.next_task++;
  task->id = tk_id_next(&e->ids, t->d.now_us, &e->rng);
  task->queue = tk_store_name(e->store, s->queue, err);
  if (!task->queue) return err->code;
  int code = tk_decide_submit(&t->d, task, s, err);
  TK_ASSERT(!code);   /* checked by check_submissions */
  tk_store_adopt(e->store, task);
  if (row) {
    row->task_no = task->no;
    row->created_at_us = t->d.now_us;
    if (!row->dirty) tk_list_push(&e->arena, &t->changes.identities, row);
    row->dirty = true;
  }
  r->answers[at].id = task->id;
  r->answers[at].task_no = task->no;
  r->answers[at].created = true;
  return TK_OK;
}

/* Entries of one request with the same identity share its row: the second would find the first and be refused. */
static int check_duplicates(turn *t, tk_request *r, size_t first, tk_err *err) {
  tk_map seen = {0};
  int code = TK_OK;
  if (r->event_count < 2) return TK_OK;
  for (size_t i = 0; i < r->event_count && !code; i++) {
    const tk_submission *s = r->events[i].type == TK_EV_SUBMIT ? r->events[i].submission : NULL;
    tk_identity_row *row = s ? t->load.identities[first + i] : NULL;
    if (!row) continue;
    uint64_t key = (uint64_t)(uintptr_t)row;
    if (s->identity_conflict == TK_IDENTITY_REJECT && tk_map_get(&seen, key))
      code = tk_err_set(err, TK_E_CONFLICT, "entry %zu has the identity of an earlier one", i + 1);
    tk_map_put(&seen, key, row);
  }
  tk_map_free(&seen);
  return code;
}

/* What could refuse a submission is looked at before the first of its request is made: all or nothing. */
static int check_submissions(turn *t, tk_request *r, size_t first, tk_err *err) {
  for (size_t i = 0; i < r->event_count; i++) {
    if (r->events[i].type != TK_EV_SUBMIT) continue;
    tk_submission *s = (tk_submission *)r->events[i].submission;
    s->graph = tk_turn_graph(t->e, s->definition);
    if (!s->graph) return tk_err_set(err, TK_E_NOT_FOUND, "the store has no definition %u", s->definition);
    if (!s->queue.size) s->queue = s->info.queue = s->graph->queue;
    int code = tk_decide_check_submission(s, err);
    if (code) return code;
    tk_task *holder = s->identity_conflict == TK_IDENTITY_REJECT ? identity_holder(t, s, t->load.identities[first + i]) : NULL;
    if (holder) return refuse_duplicate(holder, err);
  }
  return check_duplicates(t, r, first, err);
}

static int resolve_step_name(tk_task *task, tk_event *event, tk_err *err) {
  if (!event->step_name.size) return TK_OK;
  int64_t index = tk_task_find(task, event->step_name);
  if (index < 0)
    return tk_err_set(err, TK_E_NOT_FOUND, "handler %.*s/%.*s has no step '%.*s'", (int)task->graph->ns.size, task->graph->ns.data,
                      (int)task->graph->name.size, task->graph->name.data, (int)event->step_name.size, event->step_name.data);
  event->step = (uint32_t)index;
  return TK_OK;
}

static int no_task(const tk_event *event, tk_err *err) {
  char id[37];
  tk_id_format(&event->task_id, id);
  return tk_err_set(err, TK_E_NOT_FOUND, "no task %s", id);
}

static bool is_annotated(const tk_annotation *items, size_t count, uint64_t task_no, tk_slice name) {
  for (size_t i = 0; i < count; i++)
    if (items[i].task_no == task_no && tk_slice_eq(items[i].name, name)) return true;
  return false;
}

/* Counts what is committed and what this turn has added so far. */
static int check_annotation(turn *t, const tk_task *task, const tk_event *event, tk_err *err) {
  tk_snap *snap;
  tk_annotation *kept;
  size_t kept_count, count;
  int code = tk_snap_open(t->e->store, &snap, err);
  if (code) return code;
  code = tk_snap_annotations(snap, &t->e->arena, task->no, &kept, &kept_count, err);
  const tk_annotation *added = t->changes.annotations.items;
  size_t added_count = t->changes.annotations.count;
  bool known = !code && (is_annotated(kept, kept_count, task->no, event->name) || is_annotated(added, added_count, task->no, event->name));
  count = kept_count;
  for (size_t i = 0; !code && i < added_count; i++)
    count += added[i].task_no == task->no && !is_annotated(kept, kept_count, task->no, added[i].name) &&
             !is_annotated(added, i, task->no, added[i].name);
  tk_snap_close(snap);
  if (!code && !known && count >= TK_LIMIT_ANNOTATIONS)
    code = tk_err_set(err, TK_E_INVALID, "a task has at most %d annotations", TK_LIMIT_ANNOTATIONS);
  return code;
}

/* A step looks before it annotates, and hears no answer: when another step of its task took the last place, the log tells. */
static int tell_unannotated(turn *t, tk_event *event) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "level");
  tk_json_put_cstr(&w, "error");
  tk_json_key(&w, "message");
  tk_json_put_cstr(&w, "an annotation was refused: the task has as many as it may");
  tk_json_key(&w, "name");
  tk_json_put_str(&w, event->name);
  tk_json_object_end(&w);
  event->type = TK_EV_STEP_LOG;
  event->data = tk_arena_copy(&t->e->arena, tk_buf_slice(&text));
  tk_buf_free(&text);
  return TK_OK;
}

static int find_target(turn *t, tk_event *event, tk_err *err) {
  tk_migration *m = (tk_migration *)event->migration;
  m->graph = tk_turn_graph(t->e, m->definition);
  return m->graph ? TK_OK : tk_err_set(err, TK_E_NOT_FOUND, "the store has no definition %u", m->definition);
}

static int decide_limit(turn *t, const tk_limit_change *change, tk_err *err) {
  uint32_t no = tk_store_name(t->e->store, change->name, err);
  return no ? tk_decide_limit(&t->d, no, change, err) : err->code;
}

static int decide_admission(turn *t, const tk_event *event, tk_err *err) {
  tk_admission *a = event->admission;
  if (a->breaker.size && !(a->breaker_no = tk_store_name(t->e->store, a->breaker, err))) return err->code;
  for (uint32_t i = 0; i < a->limit_count; i++)
    if (!(a->limits[i].no = tk_store_name(t->e->store, a->limits[i].name, err))) return err->code;
  if (event->type == TK_EV_ADMIT) a->hold = ++t->e->holds;
  int code = tk_decide_admission(&t->d, event, err);
  if (a->outcome != TK_ADMITTED) t->e->doubts = true;
  return code;
}

static int decide_one(turn *t, tk_request *r, size_t at, size_t flat, tk_err *err) {
  tk_event *event = &r->events[at];
  if (event->admission) return decide_admission(t, event, err);
  if (event->type == TK_EV_LIMIT) return decide_limit(t, event->limit, err);
  if (event->type == TK_EV_SUBMIT) return submit_one(t, r, at, t->load.identities[flat], err);
  if (tk_event_of_schedule(event)) return tk_schedules_request(t->e, &t->d, event, &r->answers[at], err);
  tk_task *task = t->load.tasks[flat];
  if (!task) return no_task(event, err);
  r->answers[at].id = task->id;
  r->answers[at].task_no = task->no;
  int code = event->migration ? find_target(t, event, err) : resolve_step_name(task, event, err);
  if (!code) code = tk_children_check(t->e, task, event, err);
  if (!code && event->type == TK_EV_ANNOTATE) code = check_annotation(t, task, event, err);
  if (code == TK_E_INVALID && event->type == TK_EV_ANNOTATE && event->step != TK_NO_STEP) code = tell_unannotated(t, event);
  if (code) return code;
  tk_children_look(t->e, task);
  return tk_decide_event(&t->d, task, event, &r->answers[at].fenced, err);
}

static void decide_requests(turn *t) {
  size_t flat = 0;
  for (tk_request *r = t->requests; r; flat += r->event_count, r = next_request(r)) {
    tk_err err = {0};
    int code = check_submissions(t, r, flat, &err);
    if (code) set_error(r, code, &err);
    for (size_t i = 0; i < r->event_count; i++) {
      if (ends_attempt(r->events[i].type)) tk_workers_ended(t->e, &r->events[i]);
      if (code) continue;
      err.code = 0;
      err.details[0] = '\0';
      int one = decide_one(t, r, i, flat + i, &err);
      if (one) set_error(r, one, &err);
    }
  }
}

static void decide_loaded(turn *t) {
  for (size_t i = 0; i < t->load.event_count; i++) {
    tk_task *task = t->load.event_tasks[i];
    tk_children_look(t->e, task);
    if (t->load.events[i].type == TK_EV_SPAWN) tk_children_spawn(t->e, &t->d, task, &t->load.events[i]);
    else tk_decide_event(&t->d, task, &t->load.events[i], NULL, NULL);
  }
  tk_schedules_take(t->e, &t->d, &t->load);
  for (size_t i = 0; i < t->load.notice_count; i++) tk_workers_interrupt(t->e, &t->load.notices[i]);
}

/* ---- Commit ---- */

/* When what the timer is of says that it is due. */
static int64_t timer_due_us(tk_engine *e, const tk_timer *timer) {
  if (timer->kind == TK_TIMER_SCHEDULE) return tk_schedules_due_us(e, timer->task_no);
  tk_task *task = tk_store_task(e->store, timer->task_no, NULL);
  return timer->step == TK_NO_STEP ? task->due_us : tk_task_step(task, timer->step)->due_us;
}

/* An entry made in this turn may have been overtaken by a later event of the same turn. */
static void drop_stale(turn *t) {
  tk_changes *c = &t->changes;
  size_t kept = 0;
  for (size_t i = 0; i < c->ready.count; i++) {
    tk_task *task = tk_store_task(t->e->store, c->ready.items[i].task_no, NULL);
    const tk_step *step = tk_task_step(task, c->ready.items[i].step);
    if (!tk_step_startable(step)) continue;
    if (step->flags & TK_STEP_F_PERMIT) tk_decide_lapse(&t->d, task, c->ready.items[i].step);
    c->ready.items[kept++] = c->ready.items[i];
  }
  c->ready.count = kept;
  kept = 0;
  for (size_t i = 0; i < c->timers.count; i++) {
    if (timer_due_us(t->e, &c->timers.items[i]) == c->timers.items[i].due_us) c->timers.items[kept++] = c->timers.items[i];
  }
  c->timers.count = kept;
  kept = 0;
  for (size_t i = 0; i < c->notices.count; i++) {   /* our own claims are told directly, after the commit */
    if (c->notices.items[i].process == t->e->process.number) tk_workers_interrupt(t->e, &c->notices.items[i]);
    else c->notices.items[kept++] = c->notices.items[i];
  }
  c->notices.count = kept;
}

static bool writes_anything(const turn *t) {
  const tk_changes *c = &t->changes;
  return c->dirty.count || c->schedules.count || c->limits.count || c->meters.count || c->breakers.count || c->holds.count ||
         c->unready.count || c->annotations.count || c->identities.count || t->load.event_count || t->load.schedule_event_count ||
         t->load.notice_count;
}

/* Whether this turn's log has something for who reads it: not what reading makes, but the end of that. */
static bool has_news(const turn *t, const tk_log_reader *reader) {
  const tk_changes *c = &t->changes;
  for (size_t i = 0; i < c->dirty.count; i++) {
    const tk_task *task = c->dirty.items[i];
    if (!task->log_count || task->no == reader->task_no) continue;
    if (!tk_slice_eq(task->graph->ns, tk_slice_str("tasker")) || tk_task_final(task->status)) return true;
  }
  return c->schedules.count;
}

static void wake_reader(turn *t) {
  const tk_log_reader *reader = tk_store_reader(t->e->store);
  if (!reader->task_no || !has_news(t, reader)) return;
  tk_event event = {.type = TK_EV_WAKE, .task_no = reader->task_no};
  tk_list_push(&t->e->arena, &t->changes.inbox, event);
}

static int commit(turn *t, uint32_t process, const uint64_t *batches, size_t batch_count, tk_err *err) {
  tk_engine *e = t->e;
  wake_reader(t);
  tk_apply apply = {.changes = &t->changes, .process = process, .finished_batches = batches, .finished_batch_count = batch_count};
  memcpy(apply.mark.incarnation, e->process.incarnation, sizeof apply.mark.incarnation);
  apply.mark.turn = e->turn;
  tk_applied applied;
  int code = tk_store_apply(e->store, &apply, &applied, err);
  if (!code && applied.last_seq >= applied.first_seq) e->last_seq = applied.last_seq;
  return code;
}

static int commit_turn(turn *t, tk_err *err) {
  tk_engine *e = t->e;
  size_t count = e->finished_count;
  uint64_t *batches = TK_ARENA_ARRAY(&e->arena, uint64_t, count + 1);
  for (size_t i = 0; i < count; i++) batches[i] = e->finished[i]->turn;
  int code = commit(t, e->process.number, batches, count, err);
  if (code) return code;
  for (size_t i = 0; i < count; i++) tk_free(e->finished[i]);
  e->finished_count = 0;
  return TK_OK;
}

/* ---- Perform ---- */

static void wake_peers(const turn *t) {
  const tk_changes *c = &t->changes;
  uint32_t reasons = c->dirty.count || c->schedules.count ? TK_WAKE_LOG : 0;
  if (c->ready.count || c->inbox.count || c->notices.count || c->timers.count) reasons |= TK_WAKE_WORK;
  if (reasons) tk_presence_wake(t->e->presence, reasons);
}

static void perform(turn *t) {
  tk_workers_perform(t->e);
  while (t->requests) {
    tk_request *next = next_request(t->requests);
    tk_engine_reply(t->requests);
    t->requests = next;
  }
  if (t->changes.dirty.count || t->changes.schedules.count) tk_followers_ring(t->e);
  wake_peers(t);
}

/* Another process committed between load and apply: decide is repeatable, perform happened not at all. */
static void decide_again(turn *t) {
  tk_workers_discard(t->e);
  for (tk_request *r = t->requests; r; r = next_request(r)) {
    r->code = TK_OK;
    r->err.details[0] = '\0';
    memset(r->answers, 0, r->event_count * sizeof *r->answers);
  }
  tk_engine_put_back(t->e, t->requests);
  t->e->again = true;
}

/* Nothing was committed. A full disk passes: outcomes of workers wait, clients are told; an engine that is being closed does not
 * wait, others find what it held. Anything else ends the store's life here. */
static void perform_failure(turn *t, const tk_err *err) {
  tk_engine *e = t->e;
  if (err->code == TK_E_CONFLICT) {
    decide_again(t);
    return;
  }
  bool waits = err->code == TK_E_FULL && !e->stopping;
  tk_request *wait = NULL, **wait_at = &wait;
  tk_workers_discard(e);
  if (err->code != TK_E_FULL) tk_engine_fail(e, err);
  else e->hold_off_us = tk_clock_now_us(&e->clock) + 1000000;
  while (t->requests) {
    tk_request *r = t->requests;
    t->requests = next_request(r);
    if (waits && r->event_count && from_worker(r->events[0].type)) {
      r->message.next = NULL;
      *wait_at = r;
      wait_at = (tk_request **)&r->message.next;
      continue;
    }
    r->code = err->code;
    r->err = *err;
    tk_engine_reply(r);
  }
  tk_engine_put_back(e, wait);
}

/* ---- The turn ---- */

static void begin_turn(turn *t, tk_engine *e) {
  memset(t, 0, sizeof *t);
  t->e = e;
  tk_arena_reset(&e->arena);
  e->turn++;
  t->changes.arena = &e->arena;
  tk_store_limit_source(e->store, &t->limits);
  t->d = (tk_decide){.changes = &t->changes, .now_us = tk_clock_now_us(&e->clock), .rng = &e->rng, .process = e->process.number,
                     .limits = &t->limits};
}

static int load(turn *t, const tk_plan *plan, tk_err *err) {
  int code = tk_store_load(t->e->store, &t->e->arena, plan, tk_turn_graph, t->e, &t->load, err);
  if (code) return code;
  t->changes.next_payload = t->load.next_payload;
  t->changes.next_task = t->load.next_task;
  /* What others committed since our last turn: whoever follows is told here, for the look before sleep compares with what this turn saw. */
  if (t->load.next_seq - 1 != t->e->last_seq) tk_followers_ring(t->e);
  t->e->last_seq = t->load.next_seq - 1;
  t->e->next_timer_us = t->load.next_timer_us;
  return TK_OK;
}

/* The log moved in a commit that was no turn. */
static void tell_log(tk_engine *e) {
  tk_followers_ring(e);
  tk_presence_wake(e->presence, TK_WAKE_LOG);
}

/* What is a commit of its own. */
static void commit_alone(tk_engine *e, tk_request *r) {
  if (r->type == TK_REQ_DEFINE) r->code = tk_store_define(e->store, &r->definition, r->source, &r->number, &r->err);
  else if (r->type == TK_REQ_SECRETS) {
    r->code = tk_store_secrets(e->store, &r->secrets, &r->err);
    if (!r->code && r->secrets.note.size) tell_log(e);
  }
  else if (r->type == TK_REQ_READER) r->code = tk_store_set_reader(e->store, r->has_reader ? &r->reader : NULL, r->builtins, &r->err);
  else r->code = tk_store_consumer(e->store, r->operation, &r->consumer, &r->err);
  tk_engine_reply(r);
}

static void note_own_timers(turn *t) {
  for (size_t i = 0; i < t->changes.timers.count; i++)
    if (t->changes.timers.items[i].due_us < t->e->next_timer_us) t->e->next_timer_us = t->changes.timers.items[i].due_us;
}

bool tk_engine_turn(tk_engine *e) {
  turn t;
  tk_plan plan;
  tk_err err = {0};
  if (e->hold_off_us && tk_clock_now_us(&e->clock) < e->hold_off_us && !e->stopping) return false;
  e->hold_off_us = 0;
  uint8_t first = tk_engine_peek_inbox(e);
  bool due = e->workers && e->next_timer_us <= tk_clock_now_us(&e->clock);
  if (!first && !e->again && !due) return false;
  if (first && first != TK_REQ_EVENTS) {
    commit_alone(e, tk_engine_take_inbox(e));
    return true;
  }
  int code = tk_store_begin(e->store, &err);
  begin_turn(&t, e);
  /* Also what came while another process held the write lock, but for what is a commit of its own: that is for the next turn. */
  t.requests = tk_engine_peek_inbox(e) == TK_REQ_EVENTS ? tk_engine_take_inbox(e) : NULL;
  e->again = false;
  gather(&t);
  if (!code) {
    make_plan(&t, &plan);
    code = load(&t, &plan, &err);
    if (code) tk_store_abort(e->store);
  }
  if (code) {
    perform_failure(&t, &err);
    return true;
  }
  decide_loaded(&t);
  decide_requests(&t);
  bool claim_again = tk_workers_claim(e, &t.d, &t.load, plan.candidates);
  drop_stale(&t);
  tk_decide_call_waiters(&t.d);
  if (!writes_anything(&t) && !e->finished_count) tk_store_abort(e->store);
  else code = commit_turn(&t, &err);
  if (code) {
    perform_failure(&t, &err);
    return true;
  }
  note_own_timers(&t);
  e->again = t.load.more || t.changes.inbox.count || claim_again;
  perform(&t);
  return true;
}

static int give_back(turn *t, uint32_t process, const tk_event *lost, size_t count, tk_err *err) {
  for (size_t i = 0; i < count; i++) {
    tk_task *task = tk_store_task(t->e->store, lost[i].task_no, err);
    if (!task && err->code != TK_E_NOT_FOUND) return err->code;   /* its claim must stay */
    bool there = task && lost[i].step < tk_task_count(task);   /* a migrated task may have fewer steps now */
    if (!there || tk_task_step(task, lost[i].step)->owner != process) continue;
    tk_children_look(t->e, task);
    tk_decide_event(&t->d, task, &lost[i], NULL, NULL);
  }
  return TK_OK;
}

static int release_holds(turn *t, uint32_t process, size_t *count, tk_err *err) {
  tk_hold **holds;
  int code = tk_store_holds_of(t->e->store, process, TK_TURN_EVENTS, &holds, count, err);
  for (size_t i = 0; !code && i < *count; i++) tk_decide_release_hold(&t->d, holds[i]);
  return code;
}

/* In turns of a bounded size; each ends claims of the dead process and deletes the batches it read whole. */
bool tk_engine_recover(tk_engine *e, uint32_t process) {
  for (size_t count = TK_TURN_EVENTS, held = 0; count == TK_TURN_EVENTS || held == TK_TURN_EVENTS;) {
    turn t;
    tk_err err = {0};
    tk_event *events;
    uint64_t *batches;
    size_t batch_count;
    tk_plan plan = {0};
    int code = tk_store_begin(e->store, &err);
    if (code) goto failed;
    begin_turn(&t, e);
    plan.now_us = t.d.now_us;
    plan.due = e->workers != NULL;
    code = load(&t, &plan, &err);
    if (!code) code = tk_store_claims_of(e->store, &e->arena, process, TK_TURN_EVENTS, &events, &count, &batches, &batch_count, &err);
    if (!code) code = give_back(&t, process, events, count, &err);
    if (!code) code = release_holds(&t, process, &held, &err);
    if (code) {
      tk_store_abort(e->store);
      goto failed;
    }
    drop_stale(&t);
    tk_decide_call_waiters(&t.d);
    code = commit(&t, process, batches, batch_count, &err);
    if (code) goto failed;
    perform(&t);
    continue;
  failed:
    if (code == TK_E_FULL) tk_log(TK_LOG_WARN, "giving back what a dead process held: %s", err.message);
    else tk_engine_fail(e, &err);
    return false;
  }
  return true;
}
