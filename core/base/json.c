#include "base/json.h"

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/utf8.h"

#define STRING_PIECE 1024 /* escaped at a time, so that a long string does not reserve six times its size */
#define NOT_ASCII 'x'

/* How a byte stands in a string: 0 as itself, a letter behind a backslash, 'u' as \u00XX; NOT_ASCII needs a look. */
static const char class_of[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\', [0x80 ... 0xFF] = NOT_ASCII};

static char *put_escape(char *out, unsigned char c, char letter) {
  static const char digits[] = "0123456789abcdef";
  *out++ = '\\';
  *out++ = letter;
  if (letter != 'u') return out;
  *out++ = '0';
  *out++ = '0';
  *out++ = digits[c >> 4];
  *out++ = digits[c & 15];
  return out;
}

/* Escapes text from *at; stops at `stop`, or at a byte that is not UTF-8 (of text that goes on to `end`). Returns where the
 * output ends; *at is what was reached, a little behind `stop` when a character lies across it. */
static char *escape(const char **at, const char *stop, const char *end, char *out) {
  const char *from = *at;
  while (from < stop) {
    if (stop - from >= 8) { /* plain bytes, eight at a time */
      uint64_t word;
      memcpy(&word, from, 8);
      if (!tk_json_special_bytes(word)) {
        memcpy(out, &word, 8);
        from += 8;
        out += 8;
        continue;
      }
    }
    unsigned char c = (unsigned char)*from;
    char kind = class_of[c];
    if (!kind) {
      *out++ = *from++;
    } else if (kind != NOT_ASCII) {
      out = put_escape(out, c, kind);
      from++;
    } else {
      size_t size = tk_utf8_sequence(from, (size_t)(end - from));
      if (!size) break;
      memcpy(out, from, size);
      from += size;
      out += size;
    }
  }
  *at = from;
  return out;
}

/* Short strings, which are nearly all, take one reservation and no more bookkeeping. */
size_t tk_json_string_strict(tk_buf *buf, tk_slice text) {
  const char *at = text.data, *end = text.data + text.size;
  do {
    const char *piece = at;
    const char *stop = end - at > STRING_PIECE ? at + STRING_PIECE : end;
    char *start = tk_buf_reserve(buf, (size_t)(stop - at) * 6 + 8), *out = start;
    if (at == text.data) *out++ = '"';
    out = escape(&at, stop, end, out);
    if (at == end) *out++ = '"';
    buf->size += (size_t)(out - start);
    if (at < stop) return (size_t)(at - text.data);
    TK_ASSERT(at > piece || at == end);
  } while (at < end);
  return text.size;
}

void tk_json_string(tk_buf *buf, tk_slice utf8) {
  size_t start = buf->size;
  if (tk_json_string_strict(buf, utf8) == utf8.size) return;
  buf->size = start;
  tk_buf_u8(buf, '"');
  const char *at = utf8.data, *end = utf8.data + utf8.size;
  while (at < end) {
    const char *stop = end - at > STRING_PIECE ? at + STRING_PIECE : end;
    char *out = tk_buf_reserve(buf, (size_t)(stop - at) * 6 + 8);
    buf->size += (size_t)(escape(&at, stop, end, out) - out);
    if (at >= stop) continue;
    tk_buf_append_str(buf, "\xEF\xBF\xBD");
    at++;
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

tk_slice tk_json_member(tk_slice object, const char *key) {
  tk_json_scan scan = {object.data, object.data + object.size, NULL};
  tk_slice wanted = tk_slice_str(key), name = {NULL, 0};
  const char *value = NULL;
  int depth = 0;
  bool escaped;
  while (scan.at < scan.end) {
    char c = *scan.at++;
    if (c == '"') {
      const char *start = scan.at;
      if (!tk_json_scan_string(&scan, &escaped)) break;
      if (depth == 1 && !value) name = tk_slice_of(start, (size_t)(scan.at - start) - 1);
      continue;
    }
    if (c == ':' && depth == 1) value = scan.at;
    bool ends = depth == 1 && (c == ',' || c == '}');
    if (ends && value && tk_slice_eq(name, wanted)) {
      tk_json_scan trimmed = {value, scan.at - 1, NULL};
      tk_json_scan_space(&trimmed);
      return tk_slice_of(trimmed.at, (size_t)(scan.at - 1 - trimmed.at));
    }
    if (ends) value = NULL;
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
  }
  return tk_slice_of(NULL, 0);
}
