/* Lua value to JSON text. Nothing here can raise: no string, table or userdata is made, and the Lua stack grows by
 * lua_checkstack, so the encoder may own C memory.
 *
 * DESIGN. Iterative: frame i of the open containers has its table at base + 2i on the Lua stack, the traversal's key above it,
 * and the value that is being written above that (which is the table of frame i + 1 when it is one). Arrays are written while
 * lua_next gives 1, 2, 3...; where it does not, the keys are counted and the rest is fetched by index. The fields of an object
 * are written as lua_next gives them, and put in order when it ends: their bytes are moved, not encoded again. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/utf8.h"
#include "bind/json.h"

#define INLINE_FRAMES 16
#define INLINE_FIELDS 48
#define INSERTION_MAX 16 /* fields sorted by insertion */
#define PATH_MAX_SIZE 400

typedef struct field {
  uint64_t prefix;  /* the first 8 bytes of the key, big endian: nearly always enough to compare */
  const char *key;  /* borrows until its table changes */
  size_t key_size;
  size_t at, end;   /* of indentation, key and value in the output */
} field;

typedef enum mode { OBJECT, ARRAY_IN_ORDER, ARRAY_BY_INDEX } mode;

typedef struct frame {
  const void *table;
  lua_Integer index;   /* arrays: of the element being written */
  lua_Integer count;   /* ARRAY_BY_INDEX */
  size_t first_field;  /* objects */
  mode mode;
  bool sorted;         /* objects: the fields so far came in order */
} frame;

typedef struct encoder {
  lua_State *L;
  tk_buf *out;
  tk_err *err;
  size_t start;        /* of our text in `out` */
  tk_json_options opt;
  const void *null_value, *array_marker;
  int base;            /* stack index of the value at the top */
  size_t depth, frame_capacity;
  size_t field_count, field_capacity;
  frame *frames;
  field *fields;
  frame inline_frames[INLINE_FRAMES];
  field inline_fields[INLINE_FIELDS];
} encoder;

static inline int slot_of(const encoder *e, size_t depth) { return e->base + 2 * (int)depth; }
static inline frame *top_frame(encoder *e) { return &e->frames[e->depth - 1]; }
static inline int top_slot(const encoder *e) { return slot_of(e, e->depth - 1); }

/* Twice the room of an array that begins inside the encoder. */
static void *grow(void *array, const void *inline_array, size_t *capacity, size_t item_size) {
  size_t size = *capacity * item_size;
  *capacity *= 2;
  if (array != inline_array) return tk_realloc(array, size * 2);
  void *moved = tk_malloc(size * 2);
  memcpy(moved, array, size);
  return moved;
}

/* -- refusing ---------------------------------------------------------------------------------------------------------- */

static bool is_identifier(tk_slice key) {
  for (size_t i = 0; i < key.size; i++) {
    char c = key.data[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return key.size > 0;
}

static void append_key(tk_buf *path, tk_slice key) {
  if (is_identifier(key)) {
    tk_buf_u8(path, '.');
    tk_buf_append(path, key.data, key.size);
  } else {
    tk_buf_u8(path, '[');
    tk_json_string(path, key);
    tk_buf_u8(path, ']');
  }
}

/* The place of the value being written, whose containers are the first `depth` frames: "$.items[3].x". */
static void append_path(encoder *e, size_t depth, tk_buf *path) {
  tk_buf_append_str(path, "$");
  for (size_t i = 0; i < depth; i++) {
    size_t before = path->size;
    if (e->frames[i].mode == OBJECT) {
      size_t size;
      const char *key = lua_tolstring(e->L, slot_of(e, i) + 1, &size);
      append_key(path, tk_slice_of(key, size));
    } else {
      tk_buf_printf(path, "[%lld]", (long long)e->frames[i].index);
    }
    if (path->size > PATH_MAX_SIZE) {
      path->size = before;
      tk_buf_append_str(path, "...");
      return;
    }
  }
}

static int refuse_at(encoder *e, size_t depth, const char *what) {
  tk_buf path = {0}, quoted = {0};
  append_path(e, depth, &path);
  tk_json_string(&quoted, tk_buf_slice(&path));
  tk_err_set(e->err, TK_E_INVALID, "at %.*s: %s", (int)path.size, path.data, what);
  tk_err_details(e->err, "{\"path\":%.*s}", (int)quoted.size, quoted.data);
  tk_buf_free(&path);
  tk_buf_free(&quoted);
  return TK_E_INVALID;
}

static int refuse(encoder *e, const char *what) { return refuse_at(e, e->depth, what); }

static int refuse_type(encoder *e, const char *type) {
  char what[64];
  snprintf(what, sizeof what, "a %s cannot be JSON", type);
  return refuse(e, what);
}

static int refuse_size(encoder *e) {
  char what[64];
  snprintf(what, sizeof what, "larger than %zu bytes", e->opt.max_size);
  return refuse(e, what);
}

static int refuse_utf8(encoder *e, const char *what, tk_slice text, size_t depth) {
  char sentence[96];
  snprintf(sentence, sizeof sentence, "%s with invalid UTF-8 at its byte %zu", what,
           tk_utf8_invalid_at(text.data, text.size) + 1);
  return refuse_at(e, depth, sentence);
}

/* -- the order of fields ----------------------------------------------------------------------------------------------- */

static inline uint64_t prefix_of(tk_slice key) {
  if (key.size >= 8) return tk_get_u64be(key.data);
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; i++) prefix = prefix << 8 | (i < key.size ? (unsigned char)key.data[i] : 0);
  return prefix;
}

static int compare_bytes(const field *a, const field *b) {
  if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
  size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
  int order = memcmp(a->key, b->key, size);
  return order ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

/* By UTF-16 code units, as RFC 8785 wants: like UTF-8's bytes, but for U+E000..U+FFFF (first byte EE or EF), which stand behind
 * the surrogates of what UTF-8 begins with F0..F4. */
static int compare_utf16(const field *a, const field *b) {
  size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
  for (size_t i = 0; i < size; i++) {
    unsigned char x = (unsigned char)a->key[i], y = (unsigned char)b->key[i];
    if (x == y) continue;
    if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return x < y ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static int compare_fields(const encoder *e, const field *a, const field *b) {
  return e->opt.canonical ? compare_utf16(a, b) : compare_bytes(a, b);
}

static int compare_bytes_void(const void *a, const void *b) { return compare_bytes(a, b); }
static int compare_utf16_void(const void *a, const void *b) { return compare_utf16(a, b); }

static void sort_fields(const encoder *e, field *fields, size_t count) {
  if (count > INSERTION_MAX) {
    qsort(fields, count, sizeof *fields, e->opt.canonical ? compare_utf16_void : compare_bytes_void);
    return;
  }
  for (size_t i = 1; i < count; i++) {
    field moving = fields[i];
    size_t j = i;
    for (; j > 0 && compare_fields(e, &moving, &fields[j - 1]) < 0; j--) fields[j] = fields[j - 1];
    fields[j] = moving;
  }
}

/* The fields fill the output's end, each followed by a comma but for the last: the same bytes in another order. */
static void reorder_fields(encoder *e, field *fields, size_t count) {
  size_t at = fields[0].at, size = e->out->size - at;
  char *copy = tk_buf_reserve(e->out, size);
  char *to = e->out->data + at;
  memcpy(copy, to, size);
  sort_fields(e, fields, count);
  for (size_t i = 0; i < count; i++) {
    size_t field_size = fields[i].end - fields[i].at;
    if (i > 0) *to++ = ',';
    memcpy(to, copy + (fields[i].at - at), field_size);
    to += field_size;
  }
}

/* -- containers -------------------------------------------------------------------------------------------------------- */

static void put_indent(encoder *e, size_t depth) {
  if (!e->opt.indent) return;
  size_t width = depth * (size_t)e->opt.indent;
  char *at = tk_buf_reserve(e->out, width + 1);
  *at = '\n';
  memset(at + 1, ' ', width);
  e->out->size += width + 1;
}

static bool has_marker(encoder *e, int slot) {
  if (!e->array_marker || !lua_getmetatable(e->L, slot)) return false;
  bool marked = lua_topointer(e->L, -1) == e->array_marker;
  lua_pop(e->L, 1);
  return marked;
}

/* Writes the key at the top frame's traversal, which has just come to it; the value lies above it. */
static int begin_field(encoder *e) {
  lua_State *L = e->L;
  frame *f = top_frame(e);
  size_t size;
  if (lua_type(L, -2) != LUA_TSTRING) {
    if (lua_isinteger(L, -2)) return refuse_at(e, e->depth - 1, "a table with both string keys and integer keys");
    char what[64];
    snprintf(what, sizeof what, "a key that is a %s", luaL_typename(L, -2));
    return refuse_at(e, e->depth - 1, what);
  }
  const char *key = lua_tolstring(L, -2, &size);
  if (e->field_count == e->field_capacity)
    e->fields = grow(e->fields, e->inline_fields, &e->field_capacity, sizeof *e->fields);
  field *now = &e->fields[e->field_count++];
  if (e->field_count - 1 > f->first_field) {
    now[-1].end = e->out->size;
    tk_buf_u8(e->out, ',');
  }
  *now = (field){prefix_of(tk_slice_of(key, size)), key, size, e->out->size, 0};
  if (f->sorted && e->field_count - 1 > f->first_field) f->sorted = compare_fields(e, now - 1, now) < 0;
  put_indent(e, e->depth);
  if (tk_json_string_strict(e->out, tk_slice_of(key, size)) != size)
    return refuse_utf8(e, "a key", tk_slice_of(key, size), e->depth - 1);
  tk_buf_append(e->out, ": ", e->opt.indent ? 2 : 1);
  return 0;
}

/* An array whose keys do not come in order: all must be in 1..count nevertheless. */
static int count_elements(encoder *e) {
  lua_State *L = e->L;
  frame *f = top_frame(e);
  lua_Integer count = 0, highest = 0;
  size_t depth = e->depth - 1;
  lua_settop(L, top_slot(e));
  for (lua_pushnil(L); lua_next(L, top_slot(e)); lua_pop(L, 1), count++) {
    if (lua_type(L, -2) == LUA_TSTRING) return refuse_at(e, depth, "a table with both string keys and integer keys");
    lua_Integer index = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (index < 1) return refuse_at(e, depth, "a key that is neither a string nor in 1..n");
    if (index > highest) highest = index;
  }
  if (highest > count) {
    char what[96];
    lua_Integer hole = 1;
    while (lua_rawgeti(L, top_slot(e), hole) != LUA_TNIL) lua_pop(L, 1), hole++;
    snprintf(what, sizeof what, "a table with holes: [%lld] is nil and [%lld] is not", (long long)hole, (long long)highest);
    return refuse_at(e, depth, what);
  }
  lua_settop(L, top_slot(e) + 1);
  f->mode = ARRAY_BY_INDEX;
  f->count = count;
  lua_rawgeti(L, top_slot(e), f->index);
  return 0;
}

static int begin_element(encoder *e) {
  frame *f = top_frame(e);
  if (f->index > 1) tk_buf_u8(e->out, ',');
  put_indent(e, e->depth);
  if (f->mode == ARRAY_BY_INDEX || (lua_isinteger(e->L, -2) && lua_tointeger(e->L, -2) == f->index)) return 0;
  return count_elements(e);
}

static int begin_item(encoder *e) {
  if (top_frame(e)->mode == OBJECT) return begin_field(e);
  top_frame(e)->index++;
  return begin_element(e);
}

static int check_nesting(encoder *e, const void *table) {
  for (size_t i = 0; i < e->depth; i++)
    if (e->frames[i].table == table) {
      tk_buf what = {0};
      tk_buf_append_str(&what, "a cycle: the table is the one at ");
      append_path(e, i, &what);
      tk_buf_u8(&what, 0);
      refuse(e, what.data);
      tk_buf_free(&what);
      return TK_E_INVALID;
    }
  if (e->depth < (size_t)e->opt.max_depth && lua_checkstack(e->L, LUA_MINSTACK)) return 0;
  char what[64];
  snprintf(what, sizeof what, "nested deeper than %zu levels", e->depth);
  return refuse(e, what);
}

/* The table on top of the stack: writes it when it is empty, else begins it and its first item; *open says which. */
static int open_table(encoder *e, bool *open) {
  lua_State *L = e->L;
  const void *table = lua_topointer(L, -1);
  int slot = slot_of(e, e->depth);
  if (check_nesting(e, table) != 0) return TK_E_INVALID;
  bool marked = has_marker(e, slot);
  lua_pushnil(L);
  *open = lua_next(L, slot) != 0;
  if (!*open) {
    tk_buf_append(e->out, marked || (e->opt.list_expected && e->depth == 0) ? "[]" : "{}", 2);
    return 0;
  }
  bool array = lua_isinteger(L, -2);
  if (marked && !array) return refuse(e, "an array with a key that is no integer");
  if (e->depth == e->frame_capacity)
    e->frames = grow(e->frames, e->inline_frames, &e->frame_capacity, sizeof *e->frames);
  e->frames[e->depth++] = (frame){table, 0, 0, e->field_count, array ? ARRAY_IN_ORDER : OBJECT, true};
  tk_buf_u8(e->out, array ? '[' : '{');
  return begin_item(e);
}

/* Goes on to the next item of the top frame; *more is false when there is none. */
static int next_item(encoder *e, bool *more) {
  frame *f = top_frame(e);
  if (f->mode == ARRAY_BY_INDEX) {
    *more = f->index < f->count;
    if (*more) lua_rawgeti(e->L, top_slot(e), f->index + 1);
  } else {
    *more = lua_next(e->L, top_slot(e)) != 0;
  }
  return *more ? begin_item(e) : 0;
}

/* Ends the top frame; its table is then the value that was written. */
static void close_table(encoder *e) {
  frame *f = top_frame(e);
  lua_settop(e->L, top_slot(e));
  if (f->mode == OBJECT) {
    e->fields[e->field_count - 1].end = e->out->size;
    if (!f->sorted) reorder_fields(e, e->fields + f->first_field, e->field_count - f->first_field);
    e->field_count = f->first_field;
  }
  e->depth--;
  put_indent(e, e->depth);
  tk_buf_u8(e->out, f->mode == OBJECT ? '}' : ']');
}

/* -- values ------------------------------------------------------------------------------------------------------------ */

static int put_number(encoder *e) {
  lua_State *L = e->L;
  char *at = tk_buf_reserve(e->out, 32);
  if (lua_isinteger(L, -1)) {
    e->out->size += tk_json_integer(lua_tointeger(L, -1), at);
    return 0;
  }
  double value = lua_tonumber(L, -1);
  if (!isfinite(value)) return refuse(e, isnan(value) ? "NaN cannot be JSON" : "an infinite number cannot be JSON");
  e->out->size += tk_json_number(value, e->opt.canonical, at);
  return 0;
}

static int put_string(encoder *e) {
  size_t size;
  const char *text = lua_tolstring(e->L, -1, &size);
  if (size > e->opt.max_size) return refuse_size(e);
  if (tk_json_string_strict(e->out, tk_slice_of(text, size)) == size) return 0;
  return refuse_utf8(e, "a string", tk_slice_of(text, size), e->depth);
}

static int put_scalar(encoder *e, int type) {
  switch (type) {
    case LUA_TSTRING: return put_string(e);
    case LUA_TNUMBER: return put_number(e);
    case LUA_TBOOLEAN:
      tk_buf_append_str(e->out, lua_toboolean(e->L, -1) ? "true" : "false");
      return 0;
    case LUA_TNIL: /* at the top only */
      tk_buf_append_str(e->out, "null");
      return 0;
    case LUA_TUSERDATA:
      if (lua_touserdata(e->L, -1) != e->null_value) return refuse_type(e, "userdata");
      tk_buf_append_str(e->out, "null");
      return 0;
    default: return refuse_type(e, lua_typename(e->L, type));
  }
}

/* The value on top of the stack, which is at slot base, and all in it. */
static int put_value(encoder *e) {
  for (;;) {
    bool more = false;
    int type = lua_type(e->L, -1);
    int rc = type == LUA_TTABLE ? open_table(e, &more) : put_scalar(e, type);
    while (rc == 0 && !more && e->depth > 0) { /* a value was written: on to the next one */
      lua_pop(e->L, 1);
      rc = next_item(e, &more);
      if (rc == 0 && !more) close_table(e);
    }
    if (rc != 0) return rc;
    if (e->out->size - e->start > e->opt.max_size) return refuse_size(e);
    if (!more) return 0;
  }
}

int tk_json_encode(lua_State *L, int idx, tk_buf *out, const tk_json_options *opt, tk_err *err) {
  encoder e;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, LUA_MINSTACK)) return tk_err_set(err, TK_E_INVALID, "at $: the Lua stack is full");
  e.L = L;
  e.out = out;
  e.err = err;
  e.start = out->size;
  e.opt = opt ? *opt : (tk_json_options){0};
  if (e.opt.max_depth <= 0) e.opt.max_depth = TK_JSON_DEPTH;
  if (e.opt.max_size == 0) e.opt.max_size = TK_JSON_SIZE;
  e.null_value = tk_json_null_value(L);
  e.array_marker = tk_json_array_marker(L);
  e.base = top + 1;
  e.depth = e.field_count = 0;
  e.frames = e.inline_frames;
  e.frame_capacity = INLINE_FRAMES;
  e.fields = e.inline_fields;
  e.field_capacity = INLINE_FIELDS;
  lua_pushvalue(L, idx);
  int rc = put_value(&e);
  if (rc != 0) out->size = e.start;
  if (e.frames != e.inline_frames) tk_free(e.frames);
  if (e.fields != e.inline_fields) tk_free(e.fields);
  lua_settop(L, top);
  return rc;
}
