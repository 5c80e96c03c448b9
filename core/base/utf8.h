#ifndef TK_BASE_UTF8_H
#define TK_BASE_UTF8_H
#include <stddef.h>
/* Offset of the first byte that is not valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF), or size when
 * all is. */
size_t tk_utf8_invalid_at(const char *text, size_t size);
/* Length (1 to 4) of the valid sequence at `text`, of which `left` bytes may be read, or 0. */
size_t tk_utf8_sequence(const char *text, size_t left);
#endif
