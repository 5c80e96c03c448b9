#include "model/recurrence.h"

#include "base/date.h"

#define LAST_US (TK_YEAR_9999_SECONDS * 1000000 + 999999)

bool tk_every_next(int64_t phase_us, int64_t interval_us, int64_t after_us, int64_t *next_us) {
  TK_ASSERT(interval_us > 0);
  if (phase_us > LAST_US || after_us >= LAST_US) return false;
  if (after_us < phase_us) after_us = phase_us;
  /* In 128 bits, since a phase may be as early as numbers go. */
  __int128 passed = (__int128)after_us - phase_us;
  __int128 next = phase_us + (passed / interval_us + 1) * interval_us;
  if (next > LAST_US) return false;
  *next_us = (int64_t)next;
  return true;
}

static bool next_of_kind(const tk_recurrence *r, int64_t after_us, int64_t *next_us) {
  switch (r->kind) {
    case TK_RECUR_AT:
      *next_us = r->as.at_us;
      return r->as.at_us > after_us;
    case TK_RECUR_EVERY: return tk_every_next(r->as.every.phase_us, r->as.every.interval_us, after_us, next_us);
    case TK_RECUR_CRON: return tk_cron_next(&r->as.cron, &r->zone, r->dst, after_us, next_us);
    default: TK_ASSERT(r->kind == TK_RECUR_RRULE); return tk_rrule_next(&r->as.rrule, &r->zone, r->dst, after_us, next_us);
  }
}

bool tk_recurrence_next(const tk_recurrence *recurrence, int64_t after_us, int64_t *next_us) {
  if (recurrence->starts_us > INT64_MIN && after_us < recurrence->starts_us - 1) after_us = recurrence->starts_us - 1;
  return next_of_kind(recurrence, after_us, next_us) && *next_us <= recurrence->ends_us;
}
