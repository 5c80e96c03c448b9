/* Records of limits for test_store_records.c, which names their kinds. */
#ifndef TK_SPEC_LIMIT_SAMPLES_H
#define TK_SPEC_LIMIT_SAMPLES_H

static const tk_limit sample_limit = {.no = 3, .rules = {.rate = 2.5, .per = 60, .burst = 7, .concurrency = 0},
                                      .declared = {.per = 1, .burst = 1, .concurrency = 4}};
static tk_meter sample_meter(void) {
  return (tk_meter){.limit = &sample_limit, .hash = {1, 2, 3, [15] = 4}, .key = tk_slice_str("acme"), .tat_ns = EPOCH_US * 1000 + 1,
                    .unit_ns = 24000000000, .queued = 300, .done = 7, .holders = 2, .waiting = 5};
}
static tk_waiter sample_waiter(tk_meter *meter) {
  return (tk_waiter){.meter = meter, .since_us = EPOCH_US, .task_no = 77, .step = 2, .cost = 3, .position = 298,
                     .slot_us = EPOCH_US + 24, .elsewhere = true};
}
static tk_permit_entry sample_entries_of_permit[] = {{{"acme", 4}, true}, {{NULL, 0}, false}};
static const tk_permit sample_permit = {.task_no = 77, .step = 2, .since_us = EPOCH_US, .count = 2, .entries = sample_entries_of_permit};

static tk_key limit_key(int kind) {
  tk_meter meter = sample_meter();
  tk_waiter waiter = sample_waiter(&meter);
  return kind == F_METER ? tk_key_meter(3, meter.hash) : tk_key_waiter(&waiter);
}

static bool limits_read_back(int kind, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_limit limit;
  tk_meter m, em = sample_meter();
  tk_waiter w, ew = sample_waiter(&em);
  tk_permit p;
  bool same = false;
  if (kind == F_LIMIT)
    same = tk_read_limit(key, record, &limit) && limit.no == 3 && tk_limit_same(&limit.rules, &sample_limit.rules) &&
           tk_limit_same(&limit.declared, &sample_limit.declared) && limit.unit_ns == 24000000000;
  else if (kind == F_METER)
    same = tk_read_meter(key, record, &m) && memcmp(m.hash, em.hash, 16) == 0 && m.tat_ns == em.tat_ns && m.unit_ns == em.unit_ns &&
           m.queued == 300 && m.done == 7 && m.holders == 2 && m.waiting == 5 && tk_slice_eq(m.key, em.key);
  else if (kind == F_WAITER)
    same = tk_read_waiter(key, record, &w) && w.since_us == EPOCH_US && w.task_no == 77 && w.step == 2 && w.cost == 3 &&
           w.position == 298 && w.slot_us == ew.slot_us && w.elsewhere && !w.woken;
  else
    same = tk_read_permit(key, record, &arena, &p) && p.task_no == 77 && p.step == 2 && p.since_us == EPOCH_US && p.count == 2 &&
           p.entries[0].waits && tk_slice_eq(p.entries[0].key, tk_slice_str("acme")) && !p.entries[1].waits && !p.entries[1].key.size;
  tk_arena_free(&arena);
  return same;
}

#endif
