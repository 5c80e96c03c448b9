/* Records of breakers, and of what requests hold. */
#include "store/codec.h"

#define VERSION_BREAKER 1
#define VERSION_HOLD 1

tk_slice tk_write_breaker(tk_buf *buf, tk_slice key, const tk_breaker *breaker) {
  tk_frame_begin(buf, VERSION_BREAKER, 0);
  tk_buf_varint(buf, breaker->most);
  tk_buf_svarint(buf, breaker->reset_us);
  tk_buf_u8(buf, breaker->state);
  tk_buf_varint(buf, breaker->failures);
  tk_buf_varint(buf, breaker->epoch);
  tk_buf_svarint(buf, breaker->since_us);
  tk_buf_svarint(buf, breaker->until_us);
  tk_buf_bytes(buf, breaker->why);
  return tk_frame_end(buf, key);
}

bool tk_read_breaker(tk_slice key, tk_slice record, tk_breaker *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 4 || !tk_frame_open(key, record, VERSION_BREAKER, &r)) return false;
  out->no = tk_get_u32be(key.data);
  out->most = tk_dec_u32(&r);
  out->reset_us = tk_read_svarint(&r);
  out->state = tk_dec_below(&r, TK_BREAKER_STATE_COUNT);
  out->failures = tk_dec_u32(&r);
  out->epoch = tk_dec_u32(&r);
  out->since_us = tk_read_svarint(&r);
  out->until_us = tk_read_svarint(&r);
  out->why = tk_read_bytes(&r);
  out->there = true;
  return tk_frame_done(&r) && out->most > 0;
}

tk_slice tk_write_hold(tk_buf *buf, tk_slice key, const tk_hold *hold) {
  tk_frame_begin(buf, VERSION_HOLD, 0);
  tk_buf_varint(buf, hold->breaker);
  tk_buf_varint(buf, hold->epoch);
  tk_buf_varint(buf, hold->count);
  for (uint32_t i = 0; i < hold->count; i++) {
    tk_buf_varint(buf, hold->entries[i].limit);
    tk_buf_bytes(buf, hold->entries[i].key);
  }
  return tk_frame_end(buf, key);
}

bool tk_read_hold(tk_slice key, tk_slice record, tk_arena *arena, tk_hold *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 12 || !tk_frame_open(key, record, VERSION_HOLD, &r)) return false;
  out->process = tk_get_u32be(key.data);
  out->no = tk_get_u64be(key.data + 4);
  out->breaker = tk_dec_u32(&r);
  out->epoch = tk_dec_u32(&r);
  out->count = tk_dec_u32(&r);
  if (out->count > TK_LIMIT_STEP_LIMITS) return false;
  out->entries = TK_ARENA_ARRAY(arena, tk_hold_entry, out->count);
  for (uint32_t i = 0; i < out->count; i++) {
    out->entries[i].limit = tk_dec_u32(&r);
    out->entries[i].key = tk_read_bytes(&r);
  }
  out->there = true;
  return tk_frame_done(&r) && (out->count || out->breaker);
}
