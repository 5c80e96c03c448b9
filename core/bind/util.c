#include "bind/util.h"

#include <lauxlib.h>

#include "base/hash.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/state.h"
#include "bounds.h"
#include "model/changes.h"
#include "model/states.h"

static int core_sha256(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  uint8_t hash[32];
  char hex[65];
  tk_sha256(tk_slice_of(bytes, size), hash);
  tk_hex(hash, sizeof hash, hex);
  lua_pushlstring(L, hex, 64);
  return 1;
}

static int core_hmac_sha256(lua_State *L) {
  tk_slice key, text;
  uint8_t mac[32];
  key.data = luaL_checklstring(L, 1, &key.size);
  text.data = luaL_checklstring(L, 2, &text.size);
  tk_hmac_sha256(key, text, mac);
  lua_pushlstring(L, (const char *)mac, sizeof mac);
  return 1;
}

/* Whether two texts are the same, in a time that does not tell where they differ. */
static int core_same(lua_State *L) {
  size_t size, other_size;
  const char *text = luaL_checklstring(L, 1, &size), *other = luaL_checklstring(L, 2, &other_size);
  volatile uint8_t differs = size != other_size;
  for (size_t i = 0; i < size && size == other_size; i++) differs |= (uint8_t)(text[i] ^ other[i]);
  lua_pushboolean(L, !differs);
  return 1;
}

static int core_uuid(lua_State *L) {
  tk_state *state = tk_state_of(L);
  tk_id id = tk_id_next(&state->ids, tk_clock_now_us(&tk_clock_system), &state->rng);
  char text[37];
  tk_id_format(&id, text);
  lua_pushstring(L, text);
  return 1;
}

static int core_random(lua_State *L) {
  lua_pushnumber(L, tk_rng_unit(&tk_state_of(L)->rng));
  return 1;
}

/* core.random_bytes(count): for keys and what must not be guessed */
static int core_random_bytes(lua_State *L) {
  char bytes[256];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count > 0 && count <= (lua_Integer)sizeof bytes, 1, "1 to 256 bytes");
  tk_random_bytes(bytes, (size_t)count);
  lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tk_now_us(L) / 1e6);
  return 1;
}

static int core_monotonic(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tk_monotonic_us() / 1e6);
  return 1;
}

/* Names of all kinds of event, in the order of their numbers. */
static int core_event_names(lua_State *L) {
  lua_createtable(L, TK_LOG_KIND_COUNT, 0);
  for (uint8_t kind = 1; kind < TK_LOG_KIND_COUNT; kind++) {
    lua_pushstring(L, tk_log_kind_name(kind));
    lua_rawseti(L, -2, kind);
  }
  return 1;
}

static int core_time_format(lua_State *L) {
  char text[32];
  if (lua_isinteger(L, 1)) {
    lua_Integer seconds = lua_tointeger(L, 1);
    luaL_argcheck(L, seconds > -62200000000 && seconds < 253402300800, 1, "a time between the years 0 and 9999 expected");
    tk_time_format(seconds * 1000000, text);
  } else {
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds > -62200000000.0 && seconds < 253402300800.0, 1, "a time between the years 0 and 9999 expected");
    tk_time_format(tk_seconds_to_us(seconds), text);
  }
  lua_pushstring(L, text);
  return 1;
}

static int core_time_parse(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  int64_t time_us;
  if (!tk_time_parse(text, size, &time_us)) return 0;
  if (time_us % 1000000 == 0) lua_pushinteger(L, time_us / 1000000);
  else lua_pushnumber(L, (lua_Number)time_us / 1e6);
  return 1;
}

static void push_transitions(lua_State *L, const char *entity, const tk_transition *rows, size_t count, const char *(*name)(uint8_t)) {
  for (size_t i = 0; i < count; i++) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, entity);
    lua_setfield(L, -2, "entity");
    lua_pushstring(L, name(rows[i].from));
    lua_setfield(L, -2, "from");
    lua_pushstring(L, name(rows[i].to));
    lua_setfield(L, -2, "to");
    lua_pushstring(L, rows[i].on);
    lua_setfield(L, -2, "on");
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
}

static int core_states(lua_State *L) {
  lua_newtable(L);
  push_transitions(L, "task", tk_task_transitions, tk_task_transition_count, tk_task_status_name);
  push_transitions(L, "step", tk_step_transitions, tk_step_transition_count, tk_step_status_name);
  return 1;
}

/* In the order of TK_BACKOFF_* and TK_JITTER_*. */
static const char *const backoff_names[] = {"none", "fixed", "linear", "exponential", "fibonacci", "list", "custom", NULL};
static const char *const jitter_names[] = {"none", "full", "equal", "decorrelated", "fraction", NULL};

void tk_bind_read_retry(lua_State *L, int t, tk_arena *arena, tk_retry *out) {
  t = lua_absindex(L, t);
  memset(out, 0, sizeof *out);
  lua_Integer limit = tk_field_integer(L, t, "limit", tk_retry_default.limit);
  lua_Integer lost_limit = tk_field_integer(L, t, "lost_limit", TK_LOST_LIMIT);
  out->limit = limit < 1 ? 1 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
  out->lost_limit = lost_limit < 0 ? 0 : lost_limit > UINT32_MAX ? UINT32_MAX : (uint32_t)lost_limit;
  out->backoff = (uint8_t)tk_field_choice(L, t, "backoff", backoff_names, tk_retry_default.backoff);
  out->jitter = (uint8_t)tk_field_choice(L, t, "jitter", jitter_names, tk_retry_default.jitter);
  out->base = tk_field_number(L, t, "base", tk_retry_default.base);
  out->factor = tk_field_number(L, t, "factor", tk_retry_default.factor);
  out->cap = tk_field_number(L, t, "cap", tk_retry_default.cap);
  out->fraction = tk_field_number(L, t, "fraction", 0);
  if (lua_getfield(L, t, "list") == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    double *list = TK_ARENA_ARRAY(arena, double, count ? count : 1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      list[i - 1] = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
    out->list = list;
    out->list_count = (uint32_t)count;
  }
  lua_pop(L, 1);
}

static int core_retry_delay(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_Number previous = luaL_optnumber(L, 3, 0);
  luaL_argcheck(L, n >= 1 && n <= UINT32_MAX, 2, "a count from 1 on expected");
  tk_state *state = tk_state_scratch(L);
  tk_retry retry;
  tk_bind_read_retry(L, 1, &state->arena, &retry);
  lua_pushnumber(L, tk_retry_delay(&retry, (uint32_t)n, previous, &state->rng));
  return 1;
}

/* The next dot-separated identifier of *at, which goes behind it. */
static tk_slice next_identifier(const char **at, const char *end) {
  const char *from = *at, *to = from;
  while (to < end && *to != '.') to++;
  *at = to < end ? to + 1 : end;
  return tk_slice_of(from, (size_t)(to - from));
}

static bool is_numeric(tk_slice s) {
  for (size_t i = 0; i < s.size; i++)
    if (s.data[i] < '0' || s.data[i] > '9') return false;
  return s.size > 0;
}

static int compare_identifiers(tk_slice a, tk_slice b) {
  bool a_numeric = is_numeric(a), b_numeric = is_numeric(b);
  if (a_numeric != b_numeric) return a_numeric ? -1 : 1;
  if (a_numeric) {   /* as numbers of any length */
    while (a.size > 1 && *a.data == '0') a.data++, a.size--;
    while (b.size > 1 && *b.data == '0') b.data++, b.size--;
    if (a.size != b.size) return a.size < b.size ? -1 : 1;
  }
  size_t size = a.size < b.size ? a.size : b.size;
  int order = size ? memcmp(a.data, b.data, size) : 0;
  if (order) return order < 0 ? -1 : 1;
  return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

static int compare_dotted(tk_slice a, tk_slice b) {
  const char *a_at = a.data, *a_end = a.data + a.size, *b_at = b.data, *b_end = b.data + b.size;
  while (a_at < a_end && b_at < b_end) {
    tk_slice x = next_identifier(&a_at, a_end), y = next_identifier(&b_at, b_end);
    int order = compare_identifiers(x, y);
    if (order) return order;
  }
  return a_at < a_end ? 1 : b_at < b_end ? -1 : 0;
}

/* Splits "1.2.3-pre+build" into its core and its pre-release part; the build does not count. */
static void split_version(tk_slice text, tk_slice *core, tk_slice *pre) {
  const char *plus = memchr(text.data, '+', text.size);
  if (plus) text.size = (size_t)(plus - text.data);
  const char *dash = memchr(text.data, '-', text.size);
  *core = tk_slice_of(text.data, dash ? (size_t)(dash - text.data) : text.size);
  *pre = dash ? tk_slice_of(dash + 1, text.size - core->size - 1) : tk_slice_of(text.data, 0);
}

/* Precedence of semantic versions (semver.org 2.0.0, item 11). */
static int core_semver_compare(lua_State *L) {
  tk_slice a, b, a_core, b_core, a_pre, b_pre;
  a.data = luaL_checklstring(L, 1, &a.size);
  b.data = luaL_checklstring(L, 2, &b.size);
  split_version(a, &a_core, &a_pre);
  split_version(b, &b_core, &b_pre);
  int order = compare_dotted(a_core, b_core);
  if (!order && !a_pre.size != !b_pre.size) order = a_pre.size ? -1 : 1;
  if (!order) order = compare_dotted(a_pre, b_pre);
  lua_pushinteger(L, order);
  return 1;
}

void tk_bind_util(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"sha256", core_sha256}, {"hmac_sha256", core_hmac_sha256}, {"same", core_same}, {"uuid", core_uuid},
    {"random", core_random}, {"random_bytes", core_random_bytes}, {"now", core_now}, {"monotonic", core_monotonic},
    {"event_names", core_event_names}, {"time_format", core_time_format},
    {"time_parse", core_time_parse}, {"states", core_states}, {"retry_delay", core_retry_delay}, {"semver_compare", core_semver_compare},
    {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
