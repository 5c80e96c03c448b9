/* Recurrence rules of RFC 5545 (iCalendar): which local times they name, and when those come in a zone. Pure.
 *
 * The text is a rule ("FREQ=WEEKLY;BYDAY=MO,WE", with or without "RRULE:" before it), or lines of which one is such a rule and
 * the others are DTSTART, EXDATE and RDATE. Times are local (20260101T090000), UTC (with a Z; taken as local times of the zone)
 * or dates; a date is that whole day for UNTIL and EXDATE, its first moment for the others. What the rule leaves open (the day,
 * the time of day) is that of its start, as the RFC says; the start itself is an occurrence only if the rule names it. Rules are
 * expanded in local time, without a zone; then tk_dst says what becomes of times that the zone skips or repeats. COUNT counts
 * local times, before EXDATE takes some out. */
#ifndef TK_MODEL_RRULE_H
#define TK_MODEL_RRULE_H
#include "base/arena.h"
#include "model/daytimes.h"
#include "model/zone.h"

enum { TK_YEARLY, TK_MONTHLY, TK_WEEKLY, TK_DAILY, TK_HOURLY, TK_MINUTELY, TK_SECONDLY };

enum { TK_RRULE_WORDS = 6 };
/* Numbers 1-366, counted from the beginning and from the end; bit n stands for n. */
typedef struct tk_rrule_set {
  uint64_t ahead[TK_RRULE_WORDS], back[TK_RRULE_WORDS];
  bool any;
} tk_rrule_set;

/* A value but for the lists, which are the arena's. Local times are seconds. */
typedef struct tk_rrule {
  uint8_t frequency;
  uint8_t week_start;           /* 0 is Sunday */
  uint32_t interval;
  int64_t start, until;         /* both inclusive; until is INT64_MAX where the rule has no end */
  tk_daytimes times;            /* none empty; whole where the frequency lets each pass */
  uint16_t months;              /* 0: any; so with the sets */
  tk_rrule_set month_days, year_days, weeks, positions;
  uint8_t weekdays;             /* each of them */
  tk_rrule_set nth_weekdays[7]; /* the n-th in the month or year */
  bool any_nth;
  const int64_t *excluded, *excluded_days, *added;   /* times, days, times; sorted */
  uint32_t excluded_count, excluded_day_count, added_count;
} tk_rrule;

/* `starts_us` is where the rule starts unless the text has a DTSTART. TK_E_INVALID with the place, as tk_cron_parse;
 * also for a rule that never fires. */
int tk_rrule_parse(tk_slice text, int64_t starts_us, const tk_zone *zone, tk_arena *arena, tk_rrule *out, tk_err *err);
/* The first time after `after_us`, or false: there is none before the year 10000, or for frequencies under a day none within 400
 * years. */
bool tk_rrule_next(const tk_rrule *rule, const tk_zone *zone, tk_dst dst, int64_t after_us, int64_t *next_us);
/* The first local second in [from, to) that the rule names, or any number >= to. */
int64_t tk_rrule_next_local(const tk_rrule *rule, int64_t from, int64_t to);

#endif
