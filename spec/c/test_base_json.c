/* Promises of core/base/json*: numbers in both directions, the writer, the checker. */
#include "test.h"

#include <locale.h>
#include <math.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_scan.h"

static const char *written(double value, bool canonical) {
  static char text[33];
  text[tk_json_number(value, canonical, text)] = '\0';
  return text;
}

static double read_number(const char *text, bool *ok) {
  tk_json_scan scan = {text, text + strlen(text), ""};
  tk_json_num num = {0};
  *ok = tk_json_scan_number(&scan, &num) && scan.at == scan.end;
  return num.is_integer ? (double)num.integer : num.number;
}

static double from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, 8);
  return value;
}

TEST(canonical_numbers_are_those_of_rfc_8785) {
  static const struct { uint64_t bits; const char *text; } cases[] = {
      {0x0000000000000000, "0"}, {0x8000000000000000, "0"}, {0x0000000000000001, "5e-324"}, {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"}, {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"}, {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"}, {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"}, {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"}, {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"}, {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"}, {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"}, {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"}, {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"}, {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    CHECK_EQ_STR(written(from_bits(cases[i].bits), true), cases[i].text);
}

TEST(floats_are_written_as_floats) {
  static const struct { double value; const char *text; } cases[] = {
      {1, "1.0"}, {-1, "-1.0"}, {0, "0.0"}, {-0.0, "-0.0"}, {0.1, "0.1"}, {0.1 + 0.2, "0.30000000000000004"},
      {1e20, "100000000000000000000.0"}, {1e21, "1e+21"}, {1e-6, "0.000001"}, {1e-7, "1e-7"}, {123456.789, "123456.789"},
      {1e300, "1e+300"}, {1.5e300, "1.5e+300"}, {2.5, "2.5"}, {1e15, "1000000000000000.0"}, {4294967296.5, "4294967296.5"},
      {0x1p53, "9007199254740992.0"}, {0x1p-44, "5.684341886080802e-14"}, {2.2250738585072014e-308, "2.2250738585072014e-308"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) CHECK_EQ_STR(written(cases[i].value, false), cases[i].text);
}

/* The fewest digits with which the C library comes back to the value. */
static int fewest_digits(double value) {
  char text[64];
  for (int count = 1; count < 17; count++) {
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    if (strtod(text, NULL) == value) return count;
  }
  return 17;
}

static int digits_in(const char *text) {
  int count = 0, trailing = 0;
  for (; *text && *text != 'e'; text++) {
    if (*text < '0' || *text > '9' || (count == 0 && *text == '0')) continue;
    count++;
    trailing = *text == '0' ? trailing + 1 : 0;
  }
  return count - trailing;
}

static void check_round_trip(double value, bool also_shortest) {
  char text[33];
  bool ok;
  text[tk_json_number(value, false, text)] = '\0';
  double back = read_number(text, &ok);
  if (!ok || back != value || strtod(text, NULL) != value) test_fail(__FILE__, __LINE__, text);
  if (also_shortest && digits_in(text) > fewest_digits(value)) test_fail(__FILE__, __LINE__, text);
  text[tk_json_number(value, true, text)] = '\0';
  back = read_number(text, &ok);
  if (!ok || back != value) test_fail(__FILE__, __LINE__, text);
}

TEST(random_doubles_come_back) {
  tk_rng rng;
  tk_rng_seed(&rng, 11);
  for (int i = 0; i < 200000; i++) {
    double value = from_bits(tk_rng_next(&rng));
    if (isfinite(value)) check_round_trip(value, i % 20 == 0);
  }
}

TEST(everyday_doubles_come_back_in_the_fewest_digits) {
  tk_rng rng;
  tk_rng_seed(&rng, 12);
  for (int i = 0; i < 200000; i++) {
    double unit = tk_rng_unit(&rng);
    check_round_trip(unit * 1e6, i % 10 == 0);
    check_round_trip(1.7e9 + unit * 1e8, i % 10 == 0);
    check_round_trip((double)(int64_t)(unit * 1e8) / 100, i % 10 == 0);
    check_round_trip(unit * 1e-9, i % 10 == 0);
  }
  for (int exponent = -1074; exponent < 1024; exponent++) {
    double power = ldexp(1, exponent);
    check_round_trip(power, true);
    check_round_trip(nextafter(power, INFINITY), true);
    check_round_trip(nextafter(power, 0), true);
  }
}

TEST(decimals_are_read_as_the_c_library_reads_them) {
  tk_rng rng;
  tk_rng_seed(&rng, 13);
  for (int i = 0; i < 300000; i++) {
    char text[1200];
    uint64_t random = tk_rng_next(&rng);
    int digits = 1 + (int)(random % (i % 100 == 0 ? 900 : 24)), exponent = (int)(random >> 32) % (i % 2 ? 40 : 340);
    size_t size = 0;
    if (random >> 63) text[size++] = '-';
    for (int d = 0; d < digits; d++) {
      text[size++] = (char)((d ? '0' : '1') + tk_rng_next(&rng) % (d ? 10 : 9));
      if (d == digits / 3 && d + 1 < digits) text[size++] = '.';
    }
    snprintf(text + size, sizeof text - size, "e%d", random & 1 << 20 ? exponent : -exponent);
    bool ok;
    double expected = strtod(text, NULL), value = read_number(text, &ok);
    if (isinf(expected)) CHECK(!ok);
    else if (!ok || value != expected) test_fail(__FILE__, __LINE__, text);
  }
}

/* Decimals that lie exactly between two doubles, and just beside: where reading in two roundings goes wrong. */
TEST(halfway_decimals_are_read_exactly) {
  tk_rng rng;
  tk_rng_seed(&rng, 14);
  bool ok;
  for (int i = 0; i < 100000; i++) {
    uint64_t odd = (tk_rng_next(&rng) >> 10 | 1ull << 53 | 1) & ~(1ull << 54); /* 54 bits: a tie as an integer */
    for (int nudge = -1; nudge <= 1; nudge++) {
      char text[64];
      snprintf(text, sizeof text, "%llu%s", (unsigned long long)(odd + (uint64_t)nudge), i % 2 ? ".0" : "e0");
      double value = read_number(text, &ok);
      if (!ok || value != strtod(text, NULL)) test_fail(__FILE__, __LINE__, text);
      snprintf(text, sizeof text, "%llu.%s", (unsigned long long)odd, nudge < 0 ? "0" : nudge ? "0000000000000000000001" : "5");
      value = read_number(text, &ok);
      if (!ok || value != strtod(text, NULL)) test_fail(__FILE__, __LINE__, text);
    }
  }
  static const char *const hard[] = {
      "9007199254740993e0", "9007199254740993.00000000000000000000000000000001", "2.2250738585072011e-308",
      "2.4703282292062327208e-324", "2.4703282292062328e-324", "1.7976931348623158e308", "8.5e22", "1e23",
      "0.500000000000000166533453693773481063544750213623046875", "3.518437208883201171875e13", "62.5364939768271845828",
      "8.10109172351e-10", "1.50000000000000011102230246251565", "4503599627370497.5", "1e-400", "0e400", "0.0e-9999999999999"};
  for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++) {
    double value = read_number(hard[i], &ok);
    if (!ok || value != strtod(hard[i], NULL)) test_fail(__FILE__, __LINE__, hard[i]);
  }
}

TEST(numbers_of_any_length_are_read_exactly) {
  static char text[100100];
  bool ok;
  /* A tie whose last digit, very far behind, decides. */
  size_t size = (size_t)sprintf(text, "9007199254740993.");
  memset(text + size, '0', 100000);
  text[size + 100000] = '\0';
  CHECK(read_number(text, &ok) == 9007199254740992.0 && ok);
  text[size + 99999] = '1';
  CHECK(read_number(text, &ok) == 9007199254740994.0 && ok);
  memset(text, '0', 100000);
  memcpy(text, "0.", 2);
  strcpy(text + 100000, "1e99999");
  CHECK(read_number(text, &ok) == 1.0 && ok);
  memset(text, '1', 400);
  text[400] = '\0';
  read_number(text, &ok);
  CHECK(!ok);
  strcpy(text + 400, "e-399");
  CHECK(read_number(text, &ok) == strtod(text, NULL) && ok);
}

TEST(integers_keep_64_bits) {
  static const struct { const char *text; bool integer; int64_t value; } cases[] = {
      {"0", true, 0}, {"-0", true, 0}, {"9223372036854775807", true, INT64_MAX}, {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0}, {"-9223372036854775809", false, 0}, {"18446744073709551616", false, 0},
      {"10000000000000000000", false, 0}, {"100000000000000000000", false, 0}, {"1.0", false, 0}, {"1e2", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tk_json_scan scan = {cases[i].text, cases[i].text + strlen(cases[i].text), ""};
    tk_json_num num = {0};
    CHECK(tk_json_scan_number(&scan, &num));
    CHECK_EQ_INT(num.is_integer, cases[i].integer);
    if (num.is_integer) CHECK_EQ_INT(num.integer, cases[i].value);
    else CHECK(num.number == strtod(cases[i].text, NULL));
  }
  char text[32];
  text[tk_json_integer(INT64_MIN, text)] = '\0';
  CHECK_EQ_STR(text, "-9223372036854775808");
  text[tk_json_integer(0, text)] = '\0';
  CHECK_EQ_STR(text, "0");
}

TEST(the_locale_does_not_matter) {
  static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
  for (size_t i = 0; i < 4; i++)
    if (setlocale(LC_ALL, locales[i])) break;
  bool ok;
  CHECK(read_number("1.5e-300", &ok) > 0 && ok);
  CHECK(read_number("2.2250738585072011e-308", &ok) == 0x0.fffffffffffffp-1022 && ok);
  CHECK_EQ_STR(written(1.2345678901234568e-300, false), "1.2345678901234568e-300");
  CHECK_EQ_STR(written(0x1p-1000, false), "9.332636185032189e-302");
  setlocale(LC_ALL, "C");
}

TEST(strings_are_escaped_as_rfc_8785_says) {
  tk_buf buf = {0};
  tk_json_string(&buf, tk_slice_of("a\"\\/\b\f\n\r\t\0\x1F\x7F\xE2\x82\xAC", 15));
  CHECK(tk_slice_eq(tk_buf_slice(&buf), tk_slice_str("\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\xE2\x82\xAC\"")));
  tk_buf_clear(&buf);
  char text[5000];
  memset(text, '\n', sizeof text);
  tk_json_string(&buf, tk_slice_of(text, sizeof text));
  CHECK_EQ_INT(buf.size, 2 + 2 * sizeof text);
  CHECK_EQ_INT(tk_json_check(tk_buf_slice(&buf), 0, NULL), 0);
  tk_buf_free(&buf);
}

TEST(what_is_not_utf8_is_replaced_or_reported) {
  tk_buf buf = {0};
  tk_json_string(&buf, tk_slice_of("ab\xFF" "cdefghijk\xE2\x82", 14));
  CHECK(tk_slice_eq(tk_buf_slice(&buf), tk_slice_str("\"ab\xEF\xBF\xBD" "cdefghijk\xEF\xBF\xBD\xEF\xBF\xBD\"")));
  tk_buf_clear(&buf);
  CHECK_EQ_INT(tk_json_string_strict(&buf, tk_slice_of("ab\xFF" "cdefghijk", 12)), 2);
  CHECK_EQ_INT(tk_json_string_strict(&buf, tk_slice_of("abcdefgh\xE2\x82", 10)), 8);
  tk_buf_clear(&buf);
  CHECK_EQ_INT(tk_json_string_strict(&buf, tk_slice_str("\xC3\xA4")), 2);
  CHECK(tk_slice_eq(tk_buf_slice(&buf), tk_slice_str("\"\xC3\xA4\"")));
  tk_buf_free(&buf);
}

TEST(long_strings_are_escaped_like_short_ones) {
  char text[9000];
  for (size_t size = 0; size < sizeof text; size += 1 + size / 7) {
    for (size_t i = 0; i < size; i += 3) memcpy(text + i, i % 5 ? "\xE2\x82\xAC" : "a\n\"", 3);
    size_t whole = size / 3 * 3;
    tk_buf buf = {0};
    CHECK_EQ_INT(tk_json_string_strict(&buf, tk_slice_of(text, whole)), whole);
    CHECK_EQ_INT(tk_json_check(tk_buf_slice(&buf), 0, NULL), 0);
    char *back = malloc(buf.size);
    size_t back_size = tk_json_unescape(tk_slice_of(buf.data + 1, buf.size - 2), back);
    CHECK(tk_slice_eq(tk_slice_of(back, back_size), tk_slice_of(text, whole)));
    free(back);
    tk_buf_free(&buf);
  }
}

TEST(the_writer_puts_the_commas) {
  tk_buf buf = {0};
  tk_json_writer w = tk_json_to(&buf);
  tk_json_object(&w);
  tk_json_key(&w, "a");
  tk_json_put_int(&w, -5);
  tk_json_key(&w, "b");
  tk_json_array(&w);
  tk_json_put_cstr(&w, "x");
  tk_json_put_cstr(&w, NULL);
  tk_json_put_bool(&w, true);
  tk_json_put_bool(&w, false);
  tk_json_put_double(&w, 2);
  tk_json_object(&w);
  tk_json_object_end(&w);
  tk_json_array(&w);
  tk_json_array_end(&w);
  tk_json_put_null(&w);
  tk_json_array_end(&w);
  tk_json_key(&w, "t");
  tk_json_put_time(&w, 1);
  tk_json_key(&w, "n");
  tk_json_put_time(&w, 0);
  tk_json_key(&w, "r");
  tk_json_put_raw(&w, tk_slice_str("[1]"));
  tk_json_key(&w, "e");
  tk_json_put_raw(&w, tk_slice_of(NULL, 0));
  tk_json_object_end(&w);
  tk_buf_u8(&buf, 0);
  CHECK_EQ_STR(buf.data, "{\"a\":-5,\"b\":[\"x\",null,true,false,2.0,{},[],null],"
                         "\"t\":\"1970-01-01T00:00:00.000001Z\",\"n\":null,\"r\":[1],\"e\":null}");
  CHECK_EQ_INT(tk_json_check(tk_slice_str(buf.data), 3, NULL), 0);
  tk_buf_free(&buf);
}

static const char *const accepted[] = {
    "null", "true", "false", "0", "-0", "-1", "1.5", "1e5", "1E+5", "1e-5", "-0.0", "\"\"", "\"a\"", " [ ] ", "{}", "[[]]",
    "\t\r\n 1 \n", "{\"a\":1}", "{\"a\":1,\"a\":2}", "{\"\":0}", "[1,2]", "[null, {\"a\" : [ ]}]", "\"\\u0000\"",
    "\"\\uD83D\\uDE00\"", "\"\\ud83d\\ude00 \\\" \\\\ \\/ \\b \\f \\n \\r \\t\"", "\"\xF0\x9F\x98\x80\"", "\"\x7F\"",
    "[-9223372036854775808, 123456789012345678901234567890]", "1e-999", "\"\xEF\xBB\xBF\"", "\"\\uFFFF\"", "[1.0e+2]"};

static const struct { const char *text; int byte; } refused[] = {
    {"", 1}, {" ", 2}, {"nul", 1}, {"nulll", 5}, {"True", 1}, {"tru", 1}, {"NaN", 1}, {"Infinity", 1}, {"-Infinity", 2},
    {"+1", 1}, {"01", 2}, {"-01", 3}, {"-", 2}, {"1.", 3}, {".5", 1}, {"1e", 3}, {"1e+", 4}, {"1.e5", 3}, {"0x10", 2},
    {"1e999", 1}, {"[-1e999]", 2}, {"1 2", 3}, {"[", 2}, {"]", 1}, {"[1", 3}, {"[1,", 4}, {"[1,]", 4}, {"[,1]", 2}, {"[1 2]", 4},
    {"[1}", 3}, {"{", 2}, {"{]", 2}, {"{\"a\"", 5}, {"{\"a\" 1}", 6}, {"{\"a\":", 6}, {"{\"a\":1", 7}, {"{\"a\":1,}", 8},
    {"{,}", 2}, {"{a:1}", 2}, {"{'a':1}", 2}, {"{1:1}", 2}, {"{\"a\":1 \"b\":2}", 8}, {"\"", 2}, {"\"abc", 5}, {"\"\\", 2},
    {"\"\\x\"", 2}, {"\"\\u12\"", 2}, {"\"\\u123g\"", 2}, {"\"\\uD800\"", 2}, {"\"\\uDC00\"", 2}, {"\"\\uD800\\uD800\"", 2},
    {"\"\\uD800x\"", 2}, {"\"\\uD83D\\u\"", 2}, {"\"\n\"", 2}, {"\"\t\"", 2}, {"\"abcdefghij\x01\"", 12}, {"\"\xFF\"", 2},
    {"\"\xC0\x80\"", 2}, {"\"\xED\xA0\x80\"", 2}, {"\"abcdefgh\xE2\x82\"", 10}, {"\xEF\xBB\xBF" "1", 1}, {"// c\n1", 1},
    {"[1]/*c*/", 4}, {"'a'", 1}, {"[1,\n2,\n x]", 9}, {"\xC2\xA0" "1", 1}, {"\v1", 1}, {"[\"a\",\n4,\n5", 11}, {"{}}", 3},
    {"\"\\'\"", 2},
    {"[1,,2]", 4}, {"{\"a\":/*c*/1}", 6}, {"-x", 2}, {"1a", 2}, {"[1.5.5]", 5}, {"--1", 2}, {"{\"a\"}", 5}, {"\"a\"x", 4}};

TEST(valid_texts_are_accepted) {
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
    if (tk_json_check(tk_slice_str(accepted[i]), 128, NULL) != 0) test_fail(__FILE__, __LINE__, accepted[i]);
}

TEST(invalid_texts_are_refused_where_they_are_wrong) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    tk_err err = {0};
    char expected[64];
    snprintf(expected, sizeof expected, "invalid JSON at byte %d (", refused[i].byte);
    /* A copy of the exact size: a read beyond the end is one that the sanitizer sees. */
    size_t size = strlen(refused[i].text);
    char *copy = malloc(size ? size : 1);
    memcpy(copy, refused[i].text, size);
    CHECK_EQ_INT(tk_json_check(tk_slice_of(copy, size), 128, &err), TK_E_INVALID);
    if (strncmp(err.message, expected, strlen(expected)) != 0) {
      test_fail(__FILE__, __LINE__, refused[i].text);
      test_fail(__FILE__, __LINE__, err.message);
    }
    free(copy);
  }
}

TEST(every_cut_of_a_valid_text_is_refused) {
  static const char text[] = "{\"a\":[1.5e3,true,false,null,\"\\u00e4\\ud83d\\ude00\xE2\x82\xAC\"],\"b\":{\"c\":[]}}";
  for (size_t size = 0; size < sizeof text - 1; size++) {
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    CHECK_EQ_INT(tk_json_check(tk_slice_of(copy, size), 128, NULL), TK_E_INVALID);
    free(copy);
  }
  CHECK_EQ_INT(tk_json_check(tk_slice_of(text, sizeof text - 1), 3, NULL), 0);
}

TEST(positions_count_lines_and_characters) {
  tk_err err;
  tk_json_check(tk_slice_str("{\n  \"\xC3\xA4\": x}"), 8, &err);
  CHECK_EQ_STR(err.message, "invalid JSON at byte 11 (line 2, column 8): expected a value");
  CHECK_EQ_STR(err.details, "{\"byte\":11,\"line\":2,\"column\":8}");
  tk_json_check(tk_slice_of(NULL, 0), 8, &err);
  CHECK_EQ_STR(err.message, "invalid JSON at byte 1 (line 1, column 1): there is no text");
}

TEST(depth_is_bounded_exactly) {
  tk_err err;
  char text[257];
  memset(text, '[', 128);
  memset(text + 128, ']', 128);
  text[256] = '\0';
  CHECK_EQ_INT(tk_json_check(tk_slice_str(text), 128, NULL), 0);
  CHECK_EQ_INT(tk_json_check(tk_slice_str(text), 127, &err), TK_E_INVALID);
  CHECK_EQ_STR(err.message, "invalid JSON at byte 128 (line 1, column 128): nested deeper than 127 levels");
  CHECK_EQ_INT(tk_json_check(tk_slice_str("1"), 0, NULL), 0);
  CHECK_EQ_INT(tk_json_check(tk_slice_str("{}"), 0, NULL), TK_E_INVALID);
  size_t deep = 1000000;
  char *nested = malloc(deep * 2);
  memset(nested, '[', deep);
  memset(nested + deep, ']', deep);
  CHECK_EQ_INT(tk_json_check(tk_slice_of(nested, deep * 2), (int)deep, NULL), 0);
  free(nested);
}

TEST(unescaping_gives_the_characters) {
  char out[64];
  tk_slice raw = tk_slice_str("a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20AC\\uD83D\\uDE00z\\u0000");
  size_t size = tk_json_unescape(raw, out);
  CHECK(tk_slice_eq(tk_slice_of(out, size), tk_slice_of("a\"\\/\b\f\n\r\tA\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z\0", 21)));
}

TEST_MAIN
