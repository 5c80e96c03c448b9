#include "base/json.h"

#include "base/clock.h"

/* How a byte stands in a string: 0 as itself, a letter behind a backslash, or 'u' as \u00XX. */
static const char escape_of[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\'};

#define STRING_PIECE 1024 /* escaped at a time, so that a long string does not reserve six times its size */

static char *escape_piece(const char *text, size_t size, char *at) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    char escape = escape_of[c];
    if (!escape) {
      *at++ = (char)c;
      continue;
    }
    *at++ = '\\';
    *at++ = escape;
    if (escape == 'u') {
      *at++ = '0';
      *at++ = '0';
      *at++ = digits[c >> 4];
      *at++ = digits[c & 15];
    }
  }
  return at;
}

void tk_json_string(tk_buf *buf, tk_slice utf8) {
  tk_buf_u8(buf, '"');
  while (utf8.size > 0) {
    size_t size = utf8.size < STRING_PIECE ? utf8.size : STRING_PIECE;
    char *out = tk_buf_reserve(buf, size * 6 + 1);
    buf->size += (size_t)(escape_piece(utf8.data, size, out) - out);
    utf8.data += size;
    utf8.size -= size;
  }
  tk_buf_u8(buf, '"');
}

/* Before a value or a key: the comma that separates it from the one before. */
static void separate(tk_json_writer *w) {
  if (w->comma) tk_buf_u8(w->buf, ',');
  w->comma = true;
}

static void open_with(tk_json_writer *w, char bracket) {
  separate(w);
  tk_buf_u8(w->buf, (uint8_t)bracket);
  w->comma = false;
}

static void close_with(tk_json_writer *w, char bracket) {
  tk_buf_u8(w->buf, (uint8_t)bracket);
  w->comma = true;
}

void tk_json_object(tk_json_writer *w) { open_with(w, '{'); }
void tk_json_object_end(tk_json_writer *w) { close_with(w, '}'); }
void tk_json_array(tk_json_writer *w) { open_with(w, '['); }
void tk_json_array_end(tk_json_writer *w) { close_with(w, ']'); }

void tk_json_key(tk_json_writer *w, const char *key) {
  separate(w);
  tk_json_string(w->buf, tk_slice_str(key));
  tk_buf_u8(w->buf, ':');
  w->comma = false;
}

void tk_json_put_str(tk_json_writer *w, tk_slice utf8) {
  separate(w);
  tk_json_string(w->buf, utf8);
}

void tk_json_put_cstr(tk_json_writer *w, const char *text) {
  if (text) tk_json_put_str(w, tk_slice_str(text));
  else tk_json_put_null(w);
}

void tk_json_put_int(tk_json_writer *w, int64_t value) {
  separate(w);
  w->buf->size += tk_json_integer(value, tk_buf_reserve(w->buf, 32));
}

void tk_json_put_double(tk_json_writer *w, double value) {
  separate(w);
  w->buf->size += tk_json_number(value, false, tk_buf_reserve(w->buf, 32));
}

void tk_json_put_bool(tk_json_writer *w, bool value) { tk_json_put_raw(w, tk_slice_str(value ? "true" : "false")); }

void tk_json_put_null(tk_json_writer *w) { tk_json_put_raw(w, tk_slice_str("null")); }

void tk_json_put_time(tk_json_writer *w, int64_t time_us) {
  char text[32];
  if (time_us == 0) {
    tk_json_put_null(w);
    return;
  }
  tk_time_format(time_us, text);
  tk_json_put_cstr(w, text);
}

void tk_json_put_raw(tk_json_writer *w, tk_slice json) {
  separate(w);
  if (json.size) tk_buf_append(w->buf, json.data, json.size);
  else tk_buf_append_str(w->buf, "null");
}
