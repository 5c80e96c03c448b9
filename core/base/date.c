#include "base/date.h"

#include <stdbool.h>

#include "base/err.h"

/* The year is taken to begin in March, so that the leap day is its last; 400 years are 146097 days. */
int64_t tk_date_to_days(int64_t year, int month, int day) {
  if (month <= 2) year--;
  int64_t era = tk_floor_div(year, 400);
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void tk_date_of_days(int64_t days, int64_t *year, int *month, int *day) {
  days += 719468;
  int64_t era = tk_floor_div(days, 146097);
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month_from_march = (5 * day_of_year + 2) / 153;
  *day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  *month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  *year = year_of_era + era * 400 + (*month <= 2);
}

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int tk_days_in_month(int64_t year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  TK_ASSERT(month >= 1 && month <= 12);
  return days[month - 1] + (month == 2 && is_leap(year));
}

int tk_days_in_year(int64_t year) { return is_leap(year) ? 366 : 365; }

int tk_weekday(int64_t days) { return (int)tk_floor_mod(days + 4, 7); }
