/* JSON text to Lua value. Everything lives on the Lua stack, since making strings and tables may raise when memory is short.
 *
 * DESIGN. Iterative. An open container is, on the Lua stack: an integer that holds the level around it (see pack), a slot for
 * its table, and the values (or keys and values) read so far. The table is made when it ends or PENDING_MAX values wait, with
 * room for just as many, so that small tables are never rehashed; later values go straight into it. */
#include <lauxlib.h>
#include <stdio.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "bind/json.h"

#define PENDING_MAX 64
#define UNESCAPE_INLINE 512

/* The innermost open container. */
typedef struct level {
  int slot;           /* of its table on the stack; 0: none is open */
  int pending;        /* values above the slot that are not in the table yet */
  uint32_t count;     /* elements in the table of an array */
  bool object;
  bool made;          /* the slot holds the table */
} level;

typedef struct decoder {
  lua_State *L;
  tk_json_scan scan;
  level top;
  int depth, max_depth;
  bool unmarked;
  char fault[64];
} decoder;

/* A level in an integer: slots are below 2^22 (LUAI_MAXSTACK is a million), counts below 2^31 (TK_JSON_SIZE), pending values
 * below 2^7. */
static lua_Integer pack(const level *l) {
  return (lua_Integer)l->slot | (lua_Integer)l->pending << 22 | (lua_Integer)l->count << 29 | (lua_Integer)l->object << 60 |
         (lua_Integer)l->made << 61;
}

static level unpack(lua_Integer packed) {
  return (level){(int)(packed & 0x3FFFFF), (int)(packed >> 22 & 0x7F), (uint32_t)(packed >> 29 & 0x7FFFFFFF),
                 packed >> 60 & 1, packed >> 61 & 1};
}

static bool fault(decoder *d, const char *what) {
  d->scan.fault = what;
  return false;
}

/* Puts what is pending into the table, in the order of the text (of equal keys the last counts), making it first. */
static void flush(decoder *d) {
  lua_State *L = d->L;
  level *l = &d->top;
  lua_createtable(L, l->object ? 0 : l->pending, l->object ? l->pending : 0);
  lua_replace(L, l->slot);
  l->made = true;
  if (l->object) {
    for (int i = 0; i < l->pending; i++) {
      lua_pushvalue(L, l->slot + 1 + 2 * i);
      lua_pushvalue(L, l->slot + 2 + 2 * i);
      lua_rawset(L, l->slot);
    }
    lua_settop(L, l->slot);
  } else {
    for (int i = l->pending; i > 0; i--) lua_rawseti(L, l->slot, i);
    l->count = (uint32_t)l->pending;
  }
  l->pending = 0;
}

/* A value is on top of the stack (in an object, above its key). */
static void take_value(decoder *d) {
  level *l = &d->top;
  if (!l->made) {
    if (++l->pending == PENDING_MAX) flush(d);
  } else if (l->object) {
    lua_rawset(d->L, l->slot);
  } else {
    lua_rawseti(d->L, l->slot, ++l->count);
  }
}

static bool open_level(decoder *d, bool object) {
  if (d->depth >= d->max_depth || !lua_checkstack(d->L, 2 * PENDING_MAX + LUA_MINSTACK)) {
    snprintf(d->fault, sizeof d->fault, "nested deeper than %d levels", d->depth);
    return fault(d, d->fault);
  }
  d->scan.at++;
  d->depth++;
  lua_pushinteger(d->L, pack(&d->top));
  lua_pushnil(d->L);
  d->top = (level){.slot = lua_gettop(d->L), .object = object};
  return true;
}

/* Leaves the finished table on top, where the level around it takes it as a value. */
static void close_level(decoder *d) {
  lua_State *L = d->L;
  bool empty = !d->top.made && d->top.pending == 0;
  if (!d->top.made) flush(d);
  if (!d->top.object) {
    tk_json_push_array_marker(L);
    lua_setmetatable(L, -2);
  } else if (empty && !d->unmarked) {
    tk_json_push_object_marker(L);
    lua_setmetatable(L, -2);
  }
  level around = unpack(lua_tointeger(L, -2));
  lua_replace(L, -2);
  d->top = around;
  d->depth--;
  d->scan.at++;
}

/* From the opening quote. */
static bool read_string(decoder *d) {
  bool escaped;
  const char *start = ++d->scan.at;
  if (!tk_json_scan_string(&d->scan, &escaped)) return false;
  tk_slice raw = tk_slice_of(start, (size_t)(d->scan.at - 1 - start));
  if (!escaped) {
    lua_pushlstring(d->L, raw.data, raw.size);
  } else if (raw.size <= UNESCAPE_INLINE) {
    char text[UNESCAPE_INLINE];
    lua_pushlstring(d->L, text, tk_json_unescape(raw, text));
  } else {
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(d->L, &buffer, raw.size);
    luaL_pushresultsize(&buffer, tk_json_unescape(raw, text));
  }
  return true;
}

static bool read_number(decoder *d) {
  tk_json_num num;
  if (!tk_json_scan_number(&d->scan, &num)) return false;
  if (num.is_integer) lua_pushinteger(d->L, num.integer);
  else lua_pushnumber(d->L, num.number);
  return true;
}

static bool read_key(decoder *d) {
  tk_json_scan *scan = &d->scan;
  tk_json_scan_space(scan);
  if (scan->at == scan->end || *scan->at != '"') return fault(d, "expected a key in double quotes");
  if (!read_string(d)) return false;
  tk_json_scan_space(scan);
  if (scan->at == scan->end || *scan->at != ':') return fault(d, "expected ':' behind the key");
  scan->at++;
  return true;
}

/* *open: a container began, and the first value in it comes next. */
static bool read_container(decoder *d, bool object, bool *open) {
  if (!open_level(d, object)) return false;
  tk_json_scan_space(&d->scan);
  if (d->scan.at < d->scan.end && *d->scan.at == (object ? '}' : ']')) {
    close_level(d);
    return true;
  }
  *open = true;
  return !object || read_key(d);
}

static bool read_value(decoder *d, bool *open) {
  tk_json_scan *scan = &d->scan;
  *open = false;
  tk_json_scan_space(scan);
  if (scan->at == scan->end) return fault(d, "expected a value");
  char first = *scan->at;
  switch (first) {
    case '"': return read_string(d);
    case '{': return read_container(d, true, open);
    case '[': return read_container(d, false, open);
    case 't':
    case 'f':
      lua_pushboolean(d->L, first == 't');
      return tk_json_scan_word(scan, first == 't' ? "true" : "false");
    case 'n':
      tk_json_push_null(d->L);
      return tk_json_scan_word(scan, "null");
    default:
      if (first == '-' || (first >= '0' && first <= '9')) return read_number(d);
      return fault(d, "expected a value");
  }
}

/* Behind a value: closes what ends here. *more: another value follows. */
static bool read_after(decoder *d, bool *more) {
  tk_json_scan *scan = &d->scan;
  *more = false;
  while (d->top.slot) {
    take_value(d);
    tk_json_scan_space(scan);
    char c = scan->at < scan->end ? *scan->at : '\0';
    if (c == ',') {
      scan->at++;
      *more = true;
      return !d->top.object || read_key(d);
    }
    if (c != (d->top.object ? '}' : ']')) return fault(d, d->top.object ? "expected ',' or '}'" : "expected ',' or ']'");
    close_level(d);
  }
  tk_json_scan_space(scan);
  return scan->at == scan->end || fault(d, "unexpected text behind the value");
}

int tk_json_decode(lua_State *L, tk_slice text, int max_depth, tk_err *err) {
  return tk_json_decode_by(L, text, &(tk_json_options){.max_depth = max_depth}, err);
}

int tk_json_decode_by(lua_State *L, tk_slice text, const tk_json_options *opt, tk_err *err) {
  if (!text.data) text.data = "";
  if (text.size > TK_JSON_SIZE) return tk_err_set(err, TK_E_INVALID, "JSON of more than %zu bytes", TK_JSON_SIZE);
  decoder d = {.L = L, .max_depth = opt->max_depth > 0 ? opt->max_depth : TK_JSON_DEPTH, .unmarked = opt->unmarked};
  d.scan = (tk_json_scan){text.data, text.data + text.size, ""};
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  bool ok = true, next = true;
  while (ok && next) {
    bool open;
    ok = read_value(&d, &open);
    if (ok && !open) ok = read_after(&d, &next);
  }
  if (ok) return 0;
  lua_settop(L, top);
  return tk_json_scan_error(&d.scan, text, err);
}
