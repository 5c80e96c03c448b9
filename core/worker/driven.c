#include "worker/driven.h"

#include "base/alloc.h"

struct tk_driven {
  tk_worker worker;
  tk_worker_code code;
  tk_worker_settings settings;
  tk_work_stop stop;
  tk_timers timers;              /* by the clock that is moved; the loop's go by real time */
};

/* Nothing to stop but what the driver itself ends. */
static void ignore_stop(void *context, int64_t grace_us) {
  (void)context;
  (void)grace_us;
}

/* For the time of a call: what runs finds its worker by its thread. */
static tk_worker *step_in(tk_driven *d, lua_State *L) {
  tk_worker *outer = tk_worker_current();
  tk_worker_set_current(&d->worker);
  d->worker.L = L;
  return outer;
}

int tk_driven_open(lua_State *L, tk_engine *engine, const tk_worker_code *code, uint32_t concurrency, const tk_clock *clock,
                   tk_driven **out, tk_err *err) {
  tk_driven *d = tk_calloc(1, sizeof *d);
  atomic_init(&d->stop.limit_us, INT64_MAX);
  d->code = *code;
  d->settings = (tk_worker_settings){.concurrency = concurrency, .cap_us = INT64_MAX};
  d->worker.L = L;
  d->worker.engine = engine;
  d->worker.settings = &d->settings;
  d->worker.code = &d->code;
  d->worker.stop = &d->stop;
  d->worker.request_stop = ignore_stop;
  d->worker.clock = clock;
  d->worker.timers = &d->timers;
  int result = tk_worker_open(&d->worker, err);
  if (!result) {
    result = tk_worker_attach(&d->worker, err);
    if (result) tk_worker_close(&d->worker);
  }
  if (result) tk_free(d);
  else *out = d;
  return result;
}

void tk_driven_serve(tk_driven *d, const char *const *queues, size_t queue_count, const uint32_t *definitions, size_t count) {
  tk_engine_serve(d->worker.engine, d->worker.handle, queues, queue_count, definitions, count);
}

/* ---- One step at a time ---- */

size_t tk_driven_runnable(tk_driven *d) {
  size_t count = 0;
  tk_timers_fire(&d->timers, tk_worker_now_us(&d->worker));
  tk_worker_take_messages(&d->worker);
  for (const tk_fiber *fiber = d->worker.woken; fiber; fiber = fiber->next) count++;
  for (const tk_message *run = (tk_message *)d->worker.runs; run; run = run->next) count++;
  return count;
}

/* Lists are taken from the front: what is to run goes there. */
static void resume_at(tk_worker *w, size_t at) {
  tk_fiber *before = NULL, *fiber = w->woken;
  for (; at; before = fiber, fiber = fiber->next) at--;
  if (before) {
    before->next = fiber->next;
    if (w->woken_last == fiber) w->woken_last = before;
    fiber->next = w->woken;
    w->woken = fiber;
  }
  tk_worker_resume_next(w);
}

static void start_at(tk_worker *w, size_t at) {
  tk_message *before = NULL, *run = &w->runs->message;
  for (; at; before = run, run = run->next) at--;
  if (before) {
    before->next = run->next;
    if (w->runs_last == (tk_run_message *)run) w->runs_last = (tk_run_message *)before;
    run->next = &w->runs->message;
    w->runs = (tk_run_message *)run;
  }
  tk_worker_start_next(w);
}

const tk_run_message *tk_driven_peek(const tk_driven *d, size_t at) {
  const tk_fiber *fiber = d->worker.woken;
  for (; fiber && at; fiber = fiber->next) at--;
  if (fiber) return fiber->run;
  const tk_message *run = (const tk_message *)d->worker.runs;
  for (; at; run = run->next) at--;
  return (const tk_run_message *)run;
}

void tk_driven_run(tk_driven *d, lua_State *L, size_t at) {
  tk_worker *outer = step_in(d, L);
  size_t woken = 0;
  for (const tk_fiber *fiber = d->worker.woken; fiber; fiber = fiber->next) woken++;
  if (at < woken) resume_at(&d->worker, at);
  else start_at(&d->worker, at - woken);
  tk_worker_set_current(outer);
}

bool tk_driven_flush(tk_driven *d) {
  bool any = atomic_load(&d->worker.unflushed) > 0;
  tk_worker_flush(&d->worker);
  return any;
}

/* Neither asleep nor waiting for the engine: for the network, for a program. */
static bool waits_outside(const tk_fiber *fiber) {
  return fiber->place == TK_FIBER_PARKED && !fiber->timer.place && !fiber->wants_log && !fiber->request;
}

bool tk_driven_wait(tk_driven *d) {
  size_t at = 0;
  while (at < d->worker.fiber_count && !waits_outside(d->worker.fibers[at])) at++;
  if (at == d->worker.fiber_count) return false;
  tk_loop_turn(d->worker.loop, true);
  return true;
}

int tk_driven_settle(tk_driven *d, lua_State *L, tk_err *err) {
  tk_worker *w = &d->worker, *outer = step_in(d, L);
  tk_engine_nudge(w->engine);
  for (;;) {
    tk_timers_fire(&d->timers, tk_worker_now_us(w));
    tk_worker_take_messages(w);
    if (!tk_worker_resume_next(w) && !tk_worker_start_next(w)) {
      tk_worker_flush(w);
      tk_engine_step(w->engine);
      tk_worker_take_messages(w);
      if (!w->woken && !w->runs && !tk_driven_wait(d)) break;
    }
  }
  tk_worker_set_current(outer);
  return tk_engine_alive(w->engine, err);
}

/* ---- What it waits for ---- */

int64_t tk_driven_next_us(const tk_driven *d, bool limits) {
  if (limits) return tk_timers_next_us(&d->timers);
  int64_t next_us = INT64_MAX;
  for (size_t i = 0; i < d->worker.fiber_count; i++) {
    const tk_fiber *fiber = d->worker.fibers[i];
    if (fiber->timer.place && fiber->timer.due_us < next_us) next_us = fiber->timer.due_us;
  }
  return next_us;
}

size_t tk_driven_active(const tk_driven *d) { return d->worker.active; }

/* ---- Ends ---- */

void tk_driven_close(tk_driven *d, lua_State *L) {
  tk_worker *outer = step_in(d, L);
  tk_worker_leave(&d->worker);
  tk_worker_close(&d->worker);
  tk_worker_set_current(outer);
  tk_timers_free(&d->timers);
  tk_free(d);
}

void tk_driven_drop(tk_driven *d, lua_State *L, bool crashed) {
  tk_worker *w = &d->worker;
  w->L = L;
  for (size_t i = 0; i < w->followed_count; i++)
    if (!crashed || w->followed[i] != w->engine) tk_engine_unfollow(w->followed[i], w->port);
  if (!crashed) tk_engine_detach(w->engine, w->handle);
  for (size_t i = 0; i < w->fiber_count; i++) {
    tk_fiber *fiber = w->fibers[i];
    if (fiber->place == TK_FIBER_PARKED && fiber->cancel) fiber->cancel(fiber);
    tk_timers_unset(&d->timers, &fiber->timer);
    tk_timers_unset(&d->timers, &fiber->limit_timer);
    if (fiber->place == TK_FIBER_WOKEN) tk_request_free(fiber->request);
    if (fiber->run) tk_message_free(&fiber->run->message);
  }
  for (tk_message *run = (tk_message *)w->runs, *next; run; run = next) {
    next = run->next;
    tk_message_free(run);
  }
  tk_request_free(w->batch);
  tk_worker_close(w);
  tk_timers_free(&d->timers);
  tk_free(d);
}
