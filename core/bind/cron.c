#include "bind/cron.h"

#include <lauxlib.h>

#include "base/tzfile.h"
#include "bind/error.h"
#include "bind/state.h"
#include "model/recurrence.h"

static int64_t arg_us(lua_State *L, int arg) { return tk_seconds_to_us(luaL_checknumber(L, arg)); }

static tk_slice arg_slice(lua_State *L, int arg) {
  size_t size;
  const char *text = luaL_checklstring(L, arg, &size);
  return tk_slice_of(text, size);
}

/* Arguments 2, 5 and 6 of both functions: the zone, and the rules for gaps and overlaps. */
static int read_zone(lua_State *L, tk_recurrence *out, tk_err *err) {
  static const char *const gaps[] = {"shift", "skip", NULL}, *const overlaps[] = {"first", "last", "both", NULL};
  tk_slice bytes;
  out->dst = (tk_dst){(uint8_t)luaL_checkoption(L, 5, gaps[0], gaps), (uint8_t)luaL_checkoption(L, 6, overlaps[0], overlaps)};
  out->starts_us = INT64_MIN;
  out->ends_us = INT64_MAX;
  int code = tk_tzfile_read(arg_slice(L, 2), &bytes, err);
  return code ? code : tk_zone_decode(bytes, &out->zone, err);
}

/* Arguments 3 and 4: the times after the first, so many of them. */
static int push_next(lua_State *L, const tk_recurrence *recurrence) {
  int64_t at_us = arg_us(L, 3);
  lua_Integer count = luaL_checkinteger(L, 4);
  char text[32];
  lua_newtable(L);
  for (lua_Integer i = 1; i <= count && tk_recurrence_next(recurrence, at_us, &at_us); i++) {
    tk_time_format(at_us, text);
    lua_pushstring(L, text);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* cron_next(expression, zone, after, count, gap, overlap) */
static int cron_next(lua_State *L) {
  tk_recurrence recurrence = {.kind = TK_RECUR_CRON};
  tk_err err;
  if (tk_cron_parse(arg_slice(L, 1), &recurrence.as.cron, &err) || read_zone(L, &recurrence, &err))
    return tk_return_error(L, &err);
  return push_next(L, &recurrence);
}

/* rrule_next(text, zone, after, count, gap, overlap, starts) */
static int rrule_next(lua_State *L) {
  tk_recurrence recurrence = {.kind = TK_RECUR_RRULE};
  tk_err err;
  tk_slice text = arg_slice(L, 1);
  int64_t starts_us = arg_us(L, 7);
  tk_state *state = tk_state_scratch(L);
  if (read_zone(L, &recurrence, &err) ||
      tk_rrule_parse(text, starts_us, &recurrence.zone, &state->arena, &recurrence.as.rrule, &err))
    return tk_return_error(L, &err);
  return push_next(L, &recurrence);
}

/* zone_offset(zone, time): seconds that local time is ahead of UTC */
static int zone_offset(lua_State *L) {
  tk_slice bytes;
  tk_zone zone;
  tk_err err;
  int code = tk_tzfile_read(arg_slice(L, 1), &bytes, &err);
  int64_t at_us = arg_us(L, 2);
  if (!code) code = tk_zone_decode(bytes, &zone, &err);
  if (code) return tk_return_error(L, &err);
  lua_pushinteger(L, tk_zone_span_at(&zone, at_us / 1000000).offset);
  return 1;
}

int tk_bind_cron(lua_State *L) {
  static const luaL_Reg functions[] = {{"cron_next", cron_next}, {"rrule_next", rrule_next}, {"zone_offset", zone_offset}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
