/* Numbers about a whole store, and the handlers that it knows. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/view_read.h"

#define DEFAULT_QUEUE "default"

typedef struct queue_depth {
  uint32_t queue;
  uint64_t ready;
  int64_t oldest_us;
} queue_depth;

typedef struct depths {
  queue_depth *items;             /* owns; in the order of their first ready entry, which is by queue number */
  size_t count, capacity;
} depths;

static queue_depth *depth_of(depths *depths, uint32_t queue) {
  for (size_t i = depths->count; i > 0; i--)
    if (depths->items[i - 1].queue == queue) return &depths->items[i - 1];
  if (depths->count == depths->capacity) {
    depths->capacity = depths->capacity ? depths->capacity * 2 : 16;
    depths->items = tk_realloc(depths->items, depths->capacity * sizeof *depths->items);
  }
  queue_depth *depth = &depths->items[depths->count++];
  *depth = (queue_depth){.queue = queue};
  return depth;
}

static bool visit_ready(void *context, const tk_ready *ready) {
  queue_depth *depth = depth_of(context, ready->queue);
  if (depth->ready == 0 || ready->ready_at_us < depth->oldest_us) depth->oldest_us = ready->ready_at_us;
  depth->ready++;
  return true;
}

static void put_depth(tk_json_writer *w, tk_slice name, uint64_t ready, int64_t oldest_us) {
  tk_reading_put_key(w, name);
  tk_json_object(w);
  tk_json_key(w, "ready");
  tk_json_put_int(w, (int64_t)ready);
  tk_json_key(w, "oldest_ready_at");
  tk_json_put_time(w, oldest_us);
  tk_json_object_end(w);
}

static int put_queues(tk_reading *reading, tk_json_writer *w, tk_err *err) {
  depths depths = {0};
  tk_slice standard = tk_slice_str(DEFAULT_QUEUE);
  bool has_default = false;
  int code = tk_snap_each_ready(reading->snap, visit_ready, &depths, err);
  tk_json_key(w, "queues");
  tk_json_object(w);
  for (size_t i = 0; !code && i < depths.count; i++) {
    tk_slice name = tk_snap_name(reading->snap, depths.items[i].queue);
    has_default |= tk_slice_eq(name, standard);
    put_depth(w, name, depths.items[i].ready, depths.items[i].oldest_us);
  }
  if (!has_default) put_depth(w, standard, 0, 0);
  tk_json_object_end(w);
  tk_free(depths.items);
  return code;
}

static void put_count(tk_json_writer *w, const char *key, uint64_t count) {
  tk_json_key(w, key);
  tk_json_put_int(w, (int64_t)count);
}

static void put_statuses(tk_json_writer *w, const char *key, const int64_t *counts, uint8_t size, const char *(*name)(uint8_t)) {
  tk_json_key(w, key);
  tk_json_object(w);
  for (uint8_t s = 0; s < size; s++) put_count(w, name(s), (uint64_t)counts[s]);
  tk_json_object_end(w);
}

static int put_store(tk_engine *engine, tk_json_writer *w, tk_err *err) {
  tk_store_stats stats;
  int code = tk_store_stats_of(tk_engine_store(engine), &stats, err);
  if (code) return code;
  tk_json_key(w, "store");
  tk_json_object(w);
  put_count(w, "bytes", stats.bytes);
  put_count(w, "used_bytes", stats.used_bytes);
  put_count(w, "free_bytes", stats.free_bytes);
  put_count(w, "map_bytes", stats.map_bytes);
  put_count(w, "readers", stats.readers);
  tk_json_object_end(w);
  return 0;
}

int tk_view_stats(tk_engine *engine, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_meta meta;
  size_t start = out->size;
  tk_json_writer w = tk_json_to(out);
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_meta(reading.snap, &meta, err);
  if (!code) {
    tk_json_object(&w);
    put_statuses(&w, "tasks", meta.tasks_by_status, TK_TASK_STATUS_COUNT, tk_task_status_name);
    put_statuses(&w, "steps", meta.steps_by_status, TK_STEP_STATUS_COUNT, tk_step_status_name);
    code = put_queues(&reading, &w, err);
  }
  tk_reading_close(&reading);
  if (!code) code = put_store(engine, &w, err);
  if (code) {
    out->size = start;
    return code;
  }
  tk_json_key(&w, "events");
  tk_json_object(&w);
  put_count(&w, "last_seq", meta.last_seq);
  tk_json_object_end(&w);
  tk_json_object_end(&w);
  return 0;
}

/* ---- Handlers ---- */

typedef struct handler_list {
  tk_definition *items;           /* owns; their slices borrow from the snapshot */
  size_t count, capacity;
} handler_list;

static bool visit_definition(void *context, const tk_definition *definition) {
  handler_list *list = context;
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? list->capacity * 2 : 32;
    list->items = tk_realloc(list->items, list->capacity * sizeof *list->items);
  }
  list->items[list->count++] = *definition;
  return true;
}

static int compare_text(tk_slice a, tk_slice b) {
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
  return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* By namespace, name, then in the order they were defined. */
static int compare_definitions(const void *a, const void *b) {
  const tk_definition *x = a, *y = b;
  int order = compare_text(x->ns, y->ns);
  if (!order) order = compare_text(x->name, y->name);
  return order ? order : (x->number > y->number) - (x->number < y->number);
}

static bool has_source(const tk_definition *definition) {
  static const uint8_t none[32];
  return memcmp(definition->source, none, sizeof none) != 0;
}

static void put_text(tk_json_writer *w, const char *key, tk_slice text) {
  tk_json_key(w, key);
  tk_json_put_str(w, text);
}

static int put_handler(tk_reading *reading, tk_json_writer *w, const tk_definition *definition, tk_err *err) {
  const tk_graph *graph = tk_engine_graph(reading->engine, definition->number);
  if (!graph)
    return tk_err_set(err, TK_E_CORRUPT, "the definition number %u, of %.*s/%.*s, cannot be read; `check` tells more",
                      definition->number, (int)definition->ns.size, definition->ns.data, (int)definition->name.size,
                      definition->name.data);
  char hash[65];
  tk_hex(definition->hash, sizeof definition->hash, hash);
  uint32_t latest = tk_snap_find_definition(reading->snap, definition->ns, definition->name, (tk_slice){0});
  tk_json_object(w);
  put_text(w, "namespace", definition->ns);
  put_text(w, "name", definition->name);
  put_text(w, "version", definition->version);
  tk_json_key(w, "latest");
  tk_json_put_bool(w, latest == definition->number);
  tk_json_key(w, "steps");
  tk_json_array(w);
  for (uint32_t i = 0; i < graph->step_count; i++) tk_json_put_str(w, graph->steps[i].name);
  tk_json_array_end(w);
  put_text(w, "hash", tk_slice_str(hash));
  tk_json_key(w, "created_at");
  tk_json_put_time(w, definition->created_at_us);
  tk_json_key(w, "source");
  tk_json_put_bool(w, has_source(definition));
  tk_json_object_end(w);
  return 0;
}

int tk_view_handlers(tk_engine *engine, tk_buf *out, tk_err *err) {
  tk_reading reading;
  handler_list list = {0};
  size_t start = out->size;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_each_definition(reading.snap, visit_definition, &list, err);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    if (list.count) qsort(list.items, list.count, sizeof *list.items, compare_definitions);
    tk_json_array(&w);
    for (size_t i = 0; !code && i < list.count; i++) {
      tk_definition *d = &list.items[i];
      bool current = tk_snap_find_definition(reading.snap, d->ns, d->name, d->version) == d->number;
      if (current) code = put_handler(&reading, &w, d, err);
    }
    tk_json_array_end(&w);
  }
  tk_free(list.items);
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}
