/* When something recurs, in one value whatever kind it is: a schedule asks it for the next time. Pure. */
#ifndef TK_MODEL_RECURRENCE_H
#define TK_MODEL_RECURRENCE_H
#include "model/cron.h"
#include "model/rrule.h"

enum { TK_RECUR_AT, TK_RECUR_EVERY, TK_RECUR_CRON, TK_RECUR_RRULE };

/* A value; borrows what its zone and rule borrow. */
typedef struct tk_recurrence {
  uint8_t kind;
  tk_dst dst;                 /* of cron and rrule */
  tk_zone zone;               /* zeroed it is UTC */
  int64_t starts_us;          /* nothing comes before it; INT64_MIN: without a beginning */
  int64_t ends_us;            /* nothing comes after it; INT64_MAX: without an end */
  union {
    int64_t at_us;
    struct { int64_t phase_us, interval_us; } every;   /* phase + interval, phase + 2 interval ... */
    tk_cron cron;
    tk_rrule rrule;
  } as;
} tk_recurrence;

/* The first time after `after_us`, or false when there is none. */
bool tk_recurrence_next(const tk_recurrence *recurrence, int64_t after_us, int64_t *next_us);

/* The first of phase + interval, phase + 2 interval ... after `after_us`; false where that is no time of the years up to 9999.
 * The interval is positive. */
bool tk_every_next(int64_t phase_us, int64_t interval_us, int64_t after_us, int64_t *next_us);

#endif
