/* Reading of texts that people write (cron expressions, recurrence rules), with faults that name their place. Pure. */
#ifndef TK_MODEL_EXPRESSION_H
#define TK_MODEL_EXPRESSION_H
#include "base/buf.h"
#include "base/err.h"

/* `at` goes through a part of the text, which ends at `end`. Borrows the texts. */
typedef struct tk_expr {
  const char *kind;      /* "cron expression" */
  const char *part;      /* "the field for the hour": what is being read */
  tk_slice text;         /* data is not NULL */
  const char *at, *end;
  bool failed;
  tk_err *err;
} tk_expr;

/* A view of the whole text; `part` is to be set. */
tk_expr tk_expr_of(const char *kind, tk_slice text, tk_err *err);
/* Says what is wrong at `where`, a place in the text: TK_E_INVALID, the place (from 1) in the message and as details `position`.
 * Only the first fault counts. Returns false. */
bool tk_expr_fail(tk_expr *e, const char *where, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* That what stands at `at` cannot stand in the part; false. */
bool tk_expr_unexpected(tk_expr *e);

/* Is the next character this one? Letters are given in upper case and found in both. */
bool tk_expr_is_next(const tk_expr *e, char upper);
bool tk_expr_accept(tk_expr *e, char upper);
/* A number in [least, most]; `what` names it in messages ("minute"). */
bool tk_expr_number(tk_expr *e, const char *what, int least, int most, int *value);

#endif
