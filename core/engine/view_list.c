/* Lists and counts of tasks. A filter is judged in two steps: by the small header, and only then by the cold record (tags), which
 * is read for the tasks that are still in. */
#include "base/json_scan.h"
#include "engine/view_read.h"

#define TASKS_PAGE_DEFAULT 100
#define INTERNAL_NAMESPACE "tasker"

static bool empty_or_eq(tk_slice wanted, tk_slice is) { return wanted.size == 0 || tk_slice_eq(wanted, is); }

static bool hides_internal(const tk_task_filter *filter) { return !filter->show_internal && filter->ns.size == 0; }

static bool header_matches(const tk_task_filter *filter, uint64_t parent, const tk_task *task) {
  if (filter->has_parent && task->parent != parent) return false;
  if (filter->status >= 0 && task->status != filter->status) return false;
  if (filter->since_us && task->created_at_us < filter->since_us) return false;
  if (filter->until_us && task->created_at_us >= filter->until_us) return false;
  if (!empty_or_eq(filter->name, task->graph->name) || !empty_or_eq(filter->ns, task->graph->ns)) return false;
  return !hides_internal(filter) || !tk_slice_eq(task->graph->ns, tk_slice_str(INTERNAL_NAMESPACE));
}

/* Whether the JSON array of strings `tags` has `tag`. The text was checked when it was submitted. */
static bool has_tag(tk_arena *arena, tk_slice tags, tk_slice tag) {
  tk_json_scan scan = {tags.data, tags.data + tags.size, NULL};
  while (scan.at < scan.end) {
    if (*scan.at++ != '"') continue;
    tk_slice raw = {scan.at, 0};
    bool escaped;
    if (!tk_json_scan_string(&scan, &escaped)) return false;
    raw.size = (size_t)(scan.at - raw.data) - 1;
    if (escaped) {
      char *plain = tk_arena_alloc(arena, raw.size);
      raw = tk_slice_of(plain, tk_json_unescape(raw, plain));
    }
    if (tk_slice_eq(raw, tag)) return true;
  }
  return false;
}

/* A walk over the tasks, newest first. */
typedef struct walk {
  tk_reading reading;
  const tk_task_filter *filter;
  tk_err *err;
  int code;
  uint64_t count;                 /* matches so far */
  uint64_t parent;                /* number of the filter's parent */
  /* Of a page. */
  tk_json_writer w;
  uint64_t last, next;            /* number of the last task given; set to it when another one matches */
} walk;

/* Reads a task and judges it; the cold record is there too when `info` is given and the result is true. */
static bool matches(walk *walk, uint64_t task_no, tk_task **task, tk_task_info *info) {
  walk->code = tk_reading_task(&walk->reading, task_no, task, NULL, walk->err);
  if (walk->code || !header_matches(walk->filter, walk->parent, *task)) return false;
  tk_task_info own;
  if (!info && walk->filter->tag.size == 0) return true;
  if (!info) info = &own;
  walk->code = tk_reading_task(&walk->reading, task_no, task, info, walk->err);
  if (walk->code) return false;
  return walk->filter->tag.size == 0 || has_tag(&walk->reading.arena, info->tags, walk->filter->tag);
}

static bool visit_count(void *context, uint64_t task_no) {
  walk *walk = context;
  if (task_no <= walk->parent) return false;   /* children are younger */
  tk_task *task;
  tk_arena_reset(&walk->reading.arena);
  if (matches(walk, task_no, &task, NULL)) walk->count++;
  return walk->code == 0;
}

static bool visit_page(void *context, uint64_t task_no) {
  walk *walk = context;
  tk_task *task;
  tk_task_info info;
  size_t limit = walk->filter->limit ? walk->filter->limit : TASKS_PAGE_DEFAULT;
  bool full = walk->count == limit;
  if (task_no <= walk->parent) return false;
  tk_arena_reset(&walk->reading.arena);
  if (!matches(walk, task_no, &task, full ? NULL : &info)) return walk->code == 0;
  if (full) {
    walk->next = walk->last;
    return false;
  }
  walk->code = tk_reading_put_task(&walk->reading, &walk->w, task, &info, walk->filter->steps,
                                   TK_INSTANCES_DEFAULT, walk->err);
  walk->count++;
  walk->last = task_no;
  return walk->code == 0;
}

static int take_walk(walk *walk, uint64_t before, bool (*visit)(void *context, uint64_t task_no)) {
  int code = walk->filter->has_parent ? tk_reading_task_no(&walk->reading, &walk->filter->parent, &walk->parent, walk->err) : 0;
  if (!code) code = tk_snap_each_task(walk->reading.snap, before, visit, walk, walk->err);
  return code ? code : walk->code;
}

int tk_view_tasks(tk_engine *engine, const tk_task_filter *filter, tk_buf *out, uint64_t *next, tk_err *err) {
  size_t start = out->size;
  walk walk = {.filter = filter, .err = err, .w = tk_json_to(out)};
  *next = 0;
  int code = filter->limit > TK_LIMIT_TASKS_PAGE
                 ? tk_err_set(err, TK_E_INVALID, "limit: %zu is more than %d", filter->limit, TK_LIMIT_TASKS_PAGE)
                 : 0;
  if (code) return code;
  code = tk_reading_open(&walk.reading, engine, err);
  if (!code) {
    tk_json_array(&walk.w);
    code = take_walk(&walk, filter->cursor, visit_page);
    tk_json_array_end(&walk.w);
    *next = walk.next;
  }
  tk_reading_close(&walk.reading);
  if (code) out->size = start;
  return code;
}

static bool visit_internal(void *context, const tk_definition *definition) {
  bool *found = context;
  *found = tk_slice_eq(definition->ns, tk_slice_str(INTERNAL_NAMESPACE));
  return !*found;
}

/* The store's counters answer when the filter asks for nothing else and no task is hidden from lists. */
static int count_by_counters(walk *walk, bool *answered) {
  const tk_task_filter *filter = walk->filter;
  bool internal = false;
  *answered = false;
  bool asks_more = filter->name.size || filter->ns.size || filter->tag.size || filter->since_us || filter->until_us || filter->has_parent;
  if (asks_more || filter->cursor) return 0;
  int code = hides_internal(filter) ? tk_snap_each_definition(walk->reading.snap, visit_internal, &internal, walk->err) : 0;
  if (code || internal) return code;
  tk_meta meta;
  code = tk_snap_meta(walk->reading.snap, &meta, walk->err);
  for (int s = 0; !code && s < TK_TASK_STATUS_COUNT; s++)
    if (filter->status < 0 || filter->status == s) walk->count += (uint64_t)meta.tasks_by_status[s];
  *answered = code == 0;
  return code;
}

int tk_view_count(tk_engine *engine, const tk_task_filter *filter, uint64_t *count, tk_err *err) {
  walk walk = {.filter = filter, .err = err};
  bool answered = false;
  int code = tk_reading_open(&walk.reading, engine, err);
  if (!code) code = count_by_counters(&walk, &answered);
  if (!code && !answered) code = take_walk(&walk, filter->cursor, visit_count);
  tk_reading_close(&walk.reading);
  *count = walk.count;
  return code;
}
