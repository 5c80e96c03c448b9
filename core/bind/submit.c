/* What changes tasks: engine:submit, engine:event, and what a running step tells (heartbeat, annotate_step, log_step). */
#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "base/hash.h"
#include "bounds.h"
#include "worker/worker.h"

/* ---- Submissions ---- */

static tk_slice arena_field(lua_State *L, int t, const char *name, tk_arena *arena) {
  tk_slice value = tk_field_slice(L, t, name);
  return value.size ? tk_arena_copy(arena, value) : value;
}

static tk_slice arena_text(lua_State *L, int t, const char *name, tk_arena *arena, const char *fallback) {
  tk_slice value = arena_field(L, t, name, arena);
  return value.data ? value : tk_slice_str(fallback);
}

static void read_identity(lua_State *L, int t, tk_request *request, tk_submission *s) {
  tk_slice hex = tk_field_slice(L, t, "identity");
  if (!hex.data) return;
  if (hex.size != 64 || !tk_unhex(hex.data, hex.size, s->identity)) luaL_error(L, "'identity' must be a SHA-256 in hex");
  s->has_identity = true;
  s->info.identity = tk_arena_copy(&request->arena, hex);
  s->identity_window_us = tk_field_us(L, t, "window");
  s->identity_conflict = tk_field_bool(L, t, "reject") ? TK_IDENTITY_REJECT : TK_IDENTITY_RETURN;
}

static void read_bypass(lua_State *L, int t, tk_request *request, tk_submission *s) {
  if (lua_getfield(L, t, "bypass") == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    uint32_t *indexes = TK_ARENA_ARRAY(&request->arena, uint32_t, count ? count : 1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      indexes[i - 1] = (uint32_t)(lua_tointeger(L, -1) - 1);
      lua_pop(L, 1);
    }
    s->bypass = indexes;
    s->bypass_count = (uint32_t)count;
  }
  lua_pop(L, 1);
}

static tk_slice pair_slice(lua_State *L, int t, lua_Integer index) {
  tk_slice value;
  lua_rawgeti(L, t, index);
  value.data = luaL_checklstring(L, -1, &value.size);   /* borrowed: the pair keeps it */
  lua_pop(L, 1);
  return value;
}

static void read_annotations(lua_State *L, int t, tk_request *request, tk_submission *s) {
  if (lua_getfield(L, t, "annotations") == LUA_TTABLE) {
    tk_state *state = tk_state_of(L);
    tk_buf_clear(&state->buf);
    for (lua_Integer i = 1, count = luaL_len(L, -1); i <= count; i++) {
      lua_rawgeti(L, -1, i);
      luaL_checktype(L, -1, LUA_TTABLE);
      int pair = lua_absindex(L, -1);
      tk_slice name = pair_slice(L, pair, 1), value = pair_slice(L, pair, 2);
      tk_buf_bytes(&state->buf, name);
      tk_buf_bytes(&state->buf, value);
      lua_pop(L, 1);
    }
    s->annotations = tk_arena_copy(&request->arena, tk_buf_slice(&state->buf));
  }
  lua_pop(L, 1);
}

static void read_submission(lua_State *L, int t, tk_request *request, tk_event *event, int64_t now_us) {
  tk_submission *s = TK_ARENA_NEW(&request->arena, tk_submission);
  tk_arena *arena = &request->arena;
  s->definition = (uint32_t)tk_field_integer(L, t, "definition", 0);
  s->info.context = arena_text(L, t, "context", arena, "{}");
  s->info.initiator = arena_text(L, t, "initiator", arena, "unknown");
  s->info.source_system = arena_text(L, t, "source_system", arena, "unknown");
  s->info.reason = arena_text(L, t, "reason", arena, "unknown");
  s->info.tags = arena_field(L, t, "tags", arena);
  s->info.bypass_steps = arena_field(L, t, "bypass_steps", arena);
  s->queue = arena_field(L, t, "queue", arena);
  s->info.queue = s->queue;
  s->priority = (int32_t)tk_field_integer(L, t, "priority", 0);
  s->info.requested_at_us = tk_field_us(L, t, "requested_at");
  if (!s->info.requested_at_us) s->info.requested_at_us = now_us;
  s->info.run_at_us = tk_field_us(L, t, "run_at");
  read_identity(L, t, request, s);
  read_bypass(L, t, request, s);
  read_annotations(L, t, request, s);
  event->type = TK_EV_SUBMIT;
  event->submission = s;
}

static int push_answers(lua_State *L, tk_request *request) {
  lua_createtable(L, (int)request->event_count, 0);
  lua_createtable(L, (int)request->event_count, 0);
  for (size_t i = 0; i < request->event_count; i++) {
    char text[37];
    tk_id_format(&request->answers[i].id, text);
    lua_pushlstring(L, text, 36);
    lua_rawseti(L, -3, (lua_Integer)i + 1);
    lua_pushboolean(L, request->answers[i].created);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 2;
}

static int engine_submit(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  tk_check_not_loading(L, "app:submit");
  if (!engine) return tk_return_error(L, &err);
  lua_settop(L, 2);
  lua_Integer count = luaL_len(L, 2);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, (size_t)count);
  int64_t now_us = tk_engine_now_us(engine);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_submission(L, lua_absindex(L, -1), request, &request->events[i - 1], now_us);
    lua_pop(L, 1);
  }
  if (count == 0) return push_answers(L, request);
  return tk_engine_await(L, engine, box, push_answers);
}

/* ---- Operations ---- */

static int push_true(lua_State *L, tk_request *request) {
  (void)request;
  lua_pushboolean(L, 1);
  return 1;
}

static int engine_event(lua_State *L) {
  static const char *const names[] = {"cancel", "pause", "resume", "retry", "resolve", "annotate", "signal", NULL};
  static const uint8_t types[] = {TK_EV_CANCEL, TK_EV_PAUSE, TK_EV_RESUME, TK_EV_RETRY, TK_EV_RESOLVE, TK_EV_ANNOTATE, TK_EV_SIGNAL};
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  int choice = tk_field_choice(L, 2, "type", names, -1);
  if (choice < 0) return luaL_error(L, "'type' is missing");
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, 1);
  tk_event *event = &request->events[0];
  tk_slice id = tk_field_slice(L, 2, "id");
  if (!tk_id_parse(id.data, id.size, &event->task_id)) {
    tk_err_set(&err, TK_E_NOT_FOUND, "no task has the id '%.*s'", (int)(id.size < 200 ? id.size : 200), id.data ? id.data : "");
    return tk_return_error(L, &err);
  }
  event->type = types[choice];
  event->step = TK_NO_STEP;
  event->step_name = arena_field(L, 2, "step", &request->arena);
  event->name = arena_field(L, 2, "name", &request->arena);
  event->data = arena_field(L, 2, "data", &request->arena);
  event->audit = arena_field(L, 2, "audit", &request->arena);
  return tk_engine_await(L, engine, box, push_true);
}

static void read_renames(lua_State *L, int t, tk_arena *arena, tk_migration *m) {
  if (lua_getfield(L, t, "renames") == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    tk_rename *renames = TK_ARENA_ARRAY(arena, tk_rename, count + 1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      luaL_checktype(L, -1, LUA_TTABLE);
      int pair = lua_absindex(L, -1);
      renames[i - 1] = (tk_rename){tk_arena_copy(arena, pair_slice(L, pair, 1)), tk_arena_copy(arena, pair_slice(L, pair, 2))};
      lua_pop(L, 1);
    }
    m->renames = renames;
    m->rename_count = (size_t)count;
  }
  lua_pop(L, 1);
}

/* engine:migrate{id, definition, from, renames = {{old, new or ""}, ...}, context, dry, audit} */
static int engine_migrate(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, 1);
  tk_event *event = &request->events[0];
  tk_slice id = tk_field_slice(L, 2, "id");
  luaL_argcheck(L, tk_id_parse(id.data, id.size, &event->task_id), 2, "the id of a task expected");
  tk_migration *m = TK_ARENA_NEW(&request->arena, tk_migration);
  m->definition = (uint32_t)tk_field_integer(L, 2, "definition", 0);
  m->from = arena_field(L, 2, "from", &request->arena);
  m->context = arena_field(L, 2, "context", &request->arena);
  m->dry = tk_field_bool(L, 2, "dry");
  read_renames(L, 2, &request->arena, m);
  event->type = TK_EV_MIGRATE;
  event->step = TK_NO_STEP;
  event->migration = m;
  event->audit = arena_field(L, 2, "audit", &request->arena);
  return tk_engine_await(L, engine, box, push_true);
}

/* engine:consumer("open" | "ack" | "rewind" | "delete", name, {events = JSON, seq = n, now = })
 * now: a new one begins behind the last event */
static int engine_consumer(lua_State *L) {
  static const char *const names[] = {"open", "ack", "rewind", "delete", NULL};   /* in the order of TK_CONSUMER_OPEN ... */
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  int operation = luaL_checkoption(L, 2, NULL, names);
  tk_slice name;
  name.data = luaL_checklstring(L, 3, &name.size);
  luaL_checktype(L, 4, LUA_TTABLE);
  luaL_argcheck(L, name.size > 0 && name.size <= TK_LIMIT_NAME + TK_LIMIT_NAME_PREFIX, 3, "a name expected");
  lua_settop(L, 4);
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_CONSUMER, 0);
  int64_t now_us = tk_engine_now_us(engine);
  request->operation = (uint8_t)operation;
  request->consumer = (tk_consumer){.name = tk_arena_copy(&request->arena, name), .created_at_us = now_us};
  request->consumer.events = arena_field(L, 4, "events", &request->arena);
  request->consumer.seq = (uint64_t)tk_field_integer(L, 4, "seq", 0);
  if (operation == TK_CONSUMER_OPEN && tk_field_bool(L, 4, "now")) request->consumer.seq = TK_CONSUMER_NOW;
  if (operation != TK_CONSUMER_OPEN) request->consumer.moved_at_us = now_us;
  return tk_engine_await(L, engine, box, push_true);
}

/* engine:set_reader(the id of the task that reads the log or nil, definition, definition) */
static int engine_set_reader(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  size_t size = 0;
  const char *text = luaL_optlstring(L, 2, NULL, &size);
  uint32_t numbers[TK_BUILTIN_DEFINITIONS];
  tk_id id = {{0}};
  for (int i = 0; i < TK_BUILTIN_DEFINITIONS; i++) numbers[i] = (uint32_t)luaL_checkinteger(L, 3 + i);
  luaL_argcheck(L, !text || tk_id_parse(text, size, &id), 2, "the id of a task expected");
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_READER, 0);
  request->has_reader = text != NULL;
  request->reader = id;
  memcpy(request->builtins, numbers, sizeof numbers);
  return tk_engine_await(L, engine, box, push_true);
}

/* An entry of engine:set_secrets, on top of the stack. */
static tk_secret secret_entry(lua_State *L, tk_request *request, int64_t now_us) {
  int t = lua_gettop(L);
  tk_secret secret = {.created_at_us = now_us, .changed_at_us = now_us};
  tk_slice key = tk_field_slice(L, t, "key");
  secret.name = arena_field(L, t, "name", &request->arena);
  secret.sealed = arena_field(L, t, "sealed", &request->arena);
  secret.previous = arena_field(L, t, "previous", &request->arena);
  secret.fresh = tk_field_bool(L, t, "fresh");
  if (key.size == sizeof secret.key_id) memcpy(secret.key_id, key.data, key.size);
  return secret;
}

/* engine:set_secrets({{name = , sealed = , key = id of 8 bytes, previous =, fresh = }, …}, rotate, note); without sealed: deleted */
static int engine_set_secrets(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  tk_slice note = {NULL, 0};
  note.data = luaL_optlstring(L, 4, NULL, &note.size);
  lua_settop(L, 4);
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_SECRETS, 0);
  tk_secret_change *change = &request->secrets;
  change->rotate = lua_toboolean(L, 3);
  change->at_us = tk_engine_now_us(engine);
  if (note.size) change->note = tk_arena_copy(&request->arena, note);
  change->count = lua_rawlen(L, 2);
  change->secrets = TK_ARENA_ARRAY(&request->arena, tk_secret, change->count);
  for (size_t i = 0; i < change->count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    change->secrets[i] = secret_entry(L, request, change->at_us);
    lua_pop(L, 1);
  }
  return tk_engine_await(L, engine, box, push_true);
}

/* ---- From inside a step ---- */

/* An event about the attempt of the run table at `t`, to be filled and ended (tk_worker_event_end). */
static tk_event *step_event(lua_State *L, int t, uint8_t type, tk_fiber **fiber, tk_arena **arena) {
  luaL_checktype(L, t, LUA_TTABLE);
  *fiber = tk_fiber_current(L);
  if (!*fiber) tk_fiber_misuse(L, "this is for code that runs in a step");
  tk_run_message run = {.task_no = (uint64_t)tk_field_integer(L, t, "task_no", 0), .step = (uint32_t)tk_field_integer(L, t, "step", 1) - 1,
    .attempt = (uint32_t)tk_field_integer(L, t, "attempt", 0)};
  if (run.task_no != (*fiber)->run->task_no || run.step != (*fiber)->run->step || run.attempt != (*fiber)->run->attempt)
    tk_fiber_misuse(L, "this step is over: its task and step values are for its own code only");
  return tk_worker_event((*fiber)->worker, (*fiber)->run, type, arena);
}

static tk_slice arg_slice(lua_State *L, int arg) {
  tk_slice value;
  value.data = luaL_checklstring(L, arg, &value.size);
  return value;
}

static int engine_heartbeat(lua_State *L) {
  tk_fiber *fiber;
  tk_arena *arena;
  tk_slice json = arg_slice(L, 3);
  tk_event *event = step_event(L, 2, TK_EV_HEARTBEAT, &fiber, &arena);
  event->data = tk_arena_copy(arena, json);
  tk_worker_event_end(fiber->worker);
  tk_fiber_heartbeat(fiber);
  tk_worker_flush(fiber->worker);
  return 0;
}

static int engine_annotate_step(lua_State *L) {
  tk_fiber *fiber;
  tk_arena *arena;
  tk_slice name = arg_slice(L, 3), json = arg_slice(L, 4);
  tk_event *event = step_event(L, 2, TK_EV_ANNOTATE, &fiber, &arena);
  event->name = tk_arena_copy(arena, name);
  event->data = tk_arena_copy(arena, json);
  tk_worker_event_end(fiber->worker);
  tk_worker_flush(fiber->worker);
  return 0;
}

static int engine_log_step(lua_State *L) {
  tk_fiber *fiber;
  tk_arena *arena;
  tk_slice json = arg_slice(L, 3);
  tk_event *event = step_event(L, 2, TK_EV_STEP_LOG, &fiber, &arena);
  event->data = tk_arena_copy(arena, json);
  tk_worker_event_end(fiber->worker);
  tk_worker_flush(fiber->worker);
  return 0;
}

/* engine:cost_step(run, index of the limit, units more than charged) */
static int engine_cost_step(lua_State *L) {
  tk_fiber *fiber;
  tk_arena *arena;
  uint32_t index = (uint32_t)luaL_checkinteger(L, 3) - 1;
  lua_Integer more = luaL_checkinteger(L, 4);
  tk_event *event = step_event(L, 2, TK_EV_STEP_COST, &fiber, &arena);
  event->cursor = index;
  event->delay_us = more;
  tk_worker_event_end(fiber->worker);
  tk_worker_flush(fiber->worker);
  return 0;
}

const luaL_Reg tk_submit_methods[] = {{"submit", engine_submit}, {"event", engine_event},
  {"migrate", engine_migrate}, {"consumer", engine_consumer},
  {"set_reader", engine_set_reader}, {"set_secrets", engine_set_secrets}, {"heartbeat", engine_heartbeat},
  {"annotate_step", engine_annotate_step}, {"log_step", engine_log_step}, {"cost_step", engine_cost_step}, {NULL, NULL}};
