#include "bind/schema_program.h"

#include <lauxlib.h>

#include "bind/json.h"
#include "bind/regex.h"
#include "bind/schema_check.h"
#include "bind/state.h"

#define PROGRAM_TYPE "tasker.schema_program"
#define TEXT_KEEP ((size_t)64 * 1024)

/* The list of nodes is at 1, the program at 2, the table that holds its matchers at 3; the node that is read is at 4. */
enum { NODES = 1, PROGRAM = 2, HELD = 3, NODE = 4 };

static tk_slice copy_string(lua_State *L, tk_arena *arena, int idx) {
  size_t size;
  const char *text = luaL_checklstring(L, idx, &size);
  tk_slice copy = tk_arena_copy(arena, tk_slice_of(text, size));
  if (!copy.data) copy.data = ""; /* a free place of the table has no data */
  return copy;
}

static int32_t check_index(lua_State *L, const tk_schema_program *p, lua_Integer index) {
  luaL_argcheck(L, index >= 1 && index <= p->count, NODES, "an index of no node");
  return (int32_t)(index - 1);
}

static int32_t field_schema(lua_State *L, const tk_schema_program *p, const char *name) {
  lua_Integer index = tk_field_integer(L, NODE, name, 0);
  return index == 0 ? TK_SCHEMA_NONE : check_index(L, p, index);
}

static uint32_t field_count(lua_State *L, const char *name, uint32_t fallback) {
  lua_Integer count = tk_field_integer(L, NODE, name, -1);
  if (count < 0) return fallback;
  return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static void read_list(lua_State *L, tk_schema_program *p, const char *name, tk_schema_list *list) {
  if (lua_getfield(L, NODE, name) == LUA_TTABLE) {
    list->count = (uint32_t)lua_rawlen(L, -1);
    list->schemas = TK_ARENA_ARRAY(&p->arena, int32_t, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
      lua_rawgeti(L, -1, i + 1);
      list->schemas[i] = check_index(L, p, luaL_checkinteger(L, -1));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static long double number_at(lua_State *L, int idx) {
  return lua_isinteger(L, idx) ? (long double)lua_tointeger(L, idx) : (long double)luaL_checknumber(L, idx);
}

static void read_bound(lua_State *L, const char *name, bool exclusive, bool least, tk_schema_bound *bound) {
  if (lua_getfield(L, NODE, name) != LUA_TNIL) {
    long double value = number_at(L, -1);
    bool tighter = !bound->set || (least ? value > bound->value : value < bound->value) || (exclusive && value == bound->value);
    if (tighter) *bound = (tk_schema_bound){true, exclusive, value};
  }
  lua_pop(L, 1);
}

static void read_value(lua_State *L, tk_schema_program *p, tk_schema_value *value) {
  switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
      value->type = TK_SCHEMA_BOOLEAN;
      value->boolean = lua_toboolean(L, -1);
      return;
    case LUA_TNUMBER:
      value->type = TK_SCHEMA_NUMBER;
      value->number = number_at(L, -1);
      return;
    case LUA_TSTRING:
      value->type = TK_SCHEMA_STRING;
      value->text = copy_string(L, &p->arena, -1);
      return;
    default: value->type = TK_SCHEMA_NULL; return;
  }
}

static void read_values(lua_State *L, tk_schema_program *p, tk_schema_node *node) {
  if (lua_getfield(L, NODE, "values") == LUA_TTABLE) {
    node->value_count = (uint32_t)lua_rawlen(L, -1);
    node->values = TK_ARENA_ARRAY(&p->arena, tk_schema_value, node->value_count + 1);
    for (uint32_t i = 0; i < node->value_count; i++) {
      lua_rawgeti(L, -1, i + 1);
      read_value(L, p, &node->values[i]);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* The matcher on top of the stack, held by the program from now on; popped. */
static void *hold_matcher(lua_State *L) {
  void *matcher = tk_regex_check(L, -1);
  lua_rawseti(L, HELD, (lua_Integer)lua_rawlen(L, HELD) + 1);
  return matcher;
}

static void add_property(tk_schema_node *node, tk_schema_property property) {
  uint32_t i = tk_schema_hash(property.name) & node->property_mask;
  while (node->properties[i].name.data) i = (i + 1) & node->property_mask;
  node->properties[i] = property;
}

/* names: {name, schema or 0, is required}, … */
static void read_names(lua_State *L, tk_schema_program *p, tk_schema_node *node) {
  if (lua_getfield(L, NODE, "names") == LUA_TTABLE) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    uint32_t size = 4;
    int32_t bit = 0;
    while (size < 2 * count) size *= 2;
    node->property_mask = size - 1;
    node->properties = TK_ARENA_ARRAY(&p->arena, tk_schema_property, size);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      lua_rawgeti(L, -1, 1);
      lua_rawgeti(L, -2, 2);
      lua_rawgeti(L, -3, 3);
      lua_Integer schema = luaL_checkinteger(L, -2);
      tk_schema_property property = {copy_string(L, &p->arena, -3), schema ? check_index(L, p, schema) : TK_SCHEMA_NONE, -1};
      if (lua_toboolean(L, -1)) {
        luaL_argcheck(L, bit < 64, NODES, "too many required names");
        node->required |= UINT64_C(1) << bit;
        property.required = bit++;
      }
      add_property(node, property);
      lua_pop(L, 4);
    }
  }
  lua_pop(L, 1);
}

/* patterns: {matcher, schema}, … */
static void read_patterns(lua_State *L, tk_schema_program *p, tk_schema_node *node) {
  if (lua_getfield(L, NODE, "patterns") == LUA_TTABLE) {
    node->pattern_count = (uint32_t)lua_rawlen(L, -1);
    node->patterns = TK_ARENA_ARRAY(&p->arena, tk_schema_pattern, node->pattern_count);
    for (uint32_t i = 0; i < node->pattern_count; i++) {
      lua_rawgeti(L, -1, i + 1);
      lua_rawgeti(L, -1, 2);
      node->patterns[i].schema = check_index(L, p, luaL_checkinteger(L, -1));
      lua_rawgeti(L, -2, 1);
      node->patterns[i].matcher = hold_matcher(L);
      lua_pop(L, 2);
    }
  }
  lua_pop(L, 1);
}

static void read_node(lua_State *L, tk_schema_program *p, tk_schema_node *node) {
  node->never = tk_field_bool(L, NODE, "never");
  node->types = (uint8_t)tk_field_integer(L, NODE, "types", 0);
  node->needs_elements = tk_field_bool(L, NODE, "needs_elements");
  node->unique = tk_field_bool(L, NODE, "unique");
  node->multiple_of = tk_field_integer(L, NODE, "multiple_of", 0);
  node->length_min = field_count(L, "length_min", 0);
  node->length_max = field_count(L, "length_max", UINT32_MAX);
  node->items_min = field_count(L, "items_min", 0);
  node->items_max = field_count(L, "items_max", UINT32_MAX);
  node->properties_min = field_count(L, "properties_min", 0);
  node->properties_max = field_count(L, "properties_max", UINT32_MAX);
  node->additional = field_schema(L, p, "additional");
  node->items = field_schema(L, p, "items");
  node->negated = field_schema(L, p, "negated");
  node->condition = field_schema(L, p, "condition");
  node->then = field_schema(L, p, "yes");
  node->otherwise = field_schema(L, p, "no");
  read_bound(L, "minimum", false, true, &node->least);
  read_bound(L, "exclusive_minimum", true, true, &node->least);
  read_bound(L, "maximum", false, false, &node->most);
  read_bound(L, "exclusive_maximum", true, false, &node->most);
  read_list(L, p, "prefix", &node->prefix);
  read_list(L, p, "all", &node->all);
  read_list(L, p, "any", &node->any);
  read_list(L, p, "one", &node->one);
  read_values(L, p, node);
  read_names(L, p, node);
  read_patterns(L, p, node);
  if (lua_getfield(L, NODE, "matcher") != LUA_TNIL) node->matcher = hold_matcher(L);
  else lua_pop(L, 1);
}

static tk_schema_program *check_program(lua_State *L) { return luaL_checkudata(L, 1, PROGRAM_TYPE); }

static int program_gc(lua_State *L) {
  tk_schema_program *p = check_program(L);
  tk_arena_free(&p->arena);
  tk_buf_free(&p->document);
  return 0;
}

static int program_accepts_text(lua_State *L) {
  tk_schema_program *p = check_program(L);
  tk_slice text;
  text.data = luaL_checklstring(L, 2, &text.size);
  lua_pushboolean(L, tk_schema_check(p, text));
  return 1;
}

static int program_accepts(lua_State *L) {
  tk_schema_program *p = check_program(L);
  tk_state *state = tk_state_scratch(L);
  tk_err err;
  luaL_checkany(L, 2);
  bool ok = tk_json_encode(L, 2, &state->buf, NULL, &err) == 0 && tk_schema_check(p, tk_buf_slice(&state->buf));
  if (state->buf.capacity > TEXT_KEEP) tk_buf_free(&state->buf);
  lua_pushboolean(L, ok);
  return 1;
}

static void push_program_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"accepts_text", program_accepts_text}, {"accepts", program_accepts}, {NULL, NULL}};
  if (!luaL_newmetatable(L, PROGRAM_TYPE)) return;
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, program_gc);
  lua_setfield(L, -2, "__gc");
}

int tk_bind_schema_program(lua_State *L) {
  luaL_checktype(L, NODES, LUA_TTABLE);
  lua_settop(L, NODES);
  lua_Integer count = (lua_Integer)lua_rawlen(L, NODES);
  luaL_argcheck(L, count > 0 && count < INT32_MAX, NODES, "no nodes");
  tk_schema_program *p = lua_newuserdatauv(L, sizeof *p, 1);
  *p = (tk_schema_program){0};
  push_program_type(L);
  lua_setmetatable(L, PROGRAM);
  lua_newtable(L);
  lua_pushvalue(L, HELD);
  lua_setiuservalue(L, PROGRAM, 1);
  p->count = (uint32_t)count;
  p->nodes = TK_ARENA_ARRAY(&p->arena, tk_schema_node, count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, NODES, i);
    read_node(L, p, &p->nodes[i - 1]);
    lua_settop(L, HELD);
  }
  lua_settop(L, PROGRAM);
  return 1;
}
