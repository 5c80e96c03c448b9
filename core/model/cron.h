/* Cron expressions: which local times they name, and when those come in a zone. Pure.
 *
 * Five fields (minute, hour, day of the month, month, day of the week), or six with seconds first; a field is `*` or a list of
 * values, ranges `a-b` (not wrapping), each with a step `/n` if wanted (`a/n` goes to the field's end); months and days of the
 * week by number (0 and 7 are Sunday) or name. Day of the month besides: `L` the last day, `L-3` three days before it, `15W` the
 * weekday (Monday to Friday) nearest to the 15th in its month, `LW`, `L-3W`. Day of the week besides: `5L` the last Friday,
 * `MON#2` the second Monday. `?` is `*` in both. Or a macro: @yearly @annually @monthly @weekly @daily @midnight @hourly. When
 * both day fields are restricted a day of either fires; `*` and a whole field of `*` with a step do not restrict.
 *
 * An expression whose hour is `*` or that with a step follows elapsed time: it fires at each instant whose local time it names,
 * in both passes of a repeated hour, and a gap is not made up for. All others follow tk_dst. */
#ifndef TK_MODEL_CRON_H
#define TK_MODEL_CRON_H
#include "model/daytimes.h"
#include "model/zone.h"

/* A value; bit n stands for n. */
typedef struct tk_cron {
  tk_daytimes times;
  uint32_t days;               /* 1-31 */
  uint32_t days_before_last;   /* 0 is the last day of the month, 1 the one before it */
  uint32_t near, near_last;    /* the weekday nearest to such a day */
  uint16_t months;             /* 1-12 */
  uint8_t weekdays;            /* 0-6 */
  uint8_t nth_weekday[7];      /* of each weekday: 1-5, bit 0 is the last of the month */
  bool any_day, any_weekday;   /* the field does not restrict */
  bool elapsed;                /* follows elapsed time */
} tk_cron;

/* TK_E_INVALID with the place (from 1, in characters) in the message and as details `position`; also for an expression that
 * never fires. */
int tk_cron_parse(tk_slice text, tk_cron *out, tk_err *err);
/* The first time after `after_us`, or false: none within 400 years, in which all dates have come round, or before the year
 * 10000. */
bool tk_cron_next(const tk_cron *cron, const tk_zone *zone, tk_dst dst, int64_t after_us, int64_t *next_us);
/* The first local second in [from, to) that the expression names, or TK_ZONE_NEVER. */
int64_t tk_cron_next_local(const tk_cron *cron, int64_t from, int64_t to);

#endif
