/* What people decide: engine:vote, and what they read before: engine:approvals, engine:task_definition. */
#include <lauxlib.h>

#include "base/hash.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"
#include "model/approval.h"

static tk_slice arena_field(lua_State *L, int t, const char *name, tk_arena *arena) {
  tk_slice value = tk_field_slice(L, t, name);
  return value.size ? tk_arena_copy(arena, value) : value;
}

static int push_true(lua_State *L, tk_request *request) {
  (void)request;
  lua_pushboolean(L, 1);
  return 1;
}

static int no_such_id(lua_State *L, tk_slice id) {
  tk_err err;
  tk_err_set(&err, TK_E_NOT_FOUND, "no task has the id '%.*s'", (int)(id.size < 200 ? id.size : 200), id.data ? id.data : "");
  return tk_return_error(L, &err);
}

/* engine:vote{id=, step=, by=, decision=, to=, details=, shown=} */
static int engine_vote(lua_State *L) {
  static const char *const decisions[] = {"approve", "reject", "changes", "delegate", NULL};   /* from TK_DECISION_APPROVE on */
  tk_err err;
  tk_engine *engine = tk_check_writer(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  int decision = tk_field_choice(L, 2, "decision", decisions, -1);
  if (decision < 0) return luaL_error(L, "'decision' is missing");
  if (!engine) return tk_return_error(L, &err);
  tk_box *box = tk_box_push(L, (void (*)(void *))tk_request_free);
  tk_request *request = box->ptr = tk_request_new(TK_REQ_EVENTS, 1);
  tk_event *event = &request->events[0];
  tk_slice id = tk_field_slice(L, 2, "id"), shown = tk_field_slice(L, 2, "shown");
  if (!tk_id_parse(id.data, id.size, &event->task_id)) return no_such_id(L, id);
  tk_vote *vote = TK_ARENA_NEW(&request->arena, tk_vote);
  uint8_t hash[TK_SHOWN_SIZE];
  event->type = TK_EV_VOTE;
  event->step = TK_NO_STEP;
  event->step_name = arena_field(L, 2, "step", &request->arena);
  event->vote = vote;
  vote->decision = (uint8_t)(TK_DECISION_APPROVE + decision);
  vote->by = arena_field(L, 2, "by", &request->arena);
  vote->to = arena_field(L, 2, "to", &request->arena);
  vote->details = arena_field(L, 2, "details", &request->arena);
  if (shown.size == 2 * TK_SHOWN_SIZE && tk_unhex(shown.data, shown.size, hash))
    vote->shown = tk_arena_copy(&request->arena, tk_slice_of(hash, sizeof hash));
  return tk_engine_await(L, engine, box, push_true);
}

/* engine:approvals{by=, namespace=, name=, id=, limit=} */
static int engine_approvals(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!engine) return tk_return_error(L, &err);
  tk_approval_filter filter = {.by = tk_field_slice(L, 2, "by"),
                               .ns = tk_field_slice(L, 2, "namespace"),
                               .name = tk_field_slice(L, 2, "name"),
                               .limit = (size_t)tk_field_integer(L, 2, "limit", 0)};
  tk_slice text = tk_field_slice(L, 2, "id");
  tk_id id;
  if (text.data && !tk_id_parse(text.data, text.size, &id)) return no_such_id(L, text);
  tk_state *state = tk_state_scratch(L);
  if (tk_view_approvals(engine, &filter, text.data ? &id : NULL, &state->buf, &err)) return tk_return_error(L, &err);
  tk_state_push_buf(L, state);
  return 1;
}

/* The number of the definition that a task runs by. */
static int engine_task_definition(lua_State *L) {
  tk_err err;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  tk_slice text;
  tk_id id;
  uint32_t definition;
  text.data = luaL_checklstring(L, 2, &text.size);
  if (!engine) return tk_return_error(L, &err);
  if (!tk_id_parse(text.data, text.size, &id)) return no_such_id(L, text);
  if (tk_view_definition_of(engine, &id, &definition, &err)) return tk_return_error(L, &err);
  lua_pushinteger(L, definition);
  return 1;
}

const luaL_Reg tk_approve_methods[] = {
    {"vote", engine_vote}, {"approvals", engine_approvals}, {"task_definition", engine_task_definition}, {NULL, NULL}};
