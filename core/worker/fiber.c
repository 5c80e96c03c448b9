/* How an attempt over its time is ended: the watchdog's signal sets a count hook on the innermost coroutine; the hook yields,
 * which no pcall can catch, through all levels to the worker, which closes them. Where it cannot yield (inside a C callback) it
 * raises instead, and once more at every instruction until it can. */
#include "worker/fiber.h"

#include <lauxlib.h>

#include "base/alloc.h"
#include "engine/view.h"
#include "worker/outcome.h"
#include "worker/worker.h"

#define CLOSE_US 1000000        /* for __close handlers of an attempt that was ended */
#define ASK_US 5000000          /* for step.interrupted */
#define LATE_US 10000           /* outcomes do not wait longer for the end of a step that does not yield */

static __thread tk_worker *thread_worker;

tk_worker *tk_worker_current(void) { return thread_worker; }
void tk_worker_set_current(tk_worker *worker) { thread_worker = worker; }

static tk_fiber *running_fiber(const tk_worker *worker) { return atomic_load_explicit(&worker->running, memory_order_relaxed); }

tk_fiber *tk_fiber_current(lua_State *L) {
  tk_worker *worker = thread_worker;
  tk_fiber *fiber = worker ? running_fiber(worker) : NULL;
  return fiber && lua_topointer(L, LUA_REGISTRYINDEX) == worker->registry ? fiber : NULL;
}

/* ---- Limits ---- */

static int64_t own_limit(const tk_fiber *fiber) { return fiber->heartbeat_us < fiber->limit_us ? fiber->heartbeat_us : fiber->limit_us; }

static int64_t late_limit(const tk_worker *worker) {
  if (worker->clock) return INT64_MAX;
  return atomic_load_explicit(&worker->unflushed, memory_order_relaxed) ? worker->now_us + LATE_US : INT64_MAX;
}

/* Under a clock that is moved by hand, what runs spends real time: a step that never returns is ended there too. */
static int64_t spent_now_us(const tk_worker *worker) {
  return worker->clock ? tk_worker_now_us(worker) + tk_monotonic_us() - worker->entered_us : tk_monotonic_us();
}

/* A limit of the worker's clock, for the watchdog. */
static int64_t real_limit(const tk_worker *worker, int64_t limit_us) {
  if (!worker->clock || limit_us == INT64_MAX) return limit_us;
  return worker->entered_us + (limit_us - tk_worker_now_us(worker));
}

static void enter(tk_fiber *fiber, int64_t limit_us) {
  tk_worker *worker = fiber->worker;
  atomic_store_explicit(&worker->running, fiber, memory_order_relaxed);
  if (worker->clock) worker->entered_us = tk_monotonic_us();
  tk_watch_enter(&worker->watch, real_limit(worker, limit_us), fiber->exempt, late_limit(worker));
}

/* True: it was given up meanwhile. */
static bool leave(tk_worker *worker) {
  bool given_up = tk_watch_leave(&worker->watch) && !worker->clock;
  atomic_store_explicit(&worker->running, NULL, memory_order_relaxed);
  return given_up;
}

/* Why it is over its time at now_us, or TK_END_NONE. */
static tk_fiber_end over_limit(const tk_fiber *fiber, int64_t now_us) {
  if (fiber->limit_us <= now_us) return TK_END_TIMEOUT;
  if (fiber->heartbeat_us <= now_us) return TK_END_HEARTBEAT;
  if (!fiber->exempt && atomic_load(&fiber->worker->stop->limit_us) <= now_us) return TK_END_STOP;
  return TK_END_NONE;
}

/* The worker was told of an interrupt while its thread ran Lua: is it about what runs? The store knows: interrupts follow the commit. */
static bool was_cancelled(tk_fiber *fiber) {
  const tk_run_message *run = fiber->run;
  if (fiber->exempt || fiber->ended || !atomic_exchange(&fiber->worker->watch.urged, false)) return false;
  return !tk_view_is_current(fiber->worker->engine, run->task_no, run->step, run->attempt);
}

static void over_hook(lua_State *L, lua_Debug *where) {
  (void)where;
  tk_worker *worker = thread_worker;
  tk_fiber *fiber = worker ? running_fiber(worker) : NULL;
  tk_fiber_end end = fiber ? over_limit(fiber, spent_now_us(worker)) : TK_END_NONE;
  if (end == TK_END_NONE && fiber && was_cancelled(fiber)) end = TK_END_CANCEL;
  if (end == TK_END_NONE && !(fiber && fiber->ended)) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (!fiber->ended) fiber->ended = (uint8_t)end;
  lua_sethook(fiber->co, over_hook, LUA_MASKCOUNT, 1);
  for (size_t i = 0; i < fiber->level_count; i++) lua_sethook(fiber->levels[i].co, over_hook, LUA_MASKCOUNT, 1);
  if (lua_isyieldable(L) && L == fiber->current && !fiber->exempt) {
    fiber->parking = true;
    lua_yield(L, 0);
    return;
  }
  tk_fiber_raise_ended(L, fiber);
}

void tk_fiber_expired(void) {
  tk_worker *worker = thread_worker;
  tk_fiber *fiber = worker ? running_fiber(worker) : NULL;
  if (!fiber) return;
  bool urged = atomic_load(&worker->watch.urged) && !fiber->exempt && !fiber->ended;
  if (!urged && over_limit(fiber, spent_now_us(worker)) == TK_END_NONE) return;
  fiber->hooked = 1;
  lua_sethook(fiber->current, over_hook, LUA_MASKCOUNT, 1);
}

int tk_fiber_raise_ended(lua_State *L, tk_fiber *fiber) {
  lua_sethook(L, over_hook, LUA_MASKCOUNT, 1);
  return luaL_error(L, fiber->ended == TK_END_STOP     ? "the worker stops"
                       : fiber->ended == TK_END_CANCEL ? "the step was cancelled"
                                                       : "the time of this attempt is over");
}

static void clear_hook(lua_State *co) {
  if (lua_gethook(co)) lua_sethook(co, NULL, 0, 0);
}

/* ---- Levels ---- */

void tk_fiber_push_level(tk_fiber *fiber, lua_State *co, bool blocked) {
  if (fiber->level_count == fiber->level_capacity) {
    fiber->level_capacity = fiber->level_capacity ? 2 * fiber->level_capacity : 4;
    fiber->levels = tk_realloc(fiber->levels, fiber->level_capacity * sizeof *fiber->levels);
  }
  fiber->levels[fiber->level_count++] = (tk_fiber_level){co, blocked};
  if (blocked) fiber->blocked_count++;
}

void tk_fiber_pop_level(tk_fiber *fiber) {
  TK_ASSERT(fiber->level_count > 0);
  if (fiber->levels[--fiber->level_count].blocked) fiber->blocked_count--;
}

void tk_fiber_note_parked(tk_fiber *fiber, lua_State *co, bool parked) {
  if (parked) tk_map_put(&fiber->worker->parked, (uint64_t)(uintptr_t)co, fiber);
  else tk_map_remove(&fiber->worker->parked, (uint64_t)(uintptr_t)co);
}

bool tk_fiber_is_parked_inside(const lua_State *co) {
  tk_worker *worker = thread_worker;
  return worker && worker->parked.count && tk_map_get(&worker->parked, (uint64_t)(uintptr_t)co);
}

/* Closes what is left of an attempt, innermost first. True: the worker was given up meanwhile. */
static bool close_all(tk_fiber *fiber) {
  tk_worker *worker = fiber->worker;
  fiber->exempt = true;
  fiber->parking = false;
  fiber->limit_us = tk_worker_now_us(worker) + CLOSE_US;
  fiber->heartbeat_us = INT64_MAX;
  fiber->place = TK_FIBER_RUNNING;
  fiber->current = fiber->co;
  enter(fiber, fiber->limit_us);
  while (fiber->level_count) {
    lua_State *co = fiber->levels[fiber->level_count - 1].co;
    tk_fiber_note_parked(fiber, co, false);
    clear_hook(co);
    fiber->current = co;
    lua_resetthread(co);
    clear_hook(co);
    tk_fiber_pop_level(fiber);
  }
  clear_hook(fiber->co);
  fiber->current = fiber->co;
  lua_resetthread(fiber->co);
  lua_settop(fiber->co, 0);
  bool given_up = leave(worker);
  clear_hook(fiber->co);
  fiber->hooked = 0;
  return given_up;
}

/* ---- Running ---- */

static void set_field_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void push_run(lua_State *L, const tk_fiber *fiber) {
  const tk_run_message *run = fiber->run;
  char id[37];
  tk_id_format(&run->task_id, id);
  lua_createtable(L, 0, 11);
  lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->worker->code->engine);
  lua_setfield(L, -2, "engine");
  set_field_integer(L, "task_no", (lua_Integer)run->task_no);
  lua_pushlstring(L, id, 36);
  lua_setfield(L, -2, "task_id");
  set_field_integer(L, "definition", run->definition);
  set_field_integer(L, "step", (lua_Integer)run->step + 1);
  set_field_integer(L, "template", (lua_Integer)run->template_ + 1);
  if (run->ordinal) set_field_integer(L, "ordinal", run->ordinal);
  if (run->compensates) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "compensates");
  }
  if (run->round) set_field_integer(L, "round", run->round);
  if (run->items) set_field_integer(L, "items", (lua_Integer)run->items);
  set_field_integer(L, "attempt", run->attempt);
  set_field_integer(L, "failures", run->failures);
  set_field_integer(L, "task_attempt", run->task_attempt);
  set_field_integer(L, "priority", run->priority);
  lua_pushboolean(L, run->inputs != 0);
  lua_setfield(L, -2, "has_inputs");
  lua_pushboolean(L, run->progress != 0);
  lua_setfield(L, -2, "has_progress");
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, fiber->run_slot);
}

bool tk_fiber_push_run(lua_State *L) {
  tk_fiber *fiber = tk_fiber_current(L);
  if (fiber) lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->run_slot);
  return fiber != NULL;
}

/* Where step.run's or step.interrupted's four results end up. */
static int fiber_done(lua_State *co, int status, lua_KContext context) {
  (void)status;
  (void)context;
  tk_fiber *fiber = running_fiber(thread_worker);
  tk_outcome_post(fiber, co, lua_gettop(co) - 3);
  fiber->settled = true;
  return 0;
}

static int fiber_main(lua_State *co) {
  tk_fiber *fiber = lua_touserdata(co, 1);
  lua_settop(co, 0);
  lua_rawgeti(co, LUA_REGISTRYINDEX, fiber->worker->code->run);
  push_run(co, fiber);
  lua_callk(co, 1, 4, 0, fiber_done);
  return fiber_done(co, LUA_OK, 0);
}

static int ask_main(lua_State *co) {
  tk_fiber *fiber = lua_touserdata(co, 1);
  char message[256];
  lua_settop(co, 0);
  lua_rawgeti(co, LUA_REGISTRYINDEX, fiber->worker->code->interrupted);
  lua_rawgeti(co, LUA_REGISTRYINDEX, fiber->run_slot);
  lua_pushstring(co, "timeout");
  tk_outcome_timeout_message(fiber, message, sizeof message);
  lua_pushstring(co, message);
  lua_pushstring(co, fiber->traceback);
  lua_callk(co, 4, 4, 0, fiber_done);
  return fiber_done(co, LUA_OK, 0);
}

static void finish_end(tk_fiber *fiber);

static void park(tk_fiber *fiber) {
  int64_t limit_us = own_limit(fiber);
  fiber->place = TK_FIBER_PARKED;
  if (limit_us != INT64_MAX) tk_timers_set(fiber->worker->timers, &fiber->limit_timer, limit_us);
}

/* After lua_resume: parked, done, or to be ended. */
static void settle(tk_fiber *fiber, int status, bool given_up) {
  tk_worker *worker = fiber->worker;
  if (given_up) {
    worker->given_up = true;
    fiber->ended = TK_END_GIVEN_UP;
    finish_end(fiber);
  } else if (fiber->settled) {
    clear_hook(fiber->co);
    tk_worker_recycle(worker, fiber);
  } else if (status == LUA_YIELD && fiber->parking && (!fiber->ended || fiber->asking)) {
    park(fiber);   /* also what step.interrupted calls may wait */
  } else if (fiber->ended) {
    finish_end(fiber);
  } else {
    if (status == LUA_YIELD) tk_outcome_post_error(fiber, "attempt to yield from outside a coroutine", SIZE_MAX);
    else tk_outcome_post_raised(fiber);
    fiber->ended = TK_END_GIVEN_UP;
    finish_end(fiber);
  }
}

static void switch_to(tk_fiber *fiber, int argument_count) {
  tk_worker *worker = fiber->worker;
  int result_count;
  fiber->place = TK_FIBER_RUNNING;
  fiber->parking = false;
  fiber->current = fiber->co;
  enter(fiber, own_limit(fiber));
  int status = lua_resume(fiber->co, worker->L, argument_count, &result_count);
  bool given_up = leave(worker);
  if (fiber->hooked) {
    fiber->hooked = 0;
    if (!fiber->ended)
      for (size_t i = 0; i < fiber->level_count; i++) clear_hook(fiber->levels[i].co);
  }
  settle(fiber, status, given_up);
}

void tk_fiber_start(tk_fiber *fiber, tk_run_message *run) {
  fiber->run = run;
  fiber->ended = TK_END_NONE;
  fiber->asking = fiber->exempt = fiber->settled = false;
  fiber->log_seen = UINT64_MAX;
  fiber->limit_us = fiber->heartbeat_us = INT64_MAX;
  if (run->timeout_us || run->heartbeat_timeout_us) {
    int64_t now_us = fiber->worker->now_us = tk_worker_now_us(fiber->worker);
    if (run->timeout_us) fiber->limit_us = now_us + run->timeout_us;
    if (run->heartbeat_timeout_us && run->attempt) fiber->heartbeat_us = now_us + run->heartbeat_timeout_us;
  }
  lua_pushcfunction(fiber->co, fiber_main);
  lua_pushlightuserdata(fiber->co, fiber);
  switch_to(fiber, 1);
}

void tk_fiber_resume(tk_fiber *fiber) { switch_to(fiber, 0); }

/* ---- Ending from outside ---- */

static int push_traceback(lua_State *L) {
  tk_fiber *fiber = lua_touserdata(L, 1);
  lua_State *inner = fiber->level_count ? fiber->levels[fiber->level_count - 1].co : fiber->co;
  luaL_traceback(L, inner, NULL, 0);
  fiber->traceback = tk_strdup(lua_tostring(L, -1));
  return 0;
}

static void take_traceback(tk_fiber *fiber) {
  lua_State *L = fiber->worker->L;
  lua_pushcfunction(L, push_traceback);
  lua_pushlightuserdata(L, fiber);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void start_asking(tk_fiber *fiber) {
  fiber->asking = true;
  fiber->limit_us = tk_worker_now_us(fiber->worker) + ASK_US;
  lua_pushcfunction(fiber->co, ask_main);
  lua_pushlightuserdata(fiber->co, fiber);
  switch_to(fiber, 1);
}

static void finish_end(tk_fiber *fiber) {
  tk_worker *worker = fiber->worker;
  bool over = fiber->ended == TK_END_TIMEOUT || fiber->ended == TK_END_HEARTBEAT;
  bool ask = over && !fiber->asking && fiber->run->attempt > 0;
  if (ask) take_traceback(fiber);
  if (close_all(fiber)) {
    worker->given_up = true;
    ask = over = false;
  }
  if (ask) {
    start_asking(fiber);
    return;
  }
  if (over) tk_outcome_post_timeout(fiber);
  else if (fiber->ended == TK_END_STOP || fiber->ended == TK_END_CANCEL) tk_outcome_post_released(worker, fiber->run);
  tk_worker_recycle(worker, fiber);
}

void tk_fiber_end_now(tk_fiber *fiber, tk_fiber_end end) {
  if (fiber->cancel) fiber->cancel(fiber);
  fiber->cancel = NULL;
  tk_timers_unset(fiber->worker->timers, &fiber->timer);
  tk_timers_unset(fiber->worker->timers, &fiber->limit_timer);
  if (!fiber->ended || end > TK_END_HEARTBEAT) fiber->ended = (uint8_t)end;
  finish_end(fiber);
}

/* ---- Parking ---- */

static void on_timer(tk_loop_timer *timer) { tk_fiber_wake((tk_fiber *)((char *)timer - offsetof(tk_fiber, timer))); }

static void on_limit(tk_loop_timer *timer) {
  tk_fiber *fiber = (tk_fiber *)((char *)timer - offsetof(tk_fiber, limit_timer));
  tk_fiber_end end = over_limit(fiber, tk_worker_now_us(fiber->worker));
  tk_fiber_end_now(fiber, end == TK_END_NONE ? TK_END_TIMEOUT : end);
}

int tk_fiber_misuse(lua_State *L, const char *message) {
  lua_Debug caller;
  int level = 1;
  while (lua_getstack(L, level, &caller) && lua_getinfo(L, "S", &caller)) {
    bool ours = *caller.what == 'C' || strncmp(caller.short_src, "tasker/", 7) == 0 || strstr(caller.short_src, "/lua/tasker/");
    if (!ours) break;
    level++;
  }
  luaL_where(L, level);
  lua_pushstring(L, message);
  lua_concat(L, 2);
  return lua_error(L);
}

void tk_fiber_prepare(lua_State *L, tk_fiber *fiber, void (*cancel)(tk_fiber *fiber)) {
  if (L != fiber->current) tk_fiber_misuse(L, "cannot wait in a coroutine that was not resumed by coroutine.resume or coroutine.wrap");
  if (!lua_isyieldable(L) || fiber->blocked_count)
    tk_fiber_misuse(L, "cannot wait inside a C callback (of string.gsub, table.sort, require, ...): call it outside of it");
  fiber->cancel = cancel;
}

int tk_fiber_park(lua_State *L, tk_fiber *fiber, lua_KContext context, lua_KFunction resumed) {
  fiber->parking = true;
  return lua_yieldk(L, 0, context, resumed);
}

void tk_fiber_wake(tk_fiber *fiber) {
  tk_worker *worker = fiber->worker;
  if (fiber->place != TK_FIBER_PARKED) return;
  tk_timers_unset(worker->timers, &fiber->timer);
  tk_timers_unset(worker->timers, &fiber->limit_timer);
  if (fiber->wants_log) tk_fiber_cancel_log(fiber);
  fiber->cancel = NULL;
  fiber->place = TK_FIBER_WOKEN;
  fiber->next = NULL;
  if (worker->woken) worker->woken_last->next = fiber;
  else worker->woken = fiber;
  worker->woken_last = fiber;
}

void tk_fiber_sleep(tk_fiber *fiber, int64_t duration_us) {
  int64_t now_us = tk_worker_now_us(fiber->worker);
  tk_timers_set(fiber->worker->timers, &fiber->timer, duration_us > INT64_MAX - now_us ? INT64_MAX - 1 : now_us + duration_us);
}

void tk_fiber_cancel_sleep(tk_fiber *fiber) { tk_timers_unset(fiber->worker->timers, &fiber->timer); }

void tk_fiber_request(tk_fiber *fiber, tk_engine *engine, tk_request *request) {
  tk_worker *worker = fiber->worker;
  request->reply_to = worker->port;
  request->user = fiber;
  fiber->request = request;
  worker->replies++;
  if (engine == worker->engine) tk_worker_post(worker, request);
  else tk_engine_post(engine, request, false);
}

/* The request comes back to the worker all the same, which frees it then. */
void tk_fiber_cancel_request(tk_fiber *fiber) { fiber->request = NULL; }

void tk_fiber_wait_log(tk_fiber *fiber, int64_t timeout_us) {
  fiber->wants_log = true;
  fiber->worker->log_waiting++;
  if (timeout_us >= 0) tk_fiber_sleep(fiber, timeout_us);
}

void tk_fiber_cancel_log(tk_fiber *fiber) {
  tk_timers_unset(fiber->worker->timers, &fiber->timer);
  fiber->wants_log = false;
  fiber->worker->log_waiting--;
}

void tk_fiber_heartbeat(tk_fiber *fiber) {
  if (fiber->heartbeat_us == INT64_MAX || fiber->exempt) return;
  fiber->heartbeat_us = tk_worker_now_us(fiber->worker) + fiber->run->heartbeat_timeout_us;
  tk_watch_move(&fiber->worker->watch, real_limit(fiber->worker, own_limit(fiber)));
}

/* ---- Making ---- */

static int make_coroutine(lua_State *L) {
  tk_fiber *fiber = lua_touserdata(L, 1);
  fiber->co = lua_newthread(L);
  fiber->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushboolean(L, 0);
  fiber->run_slot = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

tk_fiber *tk_fiber_new(tk_worker *worker) {
  tk_fiber *fiber = tk_calloc(1, sizeof *fiber);
  lua_State *L = worker->L;
  fiber->worker = worker;
  fiber->timer.fire = on_timer;
  fiber->limit_timer.fire = on_limit;
  lua_pushcfunction(L, make_coroutine);
  lua_pushlightuserdata(L, fiber);
  fiber->ref = fiber->run_slot = LUA_NOREF;
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, fiber->ref);
    tk_free(fiber);
    return NULL;
  }
  clear_hook(fiber->co);
  return fiber;
}

void tk_fiber_free(tk_fiber *fiber) {
  luaL_unref(fiber->worker->L, LUA_REGISTRYINDEX, fiber->ref);
  luaL_unref(fiber->worker->L, LUA_REGISTRYINDEX, fiber->run_slot);
  tk_free(fiber->levels);
  tk_free(fiber->traceback);
  tk_free(fiber);
}
