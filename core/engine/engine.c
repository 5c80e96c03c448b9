#include "engine/engine.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/parts.h"

/* ---- Registry: one engine per store in a process ---- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static tk_engine *registry;

static const char *bare_path(const char *url) { return strncmp(url, "lmdb:", 5) == 0 ? url + 5 : url; }

/* Under the registry's lock. NULL when there is none, or the one there failed or belongs to the parent of a fork. */
static tk_engine *find_open(const char *url) {
  char *real = realpath(bare_path(url), NULL);
  tk_engine *found = NULL;
  for (tk_engine *e = registry; e && real && !found; e = e->next)
    if (e->key && strcmp(e->key, real) == 0 && e->pid == tk_process_id() && !atomic_load(&e->failed)) found = e;
  free(real);
  return found;
}

static void init(tk_engine *e, const tk_engine_options *options) {
  e->clock = options->clock ? *options->clock : tk_clock_system;
  e->pid = tk_process_id();
  e->references = 1;
  e->next_timer_us = INT64_MAX;
  pthread_mutex_init(&e->lock, NULL);
  pthread_mutex_init(&e->turns, NULL);
  pthread_rwlock_init(&e->graphs_lock, NULL);
  e->manual = options->manual;
  e->read_only = options->store.read_only;
  e->relaxed = options->store.durability == TK_DURABILITY_RELAXED;
  if (e->manual) tk_rng_seed(&e->rng, options->seed);
  else tk_rng_seed_system(&e->rng);
}

/* Whether an engine that is open gives what is asked for now. */
static int check_shared(const tk_engine *e, const tk_store_options *asked, tk_err *err) {
  if (asked->read_only) return TK_OK;
  if (e->read_only)
    return tk_err_set(err, TK_E_CONFLICT, "the store '%s' is open in this process for reading only: close that app first",
                      e->key);
  if (e->relaxed && asked->durability == TK_DURABILITY_SYNC)
    return tk_err_set(err, TK_E_CONFLICT, "the store '%s' is open in this process with durability 'relaxed': close it first",
                      e->key);
  return TK_OK;
}

int tk_engine_open(const char *url, const tk_engine_options *options, tk_engine **out, tk_err *err) {
  bool memory = strcmp(url, "memory:") == 0 || options->shared;
  int code = TK_OK;
  pthread_mutex_lock(&registry_lock);
  tk_engine *e = memory ? NULL : find_open(url);
  if (e) {
    code = check_shared(e, &options->store, err);
    if (code) goto out;
    e->references++;
    *out = e;
    goto out;
  }
  e = tk_calloc(1, sizeof *e);
  init(e, options);
  e->shared = options->shared != NULL;
  e->store = options->shared;
  if (!e->shared && (code = tk_store_open(url, &options->store, &e->store, err))) goto fail;
  e->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (e->bell < 0) {
    code = tk_err_set(err, TK_E_IO, "cannot make an eventfd: %s", strerror(errno));
    if (!e->shared) tk_store_close(e->store);
    goto fail;
  }
  if (!memory) e->key = tk_strdup(tk_store_path(e->store));
  e->presence = tk_presence_new(tk_store_path(e->store));
  *out = e;
  if (!e->key) goto out;   /* private: nobody else can find it */
  e->next = registry;
  registry = e;
  goto out;
fail:
  tk_free(e);
out:
  pthread_mutex_unlock(&registry_lock);
  return code;
}

void tk_engine_ring(tk_engine *e) {
  uint64_t one = 1;
  ssize_t ignored = write(e->bell, &one, sizeof one);   /* full means it is rung already */
  (void)ignored;
}

void tk_engine_free(tk_engine *e) {
  tk_presence_free(e->presence);
  if (!e->shared) tk_store_close(e->store);
  size_t cursor = 0;
  uint64_t key;
  for (void *value; tk_map_next(&e->graphs, &cursor, &key, &value);) tk_graph_free(value);
  tk_map_free(&e->graphs);
  cursor = 0;
  for (void *value; tk_map_next(&e->running, &cursor, &key, &value);) {
    for (tk_running *r = value, *older; r; r = older) {
      older = r->older;
      if (--r->batch->outstanding == 0) tk_free(r->batch);
      tk_free(r);
    }
  }
  tk_map_free(&e->running);
  for (size_t i = 0; i < e->finished_count; i++) tk_free(e->finished[i]);
  tk_free(e->finished);
  tk_free(e->ended);
  tk_arena_free(&e->arena);
  close(e->bell);
  pthread_mutex_destroy(&e->lock);
  pthread_mutex_destroy(&e->turns);
  pthread_rwlock_destroy(&e->graphs_lock);
  tk_free(e->key);
  tk_free(e);
}

/* Under the registry's lock. */
static void unregister(tk_engine *e) {
  for (tk_engine **at = &registry; *at; at = &(*at)->next)
    if (*at == e) {
      *at = e->next;
      return;
    }
}

void tk_engine_close(tk_engine *e) {
  if (!e || e->pid != tk_process_id()) return;   /* a child of fork must not touch the parent's environment */
  pthread_mutex_lock(&registry_lock);
  bool last = --e->references == 0;
  if (last) {
    unregister(e);
    pthread_mutex_lock(&e->lock);
    bool started = e->started;
    e->stopping = true;
    pthread_mutex_unlock(&e->lock);
    tk_engine_ring(e);
    if (started) pthread_join(e->thread, NULL);
    if (e->manual) tk_engine_leave(e);
    tk_engine_free(e);   /* under the registry's lock: a concurrent open of the same store must not find two environments */
  }
  pthread_mutex_unlock(&registry_lock);
}

tk_store *tk_engine_store(tk_engine *e) { return e->store; }
int64_t tk_engine_now_us(tk_engine *e) { return tk_clock_now_us(&e->clock); }

int tk_engine_alive(tk_engine *e, tk_err *err) {
  if (e->pid != tk_process_id()) return tk_err_set(err, TK_E_CLOSED, "this store was opened before a fork; open it again in the child");
  int failed = atomic_load(&e->failed);
  if (failed && err) *err = e->failure;
  return failed;
}

void tk_engine_fail(tk_engine *e, const tk_err *err) {
  e->failure = *err;
  atomic_store(&e->failed, err->code ? err->code : TK_E_IO);
  tk_log(TK_LOG_ERROR, "the store failed, nothing more is acknowledged: %s", err->message);
  /* Who waits for work or for news is called to see it. */
  for (tk_worker_handle *w = e->workers; w; w = w->next) {
    tk_message *m = tk_calloc(1, sizeof *m);
    m->type = TK_MSG_STOP;
    tk_port_push(w->port, m);
  }
  tk_followers_ring(e);
}

/* ---- Graphs ---- */

const tk_graph *tk_engine_graph(tk_engine *e, uint32_t definition) {
  pthread_rwlock_rdlock(&e->graphs_lock);
  tk_graph *graph = tk_map_get(&e->graphs, definition);
  pthread_rwlock_unlock(&e->graphs_lock);
  if (graph) return graph;
  tk_snap *snap;
  tk_definition d;
  if (tk_snap_open(e->store, &snap, NULL)) return NULL;
  if (tk_snap_definition(snap, definition, &d, NULL) == TK_OK) tk_graph_decode(d.graph, &graph, NULL);
  tk_snap_close(snap);
  if (!graph) return NULL;
  pthread_rwlock_wrlock(&e->graphs_lock);
  tk_graph *other = tk_map_get(&e->graphs, definition);
  if (other) {
    tk_graph_free(graph);
    graph = other;
  } else {
    tk_map_put(&e->graphs, definition, graph);
  }
  pthread_rwlock_unlock(&e->graphs_lock);
  return graph;
}

const tk_graph *tk_engine_graph_lookup(void *engine, uint32_t definition) { return tk_engine_graph(engine, definition); }

/* Only the engine's thread reads queue_no and the numbers of limits, so they may be filled in after the graph was shared. */
static void number_limits(tk_engine *e, tk_graph *graph) {
  graph->numbered = true;
  for (uint32_t s = 0; s < graph->step_count; s++)
    for (uint32_t i = 0; i < graph->steps[s].limit_count; i++) {
      tk_graph_limit *limit = (tk_graph_limit *)&graph->steps[s].limits[i];
      if (!limit->no) limit->no = tk_store_name(e->store, limit->name, NULL);
      graph->numbered = graph->numbered && limit->no;
    }
}

const tk_graph *tk_turn_graph(void *engine, uint32_t definition) {
  tk_engine *e = engine;
  const tk_graph *graph = tk_engine_graph(e, definition);
  if (!graph) return NULL;
  for (uint32_t i = 0; graph->step_queues && i < graph->step_count; i++) {
    tk_graph_step *step = &graph->steps[i];
    if (step->queue.size && !step->queue_no) step->queue_no = tk_store_name(e->store, step->queue, NULL);
  }
  if (graph->limited && !graph->numbered) number_limits(e, (tk_graph *)graph);
  return graph;
}

/* ---- Requests ---- */

tk_request *tk_engine_take_inbox(tk_engine *e) {
  pthread_mutex_lock(&e->lock);
  tk_request *first = e->inbox_head, *last = NULL;
  size_t events = 0;
  for (tk_request *r = first; r; r = (tk_request *)r->message.next) {
    if (last && (events + r->event_count > TK_TURN_EVENTS || r->type != TK_REQ_EVENTS || last->type != TK_REQ_EVENTS)) break;
    events += r->event_count;
    last = r;
  }
  if (last) {
    e->inbox_head = (tk_request *)last->message.next;
    if (!e->inbox_head) e->inbox_tail = NULL;
    last->message.next = NULL;
  }
  pthread_mutex_unlock(&e->lock);
  return first;
}

uint8_t tk_engine_peek_inbox(tk_engine *e) {
  pthread_mutex_lock(&e->lock);
  uint8_t type = e->inbox_head ? e->inbox_head->type : 0;
  pthread_mutex_unlock(&e->lock);
  return type;
}

void tk_engine_put_back(tk_engine *e, tk_request *chain) {
  if (!chain) return;
  tk_request *last = chain;
  while (last->message.next) last = (tk_request *)last->message.next;
  pthread_mutex_lock(&e->lock);
  last->message.next = e->inbox_head ? &e->inbox_head->message : NULL;
  e->inbox_head = chain;
  if (!e->inbox_tail) e->inbox_tail = last;
  pthread_mutex_unlock(&e->lock);
}

void tk_engine_reply(tk_request *request) {
  if (request->reply_to) tk_port_push(request->reply_to, &request->message);
  else tk_request_free(request);
}

/* Under e->lock. */
static void append(tk_engine *e, tk_request *request) {
  request->message.next = NULL;
  if (e->inbox_tail) e->inbox_tail->message.next = &request->message;
  else e->inbox_head = request;
  e->inbox_tail = request;
}

void tk_engine_post(tk_engine *e, tk_request *request, bool lazy) {
  tk_err err;
  int code = tk_engine_alive(e, &err);
  if (!code) {
    pthread_mutex_lock(&e->lock);
    code = tk_engine_start_thread(e, &err);
    if (!code) append(e, request);
    pthread_mutex_unlock(&e->lock);
  }
  if (code) {
    request->code = code;
    request->err = err;
    tk_engine_reply(request);
    return;
  }
  if (!lazy) tk_engine_flush(e);
  else if (atomic_load(&e->asleep) && !atomic_exchange(&e->lazy_rung, true)) tk_engine_ring(e);
}

void tk_engine_flush(tk_engine *e) {
  atomic_store(&e->urgent, true);
  if (atomic_load(&e->asleep)) tk_engine_ring(e);
}

bool tk_engine_turn_here(tk_engine *e, tk_request *request) {
  if (tk_engine_alive(e, NULL) || !tk_engine_take_turns(e)) return false;
  pthread_mutex_lock(&e->lock);
  append(e, request);
  pthread_mutex_unlock(&e->lock);
  tk_engine_turn(e);
  tk_engine_give_turns(e, false);
  return true;
}

int tk_engine_call(tk_engine *e, tk_request *request) {
  tk_port *port = tk_port_new(NULL, NULL);
  request->reply_to = port;
  if (!tk_engine_turn_here(e, request)) tk_engine_post(e, request, false);
  if (e->manual) tk_engine_step(e);
  while (!tk_port_wait(port, -1)) continue;
  tk_port_free(port);
  return request->code;
}

int tk_engine_control(tk_engine *e, int (*run)(tk_engine *, void *, tk_err *), void *argument, tk_err *err) {
  int code = tk_engine_alive(e, err);
  return code ? code : tk_engine_control_always(e, run, argument, err);
}

int tk_engine_control_always(tk_engine *e, int (*run)(tk_engine *, void *, tk_err *), void *argument, tk_err *err) {
  tk_control c = {.run = run, .argument = argument, .err = err};
  int code = TK_OK;
  if (e->pid != tk_process_id()) return tk_engine_alive(e, err);
  if (e->manual) return run(e, argument, err);
  if (tk_engine_take_turns(e)) {
    /* The first one joins, which changes what the engine's thread sleeps for: that is left to itself. */
    bool here = e->process.number != 0 && !atomic_load(&e->failed);
    if (here) {
      code = run(e, argument, err);
      if (e->again) tk_engine_turn(e);
    }
    tk_engine_give_turns(e, here);
    if (here) return code;
  }
  pthread_mutex_lock(&e->lock);
  code = tk_engine_start_thread(e, err);
  if (!code) {
    c.next = e->controls;
    e->controls = &c;
  }
  pthread_mutex_unlock(&e->lock);
  if (code) return code;
  tk_engine_ring(e);
  while (!atomic_load(&c.done)) syscall(SYS_futex, &c.done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return c.code;
}

