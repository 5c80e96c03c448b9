/* What is read: views as JSON text, definitions, and administration. None of it waits for the engine. */
#include <lauxlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"
#include "bounds.h"

/* `engine` of the method's first argument, or returns nil, closed from the calling function. */
#define ENGINE_OR_RETURN(L, engine) \
  tk_err err; \
  tk_engine *engine = tk_check_engine(L, 1, &err); \
  if (!engine) return tk_return_error(L, &err)

static int return_json(lua_State *L, int code, tk_state *state, const tk_err *err) {
  if (code) return tk_return_error(L, err);
  tk_state_push_buf(L, state);
  return 1;
}

/* ---- Tasks and events ---- */

static int no_such_id(lua_State *L, int arg) {
  tk_err err;
  tk_err_set(&err, TK_E_NOT_FOUND, "no task has the id '%.200s'", lua_tostring(L, arg));
  return tk_return_error(L, &err);
}

static int engine_task(lua_State *L) {
  static const char *const instances[] = {"default", "failed", "all", "none", NULL};
  ENGINE_OR_RETURN(L, engine);
  tk_id id;
  int choice = luaL_checkoption(L, 3, "default", instances);
  if (!tk_arg_id(L, 2, &id)) return no_such_id(L, 2);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_task(engine, &id, choice, &state->buf, &err), state, &err);
}

static int engine_tree(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_id id;
  if (!tk_arg_id(L, 2, &id)) return no_such_id(L, 2);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_tree(engine, &id, &state->buf, &err), state, &err);
}

static int engine_status(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_id id;
  uint8_t status;
  if (!tk_arg_id(L, 2, &id)) return no_such_id(L, 2);
  if (tk_view_status(engine, &id, &status, &err)) return tk_return_error(L, &err);
  lua_pushstring(L, tk_task_status_name(status));
  return 1;
}

static int engine_find_id(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_slice text;
  tk_id id;
  char out[37];
  text.data = luaL_checklstring(L, 2, &text.size);
  if (tk_view_find_id(engine, text, &id, &err)) return tk_return_error(L, &err);
  tk_id_format(&id, out);
  lua_pushlstring(L, out, 36);
  return 1;
}

/* The filter at argument 2; its texts are borrowed from the table. */
static int read_filter(lua_State *L, tk_task_filter *filter, tk_err *err) {
  memset(filter, 0, sizeof *filter);
  filter->status = -1;
  if (lua_isnoneornil(L, 2)) return 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  tk_slice status = tk_field_slice(L, 2, "status");
  if (status.data) {
    filter->status = tk_task_status_parse(status.data, status.size);
    if (filter->status < 0)
      return tk_err_set(err, TK_E_INVALID, "status: a task is never '%.*s'", (int)(status.size < 100 ? status.size : 100),
                        status.data);
  }
  filter->name = tk_field_slice(L, 2, "name");
  filter->ns = tk_field_slice(L, 2, "namespace");
  filter->tag = tk_field_slice(L, 2, "tag");
  filter->show_internal = tk_field_bool(L, 2, "internal");
  tk_slice parent = tk_field_slice(L, 2, "parent");
  filter->has_parent = parent.data != NULL;
  if (filter->has_parent && !tk_id_parse(parent.data, parent.size, &filter->parent))
    return tk_err_set(err, TK_E_INVALID, "parent: '%.*s' is no task's id", (int)(parent.size < 100 ? parent.size : 100), parent.data);
  filter->since_us = tk_field_us(L, 2, "since");
  filter->until_us = tk_field_us(L, 2, "until");
  filter->limit = (size_t)tk_field_integer(L, 2, "limit", 0);
  filter->cursor = (uint64_t)tk_field_integer(L, 2, "cursor", 0);
  filter->steps = tk_field_bool(L, 2, "steps");
  return 0;
}

static int engine_tasks(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_task_filter filter;
  uint64_t next = 0;
  if (read_filter(L, &filter, &err)) return tk_return_error(L, &err);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_tasks(engine, &filter, &state->buf, &next, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  if (!next) return 1;
  lua_pushinteger(L, (lua_Integer)next);
  return 2;
}

static int engine_count(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_task_filter filter;
  uint64_t count;
  if (read_filter(L, &filter, &err) || tk_view_count(engine, &filter, &count, &err)) return tk_return_error(L, &err);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* Bits of the kinds of event that a list of names means; 0: all. */
static uint64_t kinds_arg(lua_State *L, int arg) {
  uint64_t kinds = 0;
  if (lua_isnoneornil(L, arg)) return 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer count = luaL_len(L, arg);
  for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 1)) {
    lua_geti(L, arg, i);
    const char *name = lua_tostring(L, -1);
    uint8_t kind = 1;
    while (kind < TK_LOG_KIND_COUNT && !(name && strcmp(tk_log_kind_name(kind), name) == 0)) kind++;
    if (kind == TK_LOG_KIND_COUNT) luaL_argerror(L, arg, "there is no such event");
    kinds |= UINT64_C(1) << kind;
  }
  return kinds;
}

static int engine_events(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t kinds = kinds_arg(L, 5);
  lua_Integer after = luaL_optinteger(L, 2, 0), limit = luaL_optinteger(L, 4, 0);
  bool has_id = !lua_isnoneornil(L, 3);
  tk_id id;
  uint64_t last = 0;
  if (has_id && !tk_arg_id(L, 3, &id)) return no_such_id(L, 3);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_events(engine, kinds, after < 0 ? 0 : (uint64_t)after, has_id ? &id : NULL, limit < 0 ? 0 : (size_t)limit, &state->buf,
                     &last, &err))
    return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  lua_pushinteger(L, (lua_Integer)last);
  return 2;
}

static int engine_count_events(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t kinds = kinds_arg(L, 3), count;
  lua_Integer after = luaL_optinteger(L, 2, 0);
  if (tk_view_count_events(engine, kinds, after < 0 ? 0 : (uint64_t)after, &count, &err)) return tk_return_error(L, &err);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

static int engine_consumers(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_slice name;
  name.data = luaL_optlstring(L, 2, "", &name.size);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_consumers(engine, name, &state->buf, &err), state, &err);
}

static int engine_secrets(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_secrets(engine, &state->buf, &err), state, &err);
}

/* engine:secret(name) -> sealed, id of its key | nil, err */
static int engine_secret(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint8_t key_id[8];
  tk_slice name;
  name.data = luaL_checklstring(L, 2, &name.size);
  luaL_argcheck(L, name.size > 0 && name.size <= TK_LIMIT_STEP_NAME, 2, "a name expected");
  tk_state *state = tk_state_scratch(L);
  if (tk_view_secret(engine, name, key_id, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  lua_pushlstring(L, (const char *)key_id, sizeof key_id);
  return 2;
}

/* engine:incarnation() -> the name of this process among those that use the store | nil, err */
static int engine_incarnation(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint8_t bytes[16];
  char hex[2 * sizeof bytes + 1];
  if (tk_engine_incarnation(engine, bytes, &err)) return tk_return_error(L, &err);
  tk_hex(bytes, sizeof bytes, hex);
  lua_pushstring(L, hex);
  return 1;
}

/* engine:lives(incarnation) -> is there such a process still? */
static int engine_lives(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint8_t bytes[16];
  size_t size;
  const char *hex = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size == 2 * sizeof bytes && tk_unhex(hex, size, bytes), 2, "an incarnation expected");
  lua_pushboolean(L, tk_engine_lives(engine, bytes));
  return 1;
}

static int engine_handlers(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_handlers(engine, &state->buf, &err), state, &err);
}

static int engine_stats(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_stats(engine, &state->buf, &err), state, &err);
}

/* ---- For a running step ---- */

static int engine_context(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t task_no = (uint64_t)luaL_checkinteger(L, 2);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_context(engine, task_no, &state->buf, &err), state, &err);
}

static int engine_info(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t task_no = (uint64_t)luaL_checkinteger(L, 2);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_info(engine, task_no, &state->buf, &err), state, &err);
}

static int engine_annotations(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t task_no = (uint64_t)luaL_checkinteger(L, 2);
  tk_state *state = tk_state_scratch(L);
  return return_json(L, tk_view_annotations(engine, task_no, &state->buf, &err), state, &err);
}

static int engine_payload(lua_State *L) {
  static const char *const which[] = {"results", "error", "inputs", "progress", NULL};   /* in the order of TK_VIEW_RESULTS ... */
  ENGINE_OR_RETURN(L, engine);
  uint64_t task_no = (uint64_t)luaL_checkinteger(L, 2);
  lua_Integer step = luaL_checkinteger(L, 3);
  int choice = luaL_checkoption(L, 4, "results", which);
  luaL_argcheck(L, step >= 1 && step <= UINT32_MAX, 3, "the index of a step expected");
  tk_state *state = tk_state_scratch(L);
  bool present = false;
  int code = tk_view_step_payload(engine, task_no, (uint32_t)step - 1, choice, &present, &state->buf, &err);
  if (!code && !present) return 0;
  return return_json(L, code, state, &err);
}

/* engine:item(payload, ordinal): the element of a map's list, as JSON. */
static int engine_item(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint64_t payload = (uint64_t)luaL_checkinteger(L, 2);
  lua_Integer ordinal = luaL_checkinteger(L, 3);
  luaL_argcheck(L, ordinal >= 1 && ordinal <= UINT32_MAX, 3, "the number of an element expected");
  tk_state *state = tk_state_scratch(L);
  int code = tk_view_item(engine, payload, (uint32_t)(ordinal - 1) % TK_MAP_PAGE, &state->buf, &err);
  return return_json(L, code, state, &err);
}

/* ---- Definitions ---- */

/* A definition out of its snapshot: the texts are the state's scratch arena's. */
static void copy_definition(tk_arena *arena, const tk_definition *from, tk_definition *to) {
  *to = *from;
  to->ns = tk_arena_copy(arena, from->ns);
  to->name = tk_arena_copy(arena, from->name);
  to->version = tk_arena_copy(arena, from->version);
  to->json = tk_arena_copy(arena, from->json);
  to->graph = tk_slice_of(NULL, 0);
}

static void set_text(lua_State *L, const char *name, tk_slice text) {
  lua_pushlstring(L, text.size ? text.data : "", text.size);
  lua_setfield(L, -2, name);
}

static void push_stored(lua_State *L, const tk_definition *d) {
  static const uint8_t none[32];
  char hex[65];
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, d->number);
  lua_setfield(L, -2, "number");
  tk_hex(d->hash, 32, hex);
  set_text(L, "hash", tk_slice_of(hex, 64));
  set_text(L, "namespace", d->ns);
  set_text(L, "name", d->name);
  set_text(L, "version", d->version);
  set_text(L, "json", d->json);
  if (memcmp(d->source, none, 32) == 0) return;
  tk_hex(d->source, 32, hex);
  set_text(L, "source", tk_slice_of(hex, 64));
}

static int load_definition(tk_engine *engine, tk_arena *arena, uint32_t number, tk_definition *out, tk_err *err) {
  tk_snap *snap;
  tk_definition stored;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  code = tk_snap_definition(snap, number, &stored, err);
  if (!code) copy_definition(arena, &stored, out);
  tk_snap_close(snap);
  return code;
}

static int engine_definition(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  lua_Integer number = luaL_checkinteger(L, 2);
  tk_definition definition;
  tk_state *state = tk_state_scratch(L);
  if (load_definition(engine, &state->arena, (uint32_t)number, &definition, &err)) return tk_return_error(L, &err);
  push_stored(L, &definition);
  return 1;
}

static int engine_find_definition(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_slice ns, name, version;
  ns.data = luaL_checklstring(L, 2, &ns.size);
  name.data = luaL_checklstring(L, 3, &name.size);
  version.data = luaL_optlstring(L, 4, "", &version.size);
  tk_snap *snap;
  tk_definition definition;
  tk_state *state = tk_state_scratch(L);
  if (tk_snap_open(tk_engine_store(engine), &snap, &err)) return tk_return_error(L, &err);
  uint32_t number = tk_snap_find_definition(snap, ns, name, version);
  tk_snap_close(snap);
  if (!number) return 0;
  if (load_definition(engine, &state->arena, number, &definition, &err)) return tk_return_error(L, &err);
  push_stored(L, &definition);
  return 1;
}

typedef struct definition_list {
  tk_snap *snap;
  tk_arena *arena;
  TK_LIST(tk_definition) all;
} definition_list;

static bool collect_definition(void *context, const tk_definition *stored) {
  definition_list *list = context;
  tk_definition copy;
  copy_definition(list->arena, stored, &copy);
  tk_list_push(list->arena, &list->all, copy);
  return true;
}

static int engine_definitions(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_state *state = tk_state_scratch(L);
  definition_list list = {.arena = &state->arena};
  if (tk_snap_open(tk_engine_store(engine), &list.snap, &err)) return tk_return_error(L, &err);
  int code = tk_snap_each_definition(list.snap, collect_definition, &list, &err);
  bool *current = TK_ARENA_ARRAY(&state->arena, bool, list.all.count + 1);
  for (size_t i = 0; i < list.all.count; i++) {
    tk_definition *d = &list.all.items[i];
    current[i] = tk_snap_find_definition(list.snap, d->ns, d->name, d->version) == d->number;
  }
  tk_snap_close(list.snap);
  if (code) return tk_return_error(L, &err);
  lua_createtable(L, (int)list.all.count, 0);
  for (size_t i = 0; i < list.all.count; i++) {
    push_stored(L, &list.all.items[i]);
    lua_pushboolean(L, current[i]);
    lua_setfield(L, -2, "current");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int read_meta(tk_engine *engine, tk_meta *meta, tk_err *err) {
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  code = tk_snap_meta(snap, meta, err);
  tk_snap_close(snap);
  return code;
}

static int engine_generation(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_meta meta;
  if (read_meta(engine, &meta, &err)) return tk_return_error(L, &err);
  lua_pushinteger(L, (lua_Integer)meta.generation);
  return 1;
}

static int engine_last_seq(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  tk_meta meta;
  if (read_meta(engine, &meta, &err)) return tk_return_error(L, &err);
  lua_pushinteger(L, (lua_Integer)meta.last_seq);
  return 1;
}

static int engine_source(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  uint8_t hash[32];
  size_t size;
  const char *hex = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size == 64 && tk_unhex(hex, size, hash), 2, "a SHA-256 in hex expected");
  tk_state *state = tk_state_scratch(L);
  tk_snap *snap;
  tk_slice source;
  if (tk_snap_open(tk_engine_store(engine), &snap, &err)) return tk_return_error(L, &err);
  int code = tk_snap_source(snap, hash, &source, &err);
  if (!code) tk_buf_append(&state->buf, source.data, source.size);
  tk_snap_close(snap);
  return return_json(L, code, state, &err);
}

/* ---- Administration ---- */

typedef struct check_context {
  lua_State *L;
  bool raised;           /* a callback raised: its error is on top of the stack, nothing more is called */
} check_context;

static void call_back(check_context *context, int arg, int argument_count) {
  lua_State *L = context->L;
  lua_pushvalue(L, arg);
  lua_insert(L, -argument_count - 1);
  if (lua_pcall(L, argument_count, 0, 0) != LUA_OK) context->raised = true;
}

static int push_text(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

static void check_report(void *user, const char *what) {
  check_context *context = user;
  lua_State *L = context->L;
  if (context->raised || lua_isnoneornil(L, 2)) return;
  lua_pushcfunction(L, push_text);   /* in a protected call: the text may be more than the memory left */
  lua_pushlightuserdata(L, (void *)what);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) context->raised = true;
  else call_back(context, 2, 1);
}

static void check_progress(void *user, uint64_t done, uint64_t total) {
  check_context *context = user;
  if (context->raised || lua_isnoneornil(context->L, 3)) return;
  lua_pushinteger(context->L, (lua_Integer)done);
  lua_pushinteger(context->L, (lua_Integer)total);
  call_back(context, 3, 2);
}

static int engine_check(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  lua_settop(L, 3);
  check_context context = {L, false};
  int damages = tk_store_check(tk_engine_store(engine), check_report, check_progress, &context, &err);
  if (context.raised) return lua_error(L);
  if (damages < 0) return tk_return_error(L, &err);
  lua_pushinteger(L, damages);
  return 1;
}

static int engine_backup(lua_State *L) {
  ENGINE_OR_RETURN(L, engine);
  if (tk_store_backup(tk_engine_store(engine), luaL_checkstring(L, 2), &err)) return tk_return_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg tk_read_methods[] = {
  {"task", engine_task}, {"tree", engine_tree}, {"status", engine_status}, {"find_id", engine_find_id}, {"tasks", engine_tasks},
  {"count", engine_count}, {"events", engine_events}, {"count_events", engine_count_events}, {"consumers", engine_consumers},
  {"secrets", engine_secrets}, {"secret", engine_secret},
  {"incarnation", engine_incarnation}, {"lives", engine_lives},
  {"handlers", engine_handlers}, {"stats", engine_stats}, {"context", engine_context},
  {"info", engine_info}, {"annotations", engine_annotations}, {"payload", engine_payload}, {"item", engine_item},
  {"definition", engine_definition},
  {"find_definition", engine_find_definition}, {"definitions", engine_definitions}, {"generation", engine_generation},
  {"last_seq", engine_last_seq}, {"source", engine_source}, {"check", engine_check}, {"backup", engine_backup}, {NULL, NULL}};
