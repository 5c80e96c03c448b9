#include "model/limit.h"

#include <math.h>

#include "base/hash.h"

#define NS_MOST 1e18   /* some 31 years: longer debts are as good as this, and sums of two fit */

int64_t tk_limit_ns(const tk_limit_rules *rules, uint64_t units) {
  if (rules->rate <= 0) return 0;
  double ns = ceil((double)units * rules->per * 1e9 / rules->rate);
  return ns < NS_MOST ? (int64_t)ns : (int64_t)NS_MOST;
}

bool tk_limit_same(const tk_limit_rules *a, const tk_limit_rules *b) {
  return a->rate == b->rate && a->per == b->per && a->burst == b->burst && a->concurrency == b->concurrency;
}

void tk_limit_hash(tk_slice key, uint8_t out[16]) {
  uint8_t whole[32] = {0};
  if (key.size) tk_sha256(key, whole);
  memcpy(out, whole, 16);
}

void tk_meter_fit(tk_meter *meter, int64_t now_ns) {
  int64_t unit_ns = meter->limit->unit_ns;
  if (meter->unit_ns == unit_ns) return;
  if (meter->unit_ns && meter->tat_ns > now_ns) {
    double debt_ns = ceil((double)(meter->tat_ns - now_ns) / (double)meter->unit_ns * (double)unit_ns);
    meter->tat_ns = now_ns + (debt_ns < NS_MOST ? (int64_t)debt_ns : (int64_t)NS_MOST);
  }
  meter->unit_ns = unit_ns;
}

/* Whether all places are taken or spoken for. */
static bool is_full(const tk_meter *meter, bool waited) {
  uint32_t most = meter->limit->rules.concurrency;
  return most && meter->holders + (uint64_t)(waited ? 0 : meter->waiting) >= most;
}

int64_t tk_meter_slot(const tk_meter *meter, const tk_waiter *waiter, bool waited, uint32_t cost, int64_t now_ns) {
  const tk_limit_rules *rules = &meter->limit->rules;
  if (is_full(meter, waited)) return TK_NEVER;
  if (rules->rate <= 0) return now_ns;
  uint64_t place = waiter ? waiter->position : meter->queued;
  uint64_t ahead = place > meter->done ? place - meter->done : 0, spare = rules->burst > cost ? rules->burst - cost : 0;
  int64_t slot_ns = meter->tat_ns - tk_limit_ns(rules, spare) + tk_limit_ns(rules, ahead);
  return slot_ns > now_ns ? slot_ns : now_ns;
}

static int64_t paid_off(const tk_meter *meter, int64_t now_ns) { return meter->tat_ns > now_ns ? meter->tat_ns : now_ns; }

void tk_meter_spend(tk_meter *meter, uint32_t cost, int64_t now_ns) {
  if (meter->limit->rules.rate > 0) meter->tat_ns = paid_off(meter, now_ns) + tk_limit_ns(&meter->limit->rules, cost);
}

void tk_meter_take(tk_meter *meter, uint32_t cost, int64_t now_ns) {
  meter->holders++;
  tk_meter_spend(meter, cost, now_ns);
}

void tk_meter_correct(tk_meter *meter, int64_t by, int64_t now_ns) {
  int64_t most_ns = now_ns + (int64_t)NS_MOST, ns = tk_limit_ns(&meter->limit->rules, (uint64_t)(by > 0 ? by : -by));
  int64_t tat_ns = by > 0 ? paid_off(meter, now_ns) + ns : meter->tat_ns - ns;
  meter->tat_ns = tat_ns < 0 ? 0 : tat_ns > most_ns ? most_ns : tat_ns;
}

bool tk_meter_idle(const tk_meter *meter, int64_t now_ns) {
  return !meter->holders && !meter->waiting && meter->tat_ns <= now_ns;
}
