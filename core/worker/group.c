#include "worker/group.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#define STOP_GRACE_US 10000000      /* what runs may finish in this time before it is given back */

typedef struct group_thread group_thread;

typedef struct group {
  tk_signal_catcher catcher;
  tk_work_stop stop;
  tk_group_options options;
  int references;                    /* the caller and every thread; atomic */
  /* Threads. */
  const tk_thread_states *states;    /* a copy, `copied` */
  tk_thread_states copied;
  size_t memory_limit;
  pthread_mutex_t lock;              /* all below */
  tk_port *bell;                     /* rung when a thread has ended; also gets TK_MSG_LOG */
  group_thread *threads;
  uint32_t working;                  /* threads that work or are expected back */
  int code;                          /* first failure */
  tk_err err;
} group;

struct group_thread {
  group_thread *next;
  group *group;
  pthread_t id;
  tk_worker worker;
  tk_memory memory;
  tk_worker_code code;
  bool running;                      /* its worker is there to be woken (under the group's lock) */
  bool lost;                         /* stuck: nobody waits for it */
};

static void release(group *g) {
  if (__atomic_sub_fetch(&g->references, 1, __ATOMIC_ACQ_REL)) return;
  for (group_thread *t = g->threads, *next; t; t = next) {
    next = t->next;
    tk_free(t);
  }
  if (g->states) g->states->release(g->states->shared);
  tk_port_free(g->bell);
  pthread_mutex_destroy(&g->lock);
  tk_free(g);
}

/* A later stop never gives more time than an earlier one. Any thread. */
static void request_stop(void *context, int64_t grace_us) {
  group *g = context;
  int64_t limit_us = tk_monotonic_us() + grace_us, old_us = atomic_load(&g->stop.limit_us);
  while (limit_us < old_us && !atomic_compare_exchange_weak(&g->stop.limit_us, &old_us, limit_us)) continue;
  atomic_store(&g->stop.wanted, true);
  pthread_mutex_lock(&g->lock);
  for (group_thread *t = g->threads; t; t = t->next)
    if (t->running) tk_worker_wake(&t->worker);
  pthread_mutex_unlock(&g->lock);
  tk_watchdog_recheck();
}

static void on_signal(tk_signal_catcher *catcher) {
  request_stop((group *)((char *)catcher - offsetof(group, catcher)), STOP_GRACE_US);
}

static __thread group *waited_for;   /* whose threads this thread waits for */

bool tk_group_stop_current(void) {
  tk_worker *worker = tk_worker_current();
  group *g = worker ? worker->context : waited_for;
  if (g) request_stop(g, STOP_GRACE_US);
  return g != NULL;
}

static group *new_group(const tk_group_options *options) {
  group *g = tk_calloc(1, sizeof *g);
  g->catcher.caught = on_signal;
  atomic_init(&g->stop.limit_us, INT64_MAX);
  g->options = *options;
  g->references = 1;
  pthread_mutex_init(&g->lock, NULL);
  g->bell = tk_port_new(NULL, NULL);
  return g;
}

static group_thread *new_thread(group *g) {
  group_thread *t = tk_calloc(1, sizeof *t);
  t->group = g;
  t->worker.engine = g->options.engine;
  t->worker.settings = &g->options.settings;
  t->worker.code = &t->code;
  t->worker.stop = &g->stop;
  t->worker.request_stop = request_stop;
  t->worker.context = g;
  pthread_mutex_lock(&g->lock);
  t->next = g->threads;
  g->threads = t;
  pthread_mutex_unlock(&g->lock);
  return t;
}

static void set_running(group_thread *t, bool running) {
  pthread_mutex_lock(&t->group->lock);
  t->running = running;
  pthread_mutex_unlock(&t->group->lock);
}

static void on_ready(tk_worker *worker, bool ready) {
  set_running((group_thread *)((char *)worker - offsetof(group_thread, worker)), ready);
}

/* ---- In the calling state ---- */

int tk_group_work_here(const tk_group_options *options, lua_State *L, const tk_worker_code *code, size_t memory_limit, tk_err *err) {
  group *g = new_group(options);
  group_thread *t = new_thread(g);
  t->code = *code;
  t->worker.L = L;
  t->worker.on_ready = on_ready;
  t->worker.watch_log = options->watch;
  t->worker.watch_log_context = options->context;
  t->worker.watch_log_us = options->watch_us;
  t->worker.begin = options->begin;
  t->worker.begin_context = options->context;
  int result = tk_signal_catch(&g->catcher, err);
  if (!result && options->watch) options->watch(options->context);   /* from here on a signal is an orderly end */
  if (!result) {
    tk_memory_limit(L, &t->memory, memory_limit);
    result = tk_worker_run(&t->worker, err);
    tk_memory_unlimit(L, &t->memory);
    tk_signal_release(&g->catcher);
  }
  release(g);
  return result;
}

/* ---- In threads ---- */

static void ring_bell(group *g) {
  tk_message *message = tk_calloc(1, sizeof *message);
  message->type = TK_MSG_STOP;
  tk_port_push(g->bell, message);
}

/* The thread is out of the count; the group's lock is held. */
static void count_out(group_thread *t) {
  if (!t->lost) t->group->working--;
  t->lost = true;
  ring_bell(t->group);
}

static int run_state(group_thread *t, tk_err *err) {
  group *g = t->group;
  lua_State *L = NULL;
  t->memory.limit = g->memory_limit;
  int code = g->states->open(g->states->shared, &t->memory, &L, &t->code, err);
  if (!code) {
    t->worker.L = L;
    code = tk_worker_run(&t->worker, err);
  }
  if (L) g->states->close(g->states->shared, L, &t->code);
  return code;
}

static void *thread_main(void *argument) {
  group_thread *t = argument;
  group *g = t->group;
  tk_err err;
  int code = run_state(t, &err);
  if (code) request_stop(g, 0);
  pthread_mutex_lock(&g->lock);
  if (code && !g->code) {
    g->code = code;
    g->err = err;
  }
  count_out(t);
  pthread_mutex_unlock(&g->lock);
  release(g);
  return NULL;
}

static int start_thread(group *g, tk_err *err);

static void given_up(tk_worker *worker, bool lost) {
  group_thread *t = (group_thread *)((char *)worker - offsetof(group_thread, worker));
  group *g = t->group;
  bool stopping = atomic_load(&g->stop.wanted);
  if (!lost && !stopping) return;
  worker->retired = true;
  tk_err err;
  if (!stopping) {
    tk_log(TK_LOG_WARN, "a worker's thread did not come back from a call: another one takes its place");
    if (start_thread(g, &err)) tk_log(TK_LOG_ERROR, "%s", err.message);
  }
  pthread_mutex_lock(&g->lock);
  count_out(t);
  pthread_mutex_unlock(&g->lock);
}

static int start_thread(group *g, tk_err *err) {
  group_thread *t = new_thread(g);
  t->worker.on_ready = on_ready;
  t->worker.given_up_to = given_up;
  pthread_attr_t attributes;
  pthread_mutex_lock(&g->lock);
  g->working++;
  pthread_mutex_unlock(&g->lock);
  __atomic_add_fetch(&g->references, 1, __ATOMIC_RELAXED);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int code = pthread_create(&t->id, &attributes, thread_main, t);
  pthread_attr_destroy(&attributes);
  if (!code) return 0;
  pthread_mutex_lock(&g->lock);
  g->working--;
  t->lost = true;
  pthread_mutex_unlock(&g->lock);
  release(g);
  return tk_err_set(err, TK_E_IO, "cannot start a thread: %s", strerror(code));
}

static bool all_out(group *g) {
  pthread_mutex_lock(&g->lock);
  bool out = g->working == 0;
  pthread_mutex_unlock(&g->lock);
  return out;
}

/* Serves the caller's watch until every thread has ended. */
static void wait_for_threads(group *g) {
  int64_t next_watch_us = 0;
  bool grown = false;
  while (!all_out(g)) {
    int64_t now_us = tk_monotonic_us();
    if (grown && now_us >= next_watch_us) {
      g->options.watch(g->options.context);
      next_watch_us = tk_monotonic_us() + g->options.watch_us;
      grown = false;
    }
    for (tk_message *m = tk_port_wait(g->bell, grown ? next_watch_us - now_us : -1), *next; m; m = next) {
      next = m->next;
      grown = grown || m->type == TK_MSG_LOG;
      tk_message_free(m);
    }
  }
  if (g->options.watch) g->options.watch(g->options.context);
}

int tk_group_work_threads(const tk_group_options *options, uint32_t threads, const tk_thread_states *states, size_t memory_limit,
                          tk_err *err) {
  group *g = new_group(options);
  g->copied = *states;
  g->states = &g->copied;
  states->retain(states->shared);
  g->memory_limit = memory_limit;
  int code = tk_signal_catch(&g->catcher, err);
  if (code) {
    release(g);
    return code;
  }
  if (options->watch) {
    options->watch(options->context);   /* from here on a signal is an orderly end */
    code = tk_engine_follow(options->engine, g->bell, err);
  }
  for (uint32_t i = 0; !code && i < threads; i++) code = start_thread(g, err);
  if (code) request_stop(g, 0);
  group *outer = waited_for;
  waited_for = g;
  wait_for_threads(g);
  waited_for = outer;
  if (options->watch) tk_engine_unfollow(options->engine, g->bell);
  tk_signal_release(&g->catcher);
  pthread_mutex_lock(&g->lock);
  if (!code && g->code) {
    code = g->code;
    *err = g->err;
  }
  pthread_mutex_unlock(&g->lock);
  release(g);
  return code;
}
