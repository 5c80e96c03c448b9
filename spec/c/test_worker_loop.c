/* The loop's timers and wake-ups, without Lua. */
#include <pthread.h>

#include "base/clock.h"
#include "net/loop.h"
#include "test.h"
#include "worker/watchdog.h"

typedef struct alarm_clock {
  tk_loop_timer timer;
  int id;
} alarm_clock;

static int fired[1000], fired_count, wakes;

static void note(tk_loop_timer *timer) { fired[fired_count++] = ((alarm_clock *)timer)->id; }
static void note_wake(void *context) {
  (void)context;
  wakes++;
}

static tk_loop *open_loop(void) {
  tk_loop *loop = NULL;
  tk_err err;
  fired_count = wakes = 0;
  if (tk_loop_open(note_wake, NULL, &loop, &err)) test_fail(__FILE__, __LINE__, err.message);
  return loop;
}

TEST(timers_fire_in_order_of_their_time_whatever_the_order_they_were_set_in) {
  tk_loop *loop = open_loop();
  alarm_clock clocks[500] = {0};
  int64_t now_us = tk_monotonic_us();
  for (int i = 0; i < 500; i++) {
    clocks[i] = (alarm_clock){{.fire = note}, (i * 211) % 500};
    tk_loop_set(loop, &clocks[i].timer, now_us + clocks[i].id);
  }
  while (fired_count < 500) tk_loop_turn(loop, true);
  for (int i = 0; i < 500; i++) CHECK_EQ_INT(fired[i], i);
  tk_loop_close(loop);
}

TEST(unset_timers_do_not_fire_and_moved_ones_fire_at_their_new_time) {
  tk_loop *loop = open_loop();
  alarm_clock clocks[100] = {0};
  int64_t now_us = tk_monotonic_us();
  for (int i = 0; i < 100; i++) {
    clocks[i] = (alarm_clock){{.fire = note}, i};
    tk_loop_set(loop, &clocks[i].timer, now_us + 1000 + i);
  }
  for (int i = 0; i < 100; i += 2) tk_loop_unset(loop, &clocks[i].timer);
  tk_loop_unset(loop, &clocks[0].timer);
  tk_loop_set(loop, &clocks[99].timer, now_us);
  tk_loop_set(loop, &clocks[1].timer, now_us + 5000);
  while (fired_count < 50) tk_loop_turn(loop, true);
  CHECK_EQ_INT(fired[0], 99);
  CHECK_EQ_INT(fired[49], 1);
  for (int i = 1; i < 49; i++) CHECK_EQ_INT(fired[i], 2 * i + 1);
  CHECK(tk_monotonic_us() >= now_us + 5000);
  tk_loop_close(loop);
}

TEST(a_timer_never_fires_early) {
  tk_loop *loop = open_loop();
  for (int i = 0; i < 20; i++) {
    alarm_clock clock = {{.fire = note}, i};
    int64_t due_us = tk_monotonic_us() + 150 * i;
    tk_loop_set(loop, &clock.timer, due_us);
    while (fired_count <= i) tk_loop_turn(loop, true);
    CHECK(tk_monotonic_us() >= due_us);
  }
  tk_loop_close(loop);
}

static void *wake_from_outside(void *loop) {
  tk_loop_wake(loop);
  tk_loop_wake(loop);
  return NULL;
}

TEST(another_thread_wakes_a_loop_that_sleeps) {
  tk_loop *loop = open_loop();
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, wake_from_outside, loop) == 0);
  while (wakes == 0) tk_loop_turn(loop, true);
  pthread_join(thread, NULL);
  CHECK(wakes >= 1 && wakes <= 2);
  tk_loop_turn(loop, false);
  tk_loop_close(loop);
}

/* ---- The watchdog ---- */

static _Atomic int expiries, gave_up, lates;
static _Atomic int64_t no_stop_us = INT64_MAX;
static void count_expiry(void) { atomic_fetch_add(&expiries, 1); }
static void count_give_up(tk_watch *watch) {
  (void)watch;
  atomic_fetch_add(&gave_up, 1);
}
static void count_late(tk_watch *watch) {
  (void)watch;
  atomic_fetch_add(&lates, 1);
}
static bool happened(_Atomic int *counter) {
  for (int64_t end_us = tk_monotonic_us() + 10000000; tk_monotonic_us() < end_us;)
    if (atomic_load(counter)) return true;
  return false;
}

static void watch_init(tk_watch *watch) {
  memset(watch, 0, sizeof *watch);
  watch->stop_us = &no_stop_us;
  watch->late = count_late;
  watch->give_up = watch->lost = count_give_up;
  atomic_store(&expiries, 0);
  atomic_store(&gave_up, 0);
  atomic_store(&lates, 0);
}

TEST(the_watchdog_signals_a_thread_over_its_limit_then_gives_it_up) {
  tk_watch watch;
  tk_err err;
  watch_init(&watch);
  REQUIRE(tk_watch_add(&watch, count_expiry, &err) == 0);
  tk_watch_enter(&watch, INT64_MAX, false, tk_monotonic_us() + 1000);
  CHECK(happened(&lates));
  tk_watch_move(&watch, tk_monotonic_us() + 1000);
  CHECK(happened(&expiries));
  CHECK_EQ_INT(atomic_load(&gave_up), 0);
  CHECK(happened(&gave_up));
  CHECK(tk_watch_leave(&watch));
  tk_watch_remove(&watch);
}

TEST(a_thread_in_time_is_left_alone) {
  tk_watch watch;
  tk_err err;
  watch_init(&watch);
  REQUIRE(tk_watch_add(&watch, count_expiry, &err) == 0);
  for (int i = 0; i < 1000; i++) {
    tk_watch_enter(&watch, tk_monotonic_us() + 2000000, false, INT64_MAX);
    CHECK(!tk_watch_leave(&watch));
  }
  CHECK_EQ_INT(atomic_load(&expiries), 0);
  tk_watch_remove(&watch);
}

TEST_MAIN
