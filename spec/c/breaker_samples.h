/* Records of breakers and holds for test_store_records.c, which names their kinds. */
#ifndef TK_SPEC_BREAKER_SAMPLES_H
#define TK_SPEC_BREAKER_SAMPLES_H

static const tk_breaker sample_breaker = {.no = 9, .most = 5, .reset_us = 30000000, .state = TK_BREAKER_OPEN, .failures = 5, .epoch = 3,
                                          .since_us = EPOCH_US, .until_us = EPOCH_US + 30000000, .why = {"it answered 503", 15}};
static tk_hold_entry sample_hold_entries[] = {{3, {"acme", 4}}, {4, {NULL, 0}}};
static const tk_hold sample_hold = {.process = 2, .no = 300, .count = 2, .entries = sample_hold_entries, .breaker = 9, .epoch = 4};

static bool breaker_reads_back(tk_slice key, tk_slice record) {
  tk_breaker b;
  return tk_read_breaker(key, record, &b) && b.no == 9 && b.most == 5 && b.reset_us == 30000000 && b.state == TK_BREAKER_OPEN &&
         b.failures == 5 && b.epoch == 3 && b.since_us == EPOCH_US && b.until_us == EPOCH_US + 30000000 &&
         tk_slice_eq(b.why, sample_breaker.why);
}

static bool hold_reads_back(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_hold h;
  bool same = tk_read_hold(key, record, &arena, &h) && h.process == 2 && h.no == 300 && h.count == 2 && h.breaker == 9 && h.epoch == 4 &&
              h.entries[0].limit == 3 && tk_slice_eq(h.entries[0].key, sample_hold_entries[0].key) && h.entries[1].limit == 4 &&
              !h.entries[1].key.size;
  tk_arena_free(&arena);
  return same;
}

#endif
