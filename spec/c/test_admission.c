/* Breakers as a text table: what happens to one, and what it says then. */
#include "model/admission.h"
#include "test.h"

#define MOST 3
#define RESET_US 30000000
#define LEASE_US 5000000

/* One line: after what came before, at `second`, `what` happens: admit, success, failure, none (of a request that began in the epoch
 * that is now), stale (a failure of one that began before). */
typedef struct row {
  int second;
  const char *what;
  bool passes;                    /* admit: it may go */
  uint8_t state;
  uint32_t failures;
} row;

static const row life[] = {
  {0, "admit", true, TK_BREAKER_CLOSED, 0},
  {0, "failure", false, TK_BREAKER_CLOSED, 1},
  {0, "failure", false, TK_BREAKER_CLOSED, 2},
  {0, "success", false, TK_BREAKER_CLOSED, 0},      /* in a row, not in all */
  {0, "none", false, TK_BREAKER_CLOSED, 0},
  {1, "failure", false, TK_BREAKER_CLOSED, 1},
  {1, "failure", false, TK_BREAKER_CLOSED, 2},
  {1, "admit", true, TK_BREAKER_CLOSED, 2},
  {1, "failure", false, TK_BREAKER_OPEN, 3},
  {1, "stale", false, TK_BREAKER_OPEN, 3},
  {1, "success", false, TK_BREAKER_OPEN, 3},        /* nobody was let through since it opened */
  {30, "admit", false, TK_BREAKER_OPEN, 3},
  {31, "admit", true, TK_BREAKER_HALF_OPEN, 3},     /* the probe */
  {31, "admit", false, TK_BREAKER_HALF_OPEN, 3},    /* one only */
  {31, "stale", false, TK_BREAKER_HALF_OPEN, 3},
  {32, "failure", false, TK_BREAKER_OPEN, 3},
  {61, "admit", false, TK_BREAKER_OPEN, 3},
  {62, "admit", true, TK_BREAKER_HALF_OPEN, 3},
  {62, "none", false, TK_BREAKER_OPEN, 3},          /* the probe is gone: the next one tries at once */
  {62, "admit", true, TK_BREAKER_HALF_OPEN, 3},
  {66, "admit", false, TK_BREAKER_HALF_OPEN, 3},
  {67, "admit", true, TK_BREAKER_HALF_OPEN, 3},     /* it took too long: another one tries */
  {67, "stale", false, TK_BREAKER_HALF_OPEN, 3},    /* and what it brings now is late */
  {68, "success", false, TK_BREAKER_CLOSED, 0},
  {68, "admit", true, TK_BREAKER_CLOSED, 0},
};

static uint8_t verdict_of(const char *what) {
  return strcmp(what, "success") == 0 ? TK_VERDICT_SUCCESS : strcmp(what, "none") == 0 ? TK_VERDICT_NONE : TK_VERDICT_FAILURE;
}

TEST(a_breaker_opens_after_failures_in_a_row_lets_one_try_and_closes_when_that_works) {
  tk_breaker b = {.most = MOST, .reset_us = RESET_US, .there = true};
  for (size_t i = 0; i < sizeof life / sizeof *life; i++) {
    const row *r = &life[i];
    int64_t now_us = (int64_t)r->second * 1000000;
    bool probes = false, passes = false;
    if (strcmp(r->what, "admit") == 0) {
      passes = tk_breaker_lets(&b, now_us, &probes);
      if (passes && probes) tk_breaker_probe(&b, now_us, LEASE_US);
    } else {
      uint32_t epoch = strcmp(r->what, "stale") == 0 ? b.epoch - 1 : b.epoch;
      tk_breaker_settle(&b, epoch, verdict_of(r->what), tk_slice_str("why"), now_us);
    }
    if (passes != r->passes || b.state != r->state || b.failures != r->failures)
      fprintf(stderr, "row %zu: %s at %d: passes %d, %s, %u failures\n", i, r->what, r->second, passes, tk_breaker_state_name(b.state),
              b.failures);
    CHECK(passes == r->passes && b.state == r->state && b.failures == r->failures);
  }
  CHECK(tk_slice_eq(b.why, tk_slice_str("why")));
}

TEST_MAIN
