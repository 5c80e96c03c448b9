/* What a running step reads of its task when it first touches it: each piece alone, so that a long chain does not read all that
 * came before. */
#include "engine/view_read.h"

int tk_view_context(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_task *task;
  tk_task_info info;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, &info, err);
  if (!code) {
    tk_slice context = info.context.size ? info.context : tk_slice_str("{}");
    tk_buf_append(out, context.data, context.size);
  }
  tk_reading_close(&reading);
  return code;
}

/* Of a map, what its elements have; false: nothing. */
static bool is_gathered(const tk_step *step, int which) {
  if (!step->fan) return false;
  return which == TK_VIEW_RESULTS ? !step->results && tk_reading_has_results(step) : which == TK_VIEW_ERROR && step->fan->failed;
}

static int gather(tk_reading *reading, tk_task *task, const tk_step *step, int which, tk_buf *out, tk_err *err) {
  tk_json_writer w = tk_json_to(out);
  return which == TK_VIEW_RESULTS ? tk_reading_put_results(reading, &w, task, step, err)
                                  : tk_reading_put_error(reading, &w, task, step, err);
}

static uint64_t payload_of(const tk_step *step, int which) {
  switch (which) {
    case TK_VIEW_RESULTS: return step->results;
    case TK_VIEW_ERROR: return step->error;
    case TK_VIEW_INPUTS: return step->inputs;
    default: return step->progress;
  }
}

static int put_payload(tk_reading *reading, tk_task *task, const tk_step *step, int which, bool *present, tk_buf *out,
                       tk_err *err) {
  uint64_t payload = payload_of(step, which);
  tk_slice json;
  *present = payload || is_gathered(step, which);
  if (is_gathered(step, which)) return gather(reading, task, step, which, out, err);
  int code = payload ? tk_snap_payload(reading->snap, payload, &json, err) : 0;
  if (!code && payload) tk_buf_append(out, json.data, json.size);
  return code;
}

int tk_view_step_payload(tk_engine *engine, uint64_t task_no, uint32_t step_index, int which, bool *present, tk_buf *out,
                         tk_err *err) {
  tk_reading reading;
  tk_task *task;
  *present = false;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, NULL, err);
  if (!code && step_index >= tk_task_count(task))
    code = tk_err_set(err, TK_E_INVALID, "the task has %u steps, so none with number %u", tk_task_count(task), step_index + 1);
  if (!code) {
    const tk_step *step = tk_reading_step(task, step_index, err);
    if (step && which == TK_VIEW_RESULTS) step = tk_reading_newest(task, step_index, err);
    code = step ? put_payload(&reading, task, step, which, present, out, err) : TK_E_CORRUPT;
  }
  tk_reading_close(&reading);
  return code;
}

bool tk_view_is_current(tk_engine *engine, uint64_t task_no, uint32_t step_index, uint32_t attempt) {
  tk_reading reading;
  tk_task *task;
  tk_err err;
  int code = tk_reading_open(&reading, engine, &err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, NULL, &err);
  const tk_step *step = code || step_index >= tk_task_count(task) ? NULL : tk_reading_step(task, step_index, &err);
  bool current = !step || (attempt ? step->status == TK_STEP_IN_PROGRESS && step->attempts == attempt
                                   : step->status == TK_STEP_READY && step->flags & TK_STEP_F_ASKING);
  tk_reading_close(&reading);
  return current;
}

int tk_view_info(tk_engine *engine, uint64_t task_no, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_task *task;
  tk_task_info info;
  size_t start = out->size;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_reading_task(&reading, task_no, &task, &info, err);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    code = tk_reading_put_info(&reading, &w, task, &info, err);
  }
  tk_reading_close(&reading);
  if (code) out->size = start;
  return code;
}
