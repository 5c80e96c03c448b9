#include "base/json_scan.h"

#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"

const unsigned char tk_json_is_space[256] = {[' '] = 1, ['\t'] = 1, ['\n'] = 1, ['\r'] = 1};

static bool fault(tk_json_scan *scan, const char *what) {
  scan->fault = what;
  return false;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The code unit of "XXXX", or -1. */
static int hex_unit(const char *at, const char *end) {
  if (end - at < 4) return -1;
  int unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

static bool is_high_surrogate(int unit) { return (unit & 0xFC00) == 0xD800; }
static bool is_low_surrogate(int unit) { return (unit & 0xFC00) == 0xDC00; }

/* At a backslash; on failure scan->at stays there. */
static bool scan_escape(tk_json_scan *scan) {
  const char *at = scan->at + 1;
  if (at == scan->end) return fault(scan, "the string does not end");
  if (*at != 'u') {
    if (!memchr("\"\\/bfnrt", *at, 8)) return fault(scan, "no such escape");
    scan->at = at + 1;
    return true;
  }
  int unit = hex_unit(at + 1, scan->end);
  if (unit < 0) return fault(scan, "\\u needs four hexadecimal digits");
  at += 5;
  if (is_low_surrogate(unit)) return fault(scan, "a low surrogate without a high one");
  if (is_high_surrogate(unit)) {
    if (scan->end - at < 6 || at[0] != '\\' || at[1] != 'u' || !is_low_surrogate(hex_unit(at + 2, scan->end)))
      return fault(scan, "a high surrogate without a low one");
    at += 6;
  }
  scan->at = at;
  return true;
}

bool tk_json_scan_string(tk_json_scan *scan, bool *escaped) {
  *escaped = false;
  for (;;) {
    while (scan->end - scan->at >= 8) {
      uint64_t word, special;
      memcpy(&word, scan->at, 8);
      special = tk_json_special_bytes(word);
      if (special) {
        scan->at += __builtin_ctzll(special) / 8;
        break;
      }
      scan->at += 8;
    }
    if (scan->at == scan->end) return fault(scan, "the string does not end");
    unsigned char c = (unsigned char)*scan->at;
    if (c == '"') {
      scan->at++;
      return true;
    }
    if (c == '\\') {
      *escaped = true;
      if (!scan_escape(scan)) return false;
    } else if (c < 0x20) {
      return fault(scan, "a control character must be escaped");
    } else {
      size_t size = tk_utf8_sequence(scan->at, (size_t)(scan->end - scan->at));
      if (size == 0) return fault(scan, "invalid UTF-8");
      scan->at += size;
    }
  }
}

static char *put_utf8(char *out, unsigned code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3F));
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

size_t tk_json_unescape(tk_slice raw, char *out) {
  static const char simple[128] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                   ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
  const char *at = raw.data, *end = raw.data + raw.size;
  char *to = out;
  while (at < end) {
    const char *backslash = memchr(at, '\\', (size_t)(end - at));
    size_t plain = (size_t)((backslash ? backslash : end) - at);
    memcpy(to, at, plain);
    to += plain;
    if (!backslash) break;
    at = backslash + 2;
    if (backslash[1] != 'u') {
      *to++ = simple[(unsigned char)backslash[1] & 0x7F];
      continue;
    }
    unsigned code = (unsigned)hex_unit(at, end);
    at += 4;
    if (is_high_surrogate((int)code)) {
      code = 0x10000 + ((code & 0x3FF) << 10) + ((unsigned)hex_unit(at + 2, end) & 0x3FF);
      at += 6;
    }
    to = put_utf8(to, code);
  }
  return (size_t)(to - out);
}

bool tk_json_scan_word(tk_json_scan *scan, const char *word) {
  size_t size = strlen(word);
  if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) return fault(scan, "expected a value");
  scan->at += size;
  return true;
}

int tk_json_scan_error(const tk_json_scan *scan, tk_slice text, tk_err *err) {
  size_t byte = (size_t)(scan->at - text.data), line = 1, column = 1;
  for (size_t i = 0; i < byte; i++) {
    if (text.data[i] == '\n') {
      line++;
      column = 1;
    } else {
      column += ((unsigned char)text.data[i] & 0xC0) != 0x80; /* characters, not bytes */
    }
  }
  tk_err_set(err, TK_E_INVALID, "invalid JSON at byte %zu (line %zu, column %zu): %s", byte + 1, line, column,
             byte == text.size && text.size == 0 ? "there is no text" : scan->fault);
  tk_err_details(err, "{\"byte\":%zu,\"line\":%zu,\"column\":%zu}", byte + 1, line, column);
  return TK_E_INVALID;
}

/* The open containers, one byte each: '{' or '['. */
typedef struct checker {
  tk_json_scan scan;
  tk_buf open;
  int max_depth;
  char fault[64];
} checker;

static bool check_open(checker *c, char kind) {
  if (c->open.size >= (size_t)c->max_depth) {
    snprintf(c->fault, sizeof c->fault, "nested deeper than %d levels", c->max_depth);
    return fault(&c->scan, c->fault);
  }
  tk_buf_u8(&c->open, (uint8_t)kind);
  c->scan.at++;
  return true;
}

/* A key and its colon. */
static bool check_key(checker *c) {
  bool escaped;
  tk_json_scan_space(&c->scan);
  if (c->scan.at == c->scan.end || *c->scan.at != '"') return fault(&c->scan, "expected a key in double quotes");
  c->scan.at++;
  if (!tk_json_scan_string(&c->scan, &escaped)) return false;
  tk_json_scan_space(&c->scan);
  if (c->scan.at == c->scan.end || *c->scan.at != ':') return fault(&c->scan, "expected ':' behind the key");
  c->scan.at++;
  return true;
}

/* One scalar, or the beginning of a container; *opened: a value inside it comes next. */
static bool check_value(checker *c, bool *opened) {
  tk_json_scan *scan = &c->scan;
  bool escaped;
  tk_json_num num;
  *opened = false;
  tk_json_scan_space(scan);
  if (scan->at == scan->end) return fault(scan, "expected a value");
  char first = *scan->at;
  switch (first) {
    case '"': scan->at++; return tk_json_scan_string(scan, &escaped);
    case 't': return tk_json_scan_word(scan, "true");
    case 'f': return tk_json_scan_word(scan, "false");
    case 'n': return tk_json_scan_word(scan, "null");
    case '{':
    case '[':
      if (!check_open(c, first)) return false;
      tk_json_scan_space(scan);
      if (scan->at < scan->end && *scan->at == (first == '{' ? '}' : ']')) {
        scan->at++;
        c->open.size--;
        return true;
      }
      *opened = true;
      return first == '[' || check_key(c);
    default:
      if (first == '-' || (first >= '0' && first <= '9')) return tk_json_scan_number(scan, &num);
      return fault(scan, "expected a value");
  }
}

/* Behind a value: closes what ends here. *more: another value follows in the container that is open now. */
static bool check_after(checker *c, bool *more) {
  tk_json_scan *scan = &c->scan;
  *more = false;
  while (c->open.size > 0) {
    bool object = c->open.data[c->open.size - 1] == '{';
    tk_json_scan_space(scan);
    if (scan->at < scan->end && *scan->at == ',') {
      scan->at++;
      *more = true;
      return !object || check_key(c);
    }
    if (scan->at == scan->end || *scan->at != (object ? '}' : ']'))
      return fault(scan, object ? "expected ',' or '}'" : "expected ',' or ']'");
    scan->at++;
    c->open.size--;
  }
  tk_json_scan_space(scan);
  return scan->at == scan->end || fault(scan, "unexpected text behind the value");
}

int tk_json_check(tk_slice text, int max_depth, tk_err *err) {
  if (!text.data) text.data = "";
  checker c = {.scan = {text.data, text.data + text.size, ""}, .max_depth = max_depth};
  bool ok = true, next = true;
  while (ok && next) {
    bool opened;
    ok = check_value(&c, &opened);
    if (ok && !opened) ok = check_after(&c, &next);
  }
  tk_buf_free(&c.open);
  return ok ? 0 : tk_json_scan_error(&c.scan, text, err);
}
