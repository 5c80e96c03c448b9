/* Requests of clients at their limits and breakers. A request is admitted by all of them or by none. One limit that is a rate gives
 * its slots in advance, in the order in which they are asked for: a request that waits asks once. In all other cases one that must
 * wait takes nothing and asks again: what several limits, a place that becomes free, or steps in the queue will allow cannot be told
 * before. */
#include "base/err.h"
#include "model/decide_parts.h"

#define PROBE_LOOK_US 1000000     /* while a probe is out nobody knows how long that takes */

static void touch_breaker(tk_decide *d, tk_breaker *breaker) {
  if (!breaker->dirty) tk_list_push(d->changes->arena, &d->changes->breakers, breaker);
  breaker->dirty = true;
}

static void touch_hold(tk_decide *d, tk_hold *hold) {
  if (!hold->dirty) tk_list_push(d->changes->arena, &d->changes->holds, hold);
  hold->dirty = true;
}

static tk_breaker *breaker_of(tk_decide *d, uint32_t no) { return d->limits->breaker(d->limits->context, no); }

/* ---- Asking ---- */

static bool is_broken(const tk_breaker *breaker, tk_admission *a, int64_t now_us, bool *probes) {
  if (tk_breaker_lets(breaker, now_us, probes)) return false;
  a->outcome = TK_ADMIT_BROKEN;
  a->at_us = breaker->until_us;
  if (breaker->state == TK_BREAKER_HALF_OPEN && a->at_us > now_us + PROBE_LOOK_US) a->at_us = now_us + PROBE_LOOK_US;
  return true;
}

/* The latest slot of its limits, and which has it. */
static int64_t latest_slot(tk_decide *d, tk_admission *a, tk_meter **meters) {
  int64_t latest_ns = 0;
  for (uint32_t i = 0; i < a->limit_count; i++) {
    meters[i] = tk_part_meter(d, a->limits[i].no, a->limits[i].key);
    int64_t slot_ns = tk_meter_slot(meters[i], NULL, false, a->limits[i].cost, d->now_us * 1000);
    if (slot_ns <= latest_ns) continue;
    latest_ns = slot_ns;
    a->which = i;
  }
  return latest_ns;
}

static bool can_promise(const tk_admission *a, const tk_meter *meter, bool probes) {
  return a->limit_count == 1 && !meter->limit->rules.concurrency && !meter->waiting && !probes;
}

/* False: not now. */
static bool pass_limits(tk_decide *d, tk_admission *a, tk_meter **meters, bool probes) {
  if (!a->limit_count) return true;
  int64_t slot_ns = latest_slot(d, a, meters);
  if (slot_ns == TK_NEVER) {
    a->outcome = TK_ADMIT_LATER;
    a->at_us = 0;
    return false;
  }
  a->at_us = slot_ns > d->now_us * 1000 ? (slot_ns + 999) / 1000 : d->now_us;
  if (a->at_us <= d->now_us) return true;
  a->outcome = a->at_us > a->latest_us ? TK_ADMIT_LIMITED : can_promise(a, meters[0], probes) ? TK_ADMITTED : TK_ADMIT_LATER;
  return a->outcome == TK_ADMITTED;
}

static void keep(tk_decide *d, tk_admission *a, tk_meter **meters, const tk_breaker *probed) {
  uint32_t count = 0;
  tk_hold_entry *entries = TK_ARENA_ARRAY(d->changes->arena, tk_hold_entry, a->limit_count + 1);
  for (uint32_t i = 0; i < a->limit_count; i++) {
    tk_meter_spend(meters[i], a->limits[i].cost, d->now_us * 1000);
    if (meters[i]->limit->rules.concurrency) {
      meters[i]->holders++;
      entries[count++] = (tk_hold_entry){a->limits[i].no, a->limits[i].key};
    }
    tk_part_touch_meter(d, meters[i]);
  }
  if (!count && !probed) {
    a->hold = 0;
    return;
  }
  tk_hold *hold = d->limits->hold(d->limits->context, d->process, a->hold);
  hold->count = count;
  hold->entries = entries;
  hold->breaker = probed ? probed->no : 0;
  hold->epoch = probed ? probed->epoch : 0;
  hold->there = true;
  touch_hold(d, hold);
}

static int check_limits(tk_decide *d, const tk_admission *a, tk_err *err) {
  if (a->limit_count > TK_LIMIT_STEP_LIMITS)
    return tk_err_set(err, TK_E_INVALID, "a request has at most %d limits", TK_LIMIT_STEP_LIMITS);
  for (uint32_t i = 0; i < a->limit_count; i++) {
    const tk_admission_limit *l = &a->limits[i];
    if (!d->limits->limit(d->limits->context, l->no)->there)
      return tk_err_set(err, TK_E_NOT_FOUND, "no limit '%.*s' is declared", (int)l->name.size, l->name.data);
  }
  return TK_OK;
}

static int admit(tk_decide *d, tk_admission *a, tk_err *err) {
  tk_meter *meters[TK_LIMIT_STEP_LIMITS];
  tk_breaker *breaker = a->breaker_no ? breaker_of(d, a->breaker_no) : NULL;
  bool probes = false;
  int code = check_limits(d, a, err);
  if (code) return code;
  if (!d->process) return tk_err_set(err, TK_E_INVALID, "a process that its peers do not know cannot hold anything");
  a->outcome = TK_ADMITTED;
  a->at_us = a->now_us = d->now_us;
  a->which = 0;
  if (breaker && is_broken(breaker, a, d->now_us, &probes)) return TK_OK;
  if (!pass_limits(d, a, meters, probes)) return TK_OK;
  if (probes) {
    tk_breaker_probe(breaker, d->now_us, a->lease_us);
    touch_breaker(d, breaker);
  }
  a->epoch = breaker ? breaker->epoch : 0;
  keep(d, a, meters, probes ? breaker : NULL);
  return TK_OK;
}

/* ---- Its end ---- */

static void settle_breaker(tk_decide *d, uint32_t no, uint32_t epoch, uint8_t verdict, tk_slice why) {
  tk_breaker *breaker = breaker_of(d, no);
  if (breaker->there && tk_breaker_settle(breaker, epoch, verdict, why, d->now_us)) touch_breaker(d, breaker);
}

void tk_decide_release_hold(tk_decide *d, tk_hold *hold) {
  if (!hold->there) return;
  for (uint32_t i = 0; i < hold->count; i++) {
    tk_meter *meter = tk_part_meter(d, hold->entries[i].limit, hold->entries[i].key);
    TK_ASSERT(meter->holders);
    meter->holders--;
    tk_part_touch_meter(d, meter);
  }
  /* Nothing is left to say when a verdict came before. */
  if (hold->breaker) settle_breaker(d, hold->breaker, hold->epoch, TK_VERDICT_NONE, (tk_slice){NULL, 0});
  hold->there = false;
  touch_hold(d, hold);
}

static void settle(tk_decide *d, const tk_admission *a) {
  if (a->breaker_no && a->verdict) settle_breaker(d, a->breaker_no, a->epoch, a->verdict, a->why);
  if (a->hold) tk_decide_release_hold(d, d->limits->hold(d->limits->context, d->process, a->hold));
}

static void declare(tk_decide *d, const tk_admission *a) {
  tk_breaker *breaker = breaker_of(d, a->breaker_no);
  if (breaker->there && breaker->most == a->most && breaker->reset_us == a->reset_us) return;
  breaker->name = a->breaker;
  breaker->most = a->most;
  breaker->reset_us = a->reset_us;
  breaker->there = true;
  touch_breaker(d, breaker);
}

int tk_decide_admission(tk_decide *d, const tk_event *event, tk_err *err) {
  if (event->type == TK_EV_ADMIT) return admit(d, event->admission, err);
  if (event->type == TK_EV_SETTLE) settle(d, event->admission);
  else declare(d, event->admission);
  return TK_OK;
}
