#include "model/expression.h"

#include <stdarg.h>
#include <stdio.h>

#define LONGEST_SHOWN 100

tk_expr tk_expr_of(const char *kind, tk_slice text, tk_err *err) {
  if (!text.data) text = tk_slice_str("");
  return (tk_expr){kind, kind, text, text.data, text.data + text.size, false, err};
}

bool tk_expr_fail(tk_expr *e, const char *where, const char *format, ...) {
  if (e->failed) return false;
  e->failed = true;
  char what[256], shown[LONGEST_SHOWN + 1];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  size_t size = e->text.size < LONGEST_SHOWN ? e->text.size : LONGEST_SHOWN;
  for (size_t i = 0; i < size; i++) shown[i] = e->text.data[i] < ' ' || e->text.data[i] > '~' ? '?' : e->text.data[i];
  shown[size] = '\0';
  int position = (int)(where - e->text.data) + 1;
  tk_err_set(e->err, TK_E_INVALID, "%s '%s': %s, at character %d", e->kind, shown, what, position);
  if (e->err) tk_err_details(e->err, "{\"position\":%d}", position);
  return false;
}

bool tk_expr_unexpected(tk_expr *e) {
  if (e->at == e->end) return tk_expr_fail(e, e->at, "%s ends too early", e->part);
  if (*e->at < ' ' || *e->at > '~') return tk_expr_fail(e, e->at, "%s has a character that cannot be", e->part);
  return tk_expr_fail(e, e->at, "'%c' cannot stand there in %s", *e->at, e->part);
}

bool tk_expr_is_next(const tk_expr *e, char upper) {
  return e->at < e->end && (*e->at == upper || (upper >= 'A' && upper <= 'Z' && *e->at == upper + ('a' - 'A')));
}

bool tk_expr_accept(tk_expr *e, char upper) {
  if (!tk_expr_is_next(e, upper)) return false;
  e->at++;
  return true;
}

bool tk_expr_number(tk_expr *e, const char *what, int least, int most, int *value) {
  const char *from = e->at;
  int64_t number = 0;
  while (e->at < e->end && *e->at >= '0' && *e->at <= '9') {
    if (number <= INT32_MAX) number = number * 10 + (*e->at - '0');
    e->at++;
  }
  *value = least;
  int digits = e->at - from > 9 ? 9 : (int)(e->at - from);
  if (!digits) return tk_expr_unexpected(e);
  if (number < least || number > most) return tk_expr_fail(e, from, "%s %.*s is not in %d-%d", what, digits, from, least, most);
  *value = (int)number;
  return true;
}
