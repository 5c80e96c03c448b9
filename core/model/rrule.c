#include "model/rrule.h"

#include "base/date.h"

#define US_PER_SECOND 1000000
#define SEARCHED_SECONDS (146097LL * TK_DAY_SECONDS)   /* 400 years: then dates and weekdays repeat */

enum { LONGEST_PERIOD_DAYS = 366 };

/* ---- which days ---- */

/* A day with all that rules ask of it; counts begin with 1. */
typedef struct day {
  int64_t days, year;
  int month, of_month, of_year, weekday;
  int month_days, year_days;
} day;

static day day_of(int64_t days) {
  day d = {.days = days, .weekday = tk_weekday(days)};
  tk_date_of_days(days, &d.year, &d.month, &d.of_month);
  d.of_year = (int)(days - tk_date_to_days(d.year, 1, 1)) + 1;
  d.month_days = tk_days_in_month(d.year, d.month);
  d.year_days = tk_days_in_year(d.year);
  return d;
}

static void go_on(day *d) {
  if (d->of_month == d->month_days) {
    *d = day_of(d->days + 1);
    return;
  }
  d->days++;
  d->of_month++;
  d->of_year++;
  d->weekday = (d->weekday + 1) % 7;
}

static bool has_bit(const uint64_t *words, int n) { return n > 0 && n / 64 < TK_RRULE_WORDS && words[n / 64] >> n % 64 & 1; }

/* Is the n-th of `count` in the set? */
static bool has(const tk_rrule_set *set, int n, int count) { return has_bit(set->ahead, n) || has_bit(set->back, count - n + 1); }

/* Where week 1 begins, as day of the year (it may be before day 1): it is the first week with four days or more in the year.
 * `into` is the number of days by which 1 January is into its week. */
static int first_week(int into) { return into <= 3 ? 1 - into : 8 - into; }

static bool week_fits(const tk_rrule *rule, const day *d) {
  int into = (int)tk_floor_mod(d->weekday - (d->of_year - 1) - rule->week_start, 7);
  int year_days = d->year_days, of_year = d->of_year;
  if (of_year < first_week(into)) {   /* in the last week of the year before */
    year_days = tk_days_in_year(d->year - 1);
    of_year += year_days;
    into = (into - year_days % 7 + 7) % 7;
  } else if (of_year >= year_days + first_week((into + year_days) % 7)) {   /* in the first week of the next */
    of_year -= year_days;
    into = (into + year_days) % 7;
    year_days = tk_days_in_year(d->year + 1);
  }
  int begin = first_week(into), end = year_days + first_week((into + year_days) % 7);
  return has(&rule->weeks, (of_year - begin) / 7 + 1, (end - begin) / 7);
}

static bool weekday_fits(const tk_rrule *rule, const day *d) {
  if (rule->weekdays >> d->weekday & 1) return true;
  if (!rule->any_nth) return false;
  bool of_month = rule->frequency == TK_MONTHLY || rule->months;
  int n = of_month ? d->of_month : d->of_year, last = of_month ? d->month_days : d->year_days;
  int nth = (n - 1) / 7 + 1;
  return has(&rule->nth_weekdays[d->weekday], nth, nth + (last - n) / 7);
}

static bool day_fits(const tk_rrule *rule, const day *d) {
  if (rule->months && !(rule->months >> d->month & 1)) return false;
  if ((rule->weekdays || rule->any_nth) && !weekday_fits(rule, d)) return false;
  if (rule->month_days.any && !has(&rule->month_days, d->of_month, d->month_days)) return false;
  if (rule->year_days.any && !has(&rule->year_days, d->of_year, d->year_days)) return false;
  return !rule->weeks.any || week_fits(rule, d);
}

/* ---- one period: some days, and on each the same times ---- */

typedef struct period {
  int64_t days[LONGEST_PERIOD_DAYS];   /* those that fit */
  int day_count;
  tk_daytimes times;
} period;

static int nth_bit(uint64_t bits, int n) {
  while (n-- > 0) bits &= bits - 1;
  return __builtin_ctzll(bits);
}

/* The time at `index`, from 0, of the period. */
static int64_t time_at(const period *p, int index) {
  int seconds = __builtin_popcountll(p->times.seconds), minutes = __builtin_popcountll(p->times.minutes);
  int hours = __builtin_popcount(p->times.hours), a_day = hours * minutes * seconds;
  int64_t days = p->days[index / a_day];
  index %= a_day;
  return days * TK_DAY_SECONDS + nth_bit(p->times.hours, index / (minutes * seconds)) * 3600 +
         nth_bit(p->times.minutes, index / seconds % minutes) * 60 + nth_bit(p->times.seconds, index % seconds);
}

/* The first of the times that BYSETPOS picks, from `from` on. */
static int64_t next_picked(const tk_rrule *rule, const period *p, int64_t from) {
  int count = p->day_count * __builtin_popcount(p->times.hours) * __builtin_popcountll(p->times.minutes) *
              __builtin_popcountll(p->times.seconds);
  int64_t first = TK_ZONE_NEVER;
  for (int position = 1; position <= LONGEST_PERIOD_DAYS && position <= count; position++) {
    int64_t ahead = has_bit(rule->positions.ahead, position) ? time_at(p, position - 1) : TK_ZONE_NEVER;
    int64_t back = has_bit(rule->positions.back, position) ? time_at(p, count - position) : TK_ZONE_NEVER;
    if (ahead >= from && ahead < first) first = ahead;
    if (back >= from && back < first) first = back;
  }
  return first;
}

static int64_t next_of_period(const tk_rrule *rule, const period *p, int64_t from) {
  if (rule->positions.any) return next_picked(rule, p, from);
  for (int i = 0; i < p->day_count; i++) {
    int64_t midnight = p->days[i] * TK_DAY_SECONDS;
    if (from >= midnight + TK_DAY_SECONDS) continue;
    int time = tk_daytimes_next(&p->times, from > midnight ? (int)(from - midnight) : 0);
    if (time >= 0) return midnight + time;
  }
  return TK_ZONE_NEVER;
}

/* ---- frequencies of a day and more ---- */

/* The number of the year, month, week or day that `days` lies in, and the first day of one. */
static int64_t unit_of(const tk_rrule *rule, int64_t days) {
  int64_t year;
  int month, of_month;
  if (rule->frequency == TK_DAILY) return days;
  if (rule->frequency == TK_WEEKLY) return tk_floor_div(days + 4 - rule->week_start, 7);
  tk_date_of_days(days, &year, &month, &of_month);
  return rule->frequency == TK_YEARLY ? year : year * 12 + month - 1;
}

static int64_t first_day_of(const tk_rrule *rule, int64_t unit) {
  if (rule->frequency == TK_DAILY) return unit;
  if (rule->frequency == TK_WEEKLY) return unit * 7 - 4 + rule->week_start;
  if (rule->frequency == TK_YEARLY) return tk_date_to_days(unit, 1, 1);
  return tk_date_to_days(tk_floor_div(unit, 12), (int)tk_floor_mod(unit, 12) + 1, 1);
}

/* The first of start, start + step, start + 2 step ... that is not before `at`. */
static int64_t align(int64_t start, int64_t step, int64_t at) {
  return at <= start ? start : start - tk_floor_div(start - at, step) * step;
}

/* Without BYSETPOS only the days from `from` on matter. */
static void collect_days(const tk_rrule *rule, int64_t begin, int64_t end, int64_t from, period *p) {
  int64_t from_day = tk_floor_div(from, TK_DAY_SECONDS);
  if (!rule->positions.any && begin < from_day) begin = from_day;
  p->day_count = 0;
  if (begin >= end) return;
  for (day d = day_of(begin); d.days < end; go_on(&d)) {
    if (!day_fits(rule, &d)) continue;
    p->days[p->day_count++] = d.days;
    if (!rule->positions.any && d.days > from_day) break;   /* a whole day: its first time is the answer */
  }
}

static int64_t next_by_days(const tk_rrule *rule, int64_t from, int64_t to) {
  int64_t start = unit_of(rule, tk_floor_div(rule->start, TK_DAY_SECONDS));
  int64_t unit = align(start, rule->interval, unit_of(rule, tk_floor_div(from, TK_DAY_SECONDS)));
  period p = {.times = rule->times};
  for (;; unit += rule->interval) {
    int64_t begin = first_day_of(rule, unit);
    if (begin * TK_DAY_SECONDS >= to) return TK_ZONE_NEVER;
    collect_days(rule, begin, first_day_of(rule, unit + 1), from, &p);
    int64_t found = p.day_count ? next_of_period(rule, &p, from) : TK_ZONE_NEVER;
    if (found != TK_ZONE_NEVER) return found;
  }
}

/* ---- frequencies under a day ---- */

static int unit_seconds(const tk_rrule *rule) {
  return rule->frequency == TK_HOURLY ? 3600 : rule->frequency == TK_MINUTELY ? 60 : 1;
}

/* Narrows `times` to the period that begins at `time`, a second of the day. Where the rule does not let it pass: false, and
 * `*skip_to` is the second of the day before which no other passes. */
static bool narrow(const tk_rrule *rule, int time, tk_daytimes *times, int *skip_to) {
  *times = rule->times;
  *skip_to = tk_next_bit(times->hours, time / 3600) == TK_NO_BIT ? TK_DAY_SECONDS : tk_next_bit(times->hours, time / 3600) * 3600;
  if (*skip_to > time) return false;
  times->hours = 1u << time / 3600;
  if (rule->frequency == TK_HOURLY) return true;
  int minute = time / 60 % 60, next = tk_next_bit(times->minutes, minute);
  *skip_to = time / 3600 * 3600 + (next == TK_NO_BIT ? 3600 : next * 60);
  if (*skip_to > time) return false;
  times->minutes = 1ull << minute;
  if (rule->frequency == TK_MINUTELY) return true;
  next = tk_next_bit(times->seconds, time % 60);
  *skip_to = time / 60 * 60 + (next == TK_NO_BIT ? 60 : next);
  times->seconds = 1ull << time % 60;
  return *skip_to <= time;
}

static int64_t next_by_times(const tk_rrule *rule, int64_t from, int64_t to) {
  int unit = unit_seconds(rule);
  int64_t step = (int64_t)rule->interval * unit, start = tk_floor_div(rule->start, unit) * unit;
  int64_t at = align(start, step, tk_floor_div(from, unit) * unit);
  period p = {.day_count = 1};
  day d = {.days = INT64_MIN};
  bool fits = false;
  while (at < to) {
    int64_t days = tk_floor_div(at, TK_DAY_SECONDS), midnight = days * TK_DAY_SECONDS;
    int skip_to;
    if (days != d.days) {
      d = day_of(days);
      fits = day_fits(rule, &d);
    }
    if (!fits) {
      at = align(start, step, midnight + TK_DAY_SECONDS);
    } else if (!narrow(rule, (int)(at - midnight), &p.times, &skip_to)) {
      at = align(start, step, midnight + skip_to);
    } else {
      p.days[0] = days;
      int64_t found = next_of_period(rule, &p, from);
      if (found != TK_ZONE_NEVER) return found;
      at += step;
    }
  }
  return TK_ZONE_NEVER;
}

/* ---- the rule with its lists ---- */

static bool is_listed(const int64_t *list, uint32_t count, int64_t value) {
  for (uint32_t i = 0; i < count; i++)
    if (list[i] == value) return true;
  return false;
}

/* The first time behind `local` where EXDATE takes that out, else `local`. */
static int64_t skip_excluded(const tk_rrule *rule, int64_t local) {
  int64_t days = tk_floor_div(local, TK_DAY_SECONDS);
  if (is_listed(rule->excluded_days, rule->excluded_day_count, days)) return (days + 1) * TK_DAY_SECONDS;
  return local + is_listed(rule->excluded, rule->excluded_count, local);
}

static int64_t next_by_rule(const tk_rrule *rule, int64_t from, int64_t to) {
  if (from < rule->start) from = rule->start;
  if (rule->until < INT64_MAX && to > rule->until + 1) to = rule->until + 1;
  while (from < to) {
    int64_t found = rule->frequency <= TK_DAILY ? next_by_days(rule, from, to) : next_by_times(rule, from, to);
    if (found >= to) break;
    from = skip_excluded(rule, found);
    if (from == found) return found;
  }
  return TK_ZONE_NEVER;
}

int64_t tk_rrule_next_local(const tk_rrule *rule, int64_t from, int64_t to) {
  int64_t found = next_by_rule(rule, from, to);
  for (uint32_t i = 0; i < rule->added_count; i++) {
    int64_t added = rule->added[i];
    if (added >= from && added < found && skip_excluded(rule, added) == added) found = added;
  }
  return found;
}

static int64_t next_local(const void *rule, int64_t from, int64_t to) { return tk_rrule_next_local(rule, from, to); }

bool tk_rrule_next(const tk_rrule *rule, const tk_zone *zone, tk_dst dst, int64_t after_us, int64_t *next_us) {
  int64_t from = tk_floor_div(after_us, US_PER_SECOND) + 1;
  /* No clock shows the start earlier than this. */
  int64_t earliest = rule->start - TK_ZONE_LARGEST_OFFSET;
  if (rule->added_count && rule->added[0] < rule->start) earliest = rule->added[0] - TK_ZONE_LARGEST_OFFSET;
  if (from < earliest) from = earliest;
  int64_t to = rule->frequency <= TK_DAILY ? TK_YEAR_9999_SECONDS + 1 : from + SEARCHED_SECONDS;
  int64_t found = tk_zone_next(zone, dst, next_local, rule, from, to);
  if (found == TK_ZONE_NEVER) return false;
  *next_us = found * US_PER_SECOND;
  return true;
}
