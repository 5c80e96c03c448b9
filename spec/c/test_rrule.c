/* Promises of recurrence rules and of recurrences of every kind. spec/lua/rrule_spec.lua compares rules with an independent
 * reading of RFC 5545. */
#include "test.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/tzfile.h"
#include "model/recurrence.h"

static tk_arena arena;

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

/* The times of a recurrence after `after`, at most `count`: "2026-01-01T00:00:00Z 2026-…". */
static void list_next(const tk_recurrence *recurrence, const char *after, int count, char *out, size_t size) {
  int64_t at = time_of(after);
  *out = '\0';
  for (int i = 0; i < count; i++) {
    char text[32];
    if (!tk_recurrence_next(recurrence, at, &at)) break;
    tk_time_format(at, text);
    size_t length = strlen(out);
    snprintf(out + length, size - length, "%s%.19sZ", i ? " " : "", text);
  }
}

static void check_next(int line, const char *what, const tk_recurrence *recurrence, const char *after, const char *expected) {
  char found[1024];
  int count = 2;   /* one more than is expected: there must be no more where the list ends with a full stop */
  for (const char *at = expected; *at; at++) count += *at == ' ';
  bool ends = *expected && expected[strlen(expected) - 1] == '.';
  list_next(recurrence, after, ends ? count : count - 1, found, sizeof found - 1);
  if (ends) strcat(found, ".");
  test_eq_str(__FILE__, line, what, found, expected);
}

static tk_recurrence recurrence_of(int kind) {
  return (tk_recurrence){.kind = (uint8_t)kind, .starts_us = INT64_MIN, .ends_us = INT64_MAX};
}

TEST(rules_name_their_times) {
  static const struct { const char *zone, *rule, *expected; } cases[] = {
      /* All start at 2026-01-01T09:30 local time, a Thursday. A full stop at the end: there are no more. */
      {"UTC", "FREQ=DAILY;COUNT=2", "2026-01-01T09:30:00Z 2026-01-02T09:30:00Z."},
      {"UTC", "RRULE:freq=daily;count=1", "2026-01-01T09:30:00Z."},
      {"UTC", "FREQ=WEEKLY;BYDAY=MO", "2026-01-05T09:30:00Z 2026-01-12T09:30:00Z"},
      {"UTC", "FREQ=DAILY;UNTIL=20260103;", "2026-01-01T09:30:00Z 2026-01-02T09:30:00Z 2026-01-03T09:30:00Z."},
      {"UTC", "FREQ=DAILY;UNTIL=20260102T093000", "2026-01-01T09:30:00Z 2026-01-02T09:30:00Z."},
      {"UTC", "FREQ=DAILY;UNTIL=20260102T092959", "2026-01-01T09:30:00Z."},
      {"Asia/Tokyo", "FREQ=DAILY;UNTIL=20260102T003000Z", "2026-01-01T00:30:00Z 2026-01-02T00:30:00Z."},
      {"Asia/Tokyo", "FREQ=DAILY;UNTIL=20260102T002959Z", "2026-01-01T00:30:00Z."},
      {"UTC", "FREQ=YEARLY;BYWEEKNO=1,2", "2026-01-01T09:30:00Z 2026-01-08T09:30:00Z 2027-01-07T09:30:00Z"},
      {"UTC", "FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31T09:30:00Z 2026-03-31T09:30:00Z 2026-05-31T09:30:00Z"},
      {"UTC", "FREQ=YEARLY;BYDAY=2MO,TH;BYMONTH=1",
       "2026-01-01T09:30:00Z 2026-01-08T09:30:00Z 2026-01-12T09:30:00Z 2026-01-15T09:30:00Z"},
      {"UTC", "FREQ=HOURLY;INTERVAL=9", "2026-01-01T09:30:00Z 2026-01-01T18:30:00Z 2026-01-02T03:30:00Z"},
      {"UTC", "FREQ=MINUTELY;BYHOUR=23;BYMINUTE=58,59;BYDAY=SU",
       "2026-01-04T23:58:00Z 2026-01-04T23:59:00Z 2026-01-11T23:58:00Z"},
      {"UTC", "FREQ=SECONDLY;INTERVAL=86399;COUNT=3", "2026-01-01T09:30:00Z 2026-01-02T09:29:59Z 2026-01-03T09:29:58Z."},
      {"UTC", "FREQ=HOURLY;BYMINUTE=0,10,20;BYSETPOS=-1", "2026-01-01T10:20:00Z 2026-01-01T11:20:00Z"},
      {"UTC", "DTSTART:20260105T000000Z\nFREQ=DAILY;COUNT=1", "2026-01-05T00:00:00Z."},
      {"Europe/Berlin", "DTSTART:20260105T000000Z\r\nRRULE:FREQ=DAILY;COUNT=1\r\n", "2026-01-05T00:00:00Z."},
      {"UTC", "FREQ=DAILY;COUNT=3\nEXDATE:20260101T093000Z,20260103", "2026-01-02T09:30:00Z."},
      {"UTC", "FREQ=DAILY;COUNT=1\nRDATE:20251231T000000,20260101T093000\nRDATE;VALUE=DATE:20260102",
       "2025-12-31T00:00:00Z 2026-01-01T09:30:00Z 2026-01-02T00:00:00Z."},
      {"UTC", "FREQ=DAILY;COUNT=1\nRDATE:20260104T000000,20260105T000000\nEXDATE:20260104,20260101", "2026-01-05T00:00:00Z."},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tk_recurrence recurrence = recurrence_of(TK_RECUR_RRULE);
    tk_err err = {0};
    recurrence.zone = zone_named(cases[i].zone);
    int64_t starts_us = time_of("2026-01-01T09:30:00Z") - tk_zone_span_at(&recurrence.zone, 1767225600).offset * INT64_C(1000000);
    if (tk_rrule_parse(tk_slice_str(cases[i].rule), starts_us, &recurrence.zone, &arena, &recurrence.as.rrule, &err))
      test_fail(__FILE__, __LINE__, err.message);
    else
      check_next(__LINE__, cases[i].rule, &recurrence, "1999-01-01T00:00:00Z", cases[i].expected);
  }
  tk_arena_reset(&arena);
}

TEST(what_cannot_be_is_refused_with_its_place) {
  static const struct { const char *rule; int position; const char *why; } cases[] = {
      {"", 1, "such as FREQ=DAILY is missing"},
      {"\n\n", 3, "such as FREQ=DAILY is missing"},
      {"DTSTART:20260101T000000", 24, "such as FREQ=DAILY is missing"},
      {"BYDAY=MO", 1, "FREQ is missing"},
      {"FREQ", 5, "FREQ ends too early"},
      {"FREQ=", 6, "FREQ ends too early"},
      {"FREQ=FORTNIGHTLY", 6, "'FORTNIGHTLY' is no frequency"},
      {"FREQ=DAILY;FREQ=DAILY", 12, "FREQ is there twice"},
      {"FREQ=DAILY;;COUNT=1", 12, "';' cannot stand there"},
      {"FREQ=DAILY;BYEASTER=0", 12, "'BYEASTER' is no part of a rule"},
      {"FREQ=DAILY;INTERVAL=0", 21, "0 is not in 1-1000000"},
      {"FREQ=DAILY;INTERVAL=-1", 21, "'-'"},
      {"FREQ=DAILY;COUNT=100001", 18, "not in 1-100000"},
      {"FREQ=DAILY;COUNT=1;UNTIL=20260101", 1, "UNTIL and COUNT exclude each other"},
      {"FREQ=DAILY;UNTIL=2026", 22, "UNTIL ends too early"},
      {"FREQ=DAILY;UNTIL=20260230", 18, "there is no such time"},
      {"FREQ=DAILY;UNTIL=20260101T250000", 18, "there is no such time"},
      {"FREQ=DAILY;UNTIL=20260101T0100", 31, "ends too early"},
      {"FREQ=DAILY;UNTIL=20251231T000000", 18, "it ends before it starts"},
      {"FREQ=DAILY;BYHOUR=24", 19, "24 is not in 0-23"},
      {"FREQ=DAILY;BYHOUR=-1", 19, "'-'"},
      {"FREQ=DAILY;BYSECOND=60", 21, "60 is not in 0-59"},
      {"FREQ=DAILY;BYMONTH=1,", 22, "BYMONTH ends too early"},
      {"FREQ=MONTHLY;BYMONTHDAY=0", 25, "0 is not in 1-31"},
      {"FREQ=MONTHLY;BYMONTHDAY=-32", 26, "32 is not in 1-31"},
      {"FREQ=MONTHLY;BYDAY=XX", 20, "'XX' is no day of the week"},
      {"FREQ=MONTHLY;BYDAY=54MO", 20, "54 is not in 1-53"},
      {"FREQ=MONTHLY;BYDAY=-MO", 21, "'M'"},
      {"FREQ=WEEKLY;BYDAY=1MO", 1, "a numbered BYDAY needs"},
      {"FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", 1, "cannot be with BYWEEKNO"},
      {"FREQ=WEEKLY;BYMONTHDAY=1", 1, "BYMONTHDAY cannot be"},
      {"FREQ=MONTHLY;BYYEARDAY=1", 1, "BYYEARDAY cannot be"},
      {"FREQ=MONTHLY;BYWEEKNO=1", 1, "BYWEEKNO needs"},
      {"FREQ=MONTHLY;BYSETPOS=1", 1, "BYSETPOS needs"},
      {"FREQ=DAILY WKST=MO", 11, "' ' cannot"},
      {"FREQ=DAILY\nRRULE:FREQ=DAILY", 18, "a second rule"},
      {"DTSTART:20260101\nDTSTART:20260101\nFREQ=DAILY", 26, "a second DTSTART"},
      {"DTSTART;TZID=Europe/Berlin:20260101T000000\nFREQ=DAILY", 9, "the option timezone"},
      {"DTSTART;X=Y:20260101\nFREQ=DAILY", 9, "'X'"},
      {"DTSTART=20260101\nFREQ=DAILY", 8, "'='"},
      {"FREQ=DAILY\nEXDATE:20260101T000000,", 35, "EXDATE ends too early"},
      {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 1, "it never fires"},
      {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5", 1, "it never fires"},
      {"FREQ=YEARLY;BYDAY=53MO;BYMONTH=1", 1, "it never fires"},
      {"FREQ=DAILY;BYHOUR=9;BYSETPOS=2", 1, "it never fires"},
      {"FREQ=SECONDLY;BYHOUR=9;BYSETPOS=2,3", 1, "it never fires"},
      {"FREQ=SECONDLY;INTERVAL=2;BYSECOND=1,3,5", 1, "it never fires"},
      {"FREQ=HOURLY;INTERVAL=24;BYHOUR=1", 1, "it never fires"},
      {"FREQ=MINUTELY;BYMONTH=4;BYMONTHDAY=31", 1, "it never fires"},
  };
  tk_zone utc = zone_named("UTC");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tk_rrule rule;
    tk_err err = {0};
    char position[32];
    snprintf(position, sizeof position, "{\"position\":%d}", cases[i].position);
    int code = tk_rrule_parse(tk_slice_str(cases[i].rule), time_of("2026-01-01T00:00:00Z"), &utc, &arena, &rule, &err);
    test_eq_int(__FILE__, __LINE__, cases[i].rule, code, TK_E_INVALID);
    test_eq_str(__FILE__, __LINE__, cases[i].rule, err.details, position);
    if (!strstr(err.message, cases[i].why)) test_fail(__FILE__, __LINE__, err.message);
    tk_arena_reset(&arena);
  }
  static char longest[20000];
  memset(longest, '1', sizeof longest);
  tk_rrule rule;
  CHECK_EQ_INT(tk_rrule_parse(tk_slice_of(longest, sizeof longest), 0, &utc, &arena, &rule, NULL), TK_E_INVALID);
  CHECK_EQ_INT(tk_rrule_parse(tk_slice_of(NULL, 0), 0, &utc, &arena, &rule, NULL), TK_E_INVALID);
  tk_arena_reset(&arena);
}

TEST(no_text_does_harm) {
  static const char *const pieces[] = {
      "FREQ=", "DAILY", "YEARLY", "SECONDLY", ";", "BYDAY=", "-1", "MO", ",", "BYSETPOS=", "366", "COUNT=", "UNTIL=", "20260101",
      "T000000", "Z", "\n", "EXDATE:", "RDATE", ":", "INTERVAL=", "1000000", "BYWEEKNO=", "53", "BYYEARDAY=", "\r", "\xff",
      "DTSTART", "00000101", "99991231", "RRULE:", "BYMONTH=",
  };
  tk_zone berlin = zone_named("Europe/Berlin");
  tk_rng rng;
  tk_rng_seed(&rng, 1);
  for (int round = 0; round < 5000; round++) {
    tk_buf text = {0};
    if (round % 2) tk_buf_append_str(&text, "FREQ=MONTHLY;");
    for (uint64_t k = tk_rng_next(&rng) % 8; k > 0; k--)
      tk_buf_append_str(&text, pieces[tk_rng_next(&rng) % (sizeof pieces / sizeof pieces[0])]);
    tk_rrule rule;
    int64_t next;
    if (tk_rrule_parse(tk_buf_slice(&text), time_of("2026-01-01T00:00:00Z"), &berlin, &arena, &rule, NULL) == 0)
      tk_rrule_next(&rule, &berlin, (tk_dst){0}, time_of("2027-01-01T00:00:00Z"), &next);
    tk_arena_reset(&arena);
    tk_buf_free(&text);
  }
}

TEST(intervals_keep_their_phase) {
  static const struct { int64_t phase, interval, after, next; } cases[] = {
      {100, 10, 0, 110},   {100, 10, 100, 110},       {100, 10, 109, 110}, {100, 10, 110, 120}, {100, 10, 1234, 1240},
      {-105, 10, -95, -85}, {-105, 10, INT64_MIN, -95}, {7, 1, 7, 8},      {0, INT64_C(86400000000), 1, INT64_C(86400000000)},
      {INT64_MIN, 10, 0, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t next = -1;
    CHECK(tk_every_next(cases[i].phase, cases[i].interval, cases[i].after, &next));
    CHECK_EQ_INT(next, cases[i].next);
  }
  int64_t next;
  CHECK(!tk_every_next(0, INT64_MAX, 0, &next));
  CHECK(!tk_every_next(0, 10, INT64_MAX, &next));
  CHECK(!tk_every_next(INT64_MAX, 10, 0, &next));
  CHECK(!tk_every_next(0, 10, TK_YEAR_9999_SECONDS * 1000000 + 999990, &next));
}

TEST(recurrences_of_every_kind_keep_to_their_beginning_and_end) {
  tk_recurrence at = recurrence_of(TK_RECUR_AT);
  at.as.at_us = time_of("2026-05-01T12:00:00Z");
  check_next(__LINE__, "at", &at, "2026-01-01T00:00:00Z", "2026-05-01T12:00:00Z.");
  check_next(__LINE__, "at", &at, "2026-05-01T12:00:00Z", ".");

  tk_recurrence every = recurrence_of(TK_RECUR_EVERY);
  every.as.every.phase_us = time_of("2026-01-01T00:00:00Z");
  every.as.every.interval_us = INT64_C(3600000000);
  every.starts_us = time_of("2026-01-01T02:00:00Z");
  every.ends_us = time_of("2026-01-01T04:00:00Z");
  check_next(__LINE__, "every", &every, "2026-01-01T00:00:00Z",
             "2026-01-01T02:00:00Z 2026-01-01T03:00:00Z 2026-01-01T04:00:00Z.");
  check_next(__LINE__, "every", &every, "2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z 2026-01-01T04:00:00Z.");

  tk_recurrence cron = recurrence_of(TK_RECUR_CRON);
  REQUIRE(tk_cron_parse(tk_slice_str("0 9 * * *"), &cron.as.cron, NULL) == 0);
  cron.zone = zone_named("Europe/Berlin");
  cron.starts_us = time_of("2026-03-28T08:00:00Z");
  cron.ends_us = time_of("2026-03-30T06:59:59.999999Z");
  check_next(__LINE__, "cron", &cron, "2026-01-01T00:00:00Z", "2026-03-28T08:00:00Z 2026-03-29T07:00:00Z.");

  tk_recurrence rule = recurrence_of(TK_RECUR_RRULE);
  rule.zone = zone_named("Europe/Berlin");
  rule.dst = (tk_dst){TK_GAP_SKIP, TK_OVERLAP_BOTH};
  tk_rrule *out = &rule.as.rrule;
  int64_t starts_us = time_of("2026-03-29T00:30:00Z");
  REQUIRE(tk_rrule_parse(tk_slice_str("FREQ=DAILY;INTERVAL=210"), starts_us, &rule.zone, &arena, out, NULL) == 0);
  check_next(__LINE__, "rrule", &rule, "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-10-24T23:30:00Z 2027-05-22T23:30:00Z");
  starts_us = time_of("2026-03-28T01:30:00Z");
  REQUIRE(tk_rrule_parse(tk_slice_str("FREQ=DAILY;COUNT=3;BYHOUR=2"), starts_us, &rule.zone, &arena, out, NULL) == 0);
  check_next(__LINE__, "rrule", &rule, "2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z 2026-03-30T00:30:00Z.");
  tk_arena_free(&arena);
}

TEST_MAIN
