/* JSON text (RFC 8259, strict) without Lua: a writer into a buffer, a validating scanner, and numbers as the whole program
 * writes them. The Lua value codec in bind/json.c is built on these. */
#ifndef TK_BASE_JSON_H
#define TK_BASE_JSON_H
#include "base/buf.h"
#include "base/err.h"

/* A double in its shortest round-trip form. `canonical`: as RFC 8785 / ECMAScript Number::toString ("1e+21", "0.000001", "1e-7";
 * 1.0 is "1"); otherwise always recognisable as a float ("1.0"), so that floats come back as floats. value is finite.
 * Returns the length; out holds 32. */
size_t tk_json_number(double value, bool canonical, char out[32]);
size_t tk_json_integer(int64_t value, char *out);                     /* the same; at most 20 bytes */
void tk_json_string(tk_buf *buf, tk_slice utf8);                     /* quoted and escaped; what is not UTF-8 becomes U+FFFD */
/* The same for text that must be UTF-8: returns text.size, or the offset of the first byte that is not (what was appended by
 * then is for the caller to take back). */
size_t tk_json_string_strict(tk_buf *buf, tk_slice text);

/* Writer with commas by itself: key() then one value, or values in an array. */
typedef struct tk_json_writer { tk_buf *buf; bool comma; } tk_json_writer;
static inline tk_json_writer tk_json_to(tk_buf *buf) { tk_json_writer w = {buf, false}; return w; }
void tk_json_object(tk_json_writer *w);        /* { */
void tk_json_object_end(tk_json_writer *w);    /* } */
void tk_json_array(tk_json_writer *w);
void tk_json_array_end(tk_json_writer *w);
void tk_json_key(tk_json_writer *w, const char *key);
void tk_json_put_str(tk_json_writer *w, tk_slice utf8);
void tk_json_put_cstr(tk_json_writer *w, const char *text);          /* NULL: null */
void tk_json_put_int(tk_json_writer *w, int64_t value);
void tk_json_put_double(tk_json_writer *w, double value);
void tk_json_put_bool(tk_json_writer *w, bool value);
void tk_json_put_null(tk_json_writer *w);
void tk_json_put_time(tk_json_writer *w, int64_t time_us);           /* RFC 3339 string; 0: null */
void tk_json_put_raw(tk_json_writer *w, tk_slice json);              /* a JSON value already encoded; empty: null */

/* Checks that text is one JSON value with at most max_depth levels of nesting, valid UTF-8, no duplicate checks.
 * 0 or TK_E_INVALID; err names the byte position (1-based line and column too). */
int tk_json_check(tk_slice text, int max_depth, tk_err *err);

/* The text of a member of an object that was checked before; the first of that name. Empty: there is none. */
tk_slice tk_json_member(tk_slice object, const char *key);

#endif
