/* Schedules: the record, and what decide makes of an event where the clock of a whole engine would be in the way. */
#include "base/hash.h"
#include "store_support.h"

static tk_slice text(const char *s) { return tk_slice_str(s); }

/* ---- The record ---- */

static tk_schedule sample(void) {
  static uint64_t open[] = {7, 9};
  static int64_t buffered[] = {EPOCH_US + 5};
  static tk_backfill backfills[] = {{EPOCH_US - 9, EPOCH_US - 1, EPOCH_US - 10}};
  static const char *const texts[TK_SCHEDULE_TEXT_COUNT] = {
      "nightly", "shop", "order", "1.0.0", "0 9 * * *", "Europe/Berlin", "{\"n\":1}", "mail", "[\"a\"]", "ann", "crm", "because",
      "shop/order@1.0.0"};
  tk_schedule s = {.no = 77, .paused = true, .created_at_us = EPOCH_US, .updated_at_us = EPOCH_US + 1, .phase_us = EPOCH_US - 5,
                   .next_us = EPOCH_US + 60, .due_us = EPOCH_US + 61, .last_us = EPOCH_US - 60, .last_task = 9, .made = 300,
                   .skipped = 4, .taken = 299, .open = 2, .open_tasks = {open, 2, 2}, .buffered = {buffered, 1, 1},
                   .backfills = {backfills, 1, 1}, .last_log = 1234567};
  s.spec = (tk_schedule_spec){.kind = TK_RECUR_EVERY, .overlap = TK_SCHEDULE_BUFFER_ALL, .dst = {TK_GAP_SKIP, TK_OVERLAP_BOTH},
                              .has_priority = true, .priority = -7, .ask = 12, .at_us = 1, .every_us = 120, .catch_up_us = 3,
                              .jitter_us = 4, .starts_us = 5, .ends_us = 6, .count = 1000};
  for (int i = 0; i < TK_SCHEDULE_TEXT_COUNT; i++) s.spec.texts[i] = text(texts[i]);
  return s;
}

/* Bytes of every version that was ever released. */
static const char *const fixtures[] = {
    "01a6ecc0760387ad4b808082e288d2a306828082e288d2a306f6ff81e288d2a306f88082e288d2a306fa8082e288d2a30688ff81e288d2a30609ac0204ab0202"
    "020709018a8082e288d2a30601eeff81e288d2a306feff81e288d2a306ecff81e288d2a306010201020d0c02f00106080a0ce807076e696768746c790473686f"
    "70056f7264657205312e302e3009302039202a202a202a0d4575726f70652f4265726c696e077b226e223a317d046d61696c055b2261225d03616e6e0363726d"
    "07626563617573651073686f702f6f7264657240312e302e30"};

/* Read, and the same bytes when written again: so nothing of it was lost. */
static bool reads_back(tk_slice record) {
  tk_key key = tk_key_u64(77);
  tk_arena arena = {0};
  tk_buf again = {0};
  tk_schedule s, expected = sample();
  bool same = tk_read_schedule(tk_key_slice(&key), record, &arena, &s) && s.no == 77 && s.open_tasks.count == 2 &&
              s.open_tasks.items[1] == 9 && s.due_us == expected.due_us && tk_schedule_spec_same(&s.spec, &expected.spec, false) &&
              tk_slice_eq(tk_write_schedule(&again, tk_key_slice(&key), &s, s.last_log), record);
  tk_buf_free(&again);
  tk_arena_free(&arena);
  return same;
}

TEST(records_of_every_version_are_read_and_damage_is_refused) {
  uint8_t bytes[1024];
  for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
    size_t size = strlen(fixtures[i]);
    REQUIRE(size / 2 <= sizeof bytes && tk_unhex(fixtures[i], size, bytes));
    CHECK(reads_back(tk_slice_of(bytes, size / 2)));
    for (size_t at = 0; at < size / 2; at++) {
      bytes[at] ^= 1;
      CHECK(!reads_back(tk_slice_of(bytes, size / 2)));
      bytes[at] ^= 1;
      CHECK(!reads_back(tk_slice_of(bytes, at)));
    }
  }
}

/* ---- decide ---- */

/* One schedule without a store: the turn's changes start anew with each event, timers are kept by the schedule itself. */
typedef struct bench {
  tk_arena arena;
  tk_changes changes;
  tk_decide d;
  tk_recurrence recurrence;
  tk_schedule s;
  tk_fires fires;
  tk_err err;
} bench;

static bench *bench_new(tk_schedule_spec spec, int64_t now_us) {
  bench *b = tk_calloc(1, sizeof *b);
  b->d = (tk_decide){.changes = &b->changes, .now_us = now_us};
  b->changes.arena = &b->arena;
  b->changes.next_task = 2;
  b->s.no = 1;
  spec.texts[TK_SCHEDULE_NAME] = text("s");
  tk_schedule_spec *kept = TK_ARENA_NEW(&b->arena, tk_schedule_spec);
  *kept = spec;
  if (tk_schedule_recurrence(kept, now_us, (tk_slice){NULL, 0}, &b->arena, &b->recurrence, &b->err)) abort();
  tk_event put = {.type = TK_EV_SCHEDULE_PUT, .step = TK_NO_STEP, .schedule = kept};
  if (tk_decide_schedule(&b->d, &b->s, &put, &b->recurrence, &b->fires, &b->err)) abort();
  return b;
}

static void bench_free(bench *b) {
  tk_arena_free(&b->arena);
  tk_free(b);
}

static int send(bench *b, tk_event event) {
  b->changes = (tk_changes){.arena = &b->arena, .next_task = b->changes.next_task};
  b->fires = (tk_fires){0};
  b->s.dirty = false;
  b->s.log_head = b->s.log_tail = NULL;
  event.step = TK_NO_STEP;
  return tk_decide_schedule(&b->d, &b->s, &event, &b->recurrence, &b->fires, &b->err);
}

static void tick(bench *b) { send(b, (tk_event){.type = TK_EV_TIMER, .timer_kind = TK_TIMER_SCHEDULE, .due_us = b->s.due_us}); }

#define SECOND INT64_C(1000000)

TEST(a_turn_takes_a_bounded_number_of_occurrences_and_goes_on_in_the_next) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = SECOND, .catch_up_us = 86400 * SECOND,
                                          .overlap = TK_SCHEDULE_ALLOW}, EPOCH_US);
  b->d.now_us += 150 * SECOND;
  tick(b);
  CHECK_EQ_INT(b->fires.list.count, TK_SCHEDULE_OCCURRENCES);
  CHECK(b->s.due_us <= b->d.now_us);
  tick(b);
  tick(b);
  CHECK_EQ_INT(b->s.made, 150);
  CHECK_EQ_INT(b->s.due_us, EPOCH_US + 151 * SECOND);
  bench_free(b);
}

TEST(a_stale_timer_changes_nothing) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = SECOND}, EPOCH_US);
  b->d.now_us += 5 * SECOND;
  send(b, (tk_event){.type = TK_EV_TIMER, .timer_kind = TK_TIMER_SCHEDULE, .due_us = b->s.due_us - 1});
  CHECK_EQ_INT(b->s.made + b->s.skipped, 0);
  CHECK_EQ_INT(b->changes.schedules.count, 0);
  send(b, (tk_event){.type = TK_EV_SCHEDULE_PAUSE});
  CHECK_EQ_INT(b->s.due_us, 0);
  CHECK_EQ_INT(b->changes.untimers.count, 1);
  tick(b);
  CHECK_EQ_INT(b->s.made + b->s.skipped, 0);
  bench_free(b);
}

TEST(a_buffer_that_is_full_skips) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = SECOND, .catch_up_us = 86400 * SECOND,
                                          .overlap = TK_SCHEDULE_BUFFER_ALL}, EPOCH_US);
  b->d.now_us += (TK_LIMIT_SCHEDULE_BUFFER + 101) * SECOND;
  for (int i = 0; i < 30; i++) tick(b);
  CHECK_EQ_INT(b->s.made, 1);
  CHECK_EQ_INT(b->s.buffered.count, TK_LIMIT_SCHEDULE_BUFFER);
  CHECK_EQ_INT(b->s.skipped, 100);
  send(b, (tk_event){.type = TK_EV_SCHEDULE_ENDED, .child = b->s.last_task, .cursor = TK_TASK_COMPLETE});
  CHECK_EQ_INT(b->fires.list.count, 1);
  CHECK_EQ_INT(b->fires.list.items[0].scheduled_us, EPOCH_US + 2 * SECOND);
  bench_free(b);
}

TEST(more_open_tasks_than_it_knows_by_number_are_counted) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_AT, .at_us = EPOCH_US + SECOND, .overlap = TK_SCHEDULE_ALLOW}, EPOCH_US);
  for (int i = 0; i < TK_LIMIT_SCHEDULE_OPEN + 5; i++) send(b, (tk_event){.type = TK_EV_SCHEDULE_TRIGGER});
  CHECK_EQ_INT(b->s.open, TK_LIMIT_SCHEDULE_OPEN + 5);
  CHECK_EQ_INT(b->s.open_tasks.count, TK_LIMIT_SCHEDULE_OPEN);
  for (uint64_t no = 2; no < b->changes.next_task; no++)
    send(b, (tk_event){.type = TK_EV_SCHEDULE_ENDED, .child = no, .cursor = TK_TASK_COMPLETE});
  CHECK_EQ_INT(b->s.open + b->s.open_tasks.count, 0);
  bench_free(b);
}

TEST(backfills_are_bounded_and_come_in_order) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = SECOND}, EPOCH_US);
  tk_event range = {.type = TK_EV_SCHEDULE_BACKFILL, .due_us = EPOCH_US - 3 * SECOND, .until_us = EPOCH_US};
  for (int i = 0; i < TK_LIMIT_SCHEDULE_BACKFILLS; i++) CHECK_EQ_INT(send(b, range), 0);
  CHECK_EQ_INT(send(b, range), TK_E_REFUSED);
  int64_t expected[] = {-2, -1, -3};   /* the first was made when it was asked for */
  for (int i = 0; i < 3; i++) {
    send(b, (tk_event){.type = TK_EV_SCHEDULE_ENDED, .child = b->s.last_task, .cursor = TK_TASK_COMPLETE});
    REQUIRE(b->fires.list.count == 1);
    CHECK_EQ_INT(b->fires.list.items[0].scheduled_us, EPOCH_US + expected[i] * SECOND);
  }
  CHECK_EQ_INT(b->s.made, 4);
  bench_free(b);
}

TEST(an_occurrence_of_the_clock_comes_before_what_is_left_of_a_backfill) {
  bench *b = bench_new((tk_schedule_spec){.kind = TK_RECUR_EVERY, .every_us = SECOND, .catch_up_us = 86400 * SECOND}, EPOCH_US);
  send(b, (tk_event){.type = TK_EV_SCHEDULE_BACKFILL, .due_us = EPOCH_US - 100 * SECOND, .until_us = EPOCH_US});
  b->d.now_us += SECOND;
  tick(b);
  CHECK_EQ_INT(b->s.buffered.count, 1);
  send(b, (tk_event){.type = TK_EV_SCHEDULE_ENDED, .child = b->s.last_task, .cursor = TK_TASK_COMPLETE});
  REQUIRE(b->fires.list.count == 1);
  CHECK_EQ_INT(b->fires.list.items[0].scheduled_us, EPOCH_US + SECOND);
  bench_free(b);
}

TEST_MAIN
