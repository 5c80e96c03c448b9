/* Promises of core/base: time, randomness, task ids, hashes. */
#include "test.h"

#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"

static int64_t parsed(const char *text) {
  int64_t time_us = -1;
  return tk_time_parse(text, strlen(text), &time_us) ? time_us : INT64_MIN;
}

TEST(times_are_written_in_utc_with_microseconds) {
  static const struct { int64_t us; const char *text; } cases[] = {
      {0, "1970-01-01T00:00:00.000000Z"},
      {1, "1970-01-01T00:00:00.000001Z"},
      {-1, "1969-12-31T23:59:59.999999Z"},
      {1795420800123456, "2026-11-23T08:00:00.123456Z"},
      {951782400000000, "2000-02-29T00:00:00.000000Z"},
      {-2203891200000000, "1900-03-01T00:00:00.000000Z"},
      {-62167219200000000, "0000-01-01T00:00:00.000000Z"},
      {253402300799999999, "9999-12-31T23:59:59.999999Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[32];
    tk_time_format(cases[i].us, text);
    CHECK_EQ_STR(text, cases[i].text);
    CHECK_EQ_INT(parsed(text), cases[i].us);
  }
  char text[32];
  tk_time_format(INT64_MAX, text);
  CHECK_EQ_STR(text, "9999-12-31T23:59:59.999999Z");
  tk_time_format(INT64_MIN, text);
  CHECK_EQ_STR(text, "0000-01-01T00:00:00.000000Z");
}

TEST(every_rfc_3339_form_is_read) {
  CHECK_EQ_INT(parsed("1970-01-01T00:00:01Z"), 1000000);
  CHECK_EQ_INT(parsed("1970-01-01t00:00:01z"), 1000000);
  CHECK_EQ_INT(parsed("1970-01-01T02:00:01+02:00"), 1000000);
  CHECK_EQ_INT(parsed("1969-12-31T18:30:01-05:30"), 1000000);
  CHECK_EQ_INT(parsed("1970-01-01T00:00:01-00:00"), 1000000);
  CHECK_EQ_INT(parsed("1970-01-01T00:00:00.5Z"), 500000);
  CHECK_EQ_INT(parsed("1970-01-01T00:00:00.123456789Z"), 123456);
  CHECK_EQ_INT(parsed("1990-12-31T23:59:60Z"), 662688000000000 - 1);
  CHECK_EQ_INT(parsed("1990-12-31T15:59:60-08:00"), 662688000000000 - 1);
  CHECK_EQ_INT(parsed("1985-04-12T23:20:50.52Z"), 482196050520000);
}

TEST(what_is_no_time_is_refused) {
  static const char *const cases[] = {
      "", "2026", "2026-11-23", "2026-11-23T08:00:00", "2026-11-23 08:00:00Z", "2026-11-23T08:00Z",
      "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
      "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z",
      "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z",
      "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
      "2026-01-01T00:00:00+0000", "2026-01-01T00:00:00Zx", " 2026-01-01T00:00:00Z", "0000-01-01T00:00:00+00:01",
      "9999-12-31T23:59:59-00:01", "2026-1-1T00:00:00Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (parsed(cases[i]) != INT64_MIN) test_fail(__FILE__, __LINE__, cases[i]);
}

TEST(times_agree_with_the_c_library) {
  tk_rng rng;
  tk_rng_seed(&rng, 42);
  for (int i = 0; i < 100000; i++) {
    time_t seconds = (time_t)(tk_rng_next(&rng) % 315569520000) - 62167219200;
    struct tm tm;
    char expected[64], text[32];
    gmtime_r(&seconds, &tm);
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, i);
    tk_time_format(seconds * 1000000 + i, text);
    CHECK_EQ_STR(text, expected);
    CHECK_EQ_INT(parsed(text), seconds * 1000000 + i);
  }
}

TEST(the_system_clock_is_now) {
  int64_t now_us = tk_clock_now_us(&tk_clock_system), seconds = time(NULL);
  CHECK(now_us / 1000000 - seconds <= 1 && seconds - now_us / 1000000 <= 1);
  int64_t before = tk_monotonic_us();
  CHECK(tk_monotonic_us() >= before);
}

TEST(a_seed_fixes_the_sequence) {
  tk_rng a, b;
  tk_rng_seed(&a, 1);
  tk_rng_seed(&b, 1);
  double low = 1, high = 0;
  for (int i = 0; i < 10000; i++) {
    CHECK(tk_rng_next(&a) == tk_rng_next(&b));
    double unit = tk_rng_unit(&a);
    CHECK(unit == tk_rng_unit(&b) && unit >= 0 && unit < 1);
    if (unit < low) low = unit;
    if (unit > high) high = unit;
  }
  CHECK(low < 0.01 && high > 0.99);
  tk_rng_seed_system(&a);
  tk_rng_seed_system(&b);
  CHECK(tk_rng_next(&a) != tk_rng_next(&b));
  /* xoshiro256** from the state 1, 2, 3, 4: the first numbers of its reference implementation */
  tk_rng reference = {{1, 2, 3, 4}};
  CHECK_EQ_INT(tk_rng_next(&reference), 11520);
  CHECK_EQ_INT(tk_rng_next(&reference), 0);
  CHECK_EQ_INT(tk_rng_next(&reference), 1509978240);
}

TEST(ids_rise_even_when_the_clock_does_not) {
  tk_id_source source = {0};
  tk_rng rng;
  tk_rng_seed(&rng, 3);
  int64_t now_us = 1795420800000000;
  tk_id last = tk_id_next(&source, now_us, &rng);
  for (int i = 0; i < 100000; i++) {
    if (i % 1000 == 0) now_us += i % 3000 ? 700 : -50000;
    tk_id id = tk_id_next(&source, now_us, &rng);
    CHECK(memcmp(last.bytes, id.bytes, 16) < 0);
    CHECK_EQ_INT(id.bytes[6] >> 4, 7);
    CHECK_EQ_INT(id.bytes[8] >> 6, 2);
    last = id;
  }
}

TEST(an_id_holds_its_time) {
  tk_id_source source = {0};
  tk_rng rng;
  tk_rng_seed(&rng, 3);
  tk_id id = tk_id_next(&source, 1795420800123456, &rng);
  uint64_t ms = 0;
  for (int i = 0; i < 6; i++) ms = ms << 8 | id.bytes[i];
  CHECK_EQ_INT(ms, 1795420800123);
}

TEST(ids_read_back_as_written) {
  tk_id id, again;
  for (int i = 0; i < 16; i++) id.bytes[i] = (uint8_t)(i * 17);
  char text[37];
  tk_id_format(&id, text);
  CHECK_EQ_STR(text, "00112233-4455-6677-8899-aabbccddeeff");
  CHECK(tk_id_parse(text, 36, &again) && memcmp(&id, &again, 16) == 0);
  CHECK(tk_id_parse("00112233-4455-6677-8899-AABBCCDDEEFF", 36, &again) && memcmp(&id, &again, 16) == 0);
  CHECK(!tk_id_parse("", 0, &again));
  CHECK(!tk_id_parse(text, 35, &again));
  CHECK(!tk_id_parse("0011223344556677-8899-aabbccddeeff--", 36, &again));
  CHECK(!tk_id_parse("00112233-4455-6677-8899-aabbccddeefg", 36, &again));
  CHECK(!tk_id_parse("00112233-4455-6677-8899_aabbccddeeff", 36, &again));
}

TEST(sha256_gives_the_published_digests) {
  static const struct { const char *text, *digest; } cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t digest[32], back[32];
    char text[65];
    tk_sha256(tk_slice_str(cases[i].text), digest);
    tk_hex(digest, 32, text);
    CHECK_EQ_STR(text, cases[i].digest);
    CHECK(tk_unhex(text, 64, back) && memcmp(digest, back, 32) == 0);
  }
  static char million[1000000];
  uint8_t digest[32];
  char text[65];
  memset(million, 'a', sizeof million);
  tk_sha256(tk_slice_of(million, sizeof million), digest);
  tk_hex(digest, 32, text);
  CHECK_EQ_STR(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  uint8_t byte;
  CHECK(!tk_unhex("0", 1, &byte) && !tk_unhex("0g", 2, &byte) && tk_unhex("aF", 2, &byte) && byte == 0xAF);
}

TEST(crc32c_gives_the_published_values) {
  uint8_t bytes[32];
  CHECK_EQ_INT(tk_crc32c(0, "123456789", 9), 0xE3069283);
  memset(bytes, 0, 32);
  CHECK_EQ_INT(tk_crc32c(0, bytes, 32), 0x8A9136AA);
  memset(bytes, 0xFF, 32);
  CHECK_EQ_INT(tk_crc32c(0, bytes, 32), 0x62A8AB43);
  for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
  CHECK_EQ_INT(tk_crc32c(0, bytes, 32), 0x46DD794E);
  CHECK_EQ_INT(tk_crc32c(0, NULL, 0), 0);
}

TEST(crc32c_is_the_same_by_table_and_in_parts) {
  uint8_t bytes[300];
  for (int i = 0; i < 300; i++) bytes[i] = (uint8_t)(i * 7);
  for (size_t size = 0; size <= 300; size++) {
    uint32_t whole = tk_crc32c(0, bytes, size);
    CHECK_EQ_INT(tk_crc32c_portable(0, bytes, size), whole);
    CHECK_EQ_INT(tk_crc32c(tk_crc32c(0, bytes, size / 3), bytes + size / 3, size - size / 3), whole);
  }
}

TEST_MAIN
