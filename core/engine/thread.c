/* The engine's thread: turns while there is something to do, sleep until somebody calls, and the life and death of processes. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/parts.h"

/* ---- Joining: what a process does once it works or follows ---- */

typedef struct death_scan { tk_engine *engine; tk_process dead[64]; size_t count; } death_scan;
static bool scan_process(void *context, const tk_process *process) {
  death_scan *scan = context;
  if (process->number == scan->engine->process.number) return true;
  tk_presence *presence = scan->engine->presence;
  /* Watched before the look that counts: had it died in between, its pid might be another process's by now. */
  if (tk_presence_alive(presence, process->incarnation)) tk_presence_watch(presence, process->incarnation, process->pid);
  if (tk_presence_alive(presence, process->incarnation)) return true;
  scan->dead[scan->count++] = *process;
  return scan->count < sizeof scan->dead / sizeof *scan->dead;
}

static void look_for_dead(tk_engine *e) {
  death_scan scan = {.engine = e};
  tk_snap *snap;
  if (!e->process.number || !e->presence || atomic_load(&e->failed) || tk_snap_open(e->store, &snap, NULL)) return;
  tk_snap_each_process(snap, scan_process, &scan, NULL);
  tk_snap_close(snap);
  e->unburied = false;
  for (size_t i = 0; i < scan.count && !atomic_load(&e->failed); i++) {
    if (tk_engine_bury(e, scan.dead[i].number)) tk_presence_bury(e->presence, scan.dead[i].incarnation);
    else e->unburied = true;
  }
  if (scan.count) tk_store_housekeep(e->store, NULL);
}

int tk_engine_join(tk_engine *e, tk_err *err) {
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

/* ---- The loop ---- */

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

enum { MAX_FDS = 1024, PEERS_INTERVAL_US = 250000, LAZY_WAIT_MS = 1 };

/* An engine that never sleeps looks after its peers now and then; one that sleeps is called by their pidfds. */
static void look_after_peers(tk_engine *e) {
  int64_t now_us = tk_monotonic_us();
  if (!e->presence || now_us - e->peers_seen_us < PEERS_INTERVAL_US) return;
  e->peers_seen_us = now_us;
  struct pollfd fds[MAX_FDS];
  size_t count = 0;
  bool died = tk_presence_changed(e->presence) || e->unburied;
  tk_presence_poll(e->presence, fds, &count, MAX_FDS);
  if (count && poll(fds, count, 0) > 0) tk_presence_rang(e->presence, fds, count, &died);
  if (died) look_for_dead(e);
}

static bool wants_idle(const tk_engine *e) {
  for (const tk_worker_handle *w = e->workers; w; w = w->next)
    if (w->until_idle && !w->idle_sent) return true;
  return false;
}

/* Not by poll's milliseconds: a step whose slot has come waits for it. < 0: for ever. */
static int64_t sleep_timeout_us(const tk_engine *e) {
  if (e->hold_off_us) return 100000;
  if (e->unburied) return 1000000;
  if (!e->workers || e->next_timer_us == INT64_MAX) return -1;
  int64_t left_us = e->next_timer_us - tk_clock_now_us(&e->clock);
  if (left_us <= 0) return 0;
  return left_us > 3600LL * 1000000 ? 3600LL * 1000000 : left_us;
}

/* Rung by the first of several outcomes: the worker says when it was the last. */
static void wait_for_flush(tk_engine *e) {
  struct pollfd bell = {.fd = e->bell, .events = POLLIN};
  uint64_t rings;
  ssize_t ignored = read(e->bell, &rings, sizeof rings);
  (void)ignored;
  poll(&bell, 1, LAZY_WAIT_MS);
}

static int sleep_in(tk_engine *e, struct pollfd *fds, size_t count) {
  int64_t timeout_us = sleep_timeout_us(e);
  struct timespec timeout = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
  e->slept_until_us = e->next_timer_us;
  pthread_mutex_unlock(&e->turns);
  int ready = ppoll(fds, count, timeout_us < 0 ? NULL : &timeout, NULL);
  pthread_mutex_lock(&e->turns);
  return ready;
}

/* What is polled meanwhile stays open: only look_for_dead, which is this thread's, closes it. */
bool tk_engine_take_turns(tk_engine *e) { return !e->manual && atomic_load(&e->asleep) && pthread_mutex_trylock(&e->turns) == 0; }

void tk_engine_give_turns(tk_engine *e, bool call) {
  call = call || e->again || e->doubts || e->hold_off_us || atomic_load(&e->failed) || tk_engine_peek_inbox(e) ||
         e->next_timer_us < e->slept_until_us ||
         (!e->running.count && wants_idle(e));
  pthread_mutex_unlock(&e->turns);
  if (call) tk_engine_ring(e);
}

static void sleep_until_called(tk_engine *e) {
  struct pollfd fds[MAX_FDS];
  size_t count = 0;
  uint32_t wants = (e->workers ? TK_WAKE_WORK : 0) | (e->followers || wants_idle(e) ? TK_WAKE_LOG : 0);
  if (atomic_load(&e->failed)) wants = 0;
  if (e->process.number && (tk_presence_changed(e->presence) || e->unburied)) look_for_dead(e);
  e->doubts = false;
  fds[count++] = (struct pollfd){.fd = e->bell, .events = POLLIN};
  tk_presence_poll(e->presence, fds, &count, MAX_FDS);
  atomic_store(&e->asleep, true);
  tk_presence_want(e->presence, wants);
  bool stay = !has_work(e) && (!e->again || e->hold_off_us);
  if (stay && wants && store_moved(e)) {
    e->again = true;
    stay = false;
  }
  int ready = stay ? sleep_in(e, fds, count) : 0;
  if (ready > 0 && fds[0].revents && atomic_load(&e->lazy_rung) && !atomic_load(&e->urgent)) wait_for_flush(e);
  tk_presence_want(e->presence, 0);
  atomic_store(&e->asleep, false);
  uint64_t rings;
  ssize_t ignored = read(e->bell, &rings, sizeof rings);
  (void)ignored;
  atomic_store(&e->lazy_rung, false);
  atomic_store(&e->urgent, false);
  bool died = false;
  if (ready > 0 && tk_presence_rang(e->presence, fds, count, &died)) e->again = true;
  if (ready == 0 && stay) e->again = true;   /* a timer is due */
  if (e->again) tk_followers_ring(e);
  if (died) look_for_dead(e);
}

/* After the store failed there are no turns any more, and so nothing to be called for but requests, which get the failure. */
static void answer_failed(tk_engine *e) {
  e->again = e->unburied = false;
  e->hold_off_us = 0;
  e->next_timer_us = INT64_MAX;
  for (tk_request *r; (r = tk_engine_take_inbox(e));)
    while (r) {
      tk_request *next = (tk_request *)r->message.next;
      r->err = e->failure;
      r->code = r->err.code;
      tk_engine_reply(r);
      r = next;
    }
}

void tk_engine_leave(tk_engine *e) {
  tk_err err;
  if (!e->process.number || atomic_load(&e->failed)) return;
  /* What was claimed and never answered; if that cannot be written, another process does it. */
  if (!tk_engine_recover(e, e->process.number)) return;
  if (tk_store_leave(e->store, e->process.number, &err)) tk_log(TK_LOG_WARN, "leaving the store: %s", err.message);
}

static void *run_thread(void *engine) {
  tk_engine *e = engine;
  pthread_mutex_lock(&e->turns);
  for (;;) {
    bool moved = run_controls(e);
    if (atomic_load(&e->failed)) answer_failed(e);
    else moved = tk_engine_turn(e) || moved;
    look_after_peers(e);
    if (moved) continue;
    pthread_mutex_lock(&e->lock);
    bool stop = e->stopping && !e->inbox_head && !e->controls;
    pthread_mutex_unlock(&e->lock);
    if (stop) break;
    if (!atomic_load(&e->failed)) tk_workers_tell_idle(e);
    sleep_until_called(e);
  }
  tk_engine_leave(e);
  pthread_mutex_unlock(&e->turns);
  return NULL;
}

void tk_engine_step(tk_engine *e) {
  TK_ASSERT(e->manual);
  while (!atomic_load(&e->failed) && tk_engine_turn(e)) continue;
  if (atomic_load(&e->failed)) answer_failed(e);
  else tk_workers_tell_idle(e);
}

bool tk_engine_step_once(tk_engine *e) {
  TK_ASSERT(e->manual);
  bool any = !atomic_load(&e->failed) && tk_engine_turn(e);
  if (atomic_load(&e->failed)) answer_failed(e);
  return any;
}

int64_t tk_engine_next_timer_us(const tk_engine *e) { return e->next_timer_us; }
void tk_engine_nudge(tk_engine *e) { e->again = true; }
uint32_t tk_engine_process(const tk_engine *e) { return e->process.number; }

bool tk_engine_bury(tk_engine *e, uint32_t process) {
  tk_err err;
  if (!tk_engine_recover(e, process)) return false;
  e->again = true;
  if (!tk_store_leave(e->store, process, &err) || err.code == TK_E_NOT_FOUND) return true;
  tk_log(TK_LOG_WARN, "burying a dead process: %s", err.message);
  return false;
}

void tk_engine_crash(tk_engine *e) {
  TK_ASSERT(e->manual);
  while (e->workers) tk_engine_forget_worker(e, e->workers);
  for (tk_request *r; (r = tk_engine_take_inbox(e));)
    while (r) {
      tk_request *next = (tk_request *)r->message.next;
      r->code = tk_err_set(&r->err, TK_E_CLOSED, "the engine is gone");
      tk_engine_reply(r);
      r = next;
    }
  tk_engine_free(e);
}

/* Under e->lock. */
int tk_engine_start_thread(tk_engine *e, tk_err *err) {
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

