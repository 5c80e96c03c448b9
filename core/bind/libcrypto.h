/* OpenSSL's libcrypto, loaded when it is first needed (docs/adr/0020-secrets.md): only its stable interface is used. Thread: any. */
#ifndef TK_BIND_LIBCRYPTO_H
#define TK_BIND_LIBCRYPTO_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A function and the pointer to it that is filled. */
typedef struct tk_symbol { void *to; const char *name; } tk_symbol;

/* Fills all of them; false: the library, or one of them, is not there. Opened once, never closed. */
bool tk_libcrypto_load(const tk_symbol *symbols, size_t count);
/* TK_E_UNSUPPORTED: `what` ("secrets", …) needs the library. */
int tk_libcrypto_missing(tk_err *err, const char *what);

#endif
