/* The record of a schedule: how far it is, then what was asked for. */
#include "store/codec.h"

#define VERSION_SCHEDULE 1

enum { FLAG_PAUSED = 1, FLAG_PRIORITY = 2, FLAGS_END = 4 };

static void put_times(tk_buf *buf, const tk_schedule *s) {
  tk_buf_svarint(buf, s->created_at_us);
  tk_buf_svarint(buf, s->updated_at_us);
  tk_buf_svarint(buf, s->phase_us);
  tk_buf_svarint(buf, s->next_us);
  tk_buf_svarint(buf, s->due_us);
  tk_buf_svarint(buf, s->last_us);
  tk_buf_varint(buf, s->last_task);
  tk_buf_varint(buf, s->made);
  tk_buf_varint(buf, s->skipped);
  tk_buf_varint(buf, s->taken);
  tk_buf_varint(buf, s->open);
}

static void put_lists(tk_buf *buf, const tk_schedule *s) {
  tk_buf_varint(buf, s->open_tasks.count);
  for (size_t i = 0; i < s->open_tasks.count; i++) tk_buf_varint(buf, s->open_tasks.items[i]);
  tk_buf_varint(buf, s->buffered.count);
  for (size_t i = 0; i < s->buffered.count; i++) tk_buf_svarint(buf, s->buffered.items[i]);
  tk_buf_varint(buf, s->backfills.count);
  for (size_t i = 0; i < s->backfills.count; i++) {
    tk_buf_svarint(buf, s->backfills.items[i].next_us);
    tk_buf_svarint(buf, s->backfills.items[i].to_us);
    tk_buf_svarint(buf, s->backfills.items[i].previous_us);
  }
}

static void put_spec(tk_buf *buf, const tk_schedule_spec *spec) {
  tk_buf_u8(buf, spec->kind);
  tk_buf_u8(buf, spec->overlap);
  tk_buf_u8(buf, spec->dst.gap);
  tk_buf_u8(buf, spec->dst.overlap);
  tk_buf_svarint(buf, spec->priority);
  tk_buf_varint(buf, spec->ask);
  tk_buf_svarint(buf, spec->at_us);
  tk_buf_svarint(buf, spec->every_us);
  tk_buf_svarint(buf, spec->catch_up_us);
  tk_buf_svarint(buf, spec->jitter_us);
  tk_buf_svarint(buf, spec->starts_us);
  tk_buf_svarint(buf, spec->ends_us);
  tk_buf_varint(buf, spec->count);
  for (int i = 0; i < TK_SCHEDULE_TEXT_COUNT; i++) tk_buf_bytes(buf, spec->texts[i]);
}

tk_slice tk_write_schedule(tk_buf *buf, tk_slice key, const tk_schedule *s, uint64_t last_log) {
  tk_frame_begin(buf, VERSION_SCHEDULE, 0);
  tk_buf_u8(buf, (s->paused ? FLAG_PAUSED : 0) | (s->spec.has_priority ? FLAG_PRIORITY : 0));
  tk_buf_varint(buf, last_log);
  put_times(buf, s);
  put_lists(buf, s);
  put_spec(buf, &s->spec);
  return tk_frame_end(buf, key);
}

static void get_times(tk_reader *r, tk_schedule *s) {
  s->created_at_us = tk_read_svarint(r);
  s->updated_at_us = tk_read_svarint(r);
  s->phase_us = tk_read_svarint(r);
  s->next_us = tk_read_svarint(r);
  s->due_us = tk_read_svarint(r);
  s->last_us = tk_read_svarint(r);
  s->last_task = tk_dec(r);
  s->made = tk_dec(r);
  s->skipped = tk_dec(r);
  s->taken = tk_dec(r);
  s->open = tk_dec(r);
}

static size_t get_count(tk_reader *r, size_t most) {
  uint64_t count = tk_dec(r);
  if (count > most) r->bad = true;
  return r->bad ? 0 : (size_t)count;
}

static void get_lists(tk_reader *r, tk_arena *arena, tk_schedule *s) {
  for (size_t left = get_count(r, TK_LIMIT_SCHEDULE_OPEN); left; left--) tk_list_push(arena, &s->open_tasks, tk_dec(r));
  for (size_t left = get_count(r, TK_LIMIT_SCHEDULE_BUFFER); left; left--) tk_list_push(arena, &s->buffered, tk_read_svarint(r));
  for (size_t left = get_count(r, TK_LIMIT_SCHEDULE_BACKFILLS); left; left--) {
    tk_backfill range = {.next_us = tk_read_svarint(r)};
    range.to_us = tk_read_svarint(r);
    range.previous_us = tk_read_svarint(r);
    tk_list_push(arena, &s->backfills, range);
  }
}

static void get_spec(tk_reader *r, tk_arena *arena, tk_schedule_spec *spec) {
  spec->kind = tk_dec_below(r, TK_RECUR_RRULE + 1);
  spec->overlap = tk_dec_below(r, TK_SCHEDULE_OVERLAP_COUNT);
  spec->dst.gap = tk_dec_below(r, TK_GAP_SKIP + 1);
  spec->dst.overlap = tk_dec_below(r, TK_OVERLAP_BOTH + 1);
  int64_t priority = tk_read_svarint(r);
  if (priority < INT32_MIN || priority > INT32_MAX) r->bad = true;
  spec->priority = (int32_t)priority;
  spec->ask = tk_dec_u32(r);
  spec->at_us = tk_read_svarint(r);
  spec->every_us = tk_read_svarint(r);
  spec->catch_up_us = tk_read_svarint(r);
  spec->jitter_us = tk_read_svarint(r);
  spec->starts_us = tk_read_svarint(r);
  spec->ends_us = tk_read_svarint(r);
  spec->count = tk_dec(r);
  if (spec->kind == TK_RECUR_EVERY && spec->every_us <= 0) r->bad = true;
  for (int i = 0; i < TK_SCHEDULE_TEXT_COUNT; i++) spec->texts[i] = tk_arena_copy(arena, tk_read_bytes(r));
}

bool tk_read_schedule(tk_slice key, tk_slice record, tk_arena *arena, tk_schedule *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 8 || !tk_frame_open(key, record, VERSION_SCHEDULE, &r)) return false;
  out->no = tk_get_u64be(key.data);
  uint8_t flags = tk_dec_below(&r, FLAGS_END);
  out->paused = flags & FLAG_PAUSED;
  out->last_log = tk_dec(&r);
  get_times(&r, out);
  get_lists(&r, arena, out);
  get_spec(&r, arena, &out->spec);
  out->spec.has_priority = flags & FLAG_PRIORITY;
  return tk_frame_done(&r);
}
