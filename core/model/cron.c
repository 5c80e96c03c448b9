#include "model/cron.h"

#include "base/date.h"

#define US_PER_SECOND 1000000
#define SEARCHED_SECONDS (146097LL * TK_DAY_SECONDS)   /* 400 years: then dates and weekdays repeat */

/* Bits 1 to the last day, every seventh one from `first` on. */
static uint32_t weekly(int first, int last) {
  uint32_t days = 0;
  for (int day = first; day <= last; day += 7) days |= 1u << day;
  return days;
}

/* The Monday to Friday nearest to a day, in the same month; `first` is the weekday of the 1st, `last` the last day. */
static int near_weekday(int day, int first, int last) {
  int weekday = (first + day - 1) % 7;
  if (weekday == 6) return day > 1 ? day - 1 : day + 2;
  if (weekday == 0) return day < last ? day + 1 : day - 2;
  return day;
}

static uint32_t days_by_month_day(const tk_cron *cron, int first, int last) {
  uint32_t days = cron->days;
  for (int day = 1; day <= last; day++) {
    uint32_t to_last = 1u << (last - day);
    if (cron->days_before_last & to_last) days |= 1u << day;
    if (cron->near >> day & 1 || cron->near_last & to_last) days |= 1u << near_weekday(day, first, last);
  }
  return days;
}

static uint32_t days_by_weekday(const tk_cron *cron, int first, int last) {
  uint32_t days = 0;
  for (int weekday = 0; weekday < 7; weekday++) {
    int day = 1 + (weekday - first + 7) % 7;
    uint32_t all = weekly(day, last);
    if (cron->weekdays >> weekday & 1) days |= all;
    for (int nth = 1; cron->nth_weekday[weekday] >> nth; nth++)
      if (cron->nth_weekday[weekday] >> nth & 1) days |= (uint32_t)(1ull << (day + 7 * (nth - 1))) & all;
    if (cron->nth_weekday[weekday] & 1) days |= 1u << (31 - __builtin_clz(all));
  }
  return days;
}

/* The days of a month as bits 1-31. `days` is the number of its first day since the epoch. */
static uint32_t days_of_month(const tk_cron *cron, int64_t days, int last) {
  int first = tk_weekday(days);
  uint32_t by_day = days_by_month_day(cron, first, last), by_weekday = days_by_weekday(cron, first, last);
  uint32_t chosen = cron->any_day || cron->any_weekday ? by_day & by_weekday : by_day | by_weekday;
  return chosen & (uint32_t)((1ull << (last + 1)) - 2);
}

int64_t tk_cron_next_local(const tk_cron *cron, int64_t from, int64_t to) {
  int64_t year, first;
  int month, day, time = (int)tk_floor_mod(from, TK_DAY_SECONDS);
  tk_date_of_days(tk_floor_div(from, TK_DAY_SECONDS), &year, &month, &day);
  while ((first = tk_date_to_days(year, month, 1)) * TK_DAY_SECONDS < to) {
    uint32_t days = cron->months >> month & 1 ? days_of_month(cron, first, tk_days_in_month(year, month)) : 0;
    for (days = (uint32_t)((uint64_t)days >> day << day); days; days &= days - 1) {
      int candidate = __builtin_ctz(days);
      if (candidate > day) time = 0;
      int found = tk_daytimes_next(&cron->times, time);
      if (found >= 0) return (first + candidate - 1) * TK_DAY_SECONDS + found;
      time = 0;
    }
    day = 1;
    time = 0;
    year += month == 12;
    month = month % 12 + 1;
  }
  return TK_ZONE_NEVER;
}

static int64_t next_local(const void *rule, int64_t from, int64_t to) {
  return tk_cron_next_local(rule, from, to);
}

bool tk_cron_next(const tk_cron *cron, const tk_zone *zone, tk_dst dst, int64_t after_us, int64_t *next_us) {
  int64_t from = tk_floor_div(after_us, US_PER_SECOND) + 1;
  if (from < TK_YEAR_0000_SECONDS) from = TK_YEAR_0000_SECONDS;
  if (cron->elapsed) dst = (tk_dst){TK_GAP_SKIP, TK_OVERLAP_BOTH};
  int64_t found = tk_zone_next(zone, dst, next_local, cron, from, from + SEARCHED_SECONDS);
  if (found == TK_ZONE_NEVER) return false;
  *next_us = found * US_PER_SECOND;
  return true;
}
