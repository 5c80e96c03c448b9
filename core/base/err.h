/* Errors: a code, one sentence, and optional details. Filled where the error is born, carried up unchanged.
 * Thread: a tk_err belongs to its caller's stack; any thread. */
#ifndef TK_BASE_ERR_H
#define TK_BASE_ERR_H

/* The codes of INTERFACE section 3; functions return 0 or one of these. */
enum {
  TK_OK = 0,
  TK_E_NOT_FOUND = -1,
  TK_E_INVALID = -2,
  TK_E_CONFLICT = -3,
  TK_E_REFUSED = -4,
  TK_E_BLOCKED = -5,
  TK_E_TIMEOUT = -6,
  TK_E_CLOSED = -7,
  TK_E_FULL = -8,
  TK_E_IO = -9,
  TK_E_CORRUPT = -10,
  TK_E_UNSUPPORTED = -11
};

typedef struct tk_err {
  int code;            /* TK_OK or TK_E_* */
  char message[1024];  /* one sentence: what, where, what would be right; NUL-terminated, cut if longer */
  char details[512];   /* a JSON object as text, or "" */
} tk_err;

/* Fills `err` (may be NULL) printf-style and returns `code`, so that `return tk_err_set(err, TK_E_IO, ...)` reads well. */
int tk_err_set(tk_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sets err->details (a JSON object as text), printf-style. Call after tk_err_set. */
void tk_err_details(tk_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "not_found" for TK_E_NOT_FOUND, ...; "ok" for 0. */
const char *tk_err_name(int code);

/* Prints "file:line: what" to stderr and aborts. Assertions stay on in every build; never for input from outside. */
void tk_panic(const char *file, int line, const char *what) __attribute__((noreturn));
#define TK_ASSERT(cond) ((cond) ? (void)0 : tk_panic(__FILE__, __LINE__, #cond))

#endif
