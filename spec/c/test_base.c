/* Promises of core/base: errors, bytes, memory, maps, UTF-8. */
#include "test.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"

/* What `run` writes to stderr in a child process; *status is that of waitpid. The result is cut at size - 1. */
static void stderr_of(void (*run)(void), char *out, size_t size, int *status) {
  int ends[2];
  size_t got = 0;
  ssize_t part;
  if (pipe(ends) != 0) abort();
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    run();
    _exit(0);
  }
  close(ends[1]);
  while (got < size - 1 && (part = read(ends[0], out + got, size - 1 - got)) > 0) got += (size_t)part;
  out[got] = '\0';
  close(ends[0]);
  waitpid(child, status, 0);
}

static void ask_for_too_much(void) {
  volatile size_t size = (size_t)PTRDIFF_MAX - 4096;
  tk_free(tk_malloc(size));
}

static void overflow_calloc(void) {
  volatile size_t count = SIZE_MAX / 2;
  tk_free(tk_calloc(count, 4));
}

static void break_an_assertion(void) {
  volatile int two = 2;
  TK_ASSERT(two == 3);
}

TEST(out_of_memory_ends_with_one_clear_line) {
  char text[256];
  int status;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators end the process in their own words */
  stderr_of(ask_for_too_much, text, sizeof text, &status);
  CHECK_EQ_STR(text, "tasker: out of memory (9223372036854771711 bytes)\n");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#else
  (void)ask_for_too_much;
#endif
  stderr_of(overflow_calloc, text, sizeof text, &status);
  CHECK(strncmp(text, "tasker: out of memory (", 23) == 0);
  CHECK(WIFSIGNALED(status));
}

TEST(a_broken_assertion_names_its_place) {
  char text[256];
  int status;
  stderr_of(break_an_assertion, text, sizeof text, &status);
  CHECK(strstr(text, "test_base.c:") != NULL);
  CHECK(strstr(text, ": two == 3\n") != NULL);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(an_allocation_of_nothing_is_something_to_free) {
  void *ptr = tk_malloc(0);
  CHECK(ptr != NULL);
  ptr = tk_realloc(ptr, 0);
  CHECK(ptr != NULL);
  tk_free(ptr);
  tk_free(NULL);
  char *copy = tk_strdup("abc");
  CHECK_EQ_STR(copy, "abc");
  tk_free(copy);
  tk_free(tk_memdup(NULL, 0));
}

TEST(an_error_carries_code_message_and_details) {
  tk_err err;
  CHECK_EQ_INT(tk_err_set(&err, TK_E_CONFLICT, "%s is %d", "x", 3), TK_E_CONFLICT);
  CHECK_EQ_INT(err.code, TK_E_CONFLICT);
  CHECK_EQ_STR(err.message, "x is 3");
  CHECK_EQ_STR(err.details, "");
  tk_err_details(&err, "{\"a\":%d}", 1);
  CHECK_EQ_STR(err.details, "{\"a\":1}");
  tk_err_set(&err, TK_E_IO, "again");
  CHECK_EQ_STR(err.details, "");
  CHECK_EQ_INT(tk_err_set(NULL, TK_E_FULL, "nobody listens"), TK_E_FULL);
  tk_err_details(NULL, "{}");
}

TEST(an_error_can_add_context_to_its_own_message) {
  tk_err err;
  tk_err_set(&err, TK_E_IO, "the disk is full");
  tk_err_set(&err, TK_E_IO, "cannot write 'x': %s", err.message);
  CHECK_EQ_STR(err.message, "cannot write 'x': the disk is full");
}

TEST(a_long_message_is_cut_between_characters) {
  tk_err err;
  char text[2001];
  for (int offset = 0; offset < 4; offset++) {
    memset(text, 'a', (size_t)offset);
    for (int i = offset; i + 3 <= 2000; i += 3) memcpy(text + i, "\xE2\x82\xAC", 4);
    tk_err_set(&err, TK_E_INVALID, "%s", text);
    size_t size = strlen(err.message);
    CHECK(size >= sizeof err.message - 4 && size < sizeof err.message);
    CHECK_EQ_INT(tk_utf8_invalid_at(err.message, size), size);
  }
  memset(text, 'a', 2000);
  text[2000] = '\0';
  tk_err_set(&err, TK_E_INVALID, "%s", text);
  CHECK_EQ_INT(strlen(err.message), sizeof err.message - 1);
  tk_err_details(&err, "{\"text\":\"%s\"}", text);
  CHECK_EQ_STR(err.details, ""); /* half a JSON object is none */
}

TEST(codes_have_the_names_of_the_interface) {
  static const struct { int code; const char *name; } cases[] = {
      {TK_OK, "ok"},           {TK_E_NOT_FOUND, "not_found"}, {TK_E_INVALID, "invalid"}, {TK_E_CONFLICT, "conflict"},
      {TK_E_REFUSED, "refused"}, {TK_E_BLOCKED, "blocked"},   {TK_E_TIMEOUT, "timeout"}, {TK_E_CLOSED, "closed"},
      {TK_E_FULL, "full"},     {TK_E_IO, "io"},               {TK_E_CORRUPT, "corrupt"}, {TK_E_UNSUPPORTED, "unsupported"},
      {1, "unknown"},          {-100, "unknown"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) CHECK_EQ_STR(tk_err_name(cases[i].code), cases[i].name);
}

static const uint64_t edge_values[] = {0,      1,         0x7F,       0x80,        0xFF,      0x100,         0x3FFF,
                                       0x4000, UINT32_MAX, INT64_MAX, UINT64_MAX, INT64_MIN, UINT64_MAX - 1, 1ull << 32};
#define EDGE_COUNT (sizeof edge_values / sizeof edge_values[0])

TEST(readers_read_what_writers_wrote) {
  tk_buf buf = {0};
  for (size_t i = 0; i < EDGE_COUNT; i++) {
    uint64_t v = edge_values[i];
    tk_buf_u8(&buf, (uint8_t)v);
    tk_buf_f64le(&buf, (double)v);
    tk_buf_varint(&buf, v);
    tk_buf_svarint(&buf, (int64_t)v);
    tk_buf_bytes(&buf, tk_slice_of("abcdef", (size_t)i % 7));
  }
  tk_reader r = tk_reader_of(tk_buf_slice(&buf));
  for (size_t i = 0; i < EDGE_COUNT; i++) {
    uint64_t v = edge_values[i];
    CHECK_EQ_INT(tk_read_u8(&r), (uint8_t)v);
    CHECK(tk_read_f64le(&r) == (double)v);
    CHECK(tk_read_varint(&r) == v);
    CHECK_EQ_INT(tk_read_svarint(&r), (int64_t)v);
    CHECK(tk_slice_eq(tk_read_bytes(&r), tk_slice_of("abcdef", (size_t)i % 7)));
  }
  CHECK(!r.bad);
  CHECK_EQ_INT(tk_reader_left(&r), 0);
  tk_buf_free(&buf);
}

TEST(encodings_are_these_bytes) {
  tk_buf buf = {0};
  tk_buf_varint(&buf, 300);
  tk_buf_svarint(&buf, -1);
  tk_buf_svarint(&buf, 1);
  tk_buf_bytes(&buf, tk_slice_str("hi"));
  static const char expected[] = "\xAC\x02\x01\x02\2hi";
  CHECK(tk_slice_eq(tk_buf_slice(&buf), tk_slice_of(expected, sizeof expected - 1)));
  tk_buf_free(&buf);
}

TEST(a_short_or_malformed_read_is_bad_for_good) {
  tk_reader r = tk_reader_of(tk_slice_of("\1\2\3", 3));
  CHECK_EQ_INT(tk_read_u32be(&r), 0);
  CHECK(r.bad);
  CHECK_EQ_INT(tk_read_u8(&r), 0);
  CHECK_EQ_INT(tk_reader_left(&r), 0);
  static const tk_slice malformed[] = {
      {"", 0},
      {"\x80", 1},
      {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10},     /* more than 64 bits */
      {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
      {"\x80\x00", 2},                                      /* 0 in two bytes */
  };
  for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
    r = tk_reader_of(malformed[i]);
    CHECK(tk_read_varint(&r) == 0 && r.bad);
    r = tk_reader_of(malformed[i]);
    CHECK(tk_read_bytes(&r).size == 0 && r.bad);
  }
  r = tk_reader_of(tk_slice_of("\5abc", 4));
  CHECK(tk_read_bytes(&r).size == 0 && r.bad);
  r = tk_reader_of(tk_slice_of("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10));
  CHECK(tk_read_bytes(&r).size == 0 && r.bad);
  r = tk_reader_of(tk_slice_of(NULL, 0));
  CHECK(tk_read_varint(&r) == 0 && tk_read_f64le(&r) == 0 && r.bad);
}

TEST(a_buffer_grows_and_keeps_its_bytes) {
  tk_buf buf = {0};
  tk_buf_append(&buf, NULL, 0);
  CHECK_EQ_INT(buf.size, 0);
  CHECK(tk_buf_reserve(&buf, 0) != NULL);
  for (int i = 0; i < 1000; i++) tk_buf_printf(&buf, "%d,", i);
  CHECK_EQ_INT(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
  CHECK(memcmp(buf.data, "0,1,2,3,", 8) == 0);
  CHECK(memcmp(buf.data + buf.size - 8, "998,999,", 8) == 0);
  tk_buf_clear(&buf);
  tk_buf_append_str(&buf, "x");
  CHECK(tk_slice_eq(tk_buf_slice(&buf), tk_slice_str("x")));
  tk_buf_free(&buf);
  CHECK(buf.data == NULL && buf.size == 0 && buf.capacity == 0);
}

TEST(arena_memory_is_aligned_separate_and_survives_growth) {
  tk_arena arena = {0};
  for (int round = 0; round < 3; round++) {
    char *parts[2000];
    for (size_t i = 0; i < 2000; i++) {
      parts[i] = tk_arena_alloc(&arena, i % 97);
      CHECK((uintptr_t)parts[i] % 16 == 0);
      memset(parts[i], (int)i & 0xFF, i % 97);
    }
    char *big = tk_arena_zalloc(&arena, 3 * 1024 * 1024);
    CHECK(big[0] == 0 && big[3 * 1024 * 1024 - 1] == 0);
    for (size_t i = 0; i < 2000; i++)
      for (size_t j = 0; j < i % 97; j++) CHECK((unsigned char)parts[i][j] == (i & 0xFF));
    tk_slice copy = tk_arena_copy(&arena, tk_slice_str("kept"));
    CHECK(tk_slice_eq(copy, tk_slice_str("kept")));
    CHECK_EQ_INT(tk_arena_copy(&arena, tk_slice_of(NULL, 0)).size, 0);
    tk_arena_reset(&arena);
    CHECK((size_t)(arena.end - arena.at) <= 1024 * 1024);
  }
  int *numbers = TK_ARENA_ARRAY(&arena, int, 10);
  CHECK(numbers[9] == 0);
  tk_arena_free(&arena);
  tk_arena_free(&arena);
  CHECK(arena.block == NULL);
}

TEST(a_map_finds_what_was_put_and_not_removed) {
  enum { KEYS = 4096 };
  tk_map map = {0};
  static uintptr_t model[KEYS];
  memset(model, 0, sizeof model);
  tk_rng rng;
  tk_rng_seed(&rng, 7);
  size_t count = 0;
  CHECK(tk_map_get(&map, 1) == NULL && tk_map_remove(&map, 1) == NULL);
  for (int i = 0; i < 200000; i++) {
    uint64_t random = tk_rng_next(&rng);
    uint64_t key = random % KEYS, stored = key * 0x100000001ull;
    if (random >> 62) {
      uintptr_t value = (uintptr_t)(random >> 16 | 1);
      count += model[key] == 0;
      model[key] = value;
      tk_map_put(&map, stored, (void *)value);
    } else {
      CHECK((uintptr_t)tk_map_remove(&map, stored) == model[key]);
      count -= model[key] != 0;
      model[key] = 0;
    }
    CHECK_EQ_INT(map.count, count);
  }
  size_t cursor = 0, seen = 0;
  uint64_t key;
  void *value;
  while (tk_map_next(&map, &cursor, &key, &value)) {
    seen++;
    CHECK((uintptr_t)value == model[key / 0x100000001ull]);
  }
  CHECK_EQ_INT(seen, count);
  for (uint64_t i = 0; i < KEYS; i++) CHECK((uintptr_t)tk_map_get(&map, i * 0x100000001ull) == model[i]);
  CHECK(map.capacity <= 4 * KEYS);
  tk_map_clear(&map);
  cursor = 0;
  CHECK(!tk_map_next(&map, &cursor, &key, &value) && map.count == 0);
  tk_map_free(&map);
  CHECK(map.slots == NULL);
}

TEST(a_map_of_passing_keys_does_not_grow) {
  tk_map map = {0};
  int value;
  for (uint64_t i = 0; i < 100000; i++) {
    tk_map_put(&map, i, &value);
    if (i >= 8) CHECK(tk_map_remove(&map, i - 8) == &value);
  }
  CHECK(map.capacity <= 64);
  tk_map_free(&map);
}

TEST(utf8_is_checked_strictly) {
  static const struct { const char *text; size_t size, invalid_at; } cases[] = {
      {"", 0, 0},
      {"plain ascii text", 16, 16},
      {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9, 9},
      {"\xF4\x8F\xBF\xBF", 4, 4},
      {"\xED\x9F\xBF\xEE\x80\x80", 6, 6},
      {"a\0b", 3, 3},
      {"abcdefgh\xFF", 9, 8},
      {"\x80", 1, 0},
      {"\xC0\x80", 2, 0},             /* overlong */
      {"\xC1\xBF", 2, 0},
      {"\xE0\x9F\xBF", 3, 0},
      {"\xF0\x8F\xBF\xBF", 4, 0},
      {"ab\xED\xA0\x80", 5, 2},       /* surrogate */
      {"\xF4\x90\x80\x80", 4, 0},     /* beyond U+10FFFF */
      {"\xF5\x80\x80\x80", 4, 0},
      {"a\xE2\x82", 3, 1},            /* cut */
      {"a\xC3", 2, 1},
      {"\xC3(", 2, 0},
      {"\xE2\x82(", 3, 0},
      {"\xF0\x9F\x98(", 4, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    CHECK_EQ_INT(tk_utf8_invalid_at(cases[i].text, cases[i].size), cases[i].invalid_at);
  CHECK_EQ_INT(tk_utf8_sequence("a", 1), 1);
  CHECK_EQ_INT(tk_utf8_sequence("a", 0), 0);
}

static void log_some(void) {
  char text[5000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  tk_log_set_level(TK_LOG_INFO);
  tk_log(TK_LOG_DEBUG, "not this");
  tk_log(TK_LOG_INFO, "line %d", 1);
  tk_log(TK_LOG_ERROR, "%s", text);
}

static void log_by_environment(void) {
  setenv("TASKER_LOG", "error", 1);
  tk_log(TK_LOG_WARN, "a warning");
  tk_log(TK_LOG_ERROR, "an error");
}

static void log_by_default(void) {
  unsetenv("TASKER_LOG");
  tk_log(TK_LOG_INFO, "news");
  tk_log(TK_LOG_WARN, "a warning");
}

TEST(log_lines_are_whole_and_filtered) {
  char text[8192];
  int status;
  stderr_of(log_some, text, sizeof text, &status);
  CHECK(strncmp(text, "tasker: line 1\ntasker: xxx", 26) == 0);
  CHECK_EQ_INT(strlen(text), 15 + 2048);
  CHECK(text[strlen(text) - 1] == '\n');
  stderr_of(log_by_environment, text, sizeof text, &status);
  CHECK_EQ_STR(text, "tasker: an error\n");
  stderr_of(log_by_default, text, sizeof text, &status);
  CHECK_EQ_STR(text, "tasker: a warning\n");
}

TEST_MAIN
