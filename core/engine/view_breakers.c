/* Breakers, for people and for those who are about to call. */
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/view_read.h"

typedef struct breaker_list {
  tk_breaker *items;              /* owns; their texts borrow from the snapshot */
  size_t count, capacity;
} breaker_list;

static bool visit(void *context, const tk_breaker *breaker) {
  breaker_list *list = context;
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? list->capacity * 2 : 16;
    list->items = tk_realloc(list->items, list->capacity * sizeof *list->items);
  }
  list->items[list->count++] = *breaker;
  return true;
}

static int compare(const void *a, const void *b) {
  tk_slice x = ((const tk_breaker *)a)->name, y = ((const tk_breaker *)b)->name;
  int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
  return order ? order : (x.size > y.size) - (x.size < y.size);
}

static void put_breaker(tk_json_writer *w, const tk_breaker *breaker) {
  tk_json_object(w);
  tk_json_key(w, "name");
  tk_json_put_str(w, breaker->name);
  tk_json_key(w, "state");
  tk_json_put_cstr(w, tk_breaker_state_name(breaker->state));
  tk_json_key(w, "failures");
  tk_json_put_int(w, breaker->failures);
  tk_json_key(w, "opens_after");
  tk_json_put_int(w, breaker->most);
  tk_json_key(w, "reset");
  tk_json_put_double(w, (double)breaker->reset_us / 1e6);
  tk_json_key(w, "since");
  tk_json_put_time(w, breaker->since_us);
  tk_json_key(w, "retry_at");
  tk_json_put_time(w, breaker->until_us);
  tk_json_key(w, "why");
  if (breaker->why.size) tk_json_put_str(w, breaker->why);
  else tk_json_put_null(w);
  tk_json_object_end(w);
}

int tk_view_breakers(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err) {
  tk_reading reading;
  breaker_list list = {0};
  size_t start = out->size, put = 0;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_each_breaker(reading.snap, visit, &list, err);
  tk_json_writer w = tk_json_to(out);
  tk_json_array(&w);
  if (list.count) qsort(list.items, list.count, sizeof *list.items, compare);
  for (size_t i = 0; !code && i < list.count; i++) {
    if (name.size && !tk_slice_eq(name, list.items[i].name)) continue;
    put_breaker(&w, &list.items[i]);
    put++;
  }
  tk_json_array_end(&w);
  if (!code && name.size && !put) code = tk_err_set(err, TK_E_NOT_FOUND, "no breaker '%.*s'", (int)name.size, name.data);
  tk_free(list.items);
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}

int tk_view_breaker(tk_engine *engine, tk_slice name, tk_breaker *out, tk_err *err) {
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  code = tk_snap_breaker(snap, name, out, err);
  out->name = out->why = (tk_slice){NULL, 0};
  tk_snap_close(snap);
  return code;
}
