#include "worker/outcome.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"
#include "worker/worker.h"

#define BATCH_EVENTS 64             /* of one request */
#define FLUSH_EVENTS 256            /* after so many the engine is woken although more may come */
#define TURN_HERE_EVENTS 16         /* up to so many, changing threads costs more than working while the engine commits gives */

/* The three under the batch's lock. */
static void post_batch(tk_worker *worker) {
  if (!worker->batch) return;
  worker->batch->event_count = worker->batched;
  tk_engine_post(worker->engine, worker->batch, true);
  worker->batch = NULL;
  worker->batched = 0;
}

static void flush(tk_worker *worker) {
  post_batch(worker);
  atomic_store_explicit(&worker->unflushed, 0, memory_order_relaxed);
  tk_engine_flush(worker->engine);
}

static void count_unflushed(tk_worker *worker) { atomic_fetch_add_explicit(&worker->unflushed, 1, memory_order_relaxed); }

void tk_worker_flush(tk_worker *worker) {
  if (!atomic_load_explicit(&worker->unflushed, memory_order_relaxed)) return;
  pthread_mutex_lock(&worker->batch_lock);
  flush(worker);
  pthread_mutex_unlock(&worker->batch_lock);
}

bool tk_worker_turn_here(tk_worker *worker) {
  if (!atomic_load_explicit(&worker->unflushed, memory_order_relaxed)) return false;
  pthread_mutex_lock(&worker->batch_lock);
  size_t count = atomic_load_explicit(&worker->unflushed, memory_order_relaxed);
  tk_request *batch = count == worker->batched && count <= TURN_HERE_EVENTS ? worker->batch : NULL;
  if (batch) {
    batch->event_count = count;
    worker->batch = NULL;
    worker->batched = 0;
    atomic_store_explicit(&worker->unflushed, 0, memory_order_relaxed);
  }
  pthread_mutex_unlock(&worker->batch_lock);
  if (!batch) return false;
  tk_port_hush(worker->port, true);
  if (!tk_engine_turn_here(worker->engine, batch)) tk_engine_post(worker->engine, batch, false);
  tk_port_hush(worker->port, false);
  return true;
}

void tk_worker_post(tk_worker *worker, tk_request *request) {
  pthread_mutex_lock(&worker->batch_lock);
  count_unflushed(worker);
  tk_engine_post(worker->engine, request, true);
  pthread_mutex_unlock(&worker->batch_lock);
}

static void address(tk_event *event, const tk_run_message *run, uint8_t type) {
  event->type = type;
  event->task_no = run->task_no;
  event->task_id = run->task_id;
  event->step = run->step;
  event->attempt = run->attempt;
  event->definition = run->definition;
}

tk_event *tk_worker_event(tk_worker *worker, const tk_run_message *run, uint8_t type, tk_arena **arena) {
  pthread_mutex_lock(&worker->batch_lock);
  if (worker->batched == BATCH_EVENTS) post_batch(worker);
  if (atomic_load_explicit(&worker->unflushed, memory_order_relaxed) >= FLUSH_EVENTS) flush(worker);
  if (!worker->batch) worker->batch = tk_request_new(TK_REQ_EVENTS, BATCH_EVENTS);
  tk_event *event = &worker->batch->events[worker->batched++];
  count_unflushed(worker);
  address(event, run, type);
  *arena = &worker->batch->arena;
  return event;
}

void tk_worker_event_end(tk_worker *worker) { pthread_mutex_unlock(&worker->batch_lock); }

tk_slice tk_worker_error_json(tk_arena *arena, const char *code, const char *message, size_t size, bool retryable) {
  tk_buf clean = {0}, json = {0};
  while (size) {   /* what is no UTF-8 becomes a question mark */
    size_t valid = tk_utf8_invalid_at(message, size);
    tk_buf_append(&clean, message, valid);
    if (valid == size) break;
    tk_buf_u8(&clean, '?');
    message += valid + 1;
    size -= valid + 1;
  }
  tk_json_writer w = tk_json_to(&json);
  tk_json_object(&w);
  tk_json_key(&w, "message");
  tk_json_put_str(&w, tk_buf_slice(&clean));
  tk_json_key(&w, "code");
  tk_json_put_cstr(&w, code);
  tk_json_key(&w, "retryable");
  tk_json_put_bool(&w, retryable);
  tk_json_object_end(&w);
  tk_slice copy = tk_arena_copy(arena, tk_buf_slice(&json));
  tk_buf_free(&clean);
  tk_buf_free(&json);
  return copy;
}

static void post_failed(tk_fiber *fiber, const char *code, const char *message, size_t size) {
  tk_arena *arena;
  tk_event *event = tk_worker_event(fiber->worker, fiber->run, fiber->run->attempt ? TK_EV_STEP_FAILED : TK_EV_ASK_FAILED, &arena);
  event->data = tk_worker_error_json(arena, code, message, size, true);
  event->retryable = true;
  event->delay_us = -1;
  tk_worker_event_end(fiber->worker);
}

void tk_outcome_post_error(tk_fiber *fiber, const char *message, size_t size) {
  post_failed(fiber, "error", message, size == SIZE_MAX ? strlen(message) : size);
}

void tk_outcome_post_raised(tk_fiber *fiber) {
  size_t size;
  bool is_string = lua_type(fiber->co, -1) == LUA_TSTRING;
  const char *message = is_string ? lua_tolstring(fiber->co, -1, &size) : "the step raised what is no message";
  tk_outcome_post_error(fiber, message, is_string ? size : SIZE_MAX);
}

/* Seconds on the stack as microseconds; `fallback` where there is no number. */
static int64_t seconds_at(lua_State *co, int at, int64_t fallback) {
  if (lua_type(co, at) != LUA_TNUMBER) return fallback;
  lua_Number seconds = lua_tonumber(co, at);
  if (!(seconds >= 0)) return fallback;
  if (isinf(seconds)) return INT64_MAX;   /* until it is woken */
  return seconds > 9.0e12 ? INT64_C(9000000000000000000) : (int64_t)(seconds * 1e6 + 0.5);
}

static tk_slice text_at(lua_State *co, int at, tk_arena *arena) {
  tk_slice text = {NULL, 0};
  if (lua_type(co, at) == LUA_TSTRING) text.data = lua_tolstring(co, at, &text.size);
  return text.data ? tk_arena_copy(arena, text) : text;
}

/* Behind the inputs of an answer: the branch to take (1-based) and its name as JSON, the end of a sleep, nothing and the keys of limits, or
 * false: the step is skipped. */
static void read_answer(lua_State *co, int at, tk_arena *arena, tk_event *event) {
  event->ask_skip = lua_type(co, at) == LUA_TBOOLEAN && !lua_toboolean(co, at);
  event->due_us = seconds_at(co, at, 0);
  if (lua_type(co, at + 1) != LUA_TSTRING) return;
  if (lua_isnil(co, at)) {
    event->keys = text_at(co, at + 1, arena);
    return;
  }
  event->name = text_at(co, at + 1, arena);
  event->cursor = (uint32_t)lua_tointeger(co, at) - 1;
  event->due_us = 0;
}

/* Behind the inputs of an answer: how many elements the list of a map has, and its pages. */
static void read_list(lua_State *co, int at, tk_arena *arena, tk_event *event) {
  event->cursor = (uint32_t)lua_tointeger(co, at);
  event->name = text_at(co, at + 1, arena);
}

/* Behind a word: its text or number; what was decided has the error of the failure and the data of the log behind that. */
void tk_outcome_post(tk_fiber *fiber, lua_State *co, int at) {
  static const struct { const char *word; uint8_t type; } kinds[] = {
    {"done", TK_EV_STEP_DONE}, {"failed", TK_EV_STEP_FAILED}, {"snooze", TK_EV_STEP_SNOOZED},
    {"answer", TK_EV_ASK_DONE}, {"list", TK_EV_ASK_DONE}, {"child", TK_EV_ASK_DONE}, {"ask_failed", TK_EV_ASK_FAILED},
    {"skip", TK_EV_STEP_SKIPPED}, {"park", TK_EV_STEP_PARKED}};
  const char *word = lua_type(co, at) == LUA_TSTRING ? lua_tostring(co, at) : "";
  uint8_t type = TK_EV_NONE;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(word, kinds[i].word) == 0) type = kinds[i].type;
  bool has_text = lua_type(co, at + 1) == LUA_TSTRING;
  bool needs_text = type != TK_EV_STEP_SNOOZED && type != TK_EV_ASK_DONE;
  bool decided = type == TK_EV_STEP_SKIPPED || type == TK_EV_STEP_PARKED;
  if (type == TK_EV_NONE || (needs_text && !has_text)) {
    tk_outcome_post_error(fiber, "the step runner gave no outcome", SIZE_MAX);
    return;
  }
  tk_arena *arena;
  tk_event *event = tk_worker_event(fiber->worker, fiber->run, type, &arena);
  if (type == TK_EV_STEP_SNOOZED) event->delay_us = seconds_at(co, at + 1, 0);
  else if (!decided) event->data = text_at(co, at + 1, arena);
  if (decided || type == TK_EV_STEP_DONE) {
    event->failure = text_at(co, decided ? at + 1 : at + 2, arena);
    event->audit = text_at(co, decided ? at + 2 : at + 3, arena);
  }
  /* A state of a machine tells where to go on, 1-based. */
  if (type == TK_EV_STEP_DONE && lua_type(co, at + 2) == LUA_TNUMBER) event->branch = (uint32_t)lua_tointeger(co, at + 2) - 1;
  if (type == TK_EV_ASK_DONE && *word == 'c') event->cursor = (uint32_t)lua_tointeger(co, at + 2);   /* the definition of a child */
  else if (type == TK_EV_ASK_DONE) (*word == 'l' ? read_list : read_answer)(co, at + 2, arena, event);
  if (type == TK_EV_STEP_FAILED) {
    event->retryable = lua_toboolean(co, at + 2);
    event->delay_us = seconds_at(co, at + 3, -1);
  }
  tk_worker_event_end(fiber->worker);
}

void tk_outcome_post_released(tk_worker *worker, const tk_run_message *run) {
  tk_arena *arena;
  tk_worker_event(worker, run, TK_EV_STEP_RELEASED, &arena);
  tk_worker_event_end(worker);
}

static void timeout_message(const tk_run_message *run, bool heartbeat, char *out, size_t size) {
  if (heartbeat) snprintf(out, size, "no heartbeat within %g s", (double)run->heartbeat_timeout_us / 1e6);
  else snprintf(out, size, "not done within its timeout of %g s", (double)run->timeout_us / 1e6);
}

void tk_outcome_timeout_message(const tk_fiber *fiber, char *out, size_t size) {
  timeout_message(fiber->run, fiber->ended == TK_END_HEARTBEAT, out, size);
}

void tk_outcome_post_timeout(tk_fiber *fiber) {
  char message[256];
  tk_outcome_timeout_message(fiber, message, sizeof message);
  post_failed(fiber, "timeout", message, strlen(message));
}

tk_request *tk_outcome_timeout_request(const tk_run_message *run) {
  char message[256];
  tk_request *request = tk_request_new(TK_REQ_EVENTS, 1);
  tk_event *event = &request->events[0];
  address(event, run, run->attempt ? TK_EV_STEP_FAILED : TK_EV_ASK_FAILED);
  timeout_message(run, false, message, sizeof message);
  event->data = tk_worker_error_json(&request->arena, "timeout", message, strlen(message), true);
  event->retryable = true;
  event->delay_us = -1;
  return request;
}

tk_request *tk_outcome_released_request(const tk_run_message *run) {
  tk_request *request = tk_request_new(TK_REQ_EVENTS, 1);
  address(&request->events[0], run, TK_EV_STEP_RELEASED);
  return request;
}
