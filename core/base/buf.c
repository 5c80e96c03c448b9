#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"

#define BUF_CAPACITY_FIRST 64

void tk_buf_free(tk_buf *buf) {
  tk_free(buf->data);
  *buf = (tk_buf){0};
}

void tk_buf_grow(tk_buf *buf, size_t more) {
  TK_ASSERT(more <= PTRDIFF_MAX - buf->size);
  size_t capacity = buf->capacity ? buf->capacity : BUF_CAPACITY_FIRST;
  while (capacity < buf->size + more) capacity *= 2;
  buf->data = tk_realloc(buf->data, capacity);
  buf->capacity = capacity;
}

void tk_buf_append(tk_buf *buf, const void *data, size_t size) {
  if (size == 0) return;
  memcpy(tk_buf_reserve(buf, size), data, size);
  buf->size += size;
}

void tk_buf_append_str(tk_buf *buf, const char *text) { tk_buf_append(buf, text, strlen(text)); }

void tk_buf_printf(tk_buf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  size_t room = buf->capacity - buf->size;
  int length = vsnprintf(room ? buf->data + buf->size : NULL, room, format, args);
  va_end(args);
  TK_ASSERT(length >= 0);
  if ((size_t)length >= room) vsnprintf(tk_buf_reserve(buf, (size_t)length + 1), (size_t)length + 1, format, again);
  va_end(again);
  buf->size += (size_t)length;
}

/* The machine is little endian (as the stores and loads of the header take it to be). */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian only");

void tk_buf_f64le(tk_buf *buf, double value) { tk_buf_append(buf, &value, 8); }

void tk_buf_varint(tk_buf *buf, uint64_t value) {
  uint8_t *at = (uint8_t *)tk_buf_reserve(buf, 10);
  size_t size = 0;
  while (value >= 0x80) {
    at[size++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  at[size++] = (uint8_t)value;
  buf->size += size;
}

void tk_buf_svarint(tk_buf *buf, int64_t value) {
  tk_buf_varint(buf, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void tk_buf_bytes(tk_buf *buf, tk_slice bytes) {
  tk_buf_varint(buf, bytes.size);
  tk_buf_append(buf, bytes.data, bytes.size);
}

/* The next `size` bytes, or NULL and `bad` when there are fewer. */
static const uint8_t *take(tk_reader *r, size_t size) {
  if (r->bad || size > (size_t)(r->end - r->at)) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += size;
  return at;
}

uint8_t tk_read_u8(tk_reader *r) {
  const uint8_t *at = take(r, 1);
  return at ? *at : 0;
}

uint32_t tk_read_u32be(tk_reader *r) {
  const uint8_t *at = take(r, 4);
  return at ? tk_get_u32be(at) : 0;
}

double tk_read_f64le(tk_reader *r) {
  const uint8_t *at = take(r, 8);
  double value = 0;
  if (at) memcpy(&value, at, 8);
  return value;
}

/* Only the shortest form is accepted, so that equal records are equal bytes. */
uint64_t tk_read_varint(tk_reader *r) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t *at = take(r, 1);
    if (!at) return 0;
    uint64_t bits = *at & 0x7F;
    if ((shift == 63 && bits > 1) || (shift > 0 && *at == 0)) break;
    value |= bits << shift;
    if (*at < 0x80) return value;
  }
  r->bad = true;
  return 0;
}

int64_t tk_read_svarint(tk_reader *r) {
  uint64_t value = tk_read_varint(r);
  return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

tk_slice tk_read_bytes(tk_reader *r) {
  uint64_t size = tk_read_varint(r);
  if (r->bad || size > (uint64_t)(r->end - r->at)) {
    r->bad = true;
    return tk_slice_of(NULL, 0);
  }
  return tk_slice_of(take(r, (size_t)size), (size_t)size);
}
