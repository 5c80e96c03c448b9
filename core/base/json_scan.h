/* The tokens of JSON text, for those who read it: the checker here and the Lua value codec. Any thread. */
#ifndef TK_BASE_JSON_SCAN_H
#define TK_BASE_JSON_SCAN_H
#include "base/buf.h"
#include "base/err.h"

/* A cursor over text. After a failure `at` is the offending byte (or end) and `fault` says what is wrong with it. */
typedef struct tk_json_scan {
  const char *at, *end;
  const char *fault;
} tk_json_scan;

typedef struct tk_json_num {
  bool is_integer; /* written without fraction and exponent, and within 64 bits */
  int64_t integer;
  double number;
} tk_json_num;

extern const unsigned char tk_json_is_space[256];
static inline void tk_json_scan_space(tk_json_scan *scan) {
  while (scan->at < scan->end && tk_json_is_space[(unsigned char)*scan->at]) scan->at++;
}
/* 0x80 in each byte of `word` that does not stand for itself in a string: a control character, a quote, a backslash, or not
 * ASCII. Bytes above the lowest such one may be marked wrongly (borrows run upwards). */
static inline uint64_t tk_json_special_bytes(uint64_t word) {
  const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
  uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
  return ((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & highs;
}
/* From behind the opening quote to behind the closing one. `escaped`: there are escapes, so tk_json_unescape is needed. */
bool tk_json_scan_string(tk_json_scan *scan, bool *escaped);
/* From a digit or '-' to behind the number. Refuses what no double can hold ("1e999"). */
bool tk_json_scan_number(tk_json_scan *scan, tk_json_num *num);
/* `word` ("true", "false", "null") is next: goes behind it. */
bool tk_json_scan_word(tk_json_scan *scan, const char *word);
/* Decodes the inside of a string that was scanned; out holds raw.size bytes. Returns the length. */
size_t tk_json_unescape(tk_slice raw, char *out);
/* TK_E_INVALID with the place of scan->at in `text` (1-based byte, line and column) and scan->fault. */
int tk_json_scan_error(const tk_json_scan *scan, tk_slice text, tk_err *err);

/* digits * 10^exponent, correctly rounded (infinite when too large); digits below 10^19. */
double tk_json_decimal(uint64_t digits, int exponent);

#endif
