/* Numbers about a whole store. */
#include "base/alloc.h"
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
