/* The test harness of the C unit tests: one program per spec/c/test_*.c.
 *
 *   TEST(reads_back_what_it_wrote) { CHECK(1 + 1 == 2); }
 *   TEST_MAIN
 *
 * Arguments given to the program are substrings: only tests whose name contains one of them run. A failed CHECK prints
 * its place and the test goes on; the last line is "N passed, N failed" (tests), and the exit status 1 if any failed. */
#ifndef TK_SPEC_TEST_H
#define TK_SPEC_TEST_H
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_case {
  const char *name;
  void (*run)(void);
  struct test_case *next;
} test_case;

static test_case *test_first, **test_last = &test_first;
static const char *test_current = "";
static int test_failures; /* of the running test */

static inline void test_register(test_case *test) {
  *test_last = test;
  test_last = &test->next;
}

/* Counts and prints a failed check. */
static inline void test_fail(const char *file, int line, const char *what) {
  test_failures++;
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, test_current, what);
}

#define TEST(name) \
  static void test_##name(void); \
  __attribute__((constructor)) static void test_register_##name(void) { \
    static test_case test = {#name, test_##name, NULL}; \
    test_register(&test); \
  } \
  static void test_##name(void)

#define CHECK(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, #cond))
/* Ends the test function when the rest of it makes no sense without `cond`. */
#define REQUIRE(cond) \
  do { \
    if (!(cond)) { \
      test_fail(__FILE__, __LINE__, #cond); \
      return; \
    } \
  } while (0)
#define CHECK_EQ_INT(a, b) test_eq_int(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))
#define CHECK_EQ_STR(a, b) test_eq_str(__FILE__, __LINE__, #a " == " #b, (a), (b))

static inline void test_eq_int(const char *file, int line, const char *what, long long a, long long b) {
  if (a == b) return;
  char text[512];
  snprintf(text, sizeof text, "%.300s: %lld is not %lld", what, a, b);
  test_fail(file, line, text);
}

static inline void test_eq_str(const char *file, int line, const char *what, const char *a, const char *b) {
  if (a == b || (a && b && strcmp(a, b) == 0)) return;
  char text[2048];
  snprintf(text, sizeof text, "%.300s: '%.800s' is not '%.800s'", what, a ? a : "(null)", b ? b : "(null)");
  test_fail(file, line, text);
}

static inline bool test_wanted(const test_case *test, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strstr(test->name, argv[i])) return true;
  return argc < 2;
}

static inline int test_run_all(int argc, char **argv) {
  int passed = 0, failed = 0;
  for (test_case *test = test_first; test; test = test->next) {
    if (!test_wanted(test, argc, argv)) continue;
    test_current = test->name;
    test_failures = 0;
    test->run();
    if (test_failures) failed++;
    else passed++;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST_MAIN \
  int main(int argc, char **argv) { return test_run_all(argc, argv); }

#endif
