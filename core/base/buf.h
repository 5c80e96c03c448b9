/* Bytes: a borrowed slice, and a growable buffer with the store's integer encodings.
 * Ownership words of this house: "owns" (frees it), "borrows until X", "moves" (the callee frees it from now on). */
#ifndef TK_BASE_BUF_H
#define TK_BASE_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; not NUL-terminated. data may be NULL when size is 0. */
typedef struct tk_slice {
  const char *data;
  size_t size;
} tk_slice;

static inline tk_slice tk_slice_of(const void *data, size_t size) { tk_slice s = {(const char *)data, size}; return s; }
static inline tk_slice tk_slice_str(const char *text) { return tk_slice_of(text, text ? strlen(text) : 0); }
static inline bool tk_slice_eq(tk_slice a, tk_slice b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Growable buffer; owns data. Zero-initialise ({0}) or tk_buf_clear to reuse; tk_buf_free at the end. */
typedef struct tk_buf {
  char *data;
  size_t size, capacity;
} tk_buf;

void tk_buf_free(tk_buf *buf);
static inline void tk_buf_clear(tk_buf *buf) { buf->size = 0; }
/* Makes room for `more` bytes after size and returns where they go (size is not changed). */
void tk_buf_grow(tk_buf *buf, size_t more);
static inline char *tk_buf_reserve(tk_buf *buf, size_t more) {
  if (!buf->data || more > buf->capacity - buf->size) tk_buf_grow(buf, more);
  return buf->data + buf->size;
}
void tk_buf_append(tk_buf *buf, const void *data, size_t size);
void tk_buf_append_str(tk_buf *buf, const char *text);
void tk_buf_printf(tk_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void tk_buf_u8(tk_buf *buf, uint8_t value) {
  *tk_buf_reserve(buf, 1) = (char)value;
  buf->size++;
}
void tk_buf_f64le(tk_buf *buf, double value);
void tk_buf_varint(tk_buf *buf, uint64_t value);  /* LEB128, 1 to 10 bytes */
void tk_buf_svarint(tk_buf *buf, int64_t value);  /* zigzag LEB128 */
void tk_buf_bytes(tk_buf *buf, tk_slice bytes);   /* varint size, then the bytes */
static inline tk_slice tk_buf_slice(const tk_buf *buf) { return tk_slice_of(buf->data, buf->size); }

/* Reads what the writers above wrote. Never reads past end: after the first short or malformed read `bad` is set, and every
 * read returns 0 / an empty slice, so that a decoder checks `bad` once at its end. Slices borrow the input. */
typedef struct tk_reader {
  const uint8_t *at, *end;
  bool bad;
} tk_reader;

static inline tk_reader tk_reader_of(tk_slice s) {
  tk_reader r = {(const uint8_t *)s.data, (const uint8_t *)s.data + s.size, false};
  return r;
}
static inline size_t tk_reader_left(const tk_reader *r) { return r->bad ? 0 : (size_t)(r->end - r->at); }
uint8_t tk_read_u8(tk_reader *r);
uint32_t tk_read_u32be(tk_reader *r);
double tk_read_f64le(tk_reader *r);
uint64_t tk_read_varint(tk_reader *r);
int64_t tk_read_svarint(tk_reader *r);
tk_slice tk_read_bytes(tk_reader *r);

/* Big-endian stores and loads for fixed-size keys on the stack. */
static inline void tk_put_u32be(void *at, uint32_t v) { v = __builtin_bswap32(v); memcpy(at, &v, 4); }
static inline void tk_put_u64be(void *at, uint64_t v) { v = __builtin_bswap64(v); memcpy(at, &v, 8); }
static inline uint32_t tk_get_u32be(const void *at) { uint32_t v; memcpy(&v, at, 4); return __builtin_bswap32(v); }
static inline uint64_t tk_get_u64be(const void *at) { uint64_t v; memcpy(&v, at, 8); return __builtin_bswap64(v); }

#endif
