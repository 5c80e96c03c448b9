#include "worker/worker.h"

#include "base/alloc.h"
#include "base/log.h"
#include "engine/view.h"
#include "worker/outcome.h"

#define SLICE_STEPS 64              /* started or resumed before timers and messages are looked at again */
#define FINAL_GRACE_US 1000000      /* for what else runs when the awaited task is final, or the cap is reached */
#define IDLE_GRACE_US 10000000

/* ---- Fibers ---- */

static tk_fiber *take_fiber(tk_worker *worker) {
  tk_fiber *fiber = worker->free;
  if (fiber) {
    worker->free = fiber->next;
  } else {
    fiber = tk_fiber_new(worker);
    if (!fiber) return NULL;
    if (worker->fiber_count == worker->fiber_capacity) {
      worker->fiber_capacity = worker->fiber_capacity ? 2 * worker->fiber_capacity : 64;
      worker->fibers = tk_realloc(worker->fibers, worker->fiber_capacity * sizeof *worker->fibers);
    }
    worker->fibers[worker->fiber_count++] = fiber;
  }
  worker->active++;
  return fiber;
}

void tk_worker_recycle(tk_worker *worker, tk_fiber *fiber) {
  tk_message_free(&fiber->run->message);
  fiber->run = NULL;
  tk_free(fiber->traceback);
  fiber->traceback = NULL;
  fiber->place = TK_FIBER_FREE;
  lua_settop(fiber->co, 0);
  fiber->next = worker->free;
  worker->free = fiber;
  worker->active--;
}

static void drop_woken(tk_worker *worker, tk_fiber *fiber) {
  tk_fiber *last = NULL;
  for (tk_fiber **at = &worker->woken; *at;) {
    if (*at == fiber) *at = fiber->next;
    else last = *at, at = &last->next;
  }
  worker->woken_last = last;
}

/* One that was woken by the answer to its request will not take it. */
static void end_fiber(tk_worker *worker, tk_fiber *fiber, tk_fiber_end end) {
  if (fiber->place == TK_FIBER_WOKEN) {
    drop_woken(worker, fiber);
    tk_request_free(fiber->request);
    fiber->request = NULL;
  }
  tk_fiber_end_now(fiber, end);
}

static void end_all(tk_worker *worker, tk_fiber_end end) {
  for (size_t i = 0; i < worker->fiber_count; i++)
    if (worker->fibers[i]->place != TK_FIBER_FREE) end_fiber(worker, worker->fibers[i], end);
}

/* ---- Messages ---- */

static void queue_run(tk_worker *worker, tk_run_message *run) {
  run->message.next = NULL;
  if (worker->runs) worker->runs_last->message.next = &run->message;
  else worker->runs = run;
  worker->runs_last = run;
}

static tk_run_message *next_run(tk_worker *worker) {
  tk_run_message *run = worker->runs;
  worker->runs = (tk_run_message *)run->message.next;
  return run;
}

static void give_back(tk_worker *worker, tk_run_message *run) {
  tk_outcome_post_released(worker, run);
  tk_message_free(&run->message);
}

static void give_back_queued(tk_worker *worker) {
  while (worker->runs) give_back(worker, next_run(worker));
}

static bool is_about(const tk_run_message *run, const tk_interrupt_message *interrupt) {
  return run->task_no == interrupt->task_no && run->step == interrupt->step && run->attempt == interrupt->attempt;
}

static void interrupt(tk_worker *worker, const tk_interrupt_message *message) {
  for (tk_message **at = (tk_message **)&worker->runs, *last = NULL; *at; last = *at, at = &(*at)->next) {
    tk_run_message *run = (tk_run_message *)*at;
    if (!is_about(run, message)) continue;
    *at = run->message.next;
    if (worker->runs_last == run) worker->runs_last = (tk_run_message *)last;
    give_back(worker, run);
    return;
  }
  for (size_t i = 0; i < worker->fiber_count; i++) {
    tk_fiber *fiber = worker->fibers[i];
    if (fiber->place == TK_FIBER_FREE || !is_about(fiber->run, message)) continue;
    end_fiber(worker, fiber, TK_END_CANCEL);
    return;
  }
}

static void reply(tk_worker *worker, tk_request *request) {
  tk_fiber *fiber = request->user;
  worker->replies--;
  if (fiber->request == request && fiber->place == TK_FIBER_PARKED) tk_fiber_wake(fiber);
  else tk_request_free(request);
}

static void check_task(tk_worker *worker) {
  uint8_t status;
  tk_err err;
  if (!worker->has_task || tk_view_status(worker->engine, &worker->task, &status, &err)) return;
  if (tk_task_final(status)) worker->request_stop(worker->context, FINAL_GRACE_US);
}

static void on_watch_log(tk_loop_timer *timer) {
  tk_worker *worker = (tk_worker *)((char *)timer - offsetof(tk_worker, watch_log_timer));
  worker->watch_log(worker->watch_log_context);
  worker->watch_log_next_us = tk_monotonic_us() + worker->watch_log_us;
}

/* Calls subscriptions.serve: is anybody subscribed, is there more to serve at once. */
static bool serve(tk_worker *worker, bool *more) {
  lua_State *L = worker->L;
  *more = false;
  if (!lua_checkstack(L, 4)) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, worker->code->serve);
  lua_rawgeti(L, LUA_REGISTRYINDEX, worker->code->engine);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    lua_pop(L, 1);
    return worker->serves;
  }
  bool any = lua_toboolean(L, -2);
  *more = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return any;
}

static void on_serve(tk_loop_timer *timer) {
  tk_worker *worker = (tk_worker *)((char *)timer - offsetof(tk_worker, serve_timer));
  bool more;
  worker->serves = serve(worker, &more);
  if (more) tk_loop_set(worker->loop, &worker->serve_timer, tk_monotonic_us());
}

static void serve_rest(tk_worker *worker) {
  for (bool more = worker->serves; more;) worker->serves = serve(worker, &more);
}

void tk_worker_serve(tk_worker *worker) {
  tk_err err;
  if (worker->clock) return;   /* who moves it serves */
  if (worker->serves || tk_worker_follow(worker, worker->engine, &err)) return;
  worker->serves = true;
  tk_loop_set(worker->loop, &worker->serve_timer, tk_monotonic_us());
}

static void log_moved(tk_worker *worker) {
  worker->log_count++;
  if (worker->serves && !worker->serve_timer.place) tk_loop_set(worker->loop, &worker->serve_timer, tk_monotonic_us());
  if (worker->watch_log && !worker->watch_log_timer.place) tk_loop_set(worker->loop, &worker->watch_log_timer, worker->watch_log_next_us);
  check_task(worker);
  for (size_t i = 0; worker->log_waiting && i < worker->fiber_count; i++)
    if (worker->fibers[i]->wants_log) tk_fiber_wake(worker->fibers[i]);
}

void tk_worker_take_messages(tk_worker *worker) {
  atomic_store(&worker->watch.urged, false);
  for (tk_message *message = tk_port_drain(worker->port), *next; message; message = next) {
    next = message->next;
    message->next = NULL;
    switch (message->type) {
      case TK_MSG_RUN: {
        tk_run_message *run = (tk_run_message *)message;
        if (run->worker == worker->handle && !worker->paused) queue_run(worker, run);
        else give_back(worker, run);
        continue;
      }
      case TK_MSG_REPLY: reply(worker, (tk_request *)message); continue;
      case TK_MSG_INTERRUPT: interrupt(worker, (tk_interrupt_message *)message); break;
      case TK_MSG_LOG: log_moved(worker); break;
      case TK_MSG_IDLE: worker->request_stop(worker->context, IDLE_GRACE_US); break;
    }
    tk_message_free(message);
  }
}

static void on_messages(void *context) { tk_worker_take_messages(context); }
static void wake_loop(void *context) { tk_loop_wake(((tk_worker *)context)->loop); }
void tk_worker_wake(tk_worker *worker) { wake_loop(worker); }

tk_http *tk_worker_http(tk_worker *worker, bool guarded, tk_err *err) {
  tk_http **http = &worker->http[guarded];
  if (!*http) tk_http_open(worker->loop, guarded, http, err);
  return *http;
}

int tk_worker_follow(tk_worker *worker, tk_engine *engine, tk_err *err) {
  for (size_t i = 0; i < worker->followed_count; i++)
    if (worker->followed[i] == engine) return 0;
  int code = tk_engine_follow(engine, worker->port, err);
  if (code) return code;
  worker->followed = tk_realloc(worker->followed, (worker->followed_count + 1) * sizeof *worker->followed);
  worker->followed[worker->followed_count++] = engine;
  return 0;
}

/* ---- Given up ---- */

/* Gives back all but what runs. The watchdog's thread, while the worker's sits in a C call inside lua_resume: it touches none of
 * these lists before the watchdog lets it go on. */
static void give_back_from_outside(tk_worker *worker, const tk_fiber *running) {
  for (tk_run_message *run = worker->runs; run; run = (tk_run_message *)run->message.next)
    tk_engine_post(worker->engine, tk_outcome_released_request(run), true);
  for (size_t i = 0; i < worker->fiber_count; i++) {
    const tk_fiber *fiber = worker->fibers[i];
    if (fiber != running && fiber->place != TK_FIBER_FREE) tk_engine_post(worker->engine, tk_outcome_released_request(fiber->run), true);
  }
  for (tk_message *message = tk_port_drain(worker->port), *next; message; message = next) {
    next = message->next;
    if (message->type != TK_MSG_RUN) {
      tk_port_push(worker->port, message);   /* for the thread, when it comes back */
      continue;
    }
    tk_engine_post(worker->engine, tk_outcome_released_request((tk_run_message *)message), true);
    tk_message_free(message);
  }
}

static void on_give_up(tk_watch *watch) {
  tk_worker *worker = (tk_worker *)((char *)watch - offsetof(tk_worker, watch));
  tk_fiber *running = atomic_load(&worker->running);
  bool stopping = atomic_load(&worker->stop->limit_us) <= tk_monotonic_us();
  tk_worker_flush(worker);   /* what ended before counts */
  tk_engine_post(worker->engine, stopping ? tk_outcome_released_request(running->run) : tk_outcome_timeout_request(running->run), true);
  tk_engine_abandon_worker(worker->engine, worker->handle);
  give_back_from_outside(worker, running);
  tk_engine_flush(worker->engine);
  tk_log(TK_LOG_WARN, "a step sits in a call that does not return; its thread's other steps are given back");
  if (worker->given_up_to) worker->given_up_to(worker, false);
}

/* Steps that are done wait for one that goes on and on. */
static void on_late(tk_watch *watch) { tk_worker_flush((tk_worker *)((char *)watch - offsetof(tk_worker, watch))); }

static void on_lost(tk_watch *watch) {
  tk_worker *worker = (tk_worker *)((char *)watch - offsetof(tk_worker, watch));
  if (worker->given_up_to) worker->given_up_to(worker, true);
}

/* Back after it was given up: nothing of what was there counts any more. */
static void come_back(tk_worker *worker) {
  worker->handle = NULL;
  if (worker->batch) tk_request_free(worker->batch);   /* fenced, all of it */
  worker->batch = NULL;
  worker->batched = 0;
  atomic_store(&worker->unflushed, 0);
  while (worker->runs) tk_message_free(&next_run(worker)->message);
  end_all(worker, TK_END_GIVEN_UP);
  worker->given_up = false;
}

/* ---- Stopping ---- */

static void on_stop_limit(tk_loop_timer *timer) {
  tk_worker *worker = (tk_worker *)((char *)timer - offsetof(tk_worker, stop_timer));
  end_all(worker, TK_END_STOP);
}

static void on_cap(tk_loop_timer *timer) {
  tk_worker *worker = (tk_worker *)((char *)timer - offsetof(tk_worker, cap_timer));
  worker->request_stop(worker->context, FINAL_GRACE_US);
}

/* Notices a stop, and one whose limit came nearer. */
static void look_at_stop(tk_worker *worker) {
  if (!atomic_load(&worker->stop->wanted)) return;
  if (!worker->paused) {
    worker->paused = true;
    if (worker->handle) tk_engine_pause_worker(worker->engine, worker->handle);
    give_back_queued(worker);
  }
  int64_t limit_us = atomic_load(&worker->stop->limit_us);
  if (worker->stop_timer.place == 0 || worker->stop_timer.due_us != limit_us) tk_loop_set(worker->loop, &worker->stop_timer, limit_us);
}

/* ---- The loop ---- */

static void start_run(tk_worker *worker, tk_run_message *run) {
  tk_fiber *fiber = take_fiber(worker);
  if (fiber) {
    tk_fiber_start(fiber, run);
    return;
  }
  tk_arena *arena;
  tk_event *event = tk_worker_event(worker, run, run->attempt ? TK_EV_STEP_FAILED : TK_EV_ASK_FAILED, &arena);
  static const char message[] = "not enough memory to start the step";
  event->data = tk_worker_error_json(arena, "error", message, sizeof message - 1, true);
  event->retryable = true;
  event->delay_us = -1;
  tk_worker_event_end(worker);
  tk_message_free(&run->message);
}

bool tk_worker_resume_next(tk_worker *worker) {
  tk_fiber *fiber = worker->woken;
  if (!fiber) return false;
  worker->woken = fiber->next;
  tk_fiber_resume(fiber);
  return true;
}

bool tk_worker_start_next(tk_worker *worker) {
  if (!worker->runs || worker->paused) return false;
  start_run(worker, next_run(worker));
  return true;
}

/* True: there is more to run at once. */
static bool run_slice(tk_worker *worker) {
  worker->now_us = tk_monotonic_us();
  for (int i = 0; i < SLICE_STEPS && !worker->given_up; i++)
    if (!tk_worker_resume_next(worker) && !tk_worker_start_next(worker)) return false;
  return true;
}

static void urge(void *context) { tk_watch_urge(&((tk_worker *)context)->watch); }

int tk_worker_attach(tk_worker *worker, tk_err *err) {
  tk_worker_options options = {.port = worker->port, .concurrency = worker->settings->concurrency, .queues = worker->settings->queues,
    .queue_count = worker->settings->queue_count, .definitions = worker->code->definitions,
    .definition_count = worker->code->definition_count, .urge = worker->clock ? NULL : urge, .urge_context = worker,
    .until_idle = worker->settings->until_idle};
  return tk_engine_attach(worker->engine, &options, &worker->handle, err);
}

static int loop(tk_worker *worker, tk_err *err) {
  for (;;) {
    look_at_stop(worker);
    bool more = run_slice(worker);
    if (worker->given_up) {
      come_back(worker);
      if (worker->retired) return 0;
      int code = atomic_load(&worker->stop->wanted) ? 0 : tk_worker_attach(worker, err);
      if (code) return code;
    }
    look_at_stop(worker);   /* before the engine hears what was given back: it would be claimed again */
    if (!more && !worker->active && tk_worker_turn_here(worker)) {
      on_messages(worker);
      more = true;
    } else if (!more) {
      tk_worker_flush(worker);
    }
    if (worker->paused && !worker->active && !worker->replies) return 0;
    int code = tk_engine_alive(worker->engine, err);
    if (code) return code;
    tk_loop_turn(worker->loop, !more);
  }
}

/* Waits until what was posted so far is committed: who works sees it when work returns. */
static void settle_posted(tk_worker *worker) {
  tk_request *barrier = tk_request_new(TK_REQ_EVENTS, 0);
  tk_engine_call(worker->engine, barrier);
  tk_request_free(barrier);
}

void tk_worker_leave(tk_worker *worker) {
  worker->paused = true;
  give_back_queued(worker);
  end_all(worker, TK_END_STOP);
  tk_worker_flush(worker);
  settle_posted(worker);
  for (size_t i = 0; i < worker->followed_count; i++) tk_engine_unfollow(worker->followed[i], worker->port);
  if (worker->handle) tk_engine_detach(worker->engine, worker->handle);
  worker->handle = NULL;
  tk_worker_take_messages(worker);
  while (worker->replies) tk_loop_turn(worker->loop, true);
  if (!atomic_load(&worker->unflushed)) return;
  tk_worker_flush(worker);
  settle_posted(worker);
}

int tk_worker_open(tk_worker *worker, tk_err *err) {
  worker->registry = lua_topointer(worker->L, LUA_REGISTRYINDEX);
  worker->cap_timer.fire = on_cap;
  worker->watch_log_timer.fire = on_watch_log;
  worker->serve_timer.fire = on_serve;
  worker->stop_timer.fire = on_stop_limit;
  worker->watch.stop_us = &worker->stop->limit_us;
  worker->watch.late = on_late;
  worker->watch.give_up = on_give_up;
  pthread_mutex_init(&worker->batch_lock, NULL);
  worker->watch.lost = on_lost;
  int code = tk_loop_open(on_messages, worker, &worker->loop, err);
  if (code) return code;
  if (!worker->timers) worker->timers = tk_loop_timers(worker->loop);
  worker->port = tk_port_new(wake_loop, worker);
  code = tk_watch_add(&worker->watch, tk_fiber_expired, err);
  if (code) {
    tk_port_free(worker->port);
    tk_loop_close(worker->loop);
    return code;
  }
  if (worker->on_ready) worker->on_ready(worker, true);
  return 0;
}

void tk_worker_close(tk_worker *worker) {
  if (worker->on_ready) worker->on_ready(worker, false);
  tk_watch_remove(&worker->watch);
  for (int i = 0; i < 2; i++) tk_http_close(worker->http[i]);
  worker->http[0] = worker->http[1] = NULL;
  tk_loop_unset(worker->loop, &worker->cap_timer);
  tk_loop_unset(worker->loop, &worker->stop_timer);
  tk_loop_unset(worker->loop, &worker->watch_log_timer);
  tk_loop_unset(worker->loop, &worker->serve_timer);
  for (size_t i = 0; i < worker->fiber_count; i++) tk_fiber_free(worker->fibers[i]);
  tk_free(worker->fibers);
  tk_map_free(&worker->parked);
  tk_free(worker->followed);
  tk_port_free(worker->port);
  tk_loop_close(worker->loop);
  pthread_mutex_destroy(&worker->batch_lock);
}

int tk_worker_run(tk_worker *worker, tk_err *err) {
  tk_worker *outer = tk_worker_current();
  int code = tk_worker_open(worker, err);
  if (code) return code;
  tk_worker_set_current(worker);
  if (worker->settings->cap_us != INT64_MAX) tk_loop_set(worker->loop, &worker->cap_timer, worker->settings->cap_us);
  worker->has_task = worker->settings->has_task;
  worker->task = worker->settings->task;
  if (worker->has_task || worker->begin || worker->watch_log) code = tk_worker_follow(worker, worker->engine, err);
  bool more;
  if (!code && serve(worker, &more)) tk_worker_serve(worker);
  if (!code) code = tk_worker_attach(worker, err);
  if (!code && worker->begin) {
    code = worker->begin(worker->begin_context, &worker->task, err);
    worker->has_task = true;
  }
  if (!code) {
    check_task(worker);
    code = loop(worker, err);
  }
  tk_worker_leave(worker);
  serve_rest(worker);
  if (worker->watch_log) worker->watch_log(worker->watch_log_context);
  tk_worker_close(worker);
  tk_worker_set_current(outer);
  return code;
}
