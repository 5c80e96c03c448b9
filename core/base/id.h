/* Task ids: UUIDv7 (RFC 9562 section 5.7), rising within a process (the 12 bits rand_a are a counter within a millisecond). */
#ifndef TK_BASE_ID_H
#define TK_BASE_ID_H
#include "base/clock.h"

typedef struct tk_id { uint8_t bytes[16]; } tk_id;
typedef struct tk_id_source { uint64_t last_ms; uint32_t counter; } tk_id_source;

/* The next id: time from now_us (never falls behind the last one given), random bits from rng. */
tk_id tk_id_next(tk_id_source *source, int64_t now_us, tk_rng *rng);
void tk_id_format(const tk_id *id, char out[37]);                    /* 8-4-4-4-12, lower case, NUL */
bool tk_id_parse(const char *text, size_t size, tk_id *id);          /* either case */

#endif
