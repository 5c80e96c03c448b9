#include "engine/view_read.h"

int tk_reading_open(tk_reading *reading, tk_engine *engine, tk_err *err) {
  *reading = (tk_reading){.engine = engine};
  int code = tk_engine_alive(engine, err);
  if (code) return code;
  return tk_snap_open(tk_engine_store(engine), &reading->snap, err);
}

void tk_reading_close(tk_reading *reading) {
  if (reading->snap) tk_snap_close(reading->snap);
  tk_arena_free(&reading->arena);
}

int tk_reading_task(tk_reading *reading, uint64_t task_no, tk_task **task, tk_task_info *info, tk_err *err) {
  return tk_snap_task(reading->snap, &reading->arena, task_no, tk_engine_graph_lookup, reading->engine, task, info, err);
}

int tk_reading_task_no(tk_reading *reading, const tk_id *id, uint64_t *task_no, tk_err *err) {
  *task_no = tk_snap_task_no(reading->snap, id);
  if (*task_no) return 0;
  char text[37];
  tk_id_format(id, text);
  return tk_err_set(err, TK_E_NOT_FOUND, "no task %s", text);
}

const tk_step *tk_reading_step(tk_task *task, uint32_t index, tk_err *err) {
  uint32_t c = index / TK_CHUNK_STEPS;
  const tk_chunk *chunk = tk_task_chunk(task, c);
  if (chunk) return &chunk->steps[index % TK_CHUNK_STEPS];
  tk_err_set(err, TK_E_CORRUPT, "task number %llu: the record of its steps from %u on is damaged; `check` tells more",
             (unsigned long long)task->no, c * TK_CHUNK_STEPS + 1);
  return NULL;
}

const tk_step *tk_reading_newest(tk_task *task, uint32_t index, tk_err *err) {
  const tk_step *step = tk_reading_step(task, index, err);
  bool later = step && task->graph->initial && !step->role && step->done_visit;
  return later ? tk_reading_step(task, step->done_visit, err) : step;
}

int tk_reading_put_payload(tk_reading *reading, tk_json_writer *w, uint64_t payload, tk_err *err) {
  tk_slice json = {0};
  if (payload) {
    int code = tk_snap_payload(reading->snap, payload, &json, err);
    if (code) return code;
  }
  tk_json_put_raw(w, json);
  return 0;
}

void tk_reading_put_key(tk_json_writer *w, tk_slice key) {
  tk_json_put_str(w, key);
  tk_buf_u8(w->buf, ':');
  w->comma = false;
}

void tk_reading_put_id(tk_json_writer *w, const tk_id *id) {
  char text[37];
  tk_id_format(id, text);
  tk_json_put_cstr(w, text);
}
