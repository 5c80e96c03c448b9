/* Limits and how much of each is used, for people. */
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/view_read.h"

typedef struct limit_list {
  tk_limit *items;                /* owns; their names borrow from the snapshot */
  size_t count, capacity;
} limit_list;

static bool visit_limit(void *context, const tk_limit *limit) {
  limit_list *list = context;
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? list->capacity * 2 : 16;
    list->items = tk_realloc(list->items, list->capacity * sizeof *list->items);
  }
  list->items[list->count++] = *limit;
  return true;
}

static int compare_limits(const void *a, const void *b) {
  tk_slice x = ((const tk_limit *)a)->name, y = ((const tk_limit *)b)->name;
  int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
  return order ? order : (x.size > y.size) - (x.size < y.size);
}

typedef struct usage {
  tk_json_writer *w;
  int64_t now_ns;
  size_t left;                    /* keys that may still be listed */
  uint64_t keys, running, waiting;
} usage;

static void put_int(tk_json_writer *w, const char *key, uint64_t value) {
  tk_json_key(w, key);
  tk_json_put_int(w, (int64_t)value);
}

static void put_key(tk_json_writer *w, const tk_meter *meter, int64_t now_ns) {
  tk_json_object(w);
  tk_json_key(w, "key");
  if (meter->key.size) tk_json_put_str(w, meter->key);
  else tk_json_put_null(w);
  put_int(w, "running", meter->holders);
  put_int(w, "waiting", meter->waiting);
  tk_json_key(w, "free_at");
  tk_json_put_time(w, meter->tat_ns > now_ns ? meter->tat_ns / 1000 : 0);
  tk_json_object_end(w);
}

static bool visit_meter(void *context, const tk_meter *meter) {
  usage *u = context;
  if (tk_meter_idle(meter, u->now_ns)) return true;
  u->keys++;
  u->running += meter->holders;
  u->waiting += meter->waiting;
  if (!u->left) return true;
  u->left--;
  put_key(u->w, meter, u->now_ns);
  return true;
}

static void put_rules(tk_json_writer *w, const tk_limit *limit) {
  const tk_limit_rules *rules = &limit->rules;
  tk_json_key(w, "name");
  tk_json_put_str(w, limit->name);
  tk_json_key(w, "rate");
  if (rules->rate > 0) tk_json_put_double(w, rules->rate);
  else tk_json_put_null(w);
  tk_json_key(w, "per");
  if (rules->rate > 0) tk_json_put_double(w, rules->per);
  else tk_json_put_null(w);
  tk_json_key(w, "burst");
  if (rules->rate > 0) tk_json_put_int(w, rules->burst);
  else tk_json_put_null(w);
  tk_json_key(w, "concurrency");
  if (rules->concurrency) tk_json_put_int(w, rules->concurrency);
  else tk_json_put_null(w);
}

static int put_limit(tk_reading *reading, tk_json_writer *w, const tk_limit *limit, size_t keys, tk_err *err) {
  usage u = {.w = w, .now_ns = tk_engine_now_us(reading->engine) * 1000, .left = keys};
  tk_json_object(w);
  put_rules(w, limit);
  if (keys) {
    tk_json_key(w, "keys");
    tk_json_array(w);
  }
  int code = tk_snap_each_meter(reading->snap, limit->no, visit_meter, &u, err);
  if (keys) tk_json_array_end(w);
  put_int(w, "keys_in_use", u.keys);
  put_int(w, "running", u.running);
  put_int(w, "waiting", u.waiting);
  tk_json_object_end(w);
  return code;
}

int tk_view_limits(tk_engine *engine, tk_slice name, size_t keys, tk_buf *out, tk_err *err) {
  tk_reading reading;
  limit_list list = {0};
  size_t start = out->size, put = 0;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_each_limit(reading.snap, visit_limit, &list, err);
  tk_json_writer w = tk_json_to(out);
  tk_json_array(&w);
  if (list.count) qsort(list.items, list.count, sizeof *list.items, compare_limits);
  for (size_t i = 0; !code && i < list.count; i++) {
    if (name.size && !tk_slice_eq(name, list.items[i].name)) continue;
    code = put_limit(&reading, &w, &list.items[i], keys, err);
    put++;
  }
  tk_json_array_end(&w);
  if (!code && name.size && !put)
    code = tk_err_set(err, TK_E_NOT_FOUND, "no limit '%.*s' is declared", (int)name.size, name.data);
  tk_free(list.items);
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}
