/* Feeding workers: which ready steps are claimed for whom, which slots are free, and when nothing is left to do. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/parts.h"

static uint32_t free_slots(const tk_worker_handle *w) {
  return w->paused || w->running >= w->concurrency ? 0 : w->concurrency - w->running;
}

size_t tk_workers_free(const tk_engine *e) {
  size_t count = 0;
  for (tk_worker_handle *w = e->workers; w; w = w->next) count += free_slots(w);
  return count;
}

static bool has_definition(const tk_worker_handle *w, uint32_t definition) {
  size_t low = 0, high = w->definition_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (w->definitions[middle] == definition) return true;
    if (w->definitions[middle] < definition) low = middle + 1;
    else high = middle;
  }
  return false;
}

static bool has_queue(const tk_worker_handle *w, uint32_t queue) {
  for (size_t i = 0; i < w->queue_count; i++)
    if (w->queue_numbers[i] == queue) return true;
  return false;
}

static bool is_builtin(const tk_engine *e, uint32_t definition) {
  for (int i = 0; i < TK_BUILTIN_DEFINITIONS; i++)
    if (e->builtins[i] == definition) return true;
  return false;
}

static bool serves(const tk_engine *e, const tk_worker_handle *w, uint32_t queue, uint32_t definition) {
  return has_queue(w, queue) && (has_definition(w, definition) || is_builtin(e, definition));
}

static int compare_numbers(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static size_t sort_unique(uint32_t *numbers, size_t count) {
  if (!count) return 0;
  qsort(numbers, count, sizeof *numbers, compare_numbers);
  size_t kept = 1;
  for (size_t i = 1; i < count; i++)
    if (numbers[i] != numbers[kept - 1]) numbers[kept++] = numbers[i];
  return kept;
}

void tk_workers_lanes(tk_engine *e, tk_plan *plan) {
  size_t queues = 0, definitions = 0;
  for (tk_worker_handle *w = e->workers; w; w = w->next) queues += w->queue_count, definitions += w->definition_count;
  uint32_t *q = TK_ARENA_ARRAY(&e->arena, uint32_t, queues + 1);
  uint32_t *d = TK_ARENA_ARRAY(&e->arena, uint32_t, definitions + TK_BUILTIN_DEFINITIONS);
  memcpy(e->builtins, tk_store_reader(e->store)->definitions, sizeof e->builtins);
  queues = definitions = 0;
  for (tk_worker_handle *w = e->workers; w; w = w->next) {
    for (size_t i = 0; i < w->queue_count; i++) {
      if (!w->queue_numbers[i]) w->queue_numbers[i] = tk_store_name(e->store, w->queues[i], NULL);
      q[queues++] = w->queue_numbers[i];
    }
    memcpy(d + definitions, w->definitions, w->definition_count * sizeof *d);
    definitions += w->definition_count;
  }
  for (int i = 0; i < TK_BUILTIN_DEFINITIONS; i++)
    if (e->builtins[i]) d[definitions++] = e->builtins[i];
  plan->queues = q;
  plan->queue_count = sort_unique(q, queues);
  plan->definitions = d;
  plan->definition_count = sort_unique(d, definitions);
}

/* Greater priority first, then in order of submission. */
static int compare_ready(const void *a, const void *b) {
  const tk_ready *x = a, *y = b;
  if (x->priority != y->priority) return x->priority > y->priority ? -1 : 1;
  if (x->task_no != y->task_no) return x->task_no < y->task_no ? -1 : 1;
  return (x->step > y->step) - (x->step < y->step);
}

static void sort_ready(tk_ready *items, size_t count) {
  for (size_t i = 1; i < count; i++)
    if (compare_ready(&items[i - 1], &items[i]) > 0) {
      qsort(items, count, sizeof *items, compare_ready);
      return;
    }
}

static tk_worker_handle *pick(tk_engine *e, const tk_ready *ready) {
  tk_worker_handle *best = NULL;
  for (tk_worker_handle *w = e->workers; w; w = w->next)
    if (free_slots(w) && (!best || free_slots(w) > free_slots(best)) && serves(e, w, ready->queue, ready->definition)) best = w;
  return best;
}

static void send(tk_worker_handle *w, tk_message *message) {
  message->next = NULL;
  if (w->out_tail) w->out_tail->next = message;
  else w->out_head = message;
  w->out_tail = message;
}

/* Claims by step: the newest first, behind it those whose worker has still to find out that they are fenced. */
static void add_running(tk_engine *e, tk_running *r) {
  r->older = tk_map_get(&e->running, r->key);
  tk_map_put(&e->running, r->key, r);
}

static tk_running *find_running(tk_engine *e, uint64_t key, uint32_t attempt) {
  tk_running *r = tk_map_get(&e->running, key);
  while (r && r->attempt != attempt) r = r->older;
  return r;
}

static void remove_running(tk_engine *e, tk_running *r) {
  tk_running *at = tk_map_get(&e->running, r->key);
  if (at != r) {
    while (at->older != r) at = at->older;
    at->older = r->older;
  } else if (r->older) {
    tk_map_put(&e->running, r->key, r->older);
  } else {
    tk_map_remove(&e->running, r->key);
  }
}

static void start(tk_engine *e, tk_worker_handle *w, tk_task *task, uint32_t index, bool ask, tk_batch *batch) {
  const tk_step *step = tk_task_step(task, index);
  const tk_graph_step *g = tk_task_template(task, index);
  tk_run_message *m = tk_calloc(1, sizeof *m);
  m->message.type = TK_MSG_RUN;
  m->worker = w;
  m->task_no = task->no;
  m->task_id = task->id;
  m->definition = task->definition;
  m->step = index;
  m->attempt = ask ? 0 : step->attempts;
  m->failures = step->failures;
  m->task_attempt = task->attempt;
  m->priority = task->priority;
  m->timeout_us = g->kind == TK_KIND_CHILD ? 0 : g->timeout_us;   /* that is about the child, not about what is asked first */
  m->heartbeat_timeout_us = g->heartbeat_timeout_us;
  m->inputs = step->inputs;
  m->template_ = (uint32_t)(g - task->graph->steps);
  m->ordinal = step->ordinal;
  if (step->role == TK_ROLE_ELEMENT) {
    const tk_step *map = tk_task_step(task, step->template_);
    m->inputs = map->inputs;
    m->items = map->fan->items + (step->ordinal - 1) / TK_MAP_PAGE;
  }
  if (step->role == TK_ROLE_COMPENSATION) {
    m->compensates = true;
    if (g->kind != TK_KIND_RUN) m->timeout_us = 0;   /* that one is about waiting */
  }
  if (step->role == TK_ROLE_NOTIFICATION) {
    m->round = step->round;
    m->inputs = tk_task_step(task, step->template_)->inputs;
    m->timeout_us = TK_NOTIFY_TIMEOUT_US;   /* its step's is about waiting */
  }
  m->progress = step->progress;
  send(w, &m->message);
  tk_running *r = tk_malloc(sizeof *r);
  r->worker = w;
  r->batch = batch;
  r->key = tk_running_key(task->no, index);
  r->attempt = m->attempt;
  batch->outstanding++;
  w->running++;
  w->idle_sent = false;
  add_running(e, r);
}

/* Takes the best of what became ready in this turn and of what waits in the index until the slots are full. */
bool tk_workers_claim(tk_engine *e, tk_decide *d, const tk_load *load, size_t wanted) {
  tk_changes *changes = d->changes;
  size_t fresh_count = changes->ready.count, fresh = 0, indexed = 0, kept = 0;
  tk_batch *batch = NULL;
  bool denied = false;
  if (!tk_workers_free(e) || (!fresh_count && !load->candidate_count)) return false;
  sort_ready(changes->ready.items, fresh_count);
  while ((fresh < fresh_count || indexed < load->candidate_count) && tk_workers_free(e)) {
    bool from_index = fresh == fresh_count || (indexed < load->candidate_count &&
                                               compare_ready(&load->candidates[indexed], &changes->ready.items[fresh]) < 0);
    const tk_ready *ready = from_index ? &load->candidates[indexed++] : &changes->ready.items[fresh++];
    tk_ready entry = *ready;
    tk_worker_handle *w = pick(e, &entry);
    tk_task *task = w ? tk_store_task(e->store, entry.task_no, NULL) : NULL;
    if (!task) {
      if (!from_index) changes->ready.items[kept++] = entry;
      continue;
    }
    tk_children_look(e, task);
    int result = tk_decide_claim(d, task, &entry, from_index);
    denied = denied || (result == TK_CLAIM_NOT && from_index);
    if (result == TK_CLAIM_NOT) continue;
    if ((result & TK_CLAIM_MORE) && from_index) indexed--;
    else if (result & TK_CLAIM_MORE) fresh--;
    result &= ~TK_CLAIM_MORE;
    if (result == TK_CLAIM_BEGUN) continue;
    if (!batch) {
      batch = tk_calloc(1, sizeof *batch);
      batch->turn = e->turn;
    }
    start(e, w, task, entry.step, result == TK_CLAIM_ASK, batch);
  }
  for (; fresh < fresh_count; fresh++) changes->ready.items[kept++] = changes->ready.items[fresh];
  changes->ready.count = kept;
  return denied && load->candidate_count == wanted && tk_workers_free(e);
}

/* Batches whose claims have all ended are deleted by the commit of the turn that ends the last. */
static void finish_batch(tk_engine *e, tk_batch *batch) {
  if (--batch->outstanding) return;
  if (e->finished_count == e->finished_capacity) {
    e->finished_capacity = e->finished_capacity ? e->finished_capacity * 2 : 64;
    e->finished = tk_realloc(e->finished, e->finished_capacity * sizeof *e->finished);
  }
  e->finished[e->finished_count++] = batch;
}

void tk_workers_ended(tk_engine *e, const tk_event *event) {
  tk_running *r = find_running(e, tk_running_key(event->task_no, event->step), event->attempt);
  if (!r) return;
  remove_running(e, r);
  if (r->worker) r->worker->running--;
  finish_batch(e, r->batch);
  if (e->ended_count == e->ended_capacity) {
    e->ended_capacity = e->ended_capacity ? e->ended_capacity * 2 : 64;
    e->ended = tk_realloc(e->ended, e->ended_capacity * sizeof *e->ended);
  }
  e->ended[e->ended_count++] = r;
}

void tk_workers_interrupt(tk_engine *e, const tk_notice *notice) {
  tk_running *r = find_running(e, tk_running_key(notice->task_no, notice->step), notice->attempt);
  if (!r || !r->worker) return;
  tk_interrupt_message *m = tk_calloc(1, sizeof *m);
  m->message.type = TK_MSG_INTERRUPT;
  m->task_no = notice->task_no;
  m->step = notice->step;
  m->attempt = notice->attempt;
  send(r->worker, &m->message);
  r->worker->interrupts = true;
}

void tk_workers_perform(tk_engine *e) {
  for (size_t i = 0; i < e->ended_count; i++) tk_free(e->ended[i]);
  e->ended_count = 0;
  for (tk_worker_handle *w = e->workers; w; w = w->next) {
    if (w->out_head) tk_port_push_chain(w->port, w->out_head, w->out_tail);
    w->out_head = w->out_tail = NULL;
    if (w->interrupts && w->urge) w->urge(w->urge_context);
    w->interrupts = false;
  }
}

static void take_back(tk_engine *e, const tk_run_message *run) {
  tk_running *r = find_running(e, tk_running_key(run->task_no, run->step), run->attempt);
  remove_running(e, r);
  run->worker->running--;
  if (--r->batch->outstanding == 0) tk_free(r->batch);
  tk_free(r);
}

void tk_workers_discard(tk_engine *e) {
  for (tk_worker_handle *w = e->workers; w; w = w->next) {
    for (tk_message *m = w->out_head; m;) {
      tk_message *next = m->next;
      if (m->type == TK_MSG_RUN) take_back(e, (tk_run_message *)m);
      tk_message_free(m);
      m = next;
    }
    w->out_head = w->out_tail = NULL;
    w->interrupts = false;
  }
  for (size_t i = 0; i < e->ended_count; i++) {
    tk_running *r = e->ended[i];
    if (r->worker) r->worker->running++;
    r->batch->outstanding++;
    add_running(e, r);
  }
  e->ended_count = 0;
  size_t kept = 0;
  for (size_t i = 0; i < e->finished_count; i++)
    if (!e->finished[i]->outstanding) e->finished[kept++] = e->finished[i];
  e->finished_count = kept;
}

/* ---- Idle: nothing can move without something from outside ---- */

typedef struct idle_look {
  tk_engine *engine;
  tk_snap *snap;
  tk_arena arena;
  bool expected;                 /* a timer of ours will fire */
  int64_t expected_us;           /* when */
  size_t seen;
  uint32_t missing[16];          /* definitions that wait in our queues for code we lack */
  size_t missing_count;
} idle_look;

static bool ours(tk_engine *e, uint32_t queue, uint32_t definition) {
  for (tk_worker_handle *w = e->workers; w; w = w->next)
    if (serves(e, w, queue, definition)) return true;
  return false;
}

static bool look_timer(void *context, const tk_timer *timer) {
  idle_look *look = context;
  tk_task *task;
  if (timer->kind == TK_TIMER_TASK_TIMEOUT || timer->kind == TK_TIMER_SIGNAL || timer->kind == TK_TIMER_APPROVAL ||
      timer->kind == TK_TIMER_CHILD || timer->kind == TK_TIMER_SCHEDULE || timer->kind == TK_TIMER_AFTER)
    return true;   /* a limit, or what comes from outside: nothing to wait for */
  tk_arena_reset(&look->arena);
  if (tk_snap_task(look->snap, &look->arena, timer->task_no, tk_engine_graph_lookup, look->engine, &task, NULL, NULL)) return true;
  uint32_t queue = timer->step == TK_NO_STEP || !tk_task_chunk(task, timer->step / TK_CHUNK_STEPS)
                       ? 0
                       : tk_task_template(task, timer->step)->queue_no;
  if (!queue) queue = task->queue;
  look->expected = task->status != TK_TASK_PAUSED && ours(look->engine, queue, task->definition);
  look->expected_us = timer->due_us;
  return !look->expected;
}

int64_t tk_engine_expected_us(tk_engine *e) {
  idle_look look = {.engine = e};
  if (tk_snap_open(e->store, &look.snap, NULL)) return INT64_MAX;
  tk_snap_each_timer(look.snap, look_timer, &look, NULL);
  tk_snap_close(look.snap);
  tk_arena_free(&look.arena);
  return look.expected ? look.expected_us : INT64_MAX;
}

static bool look_ready(void *context, const tk_ready *ready) {
  idle_look *look = context;
  bool queue_ours = false;
  for (tk_worker_handle *w = look->engine->workers; w; w = w->next) queue_ours = queue_ours || has_queue(w, ready->queue);
  if (queue_ours && !ours(look->engine, ready->queue, ready->definition)) {
    size_t i = 0;
    while (i < look->missing_count && look->missing[i] != ready->definition) i++;
    if (i == look->missing_count && i < sizeof look->missing / sizeof *look->missing)
      look->missing[look->missing_count++] = ready->definition;
  }
  return ++look->seen < 1000;   /* enough to tell people; the rest is the same */
}

static void tell_missing(const idle_look *look) {
  for (size_t i = 0; i < look->missing_count; i++) {
    const tk_graph *g = tk_engine_graph(look->engine, look->missing[i]);
    if (g)
      tk_log(TK_LOG_ERROR, "steps of handler %.*s/%.*s@%.*s are ready, but this worker has no code for it", (int)g->ns.size, g->ns.data,
             (int)g->name.size, g->name.data, (int)g->version.size, g->version.data);
  }
}

void tk_workers_tell_idle(tk_engine *e) {
  bool asked = false;
  for (tk_worker_handle *w = e->workers; w; w = w->next) asked = asked || (w->until_idle && !w->idle_sent);
  if (!asked || e->running.count) return;
  idle_look look = {.engine = e};
  tk_meta meta;
  if (tk_snap_open(e->store, &look.snap, NULL)) return;
  int code = tk_snap_meta(look.snap, &meta, NULL);
  bool idle = !code && meta.last_seq == e->last_seq && tk_snap_claims_empty(look.snap) && tk_snap_inbox_empty(look.snap);
  if (idle) idle = tk_snap_each_timer(look.snap, look_timer, &look, NULL) == TK_OK && !look.expected;
  if (idle) tk_snap_each_ready(look.snap, look_ready, &look, NULL);
  tk_snap_close(look.snap);
  tk_arena_free(&look.arena);
  if (!idle) return;
  tell_missing(&look);
  for (tk_worker_handle *w = e->workers; w; w = w->next) {
    if (!w->until_idle || w->idle_sent) continue;
    tk_message *m = tk_calloc(1, sizeof *m);
    m->type = TK_MSG_IDLE;
    w->idle_sent = true;
    tk_port_push(w->port, m);
  }
}
