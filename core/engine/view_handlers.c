/* What the store knows of handlers, as JSON: their versions, and what still runs of each. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "engine/view_read.h"

typedef struct handler_list {
  tk_definition *items;           /* owns; their slices borrow from the snapshot */
  size_t count, capacity;
} handler_list;

static bool visit_definition(void *context, const tk_definition *definition) {
  handler_list *list = context;
  if (tk_slice_eq(definition->ns, tk_slice_str("tasker"))) return true;   /* ours: nobody submits to it */
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

/* ---- What still runs ---- */

typedef struct live_walk {
  tk_reading *reading;
  tk_map counts;                  /* definition number -> live tasks of it (as a pointer) */
  int64_t left;                   /* live tasks not met yet */
  tk_err *err;
  int code;
} live_walk;

static bool is_live(uint8_t status) {
  return status == TK_TASK_PENDING || status == TK_TASK_IN_PROGRESS || status == TK_TASK_PAUSED;
}

static bool visit_task(void *context, uint64_t task_no) {
  live_walk *walk = context;
  tk_task *task;
  tk_arena_reset(&walk->reading->arena);
  walk->code = tk_reading_task(walk->reading, task_no, &task, NULL, walk->err);
  if (walk->code) return false;
  if (!is_live(task->status)) return true;
  uintptr_t count = (uintptr_t)tk_map_get(&walk->counts, task->definition);
  tk_map_put(&walk->counts, task->definition, (void *)(count + 1));
  return --walk->left > 0;
}

/* From the newest task back until all that the store counts as live were met: they are mostly young. */
static int count_live(live_walk *walk) {
  tk_meta meta;
  int code = tk_snap_meta(walk->reading->snap, &meta, walk->err);
  for (uint8_t status = 0; !code && status < TK_TASK_STATUS_COUNT; status++)
    walk->left += is_live(status) ? meta.tasks_by_status[status] : 0;
  if (!code && walk->left) code = tk_snap_each_task(walk->reading->snap, 0, visit_task, walk, walk->err);
  return code ? code : walk->code;
}

/* Live tasks of the version; of these, such as have an older content of it. */
static void put_live(tk_json_writer *w, live_walk *walk, const handler_list *all, const tk_definition *definition) {
  int64_t live = 0, own = (int64_t)(uintptr_t)tk_map_get(&walk->counts, definition->number);
  for (size_t i = 0; i < all->count; i++) {
    const tk_definition *d = &all->items[i];
    bool same = tk_slice_eq(d->ns, definition->ns) && tk_slice_eq(d->name, definition->name) &&
                tk_slice_eq(d->version, definition->version);
    if (same) live += (int64_t)(uintptr_t)tk_map_get(&walk->counts, d->number);
  }
  tk_json_key(w, "live");
  tk_json_put_int(w, live);
  tk_json_key(w, "live_older");
  tk_json_put_int(w, live - own);
}

static int put_handler(live_walk *walk, tk_json_writer *w, const handler_list *all, const tk_definition *definition) {
  tk_reading *reading = walk->reading;
  tk_err *err = walk->err;
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
  put_live(w, walk, all, definition);
  tk_json_object_end(w);
  return 0;
}

int tk_view_handlers(tk_engine *engine, tk_buf *out, tk_err *err) {
  tk_reading reading;
  handler_list list = {0};
  live_walk walk = {.reading = &reading, .err = err};
  size_t start = out->size;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_each_definition(reading.snap, visit_definition, &list, err);
  if (!code) code = count_live(&walk);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    if (list.count) qsort(list.items, list.count, sizeof *list.items, compare_definitions);
    tk_json_array(&w);
    for (size_t i = 0; !code && i < list.count; i++) {
      tk_definition *d = &list.items[i];
      bool current = tk_snap_find_definition(reading.snap, d->ns, d->name, d->version) == d->number;
      if (current) code = put_handler(&walk, &w, &list, d);
    }
    tk_json_array_end(&w);
  }
  tk_free(list.items);
  tk_map_free(&walk.counts);
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}
