/* Timers are a binary heap of ours under a single uv timer: a step's timers are embedded in its fiber, and a set or unset costs no system
 * call and no allocation. */
#include "net/loop.h"

#include <pthread.h>
#include <uv.h>

#include "base/alloc.h"

#ifdef __SANITIZE_THREAD__
/* libuv closes descriptors by a raw system call, which ThreadSanitizer does not see: it takes the next owner of the number for a racer. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void) { return "called_from_lib:libuv.so\n"; }
#endif

struct tk_loop {
  uv_loop_t uv;
  uv_async_t async;
  uv_timer_t alarm;
  int64_t alarm_us;             /* what the alarm is set to; INT64_MAX: not set */
  tk_loop_timer **heap;
  size_t count, capacity;
  void (*woken)(void *context);
  void *context;
  const tk_clock *clock;
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
  loop->clock = &tk_clock_monotonic;
  *out = loop;
  return 0;
}

void tk_loop_close(tk_loop *loop) {
  TK_ASSERT(loop->count == 0);
  uv_close((uv_handle_t *)&loop->async, NULL);
  uv_close((uv_handle_t *)&loop->alarm, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  TK_ASSERT(uv_loop_close(&loop->uv) == 0);
  tk_free(loop->heap);
  tk_free(loop);
}

void tk_loop_use_clock(tk_loop *loop, const tk_clock *clock) { loop->clock = clock; }
int64_t tk_loop_next_us(const tk_loop *loop) { return loop->count ? loop->heap[0]->due_us : INT64_MAX; }
struct uv_loop_s *tk_loop_uv(tk_loop *loop) { return &loop->uv; }

void tk_loop_wake(tk_loop *loop) { uv_async_send(&loop->async); }

static void place(tk_loop *loop, size_t at, tk_loop_timer *timer) {
  loop->heap[at] = timer;
  timer->place = at + 1;
}

static void sift_up(tk_loop *loop, size_t at) {
  tk_loop_timer *timer = loop->heap[at];
  while (at > 0 && loop->heap[(at - 1) / 2]->due_us > timer->due_us) {
    place(loop, at, loop->heap[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(loop, at, timer);
}

static void sift_down(tk_loop *loop, size_t at) {
  tk_loop_timer *timer = loop->heap[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= loop->count) break;
    if (child + 1 < loop->count && loop->heap[child + 1]->due_us < loop->heap[child]->due_us) child++;
    if (loop->heap[child]->due_us >= timer->due_us) break;
    place(loop, at, loop->heap[child]);
    at = child;
  }
  place(loop, at, timer);
}

void tk_loop_set(tk_loop *loop, tk_loop_timer *timer, int64_t due_us) {
  timer->due_us = due_us;
  if (timer->place == 0) {
    if (loop->count == loop->capacity) {
      loop->capacity = loop->capacity ? 2 * loop->capacity : 64;
      loop->heap = tk_realloc(loop->heap, loop->capacity * sizeof *loop->heap);
    }
    place(loop, loop->count++, timer);
  }
  sift_up(loop, timer->place - 1);
  sift_down(loop, timer->place - 1);
}

void tk_loop_unset(tk_loop *loop, tk_loop_timer *timer) {
  if (timer->place == 0) return;
  size_t at = timer->place - 1;
  timer->place = 0;
  tk_loop_timer *last = loop->heap[--loop->count];
  if (last == timer) return;
  place(loop, at, last);
  sift_up(loop, at);
  sift_down(loop, last->place - 1);
}

void tk_loop_fire(tk_loop *loop) {
  if (!loop->count) return;
  int64_t now_us = tk_clock_now_us(loop->clock);
  while (loop->count && loop->heap[0]->due_us <= now_us) {
    tk_loop_timer *timer = loop->heap[0];
    tk_loop_unset(loop, timer);
    timer->fire(timer);
  }
}

/* Sets the alarm for the first timer, unless it is set so already. Rounded up: a timer never fires early. */
static void set_alarm(tk_loop *loop) {
  int64_t due_us = loop->count ? loop->heap[0]->due_us : INT64_MAX;
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
  tk_loop_fire(loop);
}
