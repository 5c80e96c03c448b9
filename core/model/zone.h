/* Local time in an IANA zone: a view on TZif bytes (RFC 8536) and the POSIX rule at their end, which goes on for ever. Pure.
 *
 * A zone is a row of spans, in each of which local time is UTC plus one offset. Where the offset grows, local times are
 * skipped (a gap); where it shrinks, local times come twice (an overlap), whatever the reason: daylight saving of an hour or a
 * half, a country that changes sides of the date line. Everything here is built on the spans. Times are seconds: UTC since the
 * epoch, local as if the wall clock showed UTC; of the years 0 to 9999 or near them. */
#ifndef TK_MODEL_ZONE_H
#define TK_MODEL_ZONE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TK_ZONE_LARGEST_OFFSET (26 * 3600)   /* of local time from UTC, either way; beyond it a file is refused */
#define TK_ZONE_NEVER INT64_MAX              /* what a search answers that finds nothing */

/* When daylight saving begins or ends, in local time before the change. */
typedef struct tk_zone_change {
  char form;             /* 'M': weekday `day` (0 is Sunday) of week `week` (5: the last) of `month`; 'J': day 1-365, never 29
                            February; 'D': day 0-365 */
  uint8_t month, week;
  uint16_t day;
  int32_t time;          /* seconds after midnight, -167 to 167 hours */
} tk_zone_change;

/* A value; borrows the TZif bytes. Zeroed it is UTC. */
typedef struct tk_zone {
  const uint8_t *times, *types, *offsets;   /* of the file: change times (big endian), their types, records of 6 bytes a type */
  uint32_t time_count, time_size;           /* bytes of a time: 4 or 8 */
  bool has_rule, has_saving;                /* the POSIX rule; whether it has daylight saving */
  int32_t offset, saving_offset;
  tk_zone_change begin, end;
} tk_zone;

typedef struct tk_zone_span {
  int64_t from, to;      /* UTC, `to` exclusive; INT64_MIN and INT64_MAX where it has no end */
  int32_t offset;        /* local time less UTC */
} tk_zone_span;

/* No bytes at all are UTC. TK_E_INVALID when they are no zone, and why. */
int tk_zone_decode(tk_slice bytes, tk_zone *out, tk_err *err);
tk_zone_span tk_zone_span_at(const tk_zone *zone, int64_t utc);
static inline int64_t tk_zone_local(const tk_zone *zone, int64_t utc) { return utc + tk_zone_span_at(zone, utc).offset; }

/* The instants at which the clock shows `local`: count 0 (a gap; first and last are the first instant after it), 1 or more. */
typedef struct tk_zone_instants {
  int count;
  int64_t first, last;
} tk_zone_instants;
tk_zone_instants tk_zone_instants_of(const tk_zone *zone, int64_t local);

/* What becomes of a local time that the zone skips or repeats. */
enum { TK_GAP_SHIFT, TK_GAP_SKIP };                          /* the first instant after the gap; not at all */
enum { TK_OVERLAP_FIRST, TK_OVERLAP_LAST, TK_OVERLAP_BOTH };
typedef struct tk_dst { uint8_t gap, overlap; } tk_dst;      /* zeroed it is the default */

/* The first local time of a rule in [from, to), or any number >= to. */
typedef int64_t tk_next_local(const void *rule, int64_t from, int64_t to);
/* The first instant of `rule` in [from, to) UTC, or TK_ZONE_NEVER. Local times that fall on one instant are one.
 * Whatever `from` and `to` are, only the years 0 to 9999 are searched. */
int64_t tk_zone_next(const tk_zone *zone, tk_dst dst, tk_next_local *next_local, const void *rule, int64_t from, int64_t to);

#endif
