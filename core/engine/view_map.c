/* What is read of a map: its results and errors are those of its elements, put together here, so that nothing is written twice
 * and decide reads no payload. */
#include <stdio.h>

#include "base/json_scan.h"
#include "engine/view_read.h"

bool tk_reading_has_results(const tk_step *step) { return step->status == TK_STEP_COMPLETE || step->status == TK_STEP_RESOLVED; }

static bool has_failed(const tk_step *step) { return step->status == TK_STEP_ERROR || step->status == TK_STEP_CANCELLED; }

static int put_elements(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_fan *fan, tk_err *err) {
  tk_json_array(w);
  for (uint32_t i = 0; i < fan->count; i++) {
    const tk_step *step = tk_reading_step(task, fan->first + i, err);
    if (!step) return TK_E_CORRUPT;
    if (has_failed(step)) {
      tk_json_put_bool(w, false);
      continue;
    }
    int code = tk_reading_put_payload(reading, w, tk_reading_has_results(step) ? step->results : 0, err);
    if (code) return code;
  }
  tk_json_array_end(w);
  return 0;
}

int tk_reading_put_results(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_step *step, tk_err *err) {
  if (step->fan && !step->results && tk_reading_has_results(step)) return put_elements(reading, w, task, step->fan, err);
  return tk_reading_put_payload(reading, w, tk_reading_has_results(step) ? step->results : 0, err);
}

static int put_element_errors(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_fan *fan, tk_err *err) {
  tk_json_key(w, "elements");
  tk_json_object(w);
  for (uint32_t i = 0, left = fan->failed; i < fan->count && left; i++) {
    const tk_step *step = tk_reading_step(task, fan->first + i, err);
    if (!step) return TK_E_CORRUPT;
    if (!has_failed(step)) continue;
    char number[12];
    snprintf(number, sizeof number, "%u", i + 1);
    tk_json_key(w, number);
    int code = step->error ? tk_reading_put_payload(reading, w, step->error, err) : 0;
    if (code) return code;
    if (!step->error) tk_json_put_raw(w, tk_slice_str("{\"message\":\"cancelled\",\"code\":\"cancelled\",\"retryable\":false}"));
    left--;
  }
  tk_json_object_end(w);
  return 0;
}

/* The members of the map's own error, then those of its elements. */
int tk_reading_put_error(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_step *step, tk_err *err) {
  if (!step->fan || !step->fan->failed) return tk_reading_put_payload(reading, w, step->error, err);
  tk_slice own = {NULL, 0};
  int code = step->error ? tk_snap_payload(reading->snap, step->error, &own, err) : 0;
  if (code) return code;
  tk_json_object(w);
  if (own.size > 2) tk_json_put_raw(w, tk_slice_of(own.data + 1, own.size - 2));
  code = put_element_errors(reading, w, task, step->fan, err);
  tk_json_object_end(w);
  return code;
}

/* ---- Elements of its list ---- */

/* Behind the value that begins at scan->at. The text is the engine's own: it is valid. */
static void skip_value(tk_json_scan *scan) {
  int depth = 0;
  bool escaped;
  for (; scan->at < scan->end; scan->at++) {
    char c = *scan->at;
    if (c == '"') {
      scan->at++;
      tk_json_scan_string(scan, &escaped);
      scan->at--;
    } else if (c == '[' || c == '{') {
      depth++;
    } else if (c == ']' || c == '}') {
      if (depth-- == 0) return;
    } else if (c == ',' && depth == 0) {
      return;
    }
  }
}

int tk_view_item(tk_engine *engine, uint64_t payload, uint32_t at, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_slice page;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_payload(reading.snap, payload, &page, err);
  if (!code) {
    tk_json_scan scan = {page.data + 1, page.data + page.size, NULL};
    for (uint32_t i = 0; i < at; i++) {
      skip_value(&scan);
      if (scan.at < scan.end) scan.at++;
    }
    const char *start = scan.at;
    skip_value(&scan);
    if (scan.at == start) code = tk_err_set(err, TK_E_CORRUPT, "the list of a map has no element where it should be");
    else tk_buf_append(out, start, (size_t)(scan.at - start));
  }
  tk_reading_close(&reading);
  return code;
}
