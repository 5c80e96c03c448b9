/* Records of limits. */
#include <math.h>

#include "store/codec.h"

#define VERSION_LIMIT 1
#define VERSION_METER 1
#define VERSION_WAITER 1
#define VERSION_PERMIT 1

#define WAITER_ROOM 64

tk_key tk_key_meter(uint32_t limit, const uint8_t hash[16]) {
  tk_key key;
  tk_put_u32be(key.bytes, limit);
  memcpy(key.bytes + 4, hash, 16);
  key.size = 20;
  return key;
}

tk_key tk_key_waiter(const tk_waiter *waiter) {
  tk_key key = tk_key_meter(waiter->meter->limit->no, waiter->meter->hash);
  tk_put_u64be(key.bytes + 20, (uint64_t)waiter->since_us);
  tk_put_u64be(key.bytes + 28, waiter->task_no);
  tk_put_u32be(key.bytes + 36, waiter->step);
  key.size = 40;
  return key;
}

static void put_rules(tk_buf *buf, const tk_limit_rules *rules) {
  tk_buf_f64le(buf, rules->rate);
  tk_buf_f64le(buf, rules->per);
  tk_buf_varint(buf, rules->burst);
  tk_buf_varint(buf, rules->concurrency);
}

static void get_rules(tk_reader *r, tk_limit_rules *rules) {
  rules->rate = tk_read_f64le(r);
  rules->per = tk_read_f64le(r);
  rules->burst = tk_dec_u32(r);
  rules->concurrency = tk_dec_u32(r);
  if (!isfinite(rules->rate) || !isfinite(rules->per) || rules->rate < 0 || rules->per < 0) r->bad = true;
}

tk_slice tk_write_limit(tk_buf *buf, tk_slice key, const tk_limit *limit) {
  tk_frame_begin(buf, VERSION_LIMIT, 0);
  put_rules(buf, &limit->rules);
  put_rules(buf, &limit->declared);
  return tk_frame_end(buf, key);
}

bool tk_read_limit(tk_slice key, tk_slice record, tk_limit *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 4 || !tk_frame_open(key, record, VERSION_LIMIT, &r)) return false;
  out->no = tk_get_u32be(key.data);
  get_rules(&r, &out->rules);
  get_rules(&r, &out->declared);
  out->unit_ns = tk_limit_ns(&out->rules, 1);
  out->there = true;
  return tk_frame_done(&r);
}

tk_slice tk_write_meter(tk_buf *buf, tk_slice key, const tk_meter *meter) {
  tk_frame_begin(buf, VERSION_METER, 0);
  tk_buf_svarint(buf, meter->tat_ns);
  tk_buf_svarint(buf, meter->unit_ns);
  tk_buf_varint(buf, meter->holders);
  tk_buf_varint(buf, meter->waiting);
  tk_buf_varint(buf, meter->queued);
  tk_buf_varint(buf, meter->done);
  tk_buf_bytes(buf, meter->key);
  return tk_frame_end(buf, key);
}

bool tk_read_meter(tk_slice key, tk_slice record, tk_meter *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 20 || !tk_frame_open(key, record, VERSION_METER, &r)) return false;
  memcpy(out->hash, key.data + 4, 16);
  out->tat_ns = tk_read_svarint(&r);
  out->unit_ns = tk_read_svarint(&r);
  out->holders = tk_dec_u32(&r);
  out->waiting = tk_dec_u32(&r);
  out->queued = tk_dec(&r);
  out->done = tk_dec(&r);
  out->key = tk_read_bytes(&r);
  out->there = true;
  return tk_frame_done(&r) && out->done <= out->queued;
}

enum { WAITER_WOKEN = 1, WAITER_ELSEWHERE = 2 };
#define WAITER_FLAGS_END 4

tk_slice tk_write_waiter(tk_buf *buf, tk_slice key, const tk_waiter *waiter) {
  uint8_t *at = tk_frame_begin(buf, VERSION_WAITER, WAITER_ROOM);
  *at++ = (uint8_t)((waiter->woken ? WAITER_WOKEN : 0) | (waiter->elsewhere ? WAITER_ELSEWHERE : 0));
  at = tk_enc(at, waiter->cost);
  at = tk_enc(at, waiter->position);
  at = tk_enc_difference(at, waiter->slot_us, 0);
  return tk_frame_end_at(buf, key, at);
}

bool tk_read_waiter(tk_slice key, tk_slice record, tk_waiter *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 40 || !tk_frame_open(key, record, VERSION_WAITER, &r)) return false;
  out->since_us = (int64_t)tk_get_u64be(key.data + 20);
  out->task_no = tk_get_u64be(key.data + 28);
  out->step = tk_get_u32be(key.data + 36);
  uint8_t flags = tk_dec_below(&r, WAITER_FLAGS_END);
  out->woken = flags & WAITER_WOKEN;
  out->elsewhere = flags & WAITER_ELSEWHERE;
  out->cost = tk_dec_u32(&r);
  out->position = tk_dec(&r);
  out->slot_us = tk_dec_difference(&r, 0);
  out->there = true;
  return tk_frame_done(&r);
}

tk_slice tk_write_permit(tk_buf *buf, tk_slice key, const tk_permit *permit) {
  tk_frame_begin(buf, VERSION_PERMIT, 0);
  tk_buf_svarint(buf, permit->since_us);
  tk_buf_varint(buf, permit->count);
  for (uint32_t i = 0; i < permit->count; i++) {
    tk_buf_u8(buf, permit->entries[i].waits);
    tk_buf_bytes(buf, permit->entries[i].key);
  }
  return tk_frame_end(buf, key);
}

bool tk_read_permit(tk_slice key, tk_slice record, tk_arena *arena, tk_permit *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 12 || !tk_frame_open(key, record, VERSION_PERMIT, &r)) return false;
  out->task_no = tk_get_u64be(key.data);
  out->step = tk_get_u32be(key.data + 8);
  out->since_us = tk_read_svarint(&r);
  out->count = tk_dec_u32(&r);
  if (!out->count || out->count > TK_LIMIT_STEP_LIMITS) return false;
  out->entries = TK_ARENA_ARRAY(arena, tk_permit_entry, out->count);
  for (uint32_t i = 0; i < out->count; i++) {
    out->entries[i].waits = tk_dec_below(&r, 2);
    out->entries[i].key = tk_read_bytes(&r);
  }
  out->there = true;
  return tk_frame_done(&r);
}
