/* One task as JSON: its keys stand in the order of the documented example. */
#include "engine/view_read.h"
#include "model/compensation.h"

static tk_slice or_empty_array(tk_slice json) { return json.size ? json : tk_slice_str("[]"); }

static void put_str(tk_json_writer *w, const char *key, tk_slice value) {
  tk_json_key(w, key);
  tk_json_put_str(w, value);
}

static void put_raw(tk_json_writer *w, const char *key, tk_slice json) {
  tk_json_key(w, key);
  tk_json_put_raw(w, json);
}

static void put_time(tk_json_writer *w, const char *key, int64_t time_us) {
  tk_json_key(w, key);
  tk_json_put_time(w, time_us);
}

static int put_payload(tk_reading *reading, tk_json_writer *w, const char *key, uint64_t payload, tk_err *err) {
  tk_json_key(w, key);
  return tk_reading_put_payload(reading, w, payload, err);
}

/* The id of another task by its number; 0: null. */
static int put_task_id(tk_reading *reading, tk_json_writer *w, const char *key, uint64_t task_no, tk_err *err) {
  tk_json_key(w, key);
  if (!task_no) {
    tk_json_put_null(w);
    return 0;
  }
  tk_task *task;
  int code = tk_reading_task(reading, task_no, &task, NULL, err);
  if (!code) tk_reading_put_id(w, &task->id);
  return code;
}

static int put_annotations(tk_reading *reading, tk_json_writer *w, uint64_t task_no, tk_err *err) {
  tk_annotation *list;
  size_t count;
  int code = tk_snap_annotations(reading->snap, &reading->arena, task_no, &list, &count, err);
  if (code) return code;
  tk_json_object(w);
  for (size_t i = 0; i < count; i++) {
    tk_reading_put_key(w, list[i].name);
    tk_json_put_raw(w, list[i].value);
  }
  tk_json_object_end(w);
  return 0;
}

/* Fields that never change after the submission: in the task's JSON, and what a running step sees of its task. */
static void put_origin(tk_json_writer *w, const tk_task_info *info) {
  put_str(w, "initiator", info->initiator);
  put_str(w, "source_system", info->source_system);
  put_str(w, "reason", info->reason);
  put_raw(w, "bypass_steps", or_empty_array(info->bypass_steps));
  char id[37];
  tk_id_format(&info->id, id);
  put_str(w, "identity_hash", info->identity.size ? info->identity : tk_slice_str(id));   /* a guid: the task is its own identity */
}

static tk_slice queue_name(tk_reading *reading, const tk_task *task) {
  tk_slice name = tk_snap_name(reading->snap, task->queue);
  return name.size ? name : task->graph->queue;
}

/* A settled step has no current error, whatever went wrong on its way; a map that is complete has those of its elements. */
static bool has_current_error(const tk_step *step) {
  if (step->fan && step->fan->failed && step->status == TK_STEP_COMPLETE) return true;
  return step->error && step->status != TK_STEP_COMPLETE && step->status != TK_STEP_SKIPPED && step->status != TK_STEP_RESOLVED;
}

static int put_outcomes(tk_reading *reading, tk_json_writer *w, tk_task *task, bool errors, tk_err *err) {
  const tk_graph *graph = task->graph;
  tk_json_key(w, errors ? "errors" : "results");
  tk_json_object(w);
  for (uint32_t i = 0; i < graph->step_count; i++) {
    const tk_step *step = tk_reading_step(task, i, err);
    if (step && graph->initial && step->visits) step = errors ? tk_reading_step(task, step->visit, err) : tk_reading_newest(task, i, err);
    if (!step) return TK_E_CORRUPT;
    bool failed = step->status == TK_STEP_ERROR || (step->fan && has_current_error(step));
    if (errors ? !failed : !tk_reading_has_results(step)) continue;
    tk_reading_put_key(w, graph->steps[i].name);
    int code = errors ? tk_reading_put_error(reading, w, task, step, err) : tk_reading_put_results(reading, w, task, step, err);
    if (code) return code;
  }
  tk_json_object_end(w);
  return 0;
}

static void put_depends_on(tk_json_writer *w, const tk_graph *graph, const tk_graph_step *spec) {
  tk_json_key(w, "depends_on");
  tk_json_array(w);
  for (uint32_t i = 0; i < spec->dep_count; i++) tk_json_put_str(w, graph->steps[spec->deps[i]].name);
  tk_json_array_end(w);
}

static void put_counts(tk_json_writer *w, const tk_step *step) {
  if (!step->fan && step->status != TK_STEP_COMPLETE) {
    tk_json_key(w, "instances");
    tk_json_put_null(w);   /* its list is not known yet */
    return;
  }
  tk_json_key(w, "instances");
  tk_json_put_int(w, step->fan ? step->fan->count : 0);
  tk_json_key(w, "failed");
  tk_json_put_int(w, step->fan ? step->fan->failed : 0);
}

/* What undid the step, or is about to. */
static int put_compensation(tk_reading *reading, tk_json_writer *w, tk_task *task, uint32_t index, const tk_step *step, tk_err *err) {
  tk_json_key(w, "compensation");
  if (tk_task_is_instance(task, index) || !step->compensation) {
    tk_json_put_null(w);
    return 0;
  }
  const tk_step *undo = tk_reading_step(task, step->compensation, err);
  if (!undo) return TK_E_CORRUPT;
  tk_json_object(w);
  tk_json_key(w, "status");
  tk_json_put_cstr(w, tk_step_status_name(undo->status));
  tk_json_key(w, "attempts");
  tk_json_put_int(w, undo->attempts);
  int code = put_payload(reading, w, "error", has_current_error(undo) ? undo->error : 0, err);
  put_time(w, "completed_at", undo->completed_at_us);
  tk_json_object_end(w);
  return code;
}

static int put_step(tk_reading *reading, tk_json_writer *w, tk_task *task, uint32_t index, uint32_t template_, const tk_step *step,
                    tk_err *err) {
  const tk_graph_step *spec = &task->graph->steps[template_];
  bool waiting = step->status == TK_STEP_WAITING;
  char room[TK_STEP_NAME_ROOM];
  tk_json_object(w);
  put_str(w, "name", tk_task_step_name(task, index, room));
  tk_json_key(w, "status");
  tk_json_put_cstr(w, tk_step_status_name(step->status));
  put_depends_on(w, task->graph, spec);
  tk_json_key(w, "attempts");
  tk_json_put_int(w, step->attempts);
  tk_json_key(w, "retry_limit");
  tk_json_put_int(w, spec->retry.limit);
  tk_json_key(w, "retryable");
  tk_json_put_bool(w, spec->flags & TK_GRAPH_RETRYABLE);
  tk_json_key(w, "skippable");
  tk_json_put_bool(w, spec->flags & TK_GRAPH_SKIPPABLE);
  int code = put_payload(reading, w, "inputs", step->inputs, err);
  if (code) return code;
  tk_json_key(w, "results");
  code = tk_reading_put_results(reading, w, task, step, err);
  if (!code) code = put_payload(reading, w, "error", has_current_error(step) ? step->error : 0, err);
  if (code) return code;
  if (tk_task_is_map(task, index)) put_counts(w, step);
  tk_json_key(w, "waiting_for");
  tk_json_put_cstr(w, waiting ? tk_waiting_for_name(step->waiting_for) : NULL);
  put_time(w, "next_attempt_at", waiting ? step->due_us : 0);
  put_time(w, "started_at", step->started_at_us);
  put_time(w, "completed_at", step->completed_at_us);
  put_time(w, "last_attempted_at", step->last_attempted_at_us);
  code = put_payload(reading, w, "progress", step->progress, err);
  if (!code) code = put_compensation(reading, w, task, index, step, err);
  if (!code && spec->kind == TK_KIND_APPROVAL)
    code = tk_reading_put_approval(reading, w, task, index, waiting && step->waiting_for == TK_WAIT_APPROVAL, err);
  if (!code && spec->kind == TK_KIND_CHILD && !tk_task_is_map(task, index))
    code = put_task_id(reading, w, "child_task_id", step->child, err);
  tk_json_object_end(w);
  return code;
}

static bool is_shown(const tk_step *step, int instances) {
  return instances == TK_INSTANCES_ALL || step->status == TK_STEP_ERROR || step->status == TK_STEP_CANCELLED;
}

static int put_instances(tk_reading *reading, tk_json_writer *w, tk_task *task, uint32_t map, int instances, tk_err *err) {
  const tk_fan *fan = tk_task_step(task, map)->fan;
  for (uint32_t i = 0; fan && i < fan->count; i++) {
    const tk_step *step = tk_reading_step(task, fan->first + i, err);
    if (!step) return TK_E_CORRUPT;
    int code = is_shown(step, instances) ? put_step(reading, w, task, fan->first + i, map, step, err) : 0;
    if (code) return code;
  }
  return 0;
}

static int put_steps(tk_reading *reading, tk_json_writer *w, tk_task *task, int instances, tk_err *err) {
  if (instances == TK_INSTANCES_DEFAULT) instances = task->instances <= TK_INSTANCES_SHOWN ? TK_INSTANCES_ALL : TK_INSTANCES_FAILED;
  tk_json_key(w, "steps");
  tk_json_array(w);
  for (uint32_t i = 0; i < task->graph->step_count; i++) {
    const tk_step *step = tk_reading_step(task, i, err);
    if (!step) return TK_E_CORRUPT;
    int code = put_step(reading, w, task, i, i, step, err);
    if (!code && instances != TK_INSTANCES_NONE) code = put_instances(reading, w, task, i, instances, err);
    if (code) return code;
  }
  for (uint32_t i = task->graph->step_count; task->graph->initial && instances != TK_INSTANCES_NONE && i < tk_task_count(task); i++) {
    const tk_step *step = tk_reading_step(task, i, err);
    if (!step) return TK_E_CORRUPT;
    if (step->role == TK_ROLE_NOTIFICATION) continue;
    int code = put_step(reading, w, task, i, step->template_, step, err);
    if (code) return code;
  }
  tk_json_array_end(w);
  return 0;
}

static void put_heading(tk_json_writer *w, const tk_task *task, const tk_task_info *info) {
  tk_json_key(w, "task_id");
  tk_reading_put_id(w, &info->id);
  put_str(w, "namespace", task->graph->ns);
  put_str(w, "name", task->graph->name);
  put_str(w, "version", task->graph->version);
  tk_json_key(w, "status");
  tk_json_put_cstr(w, tk_task_status_name(task->status));
}

/* Of a task that a schedule made; others have none of it. */
static void put_schedule(tk_json_writer *w, const tk_task_info *info) {
  put_str(w, "schedule", info->schedule);
  put_time(w, "scheduled_at", info->scheduled_us);
  put_time(w, "previous_scheduled_at", info->previous_us);
  tk_json_key(w, "late_by");
  tk_json_put_double(w, (double)info->late_us / 1e6);
}

static void put_times(tk_json_writer *w, const tk_task *task, const tk_task_info *info) {
  put_time(w, "requested_at", info->requested_at_us);
  put_time(w, "created_at", task->created_at_us);
  put_time(w, "started_at", task->started_at_us);
  put_time(w, "completed_at", task->completed_at_us);
  put_time(w, "run_at", info->run_at_us);
  if (info->schedule.size) put_schedule(w, info);
}

int tk_reading_put_task(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_task_info *info, bool whole, int instances,
                        tk_err *err) {
  tk_json_object(w);
  put_heading(w, task, info);
  if (whole) put_raw(w, "context", info->context.size ? info->context : tk_slice_str("{}"));
  put_raw(w, "tags", or_empty_array(info->tags));
  tk_json_key(w, "priority");
  tk_json_put_int(w, task->priority);
  put_str(w, "queue", queue_name(reading, task));
  put_origin(w, info);
  int code = put_task_id(reading, w, "parent_task_id", info->parent, err);
  tk_json_key(w, "annotations");
  if (!code) code = put_annotations(reading, w, task->no, err);
  if (!code && whole) code = put_outcomes(reading, w, task, false, err);
  if (!code && whole) code = put_outcomes(reading, w, task, true, err);
  if (code) return code;
  put_times(w, task, info);
  if (whole) code = put_steps(reading, w, task, instances, err);
  tk_json_key(w, "attempt_of_task");
  tk_json_put_int(w, task->attempt);
  if (!code && whole && task->results) code = put_payload(reading, w, "resolution", task->results, err);
  tk_json_object_end(w);
  return code;
}

int tk_reading_put_info(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_task_info *info, tk_err *err) {
  tk_json_object(w);
  put_raw(w, "tags", or_empty_array(info->tags));
  put_str(w, "queue", queue_name(reading, task));
  put_origin(w, info);
  int code = put_task_id(reading, w, "parent_task_id", info->parent, err);
  put_time(w, "requested_at", info->requested_at_us);
  put_time(w, "created_at", task->created_at_us);
  put_time(w, "run_at", info->run_at_us);
  if (info->schedule.size) put_schedule(w, info);
  else put_time(w, "scheduled_at", info->run_at_us);
  tk_json_object_end(w);
  return code;
}

int tk_view_annotations(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err) {
  tk_reading reading;
  int code = tk_reading_open(&reading, engine, err);
  if (code) return code;
  tk_json_writer w = tk_json_to(out);
  code = put_annotations(&reading, &w, task_no, err);
  tk_reading_close(&reading);
  return code;
}

int tk_view_task(tk_engine *engine, const tk_id *id, int instances, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_task *task;
  tk_task_info info;
  uint64_t task_no;
  size_t start = out->size;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task_no(&reading, id, &task_no, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, &info, err);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    code = tk_reading_put_task(&reading, &w, task, &info, true, instances, err);
  }
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}

int tk_view_status(tk_engine *engine, const tk_id *id, uint8_t *status, tk_err *err) {
  tk_reading reading;
  tk_task *task;
  uint64_t task_no;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task_no(&reading, id, &task_no, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, NULL, err);
  if (!code) *status = task->status;
  if (!code && tk_compensation_is_open(task->compensating)) *status = TK_TASK_IN_PROGRESS;
  tk_reading_close(&reading);
  return code;
}
