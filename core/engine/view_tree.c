/* A task and all below it, as JSON: what `tree` draws. */
#include <stdio.h>

#include "base/alloc.h"
#include "engine/view_read.h"

/* One walk, parents before their children. */
typedef struct walk {
  tk_reading *reading;
  tk_json_writer *w;
  tk_err *err;
  uint64_t tasks;
  uint64_t by_status[TK_TASK_STATUS_COUNT];
} walk;

static void put_str(tk_json_writer *w, const char *key, tk_slice value) {
  tk_json_key(w, key);
  tk_json_put_str(w, value);
}

static void put_time(tk_json_writer *w, const char *key, int64_t time_us) {
  tk_json_key(w, key);
  tk_json_put_time(w, time_us);
}

static void put_counts(tk_json_writer *w, const char *key, const uint64_t *counts, size_t count, const char *(*name)(uint8_t)) {
  tk_json_key(w, key);
  tk_json_object(w);
  for (size_t i = 0; i < count; i++) {
    if (!counts[i]) continue;
    tk_json_key(w, name((uint8_t)i));
    tk_json_put_int(w, (int64_t)counts[i]);
  }
  tk_json_object_end(w);
}

/* A child, and its parent's step: the name of the graph's, and which instance of it (0: none). */
typedef struct child { uint64_t task_no; tk_slice name; uint32_t ordinal; } child;

/* Leaves the object open. */
static int put_task(walk *walk, const child *child);

/* Counts the steps by status; its children in the order of their steps, the caller's to free. */
static int look_at_steps(walk *walk, tk_task *task, uint64_t counts[TK_STEP_STATUS_COUNT], child **children, size_t *child_count) {
  *children = tk_calloc(task->children + 1, sizeof **children);
  for (uint32_t i = 0; i < tk_task_count(task); i++) {
    const tk_step *step = tk_reading_step(task, i, walk->err);
    if (!step) return TK_E_CORRUPT;
    counts[step->status] += !tk_task_is_instance(task, i) || step->role;
    if (!step->child || *child_count == task->children) continue;
    (*children)[(*child_count)++] = (child){step->child, tk_task_template(task, i)->name, step->ordinal};
  }
  return 0;
}

static int put_below(walk *walk, tk_task *task) {
  uint64_t counts[TK_STEP_STATUS_COUNT] = {0};
  child *children;
  size_t count = 0;
  int code = look_at_steps(walk, task, counts, &children, &count);
  tk_arena_reset(&walk->reading->arena);   /* of the tasks above nothing is needed below; names are of graphs */
  put_counts(walk->w, "steps", counts, TK_STEP_STATUS_COUNT, tk_step_status_name);
  tk_json_key(walk->w, "children");
  tk_json_array(walk->w);
  for (size_t i = 0; i < count && !code; i++) {
    code = put_task(walk, &children[i]);
    tk_json_object_end(walk->w);
  }
  tk_json_array_end(walk->w);
  tk_free(children);
  return code;
}

static void put_step_name(tk_json_writer *w, const child *child) {
  char text[TK_STEP_NAME_ROOM];
  tk_json_key(w, "step");
  if (!child->name.data) {
    tk_json_put_null(w);
  } else if (!child->ordinal) {
    tk_json_put_str(w, child->name);
  } else {
    snprintf(text, sizeof text, "%.*s[%u]", (int)child->name.size, child->name.data, child->ordinal);
    tk_json_put_cstr(w, text);
  }
}

static int put_task(walk *walk, const child *child) {
  tk_task *task;
  tk_json_writer *w = walk->w;
  int code = tk_reading_task(walk->reading, child->task_no, &task, NULL, walk->err);
  if (code) return code;
  walk->tasks++;
  walk->by_status[task->status]++;
  tk_json_object(w);
  tk_json_key(w, "task_id");
  tk_reading_put_id(w, &task->id);
  put_str(w, "namespace", task->graph->ns);
  put_str(w, "name", task->graph->name);
  put_str(w, "version", task->graph->version);
  tk_json_key(w, "status");
  tk_json_put_cstr(w, tk_task_status_name(task->status));
  put_step_name(w, child);
  put_time(w, "created_at", task->created_at_us);
  put_time(w, "started_at", task->started_at_us);
  put_time(w, "completed_at", task->completed_at_us);
  return put_below(walk, task);
}

int tk_view_tree(tk_engine *engine, const tk_id *id, tk_buf *out, tk_err *err) {
  tk_reading reading;
  uint64_t task_no;
  size_t start = out->size;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task_no(&reading, id, &task_no, err);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    walk walk = {.reading = &reading, .w = &w, .err = err};
    code = put_task(&walk, &(child){.task_no = task_no});
    put_counts(&w, "tasks", walk.by_status, TK_TASK_STATUS_COUNT, tk_task_status_name);
    tk_json_object_end(&w);
  }
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}
