/* Approvals as people read them: beside their step, and as an inbox of what waits for somebody. */
#include "base/hash.h"
#include "engine/view_read.h"
#include "model/approval.h"

static void put_names(tk_json_writer *w, const tk_approval *a) {
  tk_json_key(w, "approvers");
  tk_json_array(w);
  for (uint32_t i = 0; i < a->approver_count; i++)
    if (a->approvers[i].decision != TK_DECISION_DELEGATE) tk_json_put_str(w, a->approvers[i].name);
  tk_json_array_end(w);
}

static void put_int(tk_json_writer *w, const char *key, int64_t value) {
  tk_json_key(w, key);
  tk_json_put_int(w, value);
}

static void put_time(tk_json_writer *w, const char *key, int64_t time_us) {
  tk_json_key(w, key);
  tk_json_put_time(w, time_us);
}

static void put_members(tk_json_writer *w, const tk_approval *a) {
  char hex[2 * TK_SHOWN_SIZE + 1];
  tk_hex(a->shown, TK_SHOWN_SIZE, hex);
  put_names(w, a);
  put_int(w, "required", a->required);
  put_int(w, "approvals", tk_approval_count(a, TK_DECISION_APPROVE));
  put_int(w, "rejections", tk_approval_count(a, TK_DECISION_REJECT));
  put_int(w, "round", a->round);
  tk_json_key(w, "decisions");
  tk_approval_put_votes(a, w);
  put_time(w, "opened_at", a->opened_at_us);
  put_time(w, "deadline", a->deadline_us);
  put_time(w, "next_escalation_at", a->escalation_count ? a->escalations[0].due_us : 0);
  tk_json_key(w, "shown_hash");
  tk_json_put_cstr(w, hex);
}

int tk_reading_put_approval(tk_reading *reading, tk_json_writer *w, const tk_task *task, uint32_t step, bool waits, tk_err *err) {
  tk_approval approval;
  tk_json_key(w, "approval");
  if (!waits) {
    tk_json_put_null(w);
    return 0;
  }
  int code = tk_snap_approval(reading->snap, &reading->arena, task->no, step, &approval, err);
  if (code) return code;
  tk_json_object(w);
  put_members(w, &approval);
  tk_json_object_end(w);
  return 0;
}

/* ---- The inbox ---- */

typedef struct inbox_walk {
  tk_reading reading;
  const tk_approval_filter *filter;
  tk_err *err;
  int code;
  tk_json_writer w;
  size_t count;
} inbox_walk;

static bool empty_or_eq(tk_slice wanted, tk_slice is) { return wanted.size == 0 || tk_slice_eq(wanted, is); }

/* Whether it is somebody's turn. */
static bool awaits(const tk_approval *a, tk_slice by) {
  const tk_approver *approver = by.size ? tk_approval_find(a, by) : NULL;
  return by.size == 0 || (approver && approver->decision == TK_DECISION_NONE);
}

static void put_item(inbox_walk *walk, tk_task *task, const tk_task_info *info, const tk_approval *a) {
  tk_json_writer *w = &walk->w;
  char room[TK_STEP_NAME_ROOM];
  tk_json_object(w);
  tk_json_key(w, "task_id");
  tk_reading_put_id(w, &info->id);
  tk_json_key(w, "namespace");
  tk_json_put_str(w, task->graph->ns);
  tk_json_key(w, "name");
  tk_json_put_str(w, task->graph->name);
  tk_json_key(w, "version");
  tk_json_put_str(w, task->graph->version);
  tk_json_key(w, "step");
  tk_json_put_str(w, tk_task_step_name(task, a->step, room));
  put_members(w, a);
  put_int(w, "definition", task->definition);
  tk_json_object_end(w);
}

static bool visit_approval(void *context, const tk_approval *a) {
  inbox_walk *walk = context;
  const tk_approval_filter *filter = walk->filter;
  tk_task *task;
  tk_task_info info;
  if (!awaits(a, filter->by) || (filter->task_no && filter->task_no != a->task_no)) return true;
  walk->code = tk_reading_task(&walk->reading, a->task_no, &task, &info, walk->err);
  if (walk->code) return false;
  if (!empty_or_eq(filter->ns, task->graph->ns) || !empty_or_eq(filter->name, task->graph->name)) return true;
  put_item(walk, task, &info, a);
  return ++walk->count != filter->limit;
}

int tk_view_approvals(tk_engine *engine, const tk_approval_filter *filter, const tk_id *task, tk_buf *out, tk_err *err) {
  size_t start = out->size;
  tk_approval_filter own = *filter;
  inbox_walk walk = {.filter = &own, .err = err, .w = tk_json_to(out)};
  int code = tk_reading_open(&walk.reading, engine, err);
  if (!code && task) code = tk_reading_task_no(&walk.reading, task, &own.task_no, err);
  if (!code) {
    tk_json_array(&walk.w);
    code = tk_snap_each_approval(walk.reading.snap, &walk.reading.arena, visit_approval, &walk, err);
    tk_json_array_end(&walk.w);
  }
  tk_reading_close(&walk.reading);
  if (!code) code = walk.code;
  if (code) out->size = start;
  return code;
}

int tk_view_definition_of(tk_engine *engine, const tk_id *id, uint32_t *definition, tk_err *err) {
  tk_reading reading;
  tk_task *task;
  uint64_t task_no;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task_no(&reading, id, &task_no, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, NULL, err);
  if (!code) *definition = task->definition;
  tk_reading_close(&reading);
  return code;
}
