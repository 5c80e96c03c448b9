/* The log as JSON. An event as stored names its task by number and its step by index; their names are looked up here. */
#include "base/alloc.h"
#include "engine/view_read.h"

/* Neighbours in the log are mostly of the same few hundred tasks; the table is direct-mapped by task number: it cannot grow. */
#define SEEN_TASKS 1024

typedef struct seen_task {
  uint64_t task_no;               /* 0: free */
  bool migrated;                  /* its events are of several graphs */
  tk_id id;
  const tk_graph *graph;          /* borrows from the engine's cache */
} seen_task;

typedef struct log_walk {
  tk_reading reading;
  tk_err *err;
  int code;
  tk_json_writer w;
  size_t limit, count;            /* limit 0: none */
  uint64_t kinds;                 /* bits of the kinds wanted; 0: all */
  uint64_t last;
  seen_task *seen;
} log_walk;

static const seen_task *task_of(log_walk *walk, uint64_t task_no) {
  seen_task *seen = &walk->seen[task_no % SEEN_TASKS];
  if (seen->task_no == task_no) return seen;
  tk_task *task;
  tk_task_info info;
  tk_arena_reset(&walk->reading.arena);
  walk->code = tk_reading_task(&walk->reading, task_no, &task, &info, walk->err);
  if (walk->code) return NULL;
  *seen = (seen_task){task_no, task->migrations.size > 0, info.id, task->graph};
  return seen;
}

/* The name of an instance is in its record. */
static void put_instance(log_walk *walk, const tk_log_event *event) {
  tk_task *task;
  char room[TK_STEP_NAME_ROOM];
  tk_slice name = {NULL, 0};
  tk_arena_reset(&walk->reading.arena);
  walk->code = tk_reading_task(&walk->reading, event->task_no, &task, NULL, walk->err);
  if (!walk->code && event->step < tk_task_count(task) && tk_reading_step(task, event->step, walk->err))
    name = tk_task_step_name(task, event->step, room);
  tk_json_put_str(&walk->w, name);
}

/* The graph that the event's step index is of. */
static const tk_graph *graph_of(log_walk *walk, const seen_task *seen, const tk_log_event *event) {
  tk_task *task;
  if (!seen->migrated) return seen->graph;
  tk_arena_reset(&walk->reading.arena);
  walk->code = tk_reading_task(&walk->reading, event->task_no, &task, NULL, walk->err);
  if (walk->code) return NULL;
  uint32_t definition = tk_task_definition_at(task, event->record);
  return definition == task->definition ? task->graph : tk_engine_graph(walk->reading.engine, definition);
}

/* data is always an object; the error payload of a failure is its first member. */
static int put_data(log_walk *walk, const tk_log_event *event) {
  tk_json_writer *w = &walk->w;
  tk_json_key(w, "data");
  if (!event->payload) {
    tk_json_put_raw(w, event->data.size ? event->data : tk_slice_str("{}"));
    return 0;
  }
  tk_json_object(w);
  tk_json_key(w, "error");
  int code = tk_reading_put_payload(&walk->reading, w, event->payload, walk->err);
  if (event->data.size > 2) {
    tk_slice members = {event->data.data + 1, event->data.size - 2};
    tk_json_put_raw(w, members);
  }
  tk_json_object_end(w);
  return code;
}

static bool visit_event(void *context, const tk_log_event *event) {
  log_walk *walk = context;
  tk_json_writer *w = &walk->w;
  if (walk->kinds && !(walk->kinds >> event->kind & 1)) {
    walk->last = event->seq;
    return true;
  }
  bool of_task = !tk_log_of_no_task(event->kind);
  const seen_task *seen = of_task ? task_of(walk, event->task_no) : NULL;
  const tk_graph *graph = seen ? graph_of(walk, seen, event) : NULL;
  if (!graph && of_task) return false;
  tk_json_object(w);
  tk_json_key(w, "seq");
  tk_json_put_int(w, (int64_t)event->seq);
  tk_json_key(w, "at");
  tk_json_put_time(w, event->at_us);
  tk_json_key(w, "event");
  tk_json_put_cstr(w, tk_log_kind_name(event->kind));
  tk_json_key(w, "task_id");
  if (seen) tk_reading_put_id(w, &seen->id);
  else tk_json_put_null(w);
  tk_json_key(w, "step");
  if (!graph || event->step == TK_NO_STEP) tk_json_put_null(w);
  else if (event->step < graph->step_count) tk_json_put_str(w, graph->steps[event->step].name);
  else put_instance(walk, event);
  tk_json_key(w, "attempt");
  if (event->attempt) tk_json_put_int(w, event->attempt);
  else tk_json_put_null(w);
  walk->code = put_data(walk, event);
  tk_json_object_end(w);
  walk->last = event->seq;
  walk->count++;
  return walk->code == 0 && walk->count != walk->limit;
}

int tk_view_events(tk_engine *engine, uint64_t kinds, uint64_t after, const tk_id *task, size_t limit, tk_buf *out, uint64_t *last,
                   tk_err *err) {
  _Static_assert(TK_LOG_KIND_COUNT <= 64, "a bit for each kind");
  size_t start = out->size;
  log_walk walk = {.err = err, .w = tk_json_to(out), .limit = limit, .kinds = kinds, .last = after};
  uint64_t task_no = 0;
  int code = tk_reading_open(&walk.reading, engine, err);
  if (!code && task) code = tk_reading_task_no(&walk.reading, task, &task_no, err);
  if (!code) {
    walk.seen = tk_calloc(SEEN_TASKS, sizeof *walk.seen);
    tk_json_array(&walk.w);
    code = tk_snap_each_event(walk.reading.snap, after, task_no, visit_event, &walk, err);
    if (!code) code = walk.code;
    tk_json_array_end(&walk.w);
    tk_free(walk.seen);
  }
  tk_reading_close(&walk.reading);
  if (code) out->size = start;
  *last = code ? after : walk.last;
  return code;
}
