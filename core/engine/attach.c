/* Workers and followers come and go: run on the engine's thread, between turns. */
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/parts.h"

/* ---- Following ---- */

typedef struct follow_argument { tk_port *port; bool stop; } follow_argument;

static int run_follow(tk_engine *e, void *argument, tk_err *err) {
  follow_argument *a = argument;
  if (!a->stop) {
    int code = tk_engine_join(e, err);
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

int tk_engine_follow(tk_engine *e, tk_port *port, tk_err *err) {
  return tk_engine_control(e, run_follow, &(follow_argument){port, false}, err);
}
void tk_engine_unfollow(tk_engine *e, tk_port *port) {
  tk_engine_control_always(e, run_follow, &(follow_argument){port, true}, NULL);
}

void tk_followers_ring(tk_engine *e) {
  for (tk_follower *f = e->followers; f; f = f->next) tk_port_push_log(f->port);
}

static int run_enlist(tk_engine *e, void *argument, tk_err *err) {
  (void)argument;
  return tk_engine_join(e, err);
}

int tk_engine_enlist(tk_engine *e, tk_err *err) { return tk_engine_control(e, run_enlist, NULL, err); }

/* ---- Workers come and go ---- */

typedef struct attach_argument { const tk_worker_options *options; tk_worker_handle *worker; } attach_argument;

static int compare_numbers(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void set_lists(tk_worker_handle *w, const char *const *queues, size_t queue_count, const uint32_t *definitions,
                      size_t definition_count) {
  w->queue_count = queue_count ? queue_count : 1;
  w->queues = tk_calloc(w->queue_count, sizeof *w->queues);
  w->queue_numbers = tk_calloc(w->queue_count, sizeof *w->queue_numbers);
  for (size_t i = 0; i < w->queue_count; i++) {
    const char *name = queue_count ? queues[i] : "default";
    w->queues[i] = tk_slice_of(tk_strdup(name), strlen(name));
  }
  w->definition_count = definition_count;
  w->definitions = tk_memdup(definitions, definition_count * sizeof *definitions);
  if (definition_count) qsort(w->definitions, definition_count, sizeof *w->definitions, compare_numbers);
}

static void free_lists(tk_worker_handle *w) {
  for (size_t i = 0; i < w->queue_count; i++) tk_free((char *)w->queues[i].data);
  tk_free(w->queues);
  tk_free(w->queue_numbers);
  tk_free(w->definitions);
}

void tk_engine_serve(tk_engine *e, tk_worker_handle *w, const char *const *queues, size_t queue_count, const uint32_t *definitions,
                     size_t definition_count) {
  TK_ASSERT(e->manual);
  free_lists(w);
  set_lists(w, queues, queue_count, definitions, definition_count);
  e->again = true;
}

static int run_attach(tk_engine *e, void *argument, tk_err *err) {
  attach_argument *a = argument;
  const tk_worker_options *o = a->options;
  int code = tk_engine_join(e, err);
  if (code) return code;
  tk_worker_handle *w = tk_calloc(1, sizeof *w);
  w->port = o->port;
  w->concurrency = o->concurrency;
  w->until_idle = o->until_idle;
  w->urge = o->urge;
  w->urge_context = o->urge_context;
  set_lists(w, o->queues, o->queue_count, o->definitions, o->definition_count);
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

void tk_engine_forget_worker(tk_engine *e, tk_worker_handle *w) {
  size_t cursor = 0;
  uint64_t key;
  for (void *value; tk_map_next(&e->running, &cursor, &key, &value);)
    for (tk_running *r = value; r; r = r->older)
      if (r->worker == w) r->worker = NULL;
  for (tk_worker_handle **at = &e->workers; *at; at = &(*at)->next)
    if (*at == w) {
      *at = w->next;
      break;
    }
  free_lists(w);
  tk_free(w);
}

static int run_detach(tk_engine *e, void *argument, tk_err *err) {
  (void)err;
  tk_engine_forget_worker(e, argument);
  return TK_OK;
}

int tk_engine_attach(tk_engine *e, const tk_worker_options *options, tk_worker_handle **out, tk_err *err) {
  attach_argument a = {options, NULL};
  int code = tk_engine_control(e, run_attach, &a, err);
  *out = a.worker;
  return code;
}
void tk_engine_pause_worker(tk_engine *e, tk_worker_handle *worker) { tk_engine_control_always(e, run_pause, worker, NULL); }
void tk_engine_detach(tk_engine *e, tk_worker_handle *worker) { tk_engine_control_always(e, run_detach, worker, NULL); }
void tk_engine_abandon_worker(tk_engine *e, tk_worker_handle *worker) { tk_engine_control_always(e, run_detach, worker, NULL); }
