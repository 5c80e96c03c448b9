/* Dates of the proleptic Gregorian calendar, as days since 1970-01-01. Pure; any thread. */
#ifndef TK_BASE_DATE_H
#define TK_BASE_DATE_H
#include <stdint.h>

#define TK_DAY_SECONDS 86400
#define TK_YEAR_0000_SECONDS (-62167219200)   /* 0000-01-01T00:00:00Z, the first time that RFC 3339 can write */
#define TK_YEAR_9999_SECONDS 253402300799     /* 9999-12-31T23:59:59Z, the last one */

int64_t tk_date_to_days(int64_t year, int month, int day);
void tk_date_of_days(int64_t days, int64_t *year, int *month, int *day);
int tk_days_in_month(int64_t year, int month);
int tk_days_in_year(int64_t year);
int tk_weekday(int64_t days);                 /* 0 is Sunday */

/* Quotients rounded down, so that times before 1970 divide like those after it; `by` is positive. */
static inline int64_t tk_floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0);
}
static inline int64_t tk_floor_mod(int64_t value, int64_t by) {
  int64_t rest = value % by;
  return rest < 0 ? rest + by : rest;
}

#endif
