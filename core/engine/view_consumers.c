/* Durable consumers as JSON, and how much of the log lies before them. */
#include "engine/view_read.h"

static bool put_consumer(void *context, const tk_consumer *consumer) {
  tk_json_writer *w = context;
  tk_json_object(w);
  tk_json_key(w, "name");
  tk_json_put_str(w, consumer->name);
  tk_json_key(w, "events");
  if (consumer->events.size) tk_json_put_raw(w, consumer->events);
  else tk_json_put_null(w);
  tk_json_key(w, "seq");
  tk_json_put_int(w, (int64_t)consumer->seq);
  tk_json_key(w, "created_at");
  tk_json_put_time(w, consumer->created_at_us);
  tk_json_key(w, "moved_at");
  if (consumer->moved_at_us) tk_json_put_time(w, consumer->moved_at_us);
  else tk_json_put_null(w);
  tk_json_object_end(w);
  return true;
}

int tk_view_consumers(tk_engine *engine, tk_slice name, tk_buf *out, tk_err *err) {
  tk_json_writer w = tk_json_to(out);
  tk_consumer consumer;
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  if (name.size) {
    code = tk_snap_consumer(snap, name, &consumer, err);
    if (!code) put_consumer(&w, &consumer);
  } else {
    tk_json_array(&w);
    code = tk_snap_each_consumer(snap, put_consumer, &w, err);
    tk_json_array_end(&w);
  }
  tk_snap_close(snap);
  return code;
}

typedef struct event_count { uint64_t kinds, count; } event_count;

static bool count_event(void *context, const tk_log_event *event) {
  event_count *c = context;
  c->count += c->kinds >> event->kind & 1;
  return true;
}

int tk_view_count_events(tk_engine *engine, uint64_t kinds, uint64_t after, uint64_t *count, tk_err *err) {
  event_count c = {kinds, 0};
  tk_meta meta;
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  code = kinds ? tk_snap_each_event(snap, after, 0, count_event, &c, err) : tk_snap_meta(snap, &meta, err);
  tk_snap_close(snap);
  if (!code) *count = kinds ? c.count : meta.last_seq > after ? meta.last_seq - after : 0;
  return code;
}
