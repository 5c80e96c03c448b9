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
    if (e->key && strcmp(e->key, real) == 0 && e->pid == getpid() && !atomic_load(&e->failed)) found = e;
  free(real);
  return found;
}

static void init(tk_engine *e, const tk_engine_options *options) {
  e->clock = options->clock ? *options->clock : tk_clock_system;
  e->pid = getpid();
  e->references = 1;
  e->next_timer_us = INT64_MAX;
  pthread_mutex_init(&e->lock, NULL);
  pthread_rwlock_init(&e->graphs_lock, NULL);
  e->manual = options->manual;
  if (e->manual) tk_rng_seed(&e->rng, options->seed);
  else tk_rng_seed_system(&e->rng);
}

int tk_engine_open(const char *url, const tk_engine_options *options, tk_engine **out, tk_err *err) {
  bool memory = strcmp(url, "memory:") == 0 || options->shared;
  int code = TK_OK;
  pthread_mutex_lock(&registry_lock);
  tk_engine *e = memory ? NULL : find_open(url);
  if (e) {
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
  e->next = registry;
  registry = e;
  *out = e;
  goto out;
fail:
  tk_free(e);
out:
  pthread_mutex_unlock(&registry_lock);
  return code;
}

static void ring_bell(tk_engine *e) {
  uint64_t one = 1;
  ssize_t ignored = write(e->bell, &one, sizeof one);   /* full means it is rung already */
  (void)ignored;
}

static void free_engine(tk_engine *e) {
  tk_presence_free(e->presence);
  if (!e->shared) tk_store_close(e->store);
  size_t cursor = 0;
  uint64_t key;
  for (void *value; tk_map_next(&e->graphs, &cursor, &key, &value);) tk_graph_free(value);
  tk_map_free(&e->graphs);
  cursor = 0;
  for (void *value; tk_map_next(&e->running, &cursor, &key, &value);) tk_free(value);
  tk_map_free(&e->running);
  for (size_t i = 0; i < e->finished_count; i++) tk_free(e->finished[i]);
  tk_free(e->finished);
  tk_free(e->ended);
  tk_arena_free(&e->arena);
  close(e->bell);
  pthread_mutex_destroy(&e->lock);
  pthread_rwlock_destroy(&e->graphs_lock);
  tk_free(e->key);
  tk_free(e);
}

void tk_engine_close(tk_engine *e) {
  if (!e || e->pid != getpid()) return;   /* a child of fork must not touch the parent's environment */
  pthread_mutex_lock(&registry_lock);
  bool last = --e->references == 0;
  if (last)
    for (tk_engine **at = &registry; *at; at = &(*at)->next)
      if (*at == e) {
        *at = e->next;
        break;
      }
  if (last) {
    pthread_mutex_lock(&e->lock);
    bool started = e->started;
    e->stopping = true;
    pthread_mutex_unlock(&e->lock);
    ring_bell(e);
    if (started) pthread_join(e->thread, NULL);
    free_engine(e);   /* under the registry's lock: a concurrent open of the same store must not find two environments */
  }
  pthread_mutex_unlock(&registry_lock);
}

tk_store *tk_engine_store(tk_engine *e) { return e->store; }
int64_t tk_engine_now_us(tk_engine *e) { return tk_clock_now_us(&e->clock); }

int tk_engine_alive(tk_engine *e, tk_err *err) {
  if (e->pid != getpid()) return tk_err_set(err, TK_E_CLOSED, "this store was opened before a fork; open it again in the child");
  int failed = atomic_load(&e->failed);
  if (failed && err) *err = e->failure;
  return failed;
}

void tk_engine_fail(tk_engine *e, const tk_err *err) {
  e->failure = *err;
  atomic_store(&e->failed, err->code ? err->code : TK_E_IO);
  tk_log(TK_LOG_ERROR, "the store failed, nothing more is acknowledged: %s", err->message);
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

/* Only the engine's thread reads queue_no, so it may be filled in after the graph was shared. */
const tk_graph *tk_turn_graph(void *engine, uint32_t definition) {
  tk_engine *e = engine;
  const tk_graph *graph = tk_engine_graph(e, definition);
  if (!graph) return NULL;
  for (uint32_t i = 0; graph->step_queues && i < graph->step_count; i++) {
    tk_graph_step *step = &graph->steps[i];
    if (step->queue.size && !step->queue_no) step->queue_no = tk_store_name(e->store, step->queue, NULL);
  }
  return graph;
}

/* ---- The thread ---- */

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

static bool run_controls(tk_engine *e) {
  pthread_mutex_lock(&e->lock);
  tk_control *c = e->controls;
  e->controls = NULL;
  pthread_mutex_unlock(&e->lock);
  bool any = c != NULL;
  while (c) {
    tk_control *next = c->next;
    c->code = c->run(e, c->argument, c->err);
    atomic_store(&c->done, 1);
    syscall(SYS_futex, &c->done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    c = next;
  }
  return any;
}

static bool has_work(tk_engine *e) {
  pthread_mutex_lock(&e->lock);
  bool any = (e->inbox_head && !e->hold_off_us) || e->controls || e->stopping;
  pthread_mutex_unlock(&e->lock);
  return any;
}

/* The last look before sleep: whether anyone committed since our last turn. */
static bool store_moved(tk_engine *e) {
  tk_snap *snap;
  tk_meta meta;
  if (tk_snap_open(e->store, &snap, NULL)) return false;
  bool moved = tk_snap_meta(snap, &meta, NULL) == TK_OK && meta.last_seq != e->last_seq;
  tk_snap_close(snap);
  return moved;
}

enum { MAX_FDS = 1024 };

static int sleep_timeout_ms(const tk_engine *e) {
  if (e->hold_off_us) return 100;
  if (!e->workers || e->next_timer_us == INT64_MAX) return -1;
  int64_t left_us = e->next_timer_us - tk_clock_now_us(&e->clock);
  if (left_us <= 0) return 0;
  return left_us > 3600LL * 1000000 ? 3600 * 1000 : (int)((left_us + 999) / 1000);
}

/* What dead peers held is given back. */
static void look_for_dead(tk_engine *e);

static void sleep_until_called(tk_engine *e) {
  struct pollfd fds[MAX_FDS];
  size_t count = 0;
  uint32_t wants = (e->workers ? TK_WAKE_WORK : 0) | (e->followers ? TK_WAKE_LOG : 0);
  fds[count++] = (struct pollfd){.fd = e->bell, .events = POLLIN};
  tk_presence_poll(e->presence, fds, &count, MAX_FDS);
  atomic_store(&e->asleep, true);
  tk_presence_want(e->presence, wants);
  bool stay = !has_work(e);
  if (stay && wants && store_moved(e)) {
    e->again = true;
    stay = false;
  }
  int ready = stay ? poll(fds, count, sleep_timeout_ms(e)) : 0;
  tk_presence_want(e->presence, 0);
  atomic_store(&e->asleep, false);
  uint64_t rings;
  ssize_t ignored = read(e->bell, &rings, sizeof rings);
  (void)ignored;
  bool died = false;
  if (ready > 0 && tk_presence_rang(e->presence, fds, count, &died)) e->again = true;
  if (ready == 0 && stay) e->again = true;   /* a timer is due */
  if (e->again) tk_followers_ring(e);
  if (died) look_for_dead(e);
}

static void answer_failed(tk_engine *e) {
  for (tk_request *r; (r = tk_engine_take_inbox(e));)
    while (r) {
      tk_request *next = (tk_request *)r->message.next;
      r->err = e->failure;
      r->code = r->err.code;
      tk_engine_reply(r);
      r = next;
    }
}

static void leave(tk_engine *e) {
  tk_err err;
  if (!e->process.number || atomic_load(&e->failed)) return;
  tk_engine_recover(e, e->process.number);   /* what was claimed and never answered */
  if (tk_store_leave(e->store, e->process.number, &err)) tk_log(TK_LOG_WARN, "leaving the store: %s", err.message);
}

static void *run_thread(void *engine) {
  tk_engine *e = engine;
  for (;;) {
    bool moved = run_controls(e);
    if (atomic_load(&e->failed)) answer_failed(e);
    else moved = tk_engine_turn(e) || moved;
    if (moved) continue;
    pthread_mutex_lock(&e->lock);
    bool stop = e->stopping && !e->inbox_head && !e->controls;
    pthread_mutex_unlock(&e->lock);
    if (stop) break;
    tk_workers_tell_idle(e);
    sleep_until_called(e);
  }
  leave(e);
  return NULL;
}

void tk_engine_step(tk_engine *e) {
  TK_ASSERT(e->manual);
  while (!atomic_load(&e->failed) && tk_engine_turn(e)) continue;
  if (atomic_load(&e->failed)) answer_failed(e);
  else tk_workers_tell_idle(e);
}

int64_t tk_engine_next_timer_us(const tk_engine *e) { return e->next_timer_us; }

/* Under e->lock. */
static int start_thread(tk_engine *e, tk_err *err) {
  if (e->started || e->manual) return TK_OK;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);   /* signals are for the threads that run Lua */
  int code = pthread_create(&e->thread, NULL, run_thread, e);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (code) return tk_err_set(err, TK_E_IO, "cannot start the engine's thread: %s", strerror(code));
  e->started = true;
  return TK_OK;
}

/* ---- Requests ---- */

void tk_engine_reply(tk_request *request) {
  if (request->reply_to) tk_port_push(request->reply_to, &request->message);
  else tk_request_free(request);
}

void tk_engine_post(tk_engine *e, tk_request *request, bool lazy) {
  tk_err err;
  int code = tk_engine_alive(e, &err);
  if (!code) {
    request->message.next = NULL;
    pthread_mutex_lock(&e->lock);
    code = start_thread(e, &err);
    if (!code) {
      if (e->inbox_tail) e->inbox_tail->message.next = &request->message;
      else e->inbox_head = request;
      e->inbox_tail = request;
    }
    pthread_mutex_unlock(&e->lock);
  }
  if (code) {
    request->code = code;
    request->err = err;
    tk_engine_reply(request);
    return;
  }
  if (!lazy) tk_engine_flush(e);
}

void tk_engine_flush(tk_engine *e) {
  if (atomic_load(&e->asleep)) ring_bell(e);
}

int tk_engine_call(tk_engine *e, tk_request *request) {
  tk_port *port = tk_port_new(NULL, NULL);
  request->reply_to = port;
  tk_engine_post(e, request, false);
  while (!tk_port_wait(port, -1)) continue;
  tk_port_free(port);
  return request->code;
}

static int control(tk_engine *e, int (*run)(tk_engine *, void *, tk_err *), void *argument, tk_err *err) {
  tk_control c = {.run = run, .argument = argument, .err = err};
  int code = tk_engine_alive(e, err);
  if (code) return code;
  if (e->manual) return run(e, argument, err);
  pthread_mutex_lock(&e->lock);
  code = start_thread(e, err);
  if (!code) {
    c.next = e->controls;
    e->controls = &c;
  }
  pthread_mutex_unlock(&e->lock);
  if (code) return code;
  ring_bell(e);
  while (!atomic_load(&c.done)) syscall(SYS_futex, &c.done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return c.code;
}

/* ---- Joining: what a process does once it works or follows ---- */

typedef struct death_scan { tk_engine *engine; tk_process dead[64]; size_t count; } death_scan;
static bool scan_process(void *context, const tk_process *process) {
  death_scan *scan = context;
  if (process->number == scan->engine->process.number) return true;
  if (tk_presence_alive(scan->engine->presence, process->incarnation)) {
    tk_presence_watch(scan->engine->presence, process->incarnation, process->pid);
    return true;
  }
  scan->dead[scan->count++] = *process;
  return scan->count < sizeof scan->dead / sizeof *scan->dead;
}

static void look_for_dead(tk_engine *e) {
  death_scan scan = {.engine = e};
  tk_snap *snap;
  if (!e->process.number || !e->presence || tk_snap_open(e->store, &snap, NULL)) return;
  tk_snap_each_process(snap, scan_process, &scan, NULL);
  tk_snap_close(snap);
  for (size_t i = 0; i < scan.count && !atomic_load(&e->failed); i++) {
    tk_engine_recover(e, scan.dead[i].number);
    tk_err err;
    if (tk_store_leave(e->store, scan.dead[i].number, &err) == TK_OK) tk_presence_bury(e->presence, scan.dead[i].incarnation);
    else if (err.code != TK_E_NOT_FOUND) tk_log(TK_LOG_WARN, "burying a dead process: %s", err.message);
  }
  if (scan.count) {
    tk_store_housekeep(e->store, NULL);
    e->again = true;
  }
}

static int join(tk_engine *e, tk_err *err) {
  if (e->process.number) return TK_OK;
  tk_random_bytes(e->process.incarnation, sizeof e->process.incarnation);
  e->process.pid = e->pid;
  e->process.since_us = tk_clock_now_us(&e->clock);
  int code = e->presence ? tk_presence_join(e->presence, e->process.incarnation, err) : TK_OK;
  if (!code) code = tk_store_join(e->store, &e->process, err);
  if (code) return code;
  look_for_dead(e);
  tk_presence_wake(e->presence, TK_WAKE_WORK | TK_WAKE_LOG);   /* peers start to watch this process */
  return TK_OK;
}

/* ---- Following ---- */

typedef struct follow_argument { tk_port *port; bool stop; } follow_argument;

static int run_follow(tk_engine *e, void *argument, tk_err *err) {
  follow_argument *a = argument;
  if (!a->stop) {
    int code = join(e, err);
    if (code) return code;
    tk_follower *f = tk_calloc(1, sizeof *f);
    f->port = a->port;
    f->next = e->followers;
    e->followers = f;
    return TK_OK;
  }
  for (tk_follower **at = &e->followers; *at; at = &(*at)->next)
    if ((*at)->port == a->port) {
      tk_follower *gone = *at;
      *at = gone->next;
      tk_free(gone);
      break;
    }
  return TK_OK;
}

int tk_engine_follow(tk_engine *e, tk_port *port, tk_err *err) { return control(e, run_follow, &(follow_argument){port, false}, err); }
void tk_engine_unfollow(tk_engine *e, tk_port *port) { control(e, run_follow, &(follow_argument){port, true}, NULL); }

void tk_followers_ring(tk_engine *e) {
  for (tk_follower *f = e->followers; f; f = f->next) {
    tk_message *message = tk_calloc(1, sizeof *message);
    message->type = TK_MSG_LOG;
    tk_port_push(f->port, message);
  }
}

/* ---- Workers come and go ---- */

typedef struct attach_argument { const tk_worker_options *options; tk_worker_handle *worker; } attach_argument;

static int compare_numbers(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static int run_attach(tk_engine *e, void *argument, tk_err *err) {
  attach_argument *a = argument;
  const tk_worker_options *o = a->options;
  int code = join(e, err);
  if (code) return code;
  tk_worker_handle *w = tk_calloc(1, sizeof *w);
  w->port = o->port;
  w->concurrency = o->concurrency;
  w->until_idle = o->until_idle;
  w->queue_count = o->queue_count ? o->queue_count : 1;
  w->queues = tk_calloc(w->queue_count, sizeof *w->queues);
  w->queue_numbers = tk_calloc(w->queue_count, sizeof *w->queue_numbers);
  for (size_t i = 0; i < w->queue_count; i++) {
    const char *name = o->queue_count ? o->queues[i] : "default";
    w->queues[i] = tk_slice_of(tk_strdup(name), strlen(name));
  }
  w->definition_count = o->definition_count;
  w->definitions = tk_memdup(o->definitions, o->definition_count * sizeof *o->definitions);
  if (w->definition_count) qsort(w->definitions, w->definition_count, sizeof *w->definitions, compare_numbers);
  w->next = e->workers;
  e->workers = w;
  e->again = true;
  a->worker = w;
  return TK_OK;
}

static int run_pause(tk_engine *e, void *argument, tk_err *err) {
  (void)e;
  (void)err;
  ((tk_worker_handle *)argument)->paused = true;
  return TK_OK;
}

static void forget_worker(tk_engine *e, tk_worker_handle *w) {
  size_t cursor = 0;
  uint64_t key;
  for (void *value; tk_map_next(&e->running, &cursor, &key, &value);)
    if (((tk_running *)value)->worker == w) ((tk_running *)value)->worker = NULL;
  for (tk_worker_handle **at = &e->workers; *at; at = &(*at)->next)
    if (*at == w) {
      *at = w->next;
      break;
    }
  for (size_t i = 0; i < w->queue_count; i++) tk_free((char *)w->queues[i].data);
  tk_free(w->queues);
  tk_free(w->queue_numbers);
  tk_free(w->definitions);
  tk_free(w);
}

static int run_detach(tk_engine *e, void *argument, tk_err *err) {
  (void)err;
  forget_worker(e, argument);
  return TK_OK;
}

int tk_engine_attach(tk_engine *e, const tk_worker_options *options, tk_worker_handle **out, tk_err *err) {
  attach_argument a = {options, NULL};
  int code = control(e, run_attach, &a, err);
  *out = a.worker;
  return code;
}
void tk_engine_pause_worker(tk_engine *e, tk_worker_handle *worker) { control(e, run_pause, worker, NULL); }
void tk_engine_detach(tk_engine *e, tk_worker_handle *worker) { control(e, run_detach, worker, NULL); }
void tk_engine_abandon_worker(tk_engine *e, tk_worker_handle *worker) { control(e, run_detach, worker, NULL); }
