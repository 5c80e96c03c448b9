/* Schedules as JSON, and their times to come. */
#include "base/tzfile.h"
#include "engine/view_read.h"

static void put_text(tk_json_writer *w, const char *key, tk_slice text) {
  tk_json_key(w, key);
  if (text.size) tk_json_put_str(w, text);
  else tk_json_put_null(w);
}

static void put_time(tk_json_writer *w, const char *key, int64_t time_us) {
  tk_json_key(w, key);
  tk_json_put_time(w, time_us);
}

static void put_seconds(tk_json_writer *w, const char *key, int64_t time_us) {
  tk_json_key(w, key);
  if (time_us % 1000000) tk_json_put_double(w, (double)time_us / 1e6);
  else tk_json_put_int(w, time_us / 1000000);
}

static void put_count(tk_json_writer *w, const char *key, uint64_t count) {
  tk_json_key(w, key);
  tk_json_put_int(w, (int64_t)count);
}

static void put_handler(tk_json_writer *w, const tk_schedule_spec *spec) {
  tk_buf text = {0};
  tk_slice version = spec->texts[TK_SCHEDULE_VERSION];
  tk_buf_append(&text, spec->texts[TK_SCHEDULE_NS].data, spec->texts[TK_SCHEDULE_NS].size);
  tk_buf_u8(&text, '/');
  tk_buf_append(&text, spec->texts[TK_SCHEDULE_HANDLER].data, spec->texts[TK_SCHEDULE_HANDLER].size);
  if (version.size) {
    tk_buf_u8(&text, '@');
    tk_buf_append(&text, version.data, version.size);
  }
  tk_json_key(w, "handler");
  tk_json_put_str(w, tk_buf_slice(&text));
  tk_buf_free(&text);
}

static void put_when(tk_json_writer *w, const tk_schedule_spec *spec) {
  static const tk_slice none = {NULL, 0};
  static const char *const gaps[] = {"shift", "skip"}, *const overlaps[] = {"first", "last", "both"};
  tk_slice rule = spec->texts[TK_SCHEDULE_RULE], zone = spec->texts[TK_SCHEDULE_ZONE];
  put_text(w, "cron", spec->kind == TK_RECUR_CRON ? rule : none);
  put_text(w, "rrule", spec->kind == TK_RECUR_RRULE ? rule : none);
  if (spec->kind == TK_RECUR_EVERY) put_seconds(w, "every", spec->every_us);
  else put_text(w, "every", none);
  put_time(w, "at", spec->at_us);
  put_text(w, "timezone", zone.size ? zone : tk_slice_str("UTC"));
  tk_json_key(w, "dst");
  tk_json_object(w);
  tk_json_key(w, "gap");
  tk_json_put_cstr(w, gaps[spec->dst.gap]);
  tk_json_key(w, "overlap");
  tk_json_put_cstr(w, overlaps[spec->dst.overlap]);
  tk_json_object_end(w);
  put_time(w, "starts", spec->starts_us);
  put_time(w, "ends", spec->ends_us);
  tk_json_key(w, "count");
  if (spec->count) tk_json_put_int(w, (int64_t)spec->count);
  else tk_json_put_null(w);
}

static void put_how(tk_json_writer *w, const tk_schedule_spec *spec) {
  static const char *const overlaps[] = {"skip", "buffer_one", "buffer_all", "cancel_other", "allow"};
  tk_slice tags = spec->texts[TK_SCHEDULE_TAGS];
  tk_json_key(w, "overlap");
  tk_json_put_cstr(w, overlaps[spec->overlap]);
  put_seconds(w, "catch_up", spec->catch_up_us);
  put_seconds(w, "jitter", spec->jitter_us);
  tk_json_key(w, "priority");
  if (spec->has_priority) tk_json_put_int(w, spec->priority);
  else tk_json_put_null(w);
  put_text(w, "queue", spec->texts[TK_SCHEDULE_QUEUE]);
  tk_json_key(w, "tags");
  tk_json_put_raw(w, tags.size ? tags : tk_slice_str("[]"));
  put_text(w, "initiator", spec->texts[TK_SCHEDULE_INITIATOR]);
  put_text(w, "source_system", spec->texts[TK_SCHEDULE_SOURCE_SYSTEM]);
  put_text(w, "reason", spec->texts[TK_SCHEDULE_REASON]);
  put_text(w, "defined_by", spec->texts[TK_SCHEDULE_DEFINED_BY]);
}

static void put_task_id(tk_reading *reading, tk_json_writer *w, uint64_t task_no) {
  tk_task *task;
  tk_err err;
  if (!task_no || tk_reading_task(reading, task_no, &task, NULL, &err)) tk_json_put_null(w);
  else tk_reading_put_id(w, &task->id);
}

static void put_state(tk_reading *reading, tk_json_writer *w, const tk_schedule *s) {
  tk_json_key(w, "paused");
  tk_json_put_bool(w, s->paused);
  put_time(w, "next_at", s->paused ? 0 : s->next_us);
  put_time(w, "last_at", s->last_us);
  tk_json_key(w, "last_task_id");
  put_task_id(reading, w, s->last_task);
  put_count(w, "made", s->made);
  put_count(w, "skipped", s->skipped);
  put_count(w, "running", s->open);
  put_count(w, "buffered", s->buffered.count);
  put_count(w, "backfills", s->backfills.count);
  put_time(w, "created_at", s->created_at_us);
  put_time(w, "updated_at", s->updated_at_us);
}

static void put_schedule(tk_reading *reading, tk_json_writer *w, const tk_schedule *s) {
  tk_slice context = s->spec.texts[TK_SCHEDULE_CONTEXT];
  tk_json_object(w);
  tk_json_key(w, "name");
  tk_json_put_str(w, s->spec.texts[TK_SCHEDULE_NAME]);
  put_handler(w, &s->spec);
  tk_json_key(w, "context");   /* null: a function of the occurrence */
  if (s->spec.ask) tk_json_put_null(w);
  else tk_json_put_raw(w, context.size ? context : tk_slice_str("{}"));
  put_when(w, &s->spec);
  put_how(w, &s->spec);
  put_state(reading, w, s);
  tk_json_object_end(w);
}

int tk_view_schedule(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err) {
  tk_reading reading;
  tk_schedule *s = NULL;
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_schedule(reading.snap, &reading.arena, name, &s, err);
  if (!code) {
    tk_json_writer w = tk_json_to(out);
    put_schedule(&reading, &w, s);
  }
  tk_reading_close(&reading);
  return code;
}

typedef struct list_walk {
  tk_reading reading;
  tk_json_writer w;
  size_t limit, count;
  int code;
  tk_err *err;
} list_walk;

static bool visit_schedule(void *context, uint64_t no, tk_slice name) {
  list_walk *walk = context;
  tk_schedule *s;
  (void)name;
  tk_arena_reset(&walk->reading.arena);
  walk->code = tk_snap_schedule_no(walk->reading.snap, &walk->reading.arena, no, &s, walk->err);
  if (walk->code) return false;
  put_schedule(&walk->reading, &walk->w, s);
  return ++walk->count != walk->limit;
}

int tk_view_schedules(tk_engine *engine, tk_slice after, size_t limit, tk_buf *out, tk_err *err) {
  list_walk walk = {.limit = limit, .err = err, .w = tk_json_to(out)};
  int code = tk_reading_open(&walk.reading, engine, err);
  tk_json_array(&walk.w);
  if (!code) code = tk_snap_each_schedule(walk.reading.snap, after, visit_schedule, &walk, err);
  if (!code) code = walk.code;
  tk_json_array_end(&walk.w);
  tk_reading_close(&walk.reading);
  return code;
}

int tk_view_schedule_times(tk_engine *engine, tk_slice name, int64_t after_us, bool backwards, bool (*visit)(void *context, int64_t at_us),
                           void *context, tk_err *err) {
  tk_reading reading;
  tk_schedule *s = NULL;
  tk_recurrence r;
  tk_slice bytes = {NULL, 0};
  int code = tk_reading_open(&reading, engine, err);
  if (!code) code = tk_snap_schedule(reading.snap, &reading.arena, name, &s, err);
  if (!code && s->spec.texts[TK_SCHEDULE_ZONE].size) code = tk_tzfile_read(s->spec.texts[TK_SCHEDULE_ZONE], &bytes, err);
  if (!code) code = tk_schedule_recurrence(&s->spec, s->phase_us, bytes, &reading.arena, &r, err);
  if (!code) {
    uint64_t left = s->spec.count && !backwards ? s->spec.count - s->taken : UINT64_MAX;
    if (backwards) r = tk_schedule_backwards(s, &r, after_us);
    if (after_us == TK_VIEW_FROM_NOW) after_us = s->next_us && !s->paused ? s->next_us - 1 : tk_engine_now_us(engine);
    for (; left && tk_recurrence_next(&r, after_us, &after_us) && visit(context, after_us); left--) continue;
  }
  tk_reading_close(&reading);
  return code;
}
