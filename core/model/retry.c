#include "model/retry.h"

#include <math.h>

#include "bounds.h"

const tk_retry tk_retry_default = {.limit = 3,
                                   .lost_limit = TK_LOST_LIMIT,
                                   .backoff = TK_BACKOFF_EXPONENTIAL,
                                   .jitter = TK_JITTER_FULL,
                                   .base = 1,
                                   .factor = 2,
                                   .cap = 300};

static double fibonacci(uint32_t n) {
  double a = 0, b = 1;
  for (uint32_t i = 1; i < n && b < 1e300; i++) {
    double next = a + b;
    a = b;
    b = next;
  }
  return b;
}

/* The delay before jitter and cap. */
static double plain_delay(const tk_retry *retry, uint32_t n) {
  switch (retry->backoff) {
    case TK_BACKOFF_FIXED: return retry->base;
    case TK_BACKOFF_LINEAR: return retry->base * n;
    case TK_BACKOFF_EXPONENTIAL: return retry->base * pow(retry->factor, n - 1);
    case TK_BACKOFF_FIBONACCI: return retry->base * fibonacci(n);
    case TK_BACKOFF_LIST: return retry->list_count ? retry->list[n <= retry->list_count ? n - 1 : retry->list_count - 1] : 0;
    default: return 0;
  }
}

static double bounded(const tk_retry *retry, double delay) {
  if (retry->cap > 0 && !(delay < retry->cap)) return retry->cap;   /* also for inf and nan of huge exponents */
  return delay > 0 ? delay : 0;
}

double tk_retry_delay(const tk_retry *retry, uint32_t n, double previous, tk_rng *rng) {
  if (retry->backoff == TK_BACKOFF_CUSTOM) retry = &tk_retry_default;
  if (retry->backoff == TK_BACKOFF_NONE) return 0;
  double d = bounded(retry, plain_delay(retry, n ? n : 1));
  switch (retry->jitter) {
    case TK_JITTER_FULL: return d * tk_rng_unit(rng);
    case TK_JITTER_EQUAL: return d / 2 + d / 2 * tk_rng_unit(rng);
    case TK_JITTER_DECORRELATED: {
      double high = 3 * (previous > retry->base ? previous : retry->base);
      return bounded(retry, retry->base + (high - retry->base) * tk_rng_unit(rng));
    }
    case TK_JITTER_FRACTION: return d * (1 + retry->fraction * (2 * tk_rng_unit(rng) - 1));
    default: return d;
  }
}
