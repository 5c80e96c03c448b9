#include "bind/definition.h"

#include <lauxlib.h>

#include "base/hash.h"
#include "base/alloc.h"
#include "bind/error.h"
#include "bind/state.h"
#include "bind/util.h"
#include "bounds.h"

#define DEFINITION_TYPE "tasker.definition"

static int definition_gc(lua_State *L) {
  tk_bound_definition *d = lua_touserdata(L, 1);
  if (d->graph) tk_graph_free(d->graph);
  tk_buf_free(&d->graph_bytes);
  tk_free(d->json);
  memset(d, 0, sizeof *d);
  return 0;
}

tk_bound_definition *tk_check_definition(lua_State *L, int arg) { return luaL_checkudata(L, arg, DEFINITION_TYPE); }

static int definition_hash(lua_State *L) {
  char hex[65];
  tk_hex(tk_check_definition(L, 1)->hash, 32, hex);
  lua_pushlstring(L, hex, 64);
  return 1;
}

static int definition_tostring(lua_State *L) {
  const tk_graph *graph = tk_check_definition(L, 1)->graph;
  lua_pushlstring(L, graph->ns.data, graph->ns.size);
  lua_pushliteral(L, "/");
  lua_pushlstring(L, graph->name.data, graph->name.size);
  lua_pushliteral(L, "@");
  lua_pushlstring(L, graph->version.data, graph->version.size);
  lua_concat(L, 5);
  return 1;
}

/* definition:number(engine) is engine:define(definition). */
static int definition_number(lua_State *L) {
  tk_check_definition(L, 1);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_getfield(L, 2, "define");
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 2);
  return 2;
}

static tk_bound_definition *push_definition(lua_State *L) {
  tk_bound_definition *d = lua_newuserdatauv(L, sizeof *d, 0);
  memset(d, 0, sizeof *d);
  if (luaL_newmetatable(L, DEFINITION_TYPE)) {
    static const luaL_Reg methods[] = {{"hash", definition_hash}, {"number", definition_number}, {NULL, NULL}};
    lua_pushcfunction(L, definition_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, definition_tostring);
    lua_setfield(L, -2, "__tostring");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  return d;
}

static tk_slice arena_field(lua_State *L, int t, const char *name, tk_arena *arena) {
  return tk_arena_copy(arena, tk_field_slice(L, t, name));
}

/* Indexes of steps in field `name` of the table at `t`: 1-based there in any order, ascending 0-based here. */
static const uint32_t *read_indexes(lua_State *L, int t, const char *name, tk_arena *arena, uint32_t *count) {
  uint32_t *list = NULL;
  *count = 0;
  if (lua_getfield(L, t, name) == LUA_TTABLE) {
    lua_Integer size = luaL_len(L, -1);
    list = TK_ARENA_ARRAY(arena, uint32_t, size ? size : 1);
    for (lua_Integer i = 1; i <= size; i++) {
      lua_rawgeti(L, -1, i);
      lua_Integer index = lua_tointeger(L, -1) - 1;
      lua_pop(L, 1);
      uint32_t at = (*count)++;
      while (at > 0 && list[at - 1] > (uint32_t)index) list[at] = list[at - 1], at--;
      list[at] = (uint32_t)index;
    }
  }
  lua_pop(L, 1);
  return list;
}

/* cases = { { name =, steps = {index, ...} }, ... } */
static void read_cases(lua_State *L, int t, tk_arena *arena, tk_graph_step *step) {
  if (lua_getfield(L, t, "cases") == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    tk_graph_case *cases = TK_ARENA_ARRAY(arena, tk_graph_case, count ? count : 1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      cases[i - 1].name = arena_field(L, lua_gettop(L), "name", arena);
      cases[i - 1].steps = read_indexes(L, lua_gettop(L), "steps", arena, &cases[i - 1].count);
      lua_pop(L, 1);
    }
    step->cases = cases;
    step->case_count = (uint32_t)count;
  }
  lua_pop(L, 1);
}

static void read_kind(lua_State *L, int t, tk_arena *arena, tk_graph_step *step) {
  static const char *const kinds[] = {"run", "sleep", "signal", "switch", "approval", "child", "pass", NULL};
  static const char *const joins[] = {"all", "count", "all_done", NULL};
  static const char *const on_child_error[] = {"fail", "ignore", "retry", NULL};
  static const uint32_t child_flags[] = {0, TK_GRAPH_CHILD_IGNORES, TK_GRAPH_CHILD_RETRIES};
  step->kind = (uint8_t)tk_field_choice(L, t, "kind", kinds, TK_KIND_RUN);
  step->join = (uint8_t)tk_field_choice(L, t, "join", joins, TK_JOIN_ALL);
  step->join_count = (uint32_t)tk_field_integer(L, t, "join_count", 0);
  step->signal = arena_field(L, t, "signal", arena);
  step->child = arena_field(L, t, "child", arena);
  step->flags |= child_flags[tk_field_choice(L, t, "on_child_error", on_child_error, 0)];
  if (tk_field_bool(L, t, "timeout_completes")) step->flags |= TK_GRAPH_TIMEOUT_COMPLETES;
  if (tk_field_bool(L, t, "timeout_rejects")) step->flags |= TK_GRAPH_TIMEOUT_REJECTS;
  if (tk_field_bool(L, t, "notifies")) step->flags |= TK_GRAPH_NOTIFIES;
  if (tk_field_bool(L, t, "reject_completes")) step->flags |= TK_GRAPH_REJECT_COMPLETES;
  if (lua_getfield(L, t, "sleep") == LUA_TNUMBER) step->sleep_us = tk_field_us(L, t, "sleep");
  else step->sleep_us = -1;
  lua_pop(L, 1);
  read_cases(L, t, arena, step);
  step->after = (uint32_t)tk_field_integer(L, t, "after", 0);
  if (tk_field_bool(L, t, "final")) step->flags |= TK_GRAPH_FINAL;
  if (tk_field_bool(L, t, "final_error")) step->flags |= TK_GRAPH_FINAL_ERROR;
  if (tk_field_bool(L, t, "history")) step->flags |= TK_GRAPH_HISTORY;
  if (!tk_field_bool(L, t, "map")) return;
  step->flags |= TK_GRAPH_MAP;
  step->map_parallel = (uint32_t)tk_field_integer(L, t, "map_parallel", 0);
  step->map_failures = tk_field_number(L, t, "map_failures", 0);
}

/* limits = { { name =, cost =, keyed = }, ... } */
static void read_limits(lua_State *L, int t, tk_arena *arena, tk_graph_step *step) {
  if (lua_getfield(L, t, "limits") == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    tk_graph_limit *list = TK_ARENA_ARRAY(arena, tk_graph_limit, count ? count : 1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      int one = lua_gettop(L);
      list[i - 1].name = arena_field(L, one, "name", arena);
      list[i - 1].cost = (uint32_t)tk_field_integer(L, one, "cost", 1);
      list[i - 1].keyed = tk_field_bool(L, one, "keyed");
      lua_pop(L, 1);
    }
    step->limits = list;
    step->limit_count = (uint32_t)count;
  }
  lua_pop(L, 1);
}

static void read_step(lua_State *L, int t, tk_arena *arena, tk_graph_step *step) {
  step->name = arena_field(L, t, "name", arena);
  step->queue = arena_field(L, t, "queue", arena);
  step->timeout_us = tk_field_us(L, t, "timeout");
  step->heartbeat_timeout_us = tk_field_us(L, t, "heartbeat_timeout");
  if (tk_field_bool(L, t, "skippable")) step->flags |= TK_GRAPH_SKIPPABLE;
  if (tk_field_bool(L, t, "retryable")) step->flags |= TK_GRAPH_RETRYABLE;
  if (tk_field_bool(L, t, "continue")) step->flags |= TK_GRAPH_CONTINUE;
  if (tk_field_bool(L, t, "ask")) step->flags |= TK_GRAPH_ASK;
  if (tk_field_bool(L, t, "compensates")) step->flags |= TK_GRAPH_COMPENSATES;
  if (tk_field_bool(L, t, "compensate_started")) step->flags |= TK_GRAPH_COMPENSATE_STARTED;
  step->deps = read_indexes(L, t, "deps", arena, &step->dep_count);
  read_kind(L, t, arena, step);
  read_limits(L, t, arena, step);
  if (lua_getfield(L, t, "retry") == LUA_TTABLE) tk_bind_read_retry(L, -1, arena, &step->retry);
  else step->retry = tk_retry_default;
  lua_pop(L, 1);
}

static void read_graph(lua_State *L, int t, tk_arena *arena, tk_graph *graph) {
  memset(graph, 0, sizeof *graph);
  graph->ns = arena_field(L, t, "namespace", arena);
  graph->name = arena_field(L, t, "name", arena);
  graph->version = arena_field(L, t, "version", arena);
  graph->queue = arena_field(L, t, "queue", arena);
  if (!graph->queue.size) graph->queue = tk_slice_str("default");
  graph->priority = (int32_t)tk_field_integer(L, t, "priority", 0);
  graph->max_parallel = (uint32_t)tk_field_integer(L, t, "max_parallel", 0);
  graph->timeout_us = tk_field_us(L, t, "timeout");
  graph->initial = (uint32_t)tk_field_integer(L, t, "initial", 0);
  lua_getfield(L, t, "steps");
  luaL_checktype(L, -1, LUA_TTABLE);
  lua_Integer count = luaL_len(L, -1);
  if (count < 1 || count > TK_LIMIT_STEPS) luaL_error(L, "a handler has 1 to %d steps", TK_LIMIT_STEPS);
  graph->step_count = (uint32_t)count;
  graph->steps = TK_ARENA_ARRAY(arena, tk_graph_step, count);
  int steps = lua_absindex(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, steps, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_step(L, lua_absindex(L, -1), arena, &graph->steps[i - 1]);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void hash_content(tk_bound_definition *d, tk_buf *scratch) {
  tk_buf_clear(scratch);
  tk_buf_bytes(scratch, tk_buf_slice(&d->graph_bytes));
  tk_buf_bytes(scratch, tk_slice_of(d->json, d->json_size));
  tk_buf_append(scratch, d->source, sizeof d->source);
  tk_sha256(tk_buf_slice(scratch), d->hash);
}

int tk_bind_definition(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  tk_bound_definition *d = push_definition(L);
  tk_state *state = tk_state_scratch(L);
  tk_graph graph;
  read_graph(L, 1, &state->arena, &graph);
  tk_slice json = tk_field_slice(L, 1, "json"), source = tk_field_slice(L, 1, "source");
  if (source.size && (source.size != 64 || !tk_unhex(source.data, source.size, d->source)))
    return luaL_error(L, "'source' must be a SHA-256 in hex");
  d->has_source = source.size > 0;
  d->json = tk_memdup(json.size ? json.data : "{}", json.size ? json.size : 2);
  d->json_size = json.size ? json.size : 2;
  tk_err err;
  if (tk_graph_build(&graph, &d->graph, &err)) return tk_return_error(L, &err);
  tk_graph_encode(d->graph, &d->graph_bytes);
  hash_content(d, &state->buf);
  return 1;
}

void tk_definition_of(const tk_bound_definition *d, int64_t now_us, tk_definition *out) {
  memset(out, 0, sizeof *out);
  memcpy(out->hash, d->hash, sizeof out->hash);
  memcpy(out->source, d->source, sizeof out->source);
  out->ns = d->graph->ns;
  out->name = d->graph->name;
  out->version = d->graph->version;
  out->graph = tk_buf_slice(&d->graph_bytes);
  out->json = tk_slice_of(d->json, d->json_size);
  out->created_at_us = now_us;
}
