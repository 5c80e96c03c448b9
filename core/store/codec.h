/* The frame around every record and fast varints; only for records*.c. */
#ifndef TK_STORE_CODEC_H
#define TK_STORE_CODEC_H
#include "base/err.h"
#include "base/hash.h"
#include "store/records.h"

#define TK_FRAME_SIZE 5           /* version byte, CRC-32C */

/* Clears buf and makes room for the frame and `more` bytes; returns where the body starts. */
static inline uint8_t *tk_frame_begin(tk_buf *buf, uint8_t version, size_t more) {
  tk_buf_clear(buf);
  uint8_t *at = (uint8_t *)tk_buf_reserve(buf, TK_FRAME_SIZE + more);
  at[0] = version;
  buf->size = TK_FRAME_SIZE;
  return at + TK_FRAME_SIZE;
}

static inline uint32_t tk_frame_crc(uint8_t version, tk_slice key, const void *body, size_t size) {
  return tk_crc32c(tk_crc32c(version, key.data, key.size), body, size);
}

/* Ends a record whose body ends at buf->size. */
static inline tk_slice tk_frame_end(tk_buf *buf, tk_slice key) {
  uint8_t *at = (uint8_t *)buf->data;
  uint32_t crc = tk_frame_crc(at[0], key, at + TK_FRAME_SIZE, buf->size - TK_FRAME_SIZE);
  memcpy(at + 1, &crc, 4);
  return tk_buf_slice(buf);
}

/* The same for a body that was written up to `end` in the room tk_frame_begin made. */
static inline tk_slice tk_frame_end_at(tk_buf *buf, tk_slice key, const uint8_t *end) {
  buf->size = (size_t)(end - (const uint8_t *)buf->data);
  TK_ASSERT(buf->size <= buf->capacity);
  return tk_frame_end(buf, key);
}

/* Checks the frame; the record's version and a reader of its body, or 0 when damaged or newer than `newest`. */
static inline uint8_t tk_frame_open(tk_slice key, tk_slice record, uint8_t newest, tk_reader *body) {
  *body = tk_reader_of(tk_slice_of("", 0));
  body->bad = true;
  if (record.size < TK_FRAME_SIZE) return 0;
  const uint8_t *at = (const uint8_t *)record.data;
  uint32_t crc;
  memcpy(&crc, at + 1, 4);
  if (at[0] == 0 || at[0] > newest || tk_frame_crc(at[0], key, at + TK_FRAME_SIZE, record.size - TK_FRAME_SIZE) != crc) return 0;
  *body = tk_reader_of(tk_slice_of(at + TK_FRAME_SIZE, record.size - TK_FRAME_SIZE));
  return at[0];
}

/* Everything was read, and nothing malformed. */
static inline bool tk_frame_done(const tk_reader *body) { return !body->bad && body->at == body->end; }

static inline uint8_t *tk_enc(uint8_t *at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *at++ = (uint8_t)value;
  return at;
}
static inline uint64_t tk_zigzag(uint64_t value) { return (value << 1) ^ (value >> 63 ? UINT64_MAX : 0); }
/* to - from modulo 2^64: every pair of values survives. */
static inline uint8_t *tk_enc_difference(uint8_t *at, int64_t to, int64_t from) {
  return tk_enc(at, tk_zigzag((uint64_t)to - (uint64_t)from));
}

static inline uint64_t tk_dec(tk_reader *r) {
  const uint8_t *at = r->at;
  uint64_t value = 0;
  for (unsigned shift = 0; at < r->end && shift < 64; shift += 7) {
    uint8_t byte = *at++;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      r->at = at;
      return value;
    }
  }
  r->bad = true;
  r->at = r->end;
  return 0;
}
static inline uint32_t tk_dec_u32(tk_reader *r) {
  uint64_t value = tk_dec(r);
  if (value > UINT32_MAX) r->bad = true;
  return (uint32_t)value;
}
static inline uint8_t tk_dec_below(tk_reader *r, uint64_t limit) {
  uint64_t value = tk_dec(r);
  if (value >= limit) r->bad = true;
  return (uint8_t)value;
}
static inline uint16_t tk_dec_u16(tk_reader *r, uint64_t limit) {
  uint64_t value = tk_dec(r);
  if (value >= limit) r->bad = true;
  return (uint16_t)value;
}
static inline int64_t tk_dec_difference(tk_reader *r, int64_t from) {
  uint64_t value = tk_dec(r);
  return (int64_t)((uint64_t)from + ((value >> 1) ^ (0 - (value & 1))));
}

#endif
