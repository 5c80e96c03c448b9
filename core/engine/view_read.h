/* What the view*.c files share: one reading (a snapshot and the memory that goes with it), and the pieces of a task's JSON.
 * Any thread; a reading belongs to the thread that opened it. */
#ifndef TK_ENGINE_VIEW_READ_H
#define TK_ENGINE_VIEW_READ_H
#include "base/json.h"
#include "engine/view.h"

typedef struct tk_reading {
  tk_engine *engine;
  tk_snap *snap;
  tk_arena arena;                 /* of one task at a time: lists reset it between tasks */
} tk_reading;

int tk_reading_open(tk_reading *reading, tk_engine *engine, tk_err *err);
void tk_reading_close(tk_reading *reading);
/* The header of a task and, with info, its cold record; in the reading's arena. */
int tk_reading_task(tk_reading *reading, uint64_t task_no, tk_task **task, tk_task_info *info, tk_err *err);
/* Number of the task with that id, or TK_E_NOT_FOUND, which names it. */
int tk_reading_task_no(tk_reading *reading, const tk_id *id, uint64_t *task_no, tk_err *err);
/* The state of one step; NULL with err when its record is damaged. */
const tk_step *tk_reading_step(tk_task *task, uint32_t index, tk_err *err);
/* Puts the JSON of a payload; 0: null. */
int tk_reading_put_payload(tk_reading *reading, tk_json_writer *w, uint64_t payload, tk_err *err);
/* The step; of a machine's state, its newest visit that is complete, if there is one. NULL with err when a record is damaged. */
const tk_step *tk_reading_newest(tk_task *task, uint32_t index, tk_err *err);
bool tk_reading_has_results(const tk_step *step);
/* The results of a step; of a map, the list of its elements' results; null where there are none. */
int tk_reading_put_results(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_step *step, tk_err *err);
/* The error of a step; of a map, with those of its elements by their numbers, in `elements`. */
int tk_reading_put_error(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_step *step, tk_err *err);
/* A key that is not a C string (step and annotation names): one value must follow. */
void tk_reading_put_key(tk_json_writer *w, tk_slice key);
void tk_reading_put_id(tk_json_writer *w, const tk_id *id);
/* The task as a JSON object; whole: with context, results, errors and steps, of which `instances` says which instances. */
int tk_reading_put_task(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_task_info *info, bool whole, int instances,
                        tk_err *err);
/* The key `approval` of a step that is one, and what waits there. */
int tk_reading_put_approval(tk_reading *reading, tk_json_writer *w, const tk_task *task, uint32_t step, bool waits, tk_err *err);
/* What a step in it sees of its task besides the outcomes, as a JSON object. */
int tk_reading_put_info(tk_reading *reading, tk_json_writer *w, tk_task *task, const tk_task_info *info, tk_err *err);

#endif
