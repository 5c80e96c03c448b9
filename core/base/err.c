#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message cut at its end must not end inside a UTF-8 sequence: it goes into JSON. */
static void trim_partial_utf8(char *text, size_t size) {
  size_t start = size;
  while (start > 0 && size - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (size - (start - 1) < wanted) text[start - 1] = '\0';
}

/* Formats beside the message first: callers add context with the old message as an argument. */
int tk_err_set(tk_err *err, int code, const char *format, ...) {
  if (!err) return code;
  char message[sizeof err->message];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (length < 0) message[0] = '\0';
  if (length >= (int)sizeof message) trim_partial_utf8(message, sizeof message - 1);
  memcpy(err->message, message, strlen(message) + 1);
  err->code = code;
  err->details[0] = '\0';
  return code;
}

void tk_err_details(tk_err *err, const char *format, ...) {
  if (!err) return;
  va_list args;
  va_start(args, format);
  int length = vsnprintf(err->details, sizeof err->details, format, args);
  va_end(args);
  /* A cut JSON object is none: rather no details than broken ones. */
  if (length < 0 || length >= (int)sizeof err->details) err->details[0] = '\0';
}

const char *tk_err_name(int code) {
  static const char *const names[] = {"ok",      "not_found", "invalid", "conflict", "refused", "blocked",
                                      "timeout", "closed",    "full",    "io",       "corrupt", "unsupported"};
  unsigned index = (unsigned)-code;
  return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}

void tk_panic(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
  abort();
}
