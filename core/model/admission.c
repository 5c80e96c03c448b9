#include "model/admission.h"

const char *tk_breaker_state_name(uint8_t state) {
  static const char *const names[] = {"closed", "open", "half_open"};
  return state < TK_BREAKER_STATE_COUNT ? names[state] : NULL;
}

bool tk_breaker_lets(const tk_breaker *breaker, int64_t now_us, bool *probes) {
  *probes = breaker->state != TK_BREAKER_CLOSED;
  return breaker->state == TK_BREAKER_CLOSED || now_us >= breaker->until_us;
}

static void change(tk_breaker *breaker, uint8_t state, int64_t now_us, int64_t until_us) {
  breaker->state = state;
  breaker->epoch++;
  breaker->since_us = now_us;
  breaker->until_us = until_us;
}

void tk_breaker_probe(tk_breaker *breaker, int64_t now_us, int64_t lease_us) {
  change(breaker, TK_BREAKER_HALF_OPEN, now_us, now_us + lease_us);
}

static bool settle_closed(tk_breaker *breaker, uint8_t verdict, int64_t now_us) {
  if (verdict == TK_VERDICT_SUCCESS && breaker->failures) {
    breaker->failures = 0;
    return true;
  }
  if (verdict != TK_VERDICT_FAILURE) return false;
  if (++breaker->failures >= breaker->most) change(breaker, TK_BREAKER_OPEN, now_us, now_us + breaker->reset_us);
  return true;
}

bool tk_breaker_settle(tk_breaker *breaker, uint32_t epoch, uint8_t verdict, tk_slice why, int64_t now_us) {
  if (breaker->epoch != epoch || breaker->state == TK_BREAKER_OPEN) return false;
  if (verdict == TK_VERDICT_FAILURE) breaker->why = why;
  if (breaker->state == TK_BREAKER_CLOSED) return settle_closed(breaker, verdict, now_us);
  if (verdict == TK_VERDICT_FAILURE) {
    change(breaker, TK_BREAKER_OPEN, now_us, now_us + breaker->reset_us);
  } else if (verdict == TK_VERDICT_SUCCESS) {
    change(breaker, TK_BREAKER_CLOSED, now_us, 0);
    breaker->failures = 0;
  } else {
    change(breaker, TK_BREAKER_OPEN, now_us, now_us);   /* the next one tries */
  }
  return true;
}
