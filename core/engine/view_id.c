/* A task id as people type it: whole, a beginning, an end, or the newest. */
#include "engine/view_read.h"

#define ID_PART_MIN 6
#define ID_DIGITS 32

/* Lower-case hex digits of `text` without dashes into out (ID_DIGITS + 1 bytes). 0 when it is no part of an id. */
static size_t id_digits(tk_slice text, char *out) {
  size_t count = 0;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (c == '-') continue;
    if (c >= 'A' && c <= 'F') c += 'a' - 'A';
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!hex || count == ID_DIGITS) return 0;
    out[count++] = c;
  }
  out[count] = 0;
  return count;
}

typedef struct newest {
  tk_reading *reading;
  tk_id *id;
  tk_err *err;
  int code;
  bool found;
} newest;

static bool visit_newest(void *context, uint64_t task_no) {
  newest *newest = context;
  tk_task *task;
  tk_task_info info;
  newest->code = tk_reading_task(newest->reading, task_no, &task, &info, newest->err);
  newest->found = newest->code == 0 && !task->parent;   /* children were not submitted by anybody */
  if (newest->found) *newest->id = info.id;
  return newest->code == 0 && !newest->found;
}

static int find_newest(tk_reading *reading, tk_id *out, tk_err *err) {
  newest newest = {.reading = reading, .id = out, .err = err};
  int code = tk_snap_each_task(reading->snap, 0, visit_newest, &newest, err);
  if (!code) code = newest.code;
  if (code || newest.found) return code;
  return tk_err_set(err, TK_E_NOT_FOUND, "@last: the store has no task");
}

static int find_by_part(tk_reading *reading, tk_slice text, tk_id *out, tk_err *err) {
  char digits[ID_DIGITS + 1];
  size_t count = id_digits(text, digits);
  int shown = text.size > 64 ? 64 : (int)text.size;
  if (count == 0)
    return tk_err_set(err, TK_E_NOT_FOUND, "no task '%.*s': an id is a UUID, or %d or more characters of its beginning or end",
                      shown, text.data, ID_PART_MIN);
  if (text.size < ID_PART_MIN)
    return tk_err_set(err, TK_E_NOT_FOUND, "no task '%.*s': give %d or more characters of the beginning or end of its id", shown,
                      text.data, ID_PART_MIN);
  tk_id found[2];
  int matches = tk_snap_find_id(reading->snap, digits, found, err);
  if (matches < 0) return matches;
  if (matches == 0) return tk_err_set(err, TK_E_NOT_FOUND, "no task %.*s", shown, text.data);
  if (matches > 1) {
    char first[37], second[37];
    tk_id_format(&found[0], first);
    tk_id_format(&found[1], second);
    return tk_err_set(err, TK_E_INVALID, "'%.*s' is not one task: %s and %s fit it", shown, text.data, first, second);
  }
  *out = found[0];
  return 0;
}

static int find_id(tk_reading *reading, tk_slice text, tk_id *out, tk_err *err) {
  uint64_t task_no;
  if (tk_slice_eq(text, tk_slice_str("@last"))) return find_newest(reading, out, err);
  if (tk_id_parse(text.data, text.size, out)) return tk_reading_task_no(reading, out, &task_no, err);
  return find_by_part(reading, text, out, err);
}

int tk_view_find_id(tk_engine *engine, tk_slice text, tk_id *out, tk_err *err) {
  tk_reading reading;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = find_id(&reading, text, out, err);
  tk_reading_close(&reading);
  return code;
}
