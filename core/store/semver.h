/* Semantic versions (semver.org 2.0.0), compared by precedence. A text that is none sorts below every version, by bytes. Pure. */
#ifndef TK_STORE_SEMVER_H
#define TK_STORE_SEMVER_H
#include "base/buf.h"

int tk_semver_compare(tk_slice a, tk_slice b);   /* < 0, 0, > 0; build metadata does not count */

#endif
