/* Promises of time zones: the same local times as the C library's, for every zone of the system; local times that come never,
 * once or twice; damaged files are refused. */
#include "test.h"

#include <ftw.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/tzfile.h"
#include "model/zone.h"

#define DIRECTORY "/usr/share/zoneinfo"
#define YEAR_1850 (-3786825600)
#define YEAR_2037 2114380800
#define YEAR_2400 13569465600

static bool load(const char *name, tk_zone *zone) {
  tk_slice bytes;
  tk_err err;
  return tk_tzfile_read(tk_slice_str(name), &bytes, &err) == 0 && tk_zone_decode(bytes, zone, &err) == 0;
}

/* The C library's zone from now on. */
static void use_system_zone(const char *name) {
  setenv("TZ", name, 1);
  tzset();
}

static long system_offset(int64_t utc) {
  time_t at = (time_t)utc;
  struct tm local;
  localtime_r(&at, &local);
  return local.tm_gmtoff;
}

static void check_offset(const char *name, const tk_zone *zone, int64_t utc) {
  tk_zone_span span = tk_zone_span_at(zone, utc);
  long expected = system_offset(utc);
  if (span.offset == expected && span.from <= utc && utc < span.to) return;
  char what[200], text[32];
  tk_time_format(utc * 1000000, text);
  snprintf(what, sizeof what, "%s at %s: %d, the system says %ld", name, text, span.offset, expected);
  test_fail(__FILE__, __LINE__, what);
}

static tk_rng rng;
static int64_t between(int64_t least, int64_t most) {
  return least + (int64_t)(tk_rng_next(&rng) % (uint64_t)(most - least + 1));
}

/* Both sides of each change, and times in between. */
static void compare_with_system(const char *name, const tk_zone *zone) {
  int64_t utc = YEAR_1850;
  while (utc < YEAR_2400) {
    tk_zone_span span = tk_zone_span_at(zone, utc);
    CHECK(span.from <= utc && utc < span.to);
    int64_t from = span.from < YEAR_1850 ? YEAR_1850 : span.from, to = span.to > YEAR_2400 ? YEAR_2400 : span.to;
    check_offset(name, zone, from);
    check_offset(name, zone, to - 1);
    if (to < YEAR_2037 || between(0, 9) == 0) check_offset(name, zone, between(from, to - 1));
    utc = to;
  }
}

static int zones_seen;

static int visit(const char *path, const struct stat *info, int type, struct FTW *ftw) {
  const char *name = path + sizeof DIRECTORY;
  (void)info, (void)ftw;
  bool is_copy = strncmp(name, "posix", 5) == 0 || strcmp(name, "localtime") == 0;
  if (type != FTW_F || is_copy || strncmp(name, "right/", 6) == 0) return 0;
  tk_slice bytes;
  if (tk_tzfile_read(tk_slice_str(name), &bytes, NULL)) return 0;   /* not a zone: a table of text */
  tk_zone zone;
  if (tk_zone_decode(bytes, &zone, NULL)) {
    test_fail(__FILE__, __LINE__, name);
    return 0;
  }
  use_system_zone(name);
  compare_with_system(name, &zone);
  zones_seen++;
  return 0;
}

TEST(every_zone_of_the_system_has_the_offsets_of_the_c_library) {
  tk_rng_seed(&rng, 1);
  CHECK(nftw(DIRECTORY, visit, 16, 0) == 0);
  CHECK(zones_seen > 300);
}

/* A TZif file of one local time, UTC, and a rule. */
static tk_slice file_with_rule(const char *rule, tk_buf *out) {
  static const char magic[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
  tk_buf_clear(out);
  for (int block = 0; block < 2; block++) {
    tk_buf_append(out, magic, 20);
    uint32_t counts[] = {0, 0, 0, 0, 1, 4};
    for (int i = 0; i < 6; i++) {
      tk_put_u32be(tk_buf_reserve(out, 4), counts[i]);
      out->size += 4;
    }
    tk_buf_append(out, "\0\0\0\0\0\0UTC\0", 10);
  }
  tk_buf_printf(out, "\n%s\n", rule);
  return tk_buf_slice(out);
}

TEST(rules_of_posix_go_on_as_in_the_c_library) {
  static const char *const rules[] = {
      "EST5",
      "CET-1CEST,M3.5.0,M10.5.0/3",
      "IST-1GMT0,M10.5.0,M3.5.0/1",                       /* Ireland: winter is the saving */
      "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",             /* Lord Howe: half an hour */
      "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",                 /* Troll: two hours */
      "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",                 /* hours before midnight */
      "EET-2EEST,M3.4.4/50,M10.4.4/50",                   /* hours after the day */
      "IST-2IDT,M3.4.4/26,M10.5.0",
      "AAA3BBB,J60/0,J300/0",
      "AAA3BBB,59/1:30,299/1:30:15",
      "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
      "AEST-10AEDT,M10.1.0,M4.1.0/3",
  };
  tk_buf file = {0};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    tk_zone zone;
    CHECK_EQ_INT(tk_zone_decode(file_with_rule(rules[i], &file), &zone, NULL), 0);
    use_system_zone(rules[i]);
    for (int64_t utc = 0; utc < YEAR_2400; utc = tk_zone_span_at(&zone, utc).to) {
      check_offset(rules[i], &zone, utc);
      if (tk_zone_span_at(&zone, utc).to == INT64_MAX) break;
      check_offset(rules[i], &zone, tk_zone_span_at(&zone, utc).to - 1);
    }
    for (int64_t utc = 0; utc < YEAR_2400; utc += 17 * 86400 + 12345) check_offset(rules[i], &zone, utc);
  }
  tk_buf_free(&file);
}

TEST(saving_all_year_round_never_changes) {
  tk_buf file = {0};
  tk_zone zone;
  CHECK_EQ_INT(tk_zone_decode(file_with_rule("XXX3EDT4,0/0,J365/23", &file), &zone, NULL), 0);
  for (int64_t utc = 0; utc < YEAR_2400; utc += 3600 * 24 * 5) CHECK_EQ_INT(tk_zone_span_at(&zone, utc).offset, -4 * 3600);
  tk_buf_free(&file);
}

TEST(rules_that_are_none_are_refused) {
  static const char *const rules[] = {
      "C", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
      "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J100", "CET-1CEST,1,366", "CET-25", "CET-1:60", "CET-1CEST,M3.5.0,M10.5.0/168",
      "CET-1CEST,M3.5.0,M10.5.0 ", "<CET-1", "<C>1", "CET-1CEST;M3.5.0,M10.5.0", "CET--1", "99999999999",
  };
  tk_buf file = {0};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    tk_zone zone;
    tk_err err = {0};
    if (tk_zone_decode(file_with_rule(rules[i], &file), &zone, &err) != TK_E_INVALID) test_fail(__FILE__, __LINE__, rules[i]);
    else CHECK(strstr(err.message, "rule for later years"));
  }
  tk_buf_free(&file);
}

/* What tk_zone_instants_of should say, second by second. */
static tk_zone_instants search_instants(const tk_zone *zone, int64_t local, int64_t from, int64_t to) {
  tk_zone_instants found = {0, 0, 0};
  for (int64_t utc = from; utc < to; utc++) {
    if (tk_zone_local(zone, utc) != local) continue;
    found.last = utc;
    if (!found.count++) found.first = utc;
  }
  return found;
}

TEST(local_times_come_never_once_or_twice) {
  static const struct { const char *zone; int64_t change; int count, gap; } cases[] = {
      {"Europe/Berlin", 1774746000, 0, 3600},       /* 2026-03-29: 02:00 to 03:00 is skipped */
      {"Europe/Berlin", 1792890000, 2, -3600},      /* 2026-10-25: 02:00 to 03:00 comes twice */
      {"Australia/Lord_Howe", 1775314800, 2, -1800},
      {"Australia/Lord_Howe", 1791041400, 0, 1800},
      {"Europe/Dublin", 1774746000, 0, 3600},
      {"Africa/Casablanca", 1771120800, 2, -3600},  /* Ramadan of 2026 begins */
      {"Antarctica/Troll", 1774746000, 0, 7200},
      {"Antarctica/Troll", 1792890000, 2, -7200},
      {"Pacific/Apia", 1325239200, 0, 86400},       /* 2011-12-30 never was */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tk_zone zone;
    REQUIRE(load(cases[i].zone, &zone));
    int64_t change = cases[i].change, size = cases[i].gap > 0 ? cases[i].gap : -cases[i].gap;
    tk_zone_span after = tk_zone_span_at(&zone, change), before = tk_zone_span_at(&zone, change - 1);
    CHECK_EQ_INT(after.from, change);
    CHECK_EQ_INT(after.offset - before.offset, cases[i].gap);
    int64_t begin = change + (before.offset < after.offset ? before.offset : after.offset);
    const int64_t locals[] = {begin, begin + 1, begin + size / 2, begin + size - 1};
    for (size_t k = 0; k < 4; k++) {
      tk_zone_instants found = tk_zone_instants_of(&zone, locals[k]);
      tk_zone_instants expected = search_instants(&zone, locals[k], change - 90000, change + 90000);
      CHECK_EQ_INT(found.count, cases[i].count);
      CHECK_EQ_INT(expected.count, cases[i].count);
      CHECK_EQ_INT(found.first, expected.count ? expected.first : change);
      CHECK_EQ_INT(found.last, expected.count ? expected.last : change);
    }
    CHECK_EQ_INT(tk_zone_instants_of(&zone, begin - 1).count, 1);
    CHECK_EQ_INT(tk_zone_instants_of(&zone, begin + size).count, 1);
  }
}

TEST(names_that_lead_out_of_the_directory_or_to_no_zone_are_refused) {
  static const char *const names[] = {
      "", "Mars/Olympus", "europe/berlin", "../zoneinfo/Europe/Berlin", "Europe/../Europe/Berlin", "/etc/passwd", "Europe/",
      "/usr/share/zoneinfo/Europe/Berlin", "Europe//Berlin", "./UTC", "Europe", ".", "..", "zone.tab", "tzdata.zi", "-v",
      "Europe/Berlin\n", "Europe/Berl in", "E\xc3\xbcrope", "utc",
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    tk_slice bytes;
    tk_err err = {0};
    if (tk_tzfile_read(tk_slice_str(names[i]), &bytes, &err) != TK_E_INVALID) test_fail(__FILE__, __LINE__, names[i]);
    else CHECK(strstr(err.message, "there is no time zone '"));
    CHECK(bytes.size == 0);
  }
  tk_slice bytes;
  char longest[300];
  memset(longest, 'a', sizeof longest);
  CHECK_EQ_INT(tk_tzfile_read(tk_slice_of(longest, sizeof longest), &bytes, NULL), TK_E_INVALID);
  CHECK_EQ_INT(tk_tzfile_read(tk_slice_of("Europe/Berlin\0x", 15), &bytes, NULL), TK_E_INVALID);
}

TEST(zones_that_count_leap_seconds_are_refused) {
  tk_slice bytes;
  tk_zone zone;
  tk_err err = {0};
  if (tk_tzfile_read(tk_slice_str("right/Europe/Berlin"), &bytes, NULL)) return;   /* not every system has them */
  CHECK_EQ_INT(tk_zone_decode(bytes, &zone, &err), TK_E_INVALID);
  CHECK(strstr(err.message, "leap seconds"));
}

TEST(utc_needs_no_files) {
  setenv("TZDIR", "/nonexistent", 1);
  tk_zone zone;
  CHECK(load("UTC", &zone));
  CHECK_EQ_INT(tk_zone_span_at(&zone, 0).offset, 0);
  CHECK(tk_zone_span_at(&zone, 0).to == INT64_MAX);
  CHECK_EQ_INT(tk_zone_instants_of(&zone, 12345).count, 1);
  CHECK_EQ_INT(tk_zone_instants_of(&zone, 12345).first, 12345);
  tk_slice bytes;
  tk_err err = {0};
  CHECK_EQ_INT(tk_tzfile_read(tk_slice_str("Europe/Berlin"), &bytes, &err), TK_E_UNSUPPORTED);
  CHECK(strstr(err.message, "tzdata"));
  unsetenv("TZDIR");
  CHECK(load("Europe/Berlin", &zone));
}

TEST(a_zone_is_read_once) {
  tk_slice first, second;
  CHECK_EQ_INT(tk_tzfile_read(tk_slice_str("Asia/Tokyo"), &first, NULL), 0);
  CHECK_EQ_INT(tk_tzfile_read(tk_slice_str("Asia/Tokyo"), &second, NULL), 0);
  CHECK(first.data == second.data && first.size == second.size);
}

/* Whatever the bytes are: refused, or a zone whose spans follow one another. */
static void survive(tk_slice bytes) {
  tk_zone zone;
  tk_err err;
  if (tk_zone_decode(bytes, &zone, &err)) return;
  int64_t utc = TK_YEAR_0000_SECONDS;
  for (int i = 0; i < 400 && utc < TK_YEAR_9999_SECONDS; i++) {
    tk_zone_span span = tk_zone_span_at(&zone, utc);
    CHECK(span.from <= utc && utc < span.to);
    tk_zone_instants_of(&zone, utc);
    utc = span.to;
  }
}

TEST(damaged_files_are_refused_or_harmless) {
  static const char *const names[] = {"Europe/Berlin", "Africa/Casablanca", "Etc/UTC"};
  tk_rng_seed(&rng, 2);
  for (size_t i = 0; i < 3; i++) {
    tk_slice bytes;
    REQUIRE(tk_tzfile_read(tk_slice_str(names[i]), &bytes, NULL) == 0);
    for (size_t size = 1; size < bytes.size; size++) {
      char *cut = malloc(size);   /* of that size, so that reading beyond it is seen */
      memcpy(cut, bytes.data, size);
      tk_zone zone;
      CHECK_EQ_INT(tk_zone_decode(tk_slice_of(cut, size), &zone, NULL), TK_E_INVALID);
      free(cut);
    }
    for (int round = 0; round < 3000; round++) {
      char *copy = malloc(bytes.size);
      memcpy(copy, bytes.data, bytes.size);
      for (int64_t k = between(1, 4); k > 0; k--) {
        /* Half of them in the headers and the rule. */
        size_t at = (size_t)between(0, (int64_t)bytes.size - 1);
        if (between(0, 1)) at = between(0, 1) ? (size_t)between(0, 43) : bytes.size - 1 - (size_t)between(0, 20);
        copy[at] = (char)between(0, 255);
      }
      survive(tk_slice_of(copy, bytes.size));
      free(copy);
    }
  }
}

static void *read_zones(void *unused) {
  static const char *const names[] = {"Asia/Kolkata", "Asia/Kathmandu", "America/Caracas", "Asia/Dhaka"};
  for (int i = 0; i < 200; i++) {
    tk_zone zone;
    if (!load(names[i % 4], &zone)) return (void *)"a zone could not be read";
  }
  return unused;
}

TEST(threads_may_read_zones_at_once) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, read_zones, NULL) == 0);
  for (int i = 0; i < 4; i++) {
    void *fault = NULL;
    pthread_join(threads[i], &fault);
    CHECK(fault == NULL);
  }
}

TEST_MAIN
