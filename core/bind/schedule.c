/* Schedules: engine:put_schedule, schedule_event, schedule, schedules, schedule_times. */
#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"

static tk_slice arena_field(lua_State *L, int t, const char *name, tk_arena *arena) {
  tk_slice value = tk_field_slice(L, t, name);
  return value.size ? tk_arena_copy(arena, value) : (tk_slice){NULL, 0};
}

/* ---- Changes ---- */

static void read_spec(lua_State *L, int t, tk_arena *arena, tk_schedule_spec *spec) {
  static const char *const texts[TK_SCHEDULE_TEXT_COUNT] = {"name", "namespace", "handler", "version", "rule", "timezone", "context",
    "queue", "tags", "initiator", "source_system", "reason", "defined_by"};
  static const char *const kinds[] = {"at", "every", "cron", "rrule", NULL};
  static const char *const overlaps[] = {"skip", "buffer_one", "buffer_all", "cancel_other", "allow", NULL};
  static const char *const gaps[] = {"shift", "skip", NULL}, *const repeats[] = {"first", "last", "both", NULL};
  for (int i = 0; i < TK_SCHEDULE_TEXT_COUNT; i++) spec->texts[i] = arena_field(L, t, texts[i], arena);
  spec->kind = (uint8_t)tk_field_choice(L, t, "kind", kinds, TK_RECUR_AT);
  spec->overlap = (uint8_t)tk_field_choice(L, t, "overlap", overlaps, TK_SCHEDULE_SKIP);
  spec->dst.gap = (uint8_t)tk_field_choice(L, t, "gap", gaps, TK_GAP_SHIFT);
  spec->dst.overlap = (uint8_t)tk_field_choice(L, t, "repeated", repeats, TK_OVERLAP_FIRST);
  spec->has_priority = lua_getfield(L, t, "priority") != LUA_TNIL;
  lua_pop(L, 1);
  spec->priority = (int32_t)tk_field_integer(L, t, "priority", 0);
  spec->ask = (uint32_t)tk_field_integer(L, t, "ask", 0);
  spec->at_us = tk_field_us(L, t, "at");
  spec->every_us = tk_field_us(L, t, "every");
  spec->catch_up_us = tk_field_us(L, t, "catch_up");
  spec->jitter_us = tk_field_us(L, t, "jitter");
  spec->starts_us = tk_field_us(L, t, "starts");
  spec->ends_us = tk_field_us(L, t, "ends");
  spec->count = (uint64_t)tk_field_integer(L, t, "count", 0);
  if (spec->kind == TK_RECUR_EVERY && spec->every_us <= 0) luaL_error(L, "'every' must be at least a microsecond");
}

static int push_created(lua_State *L, tk_request *request) {
  lua_pushboolean(L, 1);
  lua_pushboolean(L, request->answers[0].created);
  return 2;
}

/* put_schedule(spec, replace, paused) -> true, created */
static int engine_put_schedule(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  bool replace = lua_toboolean(L, 3), paused = lua_toboolean(L, 4);
  tk_check_not_loading(L, "app:schedule");
  if (!engine) return tk_return_error(L, &err);
  lua_settop(L, 2);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, 1);
  tk_schedule_spec *spec = TK_ARENA_NEW(&request->arena, tk_schedule_spec);
  read_spec(L, 2, &request->arena, spec);
  request->events[0] = (tk_event){.type = TK_EV_SCHEDULE_PUT, .step = TK_NO_STEP, .schedule = spec,
    .cursor = (replace ? TK_SCHEDULE_PUT_REPLACE : 0) | (paused ? TK_SCHEDULE_PUT_PAUSED : 0)};
  return tk_engine_await(L, engine, box, push_created);
}

static int push_id(lua_State *L, tk_request *request) {
  char text[37];
  tk_id_format(&request->answers[0].id, text);
  lua_pushlstring(L, text, 36);
  return 1;
}

static int push_true(lua_State *L, tk_request *request) {
  (void)request;
  lua_pushboolean(L, 1);
  return 1;
}

/* schedule_event{type, name, context, audit, from, to} -> true; of a trigger the id of the task */
static int engine_schedule_event(lua_State *L) {
  static const char *const names[] = {"pause", "resume", "trigger", "backfill", "delete", NULL};
  static const uint8_t types[] = {TK_EV_SCHEDULE_PAUSE, TK_EV_SCHEDULE_RESUME, TK_EV_SCHEDULE_TRIGGER, TK_EV_SCHEDULE_BACKFILL,
    TK_EV_SCHEDULE_DELETE};
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
  event->type = types[choice];
  event->step = TK_NO_STEP;
  event->name = arena_field(L, 2, "name", &request->arena);
  event->data = arena_field(L, 2, "context", &request->arena);
  event->audit = arena_field(L, 2, "audit", &request->arena);
  event->due_us = tk_field_us(L, 2, "from");
  event->until_us = tk_field_us(L, 2, "to");
  return tk_engine_await(L, engine, box, event->type == TK_EV_SCHEDULE_TRIGGER ? push_id : push_true);
}

/* ---- Reading ---- */

static tk_slice arg_slice(lua_State *L, int arg) {
  tk_slice value;
  value.data = luaL_optlstring(L, arg, "", &value.size);
  return value;
}

static int engine_schedule(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice name = arg_slice(L, 2);
  if (!engine) return tk_return_error(L, &err);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_schedule(engine, name, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

/* schedules(after, limit) */
static int engine_schedules(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice after = arg_slice(L, 2);
  lua_Integer limit = luaL_optinteger(L, 3, 0);
  if (!engine) return tk_return_error(L, &err);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_schedules(engine, after, limit < 0 ? 0 : (size_t)limit, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

typedef struct times { int64_t until_us; size_t limit, count; tk_buf *buf; } times;

static bool visit_time(void *context, int64_t at_us) {
  times *t = context;
  if (at_us >= t->until_us || t->count == t->limit) return false;
  t->count++;
  tk_buf_append(t->buf, &at_us, sizeof at_us);
  return true;
}

/* schedule_times(name, after, count[, until]) -> times to come (after nil: from now); with until those of a backfill from `after` on,
 * inclusive. */
static int engine_schedule_times(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice name = arg_slice(L, 2);
  int64_t after_us = lua_isnoneornil(L, 3) ? TK_VIEW_FROM_NOW : tk_seconds_to_us(luaL_checknumber(L, 3));
  bool backwards = !lua_isnoneornil(L, 5);
  tk_state *state = tk_state_scratch(L);
  times t = {.until_us = backwards ? tk_seconds_to_us(luaL_checknumber(L, 5)) : INT64_MAX, .buf = &state->buf};
  t.limit = (size_t)luaL_checkinteger(L, 4);
  if (!engine) return tk_return_error(L, &err);
  if (tk_view_schedule_times(engine, name, backwards ? after_us - 1 : after_us, backwards, visit_time, &t, &err))
    return tk_return_error(L, &err);
  lua_createtable(L, (int)t.count, 0);
  for (size_t i = 0; i < t.count; i++) {
    char text[32];
    int64_t at_us;
    memcpy(&at_us, state->buf.data + i * sizeof at_us, sizeof at_us);
    tk_time_format(at_us, text);
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

const luaL_Reg tk_schedule_methods[] = {{"put_schedule", engine_put_schedule}, {"schedule_event", engine_schedule_event},
  {"schedule", engine_schedule}, {"schedules", engine_schedules}, {"schedule_times", engine_schedule_times}, {NULL, NULL}};
