/* Promises of cron expressions: what each form names, what is refused and where, what becomes of times that a zone skips or
 * repeats. spec/lua/cron_spec.lua compares whole years with a search minute by minute. */
#include "test.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/tzfile.h"
#include "model/cron.h"

static tk_zone zone_named(const char *name) {
  tk_slice bytes;
  tk_zone zone;
  if (tk_tzfile_read(tk_slice_str(name), &bytes, NULL) || tk_zone_decode(bytes, &zone, NULL)) abort();
  return zone;
}

static int64_t time_of(const char *text) {
  int64_t time_us;
  if (!tk_time_parse(text, strlen(text), &time_us)) abort();
  return time_us;
}

/* The next occurrences as one text: "2026-01-01T00:00:00Z 2026-…". */
static void list_next(const char *expression, const char *zone_name, tk_dst dst, const char *after, int count, char *out,
                      size_t size) {
  tk_cron cron;
  tk_err err;
  tk_zone zone = zone_named(zone_name);
  int64_t at = time_of(after);
  *out = '\0';
  if (tk_cron_parse(tk_slice_str(expression), &cron, &err)) {
    snprintf(out, size, "%s", err.message);
    return;
  }
  for (int i = 0; i < count; i++) {
    char text[32];
    if (!tk_cron_next(&cron, &zone, dst, at, &at)) break;
    tk_time_format(at, text);
    size_t length = strlen(out);
    snprintf(out + length, size - length, "%s%.19sZ", i ? " " : "", text);
  }
}

static const tk_dst usual = {TK_GAP_SHIFT, TK_OVERLAP_FIRST};

static void check_next(int line, const char *expression, const char *zone, tk_dst dst, const char *after, const char *expected) {
  char found[1024];
  int count = 1;
  for (const char *at = expected; *at; at++) count += *at == ' ';
  list_next(expression, zone, dst, after, count, found, sizeof found);
  test_eq_str(__FILE__, line, expression, found, expected);
}

static const struct { const char *expression, *after, *expected; } forms[] = {
    {"* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z 2026-01-01T00:02:00Z"},
    {"* * * * *", "2025-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z"},
    {"* * * * * *", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z 2026-01-01T00:00:02Z"},
    {"30 0 12 * * *", "2026-01-01T00:00:00Z", "2026-01-01T12:00:30Z 2026-01-02T12:00:30Z"},
    {"*/20 59 23 31 12 *", "2026-01-01T00:00:00Z",
     "2026-12-31T23:59:00Z 2026-12-31T23:59:20Z 2026-12-31T23:59:40Z 2027-12-31T23:59:00Z"},
    {"0 9 * * MON-FRI", "2026-01-02T10:00:00Z", "2026-01-05T09:00:00Z 2026-01-06T09:00:00Z"},
    {"0 9 * * mon-Fri", "2026-01-02T10:00:00Z", "2026-01-05T09:00:00Z"},
    {"0 9 * * 5-7", "2026-01-01T10:00:00Z",
     "2026-01-02T09:00:00Z 2026-01-03T09:00:00Z 2026-01-04T09:00:00Z 2026-01-09T09:00:00Z"},
    {"0 9 * * FRI-SUN", "2026-01-01T10:00:00Z",
     "2026-01-02T09:00:00Z 2026-01-03T09:00:00Z 2026-01-04T09:00:00Z 2026-01-09T09:00:00Z"},
    {"0 9 * * 0", "2026-01-01T10:00:00Z", "2026-01-04T09:00:00Z"},
    {"0 9 * * 7", "2026-01-01T10:00:00Z", "2026-01-04T09:00:00Z"},
    {"0 9 * * SUN-TUE", "2026-01-01T10:00:00Z",
     "2026-01-04T09:00:00Z 2026-01-05T09:00:00Z 2026-01-06T09:00:00Z 2026-01-11T09:00:00Z"},
    {"0 0 1 jan,JUL *", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z 2027-01-01T00:00:00Z"},
    {"0 0 1 MAR-may *", "2026-01-01T00:00:00Z",
     "2026-03-01T00:00:00Z 2026-04-01T00:00:00Z 2026-05-01T00:00:00Z 2027-03-01T00:00:00Z"},
    {"5-20/5,50 8 * * *", "2026-01-01T00:00:00Z",
     "2026-01-01T08:05:00Z 2026-01-01T08:10:00Z 2026-01-01T08:15:00Z 2026-01-01T08:20:00Z "
     "2026-01-01T08:50:00Z 2026-01-02T08:05:00Z"},
    {"25/10 8 * * *", "2026-01-01T00:00:00Z",
     "2026-01-01T08:25:00Z 2026-01-01T08:35:00Z 2026-01-01T08:45:00Z 2026-01-01T08:55:00Z 2026-01-02T08:25:00Z"},
    {"0 */7 * * *", "2026-01-01T00:00:00Z",
     "2026-01-01T07:00:00Z 2026-01-01T14:00:00Z 2026-01-01T21:00:00Z 2026-01-02T00:00:00Z"},
    {"0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z 2026-05-31T00:00:00Z"},
    {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
    {"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
    {"0 0 L * *", "2026-01-31T12:00:00Z", "2026-02-28T00:00:00Z 2026-03-31T00:00:00Z"},
    {"0 0 l-1 2 *", "2027-01-01T00:00:00Z", "2027-02-27T00:00:00Z 2028-02-28T00:00:00Z"},
    {"0 0 L-3 * *", "2026-01-31T12:00:00Z", "2026-02-25T00:00:00Z"},
    {"0 0 1,15,L * *", "2026-01-10T00:00:00Z", "2026-01-15T00:00:00Z 2026-01-31T00:00:00Z 2026-02-01T00:00:00Z"},
    {"0 0 LW * *", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z 2026-02-27T00:00:00Z 2026-03-31T00:00:00Z"},
    {"0 0 1W * *", "2026-01-15T00:00:00Z",
     "2026-02-02T00:00:00Z 2026-03-02T00:00:00Z 2026-04-01T00:00:00Z 2026-05-01T00:00:00Z 2026-06-01T00:00:00Z "
     "2026-07-01T00:00:00Z 2026-08-03T00:00:00Z"},
    {"0 0 15w * *", "2026-01-16T00:00:00Z",
     "2026-02-16T00:00:00Z 2026-03-16T00:00:00Z 2026-04-15T00:00:00Z 2026-05-15T00:00:00Z 2026-06-15T00:00:00Z "
     "2026-07-15T00:00:00Z 2026-08-14T00:00:00Z"},
    {"0 0 31W * *", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z 2026-03-31T00:00:00Z 2026-05-29T00:00:00Z"},
    {"0 0 L-2W * *", "2026-01-01T00:00:00Z", "2026-01-29T00:00:00Z 2026-02-26T00:00:00Z 2026-03-30T00:00:00Z"},
    {"0 0 * * 5L", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z 2026-02-27T00:00:00Z"},
    {"0 0 * * friL", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z"},
    {"0 0 * * 7L", "2026-01-01T00:00:00Z", "2026-01-25T00:00:00Z 2026-02-22T00:00:00Z"},
    {"0 0 * * MON#2", "2026-01-01T00:00:00Z", "2026-01-12T00:00:00Z 2026-02-09T00:00:00Z"},
    {"0 0 * * 6#5", "2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z 2026-05-30T00:00:00Z"},
    {"0 0 * 2 MON#5", "2026-01-01T00:00:00Z", "2044-02-29T00:00:00Z"},
    {"0 0 * * MON#1,5L,3", "2026-01-22T00:00:00Z",
     "2026-01-28T00:00:00Z 2026-01-30T00:00:00Z 2026-02-02T00:00:00Z 2026-02-04T00:00:00Z"},
    {"0 0 ? * MON", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z 2026-01-12T00:00:00Z"},
    {"0 0 13 * ?", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z 2026-02-13T00:00:00Z"},
    {"  0\t9  *   * * ", "2026-01-01T00:00:00Z", "2026-01-01T09:00:00Z"},
    {"007 09 * * *", "2026-01-01T00:00:00Z", "2026-01-01T09:07:00Z"},
    {"@yearly", "2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z"},
    {"@annually", "2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z"},
    {"@Monthly", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"},
    {"@weekly", "2026-06-01T00:00:00Z", "2026-06-07T00:00:00Z"},
    {"@DAILY", "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"},
    {" @midnight ", "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"},
    {"@hourly", "2026-06-01T00:00:00Z", "2026-06-01T01:00:00Z 2026-06-01T02:00:00Z"},
};

TEST(each_form_names_its_days_and_times) {
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    check_next(__LINE__, forms[i].expression, "UTC", usual, forms[i].after, forms[i].expected);
}

TEST(a_day_of_either_field_fires_when_both_are_restricted) {
  static const struct { const char *expression, *expected; } cases[] = {
      {"0 0 13 * FRI", "2026-01-02T00:00:00Z 2026-01-09T00:00:00Z 2026-01-13T00:00:00Z 2026-01-16T00:00:00Z"},
      {"0 0 1-7 * *", "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z"},
      {"0 0 */2 * MON", "2026-01-05T00:00:00Z 2026-01-19T00:00:00Z 2026-02-09T00:00:00Z"},          /* a star: both must fit */
      {"0 0 1-7 * */3", "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z 2026-01-07T00:00:00Z 2026-02-01T00:00:00Z"},
      {"0 0 */1 * MON", "2026-01-05T00:00:00Z 2026-01-12T00:00:00Z"},
      {"0 0 1-31 * MON", "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z"},                               /* every day, but no star */
      {"0 0 1-31/2 * MON",
       "2026-01-03T00:00:00Z 2026-01-05T00:00:00Z 2026-01-07T00:00:00Z 2026-01-09T00:00:00Z 2026-01-11T00:00:00Z "
       "2026-01-12T00:00:00Z"},
      {"0 0 L * MON#1", "2026-01-05T00:00:00Z 2026-01-31T00:00:00Z 2026-02-02T00:00:00Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_next(__LINE__, cases[i].expression, "UTC", usual, "2026-01-01T00:00:00Z", cases[i].expected);
}

static const struct { const char *expression; int position; const char *why; } mistakes[] = {
    {"", 1, "5 fields, or 6"},
    {"   ", 4, "5 fields, or 6"},
    {"* * * *", 8, "not 4"},
    {"* * * * * * *", 13, "not 7"},
    {"60 * * * *", 1, "minute 60 is not in 0-59"},
    {"* 24 * * *", 3, "hour 24 is not in 0-23"},
    {"* * 0 * *", 5, "day of the month 0 is not in 1-31"},
    {"* * 32 * *", 5, "not in 1-31"},
    {"* * * 0 *", 7, "month 0 is not in 1-12"},
    {"* * * 13 *", 7, "month 13"},
    {"* * * * 8", 9, "day of the week 8 is not in 0-7"},
    {"60 * * * * *", 1, "second 60"},
    {"99999999999999999999 * * * *", 1, "minute 999999999 is not in 0-59"},
    {"-1 * * * *", 1, "'-' cannot stand there"},
    {"1- * * * *", 3, "ends too early"},
    {"1-x * * * *", 3, "'x' cannot stand there"},
    {"1,,2 * * * *", 3, "',' cannot stand there"},
    {"1, * * * *", 3, "ends too early"},
    {",1 * * * *", 1, "','"},
    {"*/0 * * * *", 3, "a step of 0 is not in 1-60"},
    {"*/61 * * * *", 3, "a step of 61 is not in 1-60"},
    {"* */25 * * *", 5, "a step of 25 is not in 1-24"},
    {"*/ * * * *", 3, "ends too early"},
    {"*/x * * * *", 3, "'x'"},
    {"*5 * * * *", 2, "'5'"},
    {"1/2/3 * * * *", 4, "'/'"},
    {"1-2-3 * * * *", 4, "'-'"},
    {"* 22-2 * * *", 3, "the range 22-2 goes backward"},
    {"* * * NOV-FEB *", 7, "the range NOV-FEB goes backward"},
    {"* * * * FRI-MON", 9, "the range FRI-MON goes backward"},
    {"* * * FOO *", 7, "'F'"},
    {"* * * JANUARY *", 10, "'U'"},
    {"* * * * JAN", 9, "'J'"},
    {"* * MON * *", 5, "'M'"},
    {"* * * * L", 9, "as in 5L"},
    {"* * * * 5LX", 11, "'X'"},
    {"* * * * MON#0", 13, "0 is not in 1-5"},
    {"* * * * MON#6", 13, "6 is not in 1-5"},
    {"* * * * MON#", 13, "ends too early"},
    {"* * * * 1-3L", 12, "'L'"},
    {"* * L-31 * *", 7, "31 is not in 1-30"},
    {"* * 32W * *", 5, "not in 1-31"},
    {"* * W * *", 5, "'W'"},
    {"* * 1-5W * *", 8, "'W'"},
    {"* * 5L * *", 6, "'L'"},
    {"L * * * *", 1, "'L'"},
    {"? * * * *", 1, "'?'"},
    {"* * * * 1W", 10, "'W'"},
    {"a b c d e", 1, "'a'"},
    {"* * * * *\n", 10, "a character that cannot be"},
    {"* * * * \xc3\xa4", 9, "a character that cannot be"},
    {"@reboot", 1, "macros"},
    {" @every 5m", 2, "macros"},
    {"@", 1, "macros"},
    {"0 0 30 2 *", 5, "never fires"},
    {"0 0 31 2,4,6,9,11 *", 5, "never fires"},
    {"0 0 0 31 2 ?", 7, "never fires"},
    {"0 0 30 2 */2", 5, "never fires"},
    {"0 0 L-29 2 *", 5, "never fires"},
};

TEST(what_cannot_be_is_refused_with_its_place) {
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    tk_cron cron;
    tk_err err = {0};
    char position[32];
    snprintf(position, sizeof position, "{\"position\":%d}", mistakes[i].position);
    int code = tk_cron_parse(tk_slice_str(mistakes[i].expression), &cron, &err);
    test_eq_int(__FILE__, __LINE__, mistakes[i].expression, code, TK_E_INVALID);
    test_eq_str(__FILE__, __LINE__, mistakes[i].expression, err.details, position);
    if (!strstr(err.message, mistakes[i].why)) test_fail(__FILE__, __LINE__, err.message);
  }
  static char longest[5000];
  memset(longest, '1', sizeof longest);
  tk_cron cron;
  tk_err err = {0};
  CHECK_EQ_INT(tk_cron_parse(tk_slice_of(longest, sizeof longest), &cron, &err), TK_E_INVALID);
  CHECK(strstr(err.message, "at most 1024 characters"));
  CHECK_EQ_INT(tk_cron_parse(tk_slice_of("* *\0* * *", 9), &cron, NULL), TK_E_INVALID);
  CHECK_EQ_INT(tk_cron_parse(tk_slice_of(NULL, 0), &cron, NULL), TK_E_INVALID);
}

static const tk_dst skip = {TK_GAP_SKIP, TK_OVERLAP_FIRST}, last = {TK_GAP_SHIFT, TK_OVERLAP_LAST},
                    both = {TK_GAP_SHIFT, TK_OVERLAP_BOTH};
static const struct { const char *expression, *zone; const tk_dst *dst; const char *after, *expected; } changes[] = {
    /* Berlin, 2026-03-29: 02:00 to 03:00 is skipped at 01:00 UTC. */
    {"30 2 * * *", "Europe/Berlin", &usual, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
    {"30 2 * * *", "Europe/Berlin", &skip, "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
    {"*/15 2 * * *", "Europe/Berlin", &usual, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
    {"0 2,3 * * *", "Europe/Berlin", &usual, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
    {"0 0-23 * * *", "Europe/Berlin", &usual, "2026-03-28T23:30:00Z",
     "2026-03-29T00:00:00Z 2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"},
    {"30 * * * *", "Europe/Berlin", &usual, "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z"},
    {"30 */2 * * *", "Europe/Berlin", &usual, "2026-03-28T23:00:00Z", "2026-03-28T23:30:00Z 2026-03-29T02:30:00Z"},
    {"30 2 29 3 *", "Europe/Berlin", &usual, "2026-01-01T00:00:00Z", "2026-03-29T01:00:00Z 2027-03-29T00:30:00Z"},
    {"0 1 * * *", "UTC", &usual, "2026-03-29T00:59:59.999999Z", "2026-03-29T01:00:00Z"},
    {"30 2 * * *", "Europe/Berlin", &usual, "2026-03-29T00:59:59.999999Z", "2026-03-29T01:00:00Z"},
    {"30 2 * * *", "Europe/Berlin", &usual, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
    /* Berlin, 2026-10-25: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC. */
    {"30 2 * * *", "Europe/Berlin", &usual, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
    {"30 2 * * *", "Europe/Berlin", &usual, "2026-10-25T00:45:00Z", "2026-10-26T01:30:00Z"},
    {"30 2 * * *", "Europe/Berlin", &last, "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z 2026-10-26T01:30:00Z"},
    {"30 2 * * *", "Europe/Berlin", &both, "2026-10-24T12:00:00Z",
     "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-26T01:30:00Z"},
    {"*/30 2 * * *", "Europe/Berlin", &both, "2026-10-24T12:00:00Z",
     "2026-10-25T00:00:00Z 2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-26T01:00:00Z"},
    {"*/30 2 * * *", "Europe/Berlin", &last, "2026-10-24T12:00:00Z",
     "2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-26T01:00:00Z"},
    {"0 * * * *", "Europe/Berlin", &usual, "2026-10-24T23:30:00Z",
     "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z 2026-10-25T02:00:00Z"},
    {"0 */2 * * *", "Europe/Berlin", &usual, "2026-10-24T23:30:00Z",
     "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z 2026-10-25T03:00:00Z"},
    {"0 0-23 * * *", "Europe/Berlin", &usual, "2026-10-24T23:30:00Z", "2026-10-25T00:00:00Z 2026-10-25T02:00:00Z"},
    /* Ireland's winter is its saving time; the clock does as Berlin's, an hour behind. */
    {"30 1 * * *", "Europe/Dublin", &usual, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
    {"30 1 * * *", "Europe/Dublin", &last, "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z"},
    /* Lord Howe changes by half an hour at 02:00: 2026-10-04T02:00 to 02:30 is skipped, 2026-04-05T01:30 to 02:00 repeated. */
    {"10 2 * * *", "Australia/Lord_Howe", &usual, "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z 2026-10-04T15:10:00Z"},
    {"40 1 * * *", "Australia/Lord_Howe", &both, "2026-04-04T00:00:00Z",
     "2026-04-04T14:40:00Z 2026-04-04T15:10:00Z 2026-04-05T15:10:00Z"},
    /* Troll changes by two hours. */
    {"0 2 * * *", "Antarctica/Troll", &usual, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
    {"0 1,2 * * *", "Antarctica/Troll", &both, "2026-10-25T00:00:00Z",
     "2026-10-25T01:00:00Z 2026-10-25T02:00:00Z 2026-10-26T01:00:00Z"},
    {"30 1,2 * * *", "Antarctica/Troll", &usual, "2026-10-24T12:00:00Z",
     "2026-10-24T23:30:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
    /* Morocco puts the clock back for Ramadan. */
    {"30 2 * * *", "Africa/Casablanca", &usual, "2026-02-14T12:00:00Z", "2026-02-15T01:30:00Z 2026-02-16T02:30:00Z"},
    {"30 2 * * *", "Africa/Casablanca", &usual, "2026-03-21T12:00:00Z", "2026-03-22T02:00:00Z 2026-03-23T01:30:00Z"},
    /* Midnight is skipped. */
    {"0 0 * * *", "Africa/Cairo", &usual, "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z"},
    {"@daily", "America/Sao_Paulo", &usual, "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"},
    {"@daily", "America/Sao_Paulo", &skip, "2018-11-03T12:00:00Z", "2018-11-05T02:00:00Z"},
    /* Apia had no 30 December 2011. */
    {"0 12 * * *", "Pacific/Apia", &usual, "2011-12-29T00:00:00Z",
     "2011-12-29T22:00:00Z 2011-12-30T10:00:00Z 2011-12-30T22:00:00Z"},
    {"0 12 * * *", "Pacific/Apia", &skip, "2011-12-29T00:00:00Z", "2011-12-29T22:00:00Z 2011-12-30T22:00:00Z"},
    {"0 0 30 12 *", "Pacific/Apia", &usual, "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z 2012-12-29T10:00:00Z"},
    {"0 */6 30 12 *", "Pacific/Apia", &usual, "2011-12-01T00:00:00Z", "2012-12-29T10:00:00Z"},
    /* Kwajalein had 1969-09-30 from 01:00 on twice. */
    {"0 12 30 9 *", "Pacific/Kwajalein", &both, "1969-09-01T00:00:00Z",
     "1969-09-30T01:00:00Z 1969-10-01T00:00:00Z 1970-10-01T00:00:00Z"},
    /* Beyond the tables, by the rule. */
    {"30 2 * * *", "Europe/Berlin", &usual, "2399-03-27T12:00:00Z", "2399-03-28T01:00:00Z 2399-03-29T00:30:00Z"},
};

TEST(times_that_a_zone_skips_or_repeats_follow_the_rule) {
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
    check_next(__LINE__, changes[i].expression, changes[i].zone, *changes[i].dst, changes[i].after, changes[i].expected);
}

TEST(a_search_that_finds_nothing_ends) {
  tk_cron cron;
  int64_t next;
  tk_zone berlin = zone_named("Europe/Berlin"), utc = zone_named("UTC");
  tk_dst skip = {TK_GAP_SKIP, TK_OVERLAP_FIRST};
  REQUIRE(tk_cron_parse(tk_slice_str("0 0 1 1 *"), &cron, NULL) == 0);
  CHECK(!tk_cron_next(&cron, &utc, usual, time_of("9999-12-31T00:00:00Z"), &next));
  CHECK(!tk_cron_next(&cron, &utc, usual, INT64_MAX, &next));
  CHECK(tk_cron_next(&cron, &utc, usual, INT64_MIN, &next));
  CHECK_EQ_INT(next, TK_YEAR_0000_SECONDS * 1000000);
  /* The hour between 02:00 and 03:00 of the last Sunday in March never comes in Berlin. */
  REQUIRE(tk_cron_parse(tk_slice_str("30 2 */1 3 SUNL"), &cron, NULL) == 0);
  CHECK(!tk_cron_next(&cron, &berlin, skip, time_of("2026-01-01T00:00:00Z"), &next));
  CHECK(tk_cron_next(&cron, &berlin, usual, time_of("2026-01-01T00:00:00Z"), &next));
  CHECK_EQ_INT(next, time_of("2026-03-29T01:00:00Z"));
}

TEST(the_rarest_date_is_found) {
  tk_cron cron;
  int64_t next;
  tk_zone utc = zone_named("UTC");
  REQUIRE(tk_cron_parse(tk_slice_str("59 59 23 29 2 */7"), &cron, NULL) == 0);   /* a leap day on a Sunday, over 2100 */
  CHECK(tk_cron_next(&cron, &utc, usual, time_of("2088-03-01T00:00:00Z"), &next));
  CHECK_EQ_INT(next, time_of("2128-02-29T23:59:59Z"));
}

TEST_MAIN
