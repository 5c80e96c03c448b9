/* All timers are under a single uv timer. */
#include "net/loop.h"

#include <pthread.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"

#ifdef __SANITIZE_THREAD__
/* libuv closes descriptors by a raw system call, which ThreadSanitizer does not see: it takes the next owner of the number for a racer. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void) { return "called_from_lib:libuv.so\n"; }
#endif

struct tk_loop {
  uv_loop_t uv;
  uv_async_t async;
  uv_timer_t alarm;
  int64_t alarm_us;             /* what the alarm is set to; INT64_MAX: not set */
  tk_timers timers;
  void (*woken)(void *context);
  void *context;
};

static void on_async(uv_async_t *async) {
  tk_loop *loop = async->data;
  loop->woken(loop->context);
}

/* uv runs timers before it polls, and would then poll without end: there is no other timer. */
static void on_alarm(uv_timer_t *alarm) {
  ((tk_loop *)alarm->data)->alarm_us = INT64_MAX;
  uv_stop(alarm->loop);
}

/* uv aborts without a word when memory runs out; ours says why. */
static void use_our_allocator(void) { uv_replace_allocator(tk_malloc, tk_realloc, tk_calloc, tk_free); }

int tk_loop_open(void (*woken)(void *context), void *context, tk_loop **out, tk_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, use_our_allocator);
  tk_loop *loop = tk_calloc(1, sizeof *loop);
  int code = uv_loop_init(&loop->uv);
  if (code) {
    tk_free(loop);
    return tk_err_set(err, TK_E_IO, "cannot make an event loop: %s", uv_strerror(code));
  }
  code = uv_async_init(&loop->uv, &loop->async, on_async);
  if (code) {
    uv_loop_close(&loop->uv);
    tk_free(loop);
    return tk_err_set(err, TK_E_IO, "cannot make a wake-up for an event loop: %s", uv_strerror(code));
  }
  uv_timer_init(&loop->uv, &loop->alarm);
  loop->async.data = loop->alarm.data = loop;
  loop->alarm_us = INT64_MAX;
  loop->woken = woken;
  loop->context = context;
  *out = loop;
  return 0;
}

void tk_loop_close(tk_loop *loop) {
  TK_ASSERT(loop->timers.count == 0);
  uv_close((uv_handle_t *)&loop->async, NULL);
  uv_close((uv_handle_t *)&loop->alarm, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  TK_ASSERT(uv_loop_close(&loop->uv) == 0);
  tk_timers_free(&loop->timers);
  tk_free(loop);
}

struct uv_loop_s *tk_loop_uv(tk_loop *loop) { return &loop->uv; }

void tk_loop_wake(tk_loop *loop) { uv_async_send(&loop->async); }

tk_timers *tk_loop_timers(tk_loop *loop) { return &loop->timers; }
void tk_loop_set(tk_loop *loop, tk_loop_timer *timer, int64_t due_us) { tk_timers_set(&loop->timers, timer, due_us); }
void tk_loop_unset(tk_loop *loop, tk_loop_timer *timer) { tk_timers_unset(&loop->timers, timer); }

/* Sets the alarm for the first timer, unless it is set so already. Rounded up: a timer never fires early. */
static void set_alarm(tk_loop *loop) {
  int64_t due_us = tk_timers_next_us(&loop->timers);
  if (due_us == loop->alarm_us) return;
  loop->alarm_us = due_us;
  if (due_us == INT64_MAX) {
    uv_timer_stop(&loop->alarm);
    return;
  }
  int64_t wait_us = due_us - tk_monotonic_us();
  uv_update_time(&loop->uv);
  uv_timer_start(&loop->alarm, on_alarm, wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0, 0);
}

void tk_loop_turn(tk_loop *loop, bool block) {
  if (block) set_alarm(loop);
  uv_run(&loop->uv, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  if (loop->timers.count) tk_timers_fire(&loop->timers, tk_monotonic_us());
}
